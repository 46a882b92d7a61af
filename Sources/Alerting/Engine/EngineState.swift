internal import Core

/// An open alert as the engine keeps it: small, since a million may be open.
struct OpenEntry: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt8
        static let isLive = Flags(rawValue: 1)
        /// A silence, a maintenance window or another alert holds its messages back.
        static let isSuppressed = Flags(rawValue: 2)
        static let isAcknowledged = Flags(rawValue: 4)
        /// An inhibition rule may hold it back.
        static let isInhibitable = Flags(rawValue: 8)
        /// It may hold others back.
        static let isInhibitor = Flags(rawValue: 16)
    }

    var fingerprint: Fingerprint
    var locator: UInt64
    var rule: Int32
    var episode: UInt32
    /// Counts the alerts that had this slot.
    var generation: UInt32
    var severity: Severity
    /// The highest severity of the episode.
    var peak: Severity
    var flags: Flags
    var lanes: [OpenLane]
}

/// An open alert in one group.
struct OpenLane: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt8
        /// Its group knows that there is something to tell.
        static let isQueued = Flags(rawValue: 1)
        /// Known there without a message of its own: its end is not told.
        static let isQuiet = Flags(rawValue: 2)
        /// It was held back by a silence, a window or an alert that is over.
        static let wasSuppressed = Flags(rawValue: 4)
        static let isEscalation = Flags(rawValue: 8)
    }

    static let untold: UInt8 = 0xFF

    var group: Int32
    /// The severity last told.
    var told: UInt8
    var flags: Flags

    var toldSeverity: Severity? { Severity(rawValue: told) }
    /// Its end is told here.
    var isTold: Bool { told != OpenLane.untold && !flags.contains(.isQuiet) }
    /// It was already open at the first start, and is not worse now: nothing more is told here, as its end is not.
    func isQuiet(at severity: Severity) -> Bool {
        flags.contains(.isQuiet) && (toldSeverity.map { $0 > severity } ?? false)
    }
}

/// A change of an alert that is not open, or an event, that its group has yet to tell.
struct PendingItem: Sendable {
    var item: PlannedMessage.Item
    /// It is in the store.
    var isStored: Bool

    var isCriticalEvent: Bool { item.news == .event && item.alert.severity == .critical }

    var storeKey: String {
        let alert = item.alert
        return "\(alert.incidentKey)/\(item.news.word)/\(alert.changedAt.milliseconds)"
            + (item.news == .event ? "/\(alert.causeText)" : "")
    }
}

extension Alert {
    /// Where the event that last changed it stands.
    var causeText: String {
        cause.map { "\($0.topic)/\($0.partition)/\($0.offset)/\($0.version)" } ?? ""
    }
}

extension PlannedMessage.News {
    /// What makes a change one of its own.
    var word: String {
        switch self {
        case .firing: "firing"
        case .raised(let from): "raised \(from)"
        case .lowered(let from): "lowered \(from)"
        case .resolved: "resolved"
        case .resolvedUnheard: "unheard"
        case .event: "event"
        case .open: "open"
        }
    }
}

/// Whom messages go to.
struct Address: Sendable, Hashable, Comparable {
    var receiver: String
    var recipient: String?

    static func < (left: Address, right: Address) -> Bool {
        (left.receiver, left.recipient ?? "") < (right.receiver, right.recipient ?? "")
    }
}

/// What identifies a group: never the route.
struct GroupName: Sendable, Hashable {
    enum Kind: UInt8, Sendable { case group = 0, incident, digest }
    var address: Address
    var key: String
    var kind: Kind

    /// The lane of its messages, and the key of its record.
    var lane: String { [address.receiver, address.recipient ?? "", key].joined(separator: "\u{1F}") }
}

extension GroupName {
    /// Writes the stored form.
    func write(to writer: inout ByteWriter) {
        writer.text(address.receiver)
        writer.optional(address.recipient) { $0.text($1) }
        writer.text(key)
        writer.byte(kind.rawValue)
    }

    /// Reads the stored form.
    init(from reader: inout ByteReader) throws(ByteReadError) {
        let receiver = try reader.text()
        let recipient = try reader.optional { reader throws(ByteReadError) in try reader.text() }
        address = Address(receiver: receiver, recipient: recipient)
        key = try reader.text()
        guard let kind = Kind(rawValue: try reader.byte()) else {
            throw ByteReadError(message: "unknown kind of group", byteOffset: 0)
        }
        self.kind = kind
    }
}

