import ChangeEvents
import Core
import Testing

/// Scripts of the rules of order and identity in docs/change-events.md: what comes in, what becomes of it.
struct RowMemoryTests {
    /// One event of a script; images are single numbers.
    struct Step {
        var kind: ChangeEvent.Kind
        var version: Int64
        var value: Int64
        var key = "a"
        var epoch: Int32 = 0
        var seconds: Int64?
        var isHalf = true

        init(
            _ kind: ChangeEvent.Kind, _ version: Int64, _ value: Int64, key: String = "a", epoch: Int32 = 0,
            seconds: Int64? = nil, isHalf: Bool = true
        ) {
            (self.kind, self.version, self.value, self.key) = (kind, version, value, key)
            (self.epoch, self.seconds, self.isHalf) = (epoch, seconds, isHalf)
        }
    }

    static func catalog(
        readsBefore: Bool = true, _ change: (inout TableDeclaration) -> Void = { _ in }
    ) -> TableCatalog {
        var declaration = TableDeclaration(name: "t", rowKey: ["k"], columns: ["k": .string, "x": .int])
        change(&declaration)
        var layout = ColumnLayout(declaration: declaration)
        _ = layout.slot(for: "x")
        return TableCatalog(tables: [.init(declaration: declaration, layout: layout, readsBefore: readsBefore)])
    }

    static func batch(_ steps: [Step]) -> ChangeBatch {
        let batch = ChangeBatch()
        for (index, step) in steps.enumerated() {
            var event = ChangeEvent(
                table: 0, kind: step.kind, messageIndex: Int32(index), ordinal: 0, epoch: step.epoch,
                version: step.version,
                commitTime: Timestamp(milliseconds: (step.seconds ?? step.version) * 1000), partitionIndex: 0,
                offset: Int64(index))
            if step.isHalf { event.flags.insert(.half) }
            var text = step.key
            let start = text.withUTF8 { batch.arena.append(UnsafeRawBufferPointer($0)) }
            event.rowKeyText = (start, UInt32(text.utf8.count))
            event.rowKeyHash = text.utf8.reduce(14_695_981_039) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
            event.imageHash = UInt64(bitPattern: step.value + 1) &* 0xD6E8_FEB8_6659_FD93
            let slot = Int32(batch.slots.count)
            batch.slots.append(SlotValue(kind: .string, textOffset: start, bits: UInt64(text.utf8.count)))
            batch.slots.append(SlotValue(kind: .int, bits: UInt64(bitPattern: step.value)))
            if step.kind == .delete || step.kind == .preimage {
                event.beforeSlot = slot
            } else {
                event.afterSlot = slot
            }
            batch.events.append(event)
        }
        return batch
    }

    /// The events of a batch as `kind before→after disposition`.
    static func lines(_ batch: ChangeBatch) -> [String] {
        batch.events.map { event in
            func value(_ slot: Int32) -> String { slot < 0 ? "-" : String(batch.slots[Int(slot) + 1].intValue) }
            return "\(event.kind) \(value(event.beforeSlot))→\(value(event.afterSlot)) \(event.disposition)"
        }
    }

    private func judged(_ batch: ChangeBatch) -> [String] { Self.lines(batch).filter { $0.hasSuffix(" judge") } }

    @Test func `older than the newest is late, the same again a duplicate`() {
        var memory = RowMemory(catalog: Self.catalog())
        let first = Self.batch([Step(.insert, 5, 1)])
        memory.admit(first)
        let second = Self.batch([Step(.insert, 5, 1), Step(.insert, 4, 9), Step(.delete, 3, 9)].reversed())
        memory.admit(second)
        #expect(Self.lines(second) == ["delete 9→- late", "insert -→9 late", "insert -→1 duplicate"])
        #expect(memory.counters.late == 2 && memory.counters.duplicates == 1)
    }

