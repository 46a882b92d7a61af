internal import Core

/// Writes decimal texts with a number of fraction digits, exactly: the digits of the text are rounded once, half away
/// from zero, as people round by hand (`0.0625` with one digit of percent gives `6.3`).
enum NumberLayout {
    /// Numbers beyond this power of ten are written as they are.
    private static let exponentMax = 100

    /// Writes a number.
    ///
    /// - Parameters:
    ///   - shift: the power of ten to multiply with; 2 for percent.
    ///   - digits: fraction digits; nil writes all there are.
    ///   - table: nil writes plain: a point, no grouping.
    /// - Returns: nil where the text is no number.
    static func format(_ text: String, shift: Int, digits: Int?, table: LocaleTable?) -> String? {
        guard let parts = DecimalText.parts(text) else { return nil }
        let exponent = parts.exponent + shift
        guard abs(exponent) <= exponentMax, parts.digits.count <= 400 else { return text }
        var whole = Array(parts.digits.prefix(max(0, exponent)))
        whole += Array(repeating: 0, count: max(0, exponent - parts.digits.count))
        var fraction = Array(repeating: UInt8(0), count: max(0, -exponent))
        fraction += parts.digits.dropFirst(max(0, exponent))
        if parts.digits.isEmpty {
            whole = []
            fraction = []
        }
        if let digits {
            let roundsUp = fraction.count > digits && fraction[digits] >= 5
            fraction = Array(fraction.prefix(digits)) + Array(repeating: 0, count: max(0, digits - fraction.count))
            if roundsUp { increment(&whole, &fraction) }
        }
        let isZero = whole.allSatisfy { $0 == 0 } && fraction.allSatisfy { $0 == 0 }
        var output = parts.isNegative && !isZero ? table?.minus ?? "-" : ""
        if whole.isEmpty { whole = [0] }
        let isGrouped = table.map { whole.count >= $0.groupingFrom } ?? false
        for (index, digit) in whole.enumerated() {
            if isGrouped, index > 0, (whole.count - index) % 3 == 0 { output += table?.grouping ?? "" }
            output += String(digit)
        }
        if !fraction.isEmpty { output += (table?.decimal ?? ".") + fraction.map(String.init).joined() }
        return output
    }

    private static func increment(_ whole: inout [UInt8], _ fraction: inout [UInt8]) {
        for index in fraction.indices.reversed() {
            if fraction[index] < 9 {
                fraction[index] += 1
                return
            }
            fraction[index] = 0
        }
        for index in whole.indices.reversed() {
            if whole[index] < 9 {
                whole[index] += 1
                return
            }
            whole[index] = 0
        }
        whole.insert(1, at: 0)
    }
}
