public import Core
public import Spine
internal import Synchronization

/// An event source over messages kept in memory: what is appended is read from whatever offset is assigned.
///
/// It hands over one batch per call of `next()`, so that a test decides how batches are cut. Messages come in the order
/// in which they were appended; the ends of partitions are told when nothing more is there.
public final class ScriptedEventSource: EventSource {
    private struct Partition {
        var messages: [(sequence: Int, message: RawBatch.Copied)] = []
        var low: Int64 = 0
        var high: Int64 = 0
        var position: Int64?
        var toldEnd: Int64 = -1
    }

    private struct State {
        var partitions: [TopicPartition: Partition] = [:]
        var removed: [TopicPartition: Partition] = [:]
        var appendedCount = 0
        var committed: [TopicPartition: Int64] = [:]
        var timestampRequests: [Timestamp] = []
        var assignments: [[TopicPartition: Int64]] = []
        var queued: [SourceEvent] = []
        /// Messages that may still be handed over; nil: all.
        var allowance: Int?
        var waiter: CheckedContinuation<Void, Never>?
        /// Tests that wait until everything was taken and handled.
        var idlers: [CheckedContinuation<Void, Never>] = []
        var isEnded = false

        mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
            defer { waiter = nil }
            return waiter
        }

        var hasMore: Bool {
            partitions.values.contains { partition in
                guard let position = partition.position else { return false }
                return position < partition.high ? allowance != 0 : partition.toldEnd < partition.high
            }
        }

