internal import Alerting
public import ConfigFiles
public import Core
public import Delivery
public import HTTPTransport
public import Store

/// A receiver of kind `teams`: one Workflows webhook.
public final class TeamsDestination: Destination {
    private let configuration: TeamsReceiverConfiguration
    private let url: HTTPURL
    private let http: any HTTPSending
    private let clock: any WallClock

    /// Reads the address and makes a destination.
    ///
    /// - Throws: ``SecretError`` when the reference cannot be resolved; ``TeamsAddressError`` when what it gives is no
    ///   usable address. Neither shows the address.
    public init(
        configuration: TeamsReceiverConfiguration, resolver: SecretResolver, http: any HTTPSending,
        clock: any WallClock
    ) throws {
        guard let reference = configuration.url else { throw TeamsAddressError(message: "the receiver has no 'url'") }
        self.configuration = configuration
        url = try TeamsReceiverConfiguration.address(try reference.resolve(resolver))
        self.http = http
        self.clock = clock
    }

    public var receiver: String { configuration.name }
    public var channel: String { "teams" }
    public var policy: DestinationPolicy { configuration.policy }

    /// The newest row carries the news of all.
    public func coalesce(_ waiting: [OutboxRecord]) -> Coalescing { MessageCoalescing.coalesce(waiting) }

    /// Lays the notification out as an Adaptive Card.
    public func render(_ row: OutboxRecord) throws -> RenderedBody {
        let notification = try Notification(bytes: row.payload)
        return RenderedBody(
            bytes: TeamsCard.message(for: notification, options: configuration.layout),
            problem: notification.items.compactMap(\.templateProblem).first)
    }

    public func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
        let request = HTTPRequest(
            method: "POST", url: url,
            headers: [
                HTTPHeader("Content-Type", "application/json; charset=utf-8"), HTTPHeader("Accept", "application/json"),
                HTTPHeader("User-Agent", "alert-router"),
            ], body: body.bytes)
        return TeamsAnswer.classify(await http.send(request, deadline: deadline), url: url, now: clock.now())
    }
}