    @Test func `a raised epoch makes low versions new again`() {
        var memory = RowMemory(catalog: Self.catalog())
        memory.admit(Self.batch([Step(.insert, 900, 1)]))
        let next = Self.batch([Step(.insert, 0, 2, epoch: 1)])
        memory.admit(next)
        #expect(judged(next).isEmpty, "an insert of a row that exists waits for the delete of a rewrite")
        let plain = Self.batch([Step(.insert, 1, 3, epoch: 1, isHalf: false), Step(.insert, 2, 4, isHalf: false)])
        memory.admit(plain)
        #expect(Self.lines(plain) == ["insert -→2 judge", "insert -→3 judge", "insert -→4 late"])
    }

    @Test func `late rows are judged where the table accepts them and the newest stays`() {
        var memory = RowMemory(catalog: Self.catalog { $0.late = .accept })
        memory.admit(Self.batch([Step(.insert, 5, 1)]))
        let late = Self.batch([Step(.update, 4, 9)])
        memory.admit(late)
        #expect(Self.lines(late) == ["update -→9 judge"])
        #expect(late.events[0].flags.contains(.late))
        let again = Self.batch([Step(.insert, 5, 1)])
        memory.admit(again)
        #expect(Self.lines(again) == ["insert -→1 duplicate"])
    }

    @Test(arguments: [false, true])
    func `pre and post are one event in either order`(postFirst: Bool) {
        var memory = RowMemory(catalog: Self.catalog())
        memory.admit(Self.batch([Step(.insert, 1, 1)]))
        var steps = [Step(.preimage, 2, 1), Step(.update, 2, 7)]
        if postFirst { steps.reverse() }
        let together = Self.batch(steps)
        memory.admit(together)
        #expect(judged(together) == ["update 1→7 judge"])
        // And cut by a batch.
        steps = [Step(.preimage, 3, 7), Step(.update, 3, 8)]
        if postFirst { steps.reverse() }
        let first = Self.batch([steps[0]])
        memory.admit(first)
        #expect(judged(first).isEmpty)
        #expect(memory.waitingCount(table: 0) == 1)
        let second = Self.batch([steps[1]])
        memory.admit(second)
        #expect(judged(second) == ["update 7→8 judge"])
        #expect(second.rowKey(of: second.events[0]) == "a")
        #expect(memory.waitingCount(table: 0) == 0)
    }

    @Test func `a key twice in a commit gives two updates, and its repetition none`() {
        var memory = RowMemory(catalog: Self.catalog())
        let steps = [
            Step(.preimage, 2, 1), Step(.preimage, 2, 2), Step(.update, 2, 11), Step(.update, 2, 12),
        ]
        let first = Self.batch(steps)
        memory.admit(first)
        #expect(judged(first) == ["update 1→11 judge", "update 2→12 judge"])
        let again = Self.batch(steps)
        memory.admit(again)
        #expect(judged(again).isEmpty)
    }

    @Test func `a wait ends after two seconds of the clock given and says so for replay`() {
        let catalog = Self.catalog()
        var memory = RowMemory(catalog: catalog)
        memory.admit(Self.batch([Step(.update, 2, 7)]))
        let batch = ChangeBatch()
        #expect(memory.expireWaits(upTo: [Timestamp(milliseconds: 50_000)], into: batch).isEmpty)
        #expect(memory.expireWaits(upTo: [Timestamp(milliseconds: 51_999)], into: batch).isEmpty)
        let runs = memory.expireWaits(upTo: [Timestamp(milliseconds: 52_000)], into: batch)
        #expect(Self.lines(batch) == ["update -→7 judge"])
        #expect(batch.events[0].flags.contains(.unpaired))
        #expect(runs.map(\.version) == [2])
        // The preimage that comes after all changes nothing.
        let late = Self.batch([Step(.preimage, 2, 1)])
        memory.admit(late)
        #expect(judged(late).isEmpty)
        // Replay: both halves are there at once, but the wait ended without the preimage.
        var replayed = RowMemory(catalog: catalog)
        replayed.replay(runs)
        let both = Self.batch([Step(.update, 2, 7), Step(.preimage, 2, 1)])
        replayed.admit(both)
        #expect(judged(both) == ["update -→7 judge"])
    }

