public import Core

/// When the outbound heartbeat is sent: every so often, but only while the router consumes and delivers; pure.
public struct Heartbeat: Sendable, Equatable {
    private let every: Duration
    private var lastSentAt: Timestamp?

    /// Makes a heartbeat that is due at once.
    public init(every: Duration) { self.every = every }

    /// What to do at a time.
    public enum Action: Sendable, Equatable {
        case send
        /// Nothing before that time.
        case wait(until: Timestamp)
    }

    /// Decides at a time. While the router does not consume or deliver nothing is sent, and the receiver notices.
    public mutating func check(at now: Timestamp, isConsuming: Bool, isDelivering: Bool) -> Action {
        if let lastSentAt, now < lastSentAt.adding(every) { return .wait(until: lastSentAt.adding(every)) }
        guard isConsuming, isDelivering else {
            // Looked at again soon, so that a recovery shows within a fraction of the period.
            return .wait(until: now.adding(milliseconds: max(1, every.wholeMilliseconds / 10)))
        }
        lastSentAt = now
        return .send
    }
}

/// Sends the heartbeat until cancelled.
public struct HeartbeatSender: Sendable {
    private let every: Duration
    private let clock: any WallClock
    private let isConsuming: @Sendable () -> Bool
    private let isDelivering: @Sendable () -> Bool
    private let send: @Sendable (_ deadline: Timestamp) async -> Bool
    private let sentCount: Counter
    private let failedCount: Counter

    /// Makes a sender.
    ///
    /// - Parameter send: makes one request, returns by the deadline, and tells whether it was taken. A failed one is
    /// not
    ///   repeated: the next comes soon, and a missing one is the signal.
    public init(
        every: Duration, clock: any WallClock, metrics: MetricsRegistry,
        isConsuming: @escaping @Sendable () -> Bool, isDelivering: @escaping @Sendable () -> Bool,
        send: @escaping @Sendable (_ deadline: Timestamp) async -> Bool
    ) {
        self.every = every
        self.clock = clock
        self.isConsuming = isConsuming
        self.isDelivering = isDelivering
        self.send = send
        sentCount = metrics.counter(
            "alert_router_heartbeats_total", "Heartbeats, by result.", labels: ["result": "sent"])
        failedCount = metrics.counter(
            "alert_router_heartbeats_total", "Heartbeats, by result.", labels: ["result": "failed"])
    }

    /// Sends until the task is cancelled.
    public func run() async {
        var heartbeat = Heartbeat(every: every)
        while !Task.isCancelled {
            let now = clock.now()
            switch heartbeat.check(at: now, isConsuming: isConsuming(), isDelivering: isDelivering()) {
            case .send:
                let timeout = min(every.wholeMilliseconds, 10_000)
                let isTaken = await send(now.adding(milliseconds: timeout))
                (isTaken ? sentCount : failedCount).add()
            case .wait(let until):
                do { try await clock.sleep(until: until) } catch { return }
            }
        }
    }
}
