/// The rule that follows the last transition of a zone's file: a `TZ` text of POSIX.
///
/// Such as `CET-1CEST,M3.5.0,M10.5.0/3`.
///
/// Source: RFC 8536 section 3.3.1 (hours of a transition from -167 to 167).
struct ZoneFooter: Sendable, Equatable {
    /// Milliseconds east of UTC.
    let standard: Int64
    private let daylight: Daylight?

    private struct Daylight: Sendable, Equatable {
        var offset: Int64
        var start: Day
        var end: Day
    }

    /// A day of each year and a time on its clock.
    private struct Day: Sendable, Equatable {
        enum Form: Sendable, Equatable {
            /// 1 to 365; 29 February is never counted.
            case julian(Int)
            /// 0 to 365.
            case ordinal(Int)
            /// The `week`-th weekday (0 = Sunday) of a month; week 5 is the last.
            case weekday(month: Int, week: Int, day: Int)
        }
        var form: Form
        /// Milliseconds from midnight; may be negative or beyond the day.
        var time: Int64

        /// Milliseconds since 1970 on the clock in force before the transition.
        func local(year: Int) -> Int64 {
            let first = CivilDate.days(year: year, month: 1, day: 1)
            let day: Int
            switch form {
            case .julian(let number):
                let isLeap = CivilDate.days(year: year + 1, month: 1, day: 1) - first == 366
                day = first + number - 1 + (isLeap && number >= 60 ? 1 : 0)
            case .ordinal(let number): day = first + number
            case .weekday(let month, let week, let weekday):
                let start = CivilDate.days(year: year, month: month, day: 1)
                let next = CivilDate.days(
                    year: month == 12 ? year + 1 : year, month: month == 12 ? 1 : month + 1, day: 1)
                // 1970-01-01 was a Thursday, day 4 of a week that starts on Sunday.
                let startWeekday = ((start + 4) % 7 + 7) % 7
                var found = start + (weekday - startWeekday + 7) % 7 + (week - 1) * 7
                while found >= next { found -= 7 }
                day = found
            }
            return Int64(day) * 86_400_000 + time
        }
    }

    var hasDaylightTime: Bool { daylight != nil }

    /// The changes of a year, ascending.
    func transitions(year: Int) -> [(start: Int64, offset: Int64)] {
        guard let daylight else { return [] }
        let start = (start: daylight.start.local(year: year) - standard, offset: daylight.offset)
        let end = (start: daylight.end.local(year: year) - daylight.offset, offset: standard)
        return start.start <= end.start ? [start, end] : [end, start]
    }

    /// The offset in force when a year begins.
    func offset(yearStart year: Int) -> Int64 { transitions(year: year - 1).last?.offset ?? standard }

    /// Reads the text; nil where it has another form.
    init?(_ text: some Sequence<UInt8>) {
        var reader = Reader(bytes: Array(text))
        guard reader.name(), let offset = reader.offset() else { return nil }
        standard = -offset
        guard !reader.isAtEnd else {
            daylight = nil
            return
        }
        guard reader.name() else { return nil }
        var daylightOffset = standard + 3_600_000
        if reader.peek != UInt8(ascii: ",") {
            guard let offset = reader.offset() else { return nil }
            daylightOffset = -offset
        }
        guard reader.take(","), let start = reader.day(), reader.take(","), let end = reader.day(), reader.isAtEnd
        else { return nil }
        daylight = Daylight(offset: daylightOffset, start: start, end: end)
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { index == bytes.count }
        var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard peek == UInt8(ascii: character) else { return false }
            index += 1
            return true
        }

        /// Three letters or more, or a text in angle brackets.
        mutating func name() -> Bool {
            if take("<") {
                while let byte = peek, byte != UInt8(ascii: ">") { index += 1 }
                return take(">")
            }
            let start = index
            while let byte = peek, (65...90).contains(byte) || (97...122).contains(byte) { index += 1 }
            return index - start >= 3
        }

        mutating func number(max: Int) -> Int? {
            var value = 0
            let start = index
            while let byte = peek, (48...57).contains(byte), index - start < 4 {
                value = value * 10 + Int(byte) - 48
                index += 1
            }
            return index > start && value <= max ? value : nil
        }

        mutating func offset() -> Int64? { time(hoursMax: 26) }

        /// `[+-]hh[:mm[:ss]]` in milliseconds.
        mutating func time(hoursMax: Int) -> Int64? {
            let isNegative = take("-")
            if !isNegative { _ = take("+") }
            guard let hours = number(max: hoursMax) else { return nil }
            var seconds = hours * 3600
            if take(":") {
                guard let minutes = number(max: 59) else { return nil }
                seconds += minutes * 60
                if take(":") {
                    guard let rest = number(max: 59) else { return nil }
                    seconds += rest
                }
            }
            return Int64(isNegative ? -seconds : seconds) * 1000
        }

        mutating func day() -> Day? {
            let form: Day.Form
            if take("M") {
                guard let month = number(max: 12), month >= 1, take("."), let week = number(max: 5), week >= 1,
                    take("."), let day = number(max: 6)
                else { return nil }
                form = .weekday(month: month, week: week, day: day)
            } else if take("J") {
                guard let day = number(max: 365), day >= 1 else { return nil }
                form = .julian(day)
            } else {
                guard let day = number(max: 365) else { return nil }
                form = .ordinal(day)
            }
            guard take("/") else { return Day(form: form, time: 7_200_000) }
            guard let time = time(hoursMax: 167) else { return nil }
            return Day(form: form, time: time)
        }
    }
}
