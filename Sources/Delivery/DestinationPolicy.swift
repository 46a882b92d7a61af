/// At most `count` sends in any window of `duration`.
public struct RateWindow: Sendable, Equatable {
    public var count: Int
    public var duration: Duration
    /// Makes a window.
    public init(count: Int, duration: Duration) {
        self.count = count
        self.duration = duration
    }
}

/// How sends are spread: a token bucket. It smooths and decides no limit.
public struct Pace: Sendable, Equatable {
    public var perSecond: Double
    public var burst: Int
    /// Makes a pace.
    public init(perSecond: Double, burst: Int) {
        self.perSecond = perSecond
        self.burst = burst
    }
}

/// What is done with a row whose answer was lost.
public enum AmbiguousPolicy: String, Sendable, CaseIterable {
    /// Send again, once per lost answer; the receiver may see a duplicate.
    case resend
    /// Give it up as dead, for a person to decide.
    case hold
}

/// When a destination is left alone for a while.
public struct BreakerPolicy: Sendable, Equatable {
    /// Failures in a row that open the breaker.
    public var failureCountMax: Int
    /// How long it stays open the first time; doubles with each failed probe.
    public var openBase: Duration
    /// The longest it stays open between two probes, and how long a refusal of credentials opens it.
    public var openCap: Duration

    /// Makes a policy.
    public init(failureCountMax: Int, openBase: Duration, openCap: Duration) {
        self.failureCountMax = failureCountMax
        self.openBase = openBase
        self.openCap = openCap
    }
}

/// Limits, timeouts and retries of a destination.
public struct DestinationPolicy: Sendable, Equatable {
    /// Limits of the destination; exact, kept over restarts.
    public var windows: [RateWindow]
    /// Limits of each recipient; what does not fit is merged into one message.
    public var recipientWindows: [RateWindow]
    public var pace: Pace?
    /// Most attempts at one time, the layout of their messages included.
    public var concurrency: Int
    /// Most rows held in flight, at least ``concurrency``. Above it rows are taken ahead, so that one connection does
    /// not wait for each commit; after a crash all of them are sent again as ambiguous.
    public var claimBatch: Int
    /// The longest an attempt takes.
    public var attemptTimeout: Duration
    /// Backoff: a random time up to base · 2ⁿ, at most the cap.
    public var retryBase: Duration
    public var retryCap: Duration
    /// Rows that were tried for longer become dead; time spent waiting for reasons of ours does not count.
    public var ageLimit: Duration
    /// With more waiting rows than this they merge into one message; nil never merges.
    public var mergeAbove: Int?
    public var onAmbiguous: AmbiguousPolicy
    public var breaker: BreakerPolicy

    /// Makes a policy.
    public init(
        windows: [RateWindow], recipientWindows: [RateWindow], pace: Pace?, concurrency: Int, claimBatch: Int,
        attemptTimeout: Duration, retryBase: Duration, retryCap: Duration, ageLimit: Duration, mergeAbove: Int?,
        onAmbiguous: AmbiguousPolicy, breaker: BreakerPolicy
    ) {
        self.windows = windows
        self.recipientWindows = recipientWindows
        self.pace = pace
        self.concurrency = max(1, concurrency)
        self.claimBatch = max(self.concurrency, claimBatch)
        self.attemptTimeout = attemptTimeout
        self.retryBase = retryBase
        self.retryCap = retryCap
        self.ageLimit = ageLimit
        self.mergeAbove = mergeAbove
        self.onAmbiguous = onAmbiguous
        self.breaker = breaker
    }

    /// What every channel starts from: no limits, one attempt at a time, 30 s per attempt, backoff from 1 s to 5 min,
    /// 24 h, no merging, resend; the breaker opens after 5 failures for 15 s to 5 min.
    public static let standard = DestinationPolicy(
        windows: [], recipientWindows: [], pace: nil, concurrency: 1, claimBatch: 1, attemptTimeout: .seconds(30),
        retryBase: .seconds(1), retryCap: .seconds(300), ageLimit: .seconds(86_400), mergeAbove: nil,
        onAmbiguous: .resend,
        breaker: BreakerPolicy(failureCountMax: 5, openBase: .seconds(15), openCap: .seconds(300)))
}
