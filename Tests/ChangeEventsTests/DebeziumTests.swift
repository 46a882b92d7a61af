import ChangeEvents
import Core
import Testing

/// Captures of Debezium 3.6.3 with PostgreSQL 16: every op, with and without schema, flattened.
struct DebeziumTests {
    static func zoo(_ columns: [String: ColumnType], format: EventFormat = .detect) -> TableCatalog {
        var zoo = TableDeclaration(name: "type_zoo", rowKey: ["id"], columns: columns)
        zoo.format = format
        var keyonly = TableDeclaration(name: "keyonly", rowKey: ["a", "b"], columns: [:])
        keyonly.format = format
        var first = ColumnLayout(declaration: zoo)
        for path in columns.keys.sorted() + ["js.z", "undeclared"] { _ = first.slot(for: path) }
        var second = ColumnLayout(declaration: keyonly)
        for path in ["v", "big", "note"] { _ = second.slot(for: path) }
        return TableCatalog(tables: [
            .init(declaration: zoo, layout: first, readsBefore: true),
            .init(declaration: keyonly, layout: second, readsBefore: true),
        ])
    }

    static let declared: [String: ColumnType] = [
        "id": .int, "n184": .decimal(.base64(scale: 4)), "n_free": .decimal(.plain),
        "n_int": .decimal(.base64(scale: 0)), "f8": .double, "b": .bool, "i8": .int, "s": .string, "d": .date,
        "ts3": .timestamp(.milliseconds), "ts6": .timestamp(.microseconds), "tstz": .timestamp(.detect),
        "bin": .bytes, "js": .object, "arr": .list,
    ]

    static func decode(_ file: String, _ catalog: TableCatalog) throws -> (seen: [Seen], batch: ChangeBatch) {
        let topics = ["pgprod.gold.type_zoo", "pgprod.gold.keyonly"]
        let lines = try SampleData.lines("formats/\(file).ndjson").map(\.message)
        let messages = lines.filter { topics.contains($0.partition.topic) }
        var decoder = ChangeDecoder(catalog: catalog)
        let batch = ChangeBatch()
        decoder.decode(RawBatch.copying(messages), into: batch)
        #expect(batch.rejected == [])
        return (batch.events.map { Seen($0, batch, catalog) }, batch)
    }

    private func row(_ seen: [Seen], _ key: String, _ kind: ChangeEvent.Kind) throws -> Seen {
        try #require(seen.first { $0.key == key && $0.kind == kind })
    }

    private static let firstRow: [String: String] = [
        "n184": "#12.34", "n_free": "#12.34", "n_int": "#100", "f8": "#0.1", "b": "true",
        "i8": "#9007199254740993", "s": "Zoë \"q\"", "d": "@1709164800000", "ts3": "@1709210096789",
        "ts6": "@1709210096789", "tstz": "@1709206496789", "bin": "AP8Qqw==", "js.z": "#1.5", "undeclared": "missing",
    ]

