/// The declared type of a column, with the encoding its source uses where JSON has several.
public enum ColumnType: Sendable, Hashable {
    /// How a decimal is written.
    public enum DecimalEncoding: Sendable, Hashable {
        /// A JSON number, or a string that cannot be base64 text.
        case plain
        /// A JSON number or a string of digits, as Debezium's `decimal.handling.mode=string` writes it.
        case text
        /// Base64 of the big-endian two's complement of the unscaled value, as Debezium's mode `precise` writes it.
        case base64(scale: Int)
    }

    /// The unit of a time that is written as a number.
    public enum TimeUnit: Sendable, Hashable {
        /// Text, or a number whose unit its magnitude tells.
        case detect
        case seconds, milliseconds, microseconds, nanoseconds
    }

    case bool
    case int
    case double
    case decimal(DecimalEncoding)
    case string
    /// Base64 text.
    case bytes
    case timestamp(TimeUnit)
    /// A day: text such as `2026-01-12`, or a number of days since 1970-01-01.
    case date
    case list
    /// A struct, a map, or JSON text in a string.
    case object

    /// The name used in table declarations: `decimal(4)`, `timestamp(us)`, `date`, …
    public var name: String {
        switch self {
        case .bool: "bool"
        case .int: "int"
        case .double: "double"
        case .decimal(.plain): "decimal"
        case .decimal(.text): "decimal(text)"
        case .decimal(.base64(let scale)): "decimal(\(scale))"
        case .string: "string"
        case .bytes: "bytes"
        case .timestamp(.detect): "timestamp"
        case .timestamp(.seconds): "timestamp(s)"
        case .timestamp(.milliseconds): "timestamp(ms)"
        case .timestamp(.microseconds): "timestamp(us)"
        case .timestamp(.nanoseconds): "timestamp(ns)"
        case .date: "date"
        case .list: "list"
        case .object: "object"
        }
    }

    /// Parses the form of ``name``; nil for any other text.
    public init?(name: String) {
        let simple: [String: ColumnType] = [
            "bool": .bool, "int": .int, "double": .double, "decimal": .decimal(.plain),
            "decimal(text)": .decimal(.text), "string": .string, "bytes": .bytes, "timestamp": .timestamp(.detect),
            "timestamp(s)": .timestamp(.seconds), "timestamp(ms)": .timestamp(.milliseconds),
            "timestamp(us)": .timestamp(.microseconds), "timestamp(ns)": .timestamp(.nanoseconds), "date": .date,
            "list": .list, "object": .object,
        ]
        if let type = simple[name] {
            self = type
        } else if name.hasPrefix("decimal("), name.hasSuffix(")"), let scale = Int(name.dropFirst(8).dropLast()),
            (0...1000).contains(scale)
        {
            self = .decimal(.base64(scale: scale))
        } else {
            return nil
        }
    }

    /// The names that ``init(name:)`` takes, for suggestions.
    public static let names = [
        "bool", "int", "double", "decimal", "decimal(text)", "decimal(4)", "string", "bytes", "timestamp",
        "timestamp(s)", "timestamp(ms)", "timestamp(us)", "timestamp(ns)", "date", "list", "object",
    ]
}
