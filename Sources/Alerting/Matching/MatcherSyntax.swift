/// Where and why a text is no list of matchers.
public struct MatcherSyntaxProblem: Error, Sendable, Equatable, CustomStringConvertible {
    public var message: String
    /// 1-based, in Unicode scalars.
    public var column: Int
    public var length: Int
    public var help: String?

    public var description: String { "column \(column): \(message)" + (help.map { " (\($0))" } ?? "") }
}

extension LabelMatcher {
    /// The longest text and the most matchers that are read.
    static let textByteCountMax = 16_384
    static let countMax = 100

    /// Reads a list of matchers in Alertmanager's form: `team="quality", plant=~"Plant 1|Plant 2", line!="L2"`.
    ///
    /// Names and values may be quoted, with Go's escapes, and then hold any character; braces around the list and a
    /// comma at its end are allowed. `{}` is an empty list, an empty text an error.
    public static func parse(_ text: String) throws(MatcherSyntaxProblem) -> [LabelMatcher] {
        guard text.utf8.count <= textByteCountMax else {
            throw MatcherSyntaxProblem(
                message: "matchers have at most \(textByteCountMax) bytes", column: 1, length: 1, help: nil)
        }
        var parser = MatcherParser(text)
        return try parser.list()
    }

    /// Reads a text that is one matcher.
    public static func parseOne(_ text: String) throws(MatcherSyntaxProblem) -> LabelMatcher {
        let matchers = try parse(text)
        guard matchers.count == 1 else {
            throw MatcherSyntaxProblem(
                message: "one matcher is wanted; found \(matchers.count)", column: 1,
                length: max(1, text.unicodeScalars.count), help: nil)
        }
        return matchers[0]
    }
}

private struct MatcherParser {
    private let scalars: [Unicode.Scalar]
    private var index = 0

    init(_ text: String) { scalars = Array(text.unicodeScalars) }

    private var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

    private func problem(
        _ message: String, at start: Int, to end: Int? = nil, help: String? = nil
    ) -> MatcherSyntaxProblem {
        MatcherSyntaxProblem(
            message: message, column: start + 1, length: max(1, (end ?? start + 1) - start), help: help)
    }

    /// What stands at the place, as messages name it.
    private var found: String { next.map { "found '\($0)'" } ?? "found the end" }

    private mutating func skipBlanks() {
        while let scalar = next, scalar.properties.isWhitespace { index += 1 }
    }

    mutating func list() throws(MatcherSyntaxProblem) -> [LabelMatcher] {
        skipBlanks()
        guard next != nil else {
            throw problem("a matcher is wanted", at: 0, help: "write one as team=\"quality\"")
        }
        let hasBrace = next == "{"
        if hasBrace { index += 1 }
        var matchers: [LabelMatcher] = []
        while true {
            skipBlanks()
            if next == nil || next == "}" { break }
            let start = index
            matchers.append(try matcher())
            guard matchers.count <= LabelMatcher.countMax else {
                throw problem("there are at most \(LabelMatcher.countMax) matchers in a list", at: start)
            }
            skipBlanks()
            guard next == "," else { break }
            index += 1
        }
        if hasBrace {
            guard next == "}" else { throw problem("a '}' is wanted; \(found)", at: index) }
            index += 1
            skipBlanks()
        }
        guard next == nil else {
            throw problem(
                "a ',' is wanted between matchers; \(found)", at: index,
                help: "put a value with blanks or braces in quotes")
        }
        return matchers
    }

    private mutating func matcher() throws(MatcherSyntaxProblem) -> LabelMatcher {
        let start = index
        guard let name = try word() else {
            throw problem("the name of a label is wanted; \(found)", at: index)
        }
        guard !name.isEmpty else { throw problem("the name of a label is not empty", at: start, to: index) }
        skipBlanks()
        let operatorStart = index
        let (isRegex, isEqual) = try comparison()
        skipBlanks()
        let valueStart = index
        guard let value = try word() else {
            throw problem(
                "a value is wanted after '\(text(operatorStart, index).filter { $0 != " " })'; \(found)", at: index,
                help: "write \"\" for a label that is not there, and other values in quotes")
        }
        do throws(LabelMatcher.Problem) {
            return try LabelMatcher(name: name, value: value, isRegex: isRegex, isEqual: isEqual)
        } catch {
            throw problem(error.message, at: valueStart, to: index)
        }
    }

