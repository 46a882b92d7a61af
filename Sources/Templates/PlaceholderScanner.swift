/// Splits a template at its `{{ … }}`.
///
/// It knows CEL's strings and braces, so that `{{ {"a": "}}"}.a }}` is one placeholder.
struct PlaceholderScanner {
    enum Piece: Equatable {
        case text(String)
        /// The expression between the braces and where it starts: 0-based line and column in scalars.
        case expression(String, line: Int, column: Int)
    }

    /// What is wrong, and where: 0-based line and column in scalars.
    struct Problem: Equatable {
        var message: String
        var help: String?
        var line: Int
        var column: Int
    }

    private let scalars: [Unicode.Scalar]
    private var index = 0
    private var line = 0
    private var column = 0
    private(set) var pieces: [Piece] = []
    private(set) var problems: [Problem] = []

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
        scan()
    }

    private func isAt(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard index + count <= scalars.count else { return false }
        return text.withUTF8Buffer { bytes in
            (0..<count).allSatisfy { scalars[index + $0].value == UInt32(bytes[$0]) }
        }
    }

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where index < scalars.count {
            if scalars[index] == "\n" {
                line += 1
                column = 0
            } else {
                column += 1
            }
            index += 1
        }
    }

    private func slice(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(scalars[range])) }

    private mutating func scan() {
        var textStart = 0
        while index < scalars.count {
            guard isAt("{{") else {
                advance()
                continue
            }
            if index > textStart { pieces.append(.text(slice(textStart..<index))) }
            let start = (line, column)
            advance(2)
            let inner = (index, line, column)
            guard skipExpression() else {
                problems.append(
                    Problem(
                        message: "a placeholder ends with '}}'", help: "write {{ \"{{\" }} for the braces themselves",
                        line: start.0, column: start.1))
                return
            }
            let source = slice(inner.0..<index)
            if source.unicodeScalars.allSatisfy({ $0.properties.isWhitespace }) {
                problems.append(
                    Problem(
                        message: "a placeholder holds an expression; found none",
                        help: "such as {{ after.plant }}", line: start.0, column: start.1))
            }
            pieces.append(.expression(source, line: inner.1, column: inner.2))
            advance(2)
            textStart = index
        }
        if index > textStart { pieces.append(.text(slice(textStart..<index))) }
    }

    /// Moves to the `}}` that ends the expression; false where there is none.
    private mutating func skipExpression() -> Bool {
        var depth = 0
        while index < scalars.count {
            switch scalars[index] {
            case "}" where depth == 0 && isAt("}}"): return true
            case "}":
                depth = max(0, depth - 1)
                advance()
            case "{":
                depth += 1
                advance()
            case "\"", "'": skipString()
            case "/" where isAt("//"):
                while index < scalars.count, scalars[index] != "\n", !(depth == 0 && isAt("}}")) { advance() }
            default: advance()
            }
        }
        return false
    }

    private mutating func skipString() {
        let quote = scalars[index]
        let isRaw = index > 0 && (scalars[index - 1] == "r" || scalars[index - 1] == "R")
        let isTriple = index + 2 < scalars.count && scalars[index + 1] == quote && scalars[index + 2] == quote
        let width = isTriple ? 3 : 1
        advance(width)
        while index < scalars.count {
            if scalars[index] == "\\", !isRaw {
                advance(2)
            } else if scalars[index] == quote,
                !isTriple || (index + 2 < scalars.count && scalars[index + 1] == quote && scalars[index + 2] == quote)
            {
                advance(width)
                return
            } else {
                advance()
            }
        }
    }
}
