public import Calendars
public import Core

/// Named times in which routes send nothing.
public struct MuteTimes: Sendable {
    /// One of them.
    public struct Entry: Sendable, Equatable {
        public var window: RecurringWindow
        /// What becomes of messages in it.
        public var policy: MuteReference.Policy

        /// Describes a mute time.
        public init(window: RecurringWindow, policy: MuteReference.Policy) {
            self.window = window
            self.policy = policy
        }
    }

    /// By name.
    public private(set) var entries: [String: Entry]

    /// Names mute times.
    public init(entries: [String: Entry]) { self.entries = entries }

    /// No mute times.
    public static let none = MuteTimes(entries: [:])

    /// Whether the time of that name goes on now; false for a name that nothing has.
    public func isActive(_ name: String, at time: Timestamp) -> Bool {
        entries[name]?.window.isInside(at: time) ?? false
    }

    /// The first of the named times that goes on now; one that drops comes before one that defers.
    public func active(among references: [MuteReference], at time: Timestamp) -> MuteReference? {
        let active = references.filter { isActive($0.name, at: time) }
        return active.first { $0.policy == .drop } ?? active.first
    }

    /// When the time of that name begins or ends next.
    public func nextChange(of name: String, after time: Timestamp) -> Timestamp? {
        entries[name]?.window.nextChange(after: time)
    }

    /// When any of the named times begins or ends next.
    public func nextChange(among references: [MuteReference], after time: Timestamp) -> Timestamp? {
        references.compactMap { nextChange(of: $0.name, after: time) }.min()
    }
}

/// Times of planned work, recurring by calendar, in which alerts that match are suppressed.
public struct MaintenanceWindows: Sendable {
    /// One of them.
    public struct Entry: Sendable, Equatable {
        public var name: String
        public var expression: MatchExpression
        public var window: RecurringWindow
        public var comment: String
        public var position: SourcePosition?

        /// Describes a window.
        public init(
            name: String, expression: MatchExpression, window: RecurringWindow, comment: String,
            position: SourcePosition?
        ) {
            self.name = name
            self.expression = expression
            self.window = window
            self.comment = comment
            self.position = position
        }
    }

    /// By name, sorted.
    public private(set) var entries: [Entry]

    /// Gathers windows.
    public init(entries: [Entry]) { self.entries = entries.sorted { $0.name < $1.name } }

    /// No windows.
    public static let none = MaintenanceWindows(entries: [])

    /// The names of the windows that are open now, whatever they suppress; for many alerts ask this first.
    public func open(at time: Timestamp) -> [Entry] { entries.filter { $0.window.isInside(at: time) } }

    /// The names of the windows that suppress an alert now, sorted.
    public func suppressing(_ subject: AlertSubject, at time: Timestamp) -> [String] {
        // A calendar costs more than a matcher.
        entries.filter { $0.expression.matches(subject) && $0.window.isInside(at: time) }.map(\.name)
    }

    /// When a window begins or ends next.
    public func nextChange(after time: Timestamp) -> Timestamp? {
        entries.compactMap { $0.window.nextChange(after: time) }.min()
    }
}
