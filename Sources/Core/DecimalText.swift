/// Exact decimal numbers as text: canonical form and comparison without going through a double.
public enum DecimalText {
    /// Sign, significant digits (no leading or trailing zero) and power of ten of a decimal text.
    public struct Parts: Sendable, Equatable {
        public var isNegative: Bool
        /// Digits 0–9 as values, most significant first; empty for zero.
        public var digits: [UInt8]
        /// The value is 0.d1d2d3… × 10^exponent.
        public var exponent: Int
    }

    /// Splits a decimal text (`-12.3400`, `0E-8`, `4.2E-7`) into its parts; nil where it is no number.
    public static func parts(_ text: String) -> Parts? {
        var bytes = Array(text.utf8)[...]
        var isNegative = false
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            bytes = bytes.dropFirst()
        }
        var digits: [UInt8] = []
        var pointPosition: Int?
        while let byte = bytes.first {
            if (48...57).contains(byte) {
                digits.append(byte - 48)
            } else if byte == UInt8(ascii: "."), pointPosition == nil {
                pointPosition = digits.count
            } else {
                break
            }
            bytes = bytes.dropFirst()
        }
        guard !digits.isEmpty else { return nil }
        var exponent = pointPosition ?? digits.count
        if let mark = bytes.first {
            guard mark == UInt8(ascii: "e") || mark == UInt8(ascii: "E"),
                let power = Int(String(decoding: bytes.dropFirst(), as: UTF8.self)), abs(power) <= 100_000
            else { return nil }
            exponent += power
        }
        let leading = digits.prefix { $0 == 0 }.count
        digits.removeFirst(leading)
        exponent -= leading
        while digits.last == 0 { digits.removeLast() }
        if digits.isEmpty { return Parts(isNegative: false, digits: [], exponent: 0) }
        return Parts(isNegative: isNegative, digits: digits, exponent: exponent)
    }

    /// The one way to write a number: no trailing zeroes, no leading zeroes, exponent only where it is beyond ±40
    /// digits.
    ///
    /// Equal numbers have equal canonical texts: `12.3400`, `12.34` and `1.234E1` all give `12.34`.
    public static func canonical(_ text: String) -> String? {
        guard let parts = parts(text) else { return nil }
        let sign = parts.isNegative ? "-" : ""
        let digits = String(decoding: parts.digits.map { $0 + 48 }, as: UTF8.self)
        switch parts.exponent {
        case _ where parts.digits.isEmpty: return "0"
        case -40...0: return sign + "0." + String(repeating: "0", count: -parts.exponent) + digits
        case 1...40:
            if parts.digits.count <= parts.exponent {
                return sign + digits + String(repeating: "0", count: parts.exponent - parts.digits.count)
            }
            let point = digits.index(digits.startIndex, offsetBy: parts.exponent)
            return sign + digits[..<point] + "." + digits[point...]
        default:
            let tail = digits.dropFirst()
            return sign + digits.prefix(1) + (tail.isEmpty ? "" : "." + tail) + "E\(parts.exponent - 1)"
        }
    }

    /// Compares two decimal texts exactly: negative, zero or positive; nil where one is no number.
    public static func compare(_ left: String, _ right: String) -> Int? {
        guard let left = parts(left), let right = parts(right) else { return nil }
        let leftSign = left.digits.isEmpty ? 0 : left.isNegative ? -1 : 1
        let rightSign = right.digits.isEmpty ? 0 : right.isNegative ? -1 : 1
        if leftSign != rightSign { return leftSign < rightSign ? -1 : 1 }
        if leftSign == 0 { return 0 }
        if left.exponent != right.exponent { return left.exponent < right.exponent ? -leftSign : leftSign }
        if left.digits == right.digits { return 0 }
        return left.digits.lexicographicallyPrecedes(right.digits) ? -leftSign : leftSign
    }
}