    private func text(_ start: Int, _ end: Int) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars[start..<end])
        return String(text)
    }

    private mutating func comparison() throws(MatcherSyntaxProblem) -> (isRegex: Bool, isEqual: Bool) {
        let start = index
        let first = next
        index += 1
        switch first {
        case "=":
            if next == "~" {
                index += 1
                return (true, true)
            }
            if next == "=" {
                index += 1
                throw problem("'==' is no comparison of a matcher", at: start, to: index, help: "write '='")
            }
            return (false, true)
        case "!":
            guard next == "=" || next == "~" else { break }
            index += 1
            return (scalars[index - 1] == "~", false)
        default: break
        }
        index = start
        throw problem("one of '=', '!=', '=~' and '!~' is wanted after the name; \(found)", at: start)
    }

    /// A quoted text, or scalars that have no meaning of their own; nil where neither stands.
    private mutating func word() throws(MatcherSyntaxProblem) -> String? {
        if next == "\"" { return try quoted() }
        let start = index
        while let scalar = next, !scalar.properties.isWhitespace, !MatcherParser.reserved.contains(scalar) {
            index += 1
        }
        return index > start ? text(start, index) : nil
    }

    private static let reserved: Set<Unicode.Scalar> = ["{", "}", "!", "=", "~", ",", "\\", "\"", "'", "`"]

    private mutating func quoted() throws(MatcherSyntaxProblem) -> String {
        let start = index
        index += 1
        var bytes: [UInt8] = []
        while let scalar = next {
            switch scalar {
            case "\"":
                index += 1
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    throw problem("the escapes give no UTF-8", at: start, to: index)
                }
                return text
            case "\n": throw problem("a quoted text ends on its line", at: start, to: index)
            case "\\": try escape(into: &bytes)
            default:
                bytes.append(contentsOf: Array(String(scalar).utf8))
                index += 1
            }
        }
        throw problem("a closing '\"' is missing", at: start, to: index)
    }

    /// An escape sequence as Go's `strconv.Unquote` reads it.
    private mutating func escape(into bytes: inout [UInt8]) throws(MatcherSyntaxProblem) {
        let start = index
        index += 1
        guard let letter = next else { throw problem("a closing '\"' is missing", at: start, to: index) }
        index += 1
        let single: [Unicode.Scalar: UInt8] = [
            "n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, "\\": 92, "\"": 34,
        ]
        if let byte = single[letter] { return bytes.append(byte) }
        let digits: Int
        switch letter {
        case "x": digits = 2
        case "u": digits = 4
        case "U": digits = 8
        case "0"..."7":
            index -= 1
            bytes.append(UInt8(truncatingIfNeeded: try number(3, radix: 8, limit: 255, from: start)))
            return
        default:
            throw problem(
                "'\\\(letter)' is no escape sequence", at: start, to: index,
                help: "write '\\\\' for a backslash, as in a regular expression \"\\\\d+\"")
        }
        let value = try number(digits, radix: 16, limit: letter == "x" ? 255 : 0x10_FFFF, from: start)
        if letter == "x" { return bytes.append(UInt8(truncatingIfNeeded: value)) }
        guard let scalar = Unicode.Scalar(value) else {
            throw problem("this escape sequence names no character", at: start, to: index)
        }
        bytes.append(contentsOf: Array(String(scalar).utf8))
    }

    private mutating func number(
        _ count: Int, radix: Int, limit: UInt32, from start: Int
    ) throws(MatcherSyntaxProblem) -> UInt32 {
        let end = min(index + count, scalars.count)
        let digits = text(index, end)
        guard digits.unicodeScalars.count == count, digits.allSatisfy(\.isASCII), !digits.hasPrefix("+"),
            !digits.hasPrefix("-"), let value = UInt32(digits, radix: radix), value <= limit
        else {
            throw problem("this escape sequence wants \(count) digits of its kind", at: start, to: end)
        }
        index = end
        return value
    }
}
