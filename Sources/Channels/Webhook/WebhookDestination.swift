internal import Alerting
public import ConfigFiles
public import Core
public import Delivery
public import HTTPTransport
public import Store

/// A receiver of kind `webhook`: an address that takes JSON.
public final class WebhookDestination: Destination {
    private let configuration: WebhookReceiverConfiguration
    private let target: WebhookTarget
    private let http: any HTTPSending
    private let clock: any WallClock

    /// Reads the address, the headers and the signing keys, and makes a destination.
    ///
    /// - Throws: ``SecretError`` when a reference cannot be resolved; ``WebhookFlaw`` when what it gives cannot be
    ///   used. Neither shows it.
    public init(
        configuration: WebhookReceiverConfiguration, resolver: SecretResolver, http: any HTTPSending,
        clock: any WallClock
    ) throws {
        self.configuration = configuration
        target = try WebhookTarget(configuration, resolver: resolver)
        self.http = http
        self.clock = clock
    }

    public var receiver: String { configuration.name }
    public var channel: String { "webhook" }
    public var policy: DestinationPolicy { configuration.policy }

    /// The newest row carries the news of all.
    public func coalesce(_ waiting: [OutboxRecord]) -> Coalescing { MessageCoalescing.coalesce(waiting) }

    /// Lays the notification out in the receiver's format.
    public func render(_ row: OutboxRecord) throws -> RenderedBody {
        let notification = try Notification(bytes: row.payload)
        return RenderedBody(
            bytes: WebhookBody.message(for: notification, id: id(of: row), options: configuration.body),
            problem: notification.items.compactMap(\.templateProblem).first)
    }

    public func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
        let request = request(body, id: id(of: row), now: clock.now())
        return WebhookAnswer.classify(await http.send(request, deadline: deadline), target: target, now: clock.now())
    }

    /// The same at every attempt. A dot would make what is signed ambiguous, so another key is replaced by its digest.
    private func id(of row: OutboxRecord) -> String {
        let key = row.idempotencyKey
        let isPlain = key.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || (48...57).contains(byte)
                || (65...90).contains(byte) || (97...122).contains(byte)
        }
        return isPlain && (1...200).contains(key.utf8.count)
            ? key : Hex.encode(Digest.sha256(key.utf8).prefix(16))
    }

    private func request(_ body: RenderedBody, id: String, now: Timestamp) -> HTTPRequest {
        let time = now.milliseconds / 1000
        var headers = [
            HTTPHeader("Content-Type", configuration.body.format.contentType), HTTPHeader("Accept", "application/json"),
            HTTPHeader("webhook-id", id), HTTPHeader("webhook-timestamp", String(time)),
        ]
        if !target.keys.isEmpty {
            let signatures = target.keys.map { $0.signature(id: id, time: time, body: body.bytes) }
            headers.append(HTTPHeader("webhook-signature", signatures.joined(separator: " ")))
        }
        let own = Set(target.headers.map { $0.name.lowercased() })
        headers.removeAll { own.contains($0.name.lowercased()) }
        if !own.contains("user-agent") { headers.append(HTTPHeader("User-Agent", "alert-router")) }
        return HTTPRequest(method: "POST", url: target.url, headers: headers + target.headers, body: body.bytes)
    }
}
