public import Core

/// Times of the day, weekdays, days, months and years on the clock of a zone, as Alertmanager's time intervals.
///
/// A time is inside where every kind of part that is given has a value that holds; one that is not given always holds.
/// The wall clock decides: a minute that occurs twice is inside twice, one that is skipped never.
public struct CivilWindow: Sendable, Equatable {
    public var zone: TimeZoneRules
    /// Minutes after midnight, the end (at most 1440) not included; empty for the whole day.
    public var times: [Range<Int>]
    /// Empty for all.
    public var weekdays: Set<Weekday>
    /// From 1, or from -1 for the last day; both ends included; empty for all.
    public var monthDays: [DayRange]
    /// From 1; empty for all.
    public var months: Set<Int>
    /// Empty for all.
    public var years: [ClosedRange<Int>]

    /// Days of the month, counted from its begin or, if negative, from its end.
    public struct DayRange: Sendable, Hashable {
        public var first: Int
        public var last: Int

        /// Makes a range; nil where it can hold no day of any month.
        public init?(first: Int, last: Int) {
            guard (-31...31).contains(first), (-31...31).contains(last), first != 0, last != 0 else { return nil }
            if first < 0, last > 0 { return nil }
            // Of a month of 31 days; shorter ones cut it.
            guard (first < 0 ? first + 32 : first) <= (last < 0 ? last + 32 : last) else { return nil }
            self.first = first
            self.last = last
        }

        func contains(_ day: Int, monthLength: Int) -> Bool {
            let from = first < 0 ? monthLength + first + 1 : first
            let to = last < 0 ? monthLength + last + 1 : last
            return day >= from && day <= to
        }
    }

    /// Makes a window of its parts; times that overlap are merged.
    public init(
        zone: TimeZoneRules, times: [Range<Int>], weekdays: Set<Weekday>, monthDays: [DayRange], months: Set<Int>,
        years: [ClosedRange<Int>]
    ) {
        self.zone = zone
        self.weekdays = weekdays
        self.monthDays = monthDays
        self.months = months
        self.years = years
        var merged: [Range<Int>] = []
        for range in times.map({ $0.clamped(to: 0..<1440) }).sorted(by: { $0.lowerBound < $1.lowerBound })
        where !range.isEmpty {
            if let last = merged.last, last.upperBound >= range.lowerBound {
                merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.times = merged
    }

    /// Whether a time is inside.
    public func isInside(at time: Timestamp) -> Bool {
        contains(zone.local(Timestamp(milliseconds: WorkCalendar.bounded(time))))
    }

    /// The first time after `time` at which inside and outside change; nil where none is within the horizon.
    public func nextChange(after time: Timestamp) -> Timestamp? {
        var from = WorkCalendar.bounded(time)
        let limit = from + WorkCalendar.horizon
        let wasInside = isInside(at: time)
        while from < limit {
            let span = zone.table.span(at: from)
            let end = min(span.end, limit)
            let local = localChange(
                after: LocalTime(milliseconds: from + span.offset), limit: LocalTime(milliseconds: end + span.offset))
            if let local { return Timestamp(milliseconds: local.milliseconds - span.offset) }
            from = end
            // Where the clocks are set, inside may change at once.
            if from < limit, isInside(at: Timestamp(milliseconds: from)) != wasInside {
                return Timestamp(milliseconds: from)
            }
        }
        return nil
    }

    private func matches(_ date: CivilDate) -> Bool {
        if !weekdays.isEmpty, !weekdays.contains(date.weekday) { return false }
        if monthDays.isEmpty, months.isEmpty, years.isEmpty { return true }
        let parts = date.parts
        if !months.isEmpty, !months.contains(parts.month) { return false }
        if !years.isEmpty, !years.contains(where: { $0.contains(parts.year) }) { return false }
        guard !monthDays.isEmpty else { return true }
        let length = CivilDate.dayCount(year: parts.year, month: parts.month)
        return monthDays.contains { $0.contains(parts.day, monthLength: length) }
    }

    private static let wholeDay = [0..<1440]

    private func ranges(_ date: CivilDate) -> [Range<Int>] {
        matches(date) ? (times.isEmpty ? CivilWindow.wholeDay : times) : []
    }

    private func contains(_ local: LocalTime) -> Bool {
        let minute = local.minuteOfDay
        return ranges(local.date).contains { $0.contains(minute) }
    }

    /// The first local time after `local` and before `limit`, on a clock that is never set, at which inside changes.
    private func localChange(after local: LocalTime, limit: LocalTime) -> LocalTime? {
        var date = local.date
        let minute = local.minuteOfDay
        if let current = ranges(date).first(where: { $0.contains(minute) }) {
            var end = current.upperBound
            while end == 1440, LocalTime(date: date, minutes: end) < limit {
                date = date.adding(days: 1)
                end = 0
                if let next = ranges(date).first, next.lowerBound == 0 { end = next.upperBound }
            }
            let result = LocalTime(date: date, minutes: end)
            return result < limit ? result : nil
        }
        while LocalTime(date: date, minutes: 0) < limit {
            for range in ranges(date) {
                let start = LocalTime(date: date, minutes: range.lowerBound)
                if start > local { return start < limit ? start : nil }
            }
            date = date.adding(days: 1)
        }
        return nil
    }
}
