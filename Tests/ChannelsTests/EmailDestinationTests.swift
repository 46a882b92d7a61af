import Alerting
import ConfigFiles
import Core
import Delivery
import NIOPosix
import Sandbox
import Store
import Synchronization
import Testing

@testable import Channels

/// A mail receiver from its configuration to what arrives.
@Suite struct EmailDestinationTests {
    static let group = MultiThreadedEventLoopGroup.singleton

    struct FixedClock: WallClock {
        func now() -> Timestamp { Timestamp(milliseconds: 1_795_373_100_000) }
        func sleep(until deadline: Timestamp) async throws {}
    }

    static func configuration(_ yaml: String) -> (EmailReceiverConfiguration?, [Diagnostic]) {
        let reader = ConfigReader()
        let file = ConfigFile(text: yaml, file: "alert-router.yaml")
        let configuration = reader.mapping(of: file) { EmailReceiverConfiguration($0, name: "planners") }
        return (configuration, reader.sortedDiagnostics)
    }

    static func item(_ number: Int, _ state: Alerting.Notification.Item.State = .firing) -> Alerting.Notification.Item {
        var item = Alerting.Notification.Item(
            incidentKey: "f\(number)-1", rule: "line-defect-rate", table: "gld_fact_quality",
            owner: "quality-engineering",
            state: state, severity: .critical, title: "Line L\(number): 7,2 % defects", keyDisplay: "P1 / L\(number)",
            reason: "defect_rate 0.072 > 0.05")
        item.facts = [.init("Batch", "B-\(number)"), .init("Inspected", "1.000")]
        item.links = [
            .init("Runbook", "https://wiki.example.com/quality/L\(number)"), .init("Bad", "javascript:alert(1)"),
        ]
        item.labels = [.init("team", "quality")]
        item.firedText = "22.11.2026, 19:45 MEZ"
        if state == .resolved { item.resolvedText = "22.11.2026, 20:05 MEZ" }
        return item
    }

    static func notification(_ items: [Alerting.Notification.Item], recipient: String? = nil, locale: String = "de_DE")
        -> Alerting.Notification
    {
        Alerting.Notification(
            receiver: "planners", recipient: recipient, reason: .first, groupKey: "planners/line-defect-rate",
            createdAt: FixedClock().now(), openCount: items.count, locale: locale, timeZone: "Europe/Berlin",
            items: items)
    }

    static func row(_ notification: Alerting.Notification, key: String = "key-1", recipient: String? = nil)
        -> OutboxRecord
    {
        OutboxRecord(
            receiver: "planners", lane: "lane", kind: "notification", incidentKey: "f1-1", rule: "line-defect-rate",
            severity: .critical, priority: .critical, createdAt: FixedClock().now(), idempotencyKey: key,
            payload: notification.bytes, recipient: recipient)
    }

    static func yaml(_ port: Int, _ more: String = "") -> String {
        """
        host: 127.0.0.1
        port: \(port)
        tls: none
        from: Störungsdienst <alerts@example.com>
        to: [ops@example.com, shift@example.com]
        allowed_domains: [plant.example.com]
        \(more)
        """
    }

    private func destination(_ yaml: String) throws -> EmailDestination {
        let (configuration, diagnostics) = Self.configuration(yaml)
        #expect(diagnostics == [])
        let decoded = try #require(configuration)
        let server = SMTPClientTests.patient(try decoded.server(SecretResolver.system(baseDirectory: "/")))
        let client = try SMTPClients(group: Self.group).client(for: server)
        return EmailDestination(configuration: decoded, client: client, clock: FixedClock())
    }

    private var deadline: Timestamp { FixedClock().now().adding(.seconds(60)) }

    // MARK: Delivery

