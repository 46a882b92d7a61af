public import Calendars
public import Core

/// How the alerts of one route are grouped, repeated, held back and escalated.
public struct GroupSettings: Sendable, Equatable {
    /// What makes alerts one group.
    public enum Grouping: Sendable, Equatable {
        /// All alerts of one rule.
        case rule
        /// All alerts with the same values of these labels.
        case labels([String])
        /// Every alert alone.
        case each
    }

    /// More than so many new alerts within a window become one summary.
    public struct Storm: Sendable, Equatable {
        public var moreThan: Int
        public var within: Duration

        /// States when new alerts are a storm.
        public init(moreThan: Int, within: Duration) {
            self.moreThan = moreThan
            self.within = within
        }
    }

    public var grouping: Grouping
    /// How long the first alert of a group waits for others.
    public var wait: Duration
    /// How long a group waits after a message before it tells of changes.
    public var interval: Duration
    /// How long after a message a group that is still firing is told again.
    public var repeatInterval: Duration
    /// The wait where the group has a critical alert.
    public var criticalWait: Duration
    public var storm: Storm?
    public var muteTimes: [MuteReference]
    /// Collects open alerts into one message by a schedule, in place of messages for groups.
    public var digest: DigestSettings?
    public var escalations: [Escalation]
    /// Whether the end of an alert is told where its start was.
    public var sendsResolved: Bool

    /// Groups by rule; 30 s, 5 min and 4 h; critical at once; resolved alerts are told.
    public static let standard = GroupSettings(
        grouping: .rule, wait: .seconds(30), interval: .seconds(300), repeatInterval: .seconds(4 * 3600),
        criticalWait: .zero, storm: nil, muteTimes: [], digest: nil, escalations: [], sendsResolved: true)

    /// For alerts about the router itself: as the standard, but nothing waits for anything.
    public static let immediate = {
        var settings = standard
        settings.wait = .zero
        settings.interval = .zero
        return settings
    }()

    /// States everything.
    public init(
        grouping: Grouping, wait: Duration, interval: Duration, repeatInterval: Duration, criticalWait: Duration,
        storm: Storm?, muteTimes: [MuteReference], digest: DigestSettings?, escalations: [Escalation],
        sendsResolved: Bool
    ) {
        self.grouping = grouping
        self.wait = wait
        self.interval = interval
        self.repeatInterval = repeatInterval
        self.criticalWait = criticalWait
        self.storm = storm
        self.muteTimes = muteTimes
        self.digest = digest
        self.escalations = escalations
        self.sendsResolved = sendsResolved
    }

    /// The labels that tell the group of an alert from others, by name: what identifies it together with the receiver.
    ///
    /// A label that the alert does not have is there with the empty text, so that groups never fall together.
    public func groupLabels(of subject: AlertSubject) -> [(name: String, value: String)] {
        switch grouping {
        case .rule: [("rule", subject.rule)]
        case .labels(let names): names.sorted().map { ($0, subject.label($0)) }
        case .each: [("fingerprint", subject.fingerprint.description)]
        }
    }
}

/// A mute time that a route names, and what becomes of what happens in it.
public struct MuteReference: Sendable, Hashable {
    /// What becomes of messages while the time lasts.
    public enum Policy: String, Sendable, CaseIterable {
        /// Nothing is sent, then or later; what is still firing afterwards goes on as usual.
        case drop
        /// What happened is told in one message when the time is over.
        case `defer`
    }

    public var name: String
    public var policy: Policy

    /// Names a mute time.
    public init(name: String, policy: Policy) {
        self.name = name
        self.policy = policy
    }
}

/// Who is told of an alert that stays open.
public struct Escalation: Sendable, Equatable {
    /// What makes it unnecessary.
    public enum Unless: String, Sendable, CaseIterable {
        /// Somebody acknowledged the alert.
        case acknowledged
        /// Nothing but its end.
        case resolved
    }

    /// Counted from the first message about the alert.
    public var after: Duration
    public var unless: Unless
    /// Names of receivers.
    public var notify: [String]

    /// States who is told when.
    public init(after: Duration, unless: Unless, notify: [String]) {
        self.after = after
        self.unless = unless
        self.notify = notify
    }
}

/// One message by schedule with a table of what is open.
public struct DigestSettings: Sendable, Equatable {
    /// Into how many messages a digest is split.
    public enum Split: String, Sendable, CaseIterable {
        /// One for the receiver.
        case receiver
        /// One for each recipient that the rows name.
        case recipient
    }

    /// A column of the table.
    public struct Column: Sendable, Hashable {
        /// The heading.
        public var title: String
        /// Where the text comes from: `after.on_hand`, `key.plant`, `labels.team`, `severity`, `since`, `summary`.
        public var source: String

        /// Describes a column.
        public init(title: String, source: String) {
            self.title = title
            self.source = source
        }
    }

    /// By what the table is sorted.
    public struct SortKey: Sendable, Hashable {
        /// As the source of a column.
        public var source: String
        public var isDescending: Bool

        /// Describes a part of the order.
        public init(source: String, isDescending: Bool) {
            self.source = source
            self.isDescending = isDescending
        }
    }

    public var schedule: Schedule
    /// The calendar that limits the schedule, as the configuration names it.
    public var calendarName: String?
    public var split: Split
    /// Empty: key, summary, severity and since when.
    public var columns: [Column]
    public var sort: [SortKey]

    /// States when a digest is sent and what it holds.
    public init(schedule: Schedule, split: Split, columns: [Column], sort: [SortKey]) {
        self.schedule = schedule
        self.split = split
        self.columns = columns
        self.sort = sort
    }

    /// What tells digests of one recipient apart: when they are sent and what they show, not the route they stand in.
    public var groupKey: String {
        var parts = [
            schedule.cron.description, schedule.zone.identifier, calendarName ?? "", schedule.days.rawValue,
            split.rawValue,
        ]
        parts += columns.flatMap { [$0.title, $0.source] } + [""] + sort.map { "\($0.isDescending)\($0.source)" }
        let mark = Hex.encode(Digest.sha256(parts.joined(separator: "\u{1F}").utf8).prefix(4))
        return "open alerts, \(schedule.cron.description), \(mark)"
    }

    /// When the digest is due next; nil where its schedule has no further time.
    public func nextTime(after time: Timestamp) -> Timestamp? { schedule.next(after: time) }
}
