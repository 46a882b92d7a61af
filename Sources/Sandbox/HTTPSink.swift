public import Core
public import NIOCore
import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// One request as the sink received it.
public struct HTTPSinkRequest: Sendable {
    public var method: String
    /// Path and query, byte for byte as sent.
    public var target: String
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    /// When its last byte arrived; by the sink's clock.
    public var receivedAt: Timestamp

    /// The first header of that name, whatever its case.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// How the sink answers one request.
public enum HTTPSinkAnswer: Sendable {
    case respond(status: Int, headers: [(String, String)], body: [UInt8])
    /// The same after a while.
    case respondLater(milliseconds: Int64, status: Int, headers: [(String, String)], body: [UInt8])
    /// Closes the connection when the head has arrived, without reading the body.
    case closeBeforeBody
    /// Reads everything, then closes without an answer.
    case closeAfterBody
    /// Sends these bytes as they are, then closes.
    case raw([UInt8])
    /// Never answers.
    case silence

    /// 202 without a body, as a Workflows webhook answers.
    public static let accepted = HTTPSinkAnswer.respond(status: 202, headers: [], body: [])
}

/// An HTTP/1.1 server on loopback that keeps what it gets and answers as scripted; for tests and the demo.
public final class HTTPSink: Sendable {
    /// Decides the answer to a request; called on the connection's thread, must be quick.
    public typealias Script = @Sendable (HTTPSinkRequest) -> HTTPSinkAnswer
    /// Decides on the head alone whether to close before the body; nil reads on.
    public typealias HeadScript = @Sendable (_ target: String) -> HTTPSinkAnswer?

    private struct State {
        var journal: [HTTPSinkRequest] = []
        var count = 0
        var connectionCount = 0
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    /// Most requests kept; beyond it the oldest are dropped.
    public static let journalMax = 100_000
    /// Most bytes of a body; more closes the connection.
    public static let bodyBytesMax = 16 << 20

    private let state = Mutex(State())
    private let channel: any Channel
    private let children: HTTPSinkChildren
    /// The port on 127.0.0.1.
    public let port: Int

    private init(channel: any Channel, children: HTTPSinkChildren, port: Int) {
        self.channel = channel
        self.children = children
        self.port = port
    }

