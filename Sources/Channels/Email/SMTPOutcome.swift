/// How an attempt ended for one recipient.
public enum SMTPOutcome: String, Sendable, Hashable {
    /// The server has taken responsibility.
    case accepted
    /// Nothing was accepted; a later attempt may succeed.
    case retryable
    /// The server will not take this message for this recipient.
    case permanent
    /// The server will take nothing from us until somebody changes something: credentials, TLS, a policy.
    case unauthorized
    /// The whole message was written and no answer came: the server may have it.
    case ambiguous
}

/// The outcome for one recipient and what it rests on.
public struct SMTPRecipientReport: Sendable, Equatable {
    public var recipient: String
    public var outcome: SMTPOutcome
    /// The reply that decided; nil where none came.
    public var replyCode: Int?
    public var enhanced: SMTPEnhancedStatus?
    /// One line for people; carries no secret.
    public var reason: String

    init(recipient: String, outcome: SMTPOutcome, reply: SMTPReply?, reason: String) {
        self.recipient = recipient
        self.outcome = outcome
        replyCode = reply?.code
        enhanced = reply?.enhanced
        self.reason = reason
    }
}

/// What became of one message, per recipient in the order of the envelope.
public struct SMTPReport: Sendable, Equatable {
    public var recipients: [SMTPRecipientReport]
    /// The connection ended before the server had judged any part of this message.
    public var isUntouched: Bool

    init(recipients: [SMTPRecipientReport], isUntouched: Bool) {
        self.recipients = recipients
        self.isUntouched = isUntouched
    }

    init(all recipients: [String], failure: SMTPFailure, isUntouched: Bool) {
        self.recipients = recipients.map {
            SMTPRecipientReport(
                recipient: $0, outcome: failure.outcome, reply: failure.reply, reason: failure.reason)
        }
        self.isUntouched = isUntouched
    }
}

/// Why a connection is of no use.
struct SMTPFailure: Error, Equatable {
    /// `retryable`, `unauthorized` or `permanent`.
    var outcome: SMTPOutcome
    var reason: String
    var reply: SMTPReply?
}
