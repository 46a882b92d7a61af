public import Core
public import Spine
internal import Synchronization

/// An event source over messages kept in memory: what is appended is read from whatever offset is assigned.
///
/// It hands over one batch per call of `next()`, so that a test decides how batches are cut.
public final class ScriptedEventSource: EventSource {
    private struct Partition {
        var messages: [RawBatch.Copied] = []
        var low: Int64 = 0
        var high: Int64 = 0
        var position: Int64?
        var toldEnd: Int64 = -1
    }

    private struct State {
        var partitions: [TopicPartition: Partition] = [:]
        var committed: [TopicPartition: Int64] = [:]
        var timestampRequests: [Timestamp] = []
        var assignments: [[TopicPartition: Int64]] = []
        var queued: [SourceEvent] = []
        var waiter: CheckedContinuation<Void, Never>?
        var isEnded = false

        mutating func takeWaiter() -> CheckedContinuation<Void, Never>? {
            defer { waiter = nil }
            return waiter
        }

        var hasMore: Bool {
            partitions.values.contains { partition in
                guard let position = partition.position else { return false }
                return position < partition.high || partition.toldEnd < partition.high
            }
        }

        /// The next events: what is queued, else one batch, else ends that were not told yet.
        mutating func take(batchMax: Int) -> [SourceEvent]? {
            if !queued.isEmpty {
                defer { queued = [] }
                return queued
            }
            var copies: [RawBatch.Copied] = []
            for partition in partitions.keys.sorted() {
                guard let entry = partitions[partition], let position = entry.position else { continue }
                let fresh = entry.messages.filter { $0.offset >= position }.prefix(batchMax - copies.count)
                if let last = fresh.last { partitions[partition]?.position = last.offset + 1 }
                copies += fresh
            }
            if !copies.isEmpty { return [.batch(RawBatch.copying(copies))] }
            var ends: [SourceEvent] = []
            for partition in partitions.keys.sorted() {
                guard let entry = partitions[partition], entry.position != nil, entry.toldEnd < entry.high else {
                    continue
                }
                partitions[partition]?.toldEnd = entry.high
                ends += [.leaderLive(partition), .endOfPartition(partition, offset: entry.high)]
            }
            return ends.isEmpty ? nil : ends
        }
    }

    private let state: Mutex<State>
    /// Most messages of one batch.
    private let batchMax: Int

    /// Makes a source with empty partitions.
    public init(partitions: [TopicPartition], batchMax: Int) {
        var initial = State()
        for partition in partitions { initial.partitions[partition] = Partition() }
        state = Mutex(initial)
        self.batchMax = batchMax
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
            entry.messages.append(
                RawBatch.Copied(
                    partition: partition, offset: entry.high, timestamp: timestamp, key: keyBytes,
                    value: valueBytes, headers: headers))
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
            state.partitions[partition]?.messages.removeAll { $0.offset < offset }
        }
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
                partition.messages.first { $0.timestamp >= time.milliseconds }?.offset ?? -1
            }
        }
    }

    public func assign(_ offsets: [TopicPartition: Int64], generation: Int) async throws {
        let waiter = state.withLock { state in
            state.assignments.append(offsets)
            for partition in state.partitions.keys {
                state.partitions[partition]?.position = offsets[partition]
                state.partitions[partition]?.toldEnd = -1
            }
            state.queued = [.assigned(generation: generation)]
            return state.takeWaiter()
        }
        waiter?.resume()
    }

    public func next() async throws -> [SourceEvent]? {
        while true {
            let events: [SourceEvent]?? = state.withLock { state in
                if let events = state.take(batchMax: batchMax) { return .some(.some(events)) }
                return state.isEnded ? .some(.none) : .none
            }
            if let events { return events }
            // The next reader, as after a restart, finds the source as it is.
            if Task.isCancelled { return nil }
            await wait()
        }
    }

    public func commit(_ offsets: [TopicPartition: Int64]) {
        state.withLock { $0.committed.merge(offsets) { max($0, $1) } }
    }

    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.queued.isEmpty || state.isEnded || state.hasMore || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.takeWaiter() }?.resume()
        }
    }
}
