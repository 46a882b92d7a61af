import Core
import NIOCore
import Testing

@testable import Channels

/// The client's dialogue as scripts: `S:` what the server sends, `C:` what the client must write next, and notes for
/// the other actions. A script fails at the first difference.
struct SMTPScript {
    var session: SMTPSession
    var log: [String] = []
    private var nextTicket = 1

    init(
        security: SMTPConfiguration.Security = .none, credentials: SMTPConfiguration.Credentials? = nil,
        allowsPlaintext: Bool = false, isLoopback: Bool = true, pipelining: Bool = true, secure: Bool = false
    ) {
        var configuration = SMTPConfiguration(host: "mx.example.com", port: 25, security: security)
        configuration.credentials = credentials
        configuration.allowsPlaintextAuthenticationOnLoopback = allowsPlaintext
        configuration.usesPipelining = pipelining
        session = SMTPSession(configuration: configuration, isLoopback: isLoopback, clientName: "client.example.com")
        session.connected(secure: secure)
    }

    mutating func perform(_ step: (inout SMTPSession, inout [SMTPSession.Action]) -> Void) {
        var actions: [SMTPSession.Action] = []
        step(&session, &actions)
        for action in actions {
            switch action {
            case .write(let bytes):
                log += String(buffer: bytes).split(separator: "\r\n", omittingEmptySubsequences: false).dropLast()
                    .map { "C: \($0)" }
            case .writeContent(let bytes, let isLast):
                log.append("C: <\(bytes.readableBytes) bytes\(isLast ? ", end" : "")>")
            case .startTLS: log.append("start TLS")
            case .ready: log.append("ready")
            case .complete(let ticket, let report):
                let outcomes = report.recipients.map { "\($0.recipient)=\($0.outcome.rawValue)" }
                log.append("done \(ticket) \(outcomes.joined(separator: " "))\(report.isUntouched ? " untouched" : "")")
            case .close: log.append("close")
            case .failed(let failure, let wasReady):
                log.append("failed \(failure.outcome.rawValue)\(wasReady ? " after ready" : "")")
            }
        }
    }

    mutating func server(_ lines: String...) {
        var buffer = ByteBuffer(string: lines.map { $0 + "\r\n" }.joined())
        perform { $0.received(&buffer, into: &$1) }
    }

    mutating func written() { perform { $0.contentWritten(into: &$1) } }

    mutating func submit(
        _ recipients: String..., content: String = "Subject: x\r\n\r\nbody\r\n", sender: String = "a@example.com"
    ) throws {
        let message = SMTPMessage(
            sender: sender, recipients: recipients, content: try SMTPContent(Array(content.utf8)), hasUTF8Headers: false
        )
        let ticket = nextTicket
        nextTicket += 1
        #expect(session.acceptsMessage)
        perform { $0.submit(ticket: ticket, message, into: &$1) }
    }

    mutating func take() -> [String] {
        defer { log = [] }
        return log
    }

    /// Greets and says EHLO with these keywords.
    mutating func open(_ keywords: String...) {
        server("220 mx ESMTP")
        let lines = ["mx"] + keywords
        server(
            lines.enumerated().map { "250\($0 + 1 == lines.count ? " " : "-")\($1)" }.joined(separator: "\r\n"))
        log = []
    }
}

@Suite struct SMTPSessionTests {
    static let credentials = SMTPConfiguration.Credentials(username: "user", password: Secret("pass"), mechanism: nil)

    // MARK: Until ready

    @Test func `a plain session greets and is ready`() {
        var script = SMTPScript()
        script.server("220-welcome", "220 mx ESMTP")
        #expect(script.take() == ["C: EHLO client.example.com"])
        script.server("250-mx", "250-PIPELINING", "250 size 1000")
        #expect(script.take() == ["ready"])
        #expect(script.session.capabilities.size == 1000)
        #expect(script.session.usesPipelining)
    }

    @Test(arguments: [
        ("421 busy", "retryable"), ("450 later", "retryable"), ("554 no service", "unauthorized"),
        ("250 what", "retryable"),
    ])
    func `another greeting ends the connection`(line: String, outcome: String) {
        var script = SMTPScript()
        script.server(line)
        #expect(script.take() == ["failed \(outcome)", "close"])
        script.server("220 too late")
        #expect(script.take() == [])
    }

