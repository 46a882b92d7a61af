import ChangeEvents
import Core
import Testing

/// Goal: no bytes crash the decoder, and what it says does not depend on chance. Method: real messages cut at every
/// length, with bytes changed, and plain noise; each message is an event, known to be none, or rejected.
struct DecodeFuzzTests {
    static let catalog = SampleData.catalog([SampleData.customer, SampleData.inventory, SampleData.quality])

    static let samples: [RawBatch.Copied] = {
        let files = [
            "cdf/gld_fact_quality.ndjson", "formats/debezium_real_corpus.ndjson",
            "formats/cloudevents_structured.ndjson", "formats/cloudevents_binary.ndjson", "formats/deltaflow.ndjson",
            "formats/sql_ces.ndjson", "formats/upsert_tombstone.ndjson",
        ]
        return files.flatMap { ((try? SampleData.lines($0)) ?? []).prefix(3).map(\.message) }
    }()

    /// Decodes a message; checks that it is accounted for.
    private func decode(
        _ message: RawBatch.Copied, _ decoder: inout ChangeDecoder, _ note: String
    ) throws -> ChangeBatch {
        var memory = RowMemory(catalog: Self.catalog)
        let batch = ChangeBatch()
        decoder.decode(RawBatch.copying([message]), into: batch)
        try #require(batch.events.count + batch.rejected.count + batch.skipped.total > 0, "\(note)")
        try #require(batch.rejected.isEmpty || batch.events.isEmpty, "\(note): rejected in part")
        memory.admit(batch)
        for event in batch.events { _ = Seen(event, batch, Self.catalog) }
        return batch
    }

    @Test func `a message cut at any length is rejected and its cut is named`() throws {
        for sample in Self.samples {
            guard let value = sample.value else { continue }
            var decoder = ChangeDecoder(catalog: Self.catalog)
            for length in 0..<value.count where length < 150 || length % 23 == 0 {
                var message = sample
                message.value = Array(value.prefix(length))
                let batch = try decode(message, &decoder, "\(sample.partition.topic) cut at \(length)")
                try #require(batch.events.isEmpty, "\(sample.partition.topic) cut at \(length)")
                let offset = batch.rejected.first?.byteOffset
                try #require(length == 0 || offset.map { $0 <= length } == true, "cut at \(length): \(batch.rejected)")
            }
        }
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func `messages with changed bytes are accounted for`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let alphabet = Array("{}[]\",:\\u0123456789eE+-.ntf \n\u{0}".utf8) + [0xFF, 0xC3, 0x80, 0xED, 0xA0]
        var decoder = ChangeDecoder(catalog: Self.catalog)
        for round in 0..<400 {
            if round % 20 == 0 { decoder = ChangeDecoder(catalog: Self.catalog) }
            guard var message = Self.samples.randomElement(using: &random), var value = message.value else { continue }
            for _ in 0..<Int.random(in: 1...4, using: &random) where !value.isEmpty {
                let place = Int.random(in: 0..<value.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: value[place] = alphabet.randomElement(using: &random) ?? 0
                case 1: value.remove(at: place)
                default: value.insert(alphabet.randomElement(using: &random) ?? 0, at: place)
                }
            }
            message.value = value
            _ = try decode(message, &decoder, "seed \(seed) round \(round)")
        }
    }

    @Test(arguments: [UInt64(11), 12])
    func `noise is rejected`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var decoder = ChangeDecoder(catalog: Self.catalog)
        for round in 0..<300 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let message = RawBatch.Copied(
                partition: TopicPartition(topic: "fabric.gold.gld_fact_quality", partition: 0), offset: 0,
                timestamp: 0, key: bytes, value: bytes)
            let batch = try decode(message, &decoder, "seed \(seed) round \(round)")
            #expect(batch.events.isEmpty)
        }
    }

    // Goal: the shim takes exactly what RFC 8259 allows. Method: Core's own parser, written separately, must agree on
    // every mutated object.
    @Test(arguments: [UInt64(21), 22, 23])
    func `the shim and the plain parser agree on what is JSON`(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let alphabet = Array("{}[]\",:\\u0123456789eE+-.ntfrul \n".utf8)
        let base = Array(#"{"inspection_id":"A\u00e9","a":[1,-0.5e3,{"b":null}],"c":true,"d":"x"}"#.utf8)
        var decoder = ChangeDecoder(catalog: Self.catalog)
        for round in 0..<1500 {
            var value = base
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 1..<value.count, using: &random)
                value[place] = alphabet.randomElement(using: &random) ?? 0
            }
            let message = RawBatch.Copied(
                partition: TopicPartition(topic: "gld_fact_quality", partition: 0), offset: 0, timestamp: 0,
                key: Array("k".utf8), value: value)
            let batch = try decode(message, &decoder, "seed \(seed) round \(round)")
            let isJSON = (try? JSON.parse(value)) != nil
            let text = String(decoding: value, as: UTF8.self)
            // Several objects on lines of their own are more than one JSON text; they are taken.
            if !isJSON, text.contains("\n") { continue }
            let says = batch.rejected.first?.reason ?? "taken"
            try #require(isJSON == (batch.rejected.first?.byteOffset == nil), "seed \(seed) \(round): \(says): \(text)")
        }
    }
}
