public import Core

/// The `Retry-After` header of RFC 9110, 10.2.3.
public enum RetryAfter {
    /// The longest wait that a destination may ask for.
    public static let longest = Duration.seconds(3600)

    /// Reads the header: seconds, seconds with a fraction (rounded up to the millisecond), or any of the three HTTP
    /// dates.
    ///
    /// - Parameters:
    ///   - value: the header as received; nil where there was none.
    ///   - date: the answer's `Date` header, which a date is measured from, so that skewed clocks do no harm.
    ///   - now: stands in for `date` where that is missing or unreadable.
    /// - Returns: the wait, from zero to ``longest``; nil where there is no header or it cannot be read.
    public static func parse(_ value: String?, date: String?, now: Timestamp) -> Duration? {
        guard let text = value?.trimmed, !text.isEmpty else { return nil }
        if let milliseconds = seconds(text) {
            return .milliseconds(min(milliseconds, longest.wholeMilliseconds))
        }
        guard let until = HTTPDate.parse(text, now: now) else { return nil }
        let from = date.flatMap { HTTPDate.parse($0.trimmed, now: now) } ?? now
        return .milliseconds(min(max(0, until.milliseconds(since: from)), longest.wholeMilliseconds))
    }

    private static func seconds(_ text: String) -> Int64? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, !whole.isEmpty, whole.utf8.allSatisfy({ (48...57).contains($0) }) else {
            return nil
        }
        // More digits than fit are longer than any cap.
        let base = Int64(whole).map { $0 > Int64.max / 2000 ? Int64.max / 2 : $0 * 1000 } ?? Int64.max / 2
        guard parts.count == 2 else { return base }
        let fraction = parts[1]
        guard !fraction.isEmpty, fraction.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        var milliseconds: Int64 = 0
        for index in 0..<3 {
            let digit = index < fraction.utf8.count ? Int64(Array(fraction.utf8)[index]) - 48 : 0
            milliseconds = milliseconds * 10 + digit
        }
        let isCut = fraction.utf8.dropFirst(3).contains { $0 != 48 }
        return base + milliseconds + (isCut ? 1 : 0)
    }
}

/// The three forms of an HTTP date (RFC 9110, 5.6.7).
public enum HTTPDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Reads `Tue, 14 Nov 2023 22:13:20 GMT`, `Tuesday, 14-Nov-23 22:13:20 GMT` or `Tue Nov 14 22:13:20 2023`.
    ///
    /// - Parameter now: a year of two digits more than 50 years ahead of it is of the century before.
    public static func parse(_ text: String, now: Timestamp) -> Timestamp? {
        let parts = text.split(separator: " ").map(String.init)
        if parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT" {
            return time(day: parts[1], month: parts[2], year: Int(parts[3]), clock: parts[4])
        }
        if parts.count == 4, parts[0].hasSuffix(","), parts[3] == "GMT" {
            let date = parts[1].split(separator: "-").map(String.init)
            guard date.count == 3, date[2].utf8.count == 2, let short = Int(date[2]) else { return nil }
            let present = now.civil.year
            var year = present / 100 * 100 + short
            if year > present + 50 { year -= 100 }
            return time(day: date[0], month: date[1], year: year, clock: parts[2])
        }
        if parts.count == 5 {
            return time(day: parts[2], month: parts[1], year: Int(parts[4]), clock: parts[3])
        }
        return nil
    }

    private static func time(day: String, month: String, year: Int?, clock: String) -> Timestamp? {
        let parts = clock.split(separator: ":", omittingEmptySubsequences: false)
        guard let day = Int(day), let month = months.firstIndex(of: month), let year, parts.count == 3,
            parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let hour = Int(parts[0]), let minute = Int(parts[1]), let second = Int(parts[2])
        else { return nil }
        var civil = Timestamp.epoch.civil
        (civil.year, civil.month, civil.day) = (year, month + 1, day)
        (civil.hour, civil.minute, civil.second) = (hour, minute, second)
        return Timestamp(civil: civil)
    }
}

extension String {
    /// The text without blanks and tabs at its ends.
    var trimmed: String {
        var bytes = Substring(self).utf8
        while let first = bytes.first, first == 0x20 || first == 0x09 { bytes = bytes.dropFirst() }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes = bytes.dropLast() }
        return String(Substring(bytes))
    }
}
