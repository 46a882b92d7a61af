import Core
import Foundation
import HTTPTransport
import KafkaClient
import NIOPosix
import Sandbox
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// Goal: no secret ever shows, whatever goes wrong and whatever the other side repeats. Method: the built program with
/// marked secrets against servers that fail in every way and echo what they were sent; then everything it wrote or
/// printed is searched for the marks.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct SecrecyTests {
    private static let mark = "Zq7MARK"
    private static let group = MultiThreadedEventLoopGroup.singleton

    /// A secret that is a mark, in the forms in which it might show.
    private static func secret(_ name: String) -> String { "\(mark)\(name)=&/%\u{E9}" }

    private static func isMarked(_ bytes: some Sequence<UInt8>) -> Bool {
        let bytes = Array(bytes)
        // As it is, and as base64 at each of its three shifts, as AUTH sends it.
        var forms = [Array(mark.utf8)]
        for shift in 0..<3 {
            let text = Data(Array(repeating: UInt8(ascii: "a"), count: shift) + Array(mark.utf8)).base64EncodedString()
            forms.append(Array(text.utf8.dropFirst(shift == 0 ? 0 : 4).prefix(8 - shift)))
        }
        return forms.contains { bytes.firstRange(of: $0) != nil }
    }

    private func expectClean(_ text: String, _ what: String) {
        guard SecrecyTests.isMarked(text.utf8) else { return }
        let line = text.split(separator: "\n").first { SecrecyTests.isMarked($0.utf8) } ?? ""
        Issue.record("a secret shows in \(what): \(line)")
    }

    /// A webhook that fails in a new way each time, repeating the address it was called at.
    private func webhook(_ clock: any WallClock) async throws -> HTTPSink {
        let counting = Counting(0)
        return try await HTTPSink.start(
            port: 0, group: SecrecyTests.group, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { request in
                let words = JSON.object(["code": .string(request.target), "message": .string("at \(request.target)")])
                let echo = JSON.object(["error": words]).bytes
                switch counting.next() {
                case 1: return .respond(status: 500, headers: [("x-ms-workflow-run-id", request.target)], body: echo)
                case 2: return .respond(status: 400, headers: [], body: echo)
                case 3: return .raw(Array("\(request.target)\r\n\r\n".utf8))
                case 4: return .closeAfterBody
                case 5: return .respond(status: 302, headers: [("Location", request.target)], body: echo)
                case 6:
                    return .respond(status: 202, headers: [("x-ms-workflow-run-id", request.target)], body: [])
                default: return .respond(status: 401, headers: [], body: echo)
                }
            })
    }

    private final class Counting: Sendable {
        private let count: Atomic<Int>
        init(_ start: Int) { count = Atomic(start) }
        func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
    }

    private func mailServer(_ password: String) async throws -> SMTPSandbox {
        var options = SMTPSandboxOptions()
        options.users = ["alerts": "another"]
        options.offersPlaintextAuthentication = true
        let plain = Data("\0alerts\0\(password)".utf8).base64EncodedString()
        options.script = { step in
            step.kind == .authentication ? .reply("535 5.7.8 no: \(password) as \(plain)") : nil
        }
        return try await SMTPSandbox.start(options: options, port: 0, group: SecrecyTests.group)
    }

    private func freePort() throws -> Int {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(server) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(server, $0, size) == 0 && getsockname(server, $0, &size) == 0
            }
        }
        try #require(isBound)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private func configuration(_ cluster: MockCluster, mailPort: Int, metricsPort: Int) -> String {
        """
        start: earliest
        kafka:
          brokers: ["\(cluster.bootstrapServers)"]
          topics: [t]
          properties: {sasl.username: "${env:SASL}", sasl.password: "${env:SASL}"}
        receivers:
          - {name: hook, channel: teams, url: "${env:HOOK}", locale: en_GB, timezone: UTC}
          - {name: mail, channel: email, host: 127.0.0.1, port: \(mailPort), tls: none, from: a@example.com,
             to: [ops@example.com], username: alerts, password: "${env:MAIL}", plaintext_auth_on_loopback: true,
             allowed_domains: [example.com]}
        default_receiver: hook
        operator: mail
        heartbeat: {url: "${env:BEAT}", every: 1s}
        http: {port: \(metricsPort)}
        log: {level: debug}
        """
    }

    @Test func `whatever fails, no secret is in a log, a metric, the store or the output of a command`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        let clock = SystemWallClock()
        let (hook, beats) = (try await webhook(clock), try await webhook(clock))
        let password = SecrecyTests.secret("mail")
        let mail = try await mailServer(password)
        let metricsPort = try freePort()
        try cluster.createTopic("t", partitions: 1)
        try folder.write(
            "tables: {t: {row_key: [id], columns: {id: string, value: int}}}\n", to: "rules/tables.yaml")
        try folder.write(
            """
            table: t
            owner: test
            rules:
              - {name: high, key: [id], when: after.value > 10, summary: "{{ after.id }}", notify: [hook, mail]}
            """, to: "rules/high.yaml")
        try folder.write(
            configuration(cluster, mailPort: mail.port, metricsPort: metricsPort), to: "alert-router.yaml")
        let path = "\(SecrecyTests.mark)path/\(SecrecyTests.mark)?sig=\(SecrecyTests.mark)sig%3D"
        let environment = [
            "HOOK": "\(hook.address)/\(path)", "BEAT": "\(beats.address)/\(path)", "MAIL": password,
            "SASL": SecrecyTests.secret("sasl"),
        ]
        func run(_ line: String) async throws -> Program.Result {
            let arguments = line.split(separator: " ").map(String.init)
            let result = try await Program.run(arguments, in: folder.path, environment: environment)
            expectClean(result.transcript, "'\(line)'")
            return result
        }
        #expect(try await run("check --output json").code == 0)
        let service = try RunningProgram(["run"], in: folder.path, environment: environment)
        try await service.wait(for: "worker started")
        // One after another, each goes through some of the ways to fail: 500, 400; garbage, closed, 302; taken; 401.
        for (number, requestCount) in [2, 5, 6, 7].enumerated() {
            try folder.write(
                "{\"key\":\"k\",\"value\":{\"id\":\"k\(number)\",\"value\":15}}\n", to: "lines.ndjson")
            #expect(try await run("publish lines.ndjson --topic t").code == 0)
            await hook.waitForRequests(requestCount)
        }
        try folder.write("{\"key\":\"k\",\"value\":{\"id\":\"bad\",\"value\":null}}\n", to: "lines.ndjson")
        #expect(try await run("publish lines.ndjson --topic t").code == 0)
        await beats.waitForRequests(5)
        while try await run("dead-letters list --output json").output.count(of: "\"kind\":\"delivery\"") < 2 {}
        while try await run("dead-letters list --output json").output.count(of: "\"kind\":\"evaluation\"") < 1 {}
        try await inspect(service, metricsPort: metricsPort, clock: clock, run: run)
        // A reload that fails tells why, without what it read.
        try folder.write("kafka: {brokers: [\"${env:MAIL}\"]}\n", to: "alert-router.yaml")
        service.send(SIGHUP)
        try await service.wait(for: "reload failed")
        _ = try await run("check")
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        expectClean(service.log, "the log")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path + "/state") {
            guard let bytes = FileManager.default.contents(atPath: "\(folder.path)/state/\(name)") else { continue }
            #expect(!SecrecyTests.isMarked(bytes), "a secret is in the store, in \(name)")
            if name == "alert.db" { #expect(bytes.count > 10_000 && bytes.firstRange(of: Data("at ***".utf8)) != nil) }
        }
        for sink in [hook, beats] { await sink.stop() }
        await mail.stop()
    }

    /// Looks at everything that shows while the service runs.
    private func inspect(
        _ service: RunningProgram, metricsPort: Int, clock: any WallClock,
        run: (String) async throws -> Program.Result
    ) async throws {
        let alerts = try await run("alerts list --output json").output
        var shown = ""
        for match in alerts.matches(of: /"id":"([0-9a-f]{12})/) {
            shown += try await run("alerts show \(match.1)").output
            _ = try await run("alerts show \(match.1) --output json")
        }
        let outcomes = [
            "retryable 500", "permanent 400", "ambiguous", "permanent 302", "accepted 202", "unauthorized 401",
        ]
        for outcome in outcomes {
            #expect(shown.contains(": \(outcome)"), "\(outcome): \(shown)")
        }
        for match in try await run("dead-letters list --output json --all").output.matches(of: /"id":(\d+)/) {
            _ = try await run("dead-letters show \(match.1)")
            _ = try await run("dead-letters show \(match.1) --raw --output json")
        }
        let transport = try HTTPTransport(configuration: .standard, clock: clock)
        for page in ["metrics", "readyz", "healthz"] {
            let url = try HTTPURL("http://127.0.0.1:\(metricsPort)/\(page)")
            let result = await transport.send(
                HTTPRequest(method: "GET", url: url, headers: [], body: []), deadline: clock.now().adding(.seconds(10)))
            guard case .response(let response) = result else {
                Issue.record("\(page): \(result)")
                continue
            }
            let text = String(decoding: response.body, as: UTF8.self)
            expectClean(text, page)
            if page == "metrics" { #expect(text.contains("outcome=\"unauthorized\"")) }
        }
        await transport.shutdown()
    }

    @Test(arguments: ["ftp://h/", "https://u:p@h/", "http://", "https://h:99999/", "https://h/ x", ""])
    func `an address that cannot be used is refused without being shown`(prefix: String) async throws {
        let folder = try Workspace()
        try folder.write("tables: {t: {row_key: [id]}}\n", to: "rules/tables.yaml")
        try folder.write(
            "table: t\nowner: o\nrules:\n  - {name: r, key: [id], when: after.id != ''}\n", to: "rules/r.yaml")
        try folder.write(
            """
            start: earliest
            kafka: {brokers: ["127.0.0.1:9"], topics: [t]}
            receivers: [{name: hook, channel: teams, url: "${env:HOOK}", locale: en_GB, timezone: UTC}]
            default_receiver: hook
            operator: hook
            """, to: "alert-router.yaml")
        for command in [["check"], ["check", "--output", "json"], ["run"]] {
            let result = try await Program.run(
                command, in: folder.path, environment: ["HOOK": "\(prefix)\(SecrecyTests.mark)"])
            #expect(result.code == 1, "\(result.transcript)")
            expectClean(result.transcript, "\(command)")
        }
    }

    @Test func `tokens are fetched anew before they expire, and neither they nor the client's secret show`()
        async throws
    {
        let folder = try Workspace()
        let clock = SystemWallClock()
        let counting = Counting(0)
        let endpoint = try await HTTPSink.start(
            port: 0, group: SecrecyTests.group, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { request in
                let count = counting.next()
                let body = String(decoding: request.body, as: UTF8.self)
                guard count <= 2 else {
                    return .respond(status: 401, headers: [], body: JSON.object(["error": .string(body)]).bytes)
                }
                let token = #"{"access_token":"\#(SecrecyTests.mark)token\#(count)","expires_in":6}"#
                return .respond(status: 200, headers: [], body: Array(token.utf8))
            })
        try folder.write("tables: {t: {row_key: [id]}}\n", to: "rules/tables.yaml")
        try folder.write(
            "table: t\nowner: o\nrules:\n  - {name: r, key: [id], when: after.id != ''}\n", to: "rules/r.yaml")
        try folder.write(
            """
            start: earliest
            kafka:
              brokers: ["127.0.0.1:9"]
              topics: [t]
              properties: {security.protocol: sasl_plaintext, sasl.mechanism: OAUTHBEARER}
              oauth: {token_endpoint: "\(endpoint.address)/token", client_id: me, client_secret: "${env:SECRET}"}
            receivers: [{name: hook, channel: teams, url: "${env:HOOK}", locale: en_GB, timezone: UTC}]
            default_receiver: hook
            operator: hook
            log: {level: debug}
            http: {enabled: false}
            """, to: "alert-router.yaml")
        let service = try RunningProgram(
            ["run"], in: folder.path,
            environment: ["SECRET": SecrecyTests.secret("client"), "HOOK": "https://127.0.0.1:9/x"])
        try await service.wait(for: "a new OAUTHBEARER token is in use", times: 2)
        try await service.wait(for: "no OAUTHBEARER token; trying again in 10 s")
        service.send(SIGTERM)
        _ = await service.waitForExit()
        let times = endpoint.requests.map(\.receivedAt)
        // librdkafka asks at four fifths of the lifetime, so that a busy machine has a second to spare.
        #expect(times[1].milliseconds(since: times[0]) < 6000, "before the first expires")
        let body = String(decoding: endpoint.requests[0].body, as: UTF8.self)
        #expect(body.contains("&client_id=me&client_secret=\(SecrecyTests.mark)client%3D"))
        #expect(service.log.contains("the token endpoint answered 401"), "\(service.log)")
        expectClean(service.log, "the log")
        await endpoint.stop()
    }
}

extension String {
    fileprivate func count(of text: String) -> Int { components(separatedBy: text).count - 1 }
}
