internal import Core

/// What the schemas that came along with Debezium's messages say about columns, by hash of the schema's text.
struct DebeziumSchemas {
    private struct Key: Hashable {
        var table: Int
        var schema: UInt64
    }

    /// Schemas kept; a schema changes with a column, so more than a few per table are a sign of something odd.
    private static let schemasMax = 256
    private var known: [Key: ContiguousArray<ColumnRule>] = [:]
    private var last: (key: Key, rules: ContiguousArray<ColumnRule>)?

    mutating func rules(table: Int, schema: UInt64) -> ContiguousArray<ColumnRule>? {
        let key = Key(table: table, schema: schema)
        if let last, last.key == key { return last.rules }
        guard let rules = known[key] else { return nil }
        last = (key, rules)
        return rules
    }

    mutating func remember(_ rules: ContiguousArray<ColumnRule>, table: Int, schema: UInt64) {
        if known.count >= DebeziumSchemas.schemasMax { known.removeAll() }
        known[Key(table: table, schema: schema)] = rules
    }

    /// The column rules under a Connect schema: its logical types say how values are encoded, whatever is declared.
    static func rules(_ schema: JSON, layout: ColumnLayout) -> ContiguousArray<ColumnRule> {
        let fields = schema["fields"]?.elements ?? []
        let image = fields.first { ["after", "before"].contains($0["field"]?.stringValue ?? "") } ?? schema
        return ContiguousArray(
            layout.columns.map { column in
                var node: JSON? = image
                for member in column.path.split(separator: ".") {
                    node = node?["fields"]?.elements?.first { $0["field"]?.stringValue == String(member) }
                }
                let type = node.flatMap { DebeziumSchemas.type($0, declared: column.type) } ?? column.type
                return ColumnRule(type: type, isDeclared: column.isDeclared)
            })
    }

    private static func type(_ field: JSON, declared: ColumnType?) -> ColumnType? {
        switch field["name"]?.stringValue {
        case "org.apache.kafka.connect.data.Decimal":
            guard let scale = field["parameters"]?["scale"]?.stringValue.flatMap({ Int($0) }),
                (0...1000).contains(scale)
            else { return declared }
            return .decimal(.base64(scale: scale))
        case "io.debezium.data.VariableScaleDecimal": return .decimal(.plain)
        case "io.debezium.time.Date", "org.apache.kafka.connect.data.Date": return .date
        case "io.debezium.time.Timestamp", "org.apache.kafka.connect.data.Timestamp": return .timestamp(.milliseconds)
        case "io.debezium.time.MicroTimestamp": return .timestamp(.microseconds)
        case "io.debezium.time.NanoTimestamp": return .timestamp(.nanoseconds)
        case "io.debezium.time.ZonedTimestamp", "io.debezium.time.IsoTimestamp": return .timestamp(.detect)
        case "io.debezium.data.Json": return declared ?? .object
        default: break
        }
        guard declared == nil || isDecimal(declared) else { return declared }
        switch field["type"]?.stringValue {
        // A decimal sent as text, `decimal.handling.mode=string`.
        case "string" where declared != nil: return .decimal(.text)
        case "bytes" where declared == nil: return .bytes
        case "double" where declared == nil, "float" where declared == nil: return .double
        default: return declared
        }
    }

    private static func isDecimal(_ type: ColumnType?) -> Bool {
        if case .decimal = type { true } else { false }
    }
}