    @Test func `a row arrives with text, HTML, thread and ids, and again with the same id`() async throws {
        let sandbox = try await SMTPSandbox.start(options: SMTPSandboxOptions(), port: 0, group: Self.group)
        let destination = try destination(Self.yaml(sandbox.port, "list_id: alerts.example.com"))
        let fire = Self.row(Self.notification([Self.item(1)]), key: "k1", recipient: nil)
        let resolve = Self.row(Self.notification([Self.item(1, .resolved)]), key: "k2", recipient: nil)
        for row in [fire, fire, resolve] {
            let report = await destination.send(try destination.render(row), row: row, deadline: deadline)
            // The server names connection and message.
            #expect(report.outcome == .accepted(providerId: "1-\(sandbox.messages.count)"))
            #expect(report.statusCode == 250)
        }
        let messages = sandbox.messages
        #expect(sandbox.faults == [])
        #expect(messages[0].recipients == ["ops@example.com", "shift@example.com"])
        #expect(messages[0].sender == "alerts@example.com")
        #expect(messages[0].subject == "[KRITISCH] Line L1: 7,2 % defects")
        #expect(messages[2].subject == "[BEHOBEN] Line L1: 7,2 % defects")
        #expect(messages[0].header("From") == "Störungsdienst <alerts@example.com>")
        #expect(messages[0].header("List-Id") == "<alerts.example.com>")
        #expect(messages[0].bytes == messages[1].bytes)
        #expect(messages[0].header("Message-ID") != messages[2].header("Message-ID"))
        #expect(messages[0].header("References") == messages[2].header("References"))
        #expect(messages[0].header("In-Reply-To") == messages[0].header("References"))
        for part in [messages[2].text ?? "", messages[2].html ?? ""] {
            for value in [
                "Line L1: 7,2 % defects", "P1 / L1", "B-1", "22.11.2026, 19:45 MEZ", "22.11.2026, 20:05 MEZ",
                "defect_rate 0.072", "quality-engineering", "team=quality", "https://wiki.example.com/quality/L1",
                "behoben",
            ] {
                #expect(part.contains(value), "\(value)")
            }
            #expect(!part.contains("javascript"))
        }
        await sandbox.stop()
    }

    @Test func `a recipient from data must belong to an allowed domain, else the fallback or nobody gets it`()
        async throws
    {
        let sandbox = try await SMTPSandbox.start(options: SMTPSandboxOptions(), port: 0, group: Self.group)
        let plain = try destination(Self.yaml(sandbox.port))
        let withFallback = try destination(Self.yaml(sandbox.port, "fallback: desk@example.com"))
        let notification = Self.notification([Self.item(1)])
        let good = Self.row(notification, recipient: "jana@plant.example.com")
        #expect(await plain.send(try plain.render(good), row: good, deadline: deadline).outcome.reason == nil)
        #expect(sandbox.messages.last?.recipients == ["jana@plant.example.com"])
        for bad in ["x@evil.example", "x@evil.example\r\nRCPT TO:<y@evil.example>", "nobody", "a@b@plant.example.com"] {
            let row = Self.row(notification, recipient: bad)
            let refused = await plain.send(try plain.render(row), row: row, deadline: deadline)
            guard case .permanent = refused.outcome else { Issue.record("\(refused)"); continue }
            let sent = await withFallback.send(try withFallback.render(row), row: row, deadline: deadline)
            #expect(sent.outcome.reason == nil)
            #expect(sandbox.messages.last?.recipients == ["desk@example.com"])
            #expect(sandbox.messages.last?.text?.contains("war bestimmt für \(EmailHeader.cleaned(bad))") == true)
            #expect(sandbox.messages.last?.header("Bcc") == nil)
        }
        #expect(sandbox.messages.count == 5)
        #expect(sandbox.faults == [])
        await sandbox.stop()
    }

    @Test func `of several recipients only those that did not get it are tried again`() async throws {
        var options = SMTPSandboxOptions()
        let once = Once()
        options.script = { step in
            step.kind == .recipient && step.argument == "shift@example.com" && once.isFirst()
                ? .reply("450 4.2.1 busy") : nil
        }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let destination = try destination(Self.yaml(sandbox.port))
        var row = Self.row(Self.notification([Self.item(1)]))
        row.id = 7
        let body = try destination.render(row)
        let first = await destination.send(body, row: row, deadline: deadline)
        #expect(first.outcome == .retryable(after: nil, reason: "RCPT refused: 450 4.2.1 busy"))
        #expect(first.detail == "shift@example.com: RCPT refused: 450 4.2.1 busy")
        let second = await destination.send(body, row: row, deadline: deadline)
        #expect(second.outcome.reason == nil)
        #expect(sandbox.messages.map(\.recipients) == [["ops@example.com"], ["shift@example.com"]])
        await sandbox.stop()
    }

