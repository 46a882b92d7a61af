internal import Core
internal import Synchronization

/// The bounded hand-over from the consumer's thread to the one task that calls `next()`.
///
/// Messages are bounded by ``BatchLedger``, whose marks make the thread stop taking more, side events by a count.
final class EventBridge: Sendable {
    private struct State {
        var events: [SourceEvent] = []
        var waiter: CheckedContinuation<[SourceEvent]?, any Error>?
        var isEnded = false
        var failure: KafkaError?
        var droppedErrorCount = 0
    }

    /// What to do for a caller of `next()`.
    private enum Answer {
        case events([SourceEvent])
        case ended
        case failed(any Error)
        case wait
    }

    /// Above it the thread takes nothing more, and errors of partitions are only counted.
    static let eventCountMax = 10_000

    private let state = Mutex(State())

    var isFull: Bool { state.withLock { $0.events.count >= EventBridge.eventCountMax } }
    var droppedErrorCount: Int { state.withLock { $0.droppedErrorCount } }

    /// Adds events and resumes the waiting task.
    func push(_ events: [SourceEvent]) {
        guard !events.isEmpty else { return }
        let resumption: (CheckedContinuation<[SourceEvent]?, any Error>, [SourceEvent])? = state.withLock { state in
            guard !state.isEnded else { return nil }
            for event in events { EventBridge.append(event, to: &state) }
            guard let waiter = state.waiter else { return nil }
            state.waiter = nil
            defer { state.events = [] }
            return (waiter, state.events)
        }
        if let (waiter, events) = resumption { waiter.resume(returning: events) }
    }

    private static func append(_ event: SourceEvent, to state: inout State) {
        switch event {
        case .partitionError where state.events.count >= eventCountMax: state.droppedErrorCount += 1
        case .brokerState:
            // Only the newest state matters, so a reader that is away cannot make these pile up.
            state.events.removeAll { if case .brokerState = $0 { true } else { false } }
            state.events.append(event)
        case .leaderState(let live, let lost):
            if case .leaderState(let oldLive, let oldLost)? = state.events.last {
                let nowLive = Set(oldLive).subtracting(lost).union(live)
                let nowLost = Set(oldLost).subtracting(live).union(lost)
                state.events[state.events.count - 1] = .leaderState(live: nowLive.sorted(), lost: nowLost.sorted())
            } else {
                state.events.append(event)
            }
        default: state.events.append(event)
        }
    }

    /// Takes all events, waiting for the first; nil after the end.
    ///
    /// - Throws: the fatal error that ended the consumer, or `CancellationError`.
    func next() async throws -> [SourceEvent]? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let answer = state.withLock { state -> Answer in
                    if !state.events.isEmpty {
                        defer { state.events = [] }
                        return .events(state.events)
                    }
                    if state.isEnded { return state.failure.map { .failed($0) } ?? .ended }
                    if Task.isCancelled { return .failed(CancellationError()) }
                    precondition(state.waiter == nil, "only one task may call next()")
                    state.waiter = continuation
                    return .wait
                }
                switch answer {
                case .events(let events): continuation.resume(returning: events)
                case .ended: continuation.resume(returning: nil)
                case .failed(let error): continuation.resume(throwing: error)
                case .wait: break
                }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    /// Drops what belongs to the assignment so far: batches, ends, errors; news of brokers and partitions stay.
    func purge() {
        let dropped = state.withLock { state -> [SourceEvent] in
            let all = state.events
            state.events = all.filter {
                switch $0 {
                case .batch, .endOfPartition, .offsetOutOfRange, .partitionError, .assigned: false
                case .newPartitions, .brokerState, .leaderState: true
                }
            }
            return all
        }
        // The batches are released here, outside of the lock.
        _ = consume dropped
    }

    /// Ends the stream: what is left can still be taken, then `next()` gives nil or throws the failure.
    func end(failure: KafkaError?) {
        let waiter = state.withLock { state -> CheckedContinuation<[SourceEvent]?, any Error>? in
            guard !state.isEnded else { return nil }
            state.isEnded = true
            state.failure = failure
            defer { state.waiter = nil }
            return state.waiter
        }
        guard let waiter else { return }
        if let failure { waiter.resume(throwing: failure) } else { waiter.resume(returning: nil) }
    }

    /// Ends and drops everything that was not taken.
    func abandon() {
        end(failure: nil)
        let dropped = state.withLock { state in
            defer { state.events = [] }
            return state.events
        }
        _ = consume dropped
    }
}
