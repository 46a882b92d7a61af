public import Core

// MARK: - Openings and closings

extension WorkCalendar {
    /// Whether work is done at a time.
    public func isOpen(at time: Timestamp) -> Bool {
        let now = WorkCalendar.bounded(time)
        if let closure = closure(endingAfter: now), closure.lowerBound <= now { return false }
        var walker = ShiftWalker(self, from: now, until: now)
        while let shift = walker.next(), shift.start <= now {
            if now < shift.end { return true }
        }
        return false
    }

    /// The first time after `time` at which work begins; nil where none is within the horizon.
    ///
    /// While the calendar is open that is the beginning after the next end.
    public func nextOpening(after time: Timestamp) -> Timestamp? {
        let now = WorkCalendar.bounded(time)
        let limit = now + WorkCalendar.horizon
        var from = now
        if isOpen(at: time) {
            from = closing(after: now, limit: limit)
            guard from < limit else { return nil }
        }
        return opening(from: from, limit: limit).map { Timestamp(milliseconds: $0) }
    }

    /// The first time after `time` at which work ends; nil where none is within the horizon.
    ///
    /// While the calendar is closed that is the end after the next beginning.
    public func nextClosing(after time: Timestamp) -> Timestamp? {
        let now = WorkCalendar.bounded(time)
        let limit = now + WorkCalendar.horizon
        guard let start = isOpen(at: time) ? now : opening(from: now, limit: limit) else { return nil }
        let end = closing(after: start, limit: limit)
        return end < limit ? Timestamp(milliseconds: end) : nil
    }

    /// The first time after `time` at which work begins or ends; nil where none is within the horizon.
    public func nextChange(after time: Timestamp) -> Timestamp? {
        isOpen(at: time) ? nextClosing(after: time) : nextOpening(after: time)
    }

    static func bounded(_ time: Timestamp) -> Int64 {
        let range = WorkCalendar.dayRange
        return min(
            max(time.milliseconds, Int64(range.lowerBound) * 86_400_000), Int64(range.upperBound) * 86_400_000)
    }

    /// The first open time from `from` on, below `limit`.
    func opening(from: Int64, limit: Int64) -> Int64? {
        var walker = ShiftWalker(self, from: from, until: limit)
        while let shift = walker.next(), shift.start < limit {
            guard shift.end > from else { continue }
            var start = max(shift.start, from)
            while let closure = closure(endingAfter: start), closure.lowerBound <= start { start = closure.upperBound }
            if start < shift.end { return start < limit ? start : nil }
        }
        return nil
    }

    /// The end of the work that is being done at `now`, at most `limit`.
    func closing(after now: Int64, limit: Int64) -> Int64 {
        var limit = limit
        if let closure = closure(endingAfter: now) { limit = min(limit, closure.lowerBound) }
        var end = now
        var walker = ShiftWalker(self, from: now, until: limit)
        while end < limit, let shift = walker.next(), shift.start <= end { end = max(end, shift.end) }
        return min(end, limit)
    }
}

// MARK: - Working time

extension WorkCalendar {
    /// Milliseconds of work between two times; negative where `end` lies before `start`.
    public func workingTime(from start: Timestamp, to end: Timestamp) -> Int64 {
        guard start <= end else { return -workingTime(from: end, to: start) }
        let last = WorkCalendar.bounded(end)
        var now = WorkCalendar.bounded(start)
        var total: Int64 = 0
        while now < last, let open = opening(from: now, limit: last) {
            now = closing(after: open, limit: last)
            total += now - open
        }
        return total
    }

