import ChangeEvents
import Core
import Testing

/// Each of the 47 edge cases by name, with what must become of it.
struct EdgeCaseTests {
    enum Expected {
        /// Events, with the values of some columns as ``Seen`` writes them.
        case events(Int, [String: String] = [:], version: Int64? = nil)
        case rejected(String)
        case skipped(WritableKeyPath<SkippedMessages, Int>)
    }

    nonisolated(unsafe) static let expected: [String: Expected] = [
        "post before pre (same commit)": .events(1, ["on_hand": "#546.167"], version: 1),
        "pre after post (same commit)": .events(1, ["on_hand": "#710.182"], version: 1),
        "redelivery: same pair again (foreachBatch retry) 1/2": .events(1),
        "redelivery: same pair again (foreachBatch retry) 2/2": .events(1),
        "older commit after newer one (replay from earlier version)": .events(1, version: 0),
        "post image without pre image (publisher filters preimages)": .events(1, ["on_hand": "#546.167"]),
        "insert for a key that exists (snapshot restart)": .events(1),
        "delete of an unknown key": .events(1, ["inspection_id": "INS-99999999"]),
        "tombstone after delete": .skipped(\.tombstones),
        "tombstone with null key": .skipped(\.tombstones),
        "no key, row carries it": .events(1, ["inspection_id": "INS-00000001"]),
        "key disagrees with row": .events(1, ["inspection_id": "INS-00000001"]),
        "upsert row without _change_type": .rejected("format 'plain' on a topic of format 'cdf'"),
        "unknown _change_type": .rejected("unknown _change_type"),
        "uppercase _CHANGE_TYPE column names": .events(1, version: 0),
        "_commit_version as string": .events(1, version: 0),
        "_commit_timestamp with offset": .events(1),
        "_commit_timestamp without zone": .events(1),
        "_commit_timestamp in the future (year 2262)": .events(1),
        "NaN as string": .events(1, ["measured_mm": "NaN"]),
        "bare NaN (not JSON)": .rejected("bare NaN"),
        "decimal in scientific notation 0E-8": .events(1, ["unit_cost_eur": "#0"]),
        "decimal as string": .events(1, ["on_hand": "#546.167"]),
        "38-digit decimal": .events(1),
        "integer above 2^53": .events(1, ["defects": "#9007199254740993"]),
        "explicit nulls (ignoreNullFields=false)": .events(1, ["inspector": "null"]),
        "duplicate JSON member": .events(1, ["status": "FAIL"]),
        "unknown new column": .events(1, ["status": "PASS"]),
        "column changed type (int -> string)": .events(1, ["sample_size": "#200"]),
        "lone surrogate escape": .rejected("lone surrogate"),
        "astral + combining + RTL + NUL escape": .events(1, ["batch_id": "😀e\u{301}\u{202E}abc\u{0}"]),
        "UTF-8 BOM before JSON": .events(1, ["status": "PASS"]),
        "invalid UTF-8": .rejected("invalid UTF-8"),
        "truncated JSON": .rejected("truncated JSON"),
        "empty value (0 bytes, not a tombstone)": .rejected("empty value"),
        "JSON scalar": .rejected("no object"),
        "JSON array of rows": .events(2),
        "two JSON lines in one message (Eventstream batching)": .events(2),
        "gzip-compressed value": .rejected("gzip"),
        "Confluent magic byte + JSON": .events(1, ["status": "PASS"]),
        "deeply nested (200 levels)": .rejected("deeper than 64"),
        "1.2 MB string column": .events(1, ["inspection_id": "X"]),
        "AMQP-encoded header (Event Hubs AMQP producer)": .events(1, ["status": "PASS"]),
        "invalid traceparent": .events(1, ["status": "PASS"]),
        "Debezium heartbeat": .skipped(\.heartbeats),
        "Debezium transaction END": .skipped(\.transactions),
        "Debezium truncate": .skipped(\.truncates),
    ]

    static let catalog = SampleData.catalog([SampleData.quality, SampleData.inventory])

    // Goal: every case gives exactly what the table above says. The topic's format is known from a row before it, as it
    // is in life; each case has a decoder of its own.
    @Test func `every edge case gives what its name promises`() throws {
        let lines = try SampleData.lines("formats/edge_cases.ndjson")
        let known = try [
            #require(SampleData.lines("cdf/gld_fact_quality.ndjson").first),
            #require(SampleData.lines("cdf/gld_fact_inventory.ndjson").first),
        ].map(\.message)
        #expect(lines.count == 47)
        #expect(Set(lines.map(\.name)) == Set(Self.expected.keys))
        for line in lines {
            var decoder = ChangeDecoder(catalog: Self.catalog)
            let batch = ChangeBatch()
            decoder.decode(RawBatch.copying(known), into: batch)
            batch.reset()
            decoder.decode(RawBatch.copying([line.message]), into: batch)
            try check(line.name, batch)
        }
    }

