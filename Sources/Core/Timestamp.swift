/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// All times inside the router have this form. Time zones exist only where a time is shown.
@frozen
public struct Timestamp: Sendable, Hashable, Comparable, Codable {
    /// Milliseconds since 1970-01-01T00:00:00Z; negative before it.
    public var milliseconds: Int64

    /// Makes a timestamp from milliseconds since the epoch.
    @inlinable
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The epoch, 1970-01-01T00:00:00Z.
    public static let epoch = Timestamp(milliseconds: 0)
    /// The earliest time that can be written.
    public static let distantPast = Timestamp(milliseconds: Int64.min / 4)
    /// The latest time that can be written.
    public static let distantFuture = Timestamp(milliseconds: Int64.max / 4)

    @inlinable
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// The time `milliseconds` later; saturates instead of overflowing.
    @inlinable
    public func adding(milliseconds delta: Int64) -> Timestamp {
        let (sum, overflow) = milliseconds.addingReportingOverflow(delta)
        return Timestamp(milliseconds: overflow ? (delta < 0 ? Int64.min / 4 : Int64.max / 4) : sum)
    }

    /// The time `duration` later; saturates instead of overflowing.
    public func adding(_ duration: Duration) -> Timestamp { adding(milliseconds: duration.wholeMilliseconds) }

    /// Milliseconds from `earlier` to this time.
    @inlinable
    public func milliseconds(since earlier: Timestamp) -> Int64 {
        milliseconds.subtractingReportingOverflow(earlier.milliseconds).partialValue
    }
}

extension Duration {
    /// The duration in milliseconds, cut towards zero, saturating.
    public var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? (seconds < 0 ? Int64.min / 4 : Int64.max / 4) : product + attoseconds / 1_000_000_000_000_000
    }
}

// MARK: - Civil time in UTC

extension Timestamp {
    /// A UTC date and time of day, as written in RFC 3339.
    public struct CivilTime: Sendable, Equatable {
        public var year: Int
        public var month: Int
        public var day: Int
        public var hour: Int
        public var minute: Int
        public var second: Int
        public var millisecond: Int
    }