    /// The time at which `duration` milliseconds of work have been done since `time`: a deadline in working time.
    ///
    /// The earliest such time: work that ends with a shift is due at its end, not at the next beginning. For a negative
    /// duration it is the latest time from which that much work is done until `time`. Zero gives `time` itself.
    /// - Returns: nil where that much work is not done within the horizon.
    public func adding(workingMilliseconds duration: Int64, to time: Timestamp) -> Timestamp? {
        guard duration != 0 else { return time }
        guard duration > 0 else { return subtracting(duration.magnitude, from: time) }
        var now = WorkCalendar.bounded(time)
        let limit = now + WorkCalendar.horizon
        var rest = duration
        while let open = opening(from: now, limit: limit) {
            now = closing(after: open, limit: limit)
            guard now - open < rest else { return Timestamp(milliseconds: open + rest) }
            rest -= now - open
        }
        return nil
    }

    private func subtracting(_ duration: UInt64, from time: Timestamp) -> Timestamp? {
        guard let duration = Int64(exactly: duration) else { return nil }
        let end = WorkCalendar.bounded(time)
        var before = end
        var rest = duration
        var stretch: Int64 = 7 * 86_400_000
        while before > end - WorkCalendar.horizon {
            let from = max(before - stretch, end - WorkCalendar.horizon)
            var open: [Range<Int64>] = []
            var now = from
            while now < before, let start = opening(from: now, limit: before) {
                now = closing(after: start, limit: before)
                open.append(start..<now)
            }
            for range in open.reversed() {
                let length = range.upperBound - range.lowerBound
                if length >= rest { return Timestamp(milliseconds: range.upperBound - rest) }
                rest -= length
            }
            before = from
            stretch *= 2
        }
        return nil
    }
}

/// The shifts of a calendar one after another, as times, in the order of their beginnings.
struct ShiftWalker {
    private let calendar: WorkCalendar
    private var mapper: LocalMapper
    private var day: Int
    private let lastDay: Int
    private var shifts: [WorkCalendar.Shift] = []
    private var index = 0
    private var shiftDay = 0

    /// Begins early enough for every shift that ends after `from`; ends once no shift can begin before `until`.
    init(_ calendar: WorkCalendar, from: Int64, until: Int64) {
        self.calendar = calendar
        mapper = LocalMapper(calendar.zone.table)
        // A shift lasts at most a day, and no zone is more than 26 hours from UTC.
        day = max(
            ShiftWalker.dayOf(from + calendar.zone.table.span(at: from).offset) - 2, WorkCalendar.dayRange.lowerBound)
        lastDay = min(ShiftWalker.dayOf(until) + 2, WorkCalendar.dayRange.upperBound)
    }

    private static func dayOf(_ milliseconds: Int64) -> Int { LocalTime(milliseconds: milliseconds).date.days }

    /// The next shift that is not empty.
    mutating func next() -> (start: Int64, end: Int64)? {
        while true {
            while index < shifts.count {
                let shift = shifts[index]
                index += 1
                let midnight = Int64(shiftDay) * 86_400_000
                let start = mapper.first(midnight + Int64(shift.start) * 60_000)
                let end = mapper.first(midnight + Int64(shift.end) * 60_000)
                if start < end { return (start, end) }
            }
            guard day <= lastDay else { return nil }
            if calendar.week != .mixed, calendar.exceptions.isEmpty || calendar.exceptions[day] == nil {
                let first = day
                day = nextException(after: day)
                guard calendar.week == .alwaysOpen else { continue }
                return (mapper.first(Int64(first) * 86_400_000), mapper.first(Int64(day) * 86_400_000))
            }
            shifts = calendar.exceptions.isEmpty ? weekly(day) : calendar.exceptions[day] ?? weekly(day)
            index = 0
            shiftDay = day
            day += 1
        }
    }

    private func weekly(_ day: Int) -> [WorkCalendar.Shift] {
        calendar.weekly[CivilDate(days: day).weekday.rawValue - 1]
    }

    /// The next day that differs from its week, at most the day after the last.
    private func nextException(after day: Int) -> Int {
        let days = calendar.exceptionDays
        var low = 0
        var high = days.count
        while low < high {
            let middle = (low + high) / 2
            if days[middle] <= day { low = middle + 1 } else { high = middle }
        }
        return low < days.count ? min(days[low], lastDay + 1) : lastDay + 1
    }
}
