public import Core

/// Where an outbox row is in its life. Every row ends in exactly one of the settled states.
public enum OutboxState: String, Sendable, CaseIterable {
    /// To be sent, at once or when its time comes.
    case waiting
    /// In flight: an attempt of a process run holds it.
    case leased
    case sent
    /// Given up, with a reason; may be replayed or discarded.
    case dead
    /// Thrown away by a person.
    case discarded
    /// Another row says what it would have said.
    case superseded
    /// Not to be sent, with a reason.
    case suppressed

    /// True for the states that a row ends in.
    public var isSettled: Bool { self != .waiting && self != .leased }
}

/// Why a row was superseded.
public enum SupersedeReason: String, Sendable, CaseIterable {
    case newer, merged, resolved
}

/// In which order lanes that are due are served.
public enum OutboxPriority: UInt8, Sendable, Comparable, CaseIterable {
    case critical = 0
    /// The resolve of an incident that was sent.
    case resolveOfSent = 1
    case normal = 2

    public static func < (left: OutboxPriority, right: OutboxPriority) -> Bool { left.rawValue < right.rawValue }
}

/// What a row is to its lane, in column `kind`; modules may use further words.
public enum OutboxKind {
    /// A message about alerts: every row tells news of its own, so an old one may still be told after a newer one.
    public static let notification = "notification"
    /// A step in the life of one incident: after its end was taken, an earlier step would open it again.
    public static let incident = "incident"
}

/// One notification on its way to one receiver.
public struct OutboxRecord: Sendable, Equatable {
    /// Assigned by the store, ascending in the order of insertion, never reused; 0 before that.
    public var id: Int64
    public var receiver: String
    /// Destination, recipient and incident key, group key or digest: one row of a lane is in flight at a time.
    public var lane: String
    /// What it is: one of ``OutboxKind``, or a word of the module that wrote it.
    public var kind: String
    /// Fingerprint and episode for incidents, the group key for groups.
    public var incidentKey: String
    public var rule: String
    public var severity: Severity
    public var priority: OutboxPriority
    public var createdAt: Timestamp
    /// Not to be sent before.
    public var notBefore: Timestamp
    public var state: OutboxState
    /// The same at every attempt, for ever.
    public var idempotencyKey: String
    /// The notification, as JSON.
    public var payload: [UInt8]
    /// The body as laid out at the first attempt; every retry sends it again.
    public var body: [UInt8]?
    public var attemptCount: Int
    public var firstAttemptAt: Timestamp?
    /// Time spent waiting for a limiter, breaker, deferral or window; counts towards no age limit.
    public var waitedMilliseconds: Int64
    /// The process run that holds the lease.
    public var leaseRun: Int64?
    public var leaseUntil: Timestamp?
    /// How often an attempt ended without a known answer.
    public var ambiguousCount: Int
    public var settledAt: Timestamp?
    /// Why it is dead, discarded, superseded or suppressed; why the last attempt failed while it waits.
    public var reason: String?
    /// The row that says what this one would have said.
    public var supersededBy: Int64?
    /// What the vendor called it.
    public var providerId: String?
    public var recipient: String?

    /// Makes a row that waits from `createdAt` on.
    public init(
        receiver: String, lane: String, kind: String, incidentKey: String, rule: String, severity: Severity,
        priority: OutboxPriority, createdAt: Timestamp, idempotencyKey: String, payload: [UInt8], recipient: String?
    ) {
        id = 0
        self.receiver = receiver
        self.lane = lane
        self.kind = kind
        self.incidentKey = incidentKey
        self.rule = rule
        self.severity = severity
        self.priority = priority
        self.createdAt = createdAt
        notBefore = createdAt
        state = .waiting
        self.idempotencyKey = idempotencyKey
        self.payload = payload
        attemptCount = 0
        waitedMilliseconds = 0
        ambiguousCount = 0
        self.recipient = recipient
    }
}

/// A lane that may be served: nothing of it is in flight and a row of it is due.
public struct LaneCandidate: Sendable, Equatable {
    public var lane: String
    public var receiver: String
    /// The most urgent priority among its waiting rows.
    public var priority: OutboxPriority
    /// The earliest `notBefore` among its waiting rows.
    public var dueAt: Timestamp
    public var waitingCount: Int

    /// Describes a lane.
    public init(lane: String, receiver: String, priority: OutboxPriority, dueAt: Timestamp, waitingCount: Int) {
        self.lane = lane
        self.receiver = receiver
        self.priority = priority
        self.dueAt = dueAt
        self.waitingCount = waitingCount
    }
}

/// What an attempt did, in the words of ``AttemptRecord/outcome``.
public enum AttemptOutcomeName: String, Sendable, CaseIterable {
    case accepted, retryable, permanent, unauthorized, ambiguous
}