    /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
    ///
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil).
    public static func daysFromCivil(year: Int, month: Int, day: Int) -> Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The UTC date and time of day of this timestamp.
    public var civil: CivilTime {
        let dayMilliseconds: Int64 = 86_400_000
        var days = milliseconds / dayMilliseconds
        var rest = milliseconds % dayMilliseconds
        if rest < 0 {
            rest += dayMilliseconds
            days -= 1
        }
        let shifted = Int(days) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        let seconds = Int(rest / 1000)
        return CivilTime(
            year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month,
            day: dayOfYear - (153 * monthIndex + 2) / 5 + 1, hour: seconds / 3600, minute: seconds / 60 % 60,
            second: seconds % 60, millisecond: Int(rest % 1000))
    }

    /// Makes a timestamp from a UTC date and time of day; nil where a part is out of its range.
    public init?(civil: CivilTime) {
        guard (1...9999).contains(civil.year), (1...12).contains(civil.month), (0...23).contains(civil.hour),
            (0...59).contains(civil.minute), (0...60).contains(civil.second), (0...999).contains(civil.millisecond),
            (1...Timestamp.daysInMonth(year: civil.year, month: civil.month)).contains(civil.day)
        else { return nil }
        let days = Timestamp.daysFromCivil(year: civil.year, month: civil.month, day: civil.day)
        let seconds = days * 86_400 + civil.hour * 3600 + civil.minute * 60 + min(civil.second, 59)
        milliseconds = Int64(seconds) * 1000 + Int64(civil.millisecond)
    }

    private static func daysInMonth(year: Int, month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

// MARK: - RFC 3339

extension Timestamp: CustomStringConvertible {
    /// The time as RFC 3339 in UTC with milliseconds, such as `2026-01-12T05:27:49.985Z`.
    public var description: String {
        func padded(_ number: Int, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        let time = civil
        let date = "\(padded(time.year, 4))-\(padded(time.month, 2))-\(padded(time.day, 2))"
        let clock = "\(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2))"
        return "\(date)T\(clock).\(padded(time.millisecond, 3))Z"
    }

    /// Parses RFC 3339 with 0 to 9 fraction digits (cut to milliseconds) and any offset.
    ///
    /// A text without an offset is taken as UTC when `zoneRequired` is false, as publishers other than Spark write it;
    /// a date alone is its midnight. A blank may stand for the `T`.
    /// - Returns: nil where the text has another form or names an impossible date.
    public static func parse(_ text: String, zoneRequired: Bool = false) -> Timestamp? {
        var copy = text
        return copy.withUTF8 { parse(UnsafeRawBufferPointer($0), zoneRequired: zoneRequired) }
    }

    /// Parses RFC 3339 from bytes; see ``parse(_:zoneRequired:)-(String,_)``.
    public static func parse(_ bytes: UnsafeRawBufferPointer, zoneRequired: Bool = false) -> Timestamp? {
        var reader = DigitReader(bytes: bytes)
        guard let year = reader.digits(4), reader.take(UInt8(ascii: "-")), let month = reader.digits(2),
            reader.take(UInt8(ascii: "-")), let day = reader.digits(2)
        else { return nil }
        var civil = CivilTime(year: year, month: month, day: day, hour: 0, minute: 0, second: 0, millisecond: 0)
        if reader.isAtEnd { return zoneRequired ? nil : Timestamp(civil: civil) }
        guard reader.take(UInt8(ascii: "T")) || reader.take(UInt8(ascii: "t")) || reader.take(UInt8(ascii: " ")),
            let hour = reader.digits(2), reader.take(UInt8(ascii: ":")), let minute = reader.digits(2)
        else { return nil }
        civil.hour = hour
        civil.minute = minute
        if reader.take(UInt8(ascii: ":")) {
            guard let second = reader.digits(2) else { return nil }
            civil.second = second
            if reader.take(UInt8(ascii: ".")) {
                guard let fraction = reader.fractionMilliseconds() else { return nil }
                civil.millisecond = fraction
            }
        }
        guard let time = Timestamp(civil: civil) else { return nil }
        if reader.isAtEnd { return zoneRequired ? nil : time }
        if reader.take(UInt8(ascii: "Z")) || reader.take(UInt8(ascii: "z")) { return reader.isAtEnd ? time : nil }
        guard let sign = reader.sign(), let offsetHour = reader.digits(2) else { return nil }
        _ = reader.take(UInt8(ascii: ":"))
        let offsetMinute = reader.isAtEnd ? 0 : reader.digits(2)
        guard let offsetMinute, reader.isAtEnd, offsetHour <= 23, offsetMinute <= 59 else { return nil }
        return time.adding(milliseconds: -Int64(sign * (offsetHour * 60 + offsetMinute)) * 60_000)
    }

    private struct DigitReader {
        let bytes: UnsafeRawBufferPointer
        var index = 0
        init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }
        var isAtEnd: Bool { index == bytes.count }

        mutating func take(_ byte: UInt8) -> Bool {
            guard index < bytes.count, bytes[index] == byte else { return false }
            index += 1
            return true
        }

        mutating func sign() -> Int? {
            if take(UInt8(ascii: "+")) { return 1 }
            return take(UInt8(ascii: "-")) ? -1 : nil
        }

        mutating func digits(_ count: Int) -> Int? {
            guard bytes.count - index >= count else { return nil }
            var value = 0
            for _ in 0..<count {
                let digit = Int(bytes[index]) - 48
                guard (0...9).contains(digit) else { return nil }
                value = value * 10 + digit
                index += 1
            }
            return value
        }

        mutating func fractionMilliseconds() -> Int? {
            var value = 0
            var count = 0
            while index < bytes.count, case let digit = Int(bytes[index]) - 48, (0...9).contains(digit) {
                if count < 3 { value = value * 10 + digit }
                count += 1
                index += 1
            }
            guard (1...9).contains(count) else { return nil }
            for _ in min(count, 3)..<3 { value *= 10 }
            return value
        }
    }
}
