import Core

/// What delivery knows of one destination while it runs; pure.
struct DestinationState: Sendable {
    var destination: any Destination
    var limiter: SlidingWindowLimiter
    /// Limiters of recipients that were sent to within the longest window.
    var recipients: [String: SlidingWindowLimiter] = [:]
    var bucket: TokenBucket?
    var breaker: Breaker
    /// The destination asked to be left alone until then.
    var pausedUntil: Timestamp?
    var inFlightCount = 0

    init(_ destination: any Destination) {
        self.destination = destination
        limiter = SlidingWindowLimiter(windows: destination.policy.windows)
        bucket = destination.policy.pace.map(TokenBucket.init(pace:))
        breaker = Breaker(policy: destination.policy.breaker)
    }

    var policy: DestinationPolicy { destination.policy }
    /// Whether sends are counted at all.
    var countsSends: Bool { !policy.windows.isEmpty || !policy.recipientWindows.isEmpty }
    /// Whether rows may have to wait because of a limit of the destination as a whole.
    var isLimited: Bool { !policy.windows.isEmpty || bucket != nil }
    var longestWindow: Duration {
        (policy.windows + policy.recipientWindows).map(\.duration).max() ?? .zero
    }

    /// Why no more may be claimed now, and when that changes.
    enum Room: Equatable {
        case rows(Int)
        case blocked(by: Block, until: Timestamp?)
    }

    enum Block: String, Sendable, CaseIterable { case breaker, pause, concurrency, limiter, pace }

    func room(at now: Timestamp) -> Room {
        if let pausedUntil, pausedUntil > now { return .blocked(by: .pause, until: pausedUntil) }
        var room = policy.claimBatch - inFlightCount
        switch breaker.permission(at: now) {
        case .all: break
        case .none(let until): return .blocked(by: .breaker, until: until)
        case .probe: room = inFlightCount == 0 ? 1 : 0
        }
        guard room > 0 else { return .blocked(by: .concurrency, until: nil) }
        let slots = limiter.availableCount(at: now)
        guard slots > 0 else { return .blocked(by: .limiter, until: limiter.nextFree(at: now)) }
        room = min(room, slots)
        if let bucket {
            let tokens = bucket.availableCount(at: now)
            guard tokens > 0 else { return .blocked(by: .pace, until: bucket.nextFree(at: now)) }
            room = min(room, tokens)
        }
        return .rows(room)
    }

    func recipientLimiter(_ recipient: String) -> SlidingWindowLimiter {
        recipients[recipient] ?? SlidingWindowLimiter(windows: policy.recipientWindows)
    }

    mutating func takeSlot(recipient: String?, at now: Timestamp) {
        limiter.take()
        bucket?.take(at: now)
        if let recipient, !policy.recipientWindows.isEmpty {
            var own = recipientLimiter(recipient)
            own.take()
            recipients[recipient] = own
        }
    }

    mutating func answerSlot(recipient: String?, at time: Timestamp) {
        limiter.answer(at: time)
        if let recipient { recipients[recipient]?.answer(at: time) }
    }

    mutating func giveBackSlot(recipient: String?) {
        limiter.giveBack()
        if let recipient { recipients[recipient]?.giveBack() }
    }

    mutating func restoreSlot(recipient: String?, answeredAt time: Timestamp) {
        limiter.restore(answeredAt: time)
        if let recipient, !policy.recipientWindows.isEmpty {
            var own = recipientLimiter(recipient)
            own.restore(answeredAt: time)
            recipients[recipient] = own
        }
    }

    /// Forgets what counts nowhere any more. Returns whether stored slots may have become needless.
    mutating func prune(at now: Timestamp) -> Bool {
        var isPruned = limiter.prune(at: now)
        for recipient in Array(recipients.keys) {
            if recipients[recipient]?.prune(at: now) == true { isPruned = true }
            if recipients[recipient]?.isIdle(at: now) == true { recipients[recipient] = nil }
        }
        return isPruned
    }
}
