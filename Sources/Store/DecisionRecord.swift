public import Core

/// Why somebody was told of an alert, or was not.
public struct DecisionRecord: Sendable, Equatable {
    /// Assigned by the store; 0 before that.
    public var id: Int64
    /// 32 bytes.
    public var fingerprint: [UInt8]
    public var episode: Int64
    /// Time of the decision by the router clock.
    public var at: Timestamp
    /// Wall-clock time of the commit; retention goes by it.
    public var recordedAt: Timestamp
    public var receiver: String
    public var recipient: String?
    /// The reason of the notification, or what was decided instead of one.
    public var decision: String
    public var detail: String
    /// The steps through the routes.
    public var path: [String]

    /// Describes a decision.
    public init(
        fingerprint: [UInt8], episode: Int64, at: Timestamp, recordedAt: Timestamp, receiver: String,
        recipient: String?, decision: String, detail: String, path: [String]
    ) {
        id = 0
        self.fingerprint = fingerprint
        self.episode = episode
        self.at = at
        self.recordedAt = recordedAt
        self.receiver = receiver
        self.recipient = recipient
        self.decision = decision
        self.detail = detail
        self.path = path
    }
}

/// Who changed what, from where.
public struct AuditRecord: Sendable, Equatable {
    /// Assigned by the store; 0 before that.
    public var id: Int64
    public var at: Timestamp
    /// The person or service.
    public var actor: String
    /// Where the request came from, such as an address or `cli`.
    public var origin: String
    /// Such as `acknowledge`, `put-silence`.
    public var action: String
    /// What was changed: a fingerprint, the id of a silence.
    public var subject: String
    public var detail: String

    /// Describes a change.
    public init(at: Timestamp, actor: String, origin: String, action: String, subject: String, detail: String) {
        id = 0
        self.at = at
        self.actor = actor
        self.origin = origin
        self.action = action
        self.subject = subject
        self.detail = detail
    }
}
