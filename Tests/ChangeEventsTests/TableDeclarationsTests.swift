import ChangeEvents
import ConfigFiles
import Core
import Testing

struct TableDeclarationsTests {
    @Test func `a full declaration is read`() throws {
        let file = ConfigFile(
            text: """
                tables:
                  gld_fact_inventory:
                    row_key: [plant, material]
                    event_time: snapshot_at
                    epoch: 2
                    columns:
                      plant: string
                      material: string
                      on_hand: decimal(3)
                      snapshot_at: timestamp(us)
                      spec: object
                      spec.target: double
                    preimages: none
                    max_delay: 90s
                    late: accept
                    row_keys_max: 500
                    row_state_ttl: 2d
                    delete_hold: 5m
                    topics: lake.inventory
                    format: debezium
                  other:
                    row_key: id
                """, file: "rules/tables.yaml")
        let (declarations, diagnostics) = TableDeclarations.load(file)
        #expect(diagnostics == [])
        let table = try #require(declarations?["gld_fact_inventory"])
        #expect(table.rowKey == ["plant", "material"])
        #expect(table.eventTime == "snapshot_at")
        #expect(table.epoch == 2)
        #expect(table.columns["on_hand"] == .decimal(.base64(scale: 3)))
        #expect(table.columns["snapshot_at"] == .timestamp(.microseconds))
        #expect(table.columns["spec.target"] == .double)
        #expect(table.preimages == .none)
        #expect(table.maxDelay == .seconds(90))
        #expect(table.lateAccept)
        #expect(table.rowKeysMax == 500)
        #expect(table.rowStateTTL == .seconds(2 * 86_400))
        #expect(table.deleteHold == .seconds(300))
        #expect(table.topics == ["lake.inventory"])
        #expect(table.format == .debezium)
        let other = try #require(declarations?["other"])
        #expect(other.rowKeysMax == 1_000_000 && other.maxDelay == .seconds(60) && other.format == .detect)
        #expect(declarations?.positions["other"]?.line == 21)
    }

    // Method: each text has one mistake; the message and its place are what an author needs.
    @Test(arguments: [
        ("columns: {x: strng}", "D001", "'strng' is no column type", "did you mean 'string'?"),
        ("row_key: idd\n    columns: {id: string}", "D002", "'idd' is not among", "did you mean 'id'?"),
        ("event_time: t\n    columns: {t: string}", "D003", "must be a column of type timestamp", nil),
        ("rowkey: id", "Y010", "rowkey", "did you mean 'row_key'?"),
        ("epoch: -1", "Y013", "epoch", nil),
        ("format: cdc", "Y013", "format", "did you mean 'cdf'?"),
        ("format: cdf\n    operation_column: op\n    columns: {op: string}", "D004", "operation_column", nil),
        ("max_delay: 60", "Y012", "max_delay", nil),
    ])
    func `a mistake is named with its place`(body: String, code: String, message: String, help: String?) throws {
        let file = ConfigFile(text: "tables:\n  t:\n    \(body)\n", file: "tables.yaml")
        let (declarations, diagnostics) = TableDeclarations.load(file)
        #expect(declarations == nil)
        let diagnostic = try #require(diagnostics.first)
        #expect(diagnostic.code == code, "\(diagnostic)")
        #expect(diagnostic.message.contains(message), "\(diagnostic)")
        #expect(diagnostic.position.line >= 3)
        if let help { #expect(diagnostic.help?.contains(help) == true, "\(diagnostic)") }
    }

    @Test func `a topic belongs to the table that declares it, else to the one it is named for`() {
        var declared = TableDeclaration(name: "b", rowKey: ["id"], columns: [:])
        declared.topics = ["lake.a"]
        let named = TableDeclaration(name: "a", rowKey: ["id"], columns: [:])
        let catalog = TableCatalog(tables: [.init(declaration: named), .init(declaration: declared)])
        #expect(catalog.tables(carriedBy: "lake.a") == [1])
        #expect(catalog.tables(carriedBy: "gold.a") == [0])
        #expect(catalog.tables(carriedBy: "a") == [0])
        #expect(catalog.tables(carriedBy: "xa") == [])
        #expect(catalog.tables(carriedBy: "lake.b") == [])
    }

    @Test func `the schema names every key`() {
        let text = TableDeclarations.schema.text
        for key in ["row_key", "event_time", "preimages", "row_state_ttl", "delete_hold", "operation_column"] {
            #expect(text.contains("\"\(key)\""), "\(key)")
        }
    }
}
