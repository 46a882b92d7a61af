import ChangeEvents
import Core
import Testing

/// A small seeded generator; the seed is part of every failure's text.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// Goal: whatever order the halves come in, however often they are repeated, wherever the router restarts, each change
/// is judged once and with the right images. Method: a generator knows the true changes of every row; what it sends is
/// shuffled, repeated and cut into batches; what is judged must be the truth.
struct RowMemoryPropertyTests {
    struct Half: Equatable {
        var key: Int
        var version: Int64
        var kind: ChangeEvent.Kind
        var value: Int64
    }

    struct Change: Equatable, CustomStringConvertible {
        var key: Int
        var version: Int64
        var kind: ChangeEvent.Kind
        var before: Int64?
        var after: Int64?
        var description: String {
            "k\(key) v\(version) \(kind) \(before.map(String.init) ?? "-")→\(after.map(String.init) ?? "-")"
        }
    }

    enum Mode: CaseIterable { case halves, withoutPreimages, preimagesLost, nobodyReadsBefore }

    struct Stream {
        var batches: [[Half]] = []
        var truth: [Change] = []
    }

    static func stream(_ mode: Mode, _ random: inout SplitMix) -> Stream {
        var stream = Stream()
        var rows: [Int: Int64] = [:]
        var sent: [Half] = []
        for version in Int64(1)...40 {
            var commit: [[Half]] = []
            for key in 0..<8 where random.chance(50) {
                let (halves, change) = commitOf(key, version, rows[key], mode, &random)
                rows[key] = change.after
                let isUnchanged = change.before != nil && change.before == change.after
                if !isUnchanged { stream.truth.append(change) }
                commit.append(halves.shuffled(using: &random))
            }
            var flat = commit.shuffled(using: &random).flatMap { $0 }
            // A writer's retry sends earlier messages again, in their order.
            if random.chance(20), !sent.isEmpty { flat += sent.suffix(Int.random(in: 1...12, using: &random)) }
            sent += flat
            while !flat.isEmpty {
                let count = Int.random(in: 1...max(1, flat.count), using: &random)
                stream.batches.append(Array(flat.prefix(count)))
                flat.removeFirst(count)
            }
        }
        return stream
    }

    private static func commitOf(
        _ key: Int, _ version: Int64, _ row: Int64?, _ mode: Mode, _ random: inout SplitMix
    ) -> ([Half], Change) {
        let fresh = Int64.random(in: 0..<4, using: &random)
        guard let row else {
            return (
                [Half(key: key, version: version, kind: .insert, value: fresh)],
                Change(key: key, version: version, kind: .insert, before: nil, after: fresh)
            )
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1:
            return (
                [Half(key: key, version: version, kind: .delete, value: row)],
                Change(key: key, version: version, kind: .delete, before: row, after: nil)
            )
        case 2, 3:
            return (
                [
                    Half(key: key, version: version, kind: .delete, value: row),
                    Half(key: key, version: version, kind: .insert, value: fresh),
                ], Change(key: key, version: version, kind: .update, before: row, after: fresh)
            )
        default:
            var halves = [Half(key: key, version: version, kind: .update, value: fresh)]
            let sendsPreimage = mode == .halves || (mode == .preimagesLost && random.chance(50))
            if sendsPreimage { halves.append(Half(key: key, version: version, kind: .preimage, value: row)) }
            return (halves, Change(key: key, version: version, kind: .update, before: row, after: fresh))
        }
    }

    static func catalog(_ mode: Mode) -> TableCatalog {
        var declaration = TableDeclaration(name: "t", rowKey: ["k"], columns: ["k": .string, "x": .int])
        if mode == .withoutPreimages { declaration.preimages = .none }
        var layout = ColumnLayout(declaration: declaration)
        _ = layout.slot(for: "x")
        return TableCatalog(tables: [
            .init(declaration: declaration, layout: layout, readsBefore: mode != .nobodyReadsBefore)
        ])
    }

    static func fill(_ batch: ChangeBatch, _ halves: [Half], offset: inout Int64) {
        for half in halves {
            var event = ChangeEvent(
                table: 0, kind: half.kind, messageIndex: 0, ordinal: 0, epoch: 0, version: half.version,
                commitTime: Timestamp(milliseconds: half.version * 1000), partitionIndex: Int32(half.key % 3),
                offset: offset)
            offset += 1
            event.flags.insert(.half)
            var text = "key-\(half.key)"
            let start = text.withUTF8 { batch.arena.append(UnsafeRawBufferPointer($0)) }
            event.rowKeyText = (start, UInt32(text.utf8.count))
            event.rowKeyHash = UInt64(half.key + 1) &* 0x9E37_79B9_7F4A_7C15
            event.imageHash = UInt64(half.value + 1) &* 0xD6E8_FEB8_6659_FD93
            let slot = Int32(batch.slots.count)
            batch.slots.append(SlotValue(kind: .string, textOffset: start, bits: UInt64(text.utf8.count)))
            batch.slots.append(SlotValue(kind: .int, bits: UInt64(bitPattern: half.value)))
            if half.kind == .delete || half.kind == .preimage {
                event.beforeSlot = slot
            } else {
                event.afterSlot = slot
            }
            batch.events.append(event)
        }
    }