/// A group of alerts at one receiver and recipient: its timers, its members, what it has to tell.
struct AlertGroup: Sendable {
    struct Queued: Sendable {
        var slot: Int32
        var generation: UInt32
    }

    var name: GroupName
    /// Index of the route that its settings come from; -1 where none is known.
    var route: Int32
    var members: Set<Int32> = []
    var queue: [Queued] = []
    var pending: [PendingItem] = []
    /// Something critical may be among the news: that does not wait for a storm to end.
    var hasCritical = false
    var lastTold: Timestamp?
    /// When news is told.
    var dueAt: Timestamp?
    var repeatAt: Timestamp?
    /// How many messages it had: makes the keys of equal messages differ.
    var sequence: UInt32 = 0
    /// A window held it back: what comes next is a catch-up.
    var isDeferred = false
    /// The time in the queue of timers; others there are out of date.
    var queuedAt: Timestamp?
    var isDirty = false
    var isStored = false

    var hasNews: Bool { !queue.isEmpty || !pending.isEmpty }
    var isEmpty: Bool { members.isEmpty && pending.isEmpty }

    var nextTime: Timestamp? {
        switch (dueAt, repeatAt) {
        case (let due?, let again?): min(due, again)
        case (let due, let again): due ?? again
        }
    }
}

extension AlertGroup {
    /// Its record as it is now; nil for an incident, which stands with its alert.
    var change: StateChange? {
        guard name.kind != .incident else { return nil }
        return StateChange(kind: .group, key: name.lane, dueAt: nextTime, bytes: bytes)
    }

    /// Forgets the record of an end that waited.
    func removal(of pending: PendingItem) -> StateChange {
        StateChange(kind: .end, key: name.lane + "\u{1F}" + pending.storeKey, dueAt: nil, bytes: nil)
    }

    /// The record of an end that waits.
    func change(ofPending index: Int) -> StateChange {
        StateChange(
            kind: .end, key: name.lane + "\u{1F}" + pending[index].storeKey, dueAt: dueAt,
            bytes: pending[index].bytes(in: name))
    }

    /// The stored form; members stand with their alerts.
    var bytes: [UInt8] {
        var writer = ByteWriter(reserving: 96)
        writer.byte(1)
        name.write(to: &writer)
        for time in [lastTold, dueAt, repeatAt] { writer.optional(time) { $0.signed($1.milliseconds) } }
        writer.unsigned(UInt64(sequence))
        writer.bool(isDeferred)
        return writer.bytes
    }

    init(bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == 1 else { throw ByteReadError(message: "unknown group format", byteOffset: 0) }
        name = try GroupName(from: &reader)
        route = -1
        lastTold = try reader.optionalTimestamp()
        dueAt = try reader.optionalTimestamp()
        repeatAt = try reader.optionalTimestamp()
        sequence = UInt32(truncatingIfNeeded: try reader.unsigned())
        isDeferred = try reader.bool()
        isStored = true
    }
}

extension PendingItem {
    /// The stored form, with the group it belongs to.
    func bytes(in name: GroupName) -> [UInt8] {
        var writer = ByteWriter(reserving: 600)
        writer.byte(1)
        name.write(to: &writer)
        writer.byte(item.news == .event ? 2 : item.news == .resolvedUnheard ? 1 : 0)
        writer.text(item.cause)
        writer.blob(item.alert.bytes)
        return writer.bytes
    }

    static func read(_ bytes: [UInt8]) throws(ByteReadError) -> (name: GroupName, item: PendingItem) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == 1 else { throw ByteReadError(message: "unknown end format", byteOffset: 0) }
        let name = try GroupName(from: &reader)
        let word = try reader.byte()
        let cause = try reader.text()
        let alert = try Alert(bytes: try reader.blob())
        let news: PlannedMessage.News = word == 2 ? .event : word == 1 ? .resolvedUnheard : .resolved
        return (
            name, PendingItem(item: PlannedMessage.Item(alert: alert, news: news, cause: cause), isStored: true)
        )
    }
}

/// A route that groups take their settings from.
struct UsedRoute: Sendable {
    var receiver: String
    var path: [String]
    var settings: GroupSettings
    /// When the newest alerts came, at most one more than make a storm.
    var recent: [Timestamp] = []
    /// A storm goes on until then; its summary is told.
    var stormUntil: Timestamp?

    /// What a route at a receiver is found by, also after a restart.
    var key: [String] { [receiver] + path }
}
