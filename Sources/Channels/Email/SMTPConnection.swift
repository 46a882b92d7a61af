internal import Core
internal import Glibc
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

/// Joins one ``SMTPSession`` with one channel; lives on the channel's event loop.
final class SMTPConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the owner is told; called on the event loop.
    enum Event {
        case ready
        /// `isUsable`: the connection takes further messages.
        case complete(ticket: Int, SMTPReport, isUsable: Bool)
        /// The session takes no further message; unfinished ones have been completed before.
        case closed(SMTPFailure?, wasReady: Bool)
    }

    private let configuration: SMTPConfiguration
    private let tls: NIOSSLContext?
    private let onEvent: (Event) -> Void
    private var session: SMTPSession?
    private var context: ChannelHandlerContext?
    private var actions: [SMTPSession.Action] = []
    private var lastError: (reason: String, outcome: SMTPOutcome)?
    private var deadline: NIODeadline?
    private var timer: Scheduled<Void>?
    private var seenProgress = -1
    private var seenPhase: SMTPSession.Phase?
    private var isPerforming = false
    private var needsFlush = false
    private var isReported = false

    init(configuration: SMTPConfiguration, tls: NIOSSLContext?, onEvent: @escaping (Event) -> Void) {
        self.configuration = configuration
        self.tls = tls
        self.onEvent = onEvent
    }

    var acceptsMessage: Bool { session?.acceptsMessage ?? false }

    // MARK: Orders of the owner

    func submit(ticket: Int, _ message: SMTPMessage) {
        perform { session, actions in session.submit(ticket: ticket, message, into: &actions) }
    }

    /// Says goodbye and closes; only for a session without work.
    func quit() {
        perform { session, actions in session.quit(into: &actions) }
    }

    /// Closes without a word, whatever is going on.
    func abort(_ reason: String) {
        perform { session, actions in session.disconnected(reason, outcome: .retryable, into: &actions) }
        context?.close(promise: nil)
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        let isLoopback = context.remoteAddress.map(SMTPConnection.isLoopback) ?? false
        session = SMTPSession(
            configuration: configuration, isLoopback: isLoopback,
            clientName: configuration.clientName ?? SMTPConnection.literal(context.localAddress))
        // With implicit TLS the handler below has begun the handshake; the greeting comes after it.
        perform { session, _ in session.connected(secure: self.configuration.security == .implicitTLS) }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        perform { session, actions in session.received(&bytes, into: &actions) }
    }

    /// A server that answers each command with a segment of its own holds the next back until the last is
    /// acknowledged; the system would take 40 ms for that, as it waits for something to send along.
    func channelReadComplete(context: ChannelHandlerContext) {
        SMTPConnection.acknowledgeAtOnce(context.channel)
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.handshakeCompleted) = event as? TLSUserEvent {
            perform { session, actions in session.tlsEstablished(into: &actions) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lastError = SMTPConnection.explained(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        let error = lastError
        perform { session, actions in
            session.disconnected(error?.reason, outcome: error?.outcome ?? .retryable, into: &actions)
        }
        report(nil, wasReady: false)
        context.fireChannelInactive()
        self.context = nil
    }

    // MARK: Actions

    private func perform(_ step: (inout SMTPSession, inout [SMTPSession.Action]) -> Void) {
        guard var current = session else { return }
        // Taken out and put back, so that the session is never copied while it changes.
        session = nil
        step(&current, &actions)
        session = current
        guard !isPerforming else { return }
        isPerforming = true
        var index = 0
        while index < actions.count {
            let action = actions[index]
            index += 1
            perform(action)
        }
        actions.removeAll(keepingCapacity: true)
        isPerforming = false
        if needsFlush {
            needsFlush = false
            context?.flush()
        }
        rearm()
    }

    private func perform(_ action: SMTPSession.Action) {
        switch action {
        case .write(let bytes):
            context?.write(wrapOutboundOut(bytes), promise: nil)
            needsFlush = true
        case .writeContent(let bytes, let isLast): writeContent(bytes, isLast: isLast)
        case .startTLS: startTLS()
        case .ready: onEvent(.ready)
        case .complete(let ticket, let report):
            onEvent(.complete(ticket: ticket, report, isUsable: session?.phase == .ready))
        case .failed(let failure, let wasReady): report(failure, wasReady: wasReady)
        case .close:
            report(nil, wasReady: true)
            if needsFlush { context?.flush() }
            needsFlush = false
            context?.close(promise: nil)
        }
    }

    private func report(_ failure: SMTPFailure?, wasReady: Bool) {
        guard !isReported else { return }
        isReported = true
        onEvent(.closed(failure, wasReady: wasReady))
    }

    private func writeContent(_ bytes: ByteBuffer, isLast: Bool) {
        guard let context else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess {
            self.perform { session, actions in
                if isLast { session.contentWritten(into: &actions) } else { session.contentProgressed() }
            }
        }
        context.write(wrapOutboundOut(bytes), promise: promise)
        needsFlush = true
    }

    private func startTLS() {
        guard let context, let tls else { return context?.close(promise: nil) ?? () }
        do {
            let handler = try SMTPConnection.tlsHandler(tls, configuration)
            try context.channel.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            lastError = SMTPConnection.explained(error)
            context.close(promise: nil)
        }
    }

    // MARK: Time

    /// One timer at a time, moved only when it fires too early: a message costs no timer of its own.
    private func rearm() {
        guard let session, let context, session.phase != .closed else { return }
        guard session.progress != seenProgress || session.phase != seenPhase || deadline == nil else { return }
        seenProgress = session.progress
        seenPhase = session.phase
        let limit = session.timeout ?? configuration.limits.idle
        deadline = .now() + .nanoseconds(limit.wholeMilliseconds * 1_000_000)
        if let deadline { schedule(deadline, context) }
    }

    private func schedule(_ time: NIODeadline, _ context: ChannelHandlerContext) {
        if let scheduledFor, timer != nil, scheduledFor <= time { return }
        timer?.cancel()
        scheduledFor = time
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: time) { self.timerFired() }
    }

    private var scheduledFor: NIODeadline?

    private func timerFired() {
        timer = nil
        scheduledFor = nil
        guard let deadline, let context, let session, session.phase != .closed else { return }
        guard NIODeadline.now() >= deadline else { return schedule(deadline, context) }
        self.deadline = nil
        if session.timeout != nil {
            perform { session, actions in session.timedOut(into: &actions) }
        } else {
            // Idle: no message may come between, so the owner is told first.
            report(nil, wasReady: true)
            quit()
        }
    }
}

