/// A regular expression with RE2's syntax that a whole text must match: linear in the text, bounded in memory.
public struct TextPattern: Sendable {
    /// Why a pattern cannot be used.
    public struct Problem: Error, Sendable, Equatable {
        public var message: String
    }

    private let regex: Regex

    /// Compiles a pattern, anchored at both ends; it is at most about 4,000 bytes long.
    public init(whole pattern: String) throws(Problem) {
        // Judged alone first: a pattern such as `a)|(b` must not close the group around it.
        if case .failure(let problem) = Regex.compile(pattern) { throw Problem(message: problem.message) }
        switch Regex.compile("\\A(?:\(pattern))\\z") {
        case .success(let regex): self.regex = regex
        case .failure(let problem): throw Problem(message: problem.message)
        }
    }

    /// Whether the whole text matches.
    public func matches(_ text: String) -> Bool { regex.matches(text) }
}
