public import Core

/// What one outbox row tells one receiver: the payload of the row, rendered in the receiver's locale and time zone.
///
/// A group row carries the group's whole news; what supersedes it inherits its items. The channel lays it out once, at
/// the first attempt.
public struct Notification: Sendable, Equatable {
    /// Why somebody is told.
    public enum Reason: String, Sendable, CaseIterable {
        /// An alert of the group started firing.
        case first
        /// A further alert of a group that was told before.
        case newFiring = "new_firing"
        /// A higher severity than told before.
        case severityRaised = "severity_raised"
        /// A lower severity than told before.
        case severityLowered = "severity_lowered"
        /// Alerts are over, others of the group are still open.
        case someResolved = "some_resolved"
        /// Nothing of the group is open any more.
        case allResolved = "all_resolved"
        /// Still firing after the repeat interval.
        case `repeat`
        /// Still firing when its acknowledgement ended.
        case reminder
        /// Many new alerts of one route, in one message.
        case storm
        /// By schedule: what is open, new and over.
        case digest
        /// What a mute time held back.
        case catchUp = "catch_up"
        /// Still firing when a silence, a maintenance window or an inhibiting alert ended.
        case silenceEnded = "silence_ended"
        /// Nobody took care of it in time.
        case escalation
        /// A one-off event of a `kind: event` rule.
        case event
        /// Alerts that were open when the router first started, told once.
        case alreadyOpen = "already_open"
        /// Several waiting notifications became one.
        case merged
        /// News of the router itself, to the operator.
        case health
    }

    /// One alert of the notification.
    public struct Item: Sendable, Equatable {
        /// What the item says of its alert.
        public enum State: String, Sendable { case firing, resolved, event }

        /// A rendered name and value.
        public struct Pair: Sendable, Equatable {
            public var name: String
            public var value: String
            /// Makes a pair.
            public init(_ name: String, _ value: String) {
                self.name = name
                self.value = value
            }
        }

        /// `<fingerprint>-<episode>`; identifies the incident at vendors.
        public var incidentKey: String
        public var rule: String
        public var table: String
        public var owner: String
        public var description: String?
        public var state: State
        public var severity: Severity
        public var previousSeverity: Severity?
        /// The rule's summary, rendered.
        public var title: String
        /// The key as a person reads it.
        public var keyDisplay: String
        /// The key's columns with their texts as in the row; columns that are null are left out.
        public var keyColumns: [Pair]
        public var labels: [Pair]
        public var facts: [Pair]
        /// Link name and address.
        public var links: [Pair]
        public var firedAt: Timestamp?
        public var resolvedAt: Timestamp?
        /// When it fired, in the receiver's locale and zone, the zone named.
        public var firedText: String?
        /// When it resolved, likewise.
        public var resolvedText: String?
        /// Why it fired or resolved, in an operator's words.
        public var reason: String
        /// It was told before and is told again, as still open.
        public var isToldBefore: Bool
        public var isOverdue: Bool
        public var isLastValueUnknown: Bool
        /// Why a template could not be rendered; the text then is the plain fallback.
        public var templateProblem: String?

        /// Makes an item with the parts every alert has; the rest is set afterwards.
        public init(
            incidentKey: String, rule: String, table: String, owner: String, state: State, severity: Severity,
            title: String, keyDisplay: String, reason: String
        ) {
            self.incidentKey = incidentKey
            self.rule = rule
            self.table = table
            self.owner = owner
            self.state = state
            self.severity = severity
            self.title = title
            self.keyDisplay = keyDisplay
            keyColumns = []
            self.reason = reason
            labels = []
            facts = []
            links = []
            isToldBefore = false
            isOverdue = false
            isLastValueUnknown = false
        }
    }

