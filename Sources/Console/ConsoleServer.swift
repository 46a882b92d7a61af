public import Core
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore
public import ServiceLifecycle

/// Where the console listens, and its bounds.
public struct ConsoleConfiguration: Sendable, Equatable {
    /// An address of this machine; loopback unless it is to be read from elsewhere.
    public var host: String
    /// 0 takes any free port.
    public var port: Int
    /// Connections at a time; others wait.
    public var connectionsMax: Int
    /// A connection that says nothing for so long is closed.
    public var idleTimeout: Duration
    /// A request whose head or body is not there after so long is given up.
    public var requestTimeout: Duration

    /// Listens on `host` and `port` with 64 connections, 30 s of silence, 10 s for a request.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
        connectionsMax = 64
        idleTimeout = .seconds(30)
        requestTimeout = .seconds(10)
    }

    /// Only this machine, any free port.
    public static let loopback = ConsoleConfiguration(host: "127.0.0.1", port: 0)
}

/// Serves `/metrics`, `/healthz`, `/readyz`, and where there is alerting the API under `/api/v2` and the pages.
///
/// A graceful shutdown lets requests finish.
public final class ConsoleServer: Service {
    private let configuration: ConsoleConfiguration
    private let router: ConsoleRouter
    private let logger: Logger
    private let onBound: @Sendable (_ port: Int) -> Void

    /// Makes a server that listens when it is run.
    ///
    /// - Parameters:
    ///   - alerting: what the API and the pages stand on; nil leaves them out.
    ///   - onBound: told the port once the server listens.
    public init(
        configuration: ConsoleConfiguration, metrics: MetricsRegistry, backend: any ConsoleBackend,
        alerting: ConsoleAlerting?, access: ConsoleAccess, clock: any WallClock, logger: Logger,
        onBound: @escaping @Sendable (_ port: Int) -> Void
    ) {
        self.configuration = configuration
        router = ConsoleRouter(
            metrics: metrics, backend: backend, access: access, clock: clock, alerting: alerting)
        self.logger = logger
        self.onBound = onBound
    }

    /// Serves until the task is cancelled or its service group shuts down.
    ///
    /// - Throws: when the address cannot be bound.
    public func run() async throws {
        let onBound = onBound
        var log = logger
        // What the framework says of its own start and stop is not news of the router.
        log.logLevel = max(logger.logLevel, .warning)
        let timeout = TimeAmount.milliseconds(configuration.requestTimeout.wholeMilliseconds)
        let idle = TimeAmount.milliseconds(configuration.idleTimeout.wholeMilliseconds)
        let router = router
        let limit = configuration.requestTimeout
        let application = Application(
            responder: CallbackResponder<ConsoleContext> { request, context in
                await Exchange(router: router, bodyTimeout: limit).answer(request, context)
            },
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [RequestDeadline(first: timeout, next: idle)], idleTimeout: idle,
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 64))),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil,
                availableConnectionsDelegate: .maximum(configuration.connectionsMax, logger: log)),
            onServerRunning: { channel in onBound(channel.localAddress?.port ?? 0) },
            logger: log)
        try await application.run()
    }
}

/// The context of a request: where it comes from.
private struct ConsoleContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let peer: ConsolePeer

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        let address = source.channel.remoteAddress
        var text = address?.ipAddress ?? "unknown"
        // An IPv4 address that reached a socket for both families.
        if text.hasPrefix("::ffff:"), text.contains(".") { text = String(text.dropFirst(7)) }
        peer = ConsolePeer(address: text, isLoopback: AccessSettings.isLoopback(host: text))
    }
}

/// Translates between the server's types and ours.
private struct Exchange: Sendable {
    let router: ConsoleRouter
    let bodyTimeout: Duration

    func answer(_ request: Request, _ context: ConsoleContext) async -> Response {
        guard let target = ConsoleRequest.split(target: request.uri.description) else {
            return Exchange.response(ConsoleResponse.text(400, "the address is malformed\n"))
        }
        var headers: [String: String] = ["host": request.head.authority ?? ""]
        for field in request.headers {
            let name = field.name.canonicalName
            headers[name] = headers[name].map { $0.isEmpty ? field.value : "\($0), \(field.value)" } ?? field.value
        }
        let body = request.body
        let timeout = bodyTimeout
        let question = ConsoleRequest(
            method: ConsoleRequest.Method(rawValue: request.method.rawValue) ?? .other, path: target.path,
            query: target.query, headers: headers, peer: context.peer,
            readBody: { try await Exchange.read(body, bytesMax: $0, timeout: timeout) })
        return Exchange.response(await router.respond(question))
    }

    /// Reads a body, but neither for ever nor without end.
    private static func read(_ body: RequestBody, bytesMax: Int, timeout: Duration) async throws -> [UInt8] {
        try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            group.addTask {
                do {
                    let buffer = try await body.collect(upTo: bytesMax)
                    return Array(buffer.readableBytesView)
                } catch is NIOTooManyBytesError { throw ConsoleRequest.BodyError.tooLarge } catch {
                    throw ConsoleRequest.BodyError.broken
                }
            }
            group.addTask {
                try await ContinuousClock().sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let bytes = try await group.next() ?? nil else { throw ConsoleRequest.BodyError.tooSlow }
            return bytes
        }
    }

    private static func response(_ answer: ConsoleResponse) -> Response {
        var response = Response(
            status: .init(code: answer.status), body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
        response.headers[.contentType] = answer.contentType
        for (name, value) in answer.headers {
            guard let field = HTTPFields.Element.Name(name) else { continue }
            response.headers[field] = value
        }
        return response
    }
}

/// Closes a connection on which a request does not begin in time, however busily it drips.
private final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny
    typealias OutboundIn = NIOAny

    private let first: TimeAmount
    private let next: TimeAmount
    private var timer: Scheduled<Void>?

    init(first: TimeAmount, next: TimeAmount) {
        self.first = first
        self.next = next
    }

    func handlerAdded(context: ChannelHandlerContext) { arm(first, context) }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    /// Something whole was read: a head, or more of a body, for which there is a time limit elsewhere.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        timer?.cancel()
        context.fireChannelRead(data)
    }

    /// An answer is written; the next request has to begin before long.
    func flush(context: ChannelHandlerContext) {
        context.flush()
        arm(next, context)
    }

    private func arm(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }
}
