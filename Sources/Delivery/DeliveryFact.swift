/// Something an operator should know of; becomes a row of `router_health`.
public enum DeliveryFact: Sendable, Equatable {
    /// A destination is left alone after failures, or at once when it refused our credentials.
    case breakerOpened(receiver: String, channel: String, isUnauthorized: Bool, reason: String)
    case breakerClosed(receiver: String, channel: String)
    /// A row was given up.
    case deadLetter(receiver: String, rule: String, outboxId: Int64, reason: String)
    /// A template failed and the plain fallback was sent.
    case templateProblem(receiver: String, rule: String, outboxId: Int64, problem: String)
    /// Rows of a receiver that is not configured any more were given up.
    case receiverRemoved(receiver: String, rowCount: Int)
    /// The store did not take what delivery had to say; it is tried again.
    case storeFailed(reason: String)
    /// The store took it again.
    case storeRecovered
    /// Rows of a receiver cannot be handled, though the store works; the others are, and it is tried again.
    case receiverFailed(receiver: String, reason: String)
    case receiverRecovered(receiver: String)
}
