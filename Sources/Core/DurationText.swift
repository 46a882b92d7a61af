/// Durations as written in YAML: `500ms`, `30s`, `10m`, `4h`, `7d`, or several units such as `1h30m`.
public enum DurationText {
    /// Parses a duration; nil for a missing unit, an unknown unit, an overflow or a negative number.
    public static func parse(_ text: String) -> Duration? {
        var rest = Substring(text)
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int64(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            let factor: Int64
            switch unit {
            case "ms": factor = 1
            case "s": factor = 1000
            case "m": factor = 60_000
            case "h": factor = 3_600_000
            case "d": factor = 86_400_000
            case "w": factor = 604_800_000
            default: return nil
            }
            let (product, overflow) = number.multipliedReportingOverflow(by: factor)
            let (sum, overflowed) = total.addingReportingOverflow(product)
            guard !overflow, !overflowed else { return nil }
            total = sum
        }
        return .milliseconds(total)
    }

    /// Writes a duration in the largest units that fit, such as `1h30m`; `0s` for none.
    public static func format(_ duration: Duration) -> String {
        var rest = duration.wholeMilliseconds
        if rest == 0 { return "0s" }
        var text = rest < 0 ? "-" : ""
        rest = abs(rest)
        for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
            as [(String, Int64)]
        {
            guard rest >= factor else { continue }
            text += "\(rest / factor)\(unit)"
            rest %= factor
        }
        return text
    }
}
