internal import Core
internal import Synchronization

/// The one queue a worker's loop waits on: source events, commands, results of commits, timers.
///
/// Producers of source events wait until their last delivery was taken, so what is queued stays bounded by one
/// delivery; commands are bounded by ``WorkerLimits/commandsMax``, results by the units in flight, and what is left is
/// told once.
final class Mailbox<Item: Sendable>: Sendable {
    private struct State {
        var items: [Item] = []
        var reader: CheckedContinuation<Void, Never>?
        var producer: CheckedContinuation<Void, Never>?
        var isClosed = false

        mutating func takeReader() -> CheckedContinuation<Void, Never>? {
            defer { reader = nil }
            return reader
        }
    }

    private let state = Mutex(State())

    /// Queues an item and wakes the reader; false where nobody will read it.
    @discardableResult
    func post(_ item: Item) -> Bool {
        let (isTaken, reader) = state.withLock { state in
            guard !state.isClosed else { return (false, nil as CheckedContinuation<Void, Never>?) }
            state.items.append(item)
            return (true, state.takeReader())
        }
        reader?.resume()
        return isTaken
    }

    /// Queues an item and waits until the reader has taken all that is queued; for the one producer of source events.
    func deliver(_ item: Item) async {
        post(item)
        await withCheckedContinuation { continuation in
            let isTaken = state.withLock { state in
                if state.items.isEmpty || state.isClosed { return true }
                state.producer = continuation
                return false
            }
            if isTaken { continuation.resume() }
        }
    }

    /// No more items are taken: a waiting producer and reader go on.
    /// - Returns: what nobody will read.
    func close() -> [Item] {
        let (items, reader, producer) = state.withLock { state in
            state.isClosed = true
            let (items, producer) = (state.items, state.producer)
            state.items = []
            state.producer = nil
            return (items, state.takeReader(), producer)
        }
        reader?.resume()
        producer?.resume()
        return items
    }

    /// Takes everything queued; waits for the first item until `deadline`, where there is one.
    func take(until deadline: Timestamp?, clock: any WallClock) async -> [Item] {
        let items = takeNow()
        if !items.isEmpty { return items }
        await wait(until: deadline, clock: clock)
        return takeNow()
    }

    private func takeNow() -> [Item] {
        let (items, producer) = state.withLock { state in
            let items = state.items
            state.items = []
            let producer = state.producer
            state.producer = nil
            return (items, producer)
        }
        producer?.resume()
        return items
    }

    private func wait(until deadline: Timestamp?, clock: any WallClock) async {
        guard let deadline else { return await waitForItem() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitForItem() }
            group.addTask { try? await clock.sleep(until: deadline) }
            await group.next()
            group.cancelAll()
        }
    }

    private func waitForItem() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if !state.items.isEmpty || state.isClosed || Task.isCancelled { return true }
                    state.reader = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.takeReader() }?.resume()
        }
    }
}
