internal import CEL

/// One condition on a label, as Alertmanager's: `team="quality"`, `team!="x"`, `plant=~"Plant (1|2)"`, `line!~"T.*"`.
///
/// A label that is missing counts as the empty text. A regular expression (RE2) must match the whole value.
public struct LabelMatcher: Sendable, CustomStringConvertible {
    public let name: String
    public let value: String
    public let isRegex: Bool
    /// False for `!=` and `!~`.
    public let isEqual: Bool
    private let test: Test

    private enum Test: Sendable {
        case text
        /// A regular expression that only lists texts, such as `a|b`.
        case texts(Set<String>)
        case pattern(TextPattern)
    }

    /// Why a matcher cannot be used.
    public struct Problem: Error, Sendable, Equatable, CustomStringConvertible {
        public var message: String
        public var description: String { message }
    }

    /// Makes a matcher; a regular expression is compiled.
    public init(name: String, value: String, isRegex: Bool, isEqual: Bool) throws(Problem) {
        guard !name.isEmpty else { throw Problem(message: "a matcher needs the name of a label") }
        self.name = name
        self.value = value
        self.isRegex = isRegex
        self.isEqual = isEqual
        guard isRegex else {
            test = .text
            return
        }
        if let texts = LabelMatcher.plainTexts(value) {
            test = .texts(texts)
            return
        }
        do throws(TextPattern.Problem) { test = .pattern(try TextPattern(whole: value)) } catch {
            throw Problem(message: "the regular expression is wrong: \(error.message)")
        }
    }

    /// A matcher that wants one text.
    public init(_ name: String, equals value: String) {
        self.name = name
        self.value = value
        isRegex = false
        isEqual = true
        test = .text
    }

    /// Whether the label set satisfies it.
    public func matches(_ labelSet: [String: String]) -> Bool {
        let text = labelSet[name] ?? ""
        switch test {
        case .text: return (text == value) == isEqual
        case .texts(let texts): return texts.contains(text) == isEqual
        case .pattern(let pattern): return pattern.matches(text) == isEqual
        }
    }

    /// The only texts that satisfy it, where they can be listed: what an index is built on.
    var texts: [String]? {
        guard isEqual else { return nil }
        switch test {
        case .text: return [value]
        case .texts(let texts): return Array(texts)
        case .pattern: return nil
        }
    }

    /// The alternatives of an expression in which nothing but `|` has a meaning; nil for any other.
    private static func plainTexts(_ pattern: String) -> Set<String>? {
        let special = "\\.+*?()[]{}^$".unicodeScalars
        guard !pattern.unicodeScalars.contains(where: special.contains) else { return nil }
        return Set(pattern.split(separator: "|", omittingEmptySubsequences: false).map(String.init))
    }

    /// `=`, `!=`, `=~` or `!~`.
    public var operatorText: String { (isEqual ? "=" : "!") + (isRegex ? "~" : isEqual ? "" : "=") }

    /// The matcher as it is written: `team="quality"`; a name of more than letters, digits and `_` is quoted.
    public var description: String {
        let isPlain =
            name.utf8.allSatisfy { $0 == 0x5F || $0 == 0x3A || (0x30...0x39).contains($0) || isLetter($0) }
            && !(0x30...0x39).contains(name.utf8.first ?? 0x30)
        return (isPlain ? name : LabelMatcher.quoted(name)) + operatorText + LabelMatcher.quoted(value)
    }

    private func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\r": quoted += "\\r"
            case let other where other.value < 0x20 || other.value == 0x7F:
                let hex = String(other.value, radix: 16)
                quoted += "\\x" + (hex.count == 1 ? "0" : "") + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension LabelMatcher: Hashable {
    public static func == (left: LabelMatcher, right: LabelMatcher) -> Bool {
        left.name == right.name && left.value == right.value && left.isRegex == right.isRegex
            && left.isEqual == right.isEqual
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(value)
        hasher.combine(isRegex)
        hasher.combine(isEqual)
    }
}