    @Test func `declared encodings are decoded without a schema`() throws {
        let (seen, _) = try Self.decode("debezium_real_types", Self.zoo(Self.declared))
        let first = try row(seen, "1", .snapshot)
        for (column, value) in Self.firstRow { #expect(first.after?[column] == value, "\(column)") }
        #expect(first.before == nil)
        #expect(try row(seen, "3", .insert).after?["n184"] == "#99999999999999.9999")
        #expect(try row(seen, "2", .insert).after?["n184"] == "#-0.0001")
        #expect(try row(seen, "4", .insert).after?["n184"] == "#-128")
        #expect(try row(seen, "5", .insert).after?["n184"] == "#0")
        #expect(try row(seen, "2", .insert).after?["f8"] == "#NaN")
        #expect(try row(seen, "2", .insert).after?["n_int"] == "null")
    }

    @Test func `a schema tells the encodings of columns that nobody declared`() throws {
        let columns = ["id": ColumnType.int]
        var table = TableDeclaration(name: "type_zoo", rowKey: ["id"], columns: columns)
        table.format = .debezium
        var layout = ColumnLayout(declaration: table)
        for path in Self.declared.keys.sorted() + ["js.z", "undeclared"] { _ = layout.slot(for: path) }
        var catalog = Self.zoo(columns)
        catalog.tables[0] = .init(declaration: table, layout: layout, readsBefore: true)
        let (seen, _) = try Self.decode("debezium_real_types_withschema", catalog)
        let first = try row(seen, "1", .snapshot)
        for (column, value) in Self.firstRow where column != "n_free" {
            #expect(first.after?[column] == value, "\(column)")
        }
        #expect(first.after?["n_free"] == "#12.34")
    }

    @Test func `texts of decimal and time modes are read as what they are`() throws {
        var columns = Self.declared
        columns["n184"] = .decimal(.text)
        columns["n_int"] = .decimal(.text)
        let (seen, _) = try Self.decode("debezium_real_types_string_isostring", Self.zoo(columns))
        let first = try row(seen, "1", .snapshot)
        for column in ["n184", "n_free", "n_int", "d", "ts3", "ts6", "tstz"] {
            #expect(first.after?[column] == Self.firstRow[column], "\(column)")
        }
    }

    @Test func `base64 of a decimal is never a number by accident`() throws {
        var columns = Self.declared
        columns["n184"] = .decimal(.plain)
        let (seen, batch) = try Self.decode("debezium_real_types", Self.zoo(columns))
        #expect(try row(seen, "1", .snapshot).after?["n184"] == "AeII")
        let layout = Self.zoo(columns).tables[0].layout
        let slot = try #require(layout.existingSlot(for: "n184"))
        for event in batch.events where event.table == 0 && event.afterSlot >= 0 {
            let kind = batch.slots[Int(event.afterSlot) + slot].kind
            #expect(kind == .string || kind == .null)
        }
        // Four digits are base64 too.
        let message = RawBatch.Copied(
            partition: TopicPartition(topic: "type_zoo", partition: 0), offset: 0, timestamp: 0, key: nil,
            value: Array(#"{"before":null,"after":{"id":1,"n184":"1234"},"op":"c","source":{"lsn":1}}"#.utf8))
        let catalog = Self.zoo(columns)
        var decoder = ChangeDecoder(catalog: catalog)
        let small = ChangeBatch()
        decoder.decode(RawBatch.copying([message]), into: small)
        #expect(small.slots[Int(small.events[0].afterSlot) + slot].kind == .string)
    }

    @Test func `what the source did not log is unknown`() throws {
        let (seen, _) = try Self.decode("debezium_real_types", Self.zoo(Self.declared))
        let updates = seen.filter { $0.table == "keyonly" && $0.kind == .update }
        #expect(!updates.isEmpty)
        for update in updates {
            #expect(update.before == nil, "replica identity default sends no before")
            #expect(update.after?["big"] == "unknown", "the TOAST placeholder")
        }
        let deletes = seen.filter { $0.table == "keyonly" && $0.kind == .delete }
        #expect(!deletes.isEmpty)
        for delete in deletes {
            #expect(delete.after == nil)
            #expect(delete.before?["v"] == "unknown" && delete.before?["big"] == "unknown")
            #expect(delete.before?["a"]?.hasPrefix("#") == true && delete.before?["b"]?.hasPrefix("k") == true)
        }
    }

    @Test func `a changed key is a delete at the old one and an insert at the new`() throws {
        let (seen, batch) = try Self.decode("debezium_real_types", Self.zoo(Self.declared))
        let keyonly = seen.filter { $0.table == "keyonly" }
        let gone = try #require(keyonly.firstIndex { $0.key == "2|k2" && $0.kind == .delete })
        let come = try #require(keyonly.firstIndex { $0.key == "7|k2" && $0.kind == .insert })
        #expect(gone < come)
        #expect(batch.skipped.tombstones > 0)
        #expect(batch.skipped.truncates == 1)
    }

    @Test func `flattened rows know delete from tombstone`() throws {
        let (seen, _) = try Self.decode("debezium_real_types_unwrap", Self.zoo(Self.declared))
        #expect(try row(seen, "1", .update).after?["n184"]?.hasPrefix("#") == true)
        let delete = try row(seen, "2", .delete)
        #expect(delete.before?["s"] == "NaN row")
        #expect(delete.after == nil)
        #expect(try row(seen, "7|k2", .delete).before?["v"] == "unknown")
        #expect(seen.filter { $0.kind == .snapshot }.count == 2)
    }

    @Test func `an update whose before has another key becomes two events`() {
        let message = RawBatch.Copied(
            partition: TopicPartition(topic: "type_zoo", partition: 0), offset: 0, timestamp: 0, key: nil,
            value: Array(#"{"before":{"id":1,"s":"a"},"after":{"id":2,"s":"a"},"op":"u","source":{"lsn":5}}"#.utf8))
        let catalog = Self.zoo(Self.declared)
        var decoder = ChangeDecoder(catalog: catalog)
        let batch = ChangeBatch()
        decoder.decode(RawBatch.copying([message]), into: batch)
        #expect(batch.events.map(\.kind) == [.delete, .insert])
        #expect(batch.events.map { batch.rowKey(of: $0) } == ["1", "2"])
        #expect(batch.events.map(\.version) == [5, 5])
    }
}
