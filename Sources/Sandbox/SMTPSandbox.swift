internal import Core
public import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
internal import Synchronization

/// A strict SMTP server on loopback that keeps what it takes; for tests and the demo.
public final class SMTPSandbox: Sendable {
    private struct State {
        var messages: [SMTPSandboxMessage] = []
        var faults: [String] = []
        var connectionCount = 0
        var openCount = 0
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    /// Most messages and faults kept; beyond it the oldest are dropped.
    public static let journalMax = 100_000

    private let options: SMTPSandboxOptions
    private let state = Mutex(State())
    private let channel: any Channel
    private let quiescing: SMTPSandboxChannels
    /// The port on 127.0.0.1.
    public let port: Int

    private init(options: SMTPSandboxOptions, channel: any Channel, quiescing: SMTPSandboxChannels, port: Int) {
        self.options = options
        self.channel = channel
        self.quiescing = quiescing
        self.port = port
    }

    /// Starts a server on 127.0.0.1.
    ///
    /// - Parameter port: 0 takes a free one.
    /// - Throws: when the port is taken or the certificate cannot be read.
    public static func start(
        options: SMTPSandboxOptions, port: Int, group: any EventLoopGroup
    ) async throws -> SMTPSandbox {
        var tls: NIOSSLContext?
        if let certificate = options.certificateFile, let key = options.keyFile {
            let chain = try NIOSSLCertificate.fromPEMFile(certificate)
            tls = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: chain.map { .certificate($0) },
                    privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))))
        }
        let holder = SMTPSandboxHolder()
        let channels = SMTPSandboxChannels()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(ChannelOptions.backlog, value: 256)
            .childChannelInitializer { [tls] child in
                child.eventLoop.makeCompletedFuture {
                    channels.add(child)
                    if options.usesImplicitTLS, let tls {
                        try child.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    try child.pipeline.syncOperations.addHandler(
                        SMTPSandboxHandler(options: options, tls: tls, sandbox: holder.sandbox))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        let sandbox = SMTPSandbox(
            options: options, channel: channel, quiescing: channels, port: channel.localAddress?.port ?? 0)
        holder.set(sandbox)
        return sandbox
    }

    /// Everything taken so far, in order.
    public var messages: [SMTPSandboxMessage] { state.withLock { $0.messages } }
    /// What clients did that they must not do.
    public var faults: [String] { state.withLock { $0.faults } }
    /// Connections made so far.
    public var connectionCount: Int { state.withLock { $0.connectionCount } }

    /// Waits until that many messages have been taken in all.
    public func waitForMessages(count: Int) async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.messages.count >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    /// Closes the port and every connection.
    public func stop() async {
        try? await channel.close()
        await quiescing.closeAll()
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume() }
    }

    fileprivate func opened() -> Int {
        state.withLock {
            $0.connectionCount += 1
            return $0.connectionCount
        }
    }

    fileprivate func keep(_ message: SMTPSandboxMessage) {
        let ready = state.withLock { state in
            if state.messages.count >= SMTPSandbox.journalMax { state.messages.removeFirst() }
            state.messages.append(message)
            let count = state.messages.count
            let ready = state.waiters.filter { $0.count <= count }
            state.waiters.removeAll { $0.count <= count }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    fileprivate func note(_ fault: String) {
        state.withLock { state in
            if state.faults.count >= SMTPSandbox.journalMax { state.faults.removeFirst() }
            state.faults.append(fault)
        }
    }
}

/// Lets connections find the sandbox that is made after the port is bound.
private final class SMTPSandboxHolder: Sendable {
    private let state = Mutex<SMTPSandbox?>(nil)
    var sandbox: SMTPSandbox? { state.withLock { $0 } }
    func set(_ sandbox: SMTPSandbox) { state.withLock { $0 = sandbox } }
}

/// The open connections, so that stopping closes them.
private final class SMTPSandboxChannels: Sendable {
    private let state = Mutex<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { $0[id] = channel }
        channel.closeFuture.whenComplete { _ in _ = self.state.withLock { $0.removeValue(forKey: id) } }
    }

    func closeAll() async {
        for channel in state.withLock({ Array($0.values) }) { try? await channel.close() }
    }
}

private final class SMTPSandboxHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let options: SMTPSandboxOptions
    private let tls: NIOSSLContext?
    private weak var sandbox: SMTPSandbox?
    private var session: SMTPSandboxSession
    private var input = ByteBuffer()
    private var isWaiting = false

    init(options: SMTPSandboxOptions, tls: NIOSSLContext?, sandbox: SMTPSandbox?) {
        self.options = options
        self.tls = tls
        self.sandbox = sandbox
        session = SMTPSandboxSession(options: options, connection: sandbox?.opened() ?? 0)
    }

    func channelActive(context: ChannelHandlerContext) {
        if !options.usesImplicitTLS { apply(session.greeting(), context) }
        context.flush()
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.handshakeCompleted) = event as? TLSUserEvent {
            if options.usesImplicitTLS { apply(session.greeting(), context) } else { session.tlsEstablished() }
            context.flush()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        input.writeBuffer(&bytes)
        pump(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func pump(_ context: ChannelHandlerContext) {
        while !isWaiting, let answer = session.next(&input) { apply(answer, context) }
        input.discardReadBytes()
    }

    private func apply(_ answer: SMTPSandboxSession.Answer, _ context: ChannelHandlerContext) {
        if let fault = answer.fault { sandbox?.note(fault) }
        if let message = answer.message { sandbox?.keep(message) }
        if let delay = answer.delay, delay > .zero {
            isWaiting = true
            var late = answer
            (late.delay, late.message, late.fault) = (nil, nil, nil)
            let time = TimeAmount.nanoseconds(delay.wholeMilliseconds * 1_000_000)
            context.eventLoop.assumeIsolated().scheduleTask(in: time) {
                self.isWaiting = false
                self.apply(late, context)
                self.pump(context)
                context.flush()
            }
            return
        }
        if !answer.text.isEmpty { context.write(wrapOutboundOut(ByteBuffer(string: answer.text)), promise: nil) }
        if answer.startsTLS, let tls {
            context.flush()
            input.clear()
            try? context.channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls), position: .first)
        }
        if answer.closes {
            isWaiting = true
            context.flush()
            context.close(promise: nil)
        }
    }
}