    public var receiver: String
    /// Whom it goes to, where the receiver's address comes from data.
    public var recipient: String?
    public var reason: Reason
    /// Names the group the items belong to: receiver and rule, until routes say otherwise.
    public var groupKey: String
    public var createdAt: Timestamp
    /// How many alerts of the group are open after this notification.
    public var openCount: Int
    /// How many items were left out because a notification holds a bounded number.
    public var omittedCount: Int
    public var locale: String
    public var timeZone: String
    public var items: [Item]
    /// Other open alerts of the group that were told before, as far as there is room.
    public var others: [Other]

    /// An open alert that is not news.
    public struct Other: Sendable, Equatable {
        public var incidentKey: String
        public var rule: String
        public var severity: Severity
        /// The key as a person reads it.
        public var keyDisplay: String

        /// Names an open alert.
        public init(incidentKey: String, rule: String, severity: Severity, keyDisplay: String) {
            self.incidentKey = incidentKey
            self.rule = rule
            self.severity = severity
            self.keyDisplay = keyDisplay
        }
    }

    /// Of a storm: what most of its alerts have in common (a rule, or a key column and its text) and how many have it;
    /// the most frequent first.
    public var counts: [Item.Pair] = []

    /// Most items one notification holds; the others are counted in ``omittedCount``.
    public static let itemsMax = 100

    /// Makes a notification.
    public init(
        receiver: String, recipient: String?, reason: Reason, groupKey: String, createdAt: Timestamp, openCount: Int,
        locale: String, timeZone: String, items: [Item], omittedCount: Int = 0,
        others: [Other] = []
    ) {
        self.receiver = receiver
        self.recipient = recipient
        self.reason = reason
        self.groupKey = groupKey
        self.createdAt = createdAt
        self.openCount = openCount
        self.locale = locale
        self.timeZone = timeZone
        self.items = items
        self.omittedCount = omittedCount
        self.others = others
    }

    /// Whether everything it tells is over.
    public var isResolved: Bool { !items.isEmpty && items.allSatisfy { $0.state == .resolved } }
    /// The highest severity of its items.
    public var severity: Severity { items.map(\.severity).max() ?? .info }
}

// MARK: - Stored form

/// Why a stored notification cannot be read.
public struct NotificationFormatError: Error, Equatable, CustomStringConvertible {
    public var message: String
    public var description: String { "stored notification: \(message)" }
}

extension Notification {
    /// The notification as JSON, the payload of its outbox row.
    public var bytes: [UInt8] {
        JSON.object([
            "v": .integer(1),
            "receiver": .string(receiver),
            "recipient": .optional(recipient),
            "reason": .string(reason.rawValue),
            "group": .string(groupKey),
            "created_at": .integer(createdAt.milliseconds),
            "open": .integer(openCount),
            "omitted": .integer(omittedCount),
            "locale": .string(locale),
            "time_zone": .string(timeZone),
            "counts": .array(counts.map { .array([.string($0.name), .string($0.value)]) }),
            "items": .array(items.map(\.json)),
            "others": .array(
                others.map {
                    .array([
                        .string($0.incidentKey), .string($0.rule), .string($0.severity.description),
                        .string($0.keyDisplay),
                    ])
                }),
        ]).bytes
    }

    /// Reads the stored form.
    public init(bytes: [UInt8]) throws(NotificationFormatError) {
        let json: JSON
        do { json = try JSON.parse(bytes) } catch { throw NotificationFormatError(message: error.description) }
        let fields = FieldReader(json: json)
        guard let version = json["v"]?.intValue, version == 1 else {
            throw NotificationFormatError(message: "unknown version")
        }
        guard let reason = Reason(rawValue: try fields.text("reason")) else {
            throw NotificationFormatError(message: "unknown reason")
        }
        var items: [Item] = []
        for element in json["items"]?.elements ?? [] { items.append(try Item(json: element)) }
        self.init(
            receiver: try fields.text("receiver"), recipient: json["recipient"]?.stringValue, reason: reason,
            groupKey: try fields.text("group"), createdAt: Timestamp(milliseconds: try fields.integer("created_at")),
            openCount: Int(try fields.integer("open")), locale: try fields.text("locale"),
            timeZone: try fields.text("time_zone"), items: items, omittedCount: Int(try fields.integer("omitted")),
            others: (json["others"]?.elements ?? []).compactMap { other in
                guard let incidentKey = other[0]?.stringValue, let rule = other[1]?.stringValue,
                    let severity = other[2]?.stringValue.flatMap(Severity.init(name:)), let key = other[3]?.stringValue
                else { return nil }
                return Other(incidentKey: incidentKey, rule: rule, severity: severity, keyDisplay: key)
            })
        counts = fields.pairs("counts")
    }
}