    static func changes(_ batch: ChangeBatch) -> [Change] {
        batch.events.filter(\.isJudged).map { event in
            func value(_ slot: Int32) -> Int64? { slot < 0 ? nil : batch.slots[Int(slot) + 1].intValue }
            let key = Int(batch.rowKey(of: event).dropFirst(4)) ?? -1
            return Change(
                key: key, version: event.version, kind: event.kind, before: value(event.beforeSlot),
                after: value(event.afterSlot))
        }
    }

    /// Runs a stream; `restartAt` are the batches after which memory goes through a checkpoint.
    static func run(_ stream: Stream, _ mode: Mode, restartAt: Set<Int>) throws -> [Change] {
        let catalog = catalog(mode)
        var memory = RowMemory(catalog: catalog)
        var judged: [Change] = []
        let batch = ChangeBatch()
        var offset: Int64 = 0
        for (index, halves) in stream.batches.enumerated() {
            batch.reset()
            fill(batch, halves, offset: &offset)
            memory.admit(batch)
            judged += changes(batch)
            if restartAt.contains(index) {
                memory = try RowMemory(catalog: catalog, restoring: memory.checkpoint().reversed())
            }
        }
        batch.reset()
        _ = memory.expireWaits(upTo: [Timestamp(milliseconds: 0)], into: batch)
        _ = memory.expireWaits(upTo: [Timestamp(milliseconds: 2000)], into: batch)
        judged += changes(batch)
        #expect(memory.waitingCount(table: 0) == 0)
        return judged
    }

    static func byKey(_ changes: [Change]) -> [Int: [Change]] { Dictionary(grouping: changes, by: \.key) }

    @Test(arguments: [Mode.halves, .withoutPreimages])
    func `every change is judged once with both images`(mode: Mode) throws {
        for seed in UInt64(1)...40 {
            var random = SplitMix(seed: seed)
            let stream = Self.stream(mode, &random)
            let judged = try Self.run(stream, mode, restartAt: [])
            var expected = Self.byKey(stream.truth)
            var actual = Self.byKey(judged)
            if mode == .withoutPreimages {
                // Without waits a rewrite cut by a batch is a delete and an update; what matters is the after image.
                expected = expected.mapValues(Self.withoutRewrites)
                actual = actual.mapValues(Self.withoutRewrites)
            }
            try #require(actual == expected, "seed \(seed)")
        }
    }

    /// The after images in order, for modes in which a rewrite may show as delete and insert.
    private static func withoutRewrites(_ changes: [Change]) -> [Change] {
        var result: [Change] = []
        for change in changes {
            if let last = result.last, last.kind == .delete, last.version == change.version {
                result.removeLast()
                // The delete was judged before the same row came back: both are judged, and nothing has changed.
                if last.before == change.after { continue }
            }
            var change = change
            if change.kind != .delete { change.before = nil }
            if change.kind == .insert { change.kind = .update }
            result.append(change)
        }
        return result
    }

    @Test(arguments: [Mode.preimagesLost, .nobodyReadsBefore])
    func `a lost preimage costs the image before and nothing else`(mode: Mode) throws {
        for seed in UInt64(1)...40 {
            var random = SplitMix(seed: seed)
            let stream = Self.stream(mode, &random)
            let judged = try Self.run(stream, mode, restartAt: [])
            let expected = Self.byKey(stream.truth).mapValues(Self.withoutRewrites)
            try #require(Self.byKey(judged).mapValues(Self.withoutRewrites) == expected, "seed \(seed)")
        }
    }

    @Test(arguments: Mode.allCases)
    func `a restart through a checkpoint changes nothing`(mode: Mode) throws {
        for seed in UInt64(1)...25 {
            var random = SplitMix(seed: seed)
            let stream = Self.stream(mode, &random)
            let expected = try Self.run(stream, mode, restartAt: [])
            let points = Set(stream.batches.indices.filter { _ in random.chance(30) })
            let judged = try Self.run(stream, mode, restartAt: points)
            try #require(judged == expected, "seed \(seed), restarts \(points.sorted())")
        }
    }
}