    @Test func `a server that does not know EHLO is greeted with HELO, but never when TLS is required`() {
        var script = SMTPScript()
        script.server("220 old", "502 what?")
        #expect(script.take() == ["C: EHLO client.example.com", "C: HELO client.example.com"])
        script.server("250 old")
        #expect(script.take() == ["ready"])
        var strict = SMTPScript(security: .startTLS)
        strict.server("220 old", "502 what?")
        #expect(strict.take() == ["C: EHLO client.example.com", "failed unauthorized", "close"])
    }

    @Test func `STARTTLS comes first, and what was learnt before it is forgotten`() {
        var script = SMTPScript(security: .startTLS, credentials: SMTPSessionTests.credentials)
        script.server("220 mx", "250-mx\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 STARTTLS")
        #expect(script.take() == ["C: EHLO client.example.com", "C: STARTTLS"])
        script.server("220 go")
        #expect(script.take() == ["start TLS"])
        #expect(script.session.stepName == "the TLS handshake")
        script.perform { $0.tlsEstablished(into: &$1) }
        #expect(script.take() == ["C: EHLO client.example.com"])
        #expect(!script.session.usesPipelining)
        script.server("250-mx\r\n250 AUTH LOGIN PLAIN")
        #expect(script.take() == ["C: AUTH PLAIN AHVzZXIAcGFzcw=="])
        script.server("235 ok")
        #expect(script.take() == ["ready"])
    }

    @Test func `a server without STARTTLS gets nothing`() {
        var script = SMTPScript(security: .startTLS, credentials: SMTPSessionTests.credentials)
        script.server("220 mx", "250-mx\r\n250 AUTH PLAIN")
        #expect(script.take() == ["C: EHLO client.example.com", "failed unauthorized", "close"])
    }

    @Test(arguments: [("454 later", "retryable"), ("501 no", "unauthorized"), ("502 no", "unauthorized")])
    func `a refused STARTTLS never goes on in the clear`(line: String, outcome: String) {
        var script = SMTPScript(security: .startTLS)
        script.open("STARTTLS")
        script.server(line)
        #expect(script.take() == ["failed \(outcome)", "close"])
    }

    @Test func `plaintext behind the answer to STARTTLS is an attack`() {
        var script = SMTPScript(security: .startTLS)
        script.open("STARTTLS")
        script.server("220 go", "250-mx")
        #expect(script.take() == ["failed unauthorized", "close"])
    }

    @Test func `implicit TLS greets inside TLS and needs no STARTTLS`() {
        var script = SMTPScript(security: .implicitTLS, credentials: SMTPSessionTests.credentials, secure: true)
        script.server("220 mx", "250-mx\r\n250 AUTH=LOGIN")
        #expect(script.take() == ["C: EHLO client.example.com", "C: AUTH LOGIN"])
        script.server("334 VXNlcm5hbWU6")
        script.server("334 UGFzc3dvcmQ6")
        #expect(script.take() == ["C: dXNlcg==", "C: cGFzcw=="])
        script.server("235 2.7.0 ok")
        #expect(script.take() == ["ready"])
    }

    @Test func `credentials are not sent in the clear, except to this machine where that is allowed`() {
        for (allows, loopback) in [(false, true), (true, false), (false, false)] {
            var script = SMTPScript(
                credentials: SMTPSessionTests.credentials, allowsPlaintext: allows, isLoopback: loopback)
            script.server("220 mx", "250-mx\r\n250 AUTH PLAIN")
            #expect(script.take() == ["C: EHLO client.example.com", "failed unauthorized", "close"])
        }
        var script = SMTPScript(credentials: SMTPSessionTests.credentials, allowsPlaintext: true)
        script.server("220 mx", "250-mx\r\n250 AUTH PLAIN")
        #expect(script.take().last == "C: AUTH PLAIN AHVzZXIAcGFzcw==")
    }

    @Test(arguments: [
        ("535 5.7.8 bad", "unauthorized"), ("454 4.7.0 later", "retryable"), ("432 4.7.12 x", "retryable"),
        ("534 5.7.9 weak", "unauthorized"), ("504 5.5.4 unknown", "unauthorized"), ("421 bye", "retryable"),
    ])
    func `a refused login ends the connection`(line: String, outcome: String) {
        var script = SMTPScript(credentials: SMTPSessionTests.credentials, allowsPlaintext: true)
        script.open("AUTH PLAIN")
        script.server(line)
        #expect(script.take() == ["failed \(outcome)", "close"])
    }

    @Test func `a server that only asks is given up`() {
        var script = SMTPScript(credentials: SMTPSessionTests.credentials, allowsPlaintext: true)
        script.open("AUTH PLAIN")
        script.server("334 more?")
        #expect(script.take() == ["C: *"])
        script.server("334 more?")
        #expect(script.take() == ["failed unauthorized", "close"])
    }

