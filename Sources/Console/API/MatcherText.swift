internal import Core

extension ConsoleMatcher {
    /// Why a text is no matcher.
    struct Problem: Error, Equatable {
        var message: String
    }

    /// Reads one matcher as Alertmanager does: `name="value"`, with `=`, `!=`, `=~` or `!~`, quotes optional.
    static func parse(_ text: String) throws(Problem) -> ConsoleMatcher {
        var parser = Parser(text)
        let matcher = try parser.matcher(endsAtComma: false)
        guard parser.isAtEnd else { throw parser.problem }
        return matcher
    }

    /// Reads matchers with commas between them, in braces or not; an empty text has none.
    static func parseList(_ text: String) throws(Problem) -> [ConsoleMatcher] {
        var parser = Parser(text)
        let isBraced = parser.take("{")
        var matchers: [ConsoleMatcher] = []
        while !parser.isAtEnd, !(isBraced && parser.take("}")) {
            matchers.append(try parser.matcher(endsAtComma: true))
            if parser.take(",") { continue }
            guard isBraced ? parser.take("}") : parser.isAtEnd else { throw parser.problem }
            break
        }
        guard parser.isAtEnd else { throw parser.problem }
        return matchers
    }

    private struct Parser {
        private let text: String
        private let characters: [Character]
        private var index = 0

        init(_ text: String) {
            self.text = text
            characters = Array(text)
        }

        var problem: Problem { Problem(message: "bad matcher format: \(text)") }

        var isAtEnd: Bool {
            mutating get {
                skipBlanks()
                return index == characters.count
            }
        }

        private var next: Character? { index < characters.count ? characters[index] : nil }

        private mutating func skipBlanks() {
            while let character = next, character.isWhitespace { index += 1 }
        }

        mutating func take(_ character: Character) -> Bool {
            skipBlanks()
            guard next == character else { return false }
            index += 1
            return true
        }

        mutating func matcher(endsAtComma: Bool) throws(Problem) -> ConsoleMatcher {
            skipBlanks()
            let name = next == "\"" ? try quoted() : bare { Parser.isNameCharacter($0) }
            guard let first = name.first, !first.isNumber else { throw problem }
            let isEqual = !take("!")
            let isRegex: Bool
            if isEqual {
                guard take("=") else { throw problem }
                isRegex = takeAtOnce("~")
            } else if takeAtOnce("~") {
                isRegex = true
            } else {
                guard takeAtOnce("=") else { throw problem }
                isRegex = false
            }
            skipBlanks()
            let isQuoted = next == "\""
            var value = isQuoted ? try quoted() : bare { !endsAtComma || ($0 != "," && $0 != "}") }
            if !isQuoted {
                // As in Alertmanager: a quote in the middle is a mistake, blanks at the end are none of the value.
                guard !value.contains("\"") else { throw problem }
                while value.last?.isWhitespace ?? false { value.removeLast() }
            }
            return ConsoleMatcher(name: name, value: value, isRegex: isRegex, isEqual: isEqual)
        }

        private mutating func takeAtOnce(_ character: Character) -> Bool {
            guard next == character else { return false }
            index += 1
            return true
        }

        private static func isNameCharacter(_ character: Character) -> Bool {
            character.isLetter || character.isNumber || "_:.-".contains(character)
        }

        private mutating func bare(_ belongs: (Character) -> Bool) -> String {
            var value = ""
            while let character = next, belongs(character) {
                value.append(character)
                index += 1
            }
            return value
        }

        private mutating func quoted() throws(Problem) -> String {
            index += 1
            var value = ""
            while let character = next {
                index += 1
                switch character {
                case "\"": return value
                case "\\":
                    guard let escaped = next else { throw problem }
                    index += 1
                    switch escaped {
                    case "n": value.append("\n")
                    case "\"", "\\": value.append(escaped)
                    default: value += ["\\", escaped]
                    }
                default: value.append(character)
                }
            }
            throw problem
        }
    }
}

/// Matchers compiled together: all must match.
struct MatcherSet: Sendable {
    private struct Condition: Sendable {
        var name: String
        var isEqual: Bool
        var matches: @Sendable (String) -> Bool
    }

    /// More in one question are refused.
    static let countMax = 64

    private var conditions: [Condition] = []

    /// - Throws: ``ConsoleFailure/invalid(_:)`` for an expression that cannot be compiled.
    init(_ matchers: [ConsoleMatcher], views: any AlertingViews) throws {
        guard matchers.count <= MatcherSet.countMax else {
            throw ConsoleFailure.invalid("more than \(MatcherSet.countMax) matchers")
        }
        for matcher in matchers {
            let value = matcher.value
            let matches: @Sendable (String) -> Bool =
                matcher.isRegex ? try views.pattern(value) : { @Sendable text in text == value }
            conditions.append(Condition(name: matcher.name, isEqual: matcher.isEqual, matches: matches))
        }
    }

    func matches(_ labels: [String: String]) -> Bool {
        conditions.allSatisfy { $0.matches(labels[$0.name] ?? "") == $0.isEqual }
    }

    /// Whether every condition holds for a text of nothing: such a silence would silence everything.
    var matchesNothingAtAll: Bool { conditions.allSatisfy { $0.matches("") == $0.isEqual } }
}
