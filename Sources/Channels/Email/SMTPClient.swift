internal import Core
internal import Glibc
internal import Logging
public import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// Sends messages to one SMTP server over a few reused connections.
///
/// All of its work runs on one event loop. Order: messages are started in the order of their ``send(_:)`` calls; with
/// one connection they also end in it.
public final class SMTPClient: Sendable {
    /// Why a client cannot be made.
    public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
        public var message: String
        public var description: String { message }
    }

    private let eventLoop: any EventLoop
    private let rim: NIOLoopBoundBox<SMTPClientRim>
    private let tickets = Atomic<Int>(0)

    /// Makes a client; it connects at the first message.
    ///
    /// - Parameter group: one of its loops carries everything.
    /// - Throws: ``ConfigurationError`` when the file of authorities cannot be read.
    public init(configuration: SMTPConfiguration, group: any EventLoopGroup) throws(ConfigurationError) {
        let loop = group.next()
        let tls = try SMTPClient.tlsContext(configuration)
        eventLoop = loop
        rim = NIOLoopBoundBox.makeBoxSendingValue(
            SMTPClientRim(configuration: configuration, tls: tls, eventLoop: loop), eventLoop: loop)
    }

    deinit {
        // Nobody can be sending any more: what is left are idle connections.
        eventLoop.execute { [rim] in rim.value.shutDown() }
    }

    /// Sends a message and waits for its end.
    ///
    /// When the time is over or the task is cancelled the connection is cut: the outcome then is `retryable`, or
    /// `ambiguous` when the whole message had been written.
    /// - Parameter time: what the caller has; nil leaves it to the timeouts of the steps.
    public func send(_ message: SMTPMessage, within time: Duration?) async -> SMTPReport {
        let ticket = tickets.wrappingAdd(1, ordering: .relaxed).newValue
        // The client lives until the answer is there: its end closes the connections.
        defer { withExtendedLifetime(self) {} }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                eventLoop.execute { [rim] in
                    rim.value.submit(ticket: ticket, message, within: time, continuation)
                }
            }
        } onCancel: {
            eventLoop.execute { [rim] in rim.value.cancel(ticket: ticket, "the attempt was cancelled") }
        }
    }

    /// Answers what waits as retryable, closes idle connections, and lets busy ones finish.
    public func shutDown() async {
        await withCheckedContinuation { continuation in
            eventLoop.execute { [rim] in
                rim.value.shutDown()
                continuation.resume()
            }
        }
    }

    /// Tries what a client needs before it can connect, without making one.
    ///
    /// - Throws: ``ConfigurationError`` when the file of authorities cannot be read.
    public static func check(_ configuration: SMTPConfiguration) throws(ConfigurationError) {
        _ = try tlsContext(configuration)
    }

    private static func tlsContext(_ configuration: SMTPConfiguration) throws(ConfigurationError) -> NIOSSLContext? {
        guard configuration.security != .none else { return nil }
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        tls.certificateVerification = .fullVerification
        do {
            if let file = configuration.certificateAuthoritiesFile {
                guard access(file, R_OK) == 0 else {
                    throw ConfigurationError(message: String(cString: strerror(errno)))
                }
                tls.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile(file))]
            }
            return try NIOSSLContext(configuration: tls)
        } catch {
            let file = configuration.certificateAuthoritiesFile ?? "the system's authorities"
            throw ConfigurationError(message: "cannot use the certificate authorities of '\(file)': \(error)")
        }
    }
}

/// The part of a client that lives on the event loop: the pool, its connections and who waits for an answer.
final class SMTPClientRim {
    private let configuration: SMTPConfiguration
    private let tls: NIOSSLContext?
    private let eventLoop: any EventLoop
    private var pool: SMTPPool
    private var connections: [Int: SMTPConnection] = [:]
    private struct Waiter {
        var continuation: CheckedContinuation<SMTPReport, Never>
        var timer: Scheduled<Void>?
    }

    private var waiters: [Int: Waiter] = [:]
    private var cancelledEarly: Set<Int> = []
    private var actions: [SMTPPool.Action] = []
    private var isPerforming = false

    init(configuration: SMTPConfiguration, tls: NIOSSLContext?, eventLoop: any EventLoop) {
        self.configuration = configuration
        self.tls = tls
        self.eventLoop = eventLoop
        pool = SMTPPool(limits: configuration.limits, usesPipelining: configuration.usesPipelining)
    }

