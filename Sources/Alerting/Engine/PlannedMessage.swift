public import Core

/// Where an open alert is kept by whoever judges rows.
public struct AlertPlace: Sendable, Hashable {
    public var fingerprint: Fingerprint
    public var rule: String
    /// What finds it there, such as the hash of its key.
    public var locator: UInt64

    /// Names a place.
    public init(fingerprint: Fingerprint, rule: String, locator: UInt64) {
        self.fingerprint = fingerprint
        self.rule = rule
        self.locator = locator
    }
}

/// The open alerts as they are now. The engine keeps no alert itself, only where it is.
public protocol AlertPool {
    /// What finds an alert again while it is open.
    func locator(of alert: Alert) -> UInt64
    /// An open alert; nil where it is open no more.
    func alert(at place: AlertPlace) -> Alert?
}

/// A message the engine decided on: whom it goes to, why, and what it tells. Texts are rendered from it.
public struct PlannedMessage: Sendable, Equatable {
    /// What an item says of its alert.
    public enum News: Sendable, Equatable {
        case firing
        case raised(from: Severity)
        case lowered(from: Severity)
        case resolved
        /// Fired and resolved, and nobody heard of it before.
        case resolvedUnheard
        case event
        /// Told before and open still.
        case open
    }

    /// One alert of a message.
    public struct Item: Sendable, Equatable {
        public var alert: Alert
        public var news: News
        /// Why it fired or resolved, in an operator's words.
        public var cause: String

        /// States what is told of an alert.
        public init(alert: Alert, news: News, cause: String) {
            self.alert = alert
            self.news = news
            self.cause = cause
        }
    }

    /// How many alerts of a storm have something in common.
    public struct Count: Sendable, Equatable {
        /// A rule, or a key column with its text: `plant=Plant 1`.
        public var name: String
        public var count: Int

        /// States how many.
        public init(name: String, count: Int) {
            self.name = name
            self.count = count
        }
    }

    /// Most ``counts`` of a message.
    public static let countsMax = 5

    /// Whether the row is a step of one incident, or a message about a group.
    public enum Kind: Sendable, Equatable { case group, incident }

    public var kind: Kind
    public var receiver: String
    /// Whom there, where the receiver's address comes from data.
    public var recipient: String?
    /// Messages of one lane arrive in their order.
    public var lane: String
    /// Names the group for people.
    public var groupKey: String
    public var reason: Notification.Reason
    /// At most ``Notification/itemsMax``; the others are counted.
    public var items: [Item]
    public var omittedCount: Int
    /// The group's other open alerts, as far as there is room.
    public var others: [Alert]
    /// Open alerts of the group.
    public var openCount: Int
    /// The rule, where all items are of one.
    public var rule: String
    public var routePath: [String]
    /// Why it is kept for the record and not sent; nil where it is sent.
    public var suppression: String?
    /// Of a storm: what most of its alerts have in common, the most frequent first.
    public var counts: [Count] = []
    /// The columns of a digest.
    public var digest: DigestSettings?
    /// The same whenever the same is decided again; another for everything else.
    public var key: String
    public var at: Timestamp

    /// The highest severity of its items.
    public var severity: Severity { items.map(\.alert.severity).max() ?? .info }
    /// Whether everything it tells is over.
    public var isResolved: Bool {
        !items.isEmpty && items.allSatisfy { $0.news == .resolved || $0.news == .resolvedUnheard }
    }
}

/// A piece of durable state that changed.
public struct StateChange: Sendable, Equatable {
    /// What it is, as the store names it.
    public enum Kind: String, Sendable, CaseIterable {
        case group = "alerting.group"
        /// The end of an alert that waits to be told.
        case end = "alerting.end"
        case silence = "alerting.silence"
        /// Who or what holds messages about an alert back, who acknowledged it, who is told next.
        case status = "alerting.status"
        case storm = "alerting.storm"
    }

    public var kind: Kind
    public var key: String
    /// When its timer runs; nil where it has none.
    public var dueAt: Timestamp?
    /// Nil where it is gone.
    public var bytes: [UInt8]?

    /// States a change.
    public init(kind: Kind, key: String, dueAt: Timestamp?, bytes: [UInt8]?) {
        self.kind = kind
        self.key = key
        self.dueAt = dueAt
        self.bytes = bytes
    }
}

/// Why somebody was told of an alert, or was not.
public struct DecisionNote: Sendable, Equatable {
    public var fingerprint: Fingerprint
    public var episode: UInt32
    public var at: Timestamp
    public var receiver: String
    public var recipient: String?
    /// A reason of ``Notification/Reason``, or `suppressed`, `deferred`, `dropped`, `nobody`.
    public var decision: String
    /// By what: a silence, an inhibiting alert, a window.
    public var detail: String
    public var routePath: [String]

    /// States a decision.
    public init(
        fingerprint: Fingerprint, episode: UInt32, at: Timestamp, receiver: String, recipient: String?,
        decision: String, detail: String, routePath: [String]
    ) {
        self.fingerprint = fingerprint
        self.episode = episode
        self.at = at
        self.receiver = receiver
        self.recipient = recipient
        self.decision = decision
        self.detail = detail
        self.routePath = routePath
    }
}

/// Something an operator has to hear of.
public struct EngineProblem: Sendable, Equatable {
    /// `recipient`.
    public var component: String
    public var rule: String
    public var detail: String
}

/// What the engine decided.
public struct EngineOutput: Sendable {
    public var messages: [PlannedMessage] = []
    public var states: [StateChange] = []
    public var decisions: [DecisionNote] = []
    public var problems: [EngineProblem] = []
    /// Open alerts whose ``AlertingEngine/membership(of:)`` changed: it is stored with them.
    public var touched: [AlertPlace] = []

    /// Decides nothing.
    public init() {}

    /// Whether nothing changed.
    public var isEmpty: Bool { messages.isEmpty && states.isEmpty && decisions.isEmpty && touched.isEmpty }
}