    @Test func `the deadline ends an attempt, as ambiguous when everything was written`() async throws {
        for (kind, isAmbiguous) in [(SMTPSandboxStep.Kind.mail, false), (.content, true)] {
            var options = SMTPSandboxOptions()
            options.script = { $0.kind == kind ? .silence : nil }
            let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
            let destination = try destination(Self.yaml(sandbox.port))
            let row = Self.row(Self.notification([Self.item(1)]))
            let report = await destination.send(
                try destination.render(row), row: row, deadline: FixedClock().now().adding(milliseconds: 200))
            switch report.outcome {
            case .ambiguous: #expect(isAmbiguous)
            case .retryable: #expect(!isAmbiguous)
            case .accepted, .permanent, .unauthorized: Issue.record("\(report)")
            }
            await sandbox.stop()
        }
    }

    @Test func `cancellation ends an attempt`() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        var options = SMTPSandboxOptions()
        options.script = { step in
            guard step.kind == .mail else { return nil }
            continuation.yield()
            return .silence
        }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let destination = try destination(Self.yaml(sandbox.port))
        let row = Self.row(Self.notification([Self.item(1)]))
        let body = try destination.render(row)
        let deadline = deadline
        let task = Task { await destination.send(body, row: row, deadline: deadline) }
        for await _ in stream { break }
        task.cancel()
        guard case .retryable = await task.value.outcome else { Issue.record("not retryable"); return }
        await sandbox.stop()
    }

    // MARK: Layout

    @Test func `hostile data is shown and never obeyed`() throws {
        var item = Self.item(1)
        item.title = "<script>alert(1)</script> & \"quotes\"\r\nBcc: x@evil.example\r\n\r\nbody"
        item.keyDisplay = "</table><img src=x onerror=alert(1)>"
        item.facts = [.init("<b>name</b>", "'\"><a href=\"https://evil.example\">x</a>")]
        item.links = [
            .init("<i>x</i>", "https://ok.example/?a=1&b=\"2\""), .init("x", "JavaScript:alert(1)"),
            .init("x", "data:text/html,x"), .init("x", "https://evil.example/\r\nX: y"),
        ]
        let layout = EmailLayout(Self.notification([item], locale: "en_US"), meantFor: nil)
        #expect(!layout.html.contains("<script") && !layout.html.contains("<img") && !layout.html.contains("<i>x"))
        #expect(!layout.html.contains("<a href=\"https://evil.example"))
        #expect(layout.html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot;"))
        #expect(layout.html.contains("https://ok.example/?a=1&amp;b=&quot;2&quot;"))
        #expect(!layout.html.lowercased().contains("javascript:") && !layout.html.contains("data:text"))
        #expect(!layout.subject.contains("\n") && !layout.subject.contains("\r"))
        let fields = SMTPSandboxMessage(
            connection: 1, number: 1, user: nil, isEncrypted: false, sender: "", recipients: [],
            bytes: try EmailMessageTests.message(subject: layout.subject, text: layout.text, html: layout.html).bytes)
        #expect(fields.header("Bcc") == nil)
        #expect(fields.subject == layout.subject)
    }

    @Test func `several items become a table, and what does not fit is counted`() throws {
        var many = Self.notification((0..<80).map { Self.item($0) }, locale: "en_US")
        many.omittedCount = 20
        let layout = EmailLayout(many, meantFor: nil)
        #expect(layout.subject == "[CRITICAL] 100 alerts: Line L0: 7,2 % defects")
        #expect(layout.html.contains("<th align=\"left\""))
        #expect(layout.html.utf8.count <= EmailLayout.htmlBytesMax)
        #expect(layout.text.contains("and 50 more"))
        #expect(layout.html.contains(" more</p>"))
        let mixed = EmailLayout(
            Self.notification([Self.item(1), Self.item(2, .resolved)], locale: "en_US"), meantFor: nil)
        #expect(mixed.subject == "[CRITICAL] 1 firing, 1 resolved: Line L1: 7,2 % defects")
        let huge = { () -> Alerting.Notification.Item in
            var item = Self.item(1)
            item.facts = (0..<100).map { .init("f\($0)", String(repeating: "<", count: 5000)) }
            return item
        }()
        let big = EmailLayout(Self.notification([huge, huge, huge], locale: "en_US"), meantFor: nil)
        #expect(big.html.contains("and 2 more"))
    }

    @Test func `what a reader must know about an alert is said in both parts`() throws {
        var item = Self.item(1)
        item.isOverdue = true
        item.isLastValueUnknown = true
        item.templateProblem = "after.batch is null"
        item.previousSeverity = .warning
        let layout = EmailLayout(Self.notification([item], locale: "en_US"), meantFor: nil)
        for part in [layout.text, layout.html] {
            for value in [
                "already overdue", "last value was unknown", "after.batch is null", "firing, critical (was warning)",
            ] {
                #expect(part.contains(value), "\(value)")
            }
        }
    }

    @Test func `the messages of an incident share a thread, also with those of its group`() {
        let fire = EmailDestination.references(
            of: Self.notification([Self.item(1), Self.item(2)]), recipient: "", domain: "a.example")
        let resolve = EmailDestination.references(
            of: Self.notification([Self.item(2, .resolved)]), recipient: "", domain: "a.example")
        let other = EmailDestination.references(
            of: Self.notification([Self.item(2)]), recipient: "x@y", domain: "a.example")
        #expect(fire.count == 3 && resolve.count == 1)
        #expect(fire.contains(resolve[0]))
        #expect(other != resolve)
    }

    // MARK: Configuration

    @Test func `a full configuration is decoded`() throws {
        let (decoded, diagnostics) = Self.configuration(
            """
            host: smtp.example.com
            tls: implicit
            username: alerts
            password: ${env:SMTP_PASSWORD}
            mechanism: LOGIN
            from: alerts@example.com
            to: ops@example.com
            allowed_domains: ["*.Example.com"]
            locale: de_DE
            timezone: Europe/Berlin
            connections: 3
            messages_per_minute: 25
            messages_per_day: 9000
            recipient_messages_per_hour: 10
            messages_per_second: 0
            on_ambiguous: hold
            """)
        #expect(diagnostics == [])
        let configuration = try #require(decoded)
        #expect(configuration.port == 465)
        #expect(
            configuration.policy.windows == [
                RateWindow(count: 25, duration: .seconds(60)), RateWindow(count: 9000, duration: .seconds(86_400)),
            ])
        #expect(configuration.policy.recipientWindows == [RateWindow(count: 10, duration: .seconds(3600))])
        #expect(configuration.policy.pace == nil && configuration.policy.onAmbiguous == .hold)
        #expect(configuration.messageIdDomain == "example.com")
        #expect(!"\(configuration)".contains("hunter"))
    }

    @Test(arguments: [
        ("from: alerts@example.com\nto: no address", "M001"), ("from: Name <a@b@c>", "M001"),
        ("from: a@example.com\nallowed_domains: [\"exa mple\"]", "M002"),
        ("from: a@example.com\ntls: none\nusername: u\npassword: ${env:P}", "M003"),
        ("from: a@example.com\nusername: u", "M004"), ("from: a@example.com\ntimezone: Europe/Bochum", "M005"),
        ("from: a@example.com\nclient_name: \"x\\r\\nMAIL\"", "M001"), ("from: a@example.com\npassword: plain", "Y014"),
        ("from: a@example.com\nhots: x", "Y010"), ("to: a@example.com", "Y011"),
        ("from: a@example.com\ntls: sometimes", "Y013"),
    ])
    func `what is wrong is reported`(yaml: String, code: String) {
        let (_, diagnostics) = Self.configuration("host: smtp.example.com\n" + yaml)
        #expect(diagnostics.map(\.code).contains(code), "\(diagnostics.map(\.message))")
    }
}

/// True the first time only, on whatever connection.
private final class Once: Sendable {
    private let isDone = Atomic<Bool>(false)

    func isFirst() -> Bool { !isDone.exchange(true, ordering: .relaxed) }
}
