/// The codes of the diagnostics of expressions; docs/cel.md explains each.
internal enum DiagnosticCode: String, CaseIterable, Sendable {
    /// The text is no expression.
    case syntax = "C001"
    case badCharacter = "C002"
    case badLiteral = "C003"
    /// `=` for `==`.
    case assignment = "C004"
    /// `AND`, `or`, `not` for `&&`, `||`, `!`.
    case wordOperator = "C005"
    /// `&` or `|` alone.
    case singleLogical = "C006"
    /// An operator of another language.
    case wrongOperator = "C007"
    case reservedWord = "C008"
    case badMacro = "C009"
    case tooComplex = "C010"
    case unknownName = "C011"
    case unknownColumn = "C012"
    case unknownFunction = "C013"
    case argumentMismatch = "C014"
    case operandMismatch = "C015"
    /// The two sides of a comparison can never be compared.
    case impossibleComparison = "C016"
    case notABoolean = "C017"
    case wrongResult = "C018"
    /// A literal argument (regular expression, duration, timestamp, zone) that fails whenever it is evaluated.
    case badArgument = "C019"
    case recordUse = "C020"
    case unknownField = "C021"
    case duplicateKey = "C022"
    /// An enumeration compared with what is none of its names.
    case noName = "C023"
    /// Integer division compared with a fraction.
    case integerDivision = "C030"
}
