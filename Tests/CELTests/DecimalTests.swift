import Core
import Testing

@testable import CEL

@Suite struct DecimalTests {
    /// A number of hundredths, written in one of several ways.
    private func text(_ hundredths: Int, _ random: inout SeededGenerator) -> String {
        let sign = hundredths < 0 ? "-" : ""
        let magnitude = abs(hundredths)
        let fraction = magnitude % 100
        let plain = "\(sign)\(magnitude / 100).\(fraction < 10 ? "0" : "")\(fraction)"
        switch Int.random(in: 0...3, using: &random) {
        case 0: return plain + "00"
        case 1: return "\(hundredths)E-2"
        case 2: return "\(sign)000\(plain.drop { $0 == "-" })"
        default: return plain
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `arithmetic and order are those of integers of hundredths`(_ seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        for _ in 0..<3000 {
            let left = Int.random(in: -30_000...30_000, using: &random)
            let right = Bool.random(using: &random) ? left : Int.random(in: -3000...3000, using: &random)
            let first = text(left, &random)
            let second = text(right, &random)
            #expect(DecimalNumber.compare(first, second) == (left - right).signum(), "\(first) \(second)")
            #expect(DecimalText.compare(first, second) == (left - right).signum())
            let sum = DecimalNumber.add(first, second) ?? ""
            #expect(DecimalNumber.compare(sum, "\(left + right)E-2") == 0, "\(first) + \(second) = \(sum)")
            let difference = DecimalNumber.subtract(first, second) ?? ""
            #expect(
                DecimalNumber.compare(difference, "\(left - right)E-2") == 0, "\(first) - \(second) = \(difference)")
            let product = DecimalNumber.multiply(first, second) ?? ""
            #expect(DecimalNumber.compare(product, "\(left * right)E-4") == 0, "\(first) * \(second) = \(product)")
        }
    }

    @Test func `38 digits stay exact and texts that are no numbers are refused`() {
        let large = "99999999999999999999999999999999999999"
        #expect(DecimalNumber.add(large, "1") == "100000000000000000000000000000000000000")
        #expect(DecimalNumber.compare(large, large + ".0000000001") == -1)
        #expect(DecimalNumber.multiply(large, large)?.count == 76)
        for text in ["", "-", ".", "abc", "1.2.3", "1e", "1e+", "--1", "0x10"] {
            #expect(DecimalNumber.compare(text, "0") == nil, "\(text)")
            #expect(DecimalNumber.add(text, "1") == nil, "\(text)")
        }
        #expect(DecimalNumber.add("1e100000", "1") == nil)
    }
}