    @Test func `no common mechanism is said, and the password is in no reason`() {
        var script = SMTPScript(
            credentials: .init(username: "user", password: Secret("hunter22"), mechanism: nil), allowsPlaintext: true)
        script.server("220 mx", "250-mx\r\n250 AUTH GSSAPI")
        #expect(script.take().suffix(2) == ["failed unauthorized", "close"])
        var echo = SMTPScript(
            credentials: .init(username: "user", password: Secret("hunter22"), mechanism: nil), allowsPlaintext: true)
        echo.open("AUTH PLAIN")
        var reasons = ""
        echo.perform { session, actions in
            var bytes = ByteBuffer(string: "535 you said hunter22 aHVudGVyMjI= AHVzZXIAaHVudGVyMjI=\r\n")
            session.received(&bytes, into: &actions)
            reasons = "\(actions)"
        }
        #expect(reasons.contains("you said"))
        #expect(!reasons.contains("hunter22") && !reasons.contains("aHVudGVyMjI=") && !reasons.contains("aHVudGVyMjI"))
    }

    @Test func `a long PLAIN answer waits for the server's question`() {
        let long = String(repeating: "p", count: 600)
        var script = SMTPScript(
            credentials: .init(username: "u", password: Secret(long), mechanism: .plain), allowsPlaintext: true)
        script.server("220 mx", "250-mx\r\n250 AUTH PLAIN")
        #expect(script.take().last == "C: AUTH PLAIN")
        script.server("334 ")
        #expect(script.take().count == 1)
    }

    // MARK: Messages

