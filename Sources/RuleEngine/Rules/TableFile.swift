internal import ChangeEvents
internal import ConfigFiles
internal import Core

/// The table declarations of `tables.yaml`, by name.
struct TableFile {
    var declarations: [TableDeclaration]

    init(_ mapping: MappingReader) {
        declarations = mapping.namedMappings("tables", "The tables, by name.", TableFile.declaration)
    }

    private static func declaration(_ name: ConfigText?, _ mapping: MappingReader) -> TableDeclaration {
        let rowKey = mapping.texts("row_key", "The columns that identify a row; default: the message key as a whole.")
        var table = TableDeclaration(
            name: name?.value ?? "", rowKey: rowKey.map(\.value), columns: columns(mapping))
        let eventTime = mapping.text("event_time", "The column that orders rows of one key; default: the commit time.")
        table.eventTime = eventTime?.value
        table.epoch = Int32(
            mapping.int("epoch", "Raised when the table is recreated.", in: 0...Int(Int32.max), default: 0))
        table.preimages = mapping.choice(
            "preimages", "Whether the source sends the row as it was before an update.", default: table.preimages)
        table.maxDelay = mapping.duration("max_delay", "How late rows may arrive.", default: table.maxDelay)
        table.late = mapping.choice(
            "late", "What happens to a row older than the newest version of its row key.", default: table.late)
        table.rowKeysMax = mapping.int(
            "row_keys_max", "Most row keys that are remembered.", in: 1...100_000_000, default: table.rowKeysMax)
        table.rowStateTTL = mapping.duration(
            "row_state_ttl", "How long a row key is remembered after its last change.", default: table.rowStateTTL)
        table.deleteHold = mapping.duration(
            "delete_hold", "How long a delete must stand before it resolves an alert.", default: table.deleteHold)
        table.topics = mapping.strings(
            "topics", "The topics the table comes on; default: those whose last dotted part is its name.")
        table.format = mapping.choice("format", "What the messages are.", default: table.format)
        table.operationColumn = mapping.string("operation_column", "The column that says what happened (plain rows).")
        table.positionColumn = mapping.string("position_column", "The column that orders changes of a row.")
        check(table, eventTime.map { rowKey + [$0] } ?? rowKey, mapping)
        return table
    }

    private static func columns(_ mapping: MappingReader) -> [String: ColumnType] {
        var columns: [String: ColumnType] = [:]
        let entries = mapping.textMap("columns", "The columns and their types; fields of a struct by their path.")
        for (name, text) in entries {
            guard let type = ColumnType(name: text.value) else {
                let nearest = Spelling.nearest(to: text.value, among: ColumnType.names)
                mapping.reader.report(
                    RuleCode.badColumnType, "a column's type must be one of \(ColumnType.names.joined(separator: ", ")); found '\(text.value)'",
                    at: text.node, help: nearest.map { "did you mean '\($0)'?" })
                continue
            }
            columns[name.value] = type
        }
        return columns
    }

    private static func check(_ table: TableDeclaration, _ named: [ConfigText], _ mapping: MappingReader) {
        guard !table.columns.isEmpty else { return }
        for column in named where !table.declares(column.value) {
            let nearest = Spelling.nearest(to: column.value, among: table.columns.keys)
            mapping.reader.report(
                RuleCode.unknownKeyColumn, "'\(table.name)' declares no column '\(column.value)'", at: column.node,
                help: nearest.map { "did you mean '\($0)'?" } ?? "add it to 'columns'")
        }
    }
}
