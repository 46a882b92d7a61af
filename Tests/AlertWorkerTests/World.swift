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

let p0 = TopicPartition(topic: "t", partition: 0)
let p1 = TopicPartition(topic: "t", partition: 1)

/// Seconds after the world began.
func second(_ seconds: Int64) -> Timestamp { World.start.adding(.seconds(seconds)) }

/// Everything around one alert worker but Kafka and the wall clock: the real store, the real rules, scripted events.
final class World: @unchecked Sendable {
    // SAFETY: changed by the test's task alone, between sessions.
    static let start = Timestamp(milliseconds: 1_768_200_000_000)
    static let tables = """
        tables:
          t:
            row_key: [id]
            event_time: seen_at
            columns:
              {id: string, plant: string, x: double, due: timestamp, done: bool, mail: string, seen_at: timestamp}
          u:
            row_key: [id]
            columns: {id: string, x: double}
        """

    /// In memory where the machine has such a folder: these tests commit thousands of times.
    let folder =
        (FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory())
        + "/alert-worker-\(UUID().uuidString)"
    let source: ScriptedEventSource
    let clock: TestClock
    let registry = MetricsRegistry()
    var rules: RuleSet
    var receivers: ReceiverDirectory
    var position: StartPosition? = .earliest
    var clockMode: TableClock.Mode
    var isGapAccepted = false
    var checkpointEventsMax = 1_000_000
    private var versions: Int64 = 0

    init(
        _ rules: String, clock mode: TableClock.Mode = .data, partitions: [TopicPartition] = [p0],
        receivers: ReceiverDirectory = World.directory(), batchMax: Int = 100
    ) throws {
        self.rules = try World.load(rules)
        self.receivers = receivers
        clockMode = mode
        source = ScriptedEventSource(partitions: partitions, batchMax: batchMax)
        clock = TestClock(World.start)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    static func load(_ text: String, tables: String = World.tables) throws -> RuleSet {
        let files = [
            ConfigFile(text: tables, file: "rules/tables.yaml"), ConfigFile(text: text, file: "rules/r.yaml"),
            ConfigFile(text: HealthTable.tables, file: "built-in/tables.yaml"),
            ConfigFile(text: HealthTable.rules, file: "built-in/\(HealthTable.rulesFileName)"),
        ]
        let (rules, diagnostics) = RuleSet.load(files: files, options: .standard)
        for diagnostic in diagnostics where diagnostic.level == .error {
            Issue.record("\(diagnostic.rendered(source: text))")
        }
        return try #require(rules)
    }

    /// Receivers, without one of them; unless said otherwise nothing waits for anything.
    static func directory(
        without removed: String = "",
        _ change: (inout GroupSettings) -> Void = {
            $0.wait = .zero
            $0.interval = .zero
        }
    ) -> ReceiverDirectory {
        let profiles = [
            ReceiverProfile(name: "team", channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed),
            ReceiverProfile(name: "line", channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed),
            ReceiverProfile(name: "ops", channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed),
            ReceiverProfile(
                name: "mail", channel: "email", locale: "en_US", timeZone: "UTC",
                addressing: .mail(to: ["all@x.example"], allowedDomains: ["x.example"], fallback: "desk@x.example")),
        ]
        var directory = ReceiverDirectory(
            profiles: profiles.filter { $0.name != removed }, defaultReceiver: "team", operatorReceiver: "ops")
        change(&directory.policy.routes.root.settings)
        return directory
    }

    // MARK: - Events

    /// A row of table `t` or `u` in the form of the change feed; each is a commit of its own.
    func row(
        _ id: String, at time: Int64, _ columns: [String: JSON] = [:], type: String = "update_postimage",
        table: String = "t", partition: Int32 = 0, version: Int64? = nil
    ) {
        if version == nil { versions += 1 }
        var members = columns
        members["id"] = .string(id)
        members["_change_type"] = .string(type)
        members["_commit_version"] = .integer(version ?? versions)
        members["_commit_timestamp"] = .string(second(time).description)
        let text = String(
            decoding: JSON.object(members.sorted { $0.key < $1.key }.map { JSON.Member($0.key, $0.value) }).bytes,
            as: UTF8.self)
        source.append(
            TopicPartition(topic: table, partition: partition), key: id, value: text,
            timestamp: second(time).milliseconds)
    }

    /// The value of a row's only interesting column.
    func x(_ id: String, _ value: Double, at time: Int64, partition: Int32 = 0) {
        row(id, at: time, ["x": .double(value)], partition: partition)
    }

    // MARK: - Sessions

    func open() throws -> SQLiteStore {
        let location = StoreLocation(folder: folder, name: "alert")
        return try SQLiteStore(
            StoreOptions(location: location, limits: .standard, now: clock.now(), metrics: MetricsRegistry()),
            holder: .current(startedAt: clock.now(), socketPath: "/tmp/none.sock"))
    }

    func read<T>(_ body: (any StoreReader) throws -> T) async throws -> T {
        let store = try open()
        let result = Result { try store.read(body) }
        await store.close(now: clock.now())
        return try result.get()
    }

    /// One life of the worker: from opening the store to the end of `run()`, orderly unless `body` or a fault ends it.
    @discardableResult
    func session(
        faults: (FaultyStore) -> Void = { _ in }, _ body: @escaping @Sendable (Session) async throws -> Void
    ) async throws -> FaultyStore {
        let sqlite = try open()
        let store = FaultyStore(sqlite)
        faults(store)
        let worker = makeWorker(store)
        let session = Session(world: self, worker: worker, store: store)
        let ending = Ending()
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do { try await worker.run() } catch {
                        // What ended the worker says more than what its callers were told then.
                        ending.set(error)
                        throw error
                    }
                    return true
                }
                group.addTask {
                    try await body(session)
                    worker.stop()
                    return false
                }
                for try await isWorker in group where isWorker { group.cancelAll() }
            }
            result = .success(())
        } catch {
            result = .failure(ending.error ?? error)
        }
        await sqlite.close(now: clock.now())
        try result.get()
        return store
    }

    /// A whole life: everything is read and handled, then the worker stops.
    func live(faults: (FaultyStore) -> Void = { _ in }) async throws {
        try await session(faults: faults) { try await $0.settle() }
    }

    private func makeWorker(_ store: FaultyStore) -> Worker<AlertDecider> {
        let (rules, receivers, registry) = (rules, receivers, registry)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return Worker(
            configuration: WorkerConfiguration(
                name: "alert",
                start: StartOptions(position: position, isNewStoreAccepted: false, isGapAccepted: isGapAccepted),
                clockMode: clockMode, unitsInFlightMax: 64, bytesInFlightMax: 32 << 20,
                checkpointEventsMax: checkpointEventsMax, checkpointInterval: .seconds(1_000_000),
                probeIntervals: .seconds(1)...(.seconds(30))),
            source: source, store: store, clock: clock, registry: registry, logger: logger, onOutboxRows: {},
            makeDecider: {
                AlertDecider(rules: rules, receivers: receivers, metrics: AlertWorkerMetrics(registry: registry))
            })
    }
}

