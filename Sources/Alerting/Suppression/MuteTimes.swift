public import Core

/// Named times in which routes send nothing.
public struct MuteTimes: Sendable {
    /// No mute times.
    public static let none = MuteTimes()

    /// Makes an empty set.
    public init() {}

    /// Whether the time of that name goes on now; false for a name that nothing has.
    public func isActive(_ name: String, at time: Timestamp) -> Bool { false }

    /// The first of the named times that goes on now.
    public func active(among references: [MuteReference], at time: Timestamp) -> MuteReference? {
        references.first { isActive($0.name, at: time) }
    }

    /// When the time of that name begins or ends next.
    public func nextChange(of name: String, after time: Timestamp) -> Timestamp? { nil }

    /// When any of the named times begins or ends next.
    public func nextChange(among references: [MuteReference], after time: Timestamp) -> Timestamp? {
        references.compactMap { nextChange(of: $0.name, after: time) }.min()
    }
}

/// Times of planned work, recurring by calendar, in which alerts that match are suppressed.
public struct MaintenanceWindows: Sendable {
    /// No windows.
    public static let none = MaintenanceWindows()

    /// Makes an empty set.
    public init() {}

    /// The names of the windows that suppress an alert now, sorted.
    public func suppressing(_ subject: AlertSubject, at time: Timestamp) -> [String] { [] }

    /// When a window begins or ends next.
    public func nextChange(after time: Timestamp) -> Timestamp? { nil }
}
