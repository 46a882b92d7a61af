import Alerting
import ConfigFiles
import Core
import Delivery
import HTTPTransport
import NIOPosix
import Sandbox
import Store
import Testing

@testable import Channels

// Goal: a configured receiver posts what a strict receiver takes, signed, the same at every attempt, and shows its
// secrets nowhere. Method: the real transport against the sandbox's webhook on loopback.

@Suite(.timeLimit(.minutes(1))) struct WebhookDestinationTests {
    static let clock = SystemWallClock()

    /// A sink and a destination that posts to it.
    private func rig(
        _ yaml: String, secrets: [String] = [], values: [String: String] = [:],
        script: @escaping WebhookSink.Script = { _ in nil }
    ) async throws -> (WebhookSink, WebhookDestination, HTTPTransport) {
        let sink = try await WebhookSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: Self.clock, secrets: secrets, script: script)
        let (configuration, problems) = WebhookSample.configuration("url: ${env:URL}\n" + yaml)
        #expect(problems == [])
        let transport = try HTTPTransport(configuration: .standard, clock: Self.clock)
        let all = values.merging(["URL": sink.webhookAddress]) { own, _ in own }
        let destination = try WebhookDestination(
            configuration: try #require(configuration), resolver: WebhookSample.resolver(all), http: transport,
            clock: Self.clock)
        return (sink, destination, transport)
    }

    private func send(
        _ notification: Notification, to destination: WebhookDestination, key: String,
        within milliseconds: Int64 = 20_000
    ) async throws -> AttemptReport {
        let row = WebhookSample.row(notification, key: key)
        return await destination.send(
            try destination.render(row), row: row, deadline: Self.clock.now().adding(milliseconds: milliseconds))
    }

    static let notifications: [Notification] = {
        var all = [
            WebhookSample.notification([WebhookSample.item()]),
            WebhookSample.notification([WebhookSample.item(state: .resolved)]),
            WebhookSample.notification([WebhookSample.item(state: .event)]),
            WebhookSample.notification((1...100).map { WebhookSample.item($0) }, omittedCount: 7),
            WebhookSample.notification([WebhookSample.item(1), WebhookSample.item(2, state: .resolved)], group: "{}"),
        ]
        all += TeamsCardTests.hostile.map(WebhookSample.hostile)
        return all
    }()

    @Test(arguments: ["generic", "alertmanager", "cloudevents"])
    func `a strict receiver takes every message of a format, signed`(format: String) async throws {
        let (sink, destination, transport) = try await rig(
            "format: \(format)\nsecret: ${env:KEY}", secrets: [WebhookSample.key], values: ["KEY": WebhookSample.key])
        for (number, notification) in Self.notifications.enumerated() {
            let report = try await send(notification, to: destination, key: "key-\(number)")
            #expect(report.outcome == .accepted(providerId: nil), "\(report)")
        }
        #expect(sink.faults == [])
        #expect(sink.messages.map(\.form.rawValue) == Self.notifications.map { _ in format })
        #expect(sink.messages.map(\.id) == Self.notifications.indices.map { "key-\($0)" })
        #expect(sink.server.requests.allSatisfy { sink.webhookAddress.hasSuffix($0.target) })
        await transport.shutdown()
        await sink.stop()
    }

    @Test func `a second attempt is the same message, known by its id`() async throws {
        let (sink, destination, transport) = try await rig(
            "secret: ${env:KEY}", secrets: [WebhookSample.key],
            values: ["KEY": WebhookSample.key])
        for _ in 0..<2 {
            _ = try await send(Self.notifications[0], to: destination, key: "k1")
        }
        _ = try await send(Self.notifications[0], to: destination, key: "with.dot and blank")
        #expect(sink.faults == [] && sink.duplicateCount == 1 && sink.messages.count == 2)
        let bodies = sink.server.requests.map(\.body)
        #expect(bodies[0] == bodies[1])
        await transport.shutdown()
        await sink.stop()
    }

    @Test func `while keys are exchanged, receivers with the old and the new one both accept`() async throws {
        for key in [WebhookSample.key, WebhookSample.otherKey] {
            let (sink, destination, transport) = try await rig(
                "secret: [\"${env:NEW}\", \"${env:OLD}\"]", secrets: [key],
                values: ["NEW": WebhookSample.key, "OLD": WebhookSample.otherKey])
            let report = try await send(Self.notifications[0], to: destination, key: "k")
            #expect(report.outcome == .accepted(providerId: nil) && sink.faults == [])
            await transport.shutdown()
            await sink.stop()
        }
    }

    @Test func `a wrong key is refused as unauthorized`() async throws {
        let (sink, destination, transport) = try await rig(
            "secret: ${env:KEY}", secrets: [WebhookSample.otherKey], values: ["KEY": WebhookSample.key])
        let report = try await send(Self.notifications[0], to: destination, key: "k")
        #expect(TeamsAnswerTests.kind(report.outcome) == .unauthorized)
        #expect(sink.faults == ["no signature of a known key"])
        await transport.shutdown()
        await sink.stop()
    }

    @Test func `headers of the configuration go out, and override the router's name only`() async throws {
        let (sink, destination, transport) = try await rig(
            "headers: {Authorization: \"Bearer ${env:TOKEN}\", User-Agent: mine, X-Number: 5}",
            values: ["TOKEN": "t0ken"])
        _ = try await send(Self.notifications[0], to: destination, key: "k")
        let request = try #require(sink.server.requests.first)
        #expect(request.header("authorization") == "Bearer t0ken" && request.header("user-agent") == "mine")
        #expect(request.header("x-number") == "5" && request.header("webhook-signature") == nil)
        #expect(request.header("webhook-id") == "k" && sink.faults == [])
        await transport.shutdown()
        await sink.stop()
    }

    @Test func `refusals, throttling and silence come out as what they are`() async throws {
        let (sink, destination, transport) = try await rig("format: alertmanager") { number in
            switch number {
            case 1: .respond(status: 503, headers: [("Retry-After", "7")], body: [])
            case 2: .respond(status: 410, headers: [], body: [])
            case 3: .silence
            case 4: .closeAfterBody
            case 5: .respond(status: 302, headers: [("Location", "http://127.0.0.1:1/")], body: [])
            default: nil
            }
        }
        let kinds: [TeamsAnswerTests.Kind] = [.retryable, .permanent, .ambiguous, .ambiguous, .permanent, .accepted]
        for (number, kind) in kinds.enumerated() {
            let report = try await send(
                Self.notifications[0], to: destination, key: "k\(number)", within: number == 2 ? 300 : 20_000)
            #expect(TeamsAnswerTests.kind(report.outcome) == kind, "\(number): \(report)")
            #expect(!"\(report)".contains("s3cr3t"))
            if number == 0 {
                guard case .retryable(.seconds(7), _) = report.outcome else {
                    Issue.record("\(report)")
                    continue
                }
            }
        }
        await sink.stop()
        let report = try await send(Self.notifications[0], to: destination, key: "gone")
        #expect(TeamsAnswerTests.kind(report.outcome) == .retryable, "nobody listens: nothing was written")
        #expect(!"\(report)".contains("s3cr3t"))
        await transport.shutdown()
    }

    @Test func `waiting rows of a group become the newest one`() throws {
        let (configuration, _) = WebhookSample.configuration("url: ${env:URL}")
        let destination = try WebhookDestination(
            configuration: try #require(configuration),
            resolver: WebhookSample.resolver(["URL": "https://ok.example/x"]),
            http: TeamsDestinationTests.Unreachable(),
            clock: Self.clock)
        var rows = [WebhookSample.item(1), WebhookSample.item(2)]
            .map { WebhookSample.row(WebhookSample.notification([$0])) }
        (rows[0].id, rows[1].id) = (1, 2)
        let coalescing = destination.coalesce(rows)
        #expect(coalescing.sendId == 2 && coalescing.superseded.map(\.id) == [1])
        rows[0].payload = Array("{}".utf8)
        #expect(throws: NotificationFormatError.self) { try destination.render(rows[0]) }
    }
}

