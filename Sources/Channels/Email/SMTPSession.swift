internal import Core
internal import NIOCore

/// The dialogue of one connection, without the connection: bytes and events in, actions out.
///
/// Replies are matched with commands in order. With PIPELINING the commands of a message go out as one group
/// (`MAIL`, `RCPT`…, `DATA`), and the group of the next message follows the final dot of the one before it, so that a
/// message costs one round trip. A message in that place has sent none of its content, so it may be sent again
/// whatever becomes of the connection.
///
/// Source: RFC 5321 (dialogue), 3207 (STARTTLS), 4954 (AUTH), 2920 (PIPELINING), 1870 (SIZE), 6152 (8BITMIME),
/// 6531 (SMTPUTF8).
struct SMTPSession {
    /// What the owner of the connection has to do, in order.
    enum Action: Equatable {
        case write(ByteBuffer)
        /// Writes a part of a content; `isLast` carries the final dot, and ``contentWritten(into:)`` tells its end.
        case writeContent(ByteBuffer, isLast: Bool)
        /// Starts TLS below this session at once; ``tlsEstablished(into:)`` follows.
        case startTLS
        /// The server takes messages from now on.
        case ready
        case complete(ticket: Int, SMTPReport)
        case close
        /// The connection is of no use; `wasReady` tells whether it ever was. Comes before `close`, at most once.
        case failed(SMTPFailure, wasReady: Bool)
    }

    enum Phase: Equatable {
        case connecting, greeting, hello, helo, startTLS, handshake, authentication, ready, quitting, closed
    }

    let configuration: SMTPConfiguration
    /// Whether the other end is a loopback address, where AUTH in the clear may be allowed.
    let isLoopback: Bool
    /// The name for EHLO.
    let clientName: String
    var phase = Phase.connecting
    var isEncrypted = false
    var capabilities = SMTPCapabilities()
    var parser = SMTPReplyParser()
    var authentication: SMTPAuthentication?
    /// The message whose replies come next.
    var head: SMTPTransaction?
    /// The message after it.
    var next: SMTPTransaction?
    /// A transaction was begun on the server and neither completed nor reset.
    var needsReset = false
    /// Grows with each message, answer and finished write: what a timer of a step hangs on.
    var progress = 0

    init(configuration: SMTPConfiguration, isLoopback: Bool, clientName: String) {
        self.configuration = configuration
        self.isLoopback = isLoopback
        self.clientName = clientName
    }

    /// Whether a further message may be submitted now: one may wait behind the one at work.
    var acceptsMessage: Bool { phase == .ready && next == nil }

    var usesPipelining: Bool { configuration.usesPipelining && capabilities.offersPipelining }

    /// How long the present step may take; nil when nothing is awaited.
    var timeout: Duration? {
        let timeouts = configuration.timeouts
        switch phase {
        case .connecting, .closed: return nil
        case .greeting: return timeouts.greeting
        case .hello, .helo: return timeouts.hello
        case .startTLS, .handshake: return timeouts.startTLS
        case .authentication: return timeouts.authentication
        case .quitting: return timeouts.quit
        case .ready:
            guard let head else { return nil }
            switch head.step {
            case .reset: return timeouts.reset
            case .mail: return timeouts.mail
            case .recipient: return timeouts.recipient
            case .data: return timeouts.data
            case .content: return head.isContentWritten ? timeouts.finalDot : timeouts.dataBlock
            case .emptyContent: return timeouts.finalDot
            }
        }
    }

    /// The name of the present step, for reasons.
    var stepName: String {
        switch phase {
        case .connecting: return "the connection"
        case .greeting: return "the greeting"
        case .hello: return "EHLO"
        case .helo: return "HELO"
        case .startTLS: return "STARTTLS"
        case .handshake: return "the TLS handshake"
        case .authentication: return "AUTH"
        case .quitting: return "QUIT"
        case .closed: return "nothing"
        case .ready: return head?.stepName ?? "nothing"
        }
    }

    // MARK: Events

    /// The socket is connected; `secure` when TLS is up already (implicit TLS).
    mutating func connected(secure: Bool) {
        isEncrypted = secure
        phase = .greeting
    }

