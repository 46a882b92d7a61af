public import ConfigFiles
public import Core

/// All tables that `rules/tables.yaml` declares.
///
/// ```yaml
/// tables:
///   gld_fact_quality:
///     row_key: inspection_id
///     event_time: inspected_at
///     columns: {inspection_id: string, inspected_at: timestamp, defect_rate: double, ppm: decimal}
/// ```
public struct TableDeclarations: Sendable {
    /// In the order of the file.
    public var tables: [TableDeclaration]
    /// Where each table is declared.
    public var positions: [String: SourcePosition]

    /// Makes declarations without a file.
    public init(tables: [TableDeclaration]) {
        self.tables = tables
        positions = [:]
    }

    /// The declaration of a table.
    public subscript(name: String) -> TableDeclaration? { tables.first { $0.name == name } }

    /// Reads a file; nil with at least one error where it cannot be used.
    public static func load(_ file: ConfigFile) -> (declarations: TableDeclarations?, diagnostics: [Diagnostic]) {
        let reader = ConfigReader()
        let declarations = reader.mapping(of: file, TableDeclarations.init)
        return (reader.hasErrors ? nil : declarations, reader.sortedDiagnostics)
    }

    /// Reads the declarations from the root of a file; what is wrong is reported to its reader.
    public init(_ mapping: MappingReader) {
        self.init(tables: [])
        let read = mapping.namedMappings("tables", "The tables whose changes are read, by name.") { name, table in
            (name, TableDeclaration(name: name?.value ?? "", table))
        }
        for (name, table) in read {
            tables.append(table)
            if let name { positions[name.value] = name.position }
        }
    }

    /// The JSON Schema of the file.
    public static var schema: ConfigSchema {
        ConfigSchema.describing(title: "Table declarations of AlertRouter") { TableDeclarations($0) }
    }
}

/// The codes of this module's diagnostics; docs/change-events.md explains each.
enum TableCode {
    /// A column type that does not exist.
    static let columnType = "D001"
    /// A column of the row key, or the event time, that is not declared.
    static let undeclaredColumn = "D002"
    /// An event time that is no timestamp.
    static let eventTime = "D003"
    /// A setting that the format does not read.
    static let unusedSetting = "D004"
}

extension TableDeclaration {
    /// Reads one table.
    init(name: String, _ mapping: MappingReader) {
        let rowKey = mapping.strings("row_key", "The columns that identify a row; without them, the message key.")
        self.init(name: name, rowKey: rowKey, columns: [:])
        let types = mapping.textMap(
            "columns",
            "Types of columns by path (`spec.target` for a field of a struct): "
                + ColumnType.names.joined(separator: ", ") + ".")
        for (path, text) in types { columns[path.value] = TableDeclaration.type(text, mapping) }
        eventTime = mapping.string(
            "event_time", "The column that orders rows inside windows; default: the commit time.")
        epoch = Int32(
            mapping.int(
                "epoch", "Raised when the table is recreated and its versions start again.", in: 0...1_000_000,
                default: 0))
        preimages = mapping.choice(
            "preimages", "Whether the row before an update is sent; `none`: what the router remembers stands for it.",
            default: Preimages.sent)
        maxDelay = mapping.duration("max_delay", "How late rows may arrive.", default: .seconds(60))
        late = mapping.choice("late", "What happens to rows older than the newest of their key.", default: Late.drop)
        rowKeysMax = mapping.int(
            "row_keys_max", "Most row keys that are remembered.", in: 1...20_000_000, default: 1_000_000)
        rowStateTTL = mapping.duration(
            "row_state_ttl", "How long a row key is remembered after its last change.", default: .seconds(7 * 86_400))
        deleteHold = mapping.duration(
            "delete_hold", "How long a delete must stand before it resolves an alert.", default: .seconds(60))
        topics = mapping.strings(
            "topics", "The topics that carry the table; default: those whose last dotted part is its name.")
        format = mapping.choice("format", "What the messages are; `detect` finds it out.", default: EventFormat.detect)
        operationColumn = mapping.string(
            "operation_column", "The column of plain rows that says what happened; default: every row is an upsert.")
        positionColumn = mapping.string(
            "position_column", "The column of plain rows that orders the changes of a row; default: the offset.")
        check(mapping)
    }

    private static func type(_ text: ConfigText, _ mapping: MappingReader) -> ColumnType? {
        if let type = ColumnType(name: text.value) { return type }
        let nearest = Spelling.nearest(to: text.value, among: ColumnType.names)
        mapping.reader.report(
            TableCode.columnType,
            "'\(text.value)' is no column type; expected one of " + ColumnType.names.joined(separator: ", "),
            at: text.node, help: nearest.map { "did you mean '\($0)'?" })
        return nil
    }

    private func check(_ mapping: MappingReader) {
        guard !mapping.isDescribing, !columns.isEmpty else { return }
        for path in rowKey where !declares(path) { reportUndeclared(path, "row_key", mapping) }
        if let eventTime {
            switch columns[eventTime] {
            case nil: reportUndeclared(eventTime, "event_time", mapping)
            case .timestamp, .date: break
            default:
                mapping.report(
                    TableCode.eventTime, "'event_time' must be a column of type timestamp or date", at: "event_time")
            }
        }
        if operationColumn != nil, ![.detect, .plain, .cloudevents].contains(format) {
            mapping.report(
                TableCode.unusedSetting, "'operation_column' is read in rows of format plain only",
                at: "operation_column", help: "remove it, or set 'format: plain'")
        }
    }

    private func reportUndeclared(_ path: String, _ key: String, _ mapping: MappingReader) {
        let nearest = Spelling.nearest(to: path, among: columns.keys)
        mapping.report(
            TableCode.undeclaredColumn, "'\(path)' is not among the declared columns", at: key,
            help: nearest.map { "did you mean '\($0)'?" } ?? "declare it under 'columns'")
    }
}
