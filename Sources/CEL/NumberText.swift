internal import Core

/// Numbers and durations as CEL's conversions write and read them.
internal enum NumberText {
    /// The shortest text that reads back as the same double: `1`, `123.456`, `1e+100`, `NaN`, `+Inf`.
    static func double(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let text = "\(value)"
        guard let parts = DecimalText.parts(text) else { return text }
        let sign = value.sign == .minus ? "-" : ""
        if parts.digits.isEmpty { return sign + "0" }
        // Like Go's %g with the shortest precision: an exponent below -4 or from 21 on.
        let exponent = parts.exponent - 1
        let digits = String(decoding: parts.digits.map { $0 + 48 }, as: UTF8.self)
        guard exponent < -4 || exponent >= 21 else {
            let plain = DecimalText.canonical(text) ?? text
            return plain
        }
        let mantissa = digits.prefix(1) + (digits.count > 1 ? "." + digits.dropFirst() : "")
        let magnitude = abs(exponent)
        return sign + mantissa + "e" + (exponent < 0 ? "-" : "+") + (magnitude < 10 ? "0" : "") + String(magnitude)
    }

    /// A duration in seconds with its fraction: `90s`, `-1.5s`.
    static func duration(_ nanoseconds: Int64) -> String {
        let magnitude = nanoseconds.magnitude
        let sign = nanoseconds < 0 ? "-" : ""
        return sign + String(magnitude / 1_000_000_000)
            + PreciseTime.fraction(Int32(magnitude % 1_000_000_000)) + "s"
    }

    /// Parses a duration as CEL writes it: signed decimal numbers with units h, m, s, ms, us, ns, such as `1h30m`.
    static func parseDuration(_ text: String) -> Int64? {
        var bytes = Array(text.utf8)[...]
        var isNegative = false
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            bytes.removeFirst()
        }
        if Array(bytes) == [UInt8(ascii: "0")] { return 0 }
        guard !bytes.isEmpty else { return nil }
        var total: Int64 = 0
        while !bytes.isEmpty {
            let number = bytes.prefix { (48...57).contains($0) || $0 == UInt8(ascii: ".") }
            bytes = bytes.dropFirst(number.count)
            let unit = bytes.prefix { !(48...57).contains($0) && $0 != UInt8(ascii: ".") }
            bytes = bytes.dropFirst(unit.count)
            guard let part = nanoseconds(number: Array(number), unit: String(decoding: unit, as: UTF8.self)) else {
                return nil
            }
            // Summed as negative numbers, whose range is larger by one.
            let (sum, overflow) = total.subtractingReportingOverflow(part)
            guard !overflow else { return nil }
            total = sum
        }
        if isNegative { return total }
        return total == .min ? nil : -total
    }

    private static func nanoseconds(number: [UInt8], unit: String) -> Int64? {
        let factor: Int64
        switch unit {
        case "h": factor = 3_600_000_000_000
        case "m": factor = 60_000_000_000
        case "s": factor = 1_000_000_000
        case "ms": factor = 1_000_000
        case "us", "µs", "μs": factor = 1000
        case "ns": factor = 1
        default: return nil
        }
        let pieces = number.split(separator: UInt8(ascii: "."), maxSplits: 2, omittingEmptySubsequences: false)
        guard pieces.count <= 2, pieces.contains(where: { !$0.isEmpty }) else { return nil }
        var result: Int64 = 0
        if !pieces[0].isEmpty {
            guard let whole = Int64(String(decoding: pieces[0], as: UTF8.self)) else { return nil }
            let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
            guard !overflow else { return nil }
            result = product
        }
        if pieces.count == 2 {
            var scale = factor
            for digit in pieces[1] where scale > 1 {
                // Exact for factors of ten; hours and minutes lose less than a nanosecond.
                let share = Int64(digit - 48) * scale / 10
                let (sum, overflow) = result.addingReportingOverflow(share)
                guard !overflow else { return nil }
                result = sum
                scale /= 10
            }
        }
        return result
    }
}