// MARK: - Addresses and errors

extension SMTPConnection {
    /// Linux forgets the option with the next delayed acknowledgement, so it is set after every read; elsewhere
    /// nothing happens.
    private static func acknowledgeAtOnce(_ channel: any Channel) {
        #if os(Linux)
        let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_QUICKACK))
        // Without it mail is slower and nothing else.
        try? channel.syncOptions?.setOption(option, value: 1)
        #endif
    }

    static func tlsHandler(
        _ tls: NIOSSLContext, _ configuration: SMTPConfiguration
    ) throws -> NIOSSLClientHandler {
        let name = configuration.serverName ?? configuration.host
        let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
        // Without a name the certificate must carry the address of the socket.
        return try NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : name)
    }

    static func isLoopback(_ address: SocketAddress) -> Bool {
        guard let text = address.ipAddress else { return address.pathname != nil }
        return text.hasPrefix("127.") || text == "::1"
    }

    /// The address literal of a socket's own end. Source: RFC 5321 section 4.1.3.
    static func literal(_ address: SocketAddress?) -> String {
        guard let text = address?.ipAddress else { return "localhost" }
        return text.contains(":") ? "[IPv6:\(text)]" : "[\(text)]"
    }

    /// An error of the channel in words, and whether trying again can help.
    static func explained(_ error: any Error) -> (reason: String, outcome: SMTPOutcome) {
        if let error = error as? NIOSSLError {
            switch error {
            case .handshakeFailed(let detail): return explainedHandshake("\(detail)")
            case .uncleanShutdown: return ("the connection was cut", .retryable)
            default: return ("TLS failed (\(error))", .retryable)
            }
        }
        if error is NIOSSLExtraError { return ("the certificate does not match the host: \(error)", .unauthorized) }
        if let error = error as? IOError { return ("the connection failed (errno \(error.errnoCode))", .retryable) }
        return ("the connection failed (\(type(of: error)))", .retryable)
    }

    private static func explainedHandshake(_ detail: String) -> (reason: String, outcome: SMTPOutcome) {
        if detail.contains("CERTIFICATE_VERIFY_FAILED") {
            return ("the server's certificate is not trusted (\(detail.prefix(200)))", .unauthorized)
        }
        return ("the TLS handshake failed (\(detail.prefix(200)))", .retryable)
    }
}
