import ChangeEvents
import Core
import Foundation
import Logging
import RouterTesting
import Spine
import Store
import Synchronization
import Testing

let t0 = TopicPartition(topic: "t", partition: 0)
let t1 = TopicPartition(topic: "t", partition: 1)

/// A worker's loop with a real store, scripted events, a clock that only the test moves, and a decider that writes down
/// what it is given.
final class Stage: Sendable {
    static let start = Timestamp(milliseconds: 1_768_200_000_000)

    /// What a test may set between two lives of the worker.
    struct Settings: Sendable {
        var position: StartPosition? = .earliest
        var isGapAccepted = false
        var clockMode = TableClock.Mode.wall
        var checkpointEventsMax = 1_000_000
        var catalog = Stage.catalog()
        var hashes = ["r": "1"]
    }

    let folder =
        (FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory())
        + "/spine-\(UUID().uuidString)"
    let source: ScriptedEventSource
    let clock = TestClock(Stage.start)
    let registry = MetricsRegistry()
    let log = RecordedLog()
    private let box = Mutex(Settings())

    init(partitions: [TopicPartition] = [t0], batchMax: Int = 100) {
        source = ScriptedEventSource(partitions: partitions, batchMax: batchMax)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var settings: Settings {
        get { box.withLock { $0 } }
        set { box.withLock { $0 = newValue } }
    }

    static func table(_ name: String, topics: [String] = [], rowKeysMax: Int = 1000) -> TableCatalog.Table {
        var declaration = TableDeclaration(name: name, rowKey: ["id"], columns: ["id": .string, "x": .int])
        declaration.topics = topics
        declaration.rowKeysMax = rowKeysMax
        var layout = ColumnLayout(declaration: declaration)
        _ = layout.slot(for: "x")
        return TableCatalog.Table(declaration: declaration, layout: layout, readsBefore: true)
    }

    static func catalog(_ tables: [TableCatalog.Table] = [Stage.table("t")]) -> TableCatalog {
        TableCatalog(tables: tables)
    }

    // MARK: - Events

    enum Kind: String {
        case insert
        case before = "update_preimage"
        case after = "update_postimage"
    }

    /// A row in the form of the change feed, `seconds` after the start.
    func row(
        _ kind: Kind, _ id: String, _ x: Int, version: Int64, seconds: Int64 = 0, in partition: TopicPartition = t0,
        kafkaSeconds: Int64? = nil
    ) {
        let time = Stage.start.adding(.seconds(seconds))
        let kafka = kafkaSeconds.map { Stage.start.adding(.seconds($0)) } ?? time
        source.append(
            partition, key: id,
            value: "{\"id\":\"\(id)\",\"x\":\(x),\"_change_type\":\"\(kind.rawValue)\","
                + "\"_commit_version\":\(version),\"_commit_timestamp\":\"\(time)\"}",
            timestamp: kafka.milliseconds)
    }

    // MARK: - Lives

    func open() throws -> SQLiteStore {
        let location = StoreLocation(folder: folder, name: "spine")
        return try SQLiteStore(
            StoreOptions(location: location, limits: .standard, now: clock.now(), metrics: MetricsRegistry()),
            holder: .current(startedAt: clock.now(), socketPath: "/tmp/none.sock"))
    }

    /// One life of the worker: it stops in order when `body` ends, unless a fault or an error ended it before.
    func life(
        source: (any EventSource)? = nil, faults: (FaultyStore) -> Void = { _ in },
        _ body: @escaping @Sendable (Life) async throws -> Void
    ) async throws {
        let sqlite = try open()
        let store = FaultyStore(sqlite)
        faults(store)
        let worker = makeWorker(source ?? self.source, store)
        let life = Life(stage: self, worker: worker, store: store)
        let ending = Ending()
        var result = Result<Void, any Error>.success(())
        do {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do { try await worker.run() } catch {
                        ending.error.withLock { $0 = error }
                        throw error
                    }
                    return true
                }
                group.addTask {
                    try await body(life)
                    worker.stop()
                    return false
                }
                for try await isWorker in group where isWorker { group.cancelAll() }
            }
        } catch {
            // What ended the worker says more than what its callers were told then.
            result = .failure(ending.error.withLock { $0 } ?? error)
        }
        await sqlite.close(now: clock.now())
        try result.get()
    }

    /// A life that ends as by a kill: nothing is checkpointed, nothing more is committed.
    func killed(_ body: @escaping @Sendable (Life) async throws -> Void) async throws {
        await #expect(throws: WorkerError.self) {
            try await life { life in
                try await body(life)
                life.store.fail(unit: 1, .before(.corrupt))
                _ = try await life.worker.perform(.say("never"))
            }
        }
    }

    func lines() async throws -> [String] { try await read { try Stage.lines($0) } }

    func read<T>(_ body: (any StoreReader) throws -> T) async throws -> T {
        let store = try open()
        let result = Result { try store.read(body) }
        await store.close(now: clock.now())
        return try result.get()
    }

    static func lines(_ reader: any StoreReader) throws -> [String] {
        var lines: [(String, String)] = []
        try reader.forEachState(kind: LineDecider.kind) {
            lines.append(($0.key, String(decoding: $0.bytes, as: UTF8.self)))
        }
        return lines.sorted { $0.0 < $1.0 }.map(\.1)
    }

    private func makeWorker(_ source: any EventSource, _ store: FaultyStore) -> Worker<LineDecider> {
        let settings = settings
        let logger = Logger(label: "test") { [log] _ in log.handler }
        return Worker(
            configuration: WorkerConfiguration(
                name: "lines",
                start: StartOptions(
                    position: settings.position, isNewStoreAccepted: false, isGapAccepted: settings.isGapAccepted),
                clockMode: settings.clockMode, unitsInFlightMax: 64, bytesInFlightMax: 32 << 20,
                checkpointEventsMax: settings.checkpointEventsMax, checkpointInterval: .seconds(1_000_000),
                probeIntervals: .seconds(1)...(.seconds(30))),
            source: source, store: store, clock: clock, registry: registry, logger: logger, onOutboxRows: {},
            makeDecider: { LineDecider(catalog: settings.catalog, hashes: settings.hashes) })
    }
}

/// What a worker logs from level notice on.
final class RecordedLog: Sendable {
    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .notice

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.list.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
        }
    }

    private let list = Mutex<[String]>([])

    var handler: any LogHandler { Handler(log: self) }

    func lines(_ part: String) -> [String] { list.withLock { $0.filter { $0.contains(part) } } }
}

/// Why a worker ended.
private final class Ending: Sendable {
    let error = Mutex<(any Error)?>(nil)
}

/// A worker that runs.
struct Life: Sendable {
    let stage: Stage
    let worker: Worker<LineDecider>
    let store: FaultyStore

    /// Waits until everything the source hands over is handled, and time was looked at since.
    func settle() async throws {
        _ = try await worker.replay([], by: "test")
        await stage.source.waitUntilIdle()
        for _ in 0..<2 { _ = try await worker.replay([], by: "test") }
    }

    /// Moves the clock in steps; after each, what is due has happened.
    func advance(_ duration: Duration, by step: Duration = .milliseconds(500)) async throws {
        var left = duration
        while left > .zero {
            stage.clock.advance(by: min(step, left))
            try await settle()
            left -= step
        }
    }

    func lines() throws -> [String] { try store.read { try Stage.lines($0) } }
}
