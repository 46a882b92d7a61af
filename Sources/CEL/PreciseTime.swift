public import Core

/// A point in time with nanoseconds, from year 1 to year 9999, as CEL has it.
public struct PreciseTime: Sendable, Hashable, Comparable {
    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    public var seconds: Int64
    /// 0 to 999,999,999.
    public var nanoseconds: Int32

    internal static let secondsMin: Int64 = -62_135_596_800
    internal static let secondsMax: Int64 = 253_402_300_799

    /// Makes a time from parts that are in range; nil outside the years 1 to 9999.
    public init?(seconds: Int64, nanoseconds: Int32) {
        guard seconds >= PreciseTime.secondsMin, seconds <= PreciseTime.secondsMax,
            nanoseconds >= 0, nanoseconds < 1_000_000_000
        else { return nil }
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The same point in time; times beyond the years 1 to 9999 become the nearest that is within.
    public init(_ timestamp: Timestamp) {
        let floor = timestamp.milliseconds >= 0 ? timestamp.milliseconds / 1000 : (timestamp.milliseconds - 999) / 1000
        seconds = min(max(floor, PreciseTime.secondsMin), PreciseTime.secondsMax)
        nanoseconds = seconds == floor ? Int32(timestamp.milliseconds - floor * 1000) * 1_000_000 : 0
    }

    /// The time cut to milliseconds.
    public var timestamp: Timestamp {
        Timestamp(milliseconds: seconds * 1000 + Int64(nanoseconds) / 1_000_000)
    }

    public static func < (left: PreciseTime, right: PreciseTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// The time later by nanoseconds; nil outside the years 1 to 9999.
    internal func adding(nanoseconds delta: Int64) -> PreciseTime? {
        var whole = delta / 1_000_000_000
        var rest = Int32(delta % 1_000_000_000) + nanoseconds
        if rest < 0 {
            rest += 1_000_000_000
            whole -= 1
        } else if rest >= 1_000_000_000 {
            rest -= 1_000_000_000
            whole += 1
        }
        return PreciseTime(seconds: seconds + whole, nanoseconds: rest)
    }

    /// Nanoseconds from `earlier` to this time; nil beyond about 290 years.
    internal func nanoseconds(since earlier: PreciseTime) -> Int64? {
        let (whole, overflow) = (seconds - earlier.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowed) = whole.addingReportingOverflow(Int64(nanoseconds) - Int64(earlier.nanoseconds))
        return overflow || overflowed ? nil : sum
    }
}

extension PreciseTime: CustomStringConvertible {
    /// RFC 3339 in UTC with as many fraction digits as needed: `2009-02-13T23:31:30.5Z`.
    public var description: String {
        let whole = Timestamp(milliseconds: seconds * 1000).description
        return String(whole.dropLast(5)) + PreciseTime.fraction(nanoseconds) + "Z"
    }

    internal static func fraction(_ nanoseconds: Int32) -> String {
        guard nanoseconds != 0 else { return "" }
        let digits = String(nanoseconds)
        var padded = String(repeating: "0", count: 9 - digits.utf8.count) + digits
        while padded.last == "0" { padded.removeLast() }
        return "." + padded
    }

    /// Parses RFC 3339 with a zone and up to nine fraction digits; nil for another form or a time out of range.
    internal static func parse(_ text: String) -> PreciseTime? {
        guard let mark = text.utf8.firstIndex(of: UInt8(ascii: "T")), text.utf8.contains(UInt8(ascii: ":")) else {
            return nil
        }
        let time = text[mark...]
        var nanoseconds: Int32 = 0
        var whole = text
        if let point = time.utf8.firstIndex(of: UInt8(ascii: ".")) {
            let digits = text[text.index(after: point)...].prefix { $0.isASCII && $0.isNumber }
            guard (1...9).contains(digits.utf8.count), let number = Int32(digits) else { return nil }
            nanoseconds = number
            for _ in digits.utf8.count..<9 { nanoseconds *= 10 }
            whole.removeSubrange(point..<digits.endIndex)
        }
        guard let parsed = Timestamp.parse(whole, zoneRequired: true) else { return nil }
        // The fraction was cut off before, so these are whole seconds.
        return PreciseTime(seconds: parsed.milliseconds / 1000, nanoseconds: nanoseconds)
    }
}
