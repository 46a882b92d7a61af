import AlertWorker
import Alerting
import CEL
import Console
import Core
import NIOPosix
import Store
import Synchronization

/// What the console reads, from the store. Reads run on threads of their own, a few at a time.
final class StoreViews: AlertingViews {
    /// What of the configuration the views need; replaced by a reload.
    struct Current: Sendable {
        var descriptions: AlertDescriptions
        var profiles: [ReceiverProfile]
        var defaultReceiver: String
        /// Silences that stand in files; the others are in the store.
        var fileSilences: [Silence]
        /// Without a slash at its end; nil where people do not reach the page.
        var pageAddress: String?
    }

    /// Reads at a time; others wait.
    private static let threadCount = 2

    private let store: SQLiteStore
    private let metrics: MetricsRegistry
    private let clock: any WallClock
    private let startedAt: Timestamp
    private let threads = NIOThreadPool(numberOfThreads: StoreViews.threadCount)
    private let state: Mutex<Current>

    init(store: SQLiteStore, current: Current, metrics: MetricsRegistry, clock: any WallClock) {
        self.store = store
        self.metrics = metrics
        self.clock = clock
        startedAt = clock.now()
        state = Mutex(current)
        threads.start()
    }

    /// Takes over what was read anew.
    func replace(_ current: Current) { state.withLock { $0 = current } }

    /// Ends the threads.
    func shutdown() async { try? await threads.shutdownGracefully() }

    private var current: Current { state.withLock { $0 } }

    private func read<T: Sendable>(_ body: @escaping @Sendable (any StoreReader) throws -> T) async throws -> T {
        let store = store
        return try await threads.runIfActive { try store.read(body) }
    }

    // MARK: - Status

    func status() async -> ConsoleStatus {
        let current = current
        let names = current.profiles.map(\.name).sorted()
        // What a reader of Alertmanager's configuration can read; addresses and secrets stay where they are.
        let text =
            "route:\n  receiver: \(JSON.string(current.defaultReceiver))\nreceivers:\n"
            + names.map { "- name: \(JSON.string($0))\n" }.joined()
        return ConsoleStatus(version: ProgramVersion.text, startedAt: startedAt, configuration: text)
    }

    func receiverNames() async -> [String] { current.profiles.map(\.name).sorted() }

    func pattern(_ expression: String) throws -> @Sendable (String) -> Bool {
        do throws(TextPattern.Problem) {
            let pattern = try TextPattern(whole: expression)
            return { pattern.matches($0) }
        } catch { throw ConsoleFailure.invalid("the regular expression is wrong: \(error.message)") }
    }

    // MARK: - Alerts

    func alerts(
        countMax: Int, where filter: @escaping @Sendable (ConsoleAlert) -> Bool
    ) async throws -> ConsoleAlertList {
        let maker = AlertViewMaker(current: current)
        return try await read { reader in
            struct Enough: Error {}
            let holds = try AlertHolds(reader: reader)
            var found: [ConsoleAlert] = []
            do {
                try reader.forEachOpenAlert { record in
                    guard record.state == Alert.State.firing.rawValue else { return }
                    let stored = try StoredAlert(record: record)
                    var view = maker.bare(stored, holds: holds)
                    guard filter(view) else { return }
                    guard found.count < countMax else { throw Enough() }
                    maker.describe(&view, stored.alert)
                    found.append(view)
                }
            } catch is Enough { return ConsoleAlertList(alerts: found, isCut: true) }
            return ConsoleAlertList(alerts: found, isCut: false)
        }
    }

    func alert(id: Fingerprint) async throws -> ConsoleAlert? {
        let maker = AlertViewMaker(current: current)
        return try await read { reader in
            try reader.alert(fingerprint: id.bytes).map { record in
                maker.view(try StoredAlert(record: record), holds: try AlertHolds(reader: reader, of: id))
            }
        }
    }

    func life(of id: Fingerprint) async throws -> ConsoleAlertLife? {
        let maker = AlertViewMaker(current: current)
        return try await read { reader in
            try AlertDossier.find(id, in: reader).map { dossier in
                ConsoleAlertLife(
                    alert: maker.view(dossier.stored, holds: try AlertHolds(reader: reader, of: id)),
                    entries: dossier.entries, isCut: dossier.isCut)
            }
        }
    }

    func silences() async throws -> [ConsoleSilence] {
        let files = current.fileSilences
        return try await read { reader in
            var silences = files.map { ConsoleSilence($0) }
            try reader.forEachState(kind: StateChange.Kind.silence.rawValue) { record in
                silences.append(ConsoleSilence(try Silence(bytes: record.bytes)))
            }
            return silences
        }
    }

    // MARK: - Delivery

    func receivers() async throws -> [ConsoleReceiver] {
        let profiles = current.profiles
        let metrics = metrics
        let now = clock.now()
        return try await read { reader in
            let counts = Dictionary(grouping: try reader.outboxCounts(), by: \.receiver)
            let known = Set(profiles.map(\.name))
            let gone = counts.keys.filter { !known.contains($0) }.map { ($0, "not configured any more") }
            return try (profiles.map { ($0.name, $0.channel) } + gone).sorted { $0.0 < $1.0 }.map { name, channel in
                let rows = (counts[name] ?? []).filter { $0.count > 0 }
                    .sorted { $0.state.rawValue < $1.state.rawValue }
                let slots = try reader.limiterSlots(destination: name)
                let recent = slots.filter { slot in
                    slot.answeredAt.map { now.milliseconds(since: $0) < 60_000 } ?? true
                }
                let isOpen =
                    metrics.gauge(
                        "alert_router_delivery_breaker_open", "1 while the destination is left alone after failures.",
                        labels: ["receiver": name]
                    ).current > 0
                return ConsoleReceiver(
                    name: name, channel: channel,
                    counts: rows.map { ConsolePair($0.state.rawValue, String($0.count)) },
                    oldestWaiting: try reader.waitingRows(receiver: name, countMax: 1).first?.createdAt,
                    limiter: slots.isEmpty ? nil : "\(recent.count) sends in the last minute",
                    breaker: isOpen ? "open: left alone after failures" : "closed")
            }
        }
    }

    func deadLetters(countMax: Int) async throws -> [ConsoleDeadLetter] {
        try await read { reader in
            let query = DeadLetterQuery(
                kind: nil, state: .open, receiver: nil, rule: nil, beforeId: nil, countMax: countMax)
            return try reader.deadLetters(query).map { letter in
                ConsoleDeadLetter(
                    id: letter.id, kind: letter.kind.rawValue, at: letter.createdAt,
                    place: DeadLetterText.place(letter), reason: letter.reason)
            }
        }
    }
}
