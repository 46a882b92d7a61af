import Foundation
import Store

/// The real `alert-router`, configured in a folder of its own.
struct RouterProgram {
    let binary: String
    let folder: String
    let metricsPort: UInt16
    private let sinkURL: String

    /// Writes configuration and rules.
    ///
    /// - Parameters:
    ///   - binary: the program; nil takes the one beside this program.
    ///   - properties: of librdkafka.
    init(
        binary: String?, name: String, bootstrap: String, topics: [String], tables: String, rules: String,
        sinkURL: String, properties: [String: String] = [:]
    ) throws {
        self.binary = try binary ?? RouterProgram.beside()
        self.sinkURL = sinkURL
        metricsPort = try Loopback.freePort()
        folder = NSTemporaryDirectory() + "/router-bench-\(ProcessInfo.processInfo.processIdentifier)-\(name)"
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder + "/rules", withIntermediateDirectories: true)
        try tables.write(toFile: folder + "/rules/tables.yaml", atomically: true, encoding: .utf8)
        try rules.write(toFile: folder + "/rules/bench.yaml", atomically: true, encoding: .utf8)
        try configure(bootstrap: bootstrap, topics: topics, properties: properties)
    }

    /// Writes the configuration anew, for another address of the broker.
    func configure(bootstrap: String, topics: [String], properties: [String: String]) throws {
        let more = properties.sorted { $0.key < $1.key }.map { "    \($0.key): \"\($0.value)\"\n" }.joined()
        let text = """
            store: state
            rules: rules
            start: earliest
            kafka:
              brokers: ["\(bootstrap)"]
              group: bench
              topics: [\(topics.joined(separator: ", "))]
              properties:
                statistics.interval.ms: "5000"
            \(more)
            receivers:
              - name: sink
                channel: teams
                url: ${env:BENCH_SINK_URL}
                messages_per_minute: 0
                messages_per_second: 0
            default_receiver: sink
            operator: sink
            http:
              port: \(metricsPort)
            log:
              level: warning

            """
        try text.write(toFile: folder + "/alert-router.yaml", atomically: true, encoding: .utf8)
    }

    /// Writes the configuration for alerts that go to a webhook at once, each by itself, and are pushed from this
    /// machine.
    ///
    /// - Parameter routes: further lines of the configuration.
    func configureForPushes(
        bootstrap: String, topics: [String], groupBy: String, wait: String, interval: String, routes: String
    ) throws {
        let text = """
            store: state
            rules: rules
            start: earliest
            kafka:
              brokers: ["\(bootstrap)"]
              group: bench
              topics: [\(topics.joined(separator: ", "))]
            receivers:
              - name: sink
                channel: webhook
                url: ${env:BENCH_SINK_URL}
                format: alertmanager
                messages_per_second: 0
                connections: 8
            default_receiver: sink
            operator: sink
            route_defaults:
              group_by: \(groupBy)
              group_wait: \(wait)
              critical_wait: \(wait)
              group_interval: \(interval)
            \(routes)
            http:
              port: \(metricsPort)
              loopback_writes_without_token: true
            log:
              level: notice

            """
        try text.write(toFile: folder + "/alert-router.yaml", atomically: true, encoding: .utf8)
    }

    /// Starts it; its log goes to a file in the folder.
    func start(_ flags: [String] = []) throws -> ChildProcess {
        try ChildProcess(
            binary, ["run", "--config", folder + "/alert-router.yaml"] + flags,
            environment: ["BENCH_SINK_URL": sinkURL], errorFile: folder + "/log")
    }

    /// Open alerts in its store.
    func openAlertCount() throws -> Int {
        try ReadOnlyStore(location: StoreLocation(folder: folder + "/state", name: "alert")).read {
            try $0.openAlertCount()
        }
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    /// The end of its log, for a failure.
    var logEnd: String {
        let text = (try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(5).joined(separator: "\n")
    }

    /// The sum of a metric over its labels; nil while the server does not answer.
    func metric(_ name: String) -> Double? {
        guard let text = Loopback.get(port: metricsPort, path: "/metrics") else { return nil }
        let values = text.split(separator: "\n").filter { $0.hasPrefix(name + "{") || $0.hasPrefix(name + " ") }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
        return values.isEmpty ? nil : values.reduce(0, +)
    }

    /// Waits until the service says that it is ready.
    func waitUntilReady(_ process: ChildProcess, seconds: Double = 60) async throws {
        try await wait("ready", process, seconds: seconds) {
            Loopback.get(port: metricsPort, path: "/readyz")?.contains("\"ready\"") ?? false
        }
    }

    /// Waits for a condition, looking every few milliseconds.
    func wait(_ what: String, _ process: ChildProcess, seconds: Double, _ condition: () -> Bool) async throws {
        let deadline = Loopback.microseconds() + Int64(seconds * 1_000_000)
        while !condition() {
            guard process.isRunning else {
                throw ChildProcess.Failure(description: "alert-router ended: \(logEnd)")
            }
            guard Loopback.microseconds() < deadline else {
                throw ChildProcess.Failure(description: "alert-router is not \(what) in \(seconds) s: \(logEnd)")
            }
            try await ContinuousClock().sleep(for: .milliseconds(5))
        }
    }

    private static func beside() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = (own as NSString).deletingLastPathComponent + "/alert-router"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw ChildProcess.Failure(description: "no alert-router beside \(own); build it or say --binary")
        }
        return path
    }
}
