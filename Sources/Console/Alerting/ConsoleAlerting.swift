public import Core

/// A receiver and how its notifications fare.
public struct ConsoleReceiver: Sendable, Equatable {
    public var name: String
    public var channel: String
    /// Rows per state: waiting, leased, sent, dead, …
    public var counts: [ConsolePair]
    public var oldestWaiting: Timestamp?
    /// What the limiter holds, in words; nil where there is none.
    public var limiter: String?
    /// Whether the breaker lets messages through, in words; nil where nothing is known.
    public var breaker: String?

    /// Describes a receiver.
    public init(
        name: String, channel: String, counts: [ConsolePair], oldestWaiting: Timestamp?, limiter: String?,
        breaker: String?
    ) {
        self.name = name
        self.channel = channel
        self.counts = counts
        self.oldestWaiting = oldestWaiting
        self.limiter = limiter
        self.breaker = breaker
    }
}

/// A dead letter, without its bytes: they may hold personal data.
public struct ConsoleDeadLetter: Sendable, Equatable {
    public var id: Int64
    public var kind: String
    public var at: Timestamp
    /// Topic, partition and offset, or rule and receiver.
    public var place: String
    public var reason: String

    /// Describes a dead letter.
    public init(id: Int64, kind: String, at: Timestamp, place: String, reason: String) {
        self.id = id
        self.kind = kind
        self.at = at
        self.place = place
        self.reason = reason
    }
}

/// What the program says of itself.
public struct ConsoleStatus: Sendable, Equatable {
    public var version: String
    public var startedAt: Timestamp
    /// What there is to be seen of the configuration; never a secret.
    public var configuration: String

    /// Describes the program.
    public init(version: String, startedAt: Timestamp, configuration: String) {
        self.version = version
        self.startedAt = startedAt
        self.configuration = configuration
    }
}

/// Why something asked for was not done. The texts are shown to whoever asked.
public enum ConsoleFailure: Error, Sendable, Equatable {
    /// What was asked is wrong.
    case invalid(String)
    /// What it is about is not there.
    case notFound(String)
    /// It cannot be done now; again later.
    case unavailable(String)

    /// What whoever asked is told.
    public var text: String {
        switch self {
        case .invalid(let text), .notFound(let text), .unavailable(let text): text
        }
    }
}

/// Who changes something, and from where.
public struct ConsoleActor: Sendable, Equatable {
    /// The name of a token, or what stands for it.
    public var name: String
    /// An address, with what it came through: `api 10.0.0.7`.
    public var from: String

    /// Names who acts.
    public init(name: String, from: String) {
        self.name = name
        self.from = from
    }
}

/// What the console reads of alerts. Calls may suspend for long, and never block an event loop.
public protocol AlertingViews: Sendable {
    /// What the program says of itself.
    func status() async -> ConsoleStatus
    /// Firing alerts that a filter lets pass, in no order.
    /// - Parameter countMax: how many at most; the others are left out.
    func alerts(countMax: Int, where filter: @escaping @Sendable (ConsoleAlert) -> Bool) async throws
        -> ConsoleAlertList
    /// One alert by its fingerprint, whatever its state; nil where it is not known.
    func alert(id: Fingerprint) async throws -> ConsoleAlert?
    /// The life of one alert; nil where it is not known.
    func life(of id: Fingerprint) async throws -> ConsoleAlertLife?
    /// All silences that are kept.
    func silences() async throws -> [ConsoleSilence]
    /// The names of all receivers.
    func receiverNames() async -> [String]
    /// All receivers and how their notifications fare.
    func receivers() async throws -> [ConsoleReceiver]
    /// Open dead letters, newest first.
    func deadLetters(countMax: Int) async throws -> [ConsoleDeadLetter]
    /// Compiles an expression that the whole text must match (RE2, linear in the text).
    /// - Throws: ``ConsoleFailure/invalid(_:)``.
    func pattern(_ expression: String) throws -> @Sendable (String) -> Bool
}

/// What the console changes. Every call returns after the change and its audit are durable.
public protocol AlertingControl: Sendable {
    /// Acknowledges the running episode of an alert.
    /// - Parameter until: when the acknowledgement expires; nil for the receiver's own time.
    func acknowledge(_ id: Fingerprint, comment: String, until: Timestamp?, by actor: ConsoleActor)
        async throws(ConsoleFailure)
    /// Takes an acknowledgement back.
    func unacknowledge(_ id: Fingerprint, by actor: ConsoleActor) async throws(ConsoleFailure)
    /// Stores a silence, new or known by its id.
    /// - Returns: the silence's id.
    func putSilence(_ silence: ConsoleSilence, by actor: ConsoleActor) async throws(ConsoleFailure) -> String
    /// Ends a silence.
    func expireSilence(id: String, by actor: ConsoleActor) async throws(ConsoleFailure)
    /// Takes alerts of another program.
    func push(_ alerts: [ConsolePushedAlert], by actor: ConsoleActor) async throws(ConsoleFailure)
}

/// The parts of alerting that the console stands on.
public struct ConsoleAlerting: Sendable {
    public var views: any AlertingViews
    public var control: any AlertingControl
    /// Makes ids of silences: UUIDs in lower case.
    public var makeId: @Sendable () -> String
    /// Signs acknowledge links.
    public var linkKey: [UInt8]

    /// Joins the parts.
    public init(
        views: any AlertingViews, control: any AlertingControl, makeId: @escaping @Sendable () -> String,
        linkKey: [UInt8]
    ) {
        self.views = views
        self.control = control
        self.makeId = makeId
        self.linkKey = linkKey
    }
}
