import Foundation

/// Figures and remarks on standard output.
enum BenchOutput {
    static func figure(_ name: String, _ value: Double, digits: Int = 3) {
        line("\(name)=\(number(value, digits: digits))")
    }

    static func remark(_ text: String) { line("# \(text)") }

    static func line(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8)) }

    static func number(_ value: Double, digits: Int) -> String { String(format: "%.\(digits)f", value) }
}

extension [Double] {
    /// The middle value; of an even count the mean of the two in the middle.
    var median: Double {
        let sorted = self.sorted()
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The value that a share of all values does not exceed.
    func percentile(_ share: Double) -> Double {
        let sorted = self.sorted()
        guard !sorted.isEmpty else { return .nan }
        return sorted[Swift.min(sorted.count - 1, Int((Double(sorted.count) * share).rounded(.up)) - 1)]
    }

    /// The lowest and the highest value.
    var range: String {
        "\(BenchOutput.number(self.min() ?? 0, digits: 0)) to \(BenchOutput.number(self.max() ?? 0, digits: 0))"
    }
}
