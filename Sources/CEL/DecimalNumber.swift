internal import Core

/// Exact arithmetic and comparison of decimal texts.
internal enum DecimalNumber {
    /// Digits a result may have; beyond it arithmetic is an overflow.
    static let digitsMax = 1000

    /// Compares two decimal texts without making any; nil where one is no number.
    static func compare(_ left: String, _ right: String) -> Int? {
        var left = left
        var right = right
        return left.withUTF8 { first in
            right.withUTF8 { second in
                DecimalSpan.compare(UnsafeRawBufferPointer(first), UnsafeRawBufferPointer(second))
            }
        }
    }

    static func add(_ left: String, _ right: String) -> String? { sum(left, right, subtracts: false) }
    static func subtract(_ left: String, _ right: String) -> String? { sum(left, right, subtracts: true) }

    static func multiply(_ left: String, _ right: String) -> String? {
        guard let left = Scaled(left), let right = Scaled(right) else { return nil }
        guard left.digits.count + right.digits.count <= digitsMax else { return nil }
        var product = [UInt32](repeating: 0, count: left.digits.count + right.digits.count + 1)
        for (i, first) in left.digits.enumerated() {
            var carry: UInt32 = 0
            for (j, second) in right.digits.enumerated() {
                let value = product[i + j] + UInt32(first) * UInt32(second) + carry
                product[i + j] = value % 10
                carry = value / 10
            }
            product[i + right.digits.count] += carry
        }
        let digits = product.map { UInt8($0) }
        let isNegative = left.isNegative != right.isNegative
        return Scaled(isNegative: isNegative, digits: digits, scale: left.scale + right.scale).text
    }

    private static func sum(_ left: String, _ right: String, subtracts: Bool) -> String? {
        guard var left = Scaled(left), var right = Scaled(right) else { return nil }
        if subtracts { right.isNegative.toggle() }
        let scale = max(left.scale, right.scale)
        guard left.extend(to: scale), right.extend(to: scale) else { return nil }
        if left.isNegative == right.isNegative {
            return Scaled(isNegative: left.isNegative, digits: plus(left.digits, right.digits), scale: scale).text
        }
        if isLess(left.digits, right.digits) { swap(&left, &right) }
        return Scaled(isNegative: left.isNegative, digits: minus(left.digits, right.digits), scale: scale).text
    }

    /// A number as digits, least significant first, with `scale` of them behind the point.
    private struct Scaled {
        var isNegative: Bool
        var digits: [UInt8]
        var scale: Int

        init(isNegative: Bool, digits: [UInt8], scale: Int) {
            self.isNegative = isNegative
            self.digits = digits
            self.scale = scale
        }

        init?(_ text: String) {
            guard let parts = DecimalText.parts(text), parts.digits.count <= digitsMax,
                abs(parts.exponent) <= digitsMax
            else { return nil }
            isNegative = parts.isNegative
            digits = parts.digits.reversed()
            scale = parts.digits.count - parts.exponent
            if scale < 0 {
                digits = [UInt8](repeating: 0, count: -scale) + digits
                scale = 0
            }
        }

        mutating func extend(to wanted: Int) -> Bool {
            let missing = wanted - scale
            guard missing + digits.count <= 2 * digitsMax else { return false }
            digits = [UInt8](repeating: 0, count: missing) + digits
            scale = wanted
            return true
        }

        var text: String? {
            var significant = digits
            while significant.last == 0 { significant.removeLast() }
            if significant.isEmpty { return "0" }
            guard significant.count <= digitsMax else { return nil }
            while significant.count <= scale { significant.append(0) }
            var bytes = significant.reversed().map { $0 + 48 }
            if scale > 0 {
                bytes.insert(UInt8(ascii: "."), at: bytes.count - scale)
                while bytes.last == 48 { bytes.removeLast() }
                if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
            }
            return (isNegative ? "-" : "") + String(decoding: bytes, as: UTF8.self)
        }
    }

