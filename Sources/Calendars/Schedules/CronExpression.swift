/// Five fields that say when something happens: minute, hour, day of the month, month, weekday, as in cron.
///
/// `0 7 * * MON-FRI`: at seven on working days. A field is `*`, a number, a range `1-5`, a step `*/15` or `8-18/2`, or
/// a list of these; months and weekdays have names; Sunday is 0 or 7. Where both the day of the month and the weekday
/// are limited, either is enough, as in cron; a field that begins with `*` does not limit. `@hourly`, `@daily`,
/// `@weekly`, `@monthly` and `@yearly` stand for what they say.
public struct CronExpression: Sendable, Equatable, CustomStringConvertible {
    /// The expression as written.
    public let description: String
    /// Bit n is minute n.
    let minutes: UInt64
    /// Bit n is hour n.
    let hours: UInt32
    /// Bit n is day n of the month.
    let monthDays: UInt32
    /// Bit n is month n.
    let months: UInt32
    /// Bit n is weekday n, Monday 1 to Sunday 7.
    let weekdays: UInt32
    let isAnyMonthDay: Bool
    let isAnyWeekday: Bool
    /// Whether it follows elapsed time when the clocks change: minute or hour begin with `*`.
    let followsElapsedTime: Bool

    /// What is wrong with an expression, and where.
    public struct Failure: Error, Sendable, Equatable {
        /// As a rule: lower case, no final period.
        public var message: String
        /// 1-based, in Unicode scalars of the expression.
        public var column: Int
        /// Scalars concerned, at least 1.
        public var length: Int
        /// What to write instead.
        public var help: String?
    }

    /// Reads an expression.
    ///
    /// - Throws: ``Failure`` for one that has another form, or that never happens, such as 30 February.
    public init(_ text: String) throws(Failure) {
        description = text
        var parser = CronParser(text)
        let fields = try parser.fields()
        minutes = fields[0].bits
        hours = UInt32(truncatingIfNeeded: fields[1].bits)
        monthDays = UInt32(truncatingIfNeeded: fields[2].bits)
        months = UInt32(truncatingIfNeeded: fields[3].bits)
        var days = fields[4].bits
        if days & 1 != 0 { days = days & ~1 | 1 << 7 }
        weekdays = UInt32(truncatingIfNeeded: days)
        isAnyMonthDay = fields[2].isStar
        isAnyWeekday = fields[4].isStar
        followsElapsedTime = fields[0].isStar || fields[1].isStar
        try checkDays(parser)
    }

    /// 30 February and the like; with a weekday beside it, either is enough.
    private func checkDays(_ parser: CronParser) throws(Failure) {
        guard isAnyMonthDay || isAnyWeekday else { return }
        let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        let happens = lengths.enumerated().contains { index, length in
            months & (1 << (index + 1)) != 0 && UInt64(monthDays) & ((1 << (length + 1)) - 2) != 0
        }
        guard !happens else { return }
        throw parser.failure("a day of the month must exist in one of its months", field: 2, help: nil)
    }

    /// Whether it happens on a date at all.
    func matches(_ date: CivilDate) -> Bool {
        let parts = date.parts
        guard months & (1 << parts.month) != 0 else { return false }
        let isMonthDay = monthDays & (1 << parts.day) != 0
        let isWeekday = weekdays & (1 << date.weekday.rawValue) != 0
        return isAnyMonthDay || isAnyWeekday ? isMonthDay && isWeekday : isMonthDay || isWeekday
    }

    /// The first minute of the day, from `minute` on, at which it happens.
    func minuteOfDay(from minute: Int) -> Int? {
        guard minute < 1440 else { return nil }
        let hour = minute / 60
        if hours & (1 << hour) != 0 {
            let rest = minutes >> (minute % 60)
            if rest != 0 { return minute + rest.trailingZeroBitCount }
        }
        let later = hour == 23 ? 0 : hours >> (hour + 1)
        guard later != 0 else { return nil }
        return (hour + 1 + later.trailingZeroBitCount) * 60 + minutes.trailingZeroBitCount
    }

    /// The first minute on any clock, from `local` on and before `limit`, at which it happens.
    ///
    /// - Parameter isDay: whether a date may be taken.
    func firstMinute(from local: LocalTime, limit: LocalTime, isDay: (CivilDate) -> Bool) -> LocalTime? {
        var date = local.date
        let isWhole = local.milliseconds % 60_000 == 0
        var minute = local.minuteOfDay + (isWhole ? 0 : 1)
        while LocalTime(date: date, minutes: 0) < limit {
            let parts = date.parts
            guard months & (1 << parts.month) != 0 else {
                let rest = CivilDate.dayCount(year: parts.year, month: parts.month) - parts.day
                date = date.adding(days: rest + 1)
                minute = 0
                continue
            }
            if matches(date), isDay(date), let found = minuteOfDay(from: minute) {
                let result = LocalTime(date: date, minutes: found)
                return result < limit ? result : nil
            }
            date = date.adding(days: 1)
            minute = 0
        }
        return nil
    }
}
