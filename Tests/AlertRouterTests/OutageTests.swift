import Core
import Foundation
import HTTPTransport
import KafkaClient
import NIOPosix
import Sandbox
import Testing

/// Goal: monitoring outside of the router notices when it does not consume. Method: the built program, its HTTP pages
/// and its heartbeat, while librdkafka's mock cluster goes away and comes back.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct OutageTests {
    private let clock = SystemWallClock()

    private func get(
        _ path: String, _ port: Int, _ transport: HTTPTransport
    ) async throws -> (status: Int, body: String) {
        let request = HTTPRequest(
            method: "GET", url: try HTTPURL("http://127.0.0.1:\(port)\(path)"), headers: [], body: [])
        let result = await transport.send(request, deadline: clock.now().adding(.seconds(10)))
        guard case .response(let response) = result else {
            Issue.record("\(path): \(result)")
            return (0, "")
        }
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    @Test func `without brokers the heartbeat stops and /readyz says why; both come back with them`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try cluster.createTopic("t", partitions: 2)
        let sink = try await HTTPSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { _ in .accepted })
        // The operator hears of the outage: a receiver that refused would stand in the way of being ready.
        let hook = try await HTTPSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { _ in .accepted })
        try folder.write(
            "tables: {t: {row_key: [id], columns: {id: string, value: int}, max_delay: 1s}}\n", to: "rules/tables.yaml")
        try folder.write(
            """
            start: earliest
            kafka: {brokers: ["\(cluster.bootstrapServers)"], topics: [t]}
            receivers:
              - {name: a, channel: teams, url: "${env:HOOK}", locale: en_GB, timezone: UTC}
            default_receiver: a
            operator: a
            heartbeat: {url: "\(sink.address)/heartbeat", every: 1s}
            http: {port: 0}
            """, to: "alert-router.yaml")
        let transport = try HTTPTransport(configuration: .standard, clock: clock)
        let service = try RunningProgram(
            ["run"], in: folder.path, environment: ["HOOK": hook.address + "/hook"])
        try await service.wait(for: "the console listens")
        let port = try #require(service.log.firstMatch(of: /the console listens port=(\d+)/).flatMap { Int($0.1) })
        // The first heartbeat says that it consumes.
        await sink.waitForRequests(1)
        #expect(sink.requests[0].target == "/heartbeat")
        #expect(try await get("/healthz", port, transport) == (200, "ok\n"))
        let metrics = try await get("/metrics", port, transport)
        #expect(metrics.status == 200 && metrics.body.contains("\nalert_router_messages_total{worker=\"alert\"} 0\n"))
        #expect(metrics.body.contains("# TYPE alert_router_store_commit_seconds histogram\n"), "\(metrics.body)")
        let ready = try await get("/readyz", port, transport)
        #expect(ready.status == 200 && ready.body.contains("\"status\":\"ready\""), "\(ready)")

        try cluster.setBrokerDown(nil)
        try await service.wait(for: "not consuming")
        let goneAt = clock.now()
        // Three times as long as the heartbeat's period; each question is an exchange, so this does not spin.
        while clock.now().milliseconds(since: goneAt) < 3000 {
            let gone = try await get("/readyz", port, transport)
            #expect(gone.status == 503, "\(gone)")
            #expect(gone.body.contains(#"{"name":"kafka","message":"no leader has answered for "#), "\(gone)")
            #expect(gone.body.contains(" s for any partition"), "\(gone)")
        }
        #expect(try await get("/healthz", port, transport).status == 200)
        // One may have been under way when the brokers were missed.
        let late = sink.requests.filter { $0.receivedAt.milliseconds(since: goneAt) > 500 }
        #expect(late.isEmpty, "heartbeats at \(late.map(\.receivedAt)), not consuming since \(goneAt)")

        try cluster.setBrokerUp(nil)
        try await service.wait(for: "consuming again")
        #expect(try await get("/readyz", port, transport).status == 200)
        await sink.waitForRequests(sink.requestCount + 1)
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        await transport.shutdown()
        await hook.stop()
        await sink.stop()
    }
}