    mutating func received(_ bytes: inout ByteBuffer, into actions: inout [Action]) {
        while phase != .closed {
            var reply: SMTPReply
            do throws(SMTPReplyError) {
                guard let complete = try parser.next(&bytes) else { return }
                reply = complete
            } catch {
                return breakDown(SMTPFailure(outcome: .retryable, reason: error.message), into: &actions)
            }
            progress += 1
            // A refusal ends up in reasons and logs; some servers repeat what they were sent.
            if reply.kind >= 4 { reply.text = SMTPAuthentication.redacted(reply.text, configuration.credentials) }
            if phase == .startTLS, reply.code == 220, bytes.readableBytes > 0 {
                // CVE-2011-0411: what stands behind the 220 was not protected and must not be taken for protected.
                return breakDown(
                    SMTPFailure(outcome: .unauthorized, reason: "the server sent plaintext after its STARTTLS answer"),
                    into: &actions)
            }
            receive(reply, into: &actions)
        }
    }

    /// TLS is up after STARTTLS: everything learnt before is forgotten.
    mutating func tlsEstablished(into actions: inout [Action]) {
        guard phase == .handshake else { return }
        progress += 1
        isEncrypted = true
        capabilities = SMTPCapabilities()
        hello(into: &actions)
    }

    /// The last part of the content of the head message was handed to the system: from now on no answer is ambiguous.
    mutating func contentWritten(into actions: inout [Action]) {
        guard head?.step == .content else { return }
        progress += 1
        head?.isContentWritten = true
    }

    /// A part of the content that is not the last was handed over.
    mutating func contentProgressed() { progress += 1 }

    /// The step took longer than ``timeout``.
    mutating func timedOut(into actions: inout [Action]) {
        guard phase != .closed else { return }
        let limit = timeout.map { DurationText.format($0) } ?? ""
        breakDown(
            SMTPFailure(outcome: .retryable, reason: "no answer to \(stepName) within \(limit)"), into: &actions)
    }

    /// The connection is gone.
    mutating func disconnected(_ reason: String?, outcome: SMTPOutcome, into actions: inout [Action]) {
        guard phase != .closed else { return }
        let what = reason ?? "the server closed the connection"
        breakDown(SMTPFailure(outcome: outcome, reason: "\(what) at \(stepName)"), into: &actions)
    }

    /// Ends an idle session politely; the answer is not important.
    mutating func quit(into actions: inout [Action]) {
        guard phase == .ready, head == nil else { return }
        phase = .quitting
        actions.append(.write(ByteBuffer(string: "QUIT\r\n")))
    }

    // MARK: Until ready

    private mutating func receive(_ reply: SMTPReply, into actions: inout [Action]) {
        if reply.code == 421, phase != .quitting {
            return breakDown(
                SMTPFailure(outcome: .retryable, reason: "the server closes: \(reply.summary)", reply: reply),
                into: &actions)
        }
        switch phase {
        case .connecting, .closed, .handshake:
            breakDown(SMTPFailure(outcome: .retryable, reason: "an answer without a question"), into: &actions)
        case .greeting:
            guard reply.code == 220 else { return refused(reply, "the greeting", into: &actions) }
            hello(into: &actions)
        case .hello: receiveHello(reply, into: &actions)
        case .helo:
            guard reply.kind == 2 else { return refused(reply, "HELO", into: &actions) }
            afterHello(into: &actions)
        case .startTLS:
            guard reply.code == 220 else { return refused(reply, "STARTTLS", into: &actions) }
            phase = .handshake
            actions.append(.startTLS)
        case .authentication: receiveAuthentication(reply, into: &actions)
        case .ready: receiveTransaction(reply, into: &actions)
        case .quitting: close(into: &actions)
        }
    }

    private mutating func hello(into actions: inout [Action]) {
        phase = .hello
        actions.append(.write(ByteBuffer(string: "EHLO \(clientName)\r\n")))
    }

    private mutating func receiveHello(_ reply: SMTPReply, into actions: inout [Action]) {
        if reply.kind == 2 {
            capabilities = SMTPCapabilities(reply)
            return afterHello(into: &actions)
        }
        // A server too old for EHLO can do neither TLS nor AUTH, so only a plain session may fall back.
        let isUnknown = reply.code == 500 || reply.code == 502 || reply.code == 504
        guard isUnknown, configuration.security == .none || isEncrypted, configuration.credentials == nil else {
            return refused(reply, "EHLO", into: &actions)
        }
        phase = .helo
        actions.append(.write(ByteBuffer(string: "HELO \(clientName)\r\n")))
    }

