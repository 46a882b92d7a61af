import Core
import Foundation
import KafkaClient
import Testing

/// Goal: signals and the start's log are what operators rely on. Method: the built program against librdkafka's mock
/// cluster; a named pipe in place of a rule file holds it exactly where it reads its configuration.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct SignalTests {
    private static let environment = ["HOOK": "https://127.0.0.1:9/hook"]
    private static let rules = """
        table: t
        owner: test
        rules:
          - {name: high, key: [id], when: after.value > 10, summary: "{{ after.id }}"}
        """

    private func prepare(_ folder: borrowing Workspace, _ cluster: MockCluster) throws {
        try cluster.createTopic("t", partitions: 1)
        try folder.write(
            "tables: {t: {row_key: [id], columns: {id: string, value: int}}}\n", to: "rules/tables.yaml")
        try folder.write(SignalTests.rules, to: "rules/high.yaml")
        try folder.write(
            """
            start: earliest
            kafka: {brokers: ["\(cluster.bootstrapServers)"], topics: [t]}
            receivers:
              - {name: a, channel: teams, url: "${env:HOOK}", locale: en_GB, timezone: UTC}
            default_receiver: a
            operator: a
            http: {port: 0}
            """, to: "alert-router.yaml")
    }

    private func run(_ line: String, _ folder: borrowing Workspace) async throws -> Program.Result {
        try await Program.run(line.split(separator: " ").map(String.init), in: folder.path)
    }

    /// A named pipe in place of the rule file.
    private func block(_ folder: borrowing Workspace) throws {
        let path = folder.path + "/rules/high.yaml"
        try FileManager.default.removeItem(atPath: path)
        try #require(mkfifo(path, 0o600) == 0)
    }

    /// Waits until the program reads the pipe.
    private func opened(_ folder: borrowing Workspace) async throws -> FileHandle {
        let path = folder.path + "/rules/high.yaml"
        var descriptor: Int32 = -1
        while descriptor < 0 {
            try Task.checkCancellation()
            // Refused as long as nobody reads.
            descriptor = open(path, O_WRONLY | O_NONBLOCK)
            await Task.yield()
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Puts the file back and lets the program read what it waits for.
    private func unblock(_ pipe: FileHandle, _ folder: borrowing Workspace) throws {
        try FileManager.default.removeItem(atPath: folder.path + "/rules/high.yaml")
        try folder.write(SignalTests.rules, to: "rules/high.yaml")
        try pipe.write(contentsOf: Data(SignalTests.rules.utf8))
        try pipe.close()
    }

    @Test func `SIGHUP is heard before configuration is read, and is not lost`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        try block(folder)
        let service = try RunningProgram(["run"], in: folder.path, environment: SignalTests.environment)
        let pipe = try await opened(folder)
        try await service.sendTaken(SIGHUP)
        #expect(service.log.isEmpty)
        try unblock(pipe, folder)
        try await service.wait(for: "worker started")
        try await service.wait(for: "reloaded")
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        #expect(service.count(of: "reloaded") == 1, "\(service.log)")
    }

    @Test func `SIGHUPs that come while configuration is read are one more reload together`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let service = try RunningProgram(["run"], in: folder.path, environment: SignalTests.environment)
        try await service.wait(for: "worker started")
        try block(folder)
        service.send(SIGHUP)
        let pipe = try await opened(folder)
        for _ in 0..<6 { try await service.sendTaken(SIGHUP) }
        try unblock(pipe, folder)
        try await service.wait(for: "reloaded", times: 2)
        // Whatever was still asked for is done before this one is.
        try folder.write("rules: nonsense\n", to: "rules/high.yaml")
        service.send(SIGHUP)
        try await service.wait(for: "reload failed")
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        #expect((2...3).contains(service.count(of: "reloaded")), "\(service.log)")
        #expect(service.count(of: "reload failed") == 1, "\(service.log)")
    }

    @Test func `a service whose output nobody reads goes on, and ends in order`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let service = try RunningProgram(
            ["run"], in: folder.path, environment: SignalTests.environment, reader: .nobody)
        // Each of these makes it log to the closed pipe first.
        for id in ["a", "b"] {
            try folder.write("{\"key\":\"\(id)\",\"value\":{\"id\":\"\(id)\",\"value\":15}}\n", to: "l.ndjson")
            #expect(try await run("publish l.ndjson --topic t", folder).code == 0)
            while !(try await run("alerts list --output json", folder)).output.contains("{\"id\":\"\(id)\"}") {
                try Task.checkCancellation()
            }
            try await service.sendTaken(SIGHUP)
        }
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0)
    }

    @Test func `the start's log says what runs, and warns of a library with known defects`() async throws {
        let folder = try Workspace()
        let cluster = try MockCluster(brokerCount: 1)
        defer { cluster.shutdown() }
        try prepare(folder, cluster)
        let service = try RunningProgram(["run"], in: folder.path, environment: SignalTests.environment)
        try await service.wait(for: "worker started")
        service.send(SIGTERM)
        #expect(await service.waitForExit() == 0, "\(service.log)")
        let first = try #require(service.log.split(separator: "\n").first { $0.contains("alert-router starts") })
        #expect(first.contains(" librdkafka=\(KafkaLibrary.version) "), "\(first)")
        #expect(first.firstMatch(of: /rules=\d+ store=state version=\d+\.\d+/) != nil, "\(first)")
        // Debian 12's is older than 2.3; where a newer one is installed nothing is to be warned of.
        let parts = KafkaLibrary.version.split(separator: ".").compactMap { Int($0) }
        let isOld = (parts[0], parts[1]) < (2, 3)
        let warnings = service.log.split(separator: "\n").filter { $0.contains(" WARNING ") }
        #expect(warnings.contains { $0.contains("is older than 2.3") } == isOld, "\(service.log)")
    }
}
