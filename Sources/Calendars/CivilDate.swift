public import Core

/// A day of the week, as ISO 8601 counts them.
public enum Weekday: Int, Sendable, CaseIterable, Comparable {
    case monday = 1
    case tuesday
    case wednesday
    case thursday
    case friday
    case saturday
    case sunday

    /// The English name in lower case.
    public var name: String {
        switch self {
        case .monday: "monday"
        case .tuesday: "tuesday"
        case .wednesday: "wednesday"
        case .thursday: "thursday"
        case .friday: "friday"
        case .saturday: "saturday"
        case .sunday: "sunday"
        }
    }

    /// The weekday of an English name or its first three letters, in any case; nil for none.
    public init?(name: some StringProtocol) {
        let lower = name.lowercased()
        guard let day = Weekday.allCases.first(where: { $0.name == lower || $0.name.prefix(3) == lower }) else {
            return nil
        }
        self = day
    }

    public static func < (left: Weekday, right: Weekday) -> Bool { left.rawValue < right.rawValue }
}

/// A date of the Gregorian calendar, in no zone.
public struct CivilDate: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Days since 1970-01-01; negative before it.
    public var days: Int

    /// Makes a date of the days since 1970-01-01.
    public init(days: Int) { self.days = days }

    /// Makes a date of the years 1 to 9999; nil for one that does not exist.
    public init?(year: Int, month: Int, day: Int) {
        guard (1...9999).contains(year), (1...12).contains(month), day >= 1,
            day <= CivilDate.dayCount(year: year, month: month)
        else { return nil }
        days = CivilDate.days(year: year, month: month, day: day)
    }

    /// Reads a date as `2026-12-24`; nil for another form or a date that does not exist.
    public static func parse(_ text: some StringProtocol) -> CivilDate? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }), let year = Int(parts[0]),
            let month = Int(parts[1]), let day = Int(parts[2])
        else { return nil }
        return CivilDate(year: year, month: month, day: day)
    }

    /// Year, month (from 1) and day of the month (from 1).
    public var parts: (year: Int, month: Int, day: Int) {
        let civil = LocalTime(date: self, minutes: 0).civil
        return (civil.year, civil.month, civil.day)
    }

    /// The day of the week.
    public var weekday: Weekday {
        // 1970-01-01 was a Thursday.
        let index = ((days + 3) % 7 + 7) % 7
        return Weekday(rawValue: index + 1) ?? .monday
    }

    /// The date some days later.
    public func adding(days count: Int) -> CivilDate { CivilDate(days: days + count) }

    public static func < (left: CivilDate, right: CivilDate) -> Bool { left.days < right.days }

    /// The date as `2026-12-24`.
    public var description: String { String(Timestamp(milliseconds: Int64(days) * 86_400_000).description.prefix(10)) }

    static func days(year: Int, month: Int, day: Int) -> Int {
        Timestamp.daysFromCivil(year: year, month: month, day: day)
    }

    /// How many days a month has.
    static func dayCount(year: Int, month: Int) -> Int {
        days(year: month == 12 ? year + 1 : year, month: month == 12 ? 1 : month + 1, day: 1)
            - days(year: year, month: month, day: 1)
    }
}

/// A date and time of day as a clock shows them, in no zone: milliseconds since 1970-01-01 00:00 of that clock.
public struct LocalTime: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970-01-01 00:00 on the same clock.
    public var milliseconds: Int64

    /// Makes a local time of the milliseconds since 1970-01-01 00:00.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// A date and minutes after its midnight; more than 1,440 are on the days after it.
    public init(date: CivilDate, minutes: Int) {
        milliseconds = Int64(date.days) * 86_400_000 + Int64(minutes) * 60_000
    }

    /// The date.
    public var date: CivilDate {
        CivilDate(days: Int((milliseconds - (milliseconds % 86_400_000 + 86_400_000) % 86_400_000) / 86_400_000))
    }

    /// Minutes since midnight, cut.
    public var minuteOfDay: Int { Int((milliseconds % 86_400_000 + 86_400_000) % 86_400_000 / 60_000) }

    /// Year to millisecond.
    public var civil: Timestamp.CivilTime { Timestamp(milliseconds: milliseconds).civil }

    public static func < (left: LocalTime, right: LocalTime) -> Bool { left.milliseconds < right.milliseconds }

    /// Reads `2026-12-24T14:00`, with optional seconds; nil for another form. A blank may stand for the `T`.
    public static func parse(_ text: some StringProtocol) -> LocalTime? {
        guard text.utf8.count >= 16, text.utf8.count <= 19,
            !text.dropFirst(10).contains(where: { $0 == "+" || $0 == "-" || $0 == "Z" || $0 == "z" })
        else { return nil }
        return Timestamp.parse(String(text)).map { LocalTime(milliseconds: $0.milliseconds) }
    }
}
