// HOT
public import Core

/// A wait for the other half of an event that ended without it: stored, so that replay takes the same branch.
public struct PairRun: Sendable, Hashable {
    public var table: Int32
    public var epoch: Int32
    public var rowKeyHash: UInt64
    public var version: Int64

    /// Names a wait.
    public init(table: Int32, epoch: Int32, rowKeyHash: UInt64, version: Int64) {
        self.table = table
        self.epoch = epoch
        self.rowKeyHash = rowKeyHash
        self.version = version
    }
}

/// What ``RowMemory`` did since it was made or restored, for metrics.
public struct RowMemoryCounters: Sendable, Equatable {
    public var judged = 0
    public var late = 0
    public var duplicates = 0
    public var noOps = 0
    /// Halves that became part of another event.
    public var paired = 0
    /// Events judged after a wait that ended without the preimage.
    public var unpaired = 0
    /// Row keys forgotten because there were more than `row_keys_max`.
    public var keysEvicted = 0
    /// Row keys forgotten after `row_state_ttl`.
    public var keysExpired = 0
    /// Waits that ended at once because too many halves waited.
    public var waitsRefused = 0
    /// Rows whose values were not remembered because the remembered values of their table had no room.
    public var valuesRefused = 0
    /// Texts that were not remembered because they are too long: their columns are unknown in `before`.
    public var textsCut = 0
    /// Batches whose events had to be put in order.
    public var batchesSorted = 0

    /// Starts at zero.
    public init() {}
}

/// What is remembered per row key, and the order and identity of events by it (docs/change-events.md).
///
/// Pure: no clock, no I/O; the same batches give the same dispositions. Waits end by rows, or by the clocks handed to
/// ``expireWaits(upTo:into:)``.
///
/// - Important: there is no way back: after a failed commit restore the last checkpoint and admit again from there.
public struct RowMemory: Sendable {
    /// How long a postimage waits for its preimage, and a delete for the insert of the same commit, in milliseconds.
    public static let waitMilliseconds: Int64 = 2000

    var tables: [RowTable]
    var runs: Set<PairRun> = []
    private var endedByBound: [PairRun] = []
    private var lastVersions: [Int64] = []
    private var batchesSorted = 0

    /// Starts with nothing remembered.
    public init(catalog: TableCatalog) {
        tables = catalog.tables.enumerated().map { RowTable($0.element, index: Int32($0.offset)) }
    }

    /// The sums over all tables.
    public var counters: RowMemoryCounters {
        var sum = RowMemoryCounters()
        for table in tables { sum.add(table.counters) }
        sum.batchesSorted = batchesSorted
        return sum
    }

    /// Row keys remembered of a table.
    public func keyCount(table: Int) -> Int { tables[table].entries.count }

    /// Row keys of a table forgotten because there were more than `row_keys_max`, since it was made or restored.
    public func evictedCount(table: Int) -> Int { tables[table].counters.keysEvicted }

    /// Halves that wait in a table.
    public func waitingCount(table: Int) -> Int { tables[table].waits.count }

    /// Announces waits that ended without their other half before a restart; during replay they end so again.
    public mutating func replay(_ runs: [PairRun]) { self.runs.formUnion(runs) }

    /// Ends the replay: announced waits that did not occur are forgotten.
    public mutating func endReplay() { runs.removeAll() }

    /// Judges order and identity of a batch's events.
    ///
    /// Sets dispositions, fills in `before`, adds events whose wait ended.
    ///
    /// Events are put in order of version first where a partition brought them in another order.
    public mutating func admit(_ batch: ChangeBatch) {
        var events: ContiguousArray<ChangeEvent> = []
        var slots: ContiguousArray<SlotValue> = []
        swap(&events, &batch.events)
        swap(&slots, &batch.slots)
        if isOutOfOrder(events) {
            batchesSorted += 1
            RowMemory.sort(&events)
        }
        var scratch = RowScratch(slots: slots, arena: batch.arena)
        slots = []
        for index in events.indices {
            scratch.position = index
            let table = Int(events[index].table)
            tables[table].admit(&events[index], &scratch, &runs)
        }
        scratch.position = events.count
        for table in tables.indices { endedByBound += tables[table].endBatch(&scratch) }
        batch.events = scratch.merged(into: events)
        batch.slots = scratch.slots
    }

