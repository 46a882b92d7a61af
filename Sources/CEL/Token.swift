/// What a token is.
internal enum TokenKind: Sendable, Equatable {
    case identifier
    /// A name in backticks.
    case escapedIdentifier
    case int
    case uint
    case double
    case string
    case bytes
    case dot
    case questionDot
    case leftBracket
    case rightBracket
    case leftParenthesis
    case rightParenthesis
    case leftBrace
    case rightBrace
    case comma
    case colon
    case question
    case plus
    case minus
    case star
    case slash
    case percent
    case not
    case and
    case or
    case equal
    case notEqual
    case less
    case lessEqual
    case greater
    case greaterEqual
    case `in`
    case `true`
    case `false`
    case null
    /// Bytes that are no token; a diagnostic has been given.
    case invalid
    case end
}

/// A token with its place; names and texts are decoded.
internal struct Token: Sendable {
    var kind: TokenKind
    var location: Location
    /// The name, the decoded text, or the digits of a number.
    var text: String = ""
    /// The decoded bytes of a bytes literal.
    var bytes: [UInt8] = []

    /// The token as messages quote it.
    var shown: String {
        switch kind {
        case .end: "the end of the expression"
        case .string: "a text"
        case .bytes: "bytes"
        default: "`\(text)`"
        }
    }
}
