internal import CRdKafka
internal import Core
internal import Synchronization

/// Counts what is outstanding: messages in batches that were made and not yet released.
final class BatchLedger: Sendable {
    private struct State {
        var byteCount = 0
        var messageCount = 0
        var batchCount = 0
        var isAbove = false
        var isClosing = false
    }

    private let limits: KafkaConfiguration.BufferLimits
    private let handle: ClientHandle
    private let state = Mutex(State())

    init(limits: KafkaConfiguration.BufferLimits, handle: ClientHandle) {
        self.limits = limits
        self.handle = handle
    }

    /// Whether the thread must take nothing more for now.
    var isAbove: Bool { state.withLock { $0.isAbove } }
    var outstanding: (byteCount: Int, messageCount: Int, batchCount: Int) {
        state.withLock { ($0.byteCount, $0.messageCount, $0.batchCount) }
    }

    func add(byteCount: Int, messageCount: Int) {
        state.withLock { state in
            state.byteCount += byteCount
            state.messageCount += messageCount
            state.batchCount += 1
            if state.byteCount >= limits.byteCountHigh || state.messageCount >= limits.messageCountHigh {
                state.isAbove = true
            }
        }
    }

    /// Gives back what ``add(byteCount:messageCount:)`` counted; wakes the thread where it waits for that.
    func release(byteCount: Int, messageCount: Int) {
        let wakes = state.withLock { state in
            state.byteCount -= byteCount
            state.messageCount -= messageCount
            state.batchCount -= 1
            let isBelow = state.byteCount <= limits.byteCountLow && state.messageCount <= limits.messageCountLow
            let wasAbove = state.isAbove
            if isBelow { state.isAbove = false }
            return (wasAbove && isBelow) || (state.isClosing && state.batchCount == 0)
        }
        if wakes { handle.wake() }
    }

    /// From now on the release of the last batch wakes the thread.
    func close() { state.withLock { $0.isClosing = true } }
}