    private mutating func afterHello(into actions: inout [Action]) {
        if configuration.security == .startTLS, !isEncrypted {
            guard capabilities.offersStartTLS else {
                return breakDown(
                    SMTPFailure(outcome: .unauthorized, reason: "the server does not offer STARTTLS"), into: &actions)
            }
            phase = .startTLS
            return actions.append(.write(ByteBuffer(string: "STARTTLS\r\n")))
        }
        guard let credentials = configuration.credentials else { return becomeReady(into: &actions) }
        guard isEncrypted || (configuration.allowsPlaintextAuthenticationOnLoopback && isLoopback) else {
            return breakDown(
                SMTPFailure(outcome: .unauthorized, reason: "credentials are not sent without TLS"), into: &actions)
        }
        guard SMTPAuthentication.isUsable(credentials),
            var authentication = SMTPAuthentication(credentials: credentials, offered: capabilities.mechanisms)
        else {
            let offered = capabilities.mechanisms.sorted().joined(separator: " ")
            return breakDown(
                SMTPFailure(
                    outcome: .unauthorized,
                    reason: "no way to authenticate: the server offers '\(offered)', we know PLAIN and LOGIN"),
                into: &actions)
        }
        phase = .authentication
        actions.append(.write(ByteBuffer(string: authentication.begin())))
        self.authentication = authentication
    }

    private mutating func receiveAuthentication(_ reply: SMTPReply, into actions: inout [Action]) {
        switch authentication?.receive(reply) ?? .failed(.retryable) {
        case .write(let line): actions.append(.write(ByteBuffer(string: line)))
        case .done:
            authentication = nil
            becomeReady(into: &actions)
        case .failed(let outcome):
            breakDown(
                SMTPFailure(outcome: outcome, reason: "AUTH refused: \(reply.summary)", reply: reply), into: &actions)
        }
    }

    private mutating func becomeReady(into actions: inout [Action]) {
        phase = .ready
        actions.append(.ready)
    }

    /// A server that says 5xx before any message takes nothing from us until somebody changes something.
    private mutating func refused(_ reply: SMTPReply, _ step: String, into actions: inout [Action]) {
        breakDown(
            SMTPFailure(
                outcome: reply.kind == 5 ? .unauthorized : .retryable,
                reason: "refused at \(step): \(reply.summary)", reply: reply),
            into: &actions)
    }

    // MARK: The end

    mutating func breakDown(_ failure: SMTPFailure, into actions: inout [Action]) {
        guard phase != .closed else { return }
        let wasReady = phase == .ready || phase == .quitting
        let (first, second) = (head, next)
        (head, next) = (nil, nil)
        phase = .closed
        if let first { actions.append(.complete(ticket: first.ticket, first.report(brokenBy: failure))) }
        if let second { actions.append(.complete(ticket: second.ticket, second.report(brokenBy: failure))) }
        actions.append(.failed(failure, wasReady: wasReady))
        actions.append(.close)
    }

    private mutating func close(into actions: inout [Action]) {
        phase = .closed
        actions.append(.close)
    }
}

/// What a server said it can do.
struct SMTPCapabilities: Equatable {
    var offersStartTLS = false
    var offersPipelining = false
    var offersEightBit = false
    var offersUTF8 = false
    /// Most octets of a message; nil when SIZE is not offered, 0 when it has no limit.
    var size: Int?
    var mechanisms: Set<String> = []

    init() {}

    /// Reads the keywords of an EHLO reply; unknown ones are skipped.
    init(_ reply: SMTPReply) {
        for line in reply.text.split(separator: "\n").dropFirst().prefix(SMTPReplyParser.linesMax) {
            // `AUTH=LOGIN` is an old form that some servers still send beside the new one.
            let words = line.uppercased().split { $0 == " " || $0 == "=" }
            switch words.first {
            case "STARTTLS": offersStartTLS = true
            case "PIPELINING": offersPipelining = true
            case "8BITMIME": offersEightBit = true
            case "SMTPUTF8": offersUTF8 = true
            case "SIZE": size = words.dropFirst().first.flatMap { Int($0) } ?? 0
            case "AUTH": mechanisms.formUnion(words.dropFirst().map(String.init))
            case .some, .none: break
            }
        }
    }
}