@Suite struct WebhookConfigurationTests {
    @Test func `the defaults are five a second, no merging and our own format`() throws {
        let (configuration, problems) = WebhookSample.configuration("url: ${env:URL}")
        #expect(problems == [])
        let policy = try #require(configuration).policy
        #expect(policy.windows == [] && policy.pace == Pace(perSecond: 5, burst: 10))
        #expect(policy.mergeAbove == nil && policy.onAmbiguous == .resend && policy.concurrency == 4)
        #expect(configuration?.body.format == .generic && configuration?.secrets == [])
    }

    @Test(arguments: [
        ("url: https://in.the.clear/x", "reference"), ("format: xml", "'alertmanager'"),
        ("timezone: Mars/Base", "Mars"),
        ("secret: whsec_inTheClear", "reference"), ("secret: [\"${env:A}\", inTheClear]", "reference"),
        ("headers: {Authorization: inTheClear}", "reference"), ("headers: {X-Api-Key: inTheClear}", "reference"),
        ("headers: {Host: other}", "set by the router"), ("headers: {webhook-id: '1'}", "set by the router"),
        ("headers: {\"a b\": c}", "no header's"), ("headers: {\"a\\r\\nb\": c}", "no header's"),
        ("headers: {X-A: '1', x-a: '2'}", "twice"), ("alerts_max: 0", "1 to 100"), ("message_bytes_max: 10", "262144"),
        ("secrt: ${env:A}", "did you mean 'secret'"),
        ("secret: [\"${env:A}\",\"${env:B}\",\"${env:C}\",\"${env:D}\",\"${env:E}\"]", "at most 4"),
    ])
    func `settings that are wrong are named without what may be secret`(line: String, word: String) {
        let yaml = line.hasPrefix("url") ? line : "url: ${env:URL}\n" + line
        let (_, problems) = WebhookSample.configuration(yaml)
        #expect(problems.count == 1, "\(problems)")
        let text = problems.map { "\($0.rendered(source: nil)) \($0.help ?? "")" }.joined()
        #expect(text.contains(word) && !text.contains("inTheClear") && !text.contains("in.the.clear"), "\(text)")
    }

