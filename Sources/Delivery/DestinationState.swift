import Core

/// What delivery knows of one destination while it runs; pure.
struct DestinationState: Sendable {
    var destination: any Destination
    var limiter: SlidingWindowLimiter
    /// Limiters of recipients that were sent to within the longest window.
    private(set) var recipients = RecipientLimiters()
    /// When slots that count nowhere any more are next looked for.
    private var pruneDueAt = Timestamp.distantPast
    var bucket: TokenBucket?
    var breaker: Breaker
    /// The destination asked to be left alone until then.
    var pausedUntil: Timestamp?
    var inFlightCount = 0
    /// Its rows could not be handled, for a reason that is not the store's: they are tried again then.
    var failedUntil: Timestamp?

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

    /// Takes what an attempt needs. Changes the state in its place: a copy would copy its limiters.
    /// - Returns: how many rows are now in flight.
    mutating func begin(recipient: String?, at now: Timestamp) -> Int {
        takeSlot(recipient: recipient, at: now)
        if breaker.permission(at: now) == .probe { breaker.probeStarted() }
        inFlightCount += 1
        return inFlightCount
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
        if let recipient { recipients.change(recipient) { $0.answer(at: time) } }
    }

    mutating func giveBackSlot(recipient: String?) {
        limiter.giveBack()
        if let recipient { recipients.change(recipient) { $0.giveBack() } }
    }

    mutating func restoreSlot(recipient: String?, answeredAt time: Timestamp) {
        limiter.restore(answeredAt: time)
        if let recipient, !policy.recipientWindows.isEmpty {
            var own = recipientLimiter(recipient)
            own.restore(answeredAt: time)
            recipients[recipient] = own
        }
    }

    /// Forgets what counts nowhere any more, once a second: every recipient is looked at.
    /// - Returns: whether stored slots may have become needless.
    mutating func prune(at now: Timestamp) -> Bool {
        guard now >= pruneDueAt || now < pruneDueAt.adding(milliseconds: -2 * DestinationState.pruneMilliseconds)
        else { return false }
        pruneDueAt = now.adding(milliseconds: DestinationState.pruneMilliseconds)
        let isPruned = limiter.prune(at: now)
        return recipients.prune(at: now) || isPruned
    }

    static let pruneMilliseconds: Int64 = 1000
}

/// A limiter per recipient, in shards: a pass works on a copy of the state, which then copies the shards it touches
/// only, however many recipients there are.
struct RecipientLimiters: Sendable {
    private static let shardCount = 64
    private var shards = [[String: SlidingWindowLimiter]](repeating: [:], count: shardCount)

    private static func shard(of recipient: String) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in recipient.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int(hash >> 32) % shardCount
    }

    var count: Int { shards.reduce(0) { $0 + $1.count } }

    subscript(recipient: String) -> SlidingWindowLimiter? {
        get { shards[RecipientLimiters.shard(of: recipient)][recipient] }
        set { shards[RecipientLimiters.shard(of: recipient)][recipient] = newValue }
    }

    /// Changes a recipient's limiter in its place, where there is one.
    mutating func change(_ recipient: String, _ body: (inout SlidingWindowLimiter) -> Void) {
        let shard = RecipientLimiters.shard(of: recipient)
        guard let index = shards[shard].index(forKey: recipient) else { return }
        body(&shards[shard].values[index])
    }

    mutating func prune(at now: Timestamp) -> Bool {
        var isPruned = false
        for shard in shards.indices {
            for recipient in Array(shards[shard].keys) {
                change(recipient) { if $0.prune(at: now) { isPruned = true } }
                if shards[shard][recipient]?.isIdle(at: now) == true { shards[shard][recipient] = nil }
            }
        }
        return isPruned
    }
}
