public import Core

/// A name and a text, in an order of their own.
public struct ConsolePair: Sendable, Equatable {
    public var name: String
    public var value: String
    /// Makes a pair.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// An acknowledgement that holds.
public struct ConsoleAcknowledgement: Sendable, Equatable {
    public var by: String
    public var comment: String
    /// When it expires; nil where it holds until the alert resolves.
    public var until: Timestamp?

    /// Describes an acknowledgement.
    public init(by: String, comment: String, until: Timestamp?) {
        self.by = by
        self.comment = comment
        self.until = until
    }
}

/// An alert as the API and the page show it.
public struct ConsoleAlert: Sendable, Equatable {
    /// A group that tells a receiver of the alert.
    public struct Group: Sendable, Hashable {
        public var receiver: String
        /// The labels that its alerts have in common.
        public var labels: [String: String]
        /// Names a group.
        public init(receiver: String, labels: [String: String]) {
            self.receiver = receiver
            self.labels = labels
        }
    }

    /// The fingerprint, 64 hexadecimal digits.
    public var id: String
    public var rule: String
    public var table: String
    public var owner: String
    /// The key as a person reads it.
    public var key: String
    public var severity: Severity
    /// In words: pending, firing, resolved.
    public var state: String
    public var episode: UInt32
    /// What silences, routes and filters match on.
    public var labels: [String: String]
    /// The summary, rendered.
    public var title: String
    public var about: String?
    public var facts: [ConsolePair]
    public var links: [ConsolePair]
    public var startsAt: Timestamp
    public var updatedAt: Timestamp
    /// When it ends or ended, where that is known.
    public var endsAt: Timestamp?
    /// Where the alert can be looked at; empty where nothing is known of a page.
    public var generatorURL: String
    public var groups: [Group]
    public var silencedBy: [String]
    public var inhibitedBy: [String]
    /// Mute times and windows that hold it back.
    public var mutedBy: [String]
    public var acknowledgement: ConsoleAcknowledgement?

    /// Describes an alert that nothing holds back; the rest is set afterwards.
    public init(
        id: String, rule: String, table: String, owner: String, key: String, severity: Severity, state: String,
        episode: UInt32, labels: [String: String], title: String, startsAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.rule = rule
        self.table = table
        self.owner = owner
        self.key = key
        self.severity = severity
        self.state = state
        self.episode = episode
        self.labels = labels
        self.title = title
        self.startsAt = startsAt
        self.updatedAt = updatedAt
        facts = []
        links = []
        generatorURL = ""
        groups = []
        silencedBy = []
        inhibitedBy = []
        mutedBy = []
    }

    /// The receivers that its groups tell, each once.
    public var receivers: [String] { Set(groups.map(\.receiver)).sorted() }
    /// Whether something holds its notifications back.
    public var isSuppressed: Bool { !silencedBy.isEmpty || !inhibitedBy.isEmpty || !mutedBy.isEmpty }
}

/// Alerts that were asked for.
public struct ConsoleAlertList: Sendable {
    public var alerts: [ConsoleAlert]
    /// There are more than were asked for.
    public var isCut: Bool

    /// Gathers alerts.
    public init(alerts: [ConsoleAlert], isCut: Bool) {
        self.alerts = alerts
        self.isCut = isCut
    }
}

/// The whole life of an alert: what moved it, who was told and why.
public struct ConsoleAlertLife: Sendable {
    /// Something that happened.
    public struct Entry: Sendable, Equatable {
        public var at: Timestamp
        /// In a few words: `firing warning`, `notification #12 to quality`, `attempt 1`.
        public var what: String
        /// The reason and what else is to be known.
        public var details: [String]
        /// It belongs to the entry before it, such as an attempt to its notification.
        public var isPart: Bool

        /// Describes what happened.
        public init(at: Timestamp, what: String, details: [String], isPart: Bool) {
            self.at = at
            self.what = what
            self.details = details
            self.isPart = isPart
        }
    }

    public var alert: ConsoleAlert
    /// Oldest first.
    public var entries: [Entry]
    /// Older entries are not shown.
    public var isCut: Bool

    /// Describes a life.
    public init(alert: ConsoleAlert, entries: [Entry], isCut: Bool) {
        self.alert = alert
        self.entries = entries
        self.isCut = isCut
    }
}
