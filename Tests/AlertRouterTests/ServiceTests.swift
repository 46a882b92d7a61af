import Core
import Foundation
import KafkaClient
import NIOPosix
import Sandbox
import Store
import Synchronization
import Testing

/// Set until it is cleared.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(true)
    var isOn: Bool { value.load(ordering: .acquiring) }
    func clear() { value.store(false, ordering: .releasing) }
}

/// Goal: the service keeps its promises to operators: signals, lock, reload, commands beside it. Method: the built
/// program against librdkafka's mock cluster in this process.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct ServiceTests {
    private static let topic = "t"
    /// A receiver that nobody answers for: its rows wait, which is all that is asked of them here.
    private static let environment = ["HOOK": "https://127.0.0.1:9/hook"]

    private static func rules(limit: String) -> String {
        """
        table: t
        owner: test
        rules:
          - name: high
            key: [id]
            when: after.value > \(limit)
            summary: "{{ after.id }} is {{ after.value }}"
        """
    }

    private func prepare(_ folder: borrowing Workspace, _ cluster: MockCluster) throws {
        try cluster.createTopic(ServiceTests.topic, partitions: 2)
        try folder.write(
            "tables: {t: {row_key: [id], columns: {id: string, value: int}}}\n", to: "rules/tables.yaml")
        try folder.write(ServiceTests.rules(limit: "10"), to: "rules/high.yaml")
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
            http: {port: 0}
            """, to: "alert-router.yaml")
    }

    private func start(
        _ folder: borrowing Workspace, _ flags: [String] = [], hook: String? = nil
    ) throws -> RunningProgram {
        let environment = hook.map { ["HOOK": $0] } ?? ServiceTests.environment
        return try RunningProgram(["run"] + flags, in: folder.path, environment: environment)
    }

    private func run(_ line: String, _ folder: borrowing Workspace) async throws -> Program.Result {
        try await Program.run(
            line.split(separator: " ").map(String.init), in: folder.path, environment: ServiceTests.environment)
    }

    /// Asks again until the answer holds; every question is a process, so this does not spin.
    private func ask(
        _ line: String, _ folder: borrowing Workspace, until holds: (Program.Result) -> Bool
    ) async throws -> Program.Result {
        while true {
            let result = try await run(line, folder)
            if holds(result) { return result }
        }
    }

    @Test func `a second process names the holder, one that stands by takes over`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let first = try start(folder)
        try await first.wait(for: "worker started")
        let second = try await run("run", folder)
        #expect(second.code == 3)
        #expect(second.errors.contains("holds the store state/alert.db since"))
        #expect(second.errors.contains("help: end it first, or wait for its end with --standby"))
        let third = try start(folder, ["--standby"])
        try await third.wait(for: "standing by until the store is free")
        first.send(SIGTERM)
        #expect(await first.waitForExit() == 0, "\(first.log)")
        try await third.wait(for: "worker started")
        third.send(SIGINT)
        #expect(await third.waitForExit() == 0, "\(third.log)")
        #expect(!(first.log + third.log).contains("ERROR"), "\(first.log)\(third.log)")
    }

    @Test func `a process that stands by can be stopped`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let first = try start(folder)
        try await first.wait(for: "worker started")
        let second = try start(folder, ["--standby"])
        try await second.wait(for: "standing by until the store is free")
        second.send(SIGTERM)
        #expect(await second.waitForExit() == 0)
        first.send(SIGTERM)
        #expect(await first.waitForExit() == 0)
    }

    @Test func `SIGHUP reloads, keeps the last good rules on an error, and an early one is not lost`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let service = try start(folder)
        try await service.wait(for: "alert-router starts")
        service.send(SIGHUP)
        try await service.wait(for: "reloaded")
        try folder.write(ServiceTests.rules(limit: "\"high\""), to: "rules/high.yaml")
        service.send(SIGHUP)
        try await service.wait(for: "reload failed; the last good configuration stays")
        #expect(service.log.contains("rules/high.yaml:6:"), "\(service.log)")
        try folder.write(ServiceTests.rules(limit: "20"), to: "rules/high.yaml")
        for _ in 0..<5 { service.send(SIGHUP) }
        try await service.wait(for: "reloaded", times: 2)
        let plan = try await run("rules plan", folder)
        #expect(plan.output == "nothing changes\n")
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
    }

    @Test func `what is published becomes alerts and dead letters that commands show, replay and discard`() async throws
    {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        #expect(try await run("rules plan", folder).output.contains("+ high: new"))
        try folder.write(
            """
            {"key":"a","value":{"id":"a","value":15}}
            {"key":"b","value":{"id":"b","value":null}}
            {"key":"c","value":{"id":
            """, to: "lines.ndjson")
        let published = try await run("publish lines.ndjson --topic t", folder)
        #expect(published.code == 1)
        #expect(published.errors.contains("lines.ndjson: line 3, column"), "\(published.errors)")
        #expect(published.errors.contains("2 messages before it were published"), "\(published.errors)")
        try folder.write("{\"key\":\"d\",\"value\":\"no row\"}\n", to: "more.ndjson")
        let more = try await run("publish more.ndjson --topic t --output json", folder)
        #expect(more.code == 0 && more.output.hasPrefix("{\"published\":1,"), "\(more.transcript)")

        let service = try start(folder)
        try await service.wait(for: "worker started")
        let letters = try await ask("dead-letters list", folder) { $0.output.split(separator: "\n").count >= 3 }
        #expect(letters.output.contains("evaluation  open"))
        #expect(letters.output.contains("after.value is null"))
        #expect(letters.output.contains("input       open"))
        let alerts = try await ask("alerts list --output json", folder) { $0.output.contains("firing") }
        #expect(alerts.output.contains("\"key\":{\"id\":\"a\"}"))
        let id = try #require(alerts.output.firstMatch(of: /"id":"([0-9a-f]{12})/)?.1)
        let shown = try await run("alerts show \(id)", folder)
        #expect(shown.output.contains("firing") && shown.output.contains("history"), "\(shown.transcript)")

        let number = try #require(letters.output.firstMatch(of: /(\d+)\s+input/)?.1)
        let raw = try await run("dead-letters show \(number) --raw", folder)
        #expect(raw.output.contains("\"no row\""))
        let looks = try String(contentsOfFile: folder.path + "/state/raw-access.log", encoding: .utf8)
        #expect(looks.contains("tester dead letter \(number)"))
        #expect(!(try await run("dead-letters show \(number)", folder)).output.contains("\"no row\""))
        let replayed = try await run("dead-letters replay \(number)", folder)
        #expect(replayed.code == 1 && replayed.output.contains("still refused"), "\(replayed.transcript)")
        #expect(try await run("dead-letters discard \(number)", folder).code == 0)
        #expect(try await run("dead-letters discard \(number)", folder).code == 1)
        #expect(try await run("store backup copy.db", folder).code == 0)
        #expect(try await run("store restore copy.db", folder).errors.contains("stop the service"))
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")

        #expect(try await run("store check", folder).output.hasSuffix("the store is sound\n"))
        #expect(try await run("dead-letters discard \(number) 999", folder).code == 1)
        #expect(try await run("store restore copy.db", folder).code == 0)
        #expect(try await run("store restore alert-router.yaml", folder).errors.contains("nothing was changed"))
    }

    @Test func `a letter whose message was not kept is read from Kafka again`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        try folder.write(
            """
            {"topic":"t","partition_hint":1,"key":"z","value":{"id":"z","value":0}}
            {"topic":"t","partition_hint":1,"key":"a","headers":{"h":"x"},"value":{"id":"a","value":15}}

            """, to: "lines.ndjson")
        #expect(try await run("publish lines.ndjson", folder).code == 0)
        let clock = SystemWallClock()
        let store = try SQLiteStore(
            StoreOptions(
                location: StoreLocation(folder: folder.path + "/state", name: "alert"), limits: .standard,
                now: clock.now(), metrics: MetricsRegistry()),
            holder: .current(startedAt: clock.now(), socketPath: ""))
        // Where the message lies, and where none does.
        for (partition, offset) in [(Int32(1), Int64(1)), (1, 7), (5, 0)] {
            var letter = DeadLetterRecord(kind: .evaluation, createdAt: clock.now(), reason: "a rule failed")
            (letter.topic, letter.partition, letter.offset) = ("t", partition, offset)
            letter.areBytesDropped = true
            let record = letter
            _ = try await store.write(byteCount: 64) { try $0.insertDeadLetter(record) }
        }
        await store.close(now: clock.now())

        #expect(try await run("dead-letters show 1", folder).output.contains("read them from Kafka"))
        let raw = try await run("dead-letters show 1 --raw", folder)
        #expect(raw.code == 0 && raw.output.contains(#"value        {"id":"a","value":15}"#), "\(raw.transcript)")
        #expect(raw.errors.contains("it was read from Kafka"))
        let beyond = try await run("dead-letters show 2 --raw", folder)
        #expect(beyond.code == 1 && beyond.errors.contains("t[1] ends at offset 2"), "\(beyond.transcript)")

        let service = try start(folder, ["--new-store"])
        try await service.wait(for: "worker started")
        let replayed = try await run("dead-letters replay 1 3", folder)
        #expect(replayed.output.contains("1: read again from Kafka; 1 events were judged"), "\(replayed.transcript)")
        #expect(replayed.output.contains("3: the message was not kept, and Kafka has it no more"))
        #expect(replayed.code == 1)
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
    }

    @Test func `SIGTERM ends it within 10 s though a receiver never answers, and the next run delivers`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let isSilent = Flag()
        let clock = SystemWallClock()
        let sink = try await HTTPSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { _ in isSilent.isOn ? .silence : .accepted })
        try folder.write("{\"key\":\"a\",\"value\":{\"id\":\"a\",\"value\":15}}\n", to: "lines.ndjson")
        let first = try start(folder, hook: sink.address + "/hook")
        // Published behind the first start: what was there before is told in one summary.
        try await first.wait(for: "worker started")
        #expect(try await run("publish lines.ndjson --topic t", folder).code == 0)
        await sink.waitForRequests(1)
        let asked = clock.now()
        first.send(SIGTERM)
        #expect(await first.waitForExit() == 0, "\(first.log)")
        #expect(clock.now().milliseconds(since: asked) < 10_000)
        isSilent.clear()
        let second = try start(folder, hook: sink.address + "/hook")
        await sink.waitForRequests(2)
        let list = try await run("alerts list --output json", folder)
        let id = try #require(list.output.firstMatch(of: /"id":"([0-9a-f]{12})/)?.1)
        let shown = try await ask("alerts show \(id)", folder) { $0.output.contains(" sent") }
        #expect(shown.output.contains("attempt 1: ambiguous"), "\(shown.output)")
        #expect(shown.output.contains("attempt 2: accepted 202"), "\(shown.output)")
        second.send(SIGTERM)
        #expect(await second.waitForExit() == 0, "\(second.log)")
        #expect(sink.requestCount == 2)
        await sink.stop()
    }

    @Test func `a receiver that refuses the credentials is left alone, its operator hears of it and of its end`()
        async throws
    {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let isRefusing = Flag()
        let (clock, group) = (SystemWallClock(), MultiThreadedEventLoopGroup.singleton)
        let sink = try await HTTPSink.start(
            port: 0, group: group, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { _ in isRefusing.isOn ? .respond(status: 401, headers: [], body: []) : .accepted })
        let cards = AsyncStream<TeamsSinkCard>.makeStream()
        let desk = try await TeamsSink.start(port: 0, group: group, clock: clock, isThrottling: false) {
            cards.continuation.yield($0)
        }
        var arriving = cards.stream.makeAsyncIterator()
        let path = folder.path + "/alert-router.yaml"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try folder.write(
            text.replacing(
                "receivers:", with: "receivers:\n  - {name: desk, channel: teams, url: \"${env:DESK}\"}"
            ).replacing("operator: a", with: "operator: desk"), to: "alert-router.yaml")
        try folder.write("{\"key\":\"a\",\"value\":{\"id\":\"a\",\"value\":15}}\n", to: "lines.ndjson")
        let environment = ["HOOK": sink.address + "/hook", "DESK": desk.webhookAddress]
        let service = try RunningProgram(["run"], in: folder.path, environment: environment)
        try await service.wait(for: "worker started")
        #expect(
            try await Program.run(
                ["publish", "lines.ndjson", "--topic", "t"], in: folder.path, environment: environment
            ).code == 0)
        let opened = try #require(await arriving.next())
        #expect(sink.requestCount == 1, "one refusal is enough")
        #expect(opened.lines.contains { $0.contains("receiver a: teams is left alone") }, "\(opened.lines)")
        #expect(opened.lines.contains { $0.contains("401") }, "\(opened.lines)")

        // Who mends the credentials says so.
        isRefusing.clear()
        service.send(SIGHUP)
        await sink.waitForRequests(2)
        let closed = try #require(await arriving.next())
        #expect(closed.tellings.map(\.state) == ["RESOLVED"] && closed.ids == opened.ids)
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        #expect(sink.requestCount == 2 && desk.faults.isEmpty)
        await sink.stop()
        await desk.stop()
    }

    @Test func `without Kafka a start waits and says why, and begins when brokers answer`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        try cluster.setBrokerDown(nil)
        let service = try start(folder)
        try await service.wait(for: "waiting for Kafka")
        #expect(service.log.contains("Connection refused"), "\(service.log)")
        #expect(service.count(of: "worker started") == 0)
        try cluster.setBrokerUp(nil)
        try await service.wait(for: "worker started")
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
    }

    @Test func `SIGTERM ends a start that waits for Kafka within 10 s`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        try cluster.setBrokerDown(nil)
        let clock = SystemWallClock()
        let service = try start(folder)
        try await service.wait(for: "waiting for Kafka")
        let asked = clock.now()
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        #expect(clock.now().milliseconds(since: asked) < 10_000)
    }

    @Test func `a service that hangs is told apart from one that is down`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let missing = try await run("dead-letters discard 1", folder)
        #expect(missing.code == 1 && missing.errors.contains("there is no store in state"))
        let service = try start(folder)
        try await service.wait(for: "worker started")
        service.send(SIGSTOP)
        let hung = try await run("dead-letters discard 1 --output json", folder)
        service.send(SIGCONT)
        #expect(hung.code == 3, "\(hung.transcript)")
        #expect(hung.output.contains("\"exit_code\":3"))
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        let down = try await run("dead-letters discard 1", folder)
        #expect(down.code == 1 && down.output.contains("there is no dead letter 1"))
    }
}