    @Test(arguments: [
        (["URL": "http://intranet.example/secret"], "https://"), (["URL": "ftp://x/secret"], "https://"),
        (["KEY": "secret-without-form"], "whsec_"), (["TOKEN": "secret\r\nX-Other: 1"], "printable ASCII"),
        (["TOKEN": "secret-ü"], "printable ASCII"),
    ])
    func `values that cannot be used are refused, by check and by run, without showing them`(
        values: [String: String], word: String
    ) throws {
        let good = ["URL": "https://ok.example/x", "KEY": WebhookSample.key, "TOKEN": "t"]
        let (read, problems) = WebhookSample.configuration(
            "url: ${env:URL}\nsecret: ${env:KEY}\nheaders: {X-Token: \"${env:TOKEN}\"}")
        #expect(problems == [])
        let configuration = try #require(read)
        #expect(configuration.flaws(WebhookSample.resolver(good)) == [])
        let resolver = WebhookSample.resolver(good.merging(values) { _, other in other })
        let flaws = configuration.flaws(resolver)
        #expect(flaws.count == 1 && flaws.allSatisfy { $0.message.contains(word) && $0.position != nil }, "\(flaws)")
        #expect(!"\(flaws)".contains("secret"))
        do {
            _ = try WebhookTarget(configuration, resolver: resolver)
            Issue.record("accepted")
        } catch {
            #expect("\(error)".contains(word) && !"\(error)".contains("secret"), "\(error)")
        }
    }

    @Test func `plain HTTP needs a word, except on this machine`() throws {
        for (line, url, isTaken) in [
            ("", "http://127.0.0.1:9/x", true), ("", "http://localhost/x", true), ("", "http://a.example/x", false),
            ("\nallow_http: true", "http://a.example/x", true), ("", "https://a.example/x", true),
        ] {
            let (configuration, _) = WebhookSample.configuration("url: ${env:URL}" + line)
            let flaws = try #require(configuration).flaws(WebhookSample.resolver(["URL": url]))
            #expect(flaws.isEmpty == isTaken, "\(url)")
        }
    }
}
