internal import Core

// MARK: - Dates, times and durations of events

extension HolidayReader {
    /// A date, or a date and time in a zone.
    struct Moment {
        var local: LocalTime
        /// Nil for a date.
        var zone: TimeZoneRules?
    }

    /// Longest event: a year.
    private static let lengthMax: Int64 = 366 * 86_400_000

    /// A date (`20261224`) or time (`20261224T140000`, with `Z` in UTC) of a line.
    mutating func moment(_ line: HolidayLine, _ text: String) -> Moment? {
        guard let parsed = HolidayReader.parse(text) else {
            report(
                CalendarCode.date,
                "\(line.name) must be a date such as 20261224 or a time such as 20261224T140000; found "
                    + "'\(text.prefix(40))'", line: line.number)
            return nil
        }
        let date = parsed.local.date
        guard date >= HolidayFile.firstDay, date <= HolidayFile.lastDay else {
            report(CalendarCode.date, "\(line.name) must be in the years 1900 to 2099", line: line.number)
            return nil
        }
        guard parsed.hasTime else { return Moment(local: parsed.local, zone: nil) }
        if parsed.isUTC { return Moment(local: parsed.local, zone: .utc) }
        guard let name = line.parameters["TZID"] else { return Moment(local: parsed.local, zone: zone) }
        do {
            return Moment(local: parsed.local, zone: try zones.find(name))
        } catch {
            report(CalendarCode.timeZone, error.message, line: line.number, help: error.help)
            return nil
        }
    }

    static func parse(_ text: String) -> (local: LocalTime, hasTime: Bool, isUTC: Bool)? {
        var digits = Array(text.utf8)
        let isUTC = digits.last == UInt8(ascii: "Z")
        if isUTC { digits.removeLast() }
        guard digits.count == 8 && !isUTC || digits.count == 15 && digits[8] == UInt8(ascii: "T") else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in digits[range] {
                guard (48...57).contains(byte) else { return nil }
                value = value * 10 + Int(byte) - 48
            }
            return value
        }
        guard let year = number(0..<4), let month = number(4..<6), let day = number(6..<8),
            let date = CivilDate(year: year, month: month, day: day)
        else { return nil }
        guard digits.count == 15 else { return (LocalTime(date: date, minutes: 0), false, false) }
        guard let hour = number(9..<11), let minute = number(11..<13), let second = number(13..<15), hour <= 23,
            minute <= 59, second <= 60
        else { return nil }
        var local = LocalTime(date: date, minutes: hour * 60 + minute)
        local.milliseconds += Int64(min(second, 59)) * 1000
        return (local, true, isUTC)
    }

    /// How long the event lasts on its own clock: by DTEND, DURATION, or one day for a date.
    mutating func length(_ start: Moment) -> Int64? {
        var length: Int64 = start.zone == nil ? 86_400_000 : 0
        var line = property("DTSTART")
        if let end = property("DTEND") {
            line = end
            guard let moment = moment(end, end.value) else { return nil }
            if let zone = start.zone, let endZone = moment.zone {
                length = zone.local(endZone.first(moment.local)).milliseconds - start.local.milliseconds
            } else {
                length = moment.local.milliseconds - start.local.milliseconds
                // Some programs write the same date twice for one day.
                if start.zone == nil, length == 0 { length = 86_400_000 }
            }
            guard (start.zone == nil) == (moment.zone == nil) else {
                report(CalendarCode.holidayFile, "DTSTART and DTEND must both be dates or both times", line: end.number)
                return nil
            }
        } else if let duration = property("DURATION") {
            line = duration
            guard let parsed = HolidayReader.duration(duration.value), start.zone != nil || parsed % 86_400_000 == 0
            else {
                report(
                    CalendarCode.holidayFile,
                    "DURATION must have a form such as P1D or PT8H; found '\(duration.value.prefix(40))'",
                    line: duration.number)
                return nil
            }
            length = parsed
        }
        guard length >= 0, length <= HolidayReader.lengthMax else {
            report(
                CalendarCode.holidayFile, "an event must end after its start and within a year", line: line?.number ?? 1
            )
            return nil
        }
        return length
    }

    /// `P2W`, `P1D`, `PT8H30M`; nil for another form.
    static func duration(_ text: String) -> Int64? {
        var rest = Substring(text.uppercased())
        if rest.hasPrefix("+") { rest = rest.dropFirst() }
        guard rest.hasPrefix("P"), rest.utf8.count >= 3 else { return nil }
        rest = rest.dropFirst()
        var total: Int64 = 0
        var isTime = false
        while !rest.isEmpty {
            if rest.hasPrefix("T") {
                guard !isTime, rest.utf8.count > 1 else { return nil }
                isTime = true
                rest = rest.dropFirst()
                continue
            }
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard (1...6).contains(digits.utf8.count), let number = Int64(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            guard let unit = rest.popFirst() else { return nil }
            switch (unit, isTime) {
            case ("W", false): total += number * 7 * 86_400_000
            case ("D", false): total += number * 86_400_000
            case ("H", true): total += number * 3_600_000
            case ("M", true): total += number * 60_000
            case ("S", true): total += number * 1000
            default: return nil
            }
        }
        return total
    }

    /// The dates on which the event begins.
    mutating func recurring(_ line: HolidayLine, start: Moment) -> [CivilDate]? {
        let rule: HolidayRule
        do {
            rule = try HolidayRule(line.value)
        } catch {
            report(
                error.isUnsupported ? CalendarCode.unsupported : CalendarCode.holidayFile, error.message,
                line: line.number, help: error.isUnsupported ? "list the dates under 'holidays'" : nil)
            return nil
        }
        var last = HolidayFile.lastDay
        if let text = rule.until {
            guard let until = HolidayReader.parse(text) else {
                report(
                    CalendarCode.date, "UNTIL must be a date or a time; found '\(text.prefix(40))'", line: line.number)
                return nil
            }
            last = min(last, HolidayReader.lastDate(until, start: start))
        }
        return rule.dates(from: start.local.date, through: last, countMax: HolidayFile.dayCountMax)
    }

    /// The last date on which an event that recurs until a time can begin.
    private static func lastDate(_ until: (local: LocalTime, hasTime: Bool, isUTC: Bool), start: Moment) -> CivilDate {
        guard until.hasTime, let zone = start.zone else { return until.local.date }
        let local =
            until.isUTC ? zone.local(Timestamp(milliseconds: until.local.milliseconds)) : until.local
        let timeOfDay = start.local.milliseconds - LocalTime(date: start.local.date, minutes: 0).milliseconds
        return LocalTime(milliseconds: local.milliseconds - timeOfDay).date
    }
}