private struct FieldReader {
    let json: JSON

    func text(_ name: String) throws(NotificationFormatError) -> String {
        guard let text = json[name]?.stringValue else { throw NotificationFormatError(message: "'\(name)' is missing") }
        return text
    }

    func integer(_ name: String) throws(NotificationFormatError) -> Int64 {
        guard let value = json[name]?.intValue else { throw NotificationFormatError(message: "'\(name)' is missing") }
        return value
    }

    func time(_ name: String) -> Timestamp? { json[name]?.intValue.map(Timestamp.init(milliseconds:)) }

    func pairs(_ name: String) -> [Notification.Item.Pair] {
        (json[name]?.elements ?? []).compactMap { pair in
            guard let name = pair[0]?.stringValue, let value = pair[1]?.stringValue else { return nil }
            return Notification.Item.Pair(name, value)
        }
    }
}

extension Notification.Item {
    fileprivate var json: JSON {
        func pairs(_ pairs: [Pair]) -> JSON { .array(pairs.map { .array([.string($0.name), .string($0.value)]) }) }
        func time(_ time: Timestamp?) -> JSON { time.map { .integer($0.milliseconds) } ?? .null }
        return .object([
            "incident_key": .string(incidentKey), "rule": .string(rule), "table": .string(table),
            "owner": .string(owner), "description": .optional(description), "state": .string(state.rawValue),
            "severity": .string(severity.description), "previous_severity": .optional(previousSeverity?.description),
            "key_columns": pairs(keyColumns),
            "title": .string(title), "key": .string(keyDisplay), "labels": pairs(labels), "facts": pairs(facts),
            "links": pairs(links), "fired_at": time(firedAt), "resolved_at": time(resolvedAt),
            "fired_text": .optional(firedText), "resolved_text": .optional(resolvedText), "reason": .string(reason),
            "told_before": .bool(isToldBefore), "overdue": .bool(isOverdue),
            "last_value_unknown": .bool(isLastValueUnknown),
            "template_problem": .optional(templateProblem),
        ])
    }

    fileprivate init(json: JSON) throws(NotificationFormatError) {
        let fields = FieldReader(json: json)
        guard let state = State(rawValue: try fields.text("state")),
            let severity = Severity(name: try fields.text("severity"))
        else { throw NotificationFormatError(message: "unknown state or severity") }
        self.init(
            incidentKey: try fields.text("incident_key"), rule: try fields.text("rule"),
            table: try fields.text("table"), owner: try fields.text("owner"), state: state, severity: severity,
            title: try fields.text("title"), keyDisplay: try fields.text("key"), reason: try fields.text("reason"))
        description = json["description"]?.stringValue
        keyColumns = fields.pairs("key_columns")
        previousSeverity = json["previous_severity"]?.stringValue.flatMap(Severity.init(name:))
        labels = fields.pairs("labels")
        facts = fields.pairs("facts")
        links = fields.pairs("links")
        firedAt = fields.time("fired_at")
        resolvedAt = fields.time("resolved_at")
        firedText = json["fired_text"]?.stringValue
        resolvedText = json["resolved_text"]?.stringValue
        isToldBefore = json["told_before"]?.boolValue ?? false
        isOverdue = json["overdue"]?.boolValue ?? false
        isLastValueUnknown = json["last_value_unknown"]?.boolValue ?? false
        templateProblem = json["template_problem"]?.stringValue
    }
}