    @Test func `with PIPELINING a message costs one group and one content`() throws {
        var script = SMTPScript()
        script.open("PIPELINING", "SIZE 1000000", "8BITMIME")
        try script.submit("b@example.com", "c@example.com")
        #expect(
            script.take() == [
                "C: MAIL FROM:<a@example.com> SIZE=20", "C: RCPT TO:<b@example.com>", "C: RCPT TO:<c@example.com>",
                "C: DATA",
            ])
        script.server("250 ok", "250 ok", "251 will forward", "354 go")
        #expect(script.take() == ["C: <23 bytes, end>"])
        script.written()
        #expect(script.session.stepName == "the final dot")
        script.server("250 2.0.0 queued")
        #expect(script.take() == ["done 1 b@example.com=accepted c@example.com=accepted"])
    }

    @Test func `without PIPELINING every command waits for its answer`() throws {
        var script = SMTPScript()
        script.open("HELP")
        try script.submit("b@example.com")
        #expect(script.take() == ["C: MAIL FROM:<a@example.com>"])
        script.server("250 ok")
        #expect(script.take() == ["C: RCPT TO:<b@example.com>"])
        script.server("250 ok")
        #expect(script.take() == ["C: DATA"])
        script.server("354 go")
        #expect(script.take() == ["C: <23 bytes, end>"])
        script.written()
        script.server("250 ok")
        #expect(script.take() == ["done 1 b@example.com=accepted"])
    }

    @Test func `the group of the next message follows the final dot`() throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("b@example.com")
        try script.submit("c@example.com")
        #expect(script.take() == ["C: MAIL FROM:<a@example.com>", "C: RCPT TO:<b@example.com>", "C: DATA"])
        #expect(!script.session.acceptsMessage)
        script.server("250 ok", "250 ok", "354 go")
        #expect(
            script.take() == [
                "C: <23 bytes, end>", "C: MAIL FROM:<a@example.com>", "C: RCPT TO:<c@example.com>", "C: DATA",
            ])
        script.written()
        script.server("250 queued", "250 ok", "250 ok", "354 go")
        #expect(script.take() == ["done 1 b@example.com=accepted", "C: <23 bytes, end>"])
        script.written()
        try script.submit("d@example.com")
        #expect(script.take() == ["C: MAIL FROM:<a@example.com>", "C: RCPT TO:<d@example.com>", "C: DATA"])
        script.server("554 no", "250 ok", "250 ok", "354 go")
        script.written()
        script.server("250 ok")
        #expect(
            script.take() == ["done 2 c@example.com=permanent", "C: <23 bytes, end>", "done 3 d@example.com=accepted"])
    }

    @Test func `a refused recipient stops no other`() throws {
        for pipelining in [true, false] {
            var script = SMTPScript(pipelining: pipelining)
            script.open("PIPELINING")
            try script.submit("b@example.com", "c@example.com", "d@example.com", "e@example.com", "f@example.com")
            script.server("250 ok")
            script.server("250 ok")
            script.server("550 5.1.1 unknown")
            script.server("450 4.2.1 busy")
            script.server("552 too many")
            script.server("530 5.7.0 login")
            script.server("354 go")
            script.written()
            script.server("250 queued")
            #expect(
                script.take().last
                    == "done 1 b@example.com=accepted c@example.com=permanent d@example.com=retryable "
                    + "e@example.com=retryable f@example.com=unauthorized")
        }
    }

    @Test(arguments: [
        ("451 x", "retryable"), ("452 x", "retryable"), ("550 x", "permanent"), ("552 x", "permanent"),
        ("530 x", "unauthorized"), ("553 x", "permanent"),
    ])
    func `a refused MAIL settles everybody, whatever the rest of the group is answered`(line: String, outcome: String)
        throws
    {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("b@example.com")
        script.server(line, "503 sequence", "503 sequence")
        #expect(script.take().last == "done 1 b@example.com=\(outcome)")
        try script.submit("c@example.com")
        #expect(script.take().first == "C: MAIL FROM:<a@example.com>")
        var slow = SMTPScript(pipelining: false)
        slow.open("PIPELINING")
        try slow.submit("b@example.com")
        slow.server(line)
        #expect(slow.take() == ["C: MAIL FROM:<a@example.com>", "done 1 b@example.com=\(outcome)"])
    }

    @Test func `when every recipient was refused an accepted DATA is ended at once`() throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("b@example.com")
        script.server("250 ok", "550 no", "354 go")
        #expect(script.take().last == "C: .")
        script.server("554 no recipients")
        #expect(script.take() == ["done 1 b@example.com=permanent"])
    }

    @Test func `a transaction left open is reset before the next message`() throws {
        for pipelining in [true, false] {
            var script = SMTPScript(pipelining: pipelining)
            script.open("PIPELINING")
            try script.submit("b@example.com")
            script.server("250 ok")
            script.server("550 no")
            if pipelining { script.server("554 no recipients") }
            #expect(script.take().last == "done 1 b@example.com=permanent")
            try script.submit("c@example.com")
            #expect(script.take().first == "C: RSET")
            script.server("250 reset")
            script.server("250 ok")
            script.server("250 ok")
            script.server("354 go")
            script.written()
            script.server("250 queued")
            #expect(script.take().last == "done 2 c@example.com=accepted")
        }
    }

    @Test(arguments: [
        ("451 x", "retryable"), ("452 4.3.1 full", "retryable"), ("550 x", "permanent"), ("552 x", "permanent"),
        ("554 5.6.0 x", "permanent"), ("421 x", "retryable"),
    ])
    func `a refused content settles everybody`(line: String, outcome: String) throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("b@example.com")
        script.server("250 ok", "250 ok", "354 go")
        script.written()
        _ = script.take()
        script.server(line)
        #expect(script.take().first == "done 1 b@example.com=\(outcome)")
    }

    // MARK: Connections that end

    @Test func `a connection lost before the final dot has accepted nothing, after it nobody knows`() throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("b@example.com")
        try script.submit("c@example.com")
        var early = script
        _ = early.take()
        early.perform { $0.disconnected(nil, outcome: .retryable, into: &$1) }
        #expect(
            early.take() == [
                "done 1 b@example.com=retryable untouched", "done 2 c@example.com=retryable untouched",
                "failed retryable after ready", "close",
            ])
        script.server("250 ok", "250 ok", "354 go")
        _ = script.take()
        var middle = script
        middle.perform { $0.disconnected(nil, outcome: .retryable, into: &$1) }
        #expect(
            middle.take().prefix(2) == ["done 1 b@example.com=retryable", "done 2 c@example.com=retryable untouched"])
        script.written()
        var late = script
        late.perform { $0.disconnected(nil, outcome: .retryable, into: &$1) }
        #expect(
            late.take().prefix(2) == ["done 1 b@example.com=ambiguous", "done 2 c@example.com=retryable untouched"])
        script.perform { $0.timedOut(into: &$1) }
        #expect(script.take().first == "done 1 b@example.com=ambiguous")
    }

    @Test(arguments: ["rubbish", "354 again", "199 x"])
    func `rubbish after the final dot is ambiguous, before it retryable`(line: String) throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("b@example.com")
        var before = script
        before.server("250 ok", "250 ok", "rubbish")
        #expect(before.take().contains("done 1 b@example.com=retryable"))
        script.server("250 ok", "250 ok", "354 go")
        script.written()
        script.server(line)
        #expect(script.take().suffix(3) == ["done 1 b@example.com=ambiguous", "failed retryable after ready", "close"])
    }

    @Test func `an answer before the content has left is no success`() throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("b@example.com")
        script.server("250 ok", "250 ok", "354 go")
        var refused = script
        _ = refused.take()
        refused.server("552 5.3.4 too big")
        #expect(refused.take() == ["done 1 b@example.com=permanent", "failed retryable after ready", "close"])
        script.server("250 thanks")
        #expect(script.take().contains("done 1 b@example.com=ambiguous"))
    }

    @Test func `421 at any step is retryable and closes`() throws {
        for answered in 0...3 {
            var script = SMTPScript()
            script.open("PIPELINING")
            try script.submit("b@example.com")
            for line in ["250 ok", "250 ok", "354 go"].prefix(answered) { script.server(line) }
            if answered == 3 { script.written() }
            script.server("421 4.7.0 closing")
            let untouched = answered == 0 ? " untouched" : ""
            #expect(
                script.take().suffix(3) == [
                    "done 1 b@example.com=retryable\(untouched)", "failed retryable after ready", "close",
                ])
        }
    }

    @Test func `an answer without a question ends the connection`() {
        var script = SMTPScript()
        script.open("PIPELINING")
        script.server("250 surprise")
        #expect(script.take() == ["failed retryable after ready", "close"])
    }

    // MARK: Limits and addresses

    @Test func `what the server cannot carry is refused here`() throws {
        var script = SMTPScript()
        script.open("PIPELINING", "SIZE 10")
        try script.submit("b@example.com")
        #expect(script.take() == ["done 1 b@example.com=permanent"])
        var eightBit = SMTPScript()
        eightBit.open("PIPELINING")
        try eightBit.submit("b@example.com", content: "ä")
        #expect(eightBit.take() == ["done 1 b@example.com=permanent"])
        var able = SMTPScript()
        able.open("8BITMIME")
        try able.submit("b@example.com", content: "ä")
        #expect(able.take() == ["C: MAIL FROM:<a@example.com> BODY=8BITMIME"])
    }

    @Test func `an address that needs SMTPUTF8 is refused alone where it is not offered`() throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit("jürgen@example.com", "b@example.com")
        script.server("250 ok", "250 ok", "354 go")
        script.written()
        script.server("250 ok")
        #expect(
            script.take() == [
                "C: MAIL FROM:<a@example.com>", "C: RCPT TO:<b@example.com>", "C: DATA", "C: <23 bytes, end>",
                "done 1 jürgen@example.com=permanent b@example.com=accepted",
            ])
        var able = SMTPScript()
        able.open("SMTPUTF8")
        try able.submit("jürgen@example.com")
        #expect(able.take() == ["C: MAIL FROM:<a@example.com> SMTPUTF8"])
    }

    @Test(arguments: [
        "b@example.com>\r\nRCPT TO:<x@evil.example", "b@example.com\r\nDATA", "b @example.com", "b@example.com\0", "",
        "<b@example.com>", String(repeating: "x", count: 300) + "@example.com",
    ])
    func `no address breaks out of its command`(address: String) throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit(address)
        #expect(script.take() == ["done 1 \(address)=permanent"])
        try script.submit("b@example.com", sender: address.isEmpty ? " " : address)
        #expect(script.take() == ["done 2 b@example.com=permanent"])
    }

    @Test func `a big content goes out in blocks`() throws {
        var script = SMTPScript()
        script.open("PIPELINING")
        try script.submit(
            "b@example.com", content: String(repeating: String(repeating: "x", count: 98) + "\r\n", count: 1500))
        script.server("250 ok", "250 ok", "354 go")
        #expect(script.take().suffix(3) == ["C: <65536 bytes>", "C: <65536 bytes>", "C: <18931 bytes, end>"])
    }

    @Test func `each step has its time`() throws {
        var script = SMTPScript()
        #expect(script.session.timeout == .seconds(60))
        script.open("PIPELINING")
        #expect(script.session.timeout == nil)
        try script.submit("b@example.com")
        script.server("250 ok", "250 ok")
        #expect(script.session.timeout == .seconds(120))
        script.server("354 go")
        #expect(script.session.timeout == .seconds(180))
        script.written()
        #expect(script.session.timeout == .seconds(600))
        script.server("250 ok")
        script.perform { $0.quit(into: &$1) }
        #expect(script.session.timeout == .seconds(5))
        script.server("221 bye")
        #expect(script.take().suffix(2) == ["C: QUIT", "close"])
    }
}
