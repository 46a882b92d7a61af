/// What an attempt to send a row came to.
public enum AttemptOutcome: Sendable, Equatable {
    /// The destination took it; the id is what it called it, where it said so.
    case accepted(providerId: String?)
    /// Nothing was taken; sending again may work. `after` is the destination's own wish (`Retry-After`).
    case retryable(after: Duration?, reason: String)
    /// Refused for good: the same row will never be taken.
    case permanent(reason: String)
    /// Refused because of our credentials: no row will be taken until an operator acts.
    case unauthorized(reason: String)
    /// Something was written and no answer came: it may have been taken.
    case ambiguous(reason: String)

    /// Why it was not accepted; nil where it was.
    public var reason: String? {
        switch self {
        case .accepted: nil
        case .retryable(_, let reason), .permanent(let reason), .unauthorized(let reason), .ambiguous(let reason):
            reason
        }
    }
}

/// What a destination reports of an attempt.
public struct AttemptReport: Sendable, Equatable {
    public var outcome: AttemptOutcome
    /// The HTTP or SMTP status; nil where there was no answer.
    public var statusCode: Int?
    /// The destination's words, without secrets, at most ``detailBytesMax`` bytes; nil where there were none.
    public var detail: String?

    /// Most bytes of ``detail`` that are kept.
    public static let detailBytesMax = 500

    /// Makes a report; a longer detail is cut between characters.
    public init(outcome: AttemptOutcome, statusCode: Int?, detail: String?) {
        self.outcome = outcome
        self.statusCode = statusCode
        self.detail = detail.map { AttemptReport.cut($0, bytesMax: AttemptReport.detailBytesMax) }
    }

    static func cut(_ text: String, bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        var result = ""
        var count = 0
        for character in text {
            count += character.utf8.count
            guard count <= bytesMax - 3 else { break }
            result.append(character)
        }
        return result + "…"
    }
}

/// A row as laid out by its channel, ready to be sent.
public struct RenderedBody: Sendable, Equatable {
    /// What is sent; the same bytes at every attempt.
    public var bytes: [UInt8]
    /// Why the plain fallback was used instead of the receiver's templates; nil where it was not.
    public var problem: String?

    /// Makes a body.
    public init(bytes: [UInt8], problem: String?) {
        self.bytes = bytes
        self.problem = problem
    }

    /// Whether the plain fallback was used.
    public var isFallback: Bool { problem != nil }
}
