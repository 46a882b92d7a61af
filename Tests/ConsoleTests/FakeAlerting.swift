import Console
import Core
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Testing

/// A clock that a test sets.
final class SetClock: WallClock {
    private let time = Mutex(Timestamp(milliseconds: 1_768_200_000_000))
    func now() -> Timestamp { time.withLock { $0 } }
    func set(_ now: Timestamp) { time.withLock { $0 = now } }
    func sleep(until deadline: Timestamp) async throws { set(max(now(), deadline)) }
}

/// Alerting in memory: what the console reads, and what it did.
final class FakeAlerting: AlertingViews, AlertingControl {
    struct State {
        var alerts: [ConsoleAlert] = []
        var silences: [ConsoleSilence] = []
        var pushed: [ConsolePushedAlert] = []
        /// What was changed, by whom and from where.
        var audit: [String] = []
        var failure: ConsoleFailure?
        var entries: [ConsoleAlertLife.Entry] = []
        var receivers: [ConsoleReceiver] = []
        var deadLetters: [ConsoleDeadLetter] = []
    }

    let state = Mutex(State())
    private let clock: SetClock

    init(clock: SetClock) { self.clock = clock }

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
    var audit: [String] { state.withLock { $0.audit } }
    var storedSilences: [ConsoleSilence] { state.withLock { $0.silences } }
    var pushed: [ConsolePushedAlert] { state.withLock { $0.pushed } }

    private func note(_ what: String, _ actor: ConsoleActor) throws(ConsoleFailure) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        change { $0.audit.append("\(what) by \(actor.name) from \(actor.from)") }
    }

    func status() async -> ConsoleStatus {
        ConsoleStatus(
            version: "9.9.9", startedAt: clock.now(),
            configuration: "route:\n  receiver: quality\nreceivers:\n- name: quality\n- name: planners\n")
    }
    func alerts(countMax: Int, where filter: @escaping @Sendable (ConsoleAlert) -> Bool) async throws
        -> ConsoleAlertList
    {
        let found = state.withLock { $0.alerts }.filter(filter)
        return ConsoleAlertList(alerts: Array(found.prefix(countMax)), isCut: found.count > countMax)
    }
    func alert(id: Fingerprint) async throws -> ConsoleAlert? {
        state.withLock { $0.alerts }.first { $0.id == id.description }
    }
    func life(of id: Fingerprint) async throws -> ConsoleAlertLife? {
        try await alert(id: id).map {
            ConsoleAlertLife(alert: $0, entries: state.withLock { $0.entries }, isCut: false)
        }
    }
    func silences() async throws -> [ConsoleSilence] { storedSilences }
    func receiverNames() async -> [String] { ["planners", "quality"] }
    func receivers() async throws -> [ConsoleReceiver] { state.withLock { $0.receivers } }
    func deadLetters(countMax: Int) async throws -> [ConsoleDeadLetter] {
        Array(state.withLock { $0.deadLetters }.prefix(countMax))
    }
    func pattern(_ expression: String) throws -> @Sendable (String) -> Bool {
        guard let regex = try? NSRegularExpression(pattern: "^(?:\(expression))$") else {
            throw ConsoleFailure.invalid("the expression '\(expression)' cannot be read")
        }
        let box = RegexBox(regex: regex)
        return { box.regex.firstMatch(in: $0, range: NSRange($0.startIndex..., in: $0)) != nil }
    }

    func acknowledge(_ id: Fingerprint, comment: String, until: Timestamp?, by actor: ConsoleActor)
        async throws(ConsoleFailure)
    {
        try note("acknowledge \(id.description.prefix(8)) until \(until?.description ?? "-") '\(comment)'", actor)
    }
    func unacknowledge(_ id: Fingerprint, by actor: ConsoleActor) async throws(ConsoleFailure) {
        try note("unacknowledge \(id.description.prefix(8))", actor)
    }
    func putSilence(_ silence: ConsoleSilence, by actor: ConsoleActor) async throws(ConsoleFailure) -> String {
        try note("put \(silence.id)", actor)
        change { state in
            state.silences.removeAll { $0.id == silence.id }
            state.silences.append(silence)
        }
        return silence.id
    }
    func expireSilence(id: String, by actor: ConsoleActor) async throws(ConsoleFailure) {
        try note("expire \(id)", actor)
        let now = clock.now()
        change { state in
            for index in state.silences.indices where state.silences[index].id == id {
                state.silences[index].endsAt = now
                state.silences[index].startsAt = min(state.silences[index].startsAt, now)
            }
        }
    }
    func push(_ alerts: [ConsolePushedAlert], by actor: ConsoleActor) async throws(ConsoleFailure) {
        try note("push \(alerts.count)", actor)
        change { $0.pushed += alerts }
    }
}

