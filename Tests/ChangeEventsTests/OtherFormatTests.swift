import ChangeEvents
import Core
import Foundation
import Testing

struct OtherFormatTests {
    static let catalog = SampleData.catalog([SampleData.customer, SampleData.inventory])

    // Goal: upserts with tombstones end in the same rows as the change feed they were made from.
    @Test func `upserts and tombstones give the changes of the rows`() throws {
        let plain = CrossFormatTests.judged(
            try SampleData.lines("formats/upsert_tombstone.ndjson").map(\.message), batchCount: 5)
        let feed = CrossFormatTests.judged(try CrossFormatTests.feed("gld_dim_customer", versions: 0...6))
        #expect(plain.rejected == [])
        func strip(_ seen: [Seen]) -> [String: [Seen]] {
            CrossFormatTests.byKey(
                seen.map { event in
                    var event = event
                    event.before = nil
                    return event
                })
        }
        let expected = strip(CrossFormatTests.normalised(feed.seen))
        let actual = strip(CrossFormatTests.normalised(plain.seen))
        for (key, events) in expected { #expect(actual[key] == events, "\(key)") }
    }

    @Test func `DeltaFlow's two rows of an update are one event`() throws {
        let messages = try SampleData.lines("formats/deltaflow.ndjson").map(\.message)
        let result = CrossFormatTests.judged(messages)
        #expect(result.rejected == [])
        let updates = result.seen.filter { $0.kind == .update }
        #expect(!updates.isEmpty)
        #expect(updates.allSatisfy { $0.before != nil && $0.after != nil })
    }

    @Test func `SQL change event streaming is refused by name`() throws {
        let messages = try SampleData.lines("formats/sql_ces.ndjson").map(\.message)
        let result = CrossFormatTests.judged(messages)
        #expect(result.seen.isEmpty)
        #expect(result.rejected.count == messages.count)
        #expect(result.rejected.allSatisfy { $0.reason.contains("SQL Change Event Streaming") })
    }

    // Goal: what a registry framed is refused by name with its id, and JSON behind a frame is read.
    @Test func `registry framing is recognised in every fixture`() throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: SampleData.folder + "/wire/wire_fixtures.json"))
        let fixtures = try #require(JSON.parse(data).elements)
        #expect(fixtures.count == 15)
        for fixture in fixtures {
            let name = fixture["name"]?.stringValue ?? ""
            guard let hex = fixture["value_hex"]?.stringValue else { continue }  // a tombstone has no framing
            let value = try #require(Hex.decode(hex), "\(name)")
            let headers = (fixture["headers_hex"]?.members ?? []).map {
                (name: $0.name, value: Hex.decode($0.value.stringValue ?? ""))
            }
            var decoder = ChangeDecoder(catalog: Self.catalog)
            let batch = ChangeBatch()
            decoder.decode(
                RawBatch.copying([
                    RawBatch.Copied(
                        partition: TopicPartition(topic: "fabric.gold.gld_fact_inventory", partition: 0), offset: 3,
                        timestamp: 0, key: Array("CN02|M-1".utf8), value: value, headers: headers)
                ]), into: batch)
            if let rejected = batch.rejected.first {
                #expect(rejected.reason.contains("schema id"), "\(name): \(rejected.reason)")
                #expect(!name.hasPrefix("json"), "\(name): \(rejected.reason)")
            } else {
                #expect(name.contains("json"), "\(name) was read as JSON")
            }
        }
    }

    private func decode(_ messages: [RawBatch.Copied], _ catalog: TableCatalog = catalog) -> ChangeBatch {
        var decoder = ChangeDecoder(catalog: catalog)
        let batch = ChangeBatch()
        decoder.decode(RawBatch.copying(messages), into: batch)
        return batch
    }

    private func message(_ topic: String, key: String?, _ value: String?, offset: Int64 = 0) -> RawBatch.Copied {
        RawBatch.Copied(
            partition: TopicPartition(topic: topic, partition: 0), offset: offset, timestamp: 1000,
            key: key.map { Array($0.utf8) }, value: value.map { Array($0.utf8) })
    }

    @Test(arguments: [
        (#"{"plant":"A","material":"M"}"#, "A|M"), (#"{"payload":{"plant":"A","material":"M"}}"#, "A|M"),
        ("A|M", "A|M"), (#"{"material":"x|y\\z","plant":"A"}"#, #"A|x\|y\\z"#),
    ])
    func `the row key of a tombstone comes from the message key`(key: String, expected: String) throws {
        var table = SampleData.inventory
        table.format = .plain
        let batch = decode([message("gld_fact_inventory", key: key, nil)], SampleData.catalog([table]))
        #expect(batch.rejected == [])
        let event = try #require(batch.events.first)
        #expect(event.kind == .delete)
        #expect(batch.rowKey(of: event) == expected)
        let seen = Seen(event, batch, SampleData.catalog([table]))
        #expect(seen.before?["plant"] == "A" && seen.before?["on_hand"] == "unknown" && seen.after == nil)
    }

    @Test func `a message that names no row is rejected with the reason`() {
        var table = SampleData.inventory
        table.format = .plain
        let catalog = SampleData.catalog([table])
        let cases: [(key: String?, value: String?, reason: String)] = [
            (nil, nil, "the message has no key"), ("A", nil, "the message key does not hold it"),
            (nil, #"{"plant":"A"}"#, "the message has no key"), ("{", #"{"plant":"A"}"#, "does not hold it"),
            (#"{"plant":null,"material":"M"}"#, nil, "null in the message key"),
        ]
        for (key, value, reason) in cases {
            let batch = decode([message("gld_fact_inventory", key: key, value)], catalog)
            #expect(batch.events.isEmpty)
            #expect(batch.rejected.first?.reason.contains(reason) == true, "\(batch.rejected)")
        }
        #expect(
            decode([message("nothing", key: nil, #"{"a":1}"#)], catalog).rejected.map(\.reason)
                == ["no table is declared for this topic"])
    }

    @Test func `an operation column says what happened and a position column in which order`() {
        var table = TableDeclaration(name: "t", rowKey: ["id"], columns: ["id": .int, "x": .int])
        table.operationColumn = "what"
        table.positionColumn = "seq"
        let words = [("created", ChangeEvent.Kind.insert), ("U", .update), ("DELETED", .delete), ("upsert", .upsert)]
        let catalog = SampleData.catalog([table])
        let batch = decode(
            words.enumerated().map {
                message("t", key: nil, #"{"id":1,"x":2,"what":"\#($0.element.0)","seq":\#($0.offset + 100)}"#)
            }, catalog)
        #expect(batch.events.map(\.kind) == words.map(\.1))
        #expect(batch.events.map(\.version) == [100, 101, 102, 103])
        let odd = decode([message("t", key: nil, #"{"id":1,"what":"odd"}"#)], catalog)
        #expect(odd.rejected.first?.reason.contains("no known operation") == true)
    }

    @Test func `a topic of several tables asks each message for its own`() {
        var one = TableDeclaration(name: "one", rowKey: ["id"], columns: ["id": .int])
        var two = TableDeclaration(name: "two", rowKey: ["id"], columns: ["id": .int])
        one.topics = ["all"]
        two.topics = ["all"]
        let batch = decode(
            ["two", "one", "three"].map {
                message("all", key: nil, #"{"op":"c","after":{"id":1},"source":{"table":"\#($0)","lsn":1}}"#)
            }, SampleData.catalog([one, two]))
        #expect(batch.events.map(\.table) == [1, 0])
        #expect(batch.rejected.map(\.reason) == ["the message names a table that is not declared for this topic"])
    }
}
