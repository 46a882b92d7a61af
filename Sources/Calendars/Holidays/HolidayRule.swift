internal import Core

/// A recurrence rule of an iCalendar file, in days.
///
/// Source: RFC 5545 section 3.3.10. Not supported, and an error: frequencies below a day, BYSETPOS, BYWEEKNO,
/// BYYEARDAY, BYHOUR and shorter.
struct HolidayRule: Equatable {
    enum Frequency: String { case daily = "DAILY", weekly = "WEEKLY", monthly = "MONTHLY", yearly = "YEARLY" }

    /// A weekday, perhaps the n-th of its month or year, from the end if negative.
    struct DayOfWeek: Equatable {
        var weekday: Weekday
        var ordinal: Int?
    }

    var frequency: Frequency
    var interval = 1
    var count: Int?
    /// As written: a date or a time.
    var until: String?
    var months: [Int] = []
    var monthDays: [Int] = []
    var days: [DayOfWeek] = []
    var weekStart = Weekday.monday

    struct Failure: Error, Equatable {
        var message: String
        var isUnsupported = false
    }

    init(_ text: String) throws(Failure) {
        var parts: [(name: String, value: String)] = []
        for part in text.split(separator: ";") {
            guard let equals = part.firstIndex(of: "=") else {
                throw Failure(
                    message: "a part of a recurrence rule has the form NAME=value; found '\(part.prefix(40))'")
            }
            parts.append((part[..<equals].uppercased(), part[part.index(after: equals)...].uppercased()))
        }
        guard let name = parts.first(where: { $0.name == "FREQ" })?.value else {
            throw Failure(message: "a recurrence rule must have a FREQ")
        }
        guard let frequency = Frequency(rawValue: name) else {
            throw Failure(
                message: "a recurrence rule may be YEARLY, MONTHLY, WEEKLY or DAILY; found '\(name.prefix(40))'",
                isUnsupported: true)
        }
        self.frequency = frequency
        for part in parts { try read(part.name, part.value) }
        let takesOrdinals = frequency == .yearly || frequency == .monthly
        if !takesOrdinals, days.contains(where: { $0.ordinal != nil }) {
            throw Failure(message: "BYDAY may have numbers in YEARLY and MONTHLY rules only")
        }
        if frequency == .weekly, !monthDays.isEmpty {
            throw Failure(message: "BYMONTHDAY has no meaning in a WEEKLY rule")
        }
    }

    private mutating func read(_ name: String, _ value: String) throws(Failure) {
        switch name {
        case "FREQ": break
        case "INTERVAL": interval = try HolidayRule.number(name, value, in: 1...1000)
        case "COUNT": count = try HolidayRule.number(name, value, in: 1...100_000)
        case "UNTIL": until = value
        case "BYMONTH": months = try HolidayRule.list(name, value, in: 1...12, isSigned: false)
        case "BYMONTHDAY": monthDays = try HolidayRule.list(name, value, in: 1...31, isSigned: true)
        case "BYDAY":
            for element in value.split(separator: ",", omittingEmptySubsequences: false) {
                days.append(try HolidayRule.day(element))
            }
        case "WKST":
            guard let day = HolidayRule.weekday(value) else {
                throw Failure(message: "WKST must be a weekday such as MO; found '\(value.prefix(40))'")
            }
            weekStart = day
        default:
            throw Failure(
                message: "a recurrence rule with '\(name.prefix(40))' is not supported", isUnsupported: true)
        }
    }

    private static func number(_ name: String, _ text: some StringProtocol, in range: ClosedRange<Int>)
        throws(Failure) -> Int
    {
        guard text.utf8.count <= 9, let number = Int(text), range.contains(number) else {
            throw Failure(
                message: "\(name) must be from \(range.lowerBound) to \(range.upperBound); found '\(text.prefix(40))'")
        }
        return number
    }

    private static func list(_ name: String, _ text: String, in range: ClosedRange<Int>, isSigned: Bool)
        throws(Failure) -> [Int]
    {
        var numbers: [Int] = []
        for element in text.split(separator: ",", omittingEmptySubsequences: false) {
            let isNegative = isSigned && element.hasPrefix("-")
            let number = try number(name, isNegative ? element.dropFirst() : element, in: range)
            numbers.append(isNegative ? -number : number)
        }
        return numbers
    }

