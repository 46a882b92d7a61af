internal import Synchronization

/// Opened once, by a thread that has ended; tasks wait for it up to a limit.
final class StopLatch: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var waiterCount = 0
    }

    private let state = Mutex(State())

    var isOpen: Bool { state.withLock { $0.isOpen } }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when it is open, or after `limit`.
    /// - Returns: whether it is.
    func wait(atMost limit: Duration) async -> Bool {
        let id = state.withLock { state in
            state.waiterCount += 1
            return state.waiterCount
        }
        // A task of its own: it must be able to end while the thread, which may hang in librdkafka, does not.
        let watchdog = Task.detached {
            try? await ContinuousClock().sleep(for: limit)
            self.state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters[id] = continuation }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
        watchdog.cancel()
        return isOpen
    }
}
