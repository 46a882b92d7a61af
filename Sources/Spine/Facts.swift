internal import Synchronization

/// Facts that wait to be noted: of each subject the newest, in the order in which the subjects first came.
///
/// What was wrong and is right again before it could be noted is right: nobody is told.
struct FactList: Sendable {
    /// Most subjects that wait; further ones are left out. No router has as many parts.
    static let countMax = 10_000

    private struct Subject: Hashable {
        var component: String
        var subject: String
    }

    private(set) var facts: [HealthFact] = []
    private var places: [Subject: Int] = [:]
    /// Facts that were left out, until ``takeDroppedCount()``.
    private var droppedCount = 0

    var isEmpty: Bool { facts.isEmpty }

    mutating func add(_ fact: HealthFact) {
        let subject = Subject(component: fact.component, subject: fact.subject)
        if let place = places[subject] {
            facts[place] = fact
        } else if facts.count < FactList.countMax {
            places[subject] = facts.count
            facts.append(fact)
        } else {
            droppedCount += 1
        }
    }

    mutating func add(_ list: [HealthFact]) {
        for fact in list { add(fact) }
    }

    mutating func take() -> [HealthFact] {
        defer {
            facts = []
            places = [:]
        }
        return facts
    }

    mutating func takeDroppedCount() -> Int {
        defer { droppedCount = 0 }
        return droppedCount
    }
}

/// Facts on their way from any task to the loop; bounded, nobody waits.
final class FactInbox: Sendable {
    private let list = Mutex(FactList())

    /// Adds a fact; true where the loop has to be told that some wait.
    func add(_ fact: HealthFact) -> Bool {
        list.withLock { list in
            let wasEmpty = list.isEmpty
            list.add(fact)
            return wasEmpty
        }
    }

    /// What waits, and how many facts were left out since the last call.
    func take() -> (facts: [HealthFact], droppedCount: Int) {
        list.withLock { ($0.take(), $0.takeDroppedCount()) }
    }
}

/// Raised once, for good; tasks wait for it.
final class StopSignal: Sendable {
    private struct State {
        var isRaised = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    var isRaised: Bool { state.withLock { $0.isRaised } }

    /// Raises it; true the first time.
    @discardableResult
    func raise() -> Bool {
        let (isFirst, waiter) = state.withLock { state in
            let isFirst = !state.isRaised
            state.isRaised = true
            defer { state.waiter = nil }
            return (isFirst, state.waiter)
        }
        waiter?.resume()
        return isFirst
    }

    /// Waits until it is raised or the task is cancelled; one caller at a time.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isRaised || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }
}