private struct RegexBox: @unchecked Sendable {
    // SAFETY: an NSRegularExpression does not change once it is made.
    let regex: NSRegularExpression
}

extension ConsoleAlert {
    /// An alert of rule `rate` whose id begins with eight digits of a number.
    static func sample(
        _ number: UInt32, severity: Severity = .warning, labels: [String: String] = ["team": "quality"],
        receivers: [String] = ["quality"]
    ) -> ConsoleAlert {
        let hex = String(number, radix: 16)
        let id = String(repeating: "0", count: 8 - hex.count) + hex + String(repeating: "a", count: 56)
        var own = labels
        own["alertname"] = "rate"
        own["severity"] = "\(severity)"
        var alert = ConsoleAlert(
            id: id, rule: "rate", table: "t", owner: "o", key: "line=L\(number)", severity: severity, state: "firing",
            episode: 1, labels: own, title: "Line L\(number) is bad",
            startsAt: Timestamp(milliseconds: 1_768_199_000_000), updatedAt: Timestamp(milliseconds: 1_768_199_500_000))
        alert.facts = [ConsolePair("Batch", "B\(number)")]
        alert.about = "Too many defects."
        alert.generatorURL = "http://127.0.0.1/alerts/\(id)"
        alert.groups = receivers.map { Group(receiver: $0, labels: ["alertname": "rate"]) }
        return alert
    }
}

/// A running console over fake alerting.
struct ConsoleWorld: Sendable {
    static let readToken = "read-token-0123456789"
    static let writeToken = "write-token-0123456789"
    static let key = [UInt8](repeating: 7, count: 32)

    let port: Int
    let alerting: FakeAlerting
    let clock: SetClock
    let access: ConsoleAccess
    let metrics: MetricsRegistry

    static func settings(
        _ loopback: AccessSettings.Loopback = .read, isLoopback: Bool = true, isPublic: Bool = false,
        externalURL: String? = nil
    ) -> AccessSettings {
        AccessSettings(
            tokens: [
                AccessToken(name: "Grafana", token: Secret(readToken), scopes: [.read]),
                AccessToken(name: "Jo Doe", token: Secret(writeToken), scopes: [.read, .write]),
            ], isListeningOnLoopback: isLoopback, loopback: loopback, areMetricsPublic: isPublic,
            externalURL: externalURL)
    }

    /// Runs a console, and ends it after `body`.
    static func run(
        _ settings: AccessSettings = ConsoleWorld.settings(),
        configuration: ConsoleConfiguration = .loopback,
        _ body: @Sendable (ConsoleWorld) async throws -> Void
    ) async throws {
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let clock = SetClock()
        let alerting = FakeAlerting(clock: clock)
        let metrics = MetricsRegistry()
        let access = ConsoleAccess(settings: settings, key: key, clock: clock, metrics: metrics)
        let ids = Mutex(0)
        let server = ConsoleServer(
            configuration: configuration, metrics: metrics, backend: AlwaysReady(),
            alerting: ConsoleAlerting(
                views: alerting, control: alerting,
                makeId: {
                    let next = ids.withLock { count in
                        count += 1
                        return count
                    }
                    return "00000000-0000-4000-8000-\(String(repeating: "0", count: 11))\(next)"
                },
                linkKey: key), access: access, clock: clock, logger: logger, onBound: { continuation.yield($0) })
        let group = ServiceGroup(configuration: .init(services: [server], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(
                ConsoleWorld(port: port, alerting: alerting, clock: clock, access: access, metrics: metrics))
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    func get(_ path: String, _ headers: [String] = []) async throws -> Loopback.Answer {
        try await send("GET", path, headers)
    }

    /// Sends a request; headers are whole lines.
    func send(
        _ method: String, _ path: String, _ headers: [String] = [], body: String? = nil
    ) async throws -> Loopback.Answer {
        var lines = ["\(method) \(path) HTTP/1.1", "connection: close"]
        if !headers.contains(where: { $0.lowercased().hasPrefix("host:") }) { lines.append("host: 127.0.0.1:\(port)") }
        lines += headers
        if let body { lines.append("content-length: \(body.utf8.count)") }
        return try await Loopback.exchange(
            lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? ""), port: port)
    }

    func json(_ path: String, _ headers: [String] = []) async throws -> JSON {
        let answer = try await get(path, headers)
        #expect(answer.status == 200, "\(path): \(answer.body)")
        return try JSON.parse(answer.body)
    }

    /// Posts JSON as the token that may write.
    func post(_ path: String, _ body: String, token: String = writeToken) async throws -> Loopback.Answer {
        try await send(
            "POST", path, ["authorization: Bearer \(token)", "content-type: application/json"], body: body)
    }
}

private struct AlwaysReady: ConsoleBackend {
    func readiness() async -> Readiness { .ready }
}
