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

// Goal: a configured receiver posts a card that a strict webhook takes, and shows its address nowhere. Method: the real
// transport against the sandbox's webhook on loopback.

@Suite(.timeLimit(.minutes(1))) struct TeamsDestinationTests {
    static let clock = SystemWallClock()

    static func configuration(_ yaml: String) -> (TeamsReceiverConfiguration?, [Diagnostic]) {
        let reader = ConfigReader()
        let configuration = reader.mapping(of: ConfigFile(text: yaml, file: "alert-router.yaml")) {
            TeamsReceiverConfiguration($0, name: "quality")
        }
        return (configuration, reader.sortedDiagnostics)
    }

    static func resolver(_ url: String) -> SecretResolver {
        SecretResolver(environment: { $0 == "TEAMS_URL" ? url : nil }, readFile: { _ in [] })
    }

    @Test func `a card goes through and its incident key can be traced`() async throws {
        let sink = try await TeamsSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: Self.clock, isThrottling: false,
            onCard: { _ in })
        let (configuration, problems) = Self.configuration(
            "url: ${env:TEAMS_URL}\nlocale: de_DE\ntimezone: Europe/Berlin")
        #expect(problems == [])
        let transport = try HTTPTransport(configuration: .standard, clock: Self.clock)
        let destination = try TeamsDestination(
            configuration: try #require(configuration), resolver: Self.resolver(sink.webhookAddress), http: transport,
            clock: Self.clock)
        for notification in TeamsCardTests.notifications {
            let row = OutboxRecord(
                receiver: "quality", lane: "l", kind: "notification", incidentKey: "k", rule: "r", severity: .error,
                priority: .normal, createdAt: .epoch, idempotencyKey: "k", payload: notification.bytes, recipient: nil)
            let report = await destination.send(
                try destination.render(row), row: row, deadline: Self.clock.now().adding(milliseconds: 20_000))
            guard case .accepted(.some) = report.outcome else {
                Issue.record("\(report)")
                continue
            }
        }
        #expect(sink.faults == [])
        #expect(sink.cards.count == TeamsCardTests.notifications.count)
        #expect(sink.cards[0].ids == [TeamsSample.item().incidentKey])
        #expect(sink.cards[0].lines.contains("Line 4: 6.3 % defects"))
        #expect(sink.http.requests.allSatisfy { sink.webhookAddress.hasSuffix($0.target) })
        await transport.shutdown()
        await sink.stop()
    }

    @Test func `four requests a second are taken and the fifth is told to wait`() async throws {
        let sink = try await TeamsSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: FixedClock(), isThrottling: true,
            onCard: { _ in })
        let (configuration, _) = Self.configuration("url: ${env:TEAMS_URL}")
        let transport = try HTTPTransport(configuration: .standard, clock: Self.clock)
        let destination = try TeamsDestination(
            configuration: try #require(configuration), resolver: Self.resolver(sink.webhookAddress), http: transport,
            clock: Self.clock)
        var outcomes: [AttemptOutcome] = []
        let row = OutboxRecord(
            receiver: "quality", lane: "l", kind: "notification", incidentKey: "k", rule: "r", severity: .error,
            priority: .normal, createdAt: .epoch, idempotencyKey: "k",
            payload: TeamsSample.notification([TeamsSample.item()]).bytes, recipient: nil)
        for _ in 0..<5 {
            outcomes.append(
                await destination.send(
                    try destination.render(row), row: row, deadline: Self.clock.now().adding(milliseconds: 20_000)
                ).outcome)
        }
        #expect(outcomes.prefix(4).allSatisfy { TeamsAnswerTests.kind($0) == .accepted })
        guard case .retryable(.seconds(1), _) = outcomes[4] else { return unexpected(outcomes) }
        await transport.shutdown()
        await sink.stop()
    }

    struct FixedClock: WallClock {
        func now() -> Timestamp { Timestamp(milliseconds: 5) }
        func sleep(until deadline: Timestamp) async throws {}
    }

    @Test func `a payload that cannot be read is an error, not a crash`() throws {
        let (configuration, _) = Self.configuration("url: ${env:TEAMS_URL}")
        let destination = try TeamsDestination(
            configuration: try #require(configuration), resolver: Self.resolver("https://ok.example/x"),
            http: Unreachable(), clock: Self.clock)
        var row = OutboxRecord(
            receiver: "quality", lane: "l", kind: "notification", incidentKey: "k", rule: "r", severity: .error,
            priority: .normal, createdAt: .epoch, idempotencyKey: "k", payload: [], recipient: nil)
        for payload in ["", "{}", "[1]", #"{"v":1,"reason":"nonsense"}"#, #"{"v":2}"#] {
            row.payload = Array(payload.utf8)
            #expect(throws: NotificationFormatError.self) { try destination.render(row) }
        }
    }

    struct Unreachable: HTTPSending {
        func send(_ request: HTTPRequest, deadline: Timestamp) async -> HTTPResult {
            .notWritten(HTTPFailure(message: "unreachable", isTimeout: false))
        }
    }

    @Test(arguments: [
        ("https://contoso.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/secret", "retired"),
        ("https://outlook.office.com/webhook/x/secret", "retired"),
        ("https://prod-12.westeurope.logic.azure.com:443/workflows/x/secret", "2025-11-30"),
        ("http://env.environment.api.powerplatform.com/secret", "https"), ("not an address secret", "printable ASCII"),
        ("ftp://host/secret", "https://"),
    ])
    func `addresses that cannot work are refused with a hint and without showing them`(url: String, hint: String) throws
    {
        let (configuration, _) = Self.configuration("url: ${env:TEAMS_URL}")
        do {
            _ = try TeamsDestination(
                configuration: try #require(configuration), resolver: Self.resolver(url), http: Unreachable(),
                clock: Self.clock)
            Issue.record("accepted")
        } catch {
            #expect("\(error)".contains(hint) && !"\(error)".contains("secret"), "\(error)")
        }
    }

    @Test func `settings are checked with their place in the file`() {
        let (_, problems) = Self.configuration(
            "url: https://in.the.clear/x\nmessages_per_minut: 3\ntimezone: Mars/Base")
        #expect(problems.count == 3)
        #expect(problems.map(\.position.line) == [1, 2, 3])
        #expect(!problems.contains { $0.rendered(source: nil).contains("in.the.clear") })
        let (_, none) = Self.configuration("locale: en_US")
        #expect(none.map(\.message).joined().contains("url"))
        let (configuration, clean) = Self.configuration(
            "url: ${env:TEAMS_URL}\nmessages_per_minute: 0\nmessages_per_second: 0")
        #expect(clean == [])
        #expect(configuration?.policy.windows == [] && configuration?.policy.pace == nil)
    }

    @Test func `the standard limits are one a second and thirty a minute`() {
        let policy = Self.configuration("url: ${env:TEAMS_URL}").0?.policy
        #expect(policy?.windows == [RateWindow(count: 30, duration: .seconds(60))])
        #expect(policy?.pace == Pace(perSecond: 1, burst: 2))
        #expect(policy?.mergeAbove == 20 && policy?.onAmbiguous == .resend)
    }
}

private func unexpected(_ outcomes: [AttemptOutcome]) { Issue.record("unexpected: \(outcomes)") }
