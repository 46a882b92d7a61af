public import Core

/// A maintenance window or mute time that comes again and again: inside where any of its parts is.
public struct RecurringWindow: Sendable, Equatable {
    /// One way to say when a window is open.
    public enum Part: Sendable, Equatable {
        /// Times on a clock, as Alertmanager's time intervals.
        case civil(CivilWindow)
        /// From each time of a schedule on, for so many milliseconds of elapsed time.
        case schedule(Schedule, milliseconds: Int64)
        /// While a calendar is open, or while it is closed.
        case calendar(WorkCalendar, isOpen: Bool)
    }

    public let parts: [Part]

    /// Times of a schedule that may follow each other without a gap before a window counts as always open.
    private static let chainMax = 20_000

    /// Makes a window of its parts.
    public init(parts: [Part]) { self.parts = parts }

    /// Whether a time is inside.
    public func isInside(at time: Timestamp) -> Bool {
        parts.contains { RecurringWindow.isInside($0, at: time) }
    }

    /// The first time after `time` at which inside and outside change; nil where none is within the horizon.
    public func nextChange(after time: Timestamp) -> Timestamp? {
        let wasInside = isInside(at: time)
        let limit = Timestamp(milliseconds: WorkCalendar.bounded(time) + WorkCalendar.horizon)
        var now = Timestamp(milliseconds: WorkCalendar.bounded(time))
        for _ in 0..<RecurringWindow.chainMax {
            let next = parts.compactMap { RecurringWindow.nextChange($0, after: now) }.min()
            guard let next, next < limit else { return nil }
            if isInside(at: next) != wasInside { return next }
            now = next
        }
        return nil
    }

    private static func isInside(_ part: Part, at time: Timestamp) -> Bool {
        switch part {
        case .civil(let window): return window.isInside(at: time)
        case .schedule(let schedule, let milliseconds):
            guard let start = schedule.next(after: time.adding(milliseconds: -milliseconds)) else { return false }
            return start <= time
        case .calendar(let calendar, let isOpen): return calendar.isOpen(at: time) == isOpen
        }
    }

    private static func nextChange(_ part: Part, after time: Timestamp) -> Timestamp? {
        switch part {
        case .civil(let window): return window.nextChange(after: time)
        case .calendar(let calendar, _): return calendar.nextChange(after: time)
        case .schedule(let schedule, let milliseconds):
            guard let first = schedule.next(after: time.adding(milliseconds: -milliseconds)) else { return nil }
            guard first <= time else { return first }
            // The window is open; each of its times until it ends keeps it open.
            var last = first
            for _ in 0..<chainMax {
                guard let next = schedule.next(after: last), next <= last.adding(milliseconds: milliseconds) else {
                    return last.adding(milliseconds: milliseconds)
                }
                last = next
            }
            return nil
        }
    }
}
