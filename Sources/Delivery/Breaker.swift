import Core

/// Leaves a failing destination alone, and probes it; pure.
struct Breaker: Sendable, Equatable {
    enum State: Sendable, Equatable {
        case closed(failureCount: Int)
        /// Left alone until a time; `openCount` times in a row.
        case open(until: Timestamp, openCount: Int)
        /// One attempt is out to see.
        case probing(openCount: Int)
    }

    enum Permission: Sendable, Equatable {
        case all
        /// One attempt, to see whether the destination is back.
        case probe
        /// None before that time; nil while a probe is out.
        case none(until: Timestamp?)
    }

    private let policy: BreakerPolicy
    private(set) var state = State.closed(failureCount: 0)

    init(policy: BreakerPolicy) { self.policy = policy }

    var isOpen: Bool { if case .closed = state { false } else { true } }

    func permission(at now: Timestamp) -> Permission {
        switch state {
        case .closed: .all
        case .open(let until, _): until <= now ? .probe : .none(until: until)
        case .probing: .none(until: nil)
        }
    }

    /// Notes that the probe was sent out.
    mutating func probeStarted() {
        if case .open(_, let count) = state { state = .probing(openCount: count) }
    }

    /// Notes that the probe was given back without an attempt.
    mutating func probeReturned(at now: Timestamp) {
        if case .probing(let count) = state { state = .open(until: now, openCount: count) }
    }

    /// Notes an accepted row. Returns whether this closed the breaker.
    mutating func succeeded() -> Bool {
        let wasOpen = isOpen
        state = .closed(failureCount: 0)
        return wasOpen
    }

    /// Notes a failure. Returns whether this opened the breaker (again failing probes are no news).
    mutating func failed(at now: Timestamp) -> Bool {
        switch state {
        case .closed(let count):
            guard count + 1 >= policy.failureCountMax else {
                state = .closed(failureCount: count + 1)
                return false
            }
            state = .open(until: now.adding(openTime(0)), openCount: 1)
            return true
        case .probing(let count):
            state = .open(until: now.adding(openTime(count)), openCount: count + 1)
            return false
        case .open: return false  // an attempt from before it opened
        }
    }

    /// Notes a refusal of credentials: opens at once, for the longest time. Returns whether this opened it.
    mutating func unauthorized(at now: Timestamp) -> Bool {
        let wasOpen = isOpen
        state = .open(until: now.adding(policy.openCap), openCount: 1)
        return !wasOpen
    }

    private func openTime(_ openCount: Int) -> Duration {
        min(policy.openCap, policy.openBase * (1 << min(openCount, 20)))
    }
}
