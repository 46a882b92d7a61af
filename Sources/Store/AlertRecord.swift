public import Core

/// The durable state of one alert.
public struct AlertRecord: Sendable, Equatable {
    /// 32 bytes.
    public var fingerprint: [UInt8]
    public var rule: String
    public var table: String
    /// `Alert.State`'s raw value.
    public var state: UInt8
    public var severity: Severity
    public var episode: Int64
    /// Table-clock time of the last change of state.
    public var changedAt: Timestamp
    /// Loaded at a start: pending, firing, or with a timer or row set of its own. Others only keep their episode.
    public var isOpen: Bool
    /// The whole alert in its stored form.
    public var bytes: [UInt8]

    /// Describes an alert.
    public init(
        fingerprint: [UInt8], rule: String, table: String, state: UInt8, severity: Severity, episode: Int64,
        changedAt: Timestamp, isOpen: Bool, bytes: [UInt8]
    ) {
        self.fingerprint = fingerprint
        self.rule = rule
        self.table = table
        self.state = state
        self.severity = severity
        self.episode = episode
        self.changedAt = changedAt
        self.isOpen = isOpen
        self.bytes = bytes
    }
}

/// Which alerts to list, newest change first.
public struct AlertQuery: Sendable {
    /// Only open ones, only the others, or both where nil.
    public var isOpen: Bool?
    public var rule: String?
    public var severityMin: Severity?
    public var countMax: Int
    public var skipCount: Int

    /// Describes a listing.
    public init(isOpen: Bool?, rule: String?, severityMin: Severity?, countMax: Int, skipCount: Int) {
        self.isOpen = isOpen
        self.rule = rule
        self.severityMin = severityMin
        self.countMax = countMax
        self.skipCount = skipCount
    }
}

/// One line of the history: an alert changed.
public struct TransitionRecord: Sendable, Equatable {
    /// Assigned by the store; 0 before that.
    public var id: Int64
    /// 32 bytes.
    public var fingerprint: [UInt8]
    public var rule: String
    public var table: String
    /// `Transition.Kind`'s raw value.
    public var kind: UInt8
    public var severity: Severity
    public var previousSeverity: Severity?
    public var episode: Int64
    /// Table-clock time of the change.
    public var at: Timestamp
    /// Wall-clock time of the commit; retention goes by it.
    public var recordedAt: Timestamp
    public var reason: String
    public var keyDisplay: String
    /// The event that caused it; nil for a timer or command.
    public var cause: EventPosition?

    /// Describes a change.
    public init(
        fingerprint: [UInt8], rule: String, table: String, kind: UInt8, severity: Severity,
        previousSeverity: Severity?, episode: Int64, at: Timestamp, recordedAt: Timestamp, reason: String,
        keyDisplay: String, cause: EventPosition?
    ) {
        id = 0
        self.fingerprint = fingerprint
        self.rule = rule
        self.table = table
        self.kind = kind
        self.severity = severity
        self.previousSeverity = previousSeverity
        self.episode = episode
        self.at = at
        self.recordedAt = recordedAt
        self.reason = reason
        self.keyDisplay = keyDisplay
        self.cause = cause
    }
}

/// Errors of one rule with one reason, added up.
public struct EvaluationErrorRecord: Sendable, Equatable {
    public var rule: String
    public var reason: String
    public var count: Int64
    public var firstAt: Timestamp
    public var lastAt: Timestamp
    /// The row key of the last one.
    public var rowKey: String
    /// The message of the last one.
    public var cause: EventPosition?

    /// Describes errors.
    public init(
        rule: String, reason: String, count: Int64, firstAt: Timestamp, lastAt: Timestamp, rowKey: String,
        cause: EventPosition?
    ) {
        self.rule = rule
        self.reason = reason
        self.count = count
        self.firstAt = firstAt
        self.lastAt = lastAt
        self.rowKey = rowKey
        self.cause = cause
    }
}