    private static func plus(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var carry: UInt8 = 0
        for index in 0..<max(left.count, right.count) {
            let value = (index < left.count ? left[index] : 0) + (index < right.count ? right[index] : 0) + carry
            result.append(value % 10)
            carry = value / 10
        }
        if carry > 0 { result.append(carry) }
        return result
    }

    /// The larger minus the smaller.
    private static func minus(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var borrow = 0
        for index in 0..<left.count {
            var value = Int(left[index]) - (index < right.count ? Int(right[index]) : 0) - borrow
            borrow = value < 0 ? 1 : 0
            if value < 0 { value += 10 }
            result.append(UInt8(value))
        }
        return result
    }

    private static func isLess(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        for index in stride(from: max(left.count, right.count) - 1, through: 0, by: -1) {
            let first = index < left.count ? left[index] : 0
            let second = index < right.count ? right[index] : 0
            if first != second { return first < second }
        }
        return false
    }
}

/// A decimal text looked at in place: sign, significant digits and exponent, without allocating.
internal struct DecimalSpan {
    private var isNegative = false
    /// Where the significant digits lie, a point perhaps among them.
    private var first = 0
    private var end = 0
    private var digitCount = 0
    /// The value is 0.d1d2… × 10^exponent.
    private var exponent = 0

    private init?(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            index = 1
        }
        var pointSeen = false
        var anyDigit = false
        var wholeDigits = 0
        var leadingZeroes = 0
        first = -1
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "."), !pointSeen {
                pointSeen = true
            } else if byte >= 48, byte <= 57 {
                anyDigit = true
                if first < 0, byte == 48 {
                    if pointSeen { leadingZeroes += 1 }
                } else {
                    if first < 0 { first = index }
                    if !pointSeen { wholeDigits += 1 }
                    digitCount += 1
                    if byte != 48 { end = index + 1 }
                }
            } else {
                break
            }
            index += 1
        }
        guard anyDigit else { return nil }
        exponent = wholeDigits > 0 ? wholeDigits : -leadingZeroes
        if index < bytes.count {
            guard bytes[index] | 0x20 == UInt8(ascii: "e"), let power = DecimalSpan.power(bytes, from: index + 1) else {
                return nil
            }
            exponent += power
        }
        if first < 0 { digitCount = 0 }
    }

    private static func power(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        var isNegative = false
        if index < bytes.count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
            isNegative = bytes[index] == UInt8(ascii: "-")
            index += 1
        }
        guard index < bytes.count else { return nil }
        var value = 0
        while index < bytes.count {
            guard bytes[index] >= 48, bytes[index] <= 57 else { return nil }
            value = min(value * 10 + Int(bytes[index] - 48), 1_000_000)
            index += 1
        }
        return isNegative ? -value : value
    }

    /// Negative, zero or positive; nil where a text is no number.
    static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int? {
        guard let first = DecimalSpan(left), let second = DecimalSpan(right) else { return nil }
        let firstSign = first.digitCount == 0 ? 0 : first.isNegative ? -1 : 1
        let secondSign = second.digitCount == 0 ? 0 : second.isNegative ? -1 : 1
        if firstSign != secondSign { return firstSign < secondSign ? -1 : 1 }
        if firstSign == 0 { return 0 }
        if first.exponent != second.exponent { return first.exponent < second.exponent ? -firstSign : firstSign }
        var i = first.first
        var j = second.first
        while true {
            if i < first.end, left[i] == UInt8(ascii: ".") { i += 1 }
            if j < second.end, right[j] == UInt8(ascii: ".") { j += 1 }
            if i >= first.end || j >= second.end {
                if i >= first.end, j >= second.end { return 0 }
                return i >= first.end ? -firstSign : firstSign
            }
            if left[i] != right[j] { return left[i] < right[j] ? -firstSign : firstSign }
            i += 1
            j += 1
        }
    }
}