        /// The next events: what is queued, else one batch, else ends that were not told yet.
        mutating func take(batchMax: Int) -> [SourceEvent]? {
            if !queued.isEmpty {
                defer { queued = [] }
                return queued
            }
            // In the order in which they were appended, whatever their partition.
            var fresh: [(sequence: Int, message: RawBatch.Copied)] = []
            for entry in partitions.values {
                guard let position = entry.position else { continue }
                fresh += entry.messages.filter { $0.message.offset >= position }.prefix(batchMax)
            }
            let countMax = min(batchMax, allowance ?? batchMax)
            let copies = fresh.sorted { $0.sequence < $1.sequence }.prefix(countMax).map(\.message)
            allowance = allowance.map { $0 - copies.count }
            for copy in copies { partitions[copy.partition]?.position = copy.offset + 1 }
            if !copies.isEmpty { return [.batch(RawBatch.copying(copies))] }
            var ends: [SourceEvent] = []
            for partition in partitions.keys.sorted() {
                guard let entry = partitions[partition], entry.position == entry.high, entry.toldEnd < entry.high
                else { continue }
                partitions[partition]?.toldEnd = entry.high
                ends += [.leaderLive(partition), .endOfPartition(partition, offset: entry.high)]
            }
            return ends.isEmpty ? nil : ends
        }
    }

    private let state: Mutex<State>
    /// Most messages of each batch, in turn; the last goes on.
    private let cuts: Mutex<[Int]>

    /// Makes a source with empty partitions.
    public init(partitions: [TopicPartition], batchMax: Int) {
        var initial = State()
        for partition in partitions { initial.partitions[partition] = Partition() }
        state = Mutex(initial)
        cuts = Mutex([batchMax])
    }

    /// Cuts the next batches at these sizes; the last goes on.
    public func cut(_ sizes: [Int]) { cuts.withLock { $0 = sizes.isEmpty ? [1] : sizes } }

    /// Holds back all but the next messages, as a slow broker does: no end of a partition before them is told.
    /// - Parameter count: how many are still handed over; nil: all.
    public func hold(after count: Int?) {
        let waiter = state.withLock { state in
            state.allowance = count
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// Waits until everything was read and handled, that is until the reader asks for more and there is none; or until
    /// the task is cancelled.
    public func waitUntilIdle() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isIdle = state.withLock { state in
                    if state.waiter != nil || Task.isCancelled { return true }
                    state.idlers.append(continuation)
                    return false
                }
                if isIdle { continuation.resume() }
            }
        } onCancel: {
            let idlers = state.withLock { state in
                defer { state.idlers = [] }
                return state.idlers
            }
            for idler in idlers { idler.resume() }
        }
    }

    /// Offsets the group committed, as lag tools would see them; also what a test sets before a first start.
    public var committed: [TopicPartition: Int64] {
        get { state.withLock { $0.committed } }
        set { state.withLock { $0.committed = newValue } }
    }

    /// The times that `offsets(at:)` was asked for.
    public var timestampRequests: [Timestamp] { state.withLock { $0.timestampRequests } }

    /// Every assignment so far.
    public var assignments: [[TopicPartition: Int64]] { state.withLock { $0.assignments } }

    /// Appends a message; its offset is the partition's end.
    public func append(
        _ partition: TopicPartition, key: String?, value: String?, timestamp: Int64,
        headers: [(name: String, value: [UInt8]?)] = []
    ) {
        append(
            partition, keyBytes: key.map { Array($0.utf8) }, valueBytes: value.map { Array($0.utf8) },
            timestamp: timestamp, headers: headers)
    }

    /// Appends a message of any bytes; its offset is the partition's end.
    public func append(
        _ partition: TopicPartition, keyBytes: [UInt8]?, valueBytes: [UInt8]?, timestamp: Int64,
        headers: [(name: String, value: [UInt8]?)] = []
    ) {
        let waiter = state.withLock { state in
            var entry = state.partitions[partition] ?? Partition()
            let message = RawBatch.Copied(
                partition: partition, offset: entry.high, timestamp: timestamp, key: keyBytes, value: valueBytes,
                headers: headers)
            entry.messages.append((state.appendedCount, message))
            state.appendedCount += 1
            entry.high += 1
            state.partitions[partition] = entry
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// Forgets all messages below an offset, as retention does.
    public func drop(_ partition: TopicPartition, below offset: Int64) {
        state.withLock { state in
            state.partitions[partition]?.low = offset
            state.partitions[partition]?.messages.removeAll { $0.message.offset < offset }
        }
    }

    /// Takes a partition away, as when its topic is deleted or not known yet to the broker that is asked.
    public func remove(_ partition: TopicPartition) {
        state.withLock { $0.removed[partition] = $0.partitions.removeValue(forKey: partition) }
    }

    /// Brings a removed partition back with all its messages; who reads is told of it as of a new one.
    public func bringBack(_ partition: TopicPartition) {
        state.withLock { state in
            guard var entry = state.removed.removeValue(forKey: partition) else { return }
            entry.position = nil
            state.partitions[partition] = entry
        }
        report(.newPartitions([partition]))
    }

    /// Forgets messages that were not read yet: reading of the partition stands still, and its reader is told.
    public func overtake(_ partition: TopicPartition, below offset: Int64) {
        drop(partition, below: offset)
        state.withLock { $0.partitions[partition]?.position = nil }
        report(.offsetOutOfRange(partition, reason: "the oldest offset is \(offset)"))
    }

    /// Reports an event out of turn, such as new partitions.
    public func report(_ event: SourceEvent) {
        let waiter = state.withLock { state in
            state.queued.append(event)
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// Ends the source: `next()` gives nil.
    public func end() {
        let waiter = state.withLock { state in
            state.isEnded = true
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    /// Where reading stands, per assigned partition.
    public var positions: [TopicPartition: Int64] {
        state.withLock { $0.partitions.compactMapValues(\.position) }
    }

    // MARK: EventSource

    public func partitions() async throws -> [PartitionRange] {
        state.withLock { state in
            state.partitions.map { PartitionRange(partition: $0.key, low: $0.value.low, high: $0.value.high) }
                .sorted { $0.partition < $1.partition }
        }
    }

    public func committedOffsets() async throws -> [TopicPartition: Int64] { committed }

    public func offsets(at time: Timestamp) async throws -> [TopicPartition: Int64] {
        state.withLock { state in
            state.timestampRequests.append(time)
            return state.partitions.mapValues { partition in
                partition.messages.first { $0.message.timestamp >= time.milliseconds }?.message.offset ?? -1
            }
        }
    }

    public func assign(_ offsets: [TopicPartition: Int64], generation: Int) async throws {
        let waiter = state.withLock { state in
            state.assignments.append(offsets)
            state.queued = [.assigned(generation: generation)]
            for (partition, entry) in state.partitions.sorted(by: { $0.key < $1.key }) {
                let wanted = offsets[partition]
                let isThere = wanted.map { $0 >= entry.low && $0 <= entry.high } ?? false
                state.partitions[partition]?.position = isThere ? wanted : nil
                state.partitions[partition]?.toldEnd = -1
                if let wanted, !isThere {
                    state.queued.append(.offsetOutOfRange(partition, reason: "offset \(wanted) is not there"))
                }
            }
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    public func next() async throws -> [SourceEvent]? {
        while true {
            let events: [SourceEvent]?? = state.withLock { state in
                if let events = state.take(batchMax: nextCut) { return .some(.some(events)) }
                return state.isEnded ? .some(nil) : .none
            }
            if let events { return events }
            if Task.isCancelled {
                // A reader takes its assignment along: the next one, as after a restart, begins with none.
                state.withLock { state in
                    for partition in state.partitions.keys { state.partitions[partition]?.position = nil }
                }
                return nil
            }
            await wait()
        }
    }

    public func commit(_ offsets: [TopicPartition: Int64]) {
        state.withLock { $0.committed.merge(offsets) { max($0, $1) } }
    }

    private var nextCut: Int { cuts.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] } }

    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                var idlers: [CheckedContinuation<Void, Never>] = []
                let isReady = state.withLock { state in
                    let isReady = !state.queued.isEmpty || state.isEnded || state.hasMore || Task.isCancelled
                    if isReady { return true }
                    state.waiter = continuation
                    idlers = state.idlers
                    state.idlers = []
                    return false
                }
                if isReady { continuation.resume() }
                for idler in idlers { idler.resume() }
            }
        } onCancel: {
            state.withLock { $0.takeWaiter() }?.resume()
        }
    }
}
