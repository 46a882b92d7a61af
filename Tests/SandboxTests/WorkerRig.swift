import AlertWorker
import Alerting
import ChangeEvents
import ConfigFiles
import Core
import Foundation
import Logging
import RouterTesting
import RuleEngine
import Spine
import Store
import Testing

/// The real worker with the real store in a folder of its own, over messages kept in memory.
final class WorkerRig: Sendable {
    /// When the worlds of these tests begin, where their clock does not matter.
    static let start = Timestamp(milliseconds: 1_768_212_000_000)

    let folder: String
    let source: ScriptedEventSource
    let registry = MetricsRegistry()
    let store: SQLiteStore
    private let clock: any WallClock
    private let worker: Worker<AlertDecider>
    private let running: Task<Void, any Error>

    /// Starts a worker; `folder` with what an earlier one left there, nil for a new one.
    init(
        rules: RuleSet, source: ScriptedEventSource, folder: String?, clock: any WallClock, clockMode: TableClock.Mode,
        reading: (any EventSource)? = nil
    ) throws {
        let folder = folder ?? NSTemporaryDirectory() + "/rig-\(UUID().uuidString)"
        self.folder = folder
        self.source = source
        self.clock = clock
        store = try SQLiteStore(
            StoreOptions(
                location: StoreLocation(folder: folder, name: "alert"), limits: .standard, now: clock.now(),
                metrics: registry), holder: .current(startedAt: clock.now(), socketPath: ""))
        let profiles = Set(rules.rules.flatMap(\.notify) + ["all"]).map {
            ReceiverProfile(name: $0, channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed)
        }
        var directory = ReceiverDirectory(profiles: profiles, defaultReceiver: "all", operatorReceiver: "all")
        directory.policy.routes.root.settings = .immediate
        let receivers = directory
        let metrics = AlertWorkerMetrics(registry: registry)
        let worker = Worker<AlertDecider>(
            configuration: .standard(
                name: "alert",
                start: StartOptions(position: .earliest, isNewStoreAccepted: true, isGapAccepted: false),
                clockMode: clockMode), source: reading ?? source, store: store, clock: clock, registry: registry,
            logger: Logger(label: "rig") { _ in SwiftLogNoOpLogHandler() }, onOutboxRows: {},
            makeDecider: { AlertDecider(rules: rules, receivers: receivers, metrics: metrics) })
        self.worker = worker
        running = Task { try await worker.run() }
    }

    static var root: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    static func rules(_ files: [ConfigFile]) throws -> RuleSet {
        let (rules, diagnostics) = RuleSet.load(files: files, options: .standard)
        return try #require(rules, "\(diagnostics.map { $0.rendered(source: nil) })")
    }

    static func rules(tables: String, rules: String) throws -> RuleSet {
        try self.rules([
            ConfigFile(text: tables, file: "tables.yaml"), ConfigFile(text: rules, file: "rules.yaml"),
            ConfigFile(text: HealthTable.tables, file: "built-in/tables.yaml"),
            ConfigFile(text: HealthTable.rules, file: "built-in/rules.yaml"),
        ])
    }

    /// Waits until something is true. In between the worker is asked something, and answers when it has done what it
    /// had to do before; what never comes true ends with the suite's time limit.
    func wait(until isThere: () throws -> Bool) async throws {
        while try !isThere() { try await ask() }
    }

    /// Waits until everything appended so far is judged and stored.
    func drain() async throws {
        let count = try await source.partitions().reduce(0) { $0 + $1.high }
        try await wait { try self.store.read { try $0.offsets().reduce(0) { $0 + $1.nextOffset } } == count }
        // Timers that the last rows made due run in the same round; what is handled after it comes later.
        try await ask()
    }

    /// Asks something of the worker that it answers in its turn.
    func ask() async throws { _ = try await worker.replay([], by: "nobody") }

    /// Waits until the worker has ended by itself.
    func ended() async throws { try await running.value }

    /// Ends the worker orderly and closes the store.
    func stop() async throws {
        worker.stop()
        try await running.value
        await store.close(now: clock.now())
    }

    /// What a crash now would leave: a copy of the store's files, in a folder of its own. Nothing may be under way.
    func copy() throws -> String {
        let copy = NSTemporaryDirectory() + "/rig-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        for name in ["alert.db", "alert.db-wal"] where FileManager.default.fileExists(atPath: "\(folder)/\(name)") {
            try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(copy)/\(name)")
        }
        return copy
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    /// All changes of alerts in words, sorted: rule, key, episode, kind, severity, time.
    func transitions() throws -> [String] {
        try store.read { try $0.transitions(beforeId: nil, countMax: 100_000) }.map {
            "\($0.rule) \($0.keyDisplay) \($0.episode) \($0.kind) \($0.severity) \($0.at)"
        }.sorted()
    }

    func deadLetters(_ kind: DeadLetterRecord.Kind) throws -> [DeadLetterRecord] {
        try store.read {
            try $0.deadLetters(
                DeadLetterQuery(kind: kind, state: nil, receiver: nil, rule: nil, beforeId: nil, countMax: 1000))
        }
    }
}