/// A worker that runs.
struct Session: Sendable {
    let world: World
    let worker: Worker<AlertDecider>
    let store: FaultyStore

    /// Waits until everything read so far is handled, timers that are due have run, and all of it is durable.
    func settle() async throws {
        for attempt in 1... {
            do {
                _ = try await worker.replay([], by: "test")
                let assignmentCount = world.source.assignments.count
                await world.source.waitUntilIdle()
                for _ in 0..<2 { _ = try await worker.replay([], by: "test") }
                // After a failed commit the worker reads again: then this was too early.
                if world.source.assignments.count == assignmentCount { return }
            } catch let error as StoreError where attempt < 10 && error.isRecoverable {
                continue
            }
        }
    }

    func reload(_ rules: String, receivers: ReceiverDirectory? = nil) async throws -> String {
        world.rules = try World.load(rules)
        if let receivers { world.receivers = receivers }
        switch try await worker.perform(.reload(rules: world.rules, receivers: world.receivers)) {
        case .done(let text): return text
        case let other: return "\(other)"
        }
    }

    /// Moves the wall clock, and lets what is due by it run.
    func advance(_ seconds: Int64) async throws {
        world.clock.advance(by: .seconds(seconds))
        try await settle()
    }

    func outbox() throws -> [Told] { try store.read { try Told.all($0) } }
    func openAlerts(_ rule: String? = nil) throws -> [AlertRecord] {
        try store.read {
            try $0.alerts(AlertQuery(isOpen: true, rule: rule, severityMin: nil, countMax: 10_000, skipCount: 0))
        }
    }
}

/// An outbox row in words that tests compare.
struct Told: Equatable, CustomStringConvertible {
    var row: OutboxRecord
    var notification: Alerting.Notification

