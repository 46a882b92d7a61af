public import Core
public import Store

/// What to do with the waiting rows of a lane.
///
/// Every row not named here goes on waiting.
public struct Coalescing: Sendable, Equatable {
    /// A row that need not be sent.
    public struct Superseded: Sendable, Equatable {
        public var id: Int64
        public var reason: SupersedeReason
        /// Makes one.
        public init(id: Int64, reason: SupersedeReason) {
            self.id = id
            self.reason = reason
        }
    }

    /// The row to send; nil where nothing is left to say.
    public var sendId: Int64?
    /// The payload to send in place of the row's own; nil keeps it.
    public var payload: [UInt8]?
    /// Rows whose news the sent row carries, or that cancel each other.
    public var superseded: [Superseded]

    /// Makes a decision.
    public init(sendId: Int64?, payload: [UInt8]?, superseded: [Superseded]) {
        self.sendId = sendId
        self.payload = payload
        self.superseded = superseded
    }

    /// The oldest row is sent as it is and the others wait: what incident channels do.
    public static func oldest(of waiting: [OutboxRecord]) -> Coalescing {
        Coalescing(sendId: waiting.first?.id, payload: nil, superseded: [])
    }
}

/// A named receiver behind a channel: how its rows are joined, laid out and sent.
public protocol Destination: Sendable {
    /// The receiver's name, as in the configuration and in outbox rows.
    var receiver: String { get }
    /// The kind of channel, such as `teams`; a metric label.
    var channel: String { get }
    /// Limits, timeouts and retries.
    var policy: DestinationPolicy { get }

    /// Decides which of the waiting rows is sent, and which others it makes needless. Pure.
    ///
    /// Called in the transaction that leases. The rows are those of one lane, oldest first, or those of several lanes
    /// of one recipient when they must become one message.
    func coalesce(_ waiting: [OutboxRecord]) -> Coalescing

    /// Lays a row out, before any connection is opened. Pure; its result is reused by every retry.
    ///
    /// A template that fails falls back to plain text and says so in ``RenderedBody/problem``.
    /// - Throws: when the row's payload cannot be read; the row is then dead.
    func render(_ row: OutboxRecord) throws -> RenderedBody

    /// Makes one attempt. Returns by `deadline` and never throws; cancellation ends it early.
    ///
    /// Nothing written is `retryable`; anything written without an answer is `ambiguous`.
    func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport
}
