import Alerting
import Core
import Testing

/// What happened at which minute, and exactly which messages came of it. Virtual time; any other message fails.
///
/// It stands for the worker: it keeps the alerts, and the "store" of what the engine says must be kept, so that a
/// restart loads exactly that.
final class Scenario {
    static let start = Timestamp(milliseconds: 1_768_200_000_000)

    struct Pool: AlertPool {
        var alerts: [Fingerprint: Alert] = [:]
        func locator(of alert: Alert) -> UInt64 { 7 }
        func alert(at place: AlertPlace) -> Alert? {
            guard place.locator == 7, alerts[place.fingerprint]?.rule == place.rule else { return nil }
            return alerts[place.fingerprint]
        }
    }

    /// A message as tests read it: `0:30 team first r{a,b!critical}`.
    struct Told: Equatable, CustomStringConvertible {
        var message: PlannedMessage
        var description: String {
            let seconds = message.at.milliseconds(since: Scenario.start) / 1000
            let clock = "\(seconds / 60):" + (seconds % 60 < 10 ? "0" : "") + "\(seconds % 60)"
            let to = message.recipient.map { "\(message.receiver)/\($0)" } ?? message.receiver
            let items = message.items.map { item in
                let mark =
                    switch item.news {
                    case .firing: ""
                    case .raised: "↑"
                    case .lowered: "↓"
                    case .resolved: "-"
                    case .resolvedUnheard: "±"
                    case .event: "*"
                    case .open: "="
                    }
                let severity = item.alert.severity == .warning ? "" : "!\(item.alert.severity)"
                return mark + (item.alert.keyTexts.compactMap { $0 }.first ?? "") + severity
            }
            let state = message.suppression.map { " [\($0)]" } ?? ""
            return "\(clock) \(to) \(message.reason.rawValue) \(items.joined(separator: ","))\(state)"
        }
    }

    private(set) var engine: AlertingEngine
    private(set) var pool = Pool()
    var configuration: AlertingConfiguration
    private(set) var now = Scenario.start
    /// What the store holds.
    private var states: [String: (StateChange.Kind, String, [UInt8])] = [:]
    private var memberships: [Fingerprint: Membership] = [:]
    private var episodes: [Fingerprint: UInt32] = [:]
    private(set) var told: [Told] = []
    private(set) var decisions: [DecisionNote] = []
    private(set) var problems: [EngineProblem] = []
    private var checked = 0
    var isBootstrap = false

    init(_ configuration: AlertingConfiguration) {
        self.configuration = configuration
        engine = AlertingEngine(configuration: configuration)
    }

    convenience init(
        _ change: (inout GroupSettings) -> Void = { _ in }, incident: Bool = false,
        policy: (inout RoutingPolicy) -> Void = { _ in }
    ) {
        self.init(Scenario.configuration(change, incident: incident, policy: policy))
    }

    static func configuration(
        _ change: (inout GroupSettings) -> Void = { _ in }, incident: Bool = false,
        policy edit: (inout RoutingPolicy) -> Void = { _ in }
    ) -> AlertingConfiguration {
        var policy = RoutingPolicy.single(receiver: "team")
        change(&policy.routes.root.settings)
        edit(&policy)
        func profile(_ name: String) -> ReceiverProfile {
            ReceiverProfile(name: name, channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed)
        }
        var incidents = profile("incidents")
        incidents.isIncidentChannel = true
        var team = profile("team")
        team.isIncidentChannel = incident
        let mail = ReceiverProfile(
            name: "mail", channel: "email", locale: "en_US", timeZone: "UTC",
            addressing: .mail(to: ["desk@x.example"], allowedDomains: ["x.example"], fallback: nil))
        let all = [team, profile("other"), profile("oncall"), profile("ops"), incidents, mail]
        return AlertingConfiguration(
            policy: policy, profiles: Dictionary(all.map { ($0.name, $0) }) { first, _ in first },
            operatorReceiver: "ops",
            rules: [
                "r": RuleProfile(notify: [], hasRecipient: false, isAboutRouter: false),
                "s": RuleProfile(notify: [], hasRecipient: false, isAboutRouter: false),
                "p": RuleProfile(notify: ["mail"], hasRecipient: true, isAboutRouter: false),
                "health": RuleProfile(notify: [], hasRecipient: false, isAboutRouter: true),
            ])
    }

    // MARK: - What happens

    /// Lets time pass until a minute, timer by timer.
    func at(_ minutes: Double) {
        let target = Scenario.start.adding(milliseconds: Int64((minutes * 60_000).rounded()))
        while let next = engine.nextTimer(), next <= target {
            now = max(now, next)
            take(engine.advance(to: now, alerts: pool))
        }
        now = max(now, target)
    }

    static func fingerprint(_ key: String, rule: String = "r") -> Fingerprint {
        Fingerprint(rule: rule, keyColumns: ["id"], keyTexts: [key])
    }

