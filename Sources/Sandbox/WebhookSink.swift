public import Core
public import NIOCore
internal import Synchronization

/// A message as a strict webhook took it.
public struct WebhookSinkMessage: Sendable {
    /// The form of the body.
    public enum Form: String, Sendable { case generic, alertmanager, cloudEvents = "cloudevents" }

    public var receivedAt: Timestamp
    /// What the sender knows it by.
    public var id: String
    public var form: Form
    /// The body, as received.
    public var body: JSON
}

/// Plays a receiver of webhooks strictly: what is not exactly Alertmanager's payload, our own or a CloudEvent with
/// it, or not signed with one of its keys, is an answer 400 or 401 and a fault.
///
/// It can be told to refuse, throttle or hang, and knows a message again that is sent twice.
public final class WebhookSink: Sendable {
    /// The answer to the n-th request (from 1) in place of the strict one; nil for that.
    public typealias Script = @Sendable (_ number: Int) -> HTTPSinkAnswer?

    private struct State {
        var messages: [WebhookSinkMessage] = []
        var bodies: [String: [UInt8]] = [:]
        var faults: [String] = []
        var duplicateCount = 0
        var requestCount = 0
    }

    private let state = Mutex(State())
    private let keys: [WebhookSinkKey]
    private let script: Script
    private let http: HTTPSink

    private init(http: HTTPSink, keys: [WebhookSinkKey], script: @escaping Script) {
        self.http = http
        self.keys = keys
        self.script = script
    }

    /// Starts a webhook on 127.0.0.1.
    ///
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - secrets: keys as `whsec_…`; a request must be signed with one of them. Empty asks for no signature.
    public static func start(
        port: Int, group: any EventLoopGroup, clock: any WallClock, secrets: [String], script: @escaping Script
    ) async throws -> WebhookSink {
        let box = WebhookSinkBox()
        let http = try await HTTPSink.start(
            port: port, group: group, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { request in box.answer(request) })
        let sink = WebhookSink(http: http, keys: secrets.compactMap(WebhookSinkKey.init), script: script)
        box.connect { [weak sink] request in sink?.answer(request) ?? .closeAfterBody }
        return sink
    }

    /// An address with a token in it.
    public var webhookAddress: String { http.address + "/hooks/alerts?token=s3cr3t-Token_of-the.sandbox" }
    /// What was accepted so far, oldest first, each message once; at most ``HTTPSink/journalMax``.
    public var messages: [WebhookSinkMessage] { state.withLock { $0.messages } }
    /// What was wrong with requests; empty when all is well.
    public var faults: [String] { state.withLock { $0.faults } }
    /// How many accepted requests repeated a message that was accepted before.
    public var duplicateCount: Int { state.withLock { $0.duplicateCount } }
    /// The server underneath, for its journal.
    public var server: HTTPSink { http }

    /// Stops the server.
    public func stop() async { await http.stop() }

    private func answer(_ request: HTTPSinkRequest) -> HTTPSinkAnswer {
        let number = state.withLock { state in
            state.requestCount += 1
            return state.requestCount
        }
        if let answer = script(number) { return answer }
        do throws(WebhookSinkFault) {
            let message = try WebhookSinkReader.message(request, keys: keys)
            try keep(message, request.body)
            return .respond(status: 200, headers: [("Content-Type", "text/plain")], body: Array("ok".utf8))
        } catch {
            state.withLock { state in if state.faults.count < 1000 { state.faults.append(error.message) } }
            return .respond(status: error.status, headers: [], body: Array(error.message.utf8))
        }
    }

    private func keep(_ message: WebhookSinkMessage, _ body: [UInt8]) throws(WebhookSinkFault) {
        let isOther = state.withLock { state in
            if let known = state.bodies[message.id] {
                state.duplicateCount += 1
                return known != body
            }
            if state.bodies.count < HTTPSink.journalMax {
                state.bodies[message.id] = body
                state.messages.append(message)
            }
            return false
        }
        if isOther { throw WebhookSinkFault("one 'webhook-id' stands on two messages") }
    }
}

private final class WebhookSinkBox: Sendable {
    private let handler = Mutex<(@Sendable (HTTPSinkRequest) -> HTTPSinkAnswer)?>(nil)
    func connect(_ handler: @escaping @Sendable (HTTPSinkRequest) -> HTTPSinkAnswer) {
        self.handler.withLock { $0 = handler }
    }
    func answer(_ request: HTTPSinkRequest) -> HTTPSinkAnswer {
        handler.withLock { $0 }?(request) ?? .respond(status: 503, headers: [], body: [])
    }
}
