import Core
internal import Synchronization

/// Wakes one waiting task; a ring while nobody waits is kept.
final class Doorbell: Sendable {
    private struct State {
        var isRung = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Wakes the waiting task, or the next one that waits.
    func ring() {
        let waiter = state.withLock { state in
            let waiter = state.waiter
            state.waiter = nil
            if waiter == nil { state.isRung = true }
            return waiter
        }
        waiter?.resume()
    }

    /// Waits for a ring, or until a time where one is given.
    ///
    /// Cancellation of the calling task does not end it: whoever cancels rings.
    func wait(until deadline: Timestamp?, clock: any WallClock) async {
        guard let deadline, !Task.isCancelled else { return await waitForRing() }
        guard deadline > clock.now() else {
            state.withLock { $0.isRung = false }
            return
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // On its time, or when the ring came first and cancels it.
                try? await clock.sleep(until: deadline)
                self.ring()
            }
            await waitForRing()
            group.cancelAll()
        }
        // The sleeper's ring of a wait that a ring ended is not news.
        state.withLock { $0.isRung = false }
    }

    /// Waits until a time whatever rings; the rings are kept.
    func pause(until deadline: Timestamp, clock: any WallClock) async {
        try? await clock.sleep(until: deadline)
    }

    private func waitForRing() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isRung = state.withLock { state in
                if state.isRung {
                    state.isRung = false
                    return true
                }
                state.waiter = continuation
                return false
            }
            if isRung { continuation.resume() }
        }
    }
}