    private func check(_ name: String, _ batch: ChangeBatch) throws {
        switch try #require(Self.expected[name]) {
        case .events(let count, let columns, let version):
            #expect(batch.rejected == [], "\(name)")
            #expect(batch.events.count == count, "\(name)")
            guard let event = batch.events.first else { return }
            let seen = Seen(event, batch, Self.catalog)
            for (column, value) in columns {
                #expect((seen.after ?? seen.before)?[column]?.hasSuffix(value) == true, "\(name): \(column)")
            }
            if let version { #expect(event.version == version, "\(name)") }
        case .rejected(let reason):
            #expect(batch.events.isEmpty, "\(name)")
            #expect(batch.rejected.count == 1, "\(name)")
            #expect(batch.rejected.first?.reason.contains(reason) == true, "\(name): \(batch.rejected)")
        case .skipped(let counter):
            #expect(batch.events.isEmpty && batch.rejected.isEmpty, "\(name): \(batch.rejected)")
            #expect(batch.skipped[keyPath: counter] == 1, "\(name)")
            #expect(batch.skipped.total == 1, "\(name)")
        }
    }

    private func decode(_ name: String, _ catalog: TableCatalog = catalog) throws -> ChangeBatch {
        let line = try #require(SampleData.lines("formats/edge_cases.ndjson").first { $0.name == name })
        var decoder = ChangeDecoder(catalog: catalog)
        let batch = ChangeBatch()
        decoder.decode(RawBatch.copying([line.message]), into: batch)
        return batch
    }

    // Goal: a wrong clock at the publisher cannot drag the table clock along.
    @Test func `a commit time in the year 2262 is judged with the Kafka time in its place`() throws {
        let batch = try decode("_commit_timestamp in the future (year 2262)")
        let event = try #require(batch.events.first)
        #expect(event.commitTime == Timestamp(milliseconds: 1_768_196_223_483))
        #expect(event.flags.contains(.timeAhead))
        #expect(batch.timeAheadCount == 1)
    }

    @Test func `zone-less commit times are UTC and offsets count`() throws {
        let base = Timestamp.parse("2026-01-12T05:37:03.483Z")
        #expect(try decode("_commit_timestamp without zone").events.first?.commitTime == base)
        #expect(
            try decode("_commit_timestamp with offset").events.first?.commitTime
                == base?.adding(milliseconds: -3_600_000))
    }

    @Test func `decimals keep every digit they came with`() throws {
        let wide = try decode("38-digit decimal")
        let event = try #require(wide.events.first)
        let slot = try #require(Self.catalog.tables[1].layout.existingSlot(for: "on_hand"))
        let value = wide.slots[Int(event.afterSlot) + slot]
        #expect(value.kind == .decimal)
        let text = try #require(value.display(in: wide.arena))
        #expect(text.filter(\.isNumber).count == 38, "\(text)")
        let tiny = try decode("decimal in scientific notation 0E-8")
        let cost = try #require(Self.catalog.tables[1].layout.existingSlot(for: "unit_cost_eur"))
        #expect(tiny.slots[Int(tiny.events[0].afterSlot) + cost].display(in: tiny.arena) == "0E-8")
    }

    @Test func `NaN as text in a numeric column is a NaN double`() throws {
        let batch = try decode("NaN as string")
        let slot = try #require(Self.catalog.tables[0].layout.existingSlot(for: "measured_mm"))
        let value = batch.slots[Int(batch.events[0].afterSlot) + slot]
        #expect(value.kind == .double && value.doubleValue.isNaN)
    }

    @Test func `a row without operation is an upsert where its topic has no other format`() throws {
        let batch = try decode("upsert row without _change_type")
        #expect(batch.events.map(\.kind) == [.upsert])
        #expect(batch.rejected == [])
    }

    @Test func `a tombstone before anything else says what to declare`() throws {
        let batch = try decode("tombstone after delete")
        #expect(
            batch.rejected.map(\.reason) == ["a tombstone before the topic's format is known; declare its 'format'"])
    }

    @Test func `objects of one message keep their ordinals`() throws {
        for name in ["JSON array of rows", "two JSON lines in one message (Eventstream batching)"] {
            let batch = try decode(name)
            #expect(batch.events.map(\.ordinal) == [0, 1], "\(name)")
            #expect(batch.events.map { batch.rowKey(of: $0) } == ["INS-00000001", "INS-00000002"], "\(name)")
        }
    }

    // Goal: the order of the file, read as one stream, gives each row once. Version 1 of the inventory row comes seven
    // times, late and repeated rows of the quality table change nothing.
    @Test func `the whole file as one stream judges every change once`() throws {
        let messages = try SampleData.lines("formats/edge_cases.ndjson").prefix(6).map(\.message)
        let result = CrossFormatTests.judged(messages, catalog: Self.catalog, batchCount: 6)
        #expect(result.seen.count == 2)
        let update = result.seen.first { $0.table == "gld_fact_inventory" }
        #expect(update?.kind == .update)
        #expect(update?.before?["on_hand"] == "#710.182")
        #expect(update?.after?["on_hand"] == "#546.167")
        #expect(result.memory.counters.duplicates == 2)
    }
}