    private static func day(_ text: Substring) throws(Failure) -> DayOfWeek {
        guard text.utf8.count >= 2, let weekday = weekday(text.suffix(2)) else {
            throw Failure(message: "BYDAY must name weekdays such as MO or -1SU; found '\(text.prefix(40))'")
        }
        var digits = text.dropLast(2)
        guard !digits.isEmpty else { return DayOfWeek(weekday: weekday) }
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits = digits.dropFirst() }
        let number = try number("the number of a weekday", digits, in: 1...53)
        return DayOfWeek(weekday: weekday, ordinal: isNegative ? -number : number)
    }

    private static func weekday(_ text: some StringProtocol) -> Weekday? {
        let names = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
        return names.firstIndex(of: String(text)).flatMap { Weekday(rawValue: $0 + 1) }
    }

    // MARK: - Dates

    /// The dates of the rule, ascending, the start always the first of them.
    ///
    /// - Parameter countMax: one more than this many shows that there are too many.
    func dates(from start: CivilDate, through last: CivilDate, countMax: Int) -> [CivilDate] {
        var dates = [start]
        let limit = min(count ?? .max, countMax + 1)
        switch frequency {
        case .daily, .weekly:
            let week = weekIndex(start)
            var date = start.adding(days: 1)
            while date <= last, dates.count < limit {
                let isDue =
                    frequency == .daily
                    ? (date.days - start.days) % interval == 0 : (weekIndex(date) - week) % interval == 0
                if isDue, matches(date, start: start) { dates.append(date) }
                date = date.adding(days: 1)
            }
        case .monthly, .yearly:
            let first = start.parts
            let end = last.parts
            var month = first.year * 12 + first.month - 1
            while month <= end.year * 12 + end.month - 1, dates.count < limit {
                if isDue(month, first: first.year * 12 + first.month - 1) {
                    append(month, start: start, last: last, limit: limit, to: &dates)
                }
                month += 1
            }
        }
        return dates
    }

    private func isDue(_ month: Int, first: Int) -> Bool {
        guard months.isEmpty || months.contains(month % 12 + 1) else { return false }
        if frequency == .monthly { return (month - first) % interval == 0 }
        guard (month / 12 - first / 12) % interval == 0 else { return false }
        // Without any BY part the rule means the month of its start.
        return !months.isEmpty || !monthDays.isEmpty || !days.isEmpty || month % 12 == first % 12
    }

    private func append(
        _ month: Int, start: CivilDate, last: CivilDate, limit: Int, to dates: inout [CivilDate]
    ) {
        let first = CivilDate(days: CivilDate.days(year: month / 12, month: month % 12 + 1, day: 1))
        let count = CivilDate.dayCount(year: month / 12, month: month % 12 + 1)
        for offset in 0..<count where dates.count < limit {
            let date = first.adding(days: offset)
            if date > start, date <= last, matches(date, start: start) { dates.append(date) }
        }
    }

    private func weekIndex(_ date: CivilDate) -> Int {
        // 1970-01-01 was a Thursday.
        let shifted = date.days + 3 - (weekStart.rawValue - 1)
        return shifted >= 0 ? shifted / 7 : (shifted - 6) / 7
    }

    private func matches(_ date: CivilDate, start: CivilDate) -> Bool {
        let parts = date.parts
        if !months.isEmpty, !months.contains(parts.month) { return false }
        let length = CivilDate.dayCount(year: parts.year, month: parts.month)
        if !monthDays.isEmpty, !monthDays.contains(parts.day), !monthDays.contains(parts.day - length - 1) {
            return false
        }
        if !days.isEmpty, !days.contains(where: { matches($0, date, parts, monthLength: length) }) { return false }
        guard monthDays.isEmpty, days.isEmpty else { return true }
        switch frequency {
        case .daily: return true
        case .weekly: return date.weekday == start.weekday
        case .monthly, .yearly: return parts.day == start.parts.day
        }
    }

    private func matches(
        _ day: DayOfWeek, _ date: CivilDate, _ parts: (year: Int, month: Int, day: Int), monthLength: Int
    ) -> Bool {
        guard day.weekday == date.weekday else { return false }
        guard let ordinal = day.ordinal else { return true }
        var index = parts.day - 1
        var length = monthLength
        if frequency == .yearly, months.isEmpty {
            let first = CivilDate.days(year: parts.year, month: 1, day: 1)
            index = date.days - first
            length = CivilDate.days(year: parts.year + 1, month: 1, day: 1) - first
        }
        return ordinal == index / 7 + 1 || ordinal == -((length - 1 - index) / 7 + 1)
    }
}