    @Test func `a later version ends the wait before it is judged itself`() {
        var memory = RowMemory(catalog: Self.catalog())
        memory.admit(Self.batch([Step(.update, 2, 7)]))
        let next = Self.batch([Step(.preimage, 3, 7), Step(.update, 3, 8)])
        memory.admit(next)
        #expect(judged(next) == ["update -→7 judge", "update 7→8 judge"])
    }

    @Test func `nobody reads before: an update is judged at once and preimages are let go`() {
        var memory = RowMemory(catalog: Self.catalog(readsBefore: false))
        let batch = Self.batch([Step(.preimage, 2, 1), Step(.update, 2, 7), Step(.update, 3, 8), Step(.preimage, 3, 7)])
        memory.admit(batch)
        #expect(
            Self.lines(batch) == [
                "preimage 1→- paired", "update -→7 judge", "update -→8 judge", "preimage 7→- paired",
            ])
        #expect(memory.waitingCount(table: 0) == 0)
    }

    @Test(arguments: [false, true])
    func `delete and insert in one commit are an update`(insertFirst: Bool) {
        for readsBefore in [true, false] {
            var memory = RowMemory(catalog: Self.catalog(readsBefore: readsBefore))
            memory.admit(Self.batch([Step(.insert, 1, 1)]))
            var steps = [Step(.delete, 2, 1), Step(.insert, 2, 7)]
            if insertFirst { steps.reverse() }
            let batch = Self.batch(steps)
            memory.admit(batch)
            if insertFirst, !readsBefore {
                #expect(judged(batch) == ["insert -→7 judge"])
            } else {
                #expect(judged(batch) == ["update 1→7 judge"], "\(Self.lines(batch))")
            }
            // The same row written again is no event.
            var same = [Step(.delete, 3, 7), Step(.insert, 3, 7)]
            if insertFirst { same.reverse() }
            let unchanged = Self.batch(same)
            memory.admit(unchanged)
            #expect(judged(unchanged).isEmpty, "\(Self.lines(unchanged))")
        }
    }

    @Test func `a delete by itself is judged at the end of its batch, or after the wait where pairs are read`() {
        var memory = RowMemory(catalog: Self.catalog(readsBefore: false))
        memory.admit(Self.batch([Step(.insert, 1, 1)]))
        let quick = Self.batch([Step(.delete, 2, 1)])
        memory.admit(quick)
        #expect(judged(quick) == ["delete 1→- judge"])
        var patient = RowMemory(catalog: Self.catalog())
        patient.admit(Self.batch([Step(.insert, 1, 1)]))
        let batch = Self.batch([Step(.delete, 2, 1)])
        patient.admit(batch)
        #expect(judged(batch).isEmpty)
        let tick = ChangeBatch()
        _ = patient.expireWaits(upTo: [Timestamp(milliseconds: 0)], into: tick)
        _ = patient.expireWaits(upTo: [Timestamp(milliseconds: 2000)], into: tick)
        #expect(Self.lines(tick) == ["delete 1→- judge"])
    }

    @Test func `identical images are a sign of life`() {
        var memory = RowMemory(catalog: Self.catalog())
        let batch = Self.batch([
            Step(.insert, 1, 1), Step(.preimage, 2, 1), Step(.update, 2, 1), Step(.preimage, 3, 1), Step(.update, 3, 2),
        ])
        memory.admit(batch)
        #expect(judged(batch) == ["insert -→1 judge", "update 1→2 judge"])
        #expect(memory.counters.noOps == 1)
        #expect(memory.waitingCount(table: 0) == 0)
    }

    @Test func `upserts are inserts until the row is known, and a second delete is nothing`() {
        var memory = RowMemory(catalog: Self.catalog(readsBefore: false))
        let batch = Self.batch([
            Step(.upsert, 1, 1, isHalf: false), Step(.upsert, 2, 2, isHalf: false), Step(.delete, 3, 2, isHalf: false),
            Step(.delete, 4, 2, isHalf: false), Step(.upsert, 5, 2, isHalf: false),
        ])
        memory.admit(batch)
        #expect(
            Self.lines(batch) == [
                "insert -→1 judge", "update -→2 judge", "delete 2→- judge", "delete 2→- noOp", "insert -→2 judge",
            ])
    }

    @Test func `without preimages the remembered row stands for before`() throws {
        let catalog = Self.catalog { $0.preimages = .none }
        var memory = RowMemory(catalog: catalog)
        memory.admit(Self.batch([Step(.insert, 1, 1)]))
        memory = try RowMemory(catalog: catalog, restoring: memory.checkpoint())
        let batch = Self.batch([Step(.update, 2, 7), Step(.update, 3, 8)])
        memory.admit(batch)
        #expect(judged(batch) == ["update 1→7 judge", "update 7→8 judge"])
        #expect(batch.events.allSatisfy { $0.flags.contains(.remembered) })
    }

    @Test func `above the bound the oldest keys by commit time are forgotten and counted`() {
        var memory = RowMemory(catalog: Self.catalog { $0.rowKeysMax = 100 })
        // Arrival is not age: the first half of the keys is the younger one.
        for index in 0..<160 {
            let seconds = index < 80 ? 5000 + index : index
            memory.admit(Self.batch([Step(.insert, 1, 1, key: "k\(index)", seconds: Int64(seconds))]))
        }
        #expect(memory.keyCount(table: 0) <= 100)
        #expect(memory.counters.keysEvicted == 160 - memory.keyCount(table: 0))
        let young = Self.batch([Step(.insert, 1, 1, key: "k79", seconds: 5079)])
        memory.admit(young)
        #expect(Self.lines(young) == ["insert -→1 duplicate"])
        let old = Self.batch([Step(.insert, 1, 1, key: "k80", seconds: 80)])
        memory.admit(old)
        #expect(Self.lines(old) == ["insert -→1 judge"])
    }

    @Test func `a key is forgotten after its time to live by commit time`() {
        var memory = RowMemory(catalog: Self.catalog { $0.rowStateTTL = .seconds(100) })
        memory.admit(Self.batch([Step(.insert, 5, 1, seconds: 1000)]))
        memory.admit(Self.batch([Step(.insert, 5, 1, key: "b", seconds: 1100)]))
        let kept = Self.batch([Step(.insert, 5, 1, seconds: 1000)])
        memory.admit(kept)
        #expect(Self.lines(kept) == ["insert -→1 duplicate"])
        memory.admit(Self.batch([Step(.insert, 5, 1, key: "b", seconds: 1101)]))
        memory.admit(Self.batch([Step(.insert, 6, 2, key: "c", seconds: 1101)]))
        let forgotten = Self.batch([Step(.insert, 5, 1, seconds: 1000)])
        memory.admit(forgotten)
        #expect(Self.lines(forgotten) == ["insert -→1 judge"])
        #expect(memory.counters.keysExpired == 1)
    }

    @Test func `a damaged checkpoint is an error, whatever byte is hit`() throws {
        let catalog = Self.catalog { $0.preimages = .none }
        var memory = RowMemory(catalog: catalog)
        for index in 0..<50 { memory.admit(Self.batch([Step(.insert, 1, 1, key: "k\(index)")])) }
        let chunks = memory.checkpoint()
        #expect(throws: Never.self) { try RowMemory(catalog: catalog, restoring: chunks) }
        for index in chunks[0].bytes.indices {
            var damaged = chunks
            damaged[0].bytes[index] ^= 0x11
            #expect(throws: RowMemoryError.self, "byte \(index)") {
                try RowMemory(catalog: catalog, restoring: damaged)
            }
        }
        for length in stride(from: 0, to: chunks[0].bytes.count, by: 13) {
            var cut = chunks
            cut[0].bytes = Array(cut[0].bytes.prefix(length))
            #expect(throws: RowMemoryError.self) { try RowMemory(catalog: catalog, restoring: cut) }
        }
        #expect(throws: RowMemoryError.self) {
            try RowMemory(catalog: catalog, restoring: chunks + [ChunkedBlob(name: "x", chunk: 7, bytes: [])])
        }
    }

    @Test func `the trivial types have the sizes that the bounds are made of`() {
        #expect(MemoryLayout<SlotValue>.size == 16)
        #expect(MemoryLayout<ChangeEvent>.stride <= 104)
    }
}
