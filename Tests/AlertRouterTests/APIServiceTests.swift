import Core
import Foundation
import KafkaClient
import NIOPosix
import Sandbox
import Testing

/// Goal: what a running service knows can be asked over HTTP, by amtool too, by whom the configuration allows. Method:
/// the built program against librdkafka's mock cluster, asked with curl and amtool.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct APIServiceTests {
    private static let environment = [
        "HOOK": "https://127.0.0.1:9/hook", "JO_TOKEN": "jo-token-0123456789", "OTHER": "other-token-0123456789",
    ]

    private func prepare(_ folder: borrowing Workspace, _ cluster: MockCluster, token: String = "JO_TOKEN") throws {
        try folder.write(
            "tables: {t: {row_key: [id], columns: {id: string, value: int}}}\n", to: "rules/tables.yaml")
        try folder.write(
            """
            table: t
            owner: test
            rules:
              - name: high
                description: A value is too high.
                key: [id]
                when: after.value > 10
                labels: {team: quality}
                summary: "{{ after.id }} is {{ after.value }}"
                facts: {Value: "{{ after.value }}"}
            """, to: "rules/high.yaml")
        try folder.write(
            """
            start: earliest
            kafka:
              brokers: ["\(cluster.bootstrapServers)"]
              topics: [t]
            receivers:
              - {name: a, channel: teams, url: "${env:HOOK}", locale: en_GB, timezone: UTC}
            default_receiver: a
            operator: a
            external_url: https://alerts.example.com/
            http:
              port: 0
              tokens:
                - {name: Jo Doe, token: "${env:\(token)}", scopes: [read, write]}
            """, to: "alert-router.yaml")
    }

    private func run(_ line: String, _ folder: borrowing Workspace) async throws -> Program.Result {
        try await Program.run(
            line.split(separator: " ").map(String.init), in: folder.path, environment: APIServiceTests.environment)
    }

    private static func port(_ service: RunningProgram) throws -> String {
        let line = try #require(service.log.split(separator: "\n").first { $0.contains("the console listens") })
        let start = try #require(line.firstRange(of: "port=")).upperBound
        return String(line[start...].prefix { $0.isNumber })
    }

    /// Asks with curl; status and body.
    private func curl(_ arguments: [String]) async throws -> (status: String, body: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        process.arguments = ["-s", "-w", "\n%{http_code}"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let end = try #require(text.lastIndex(of: "\n"))
        return (String(text[text.index(after: end)...]), String(text[..<end]))
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/curl"), "curl is missing"))
    func `an alert is found by the API, the page and explain; tokens follow a reload`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try cluster.createTopic("t", partitions: 1)
        try prepare(folder, cluster)
        let service = try RunningProgram(["run"], in: folder.path, environment: APIServiceTests.environment)
        try await service.wait(for: "worker started")
        try await service.wait(for: "the console listens")
        let base = "http://127.0.0.1:\(try APIServiceTests.port(service))"
        try folder.write("{\"key\":\"a\",\"value\":{\"id\":\"<a>\",\"value\":15}}\n", to: "lines.ndjson")
        #expect(try await run("publish lines.ndjson --topic t", folder).code == 0)
        var alerts = JSON.array([])
        while alerts.elements?.isEmpty ?? true {
            alerts = try JSON.parse(try await curl([base + "/api/v2/alerts?filter=alertname%3D%22high%22"]).body.utf8)
        }
        let alert = try #require(alerts[0])
        #expect(alert["labels"]?["team"] == .string("quality"))
        #expect(alert["labels"]?["id"] == .string("<a>"))
        #expect(alert["annotations"]?["summary"] == .string("<a> is 15"))
        #expect(alert["annotations"]?["Value"] == .string("15"))
        #expect(alert["receivers"]?[0]?["name"] == .string("a"))
        let page = try #require(alert["generatorURL"]?.stringValue)
        #expect(page.hasPrefix("https://alerts.example.com/alerts/"))
        let id = String(page.suffix(64))
        let shown = try await curl([base + "/alerts/" + id])
        #expect(shown.status == "200" && shown.body.contains("&lt;a&gt; is 15"), "\(shown.body)")
        #expect(shown.body.contains("notification #"))
        for path in ["/", "/silences", "/receivers", "/dead-letters"] {
            #expect(try await curl([base + path]).status == "200", "\(path)")
        }
        let explained = try await run("alerts explain \(id.prefix(12))", folder)
        #expect(explained.output.contains("firing warning, episode 1"), "\(explained.transcript)")
        #expect(explained.output.contains("because: first"), "\(explained.transcript)")
        #expect(explained.output.contains("event t[0]@0"), "\(explained.transcript)")
        let json = try JSON.parse(try await run("alerts explain \(id) --output json", folder).output)
        #expect((json["entries"]?.elements?.count ?? 0) >= 2)
        // Nothing is changed without a token, and a reload replaces the token.
        let change = ["-X", "DELETE", base + "/api/v2/silence/00000000-0000-4000-8000-000000000000"]
        #expect(try await curl(change).status == "401")
        let jo = ["-H", "Authorization: Bearer jo-token-0123456789"]
        #expect(try await curl(jo + change).status == "404")
        try prepare(folder, cluster, token: "OTHER")
        service.send(SIGHUP)
        try await service.wait(for: "reloaded")
        #expect(try await curl(jo + change).status == "401")
        #expect(try await curl(["-H", "Authorization: Bearer other-token-0123456789"] + change).status == "404")
        #expect(!service.log.contains("token-0123456789"))
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/curl"), "curl is missing"))
    func `a link acknowledges, people silence and push, and explain tells it all`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try cluster.createTopic("t", partitions: 1)
        try prepare(folder, cluster)
        let sink = try await HTTPSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: SystemWallClock(), certificate: nil,
            onHead: { _ in nil }, script: { _ in .accepted })
        let environment = APIServiceTests.environment.merging(["HOOK": sink.address + "/hook"]) { $1 }
        let service = try RunningProgram(["run"], in: folder.path, environment: environment)
        try await service.wait(for: "worker started")
        try await service.wait(for: "the console listens")
        let base = "http://127.0.0.1:\(try APIServiceTests.port(service))"
        try folder.write("{\"key\":\"a\",\"value\":{\"id\":\"a\",\"value\":15}}\n", to: "lines.ndjson")
        #expect(try await run("publish lines.ndjson --topic t", folder).code == 0)
        await sink.waitForRequests(1)
        let card = String(decoding: try #require(sink.requests.first).body, as: UTF8.self)
        let start = try #require(card.range(of: "https://alerts.example.com/ack/"), "\(card)")
        let link = base + "/ack/" + card[start.upperBound...].prefix { $0 != "\"" && $0 != ")" }
        #expect(card.contains("https://alerts.example.com/alerts/"))
        // Looking changes nothing; the button does.
        let question = try await curl([link])
        #expect(question.status == "200" && question.body.contains("Acknowledge this alert?"), "\(question.body)")
        let alerts = try JSON.parse(try await curl([base + "/api/v2/alerts"]).body.utf8)
        let id = String(try #require(alerts[0]?["generatorURL"]?.stringValue).suffix(64))
        #expect(!(try await curl([base + "/alerts/" + id]).body.contains("acknowledged by")))
        let done = try await curl(["-d", "hours=4&comment=on+it", link])
        #expect(done.status == "200" && done.body.contains("No reminders are sent until"), "\(done.body)")
        #expect(try await curl([base + "/alerts/" + id]).body.contains("acknowledged by link to a"))
        #expect(try await run("unack \(id.prefix(10))", folder).output == "the acknowledgement is taken back\n")
        #expect(try await run("unack \(id.prefix(10))", folder).code == 1)
        let acknowledged = try await run("ack \(id.prefix(10)) --for 30m --comment soon", folder)
        #expect(acknowledged.output.hasPrefix("acknowledged until "), "\(acknowledged.transcript)")
        // A silence holds the alert back; a pushed alert is one of all.
        let json = ["-H", "Authorization: Bearer jo-token-0123456789", "-H", "Content-Type: application/json"]
        let silence = """
            {"matchers":[{"name":"__cel__","value":"labels.team == 'quality'","isRegex":false}],\
            "startsAt":"2020-01-01T00:00:00Z","endsAt":"\(SystemWallClock().now().adding(.seconds(600)))",\
            "createdBy":"jo","comment":"planned"}
            """
        let made = try await curl(json + ["-d", silence, base + "/api/v2/silences"])
        #expect(made.status == "200", "\(made.body)")
        let silenceId = try #require(try JSON.parse(made.body.utf8)["silenceID"]?.stringValue)
        let wrong = silence.replacingOccurrences(of: "labels.team ==", with: "labels.team ===")
        #expect(try await curl(json + ["-d", wrong, base + "/api/v2/silences"]).status == "400")
        let held = try JSON.parse(try await curl([base + "/api/v2/alerts?active=false"]).body.utf8)
        #expect(held[0]?["status"]?["silencedBy"]?[0]?.stringValue == silenceId, "\(held)")
        let pushed = #"[{"labels":{"alertname":"disk","severity":"critical"},"annotations":{"summary":"full"}}]"#
        #expect(try await curl(json + ["-d", pushed, base + "/api/v2/alerts"]).status == "200")
        let disk = try JSON.parse(try await curl([base + "/api/v2/alerts?filter=alertname%3Ddisk"]).body.utf8)
        #expect(disk[0]?["labels"]?.description == #"{"alertname":"disk","severity":"critical"}"#, "\(disk)")
        #expect(disk[0]?["annotations"]?["summary"] == .string("full"))
        #expect(try await curl(json + ["-X", "DELETE", base + "/api/v2/silence/" + silenceId]).status == "200")
        let story = try await run("alerts explain \(id)", folder).output
        for part in [
            "acknowledge by link to a", "from link 127.0.0.1", "unacknowledge by tester", "from command line",
            "attempt 1: accepted", "decided for a: first",
        ] {
            #expect(story.contains(part), "\(part) is missing:\n\(story)")
        }
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        await sink.stop()
    }
}
