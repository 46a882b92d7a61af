/// A secret text that never shows itself: descriptions, logs and error texts print `***`.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: String

    /// Wraps a secret.
    public init(_ value: String) { self.value = value }

    /// The secret itself, for the one place that needs it.
    public func reveal() -> String { value }

    public var description: String { "***" }
    public var debugDescription: String { "***" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// The text with every occurrence of the secret replaced by `***`; short secrets (under 4 characters) are left.
    public func redacted(from text: String) -> String {
        guard value.utf8.count >= 4 else { return text }
        var pieces: [Substring] = []
        var rest = Substring(text)
        while let range = rest.firstRange(of: value) {
            pieces.append(rest[..<range.lowerBound])
            rest = rest[range.upperBound...]
        }
        pieces.append(rest)
        return pieces.joined(separator: "***")
    }
}
