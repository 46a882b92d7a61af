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
import Synchronization

/// The router's own loop over the same messages: consume, decode, judge by 20 rules, store.
struct RouterLoopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "router-loop", abstract: "Reads messages through the worker and prints seconds.")

    @Option var bootstrap: String
    @Option var count: Int
    @Option(help: "Folder of the store; made anew.") var folder: String

    func run() async throws {
        let tables = ConfigFile(text: BenchStream.tables, file: "bench/tables.yaml")
        let rules = ConfigFile(text: BenchStream.rules, file: "bench/rules.yaml")
        let (loaded, diagnostics) = RuleSet.load(files: [tables, rules], options: .standard)
        guard let loaded else {
            for diagnostic in diagnostics { BenchOutput.remark(diagnostic.rendered(source: nil)) }
            throw ExitCode(1)
        }
        let clock = SystemWallClock()
        let registry = MetricsRegistry()
        let location = StoreLocation(folder: folder, name: "alert")
        let store = try SQLiteStore(
            StoreOptions(location: location, limits: .standard, now: clock.now(), metrics: registry),
            holder: .current(startedAt: clock.now(), socketPath: ""))
        let logger = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
        let consumer = try KafkaConsumer(
            configuration: try KafkaConfiguration(properties: ["bootstrap.servers": bootstrap]),
            topics: [BenchStream.topic], metrics: registry, logger: logger)
        let source = TimedSource(KafkaEventSource(consumer: consumer))
        var directory = ReceiverDirectory(
            profiles: [
                ReceiverProfile(name: "sink", channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed)
            ], defaultReceiver: "sink", operatorReceiver: "sink")
        // What is measured is the way of a row, not a wait for others.
        directory.policy.routes.root.settings = .immediate
        let receivers = directory
        let metrics = AlertWorkerMetrics(registry: registry)
        let worker = Worker<AlertDecider>(
            configuration: .standard(
                name: "alert",
                start: StartOptions(position: .earliest, isNewStoreAccepted: true, isGapAccepted: false),
                clockMode: .wall), source: source, store: store, clock: clock, registry: registry, logger: logger,
            onOutboxRows: {}, makeDecider: { AlertDecider(rules: loaded, receivers: receivers, metrics: metrics) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await worker.run() }
            while try store.read({ try $0.offsets().reduce(0) { $0 + $1.nextOffset } }) < Int64(count) {
                try await clock.sleep(until: clock.now().adding(milliseconds: 5))
            }
            let end = ContinuousClock.now
            if let start = source.firstBatchAt {
                let elapsed = end - start
                BenchOutput.line(
                    "seconds=\(Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18)")
            }
            worker.stop()
            try await group.waitForAll()
        }
        let transitions = try store.read { try $0.openAlertCount() }
        BenchOutput.line("open=\(transitions)")
        await consumer.shutdown()
        await store.close(now: clock.now())
    }
}

/// Notes when the first batch came.
final class TimedSource: EventSource {
    private let source: KafkaEventSource
    private let first = Mutex<ContinuousClock.Instant?>(nil)

    init(_ source: KafkaEventSource) { self.source = source }

    var firstBatchAt: ContinuousClock.Instant? { first.withLock { $0 } }

    func partitions() async throws -> [PartitionRange] { try await source.partitions() }
    func committedOffsets() async throws -> [TopicPartition: Int64] { try await source.committedOffsets() }
    func offsets(at time: Timestamp) async throws -> [TopicPartition: Int64] { try await source.offsets(at: time) }
    func assign(_ offsets: [TopicPartition: Int64], generation: Int) async throws {
        try await source.assign(offsets, generation: generation)
    }
    func commit(_ offsets: [TopicPartition: Int64]) { source.commit(offsets) }

    func next() async throws -> [Spine.SourceEvent]? {
        let events = try await source.next()
        let hasBatch = events?.contains { if case .batch = $0 { true } else { false } } ?? false
        if hasBatch { first.withLock { if $0 == nil { $0 = ContinuousClock.now } } }
        return events
    }
}
