public import Core

/// When something happens again and again: a cron expression in a time zone, perhaps on the days of a calendar only.
///
/// When the clocks change:
/// - A fixed time (`30 2 * * *`) that is skipped happens once, at the end of the gap; one that occurs twice happens
///   once, the first time.
/// - An expression whose minute or hour begins with `*` (`*/15 * * * *`) happens whenever the clock shows such a
///   minute: it follows elapsed time, so that the quarter hours of an hour that occurs twice all count.
public struct Schedule: Sendable, Equatable {
    /// Which of its times count.
    public enum Days: String, Sendable, CaseIterable {
        /// All.
        case every = "every_day"
        /// Those on working days of the calendar.
        case working = "working_days"
        /// Those on days on which the calendar has no work.
        case free = "free_days"
        /// Those at which the calendar is open.
        case open = "working_hours"
    }

    public let cron: CronExpression
    public let zone: TimeZoneRules
    /// The calendar that limits it; nil for none.
    public let calendar: WorkCalendar?
    public let days: Days

    /// How far it looks for the next time: 29 February comes every four years, once every eight.
    public static let horizonDays = 3660
    private static let horizon = Int64(horizonDays) * 86_400_000
    /// Times that a calendar may refuse in a search.
    private static let refusalsMax = 60_000

    /// Makes a schedule.
    ///
    /// - Parameter calendar: the calendar and which of its times count; nil for all times.
    public init(_ cron: CronExpression, zone: TimeZoneRules, on calendar: (calendar: WorkCalendar, days: Days)?) {
        self.cron = cron
        self.zone = zone
        self.calendar = calendar?.calendar
        days = calendar?.days ?? .every
    }

    /// The first time after `time` at which it happens; nil where none is within the horizon.
    public func next(after time: Timestamp) -> Timestamp? {
        let start = WorkCalendar.bounded(time)
        let limit = start + Schedule.horizon
        var now = start
        for _ in 0..<Schedule.refusalsMax {
            guard let found = next(after: now, limit: limit) else { return nil }
            if days != .open || calendar?.isOpen(at: Timestamp(milliseconds: found)) ?? true {
                return Timestamp(milliseconds: found)
            }
            now = found
            // No need to try every minute of a closed night.
            if let opening = calendar?.nextOpening(after: Timestamp(milliseconds: found)) {
                now = max(now, opening.milliseconds - 1)
            } else {
                return nil
            }
        }
        return nil
    }

    private func isDay(_ date: CivilDate) -> Bool {
        guard let calendar else { return true }
        switch days {
        case .every, .open: return true
        case .working: return calendar.isWorkingDay(date)
        case .free: return !calendar.isWorkingDay(date)
        }
    }

    private func next(after now: Int64, limit: Int64) -> Int64? {
        cron.followsElapsedTime ? nextElapsed(after: now, limit: limit) : nextFixed(after: now, limit: limit)
    }

    /// The clocks of each stretch of one offset are read by themselves.
    private func nextElapsed(after now: Int64, limit: Int64) -> Int64? {
        var from = now + 1
        while from < limit {
            let span = zone.table.span(at: from)
            let end = min(span.end, limit)
            let found = cron.firstMinute(
                from: LocalTime(milliseconds: from + span.offset), limit: LocalTime(milliseconds: end + span.offset),
                isDay: isDay)
            if let found { return found.milliseconds - span.offset }
            from = end
        }
        return nil
    }

    /// Local times one after another, each at the first time at which the clocks show it or later.
    private func nextFixed(after now: Int64, limit: Int64) -> Int64? {
        let local = now + zone.table.span(at: now).offset
        let last = LocalTime(milliseconds: limit + zone.table.span(at: limit).offset)
        var mapper = LocalMapper(zone.table)
        var from = LocalTime(milliseconds: local + 1)
        while let found = cron.firstMinute(from: from, limit: last, isDay: isDay) {
            let time = mapper.first(found.milliseconds)
            if time > now { return time < limit ? time : nil }
            // Within a gap, or in the second pass of an hour that occurs twice.
            from = LocalTime(milliseconds: found.milliseconds + 1)
        }
        return nil
    }
}
