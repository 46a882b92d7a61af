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

    var isEmpty: Bool { facts.isEmpty }

    mutating func add(_ fact: HealthFact) {
        let subject = Subject(component: fact.component, subject: fact.subject)
        if let place = places[subject] {
            facts[place] = fact
        } else if facts.count < FactList.countMax {
            places[subject] = facts.count
            facts.append(fact)
        }
    }

    mutating func add(_ list: [HealthFact]) {
        for fact in list { add(fact) }
    }

    mutating func take() -> [HealthFact] {
        defer { self = FactList() }
        return facts
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

    func take() -> [HealthFact] { list.withLock { $0.take() } }
}

/// Raised once, for good; tasks wait for it.
final class StopSignal: Sendable {
    private struct State {
        var isRaised = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    var isRaised: Bool { state.withLock { $0.isRaised } }

    func raise() {
        let waiter = state.withLock { state in
            state.isRaised = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
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