    private func transition(
        _ kind: Transition.Kind, _ key: String, _ severity: Severity, rule: String, labels: [String: String] = [:],
        recipient: String? = nil
    ) -> Transition? {
        var alert = Alert(
            rule: rule, table: "t", owner: "o", keyColumns: ["id"], keyTexts: [key], at: now)
        let known = pool.alerts[alert.fingerprint]
        switch kind {
        case .firing:
            guard known == nil else { return nil }
            alert.episode = (episodes[alert.fingerprint] ?? 0) + 1
            episodes[alert.fingerprint] = alert.episode
            alert.state = .firing
            alert.firingSince = now
            alert.labels = labels
            alert.recipient = recipient
            alert.isBootstrap = isBootstrap
        case .event:
            alert.labels = labels
            alert.state = .firing
            alert.cause = EventPosition(topic: "t", partition: 0, offset: Int64(told.count), version: 0)
        default:
            guard let known else { return nil }
            alert = known
        }
        let previous = known?.severity
        if kind != .resolved { alert.severity = severity }
        alert.changedAt = now
        if kind == .resolved {
            alert.state = .resolved
            alert.resolvedAt = now
        }
        if kind != .event { pool.alerts[alert.fingerprint] = kind == .resolved ? nil : alert }
        return Transition(
            kind: kind, alert: alert, previousSeverity: previous, at: now, reason: "\(kind)", cause: alert.cause)
    }

    /// Alerts that change in one batch.
    func batch(_ body: (Scenario) -> [Transition?]) {
        take(engine.handle(body(self).compactMap { $0 }, alerts: pool, now: now, isBootstrap: isBootstrap))
    }

    func fires(
        _ keys: String..., as severity: Severity = .warning, rule: String = "r", labels: [String: String] = [:],
        to recipient: String? = nil
    ) {
        batch { scenario in
            keys.map {
                scenario.transition(.firing, $0, severity, rule: rule, labels: labels, recipient: recipient)
            }
        }
    }

    func fired(_ key: String, _ severity: Severity = .warning, rule: String = "r", labels: [String: String] = [:])
        -> Transition?
    { transition(.firing, key, severity, rule: rule, labels: labels) }

    func ended(_ key: String, rule: String = "r") -> Transition? { transition(.resolved, key, .info, rule: rule) }

    func resolves(_ keys: String..., rule: String = "r") {
        batch { scenario in keys.map { scenario.transition(.resolved, $0, .info, rule: rule) } }
    }

    func becomes(_ severity: Severity, _ key: String, rule: String = "r") {
        guard let known = pool.alerts[Scenario.fingerprint(key, rule: rule)], known.severity != severity else { return }
        batch {
            [$0.transition(known.severity < severity ? .severityRaised : .severityLowered, key, severity, rule: rule)]
        }
    }

    func happens(_ key: String, as severity: Severity = .warning, rule: String = "r") {
        batch { [$0.transition(.event, key, severity, rule: rule)] }
    }

    @discardableResult
    func does(_ command: EngineCommand) -> EngineReply {
        let (output, reply) = engine.perform(command, alerts: pool, now: now)
        take(output)
        return reply
    }

    func acknowledges(_ key: String, forMinutes minutes: Double?) {
        let until = minutes.map { now.adding(milliseconds: Int64($0 * 60_000)) }
        #expect(
            does(.acknowledge(Scenario.fingerprint(key), by: "ann", comment: "on it", until: until)) == .done)
    }

    func silences(
        _ name: String, _ value: String, id: String = "s1", forMinutes minutes: Double, untilResolved: Bool = false
    ) {
        let silence = Silence(
            id: id, expression: .labels([LabelMatcher(name, equals: value)]), startsAt: now,
            endsAt: now.adding(milliseconds: Int64(minutes * 60_000)), author: "ann", comment: "work",
            untilResolved: untilResolved, source: .api, createdAt: now, updatedAt: now)
        #expect(does(.putSilence(silence)) == .silence(id: id))
    }

    func reloads(_ new: AlertingConfiguration? = nil) {
        if let new { configuration = new }
        take(engine.replace(configuration: configuration, alerts: pool, now: now))
    }

    func endsBootstrap() {
        isBootstrap = false
        take(engine.endBootstrap(alerts: pool, now: now))
    }

    /// The process dies and another loads what is stored.
    func restarts() throws {
        engine = AlertingEngine(configuration: configuration)
        try engine.load(
            open: pool.alerts.values.sorted { $0.fingerprint < $1.fingerprint }.map {
                ($0, memberships[$0.fingerprint] ?? .none)
            },
            states: states.values.sorted { ($0.0.rawValue, $0.1) < ($1.0.rawValue, $1.1) }.map {
                AlertingEngine.StoredState(kind: $0.0, key: $0.1, bytes: $0.2)
            }, alerts: pool)
        take(engine.advance(to: now, alerts: pool))
    }

    private func take(_ output: EngineOutput) {
        for change in output.states {
            let key = change.kind.rawValue + "/" + change.key
            states[key] = change.bytes.map { (change.kind, change.key, $0) }
        }
        for place in output.touched {
            var writer = ByteWriter()
            (engine.membership(of: place.fingerprint) ?? .none).write(to: &writer)
            var reader = ByteReader(writer.bytes)
            do { memberships[place.fingerprint] = try Membership(from: &reader) } catch { Issue.record(error) }
        }
        for fingerprint in memberships.keys where pool.alerts[fingerprint] == nil { memberships[fingerprint] = nil }
        told += output.messages.map(Told.init)
        decisions += output.decisions
        problems += output.problems
    }

    /// Pieces of state in the store, by kind.
    func storedCount(_ kind: StateChange.Kind) -> Int { states.values.count { $0.0 == kind } }

    // MARK: - What was told

    /// Exactly these messages since the last look.
    func expect(_ lines: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        let new = told[checked...].map(\.description)
        checked = told.count
        #expect(new == lines, sourceLocation: sourceLocation)
    }

    /// Nothing since the last look.
    func expectNothing(sourceLocation: SourceLocation = #_sourceLocation) {
        let new = told[checked...].map(\.description)
        checked = told.count
        #expect(new == [], sourceLocation: sourceLocation)
    }
}
