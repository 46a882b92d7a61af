import AlertWorker
import Alerting
import ArgumentParser
import ChangeEvents
import ConfigFiles
import Core
import Foundation
import KafkaClient
import Logging
import RuleEngine
import Sandbox
import Spine
import Store

/// Reads one topic of the bad-input harness through the worker, in a process of its own.
struct BadInputLoopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bad-input-loop", abstract: "Reads a topic through the worker and prints what came of it.",
        shouldDisplay: false)

    @Option var bootstrap: String
    @Option var kind: String
    @Option var count: Int
    @Option(help: "Folder of the store; made anew.") var folder: String
    @Flag(help: "One rule fails on every row.") var errors = false

    func run() async throws {
        guard let kind = BadInputStream.Kind(rawValue: kind) else { throw ValidationError("no such kind") }
        let clock = SystemWallClock()
        let registry = MetricsRegistry()
        let store = try SQLiteStore(
            StoreOptions(
                location: StoreLocation(folder: folder, name: "alert"), limits: .standard, now: clock.now(),
                metrics: registry), holder: .current(startedAt: clock.now(), socketPath: ""))
        let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
        let consumer = try KafkaConsumer(
            configuration: try KafkaConfiguration(properties: ["bootstrap.servers": bootstrap]), topics: [kind.topic],
            metrics: registry, logger: logger)
        let source = TimedSource(KafkaEventSource(consumer: consumer))
        let worker = try worker(source, store, registry, clock, kind, logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await worker.run() }
            while try store.read({ try $0.offsets().reduce(0) { $0 + $1.nextOffset } }) < Int64(count) {
                try await clock.sleep(until: clock.now().adding(milliseconds: 5))
            }
            let elapsed = source.firstBatchAt.map { ContinuousClock.now - $0 } ?? .zero
            BenchOutput.line(
                "seconds=\(Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18)")
            _ = try await worker.replay([], by: "nobody")
            worker.stop()
            try await group.waitForAll()
        }
        try printOutcome(store, registry)
        await consumer.shutdown()
        await store.close(now: clock.now())
    }

    private func worker(
        _ source: TimedSource, _ store: SQLiteStore, _ registry: MetricsRegistry, _ clock: SystemWallClock,
        _ kind: BadInputStream.Kind, _ logger: Logger
    ) throws -> Worker<AlertDecider> {
        let files = [
            ConfigFile(text: BadInputStream.tables(kind), file: "tables.yaml"),
            ConfigFile(text: BadInputStream.rules(hasErrors: errors), file: "rules.yaml"),
            ConfigFile(text: HealthTable.tables, file: "built-in/tables.yaml"),
            ConfigFile(text: HealthTable.rules, file: "built-in/rules.yaml"),
        ]
        let (rules, diagnostics) = RuleSet.load(files: files, options: .standard)
        guard let rules else { throw ValidationError("\(diagnostics.map { $0.rendered(source: nil) })") }
        var directory = ReceiverDirectory(
            profiles: [
                ReceiverProfile(name: "sink", channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed)
            ], defaultReceiver: "sink", operatorReceiver: "sink")
        // What is measured is the way of a row, not a wait for others.
        directory.policy.routes.root.settings = .immediate
        let receivers = directory
        let metrics = AlertWorkerMetrics(registry: registry)
        return Worker<AlertDecider>(
            configuration: .standard(
                name: "alert",
                start: StartOptions(position: .earliest, isNewStoreAccepted: true, isGapAccepted: false),
                clockMode: .wall), source: source, store: store, clock: clock, registry: registry, logger: logger,
            onOutboxRows: {}, makeDecider: { AlertDecider(rules: rules, receivers: receivers, metrics: metrics) })
    }

    private func printOutcome(_ store: SQLiteStore, _ registry: MetricsRegistry) throws {
        let evicted = registry.counter("alert_router_row_keys_evicted_total", "", labels: ["worker": "alert"])
        let errors = registry.counter("alert_router_evaluation_errors_total", "")
        let kept = try store.read { reader in
            let log = try reader.evaluationErrors(rule: "last", countMax: 1000)
            let health = try reader.transitions(beforeId: nil, countMax: 1000).count { $0.table == HealthTable.name }
            let letters = try reader.openDeadLetterCounts()
            return [
                "logged=\(log.reduce(0) { $0 + $1.count })", "log_lines=\(log.count)", "health_alerts=\(health)",
                "input_letters=\(letters[.input] ?? 0)", "evaluation_letters=\(letters[.evaluation] ?? 0)",
                "open=\(try reader.openAlertCount())",
            ]
        }
        for line in kept + ["errors=\(errors.current)", "evicted=\(evicted.current)"] { BenchOutput.line(line) }
        BenchOutput.line("rss_mb=\(BadInputLoopCommand.peakMegabytes)")
    }

    /// The most memory this process ever had resident, in MB (10^6 bytes).
    private static var peakMegabytes: Double {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = Double(line.split(whereSeparator: \.isWhitespace)[1])
        else { return .nan }
        return kilobytes * 1024 / 1_000_000
    }
}