    func submit(
        ticket: Int, _ message: SMTPMessage, within time: Duration?,
        _ continuation: CheckedContinuation<SMTPReport, Never>
    ) {
        guard cancelledEarly.remove(ticket) == nil else {
            let failure = SMTPFailure(outcome: .retryable, reason: "the attempt was cancelled")
            continuation.resume(returning: SMTPReport(all: message.recipients, failure: failure, isUntouched: true))
            return
        }
        var timer: Scheduled<Void>?
        if let time {
            let delay = TimeAmount.nanoseconds(time.wholeMilliseconds.multipliedReportingOverflow(by: 1_000_000).0)
            timer = eventLoop.assumeIsolated().scheduleTask(in: delay) {
                self.cancel(ticket: ticket, "the time for the attempt is over")
            }
        }
        waiters[ticket] = Waiter(continuation: continuation, timer: timer)
        pool.submit(SMTPPool.Request(ticket: ticket, message: message), now: now, into: &actions)
        perform()
    }

    /// Ends an attempt early. A cancellation may overtake the submission, or come after the end; both are remembered
    /// for a while.
    func cancel(ticket: Int, _ reason: String) {
        guard waiters[ticket] != nil else {
            if cancelledEarly.count >= configuration.limits.waitingMax { cancelledEarly.removeAll() }
            cancelledEarly.insert(ticket)
            return
        }
        pool.cancel(ticket: ticket, reason, into: &actions)
        perform()
    }

    func shutDown() {
        pool.shutDown(into: &actions)
        perform()
    }

    /// Only differences count: a monotonic time in place of the wall clock.
    private var now: Timestamp {
        Timestamp(milliseconds: Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000))
    }

    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        var index = 0
        while index < actions.count {
            let action = actions[index]
            index += 1
            switch action {
            case .open(let id): open(id)
            case .submit(let id, let request): connections[id]?.submit(ticket: request.ticket, request.message)
            case .quit(let id): connections[id]?.quit()
            case .abort(let id, let reason): connections[id]?.abort(reason)
            case .finish(let ticket, let report):
                guard let waiter = waiters.removeValue(forKey: ticket) else { continue }
                waiter.timer?.cancel()
                waiter.continuation.resume(returning: report)
            }
        }
        actions.removeAll(keepingCapacity: true)
        isPerforming = false
    }

    private func receive(_ event: SMTPConnection.Event, from id: Int) {
        switch event {
        case .ready: pool.connectionReady(id, now: now, into: &actions)
        case .complete(let ticket, let report, let isUsable):
            pool.completed(ticket: ticket, report, isUsable: isUsable, now: now, into: &actions)
        case .closed(let failure, let wasReady):
            connections[id] = nil
            pool.connectionClosed(id, failure: failure, wasReady: wasReady, now: now, into: &actions)
        }
        perform()
    }

    private func open(_ id: Int) {
        let connection = SMTPConnection(configuration: configuration, tls: tls) { [weak self] event in
            self?.receive(event, from: id)
        }
        connections[id] = connection
        let bound = NIOLoopBound(connection, eventLoop: eventLoop)
        let (configuration, tls) = (configuration, tls)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.nanoseconds(configuration.timeouts.connect.wholeMilliseconds * 1_000_000))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if configuration.security == .implicitTLS, let tls {
                        try channel.pipeline.syncOperations.addHandler(
                            SMTPConnection.tlsHandler(tls, configuration))
                    }
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(host: configuration.host, port: configuration.port)
            .assumeIsolated()
            .whenFailure { error in
                let (reason, outcome) = SMTPClientRim.explained(error)
                self.receive(
                    .closed(SMTPFailure(outcome: outcome, reason: reason, reply: nil), wasReady: false), from: id)
            }
    }

    private static func explained(_ error: any Error) -> (reason: String, outcome: SMTPOutcome) {
        switch error {
        case ChannelError.connectTimeout: return ("no connection in time", .retryable)
        case let error as NIOConnectionError:
            if let single = error.connectionErrors.first {
                return ("cannot connect: \(explained(single.error).reason)", .retryable)
            }
            return ("cannot connect: the host name has no address", .retryable)
        default: return SMTPConnection.explained(error)
        }
    }
}