/// One attempt to send one outbox row.
public struct AttemptRecord: Sendable, Equatable {
    /// Assigned by the store; 0 before that.
    public var id: Int64
    public var outboxId: Int64
    public var receiver: String
    /// 1, 2, … per row.
    public var number: Int
    public var startedAt: Timestamp
    public var finishedAt: Timestamp
    public var outcome: AttemptOutcomeName
    /// The HTTP or SMTP status; nil where there was no answer.
    public var statusCode: Int?
    /// The vendor's words, redacted and cut; nil where there were none.
    public var detail: String?
    public var providerId: String?
    /// The process run that made it.
    public var run: Int64

    /// Describes an attempt.
    public init(
        outboxId: Int64, receiver: String, number: Int, startedAt: Timestamp, finishedAt: Timestamp,
        outcome: AttemptOutcomeName, statusCode: Int?, detail: String?, providerId: String?, run: Int64
    ) {
        id = 0
        self.outboxId = outboxId
        self.receiver = receiver
        self.number = number
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.outcome = outcome
        self.statusCode = statusCode
        self.detail = detail
        self.providerId = providerId
        self.run = run
    }
}

/// The lease of one row: what changes in it when an attempt begins.
public struct OutboxLease: Sendable {
    public var run: Int64
    public var until: Timestamp
    /// When the attempt begins; becomes `firstAttemptAt` where that is nil.
    public var at: Timestamp
    /// The coalesced payload; nil keeps the stored one.
    public var payload: [UInt8]?
    /// The body as laid out; nil keeps the stored one.
    public var body: [UInt8]?
    /// Added to the row's `waitedMilliseconds`.
    public var waitedMilliseconds: Int64

    /// Describes a lease.
    public init(
        run: Int64, until: Timestamp, at: Timestamp, payload: [UInt8]?, body: [UInt8]?, waitedMilliseconds: Int64
    ) {
        self.run = run
        self.until = until
        self.at = at
        self.payload = payload
        self.body = body
        self.waitedMilliseconds = waitedMilliseconds
    }
}

/// How a row ended.
public struct OutboxSettlement: Sendable {
    /// `sent`, `dead`, `discarded` or `suppressed`; superseding has its own call.
    public var state: OutboxState
    public var reason: String?
    public var providerId: String?
    public var at: Timestamp
    /// The attempt that settled it ended without a known answer.
    public var isAmbiguous: Bool

    /// Describes the end of a row.
    public init(state: OutboxState, reason: String?, providerId: String?, at: Timestamp, isAmbiguous: Bool) {
        self.state = state
        self.reason = reason
        self.providerId = providerId
        self.at = at
        self.isAmbiguous = isAmbiguous
    }
}

/// A leased row goes back to waiting.
public struct OutboxRelease: Sendable {
    public var notBefore: Timestamp
    /// Why the attempt failed, for `show`; nil where nothing was attempted.
    public var reason: String?
    /// Something was written and no answer came.
    public var isAmbiguous: Bool
    /// Whether the attempt counts towards `attemptCount`.
    public var countsAsAttempt: Bool
    /// Added to the row's `waitedMilliseconds`.
    public var waitedMilliseconds: Int64

    /// Describes a release.
    public init(
        notBefore: Timestamp, reason: String?, isAmbiguous: Bool, countsAsAttempt: Bool, waitedMilliseconds: Int64
    ) {
        self.notBefore = notBefore
        self.reason = reason
        self.isAmbiguous = isAmbiguous
        self.countsAsAttempt = countsAsAttempt
        self.waitedMilliseconds = waitedMilliseconds
    }
}

/// How many rows of a receiver are in a state.
public struct OutboxCount: Sendable, Equatable {
    public var receiver: String
    public var state: OutboxState
    public var count: Int

    /// Describes a count.
    public init(receiver: String, state: OutboxState, count: Int) {
        self.receiver = receiver
        self.state = state
        self.count = count
    }
}

/// One send that counts against a limit.
///
/// It is taken in the transaction that leases the row. Until the answer is known it counts in every window; afterwards
/// it counts in a window of length W until `answeredAt` + W.
public struct LimiterSlotRecord: Sendable, Equatable {
    /// Assigned by the store; 0 before that.
    public var id: Int64
    public var destination: String
    /// The recipient, for limits per recipient; nil where there are none.
    public var recipient: String?
    public var takenAt: Timestamp
    /// When the answer came, or the attempt timed out, or the program restarted; nil while open.
    public var answeredAt: Timestamp?
    public var run: Int64

    /// Describes a slot.
    public init(destination: String, recipient: String?, takenAt: Timestamp, answeredAt: Timestamp?, run: Int64) {
        id = 0
        self.destination = destination
        self.recipient = recipient
        self.takenAt = takenAt
        self.answeredAt = answeredAt
        self.run = run
    }
}
