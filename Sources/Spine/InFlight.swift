internal import Core
internal import Synchronization

/// What has been handed to the store's writer and not been answered: bounds it, and remembers the first failure.
final class InFlight: Sendable {
    private struct State {
        var unitCount = 0
        var byteCount = 0
        var answerCount = 0
        var failure: (any Error)?
        var waiter: CheckedContinuation<Void, Never>?
        var waitUnitsMax = 0
        var waitBytesMax = 0
    }

    private let state = Mutex(State())

    var unitCount: Int { state.withLock { $0.unitCount } }
    /// How many units are not answered, and how many were.
    var counts: (units: Int, answers: Int) { state.withLock { ($0.unitCount, $0.answerCount) } }
    var failure: (any Error)? { state.withLock { $0.failure } }

    /// A unit was handed over. The gauge is set under the lock, so that it tells the last change last.
    func begin(byteCount: Int, gauge: Gauge) {
        state.withLock {
            $0.unitCount += 1
            $0.byteCount += byteCount
            gauge.set(Double($0.unitCount))
        }
    }

    /// A unit was answered; wakes who waits for room.
    func end(byteCount: Int, failure: (any Error)?, gauge: Gauge) {
        let waiter = state.withLock { state in
            state.unitCount -= 1
            state.answerCount += 1
            state.byteCount -= byteCount
            gauge.set(Double(state.unitCount))
            if state.failure == nil { state.failure = failure }
            guard state.unitCount <= state.waitUnitsMax, state.byteCount <= state.waitBytesMax else {
                return nil as CheckedContinuation<Void, Never>?
            }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Waits until no more than this is in flight; one caller at a time.
    func waitUntil(unitsMax: Int, bytesMax: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.unitCount <= unitsMax, state.byteCount <= bytesMax { return true }
                state.waitUnitsMax = unitsMax
                state.waitBytesMax = bytesMax
                state.waiter = continuation
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}
