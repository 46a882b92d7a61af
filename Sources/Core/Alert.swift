/// The original text of a column, kept with an alert for templates and digests.
public struct ColumnText: Sendable, Hashable {
    public var kind: SlotValue.Kind
    /// The value's original text; empty for missing, null and unknown.
    public var text: String

    /// Keeps a column's text.
    public init(kind: SlotValue.Kind, text: String) {
        self.kind = kind
        self.text = text
    }
}

/// Where an event was read: its message and its place in the source's own order.
public struct EventPosition: Sendable, Hashable {
    public var topic: String
    public var partition: Int32
    public var offset: Int64
    /// Commit version, LSN or offset: the source's own order.
    public var version: Int64

    /// Names the message that carried an event.
    public init(topic: String, partition: Int32, offset: Int64, version: Int64) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.version = version
    }
}

/// The row that an alert with several rows per key was last judged by (`across: latest`).
public struct NewestRow: Sendable, Hashable {
    /// Stable digest of the row key.
    public var digest: UInt64
    public var eventTime: Timestamp
    /// The source's own order.
    public var version: Int64

    /// Names a row and its place in the order of rows.
    public init(digest: UInt64, eventTime: Timestamp, version: Int64) {
        self.digest = digest
        self.eventTime = eventTime
        self.version = version
    }
}

/// A row that breaches (`across: any`).
public struct BreachingRow: Sendable, Hashable {
    /// Stable digest of the row key.
    public var digest: UInt64
    /// The level at which the row breaches.
    public var severity: Severity
    /// The row was deleted and is forgotten when the table clock passes this time.
    public var holdUntil: Timestamp?
    /// Commit version of that delete.
    public var holdVersion: Int64

    /// Remembers a row that breaches.
    public init(digest: UInt64, severity: Severity) {
        self.digest = digest
        self.severity = severity
        holdVersion = 0
    }
}

/// The state of one alert: one rule, one key. Holds the rule's name, no template and no closure.
public struct Alert: Sendable, Equatable {
    /// Where the alert is in its life.
    public enum State: UInt8, Sendable { case inactive = 0, pending, firing, resolved }

    public var fingerprint: Fingerprint
    public var rule: String
    public var table: String
    public var owner: String
    public var keyColumns: [String]
    /// Original texts of the key columns; nil for null.
    public var keyTexts: [String?]
    public var state: State
    /// The level it fires at (the last one when resolved; the highest pending one while pending).
    public var severity: Severity
    /// 1, 2, …: each time the alert starts firing; 0 before the first.
    public var episode: UInt32
    /// Since when "this level or a higher one holds", by severity; nil where it does not.
    public var levelSince: [Timestamp?]
    public var pendingSince: Timestamp?
    public var firingSince: Timestamp?
    public var resolvedAt: Timestamp?
    /// Due time of a deadline rule.
    public var dueAt: Timestamp?
    /// The due time was already past when the row was first seen.
    public var isOverdue: Bool
    /// The last row of the key had the third outcome (null, missing or unknown value, evaluation error).
    public var isLastValueUnknown: Bool
    /// More rows breach than are remembered (`across: any`).
    public var isInexact: Bool
    /// A delete resolves the alert when the table clock passes this time.
    public var holdUntil: Timestamp?
    /// Commit version of the delete that is held.
    public var holdVersion: Int64
    /// The rows that breach (`across: any`), up to a bound; beyond it the alert is inexact.
    public var breachingRows: [BreachingRow]
    /// Commit time of the last breach (`across: any`, inexact).
    public var lastBreachAt: Timestamp?
    /// The row last judged, where several rows share a key (`across: latest`).
    public var newestRow: NewestRow?
    /// Labels, frozen per episode.
    public var labels: [String: String]
    /// Who is told, from the row; frozen per episode.
    public var recipient: String?
    /// Columns that templates and digests name, by path such as `after.batch`, as of the last change.
    public var columns: [String: ColumnText]
    /// Fired while bootstrapping: shown in digests and the "already open" summary, sends no resolve.
    public var isBootstrap: Bool
    /// The event that last changed the state; nil for a timer.
    public var cause: EventPosition?
    /// Table-clock time of the last change of state.
    public var changedAt: Timestamp

    /// Makes an alert that has not fired yet.
    public init(
        rule: String, table: String, owner: String, keyColumns: [String], keyTexts: [String?], at time: Timestamp
    ) {
        fingerprint = Fingerprint(rule: rule, keyColumns: keyColumns, keyTexts: keyTexts)
        self.rule = rule
        self.table = table
        self.owner = owner
        self.keyColumns = keyColumns
        self.keyTexts = keyTexts
        state = .inactive
        severity = .info
        episode = 0
        levelSince = [nil, nil, nil, nil]
        isOverdue = false
        isLastValueUnknown = false
        isInexact = false
        holdVersion = 0
        breachingRows = []
        labels = [:]
        columns = [:]
        isBootstrap = false
        changedAt = time
    }

    /// Identifies this episode at vendors.
    public var incidentKey: IncidentKey { IncidentKey(fingerprint: fingerprint, episode: episode) }
    /// The key as a person reads it: `plant=Plant 1, line=L2`.
    public var keyDisplay: String {
        zip(keyColumns, keyTexts).map { "\($0)=\($1 ?? "null")" }.joined(separator: ", ")
    }
}

/// A change of an alert that others may have to hear of.
public struct Transition: Sendable, Equatable {
    /// What changed.
    public enum Kind: UInt8, Sendable, CaseIterable {
        /// A condition holds, `for` runs.
        case pending = 0
        /// No level holds any more before `for` was over.
        case pendingEnded
        case firing
        case severityRaised
        case severityLowered
        case resolved
        /// A matching event of a `kind: event` rule: one notification, no resolution.
        case event
    }

    public var kind: Kind
    /// The alert after the change.
    public var alert: Alert
    public var previousSeverity: Severity?
    /// Table-clock time of the change.
    public var at: Timestamp
    /// Why, in words an operator reads: `condition holds`, `due time passed`, `row deleted`, `rule removed`.
    public var reason: String
    /// The event that caused it; nil for a timer or command.
    public var cause: EventPosition?

    /// Describes a change of an alert.
    public init(
        kind: Kind, alert: Alert, previousSeverity: Severity?, at: Timestamp, reason: String, cause: EventPosition?
    ) {
        self.kind = kind
        self.alert = alert
        self.previousSeverity = previousSeverity
        self.at = at
        self.reason = reason
        self.cause = cause
    }
}