    var description: String {
        let items = notification.items.map { "\($0.rule)/\($0.keyDisplay)/\($0.state.rawValue)/\($0.severity)" }
        let state = row.state == .waiting ? "" : " [\(row.state) \(row.reason ?? "")]"
        let to = row.recipient.map { " to \($0)" } ?? ""
        return "\(row.receiver)\(to): \(notification.reason.rawValue) \(items.joined(separator: ", "))\(state)"
    }

    static func all(_ reader: any StoreReader) throws -> [Told] {
        var rows: [Told] = []
        for state in OutboxState.allCases {
            for row in try reader.outboxRows(state: state, receiver: nil, beforeId: nil, countMax: 100_000) {
                rows.append(Told(row: row, notification: try Alerting.Notification(bytes: row.payload)))
            }
        }
        return rows.sorted { $0.row.id < $1.row.id }
    }
}

/// What a run left behind, without ids, wall-clock times and the way batches were cut.
struct Outcome: Equatable {
    var alerts: [String]
    var transitions: [String]
    /// What nobody may hear: the same twice, or an end of which nobody heard the beginning.
    var faults: [String]
    /// What each receiver heard last of each incident.
    var lastTold: [String]
    var offsets: [String]

    init(_ reader: any StoreReader) throws {
        let records = try [true, false].flatMap { isOpen in
            try reader.alerts(
                AlertQuery(isOpen: isOpen, rule: nil, severityMin: nil, countMax: 100_000, skipCount: 0))
        }
        alerts = try records.map { record in
            var stored = try StoredAlert(record: record)
            stored.alert.cause = nil
            let alert = stored.alert
            return
                "\(alert.rule) \(alert.keyDisplay) \(record.isOpen) \(alert.state) \(alert.severity) \(alert.episode) "
                + "\(alert.changedAt) \(stored.told.map { "\($0.receiver)/\($0.recipient ?? "")" }) "
                + Hex.encode(Digest.sha256(alert.bytes).prefix(8))
        }.sorted()
        transitions = try reader.transitions(beforeId: nil, countMax: 100_000).map { line in
            let kind = Transition.Kind(rawValue: line.kind).map { "\($0)" } ?? "?"
            return "\(line.at) \(line.rule) \(line.keyDisplay) \(kind) \(line.severity) \(line.episode) \(line.reason)"
        }.sorted()
        let rows = try Told.all(reader)
        lastTold = Outcome.lastWords(rows)
        faults = Outcome.faults(rows)
        offsets = try reader.offsets().map { "\($0.topic)[\($0.partition)] \($0.nextOffset)" }.sorted()
    }
}

extension Outcome {
    fileprivate static func faults(_ rows: [Told]) -> [String] {
        var before: [String: (isOpen: Bool, word: String)] = [:]
        var faults: [String] = []
        for told in rows where told.row.state != .suppressed {
            for item in told.notification.items where item.state != .event {
                let place = "\(told.row.receiver)/\(told.row.recipient ?? "") \(item.incidentKey)"
                let word = "\(item.state) \(item.severity)"
                if before[place]?.word == word { faults.append("\(place): \(word) twice") }
                // From severity error up, one message tells beginning and end of what was over at once.
                if item.state == .resolved, item.severity < .error, before[place]?.isOpen != true {
                    faults.append("\(place): \(word) without its beginning")
                }
                before[place] = (item.state == .firing, word)
            }
        }
        return faults
    }

    /// Changes in one batch are told as one, so how batches were cut decides about words in between, whether an alert
    /// below error that was over at once is told at all, and whether one that was already open at the first start is
    /// heard of again: it is where it rises, unless it is over in the same batch.
    fileprivate static func lastWords(_ rows: [Told]) -> [String] {
        var words: [String: String?] = [:]
        var alreadyOpen: Set<String> = []
        for told in rows {
            for item in told.notification.items {
                let state = "\(told.row.state)/\(told.row.reason ?? "")"
                let place = "\(told.row.receiver)/\(told.row.recipient ?? "") \(state) \(item.incidentKey)"
                if told.notification.reason == .alreadyOpen { alreadyOpen.insert(place) }
                let isShort = item.state == .resolved && item.severity < .error || alreadyOpen.contains(place)
                words[place] = .some(
                    isShort
                        ? nil
                        : "\(item.state) \(item.severity) \(item.firedText ?? "") \(item.resolvedText ?? "")")
            }
        }
        return words.compactMap { place, word in word.map { "\(place) \($0)" } }.sorted()
    }
}

/// Why a worker ended.
private final class Ending: @unchecked Sendable {
    // SAFETY: written by the worker's task, read after it ended.
    private(set) var error: (any Error)?
    func set(_ error: any Error) { self.error = error }
}
