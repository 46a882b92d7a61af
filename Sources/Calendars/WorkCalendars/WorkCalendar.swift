public import Core

/// When a place works: a time zone, weekly hours, holidays, shutdowns and extra working days.
///
/// A shift belongs to the day on which it begins: a holiday removes the shifts that begin on it, and the night shift of
/// the day before ends as usual. Hours are meant as the wall clock shows them, so a shift of eight hours lasts seven or
/// nine when the clocks change in it; an hour that occurs twice is meant once, the first time.
///
/// A value. All questions end: where the answer lies more than ``horizonDays`` days away it is nil, and the calendar
/// is closed outside of the years 1900 to 2199.
public struct WorkCalendar: Sendable, Equatable {
    /// A stretch of working time on one day.
    public struct Shift: Sendable, Hashable, Comparable {
        /// Minutes after midnight, 0 to 1439.
        public var start: Int
        /// Minutes after the same midnight, above ``start``, at most a day later than it.
        public var end: Int

        /// Makes a shift of its minutes; nil where they are out of range.
        public init?(start: Int, end: Int) {
            guard (0..<1440).contains(start), end > start, end - start <= 1440 else { return nil }
            self.start = start
            self.end = end
        }

        public static func < (left: Shift, right: Shift) -> Bool { (left.start, left.end) < (right.start, right.end) }
    }

    /// How far the calendar looks for an answer.
    public static let horizonDays = 1830
    static let horizon = Int64(horizonDays) * 86_400_000
    /// The first and the last day that can have working hours: 1900-01-01 and 2199-12-31.
    static let dayRange = -25_567...84_005

    public let zone: TimeZoneRules
    /// Sorted shifts by weekday, Monday first.
    let weekly: [[Shift]]
    /// Days that differ from their week: their sorted shifts, none for a holiday.
    let exceptions: [Int: [Shift]]
    /// The keys of ``exceptions``, ascending.
    let exceptionDays: [Int]
    /// Times of no work whatever the hours say, ascending, apart from each other, in milliseconds.
    let closures: [Range<Int64>]
    /// Names of holidays and shutdowns by day, for showing.
    let names: [Int: String]
    let week: Week

    /// Weeks in which nothing changes, over which a search may jump.
    enum Week: Sendable, Equatable { case mixed, alwaysOpen, neverOpen }

    /// What differs from the week on one day.
    public struct Exception: Sendable, Equatable {
        public var date: CivilDate
        /// Empty for a holiday.
        public var shifts: [Shift]
        public var name: String?

        /// Names what differs on a day.
        public init(date: CivilDate, shifts: [Shift], name: String?) {
            self.date = date
            self.shifts = shifts
            self.name = name
        }
    }

    /// Makes a calendar.
    ///
    /// - Parameters:
    ///   - weekly: shifts by weekday; a day that is missing has none.
    ///   - exceptions: a later one of the same day wins.
    ///   - closures: no work from their start to before their end.
    public init(
        zone: TimeZoneRules, weekly: [Weekday: [Shift]], exceptions: [Exception], closures: [Range<Timestamp>]
    ) {
        self.zone = zone
        self.weekly = Weekday.allCases.map { (weekly[$0] ?? []).sorted() }
        self.exceptions = Dictionary(
            exceptions.map { ($0.date.days, $0.shifts.sorted()) }, uniquingKeysWith: { $1 })
        exceptionDays = self.exceptions.keys.sorted()
        names = Dictionary(
            exceptions.compactMap { exception in exception.name.map { (exception.date.days, $0) } },
            uniquingKeysWith: { $1 })
        self.closures = WorkCalendar.merged(closures.map { $0.lowerBound.milliseconds..<$0.upperBound.milliseconds })
        if self.weekly.allSatisfy(\.isEmpty) {
            week = .neverOpen
        } else if let day = Shift(start: 0, end: 1440), self.weekly.allSatisfy({ $0 == [day] }) {
            week = .alwaysOpen
        } else {
            week = .mixed
        }
    }

    /// Open at all times.
    public static let always = WorkCalendar(
        zone: .utc,
        weekly: Dictionary(
            uniqueKeysWithValues: Weekday.allCases.map { ($0, [Shift(start: 0, end: 1440)].compactMap { $0 }) }),
        exceptions: [], closures: [])

    private static func merged(_ ranges: [Range<Int64>]) -> [Range<Int64>] {
        var merged: [Range<Int64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if let last = merged.last, last.upperBound >= range.lowerBound {
                merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    // MARK: - Questions about days

    /// The shifts that begin on a date, whatever closures there are.
    public func shifts(on date: CivilDate) -> [Shift] {
        guard WorkCalendar.dayRange.contains(date.days) else { return [] }
        return exceptions[date.days] ?? weekly[date.weekday.rawValue - 1]
    }

    /// Whether a shift begins on the date of which a part is open.
    public func isWorkingDay(_ date: CivilDate) -> Bool {
        let shifts = shifts(on: date)
        guard !closures.isEmpty else { return !shifts.isEmpty }
        return shifts.contains { shift in
            let start = zone.first(LocalTime(date: date, minutes: shift.start)).milliseconds
            let end = zone.first(LocalTime(date: date, minutes: shift.end)).milliseconds
            guard start < end else { return false }
            guard let closure = closure(endingAfter: start), closure.lowerBound <= start else { return true }
            return closure.upperBound < end
        }
    }

    /// The name of the holiday or extra working day, if it has one.
    public func name(of date: CivilDate) -> String? { names[date.days] }

    /// The first closure that ends after a time.
    func closure(endingAfter time: Int64) -> Range<Int64>? {
        var low = 0
        var high = closures.count
        while low < high {
            let middle = (low + high) / 2
            if closures[middle].upperBound <= time { low = middle + 1 } else { high = middle }
        }
        return low < closures.count ? closures[low] : nil
    }
}
