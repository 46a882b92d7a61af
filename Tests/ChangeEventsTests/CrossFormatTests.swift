import ChangeEvents
import Core
import Foundation
import Testing

struct CrossFormatTests {
    static let catalog = SampleData.catalog([SampleData.customer, SampleData.inventory])

    /// Decodes and admits messages in batches; the events to be judged, in order.
    static func judged(
        _ messages: [RawBatch.Copied], catalog: TableCatalog = catalog, batchCount: Int = 1
    ) -> (seen: [Seen], rejected: [RejectedMessage], memory: RowMemory) {
        var decoder = ChangeDecoder(catalog: catalog)
        var memory = RowMemory(catalog: catalog)
        let batch = ChangeBatch()
        var seen: [Seen] = []
        var rejected: [RejectedMessage] = []
        let size = max(1, (messages.count + batchCount - 1) / batchCount)
        for start in stride(from: 0, to: messages.count, by: size) {
            batch.reset()
            decoder.decode(
                RawBatch.copying(Array(messages[start..<min(start + size, messages.count)])), into: batch)
            memory.admit(batch)
            seen += batch.events.filter(\.isJudged).map { Seen($0, batch, catalog) }
            rejected += batch.rejected
        }
        // The deletes wait for the insert of a rewrite, and images for their other half, for 2 s from the first tick.
        batch.reset()
        for time in [Int64(0), 2000] {
            let clocks = catalog.tables.map { _ in Timestamp(milliseconds: time) }
            _ = memory.expireWaits(upTo: clocks, into: batch)
        }
        seen += batch.events.map { Seen($0, batch, catalog) }
        return (seen, rejected, memory)
    }

    /// The changes of a table up to a version, from the change feed.
    static func feed(_ table: String, versions: ClosedRange<Int64>) throws -> [RawBatch.Copied] {
        try SampleData.lines("cdf/\(table).ndjson").map(\.message).filter {
            versions.contains(try JSON.parse($0.value ?? [])["_commit_version"]?.intValue ?? -1)
        }
    }

    /// Missing and null are one and the same in a source that leaves nulls out.
    static func normalised(_ seen: [Seen]) -> [Seen] {
        seen.map { event in
            var event = event
            event.before = event.before?.mapValues { $0 == "missing" ? "null" : $0 }
            event.after = event.after?.mapValues { $0 == "missing" ? "null" : $0 }
            return event
        }
    }

    /// Per key the changes in order: formats interleave keys differently.
    static func byKey(_ seen: [Seen]) -> [String: [Seen]] { Dictionary(grouping: seen) { $0.table + "/" + $0.key } }

    // Goal: the 369 changes are equal in table, key, kind, before and after, whatever format they come in. The corpus
    // has 154 customer and 215 inventory changes; MERGE no-ops among them show as no-ops in every format.
    @Test func `the same changes in three formats give equal events`() throws {
        let feed = try Self.feed("gld_dim_customer", versions: 0...6) + Self.feed("gld_fact_inventory", versions: 0...2)
        let fromFeed = Self.judged(feed)
        let fromDebezium = Self.judged(try SampleData.lines("formats/debezium_real_corpus.ndjson").map(\.message))
        let fromCloud = Self.judged(
            try
                (SampleData.lines("formats/cloudevents_structured.ndjson")
                + SampleData.lines("formats/cloudevents_binary.ndjson")).map(\.message))
        for (name, result) in [("feed", fromFeed), ("debezium", fromDebezium), ("cloudevents", fromCloud)] {
            #expect(result.rejected == [], "\(name)")
            #expect(result.seen.count + result.memory.counters.noOps == 369, "\(name)")
            #expect(result.memory.counters.late == 0 && result.memory.counters.duplicates == 0, "\(name)")
        }
        let expected = Self.byKey(Self.normalised(fromFeed.seen))
        for (name, result) in [("debezium", fromDebezium), ("cloudevents", fromCloud)] {
            let other = Self.byKey(Self.normalised(result.seen))
            #expect(other.keys.sorted() == expected.keys.sorted(), "\(name)")
            for (key, events) in expected {
                #expect(other[key] == events, "\(name) \(key)")
            }
        }
    }

    // Goal: a reader that gives versions in any order gives the same events as one that sorts. The 250 lines name
    // messages of the change feed by key, version and kind.
    @Test func `rows in the order delta-rs gave them are judged as if they came in order`() throws {
        let feed = try SampleData.lines("cdf/gld_fact_inventory.ndjson").map(\.message)
        let text = try String(contentsOfFile: SampleData.folder + "/formats/asread_order.ndjson", encoding: .utf8)
        func name(_ key: String?, _ version: Int64?, _ type: String?) -> String {
            "\(key ?? "") \(version ?? -1) \(type ?? "")"
        }
        var byName: [String: [RawBatch.Copied]] = [:]
        for message in feed {
            let value = try JSON.parse(message.value ?? [])
            let key = String(decoding: message.key ?? [], as: UTF8.self)
            byName[
                name(key, value["_commit_version"]?.intValue, value["_change_type"]?.stringValue), default: []
            ].append(message)
        }
        var ordered: [RawBatch.Copied] = []
        var asRead: [RawBatch.Copied] = []
        for (index, line) in text.split(separator: "\n").enumerated() {
            let object = try JSON.parse(String(line))
            let key = name(
                object["key"]?.stringValue, object["_commit_version"]?.intValue, object["_change_type"]?.stringValue)
            var message = try #require(byName[key]?.first, "\(key)")
            byName[key]?.removeFirst()
            message.offset = Int64(index)
            asRead.append(message)
        }
        let rank = ["update_preimage": 0, "delete": 1, "insert": 2, "update_postimage": 3]
        ordered = try asRead.map { message -> (Int64, Int, RawBatch.Copied) in
            let value = try JSON.parse(message.value ?? [])
            return (
                value["_commit_version"]?.intValue ?? 0, rank[value["_change_type"]?.stringValue ?? ""] ?? 9, message
            )
        }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
        let expected = Self.judged(ordered)
        let result = Self.judged(asRead)
        #expect(asRead.count == 250)
        #expect(result.memory.counters.batchesSorted == 1)
        #expect(result.memory.counters.late == 0)
        #expect(Self.byKey(result.seen) == Self.byKey(expected.seen))
    }
}
