internal import Core

/// A condition of the form `column > number`: the only one whose levels and resets can be compared without a solver.
struct LimitComparison: Equatable {
    var column: String
    /// `>` or `>=`; otherwise `<` or `<=`.
    var isAbove: Bool
    var includesLimit: Bool
    var limit: Double

    /// Reads the form from the text of an expression; nil for every other expression.
    init?(_ text: String) {
        let words = text.split { $0 == " " || $0 == "\n" || $0 == "\t" }.joined()
        guard let operatorStart = words.firstIndex(where: { $0 == ">" || $0 == "<" }) else { return nil }
        var numberStart = words.index(after: operatorStart)
        includesLimit = numberStart < words.endIndex && words[numberStart] == "="
        if includesLimit { numberStart = words.index(after: numberStart) }
        column = String(words[..<operatorStart])
        guard column.hasPrefix("after."), let limit = Double(words[numberStart...]),
            column.unicodeScalars.allSatisfy({ $0 == "." || $0 == "_" || $0.properties.isAlphabetic || $0.isDigit })
        else { return nil }
        isAbove = words[operatorStart] == ">"
        self.limit = limit
    }

    /// Whether every value that the other allows is allowed here.
    func covers(_ other: LimitComparison) -> Bool {
        guard column == other.column, isAbove == other.isAbove else { return false }
        if limit == other.limit { return includesLimit || !other.includesLimit }
        return isAbove ? limit < other.limit : limit > other.limit
    }

    /// Whether some value is allowed by both.
    func overlaps(_ other: LimitComparison) -> Bool {
        guard column == other.column else { return false }
        if isAbove == other.isAbove { return true }
        let (lower, upper) = isAbove ? (limit, other.limit) : (other.limit, limit)
        return lower < upper || (lower == upper && includesLimit && other.includesLimit)
    }
}

extension Unicode.Scalar {
    fileprivate var isDigit: Bool { ("0"..."9").contains(self) }
}