    /// Ends the waits that have lasted 2 s; what is then judged is appended to the batch.
    ///
    /// - Parameter clocks: per table a clock that never goes back, and that the caller holds up while the other half
    ///   may still be on its way. A wait begins at the first call after its event; ``Timestamp/distantPast`` begins
    ///   and ends none.
    /// - Returns: the waits that ended without their other half, to be stored with the batch's commit.
    public mutating func expireWaits(upTo clocks: [Timestamp], into batch: ChangeBatch) -> [PairRun] {
        var ended = endedByBound
        endedByBound = []
        guard tables.contains(where: { $0.waits.count > 0 }) else { return ended }
        var scratch = RowScratch(slots: batch.slots, arena: batch.arena)
        batch.slots = []
        scratch.position = batch.events.count
        for (table, now) in zip(tables.indices, clocks) where now > .distantPast {
            ended += tables[table].expireWaits(now.milliseconds, &scratch)
        }
        batch.events = scratch.merged(into: batch.events)
        batch.slots = scratch.slots
        return ended
    }

    /// Whether some partition brought a lower version after a higher one.
    private mutating func isOutOfOrder(_ events: ContiguousArray<ChangeEvent>) -> Bool {
        for index in lastVersions.indices { lastVersions[index] = .min }
        for event in events {
            let partition = Int(event.partitionIndex) + 1
            while partition >= lastVersions.count { lastVersions.append(.min) }
            if event.version < lastVersions[partition] { return true }
            lastVersions[partition] = event.version
        }
        return false
    }

    /// Sorts by table, epoch and version; events of one version keep their order.
    private static func sort(_ events: inout ContiguousArray<ChangeEvent>) {
        let order = events.indices.sorted { left, right in
            let (one, two) = (events[left], events[right])
            return (one.table, one.epoch, one.version, left) < (two.table, two.epoch, two.version, right)
        }
        events = ContiguousArray(order.map { events[$0] })
    }
}

extension RowMemoryCounters {
    /// What was counted since an earlier look.
    public func subtracting(_ earlier: RowMemoryCounters) -> RowMemoryCounters {
        var difference = self
        difference.judged -= earlier.judged
        difference.late -= earlier.late
        difference.duplicates -= earlier.duplicates
        difference.noOps -= earlier.noOps
        difference.paired -= earlier.paired
        difference.unpaired -= earlier.unpaired
        difference.keysEvicted -= earlier.keysEvicted
        difference.keysExpired -= earlier.keysExpired
        difference.waitsRefused -= earlier.waitsRefused
        difference.valuesRefused -= earlier.valuesRefused
        difference.textsCut -= earlier.textsCut
        difference.batchesSorted -= earlier.batchesSorted
        return difference
    }

    mutating func add(_ other: RowMemoryCounters) {
        judged += other.judged
        late += other.late
        duplicates += other.duplicates
        noOps += other.noOps
        paired += other.paired
        unpaired += other.unpaired
        keysEvicted += other.keysEvicted
        keysExpired += other.keysExpired
        waitsRefused += other.waitsRefused
        valuesRefused += other.valuesRefused
        textsCut += other.textsCut
        batchesSorted += other.batchesSorted
    }
}

/// What admitting one batch works on: its slots, and events that are inserted into it.
struct RowScratch {
    var slots: ContiguousArray<SlotValue>
    let arena: RowArena
    /// Index of the event being admitted; released events go before it.
    var position = 0
    private var released: [(position: Int, event: ChangeEvent)] = []

    init(slots: ContiguousArray<SlotValue>, arena: RowArena) {
        self.slots = slots
        self.arena = arena
    }

    mutating func release(_ event: ChangeEvent) { released.append((position, event)) }

    /// The batch's events with the released ones in their places.
    func merged(into events: ContiguousArray<ChangeEvent>) -> ContiguousArray<ChangeEvent> {
        if released.isEmpty { return events }
        var merged: ContiguousArray<ChangeEvent> = []
        merged.reserveCapacity(events.count + released.count)
        var next = 0
        for (position, event) in released {
            merged.append(contentsOf: events[next..<position])
            next = position
            merged.append(event)
        }
        merged.append(contentsOf: events[next...])
        return merged
    }
}