    /// Starts a sink on 127.0.0.1.
    ///
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - certificate: PEM files of a chain and its key; nil for plain HTTP.
    ///   - onHead: sees a request before its body is read.
    ///   - script: sees a request when it is complete.
    /// - Throws: when the port is taken or a file cannot be read.
    public static func start(
        port: Int, group: any EventLoopGroup, clock: any WallClock, certificate: (chainFile: String, keyFile: String)?,
        onHead: @escaping HeadScript, script: @escaping Script
    ) async throws -> HTTPSink {
        var tls: NIOSSLContext?
        if let certificate {
            tls = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: try NIOSSLCertificate.fromPEMFile(certificate.chainFile).map { .certificate($0) },
                    privateKey: .privateKey(try NIOSSLPrivateKey(file: certificate.keyFile, format: .pem))))
        }
        let children = HTTPSinkChildren()
        let journal = HTTPSinkJournal()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(ChannelOptions.backlog, value: 256)
            .childChannelOption(ChannelOptions.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [tls] child in
                child.eventLoop.makeCompletedFuture {
                    children.add(child)
                    if let tls {
                        try child.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    try child.pipeline.syncOperations.configureHTTPServerPipeline(withPipeliningAssistance: false)
                    try child.pipeline.syncOperations.addHandler(
                        HTTPSinkHandler(clock: clock, onHead: onHead) { request in
                            journal.record(request)
                            return script(request)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        let sink = HTTPSink(
            channel: channel, children: children, port: channel.localAddress?.port ?? 0)
        journal.connect { [weak sink] request in sink?.record(request) }
        return sink
    }

    /// The base address, such as `http://127.0.0.1:40123`.
    public var address: String { "http://127.0.0.1:\(port)" }

    /// What arrived so far, oldest first.
    public var requests: [HTTPSinkRequest] { state.withLock { $0.journal } }
    /// How many requests arrived so far.
    public var requestCount: Int { state.withLock { $0.count } }
    /// How many connections were ever opened.
    public var connectionCount: Int { children.count }

    /// Waits until that many requests have arrived since the start.
    public func waitForRequests(_ count: Int) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isReady = state.withLock { state in
                if state.count >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    private func record(_ request: HTTPSinkRequest) {
        let ready = state.withLock { state in
            state.count += 1
            state.journal.append(request)
            if state.journal.count > HTTPSink.journalMax { state.journal.removeFirst(HTTPSink.journalMax / 10) }
            let ready = state.waiters.filter { $0.count <= state.count }
            state.waiters.removeAll { $0.count <= state.count }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    /// Stops listening and closes all connections.
    public func stop() async {
        try? await channel.close()
        await children.closeAll()
    }
}

/// Joins the handlers, made before the sink, to the sink.
private final class HTTPSinkJournal: Sendable {
    private struct State {
        var record: (@Sendable (HTTPSinkRequest) -> Void)?
        var early: [HTTPSinkRequest] = []
    }
    private let state = Mutex(State())

    func connect(_ record: @escaping @Sendable (HTTPSinkRequest) -> Void) {
        let early = state.withLock { state in
            state.record = record
            let early = state.early
            state.early = []
            return early
        }
        for request in early { record(request) }
    }

    func record(_ request: HTTPSinkRequest) {
        let record = state.withLock { state in
            if state.record == nil { state.early.append(request) }
            return state.record
        }
        record?(request)
    }
}

/// The open connections of a sink.
private final class HTTPSinkChildren: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var count = 0
    }
    private let state = Mutex(State())

    var count: Int { state.withLock { $0.count } }

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { state in
            state.channels[id] = channel
            state.count += 1
        }
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.state.withLock { state in state.channels[id] = nil }
        }
    }

    func closeAll() async {
        for channel in state.withLock({ Array($0.channels.values) }) { try? await channel.close() }
    }
}

/// One connection: gathers requests, one at a time, and answers them.
private final class HTTPSinkHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let clock: any WallClock
    private let onHead: HTTPSink.HeadScript
    private let script: HTTPSink.Script
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(clock: any WallClock, onHead: @escaping HTTPSink.HeadScript, script: @escaping HTTPSink.Script) {
        self.clock = clock
        self.onHead = onHead
        self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
            if let answer = onHead(head.uri) { perform(answer, context: context, isKeptAlive: false) }
        case .body(let part):
            guard head != nil else { return }
            body += part.readableBytesView
            if body.count > HTTPSink.bodyBytesMax { context.close(promise: nil) }
        case .end:
            guard let head else { return }
            self.head = nil
            let request = HTTPSinkRequest(
                method: head.method.rawValue, target: head.uri, headers: head.headers.map { ($0.name, $0.value) },
                body: body, receivedAt: clock.now())
            perform(script(request), context: context, isKeptAlive: head.isKeepAlive)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func perform(_ answer: HTTPSinkAnswer, context: ChannelHandlerContext, isKeptAlive: Bool) {
        switch answer {
        case .respond(let status, let headers, let body):
            respond(status, headers, body, context: context, isKeptAlive: isKeptAlive)
        case .respondLater(let milliseconds, let status, let headers, let body):
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) {
                let (handler, context) = bound.value
                guard context.channel.isActive else { return }
                handler.respond(status, headers, body, context: context, isKeptAlive: isKeptAlive)
            }
        case .closeBeforeBody, .closeAfterBody:
            head = nil
            context.close(promise: nil)
        case .raw(let bytes):
            head = nil
            let channel = context.channel
            // Below the encoder, so that the bytes go out as they are.
            if let first = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self) {
                first.writeAndFlush(NIOAny(ByteBuffer(bytes: bytes)), promise: nil)
            }
            channel.close(promise: nil)
        case .silence: head = nil
        }
    }

    private func respond(
        _ status: Int, _ headers: [(String, String)], _ body: [UInt8], context: ChannelHandlerContext,
        isKeptAlive: Bool
    ) {
        var fields = HTTPHeaders(headers.map { ($0.0, $0.1) })
        fields.replaceOrAdd(name: "Content-Length", value: String(body.count))
        if !isKeptAlive { fields.replaceOrAdd(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !body.isEmpty { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !isKeptAlive { channel.close(promise: nil) }
        }
    }
}
