public import Alerting
public import ChangeEvents
public import Core
public import RuleEngine
public import Spine
public import Store

/// What operators ask of the alert worker.
public enum AlertCommand: Sendable {
    /// Rules and receivers were read anew and are right.
    case reload(rules: RuleSet, receivers: ReceiverDirectory)
    /// Somebody takes care of an alert; nil: until it is over.
    case acknowledge(fingerprint: Fingerprint, by: String, comment: String, until: Timestamp?, from: String)
    case unacknowledge(fingerprint: Fingerprint, by: String, from: String)
    /// A new silence, or one of that id as it is from now on.
    case putSilence(Silence, by: String, from: String)
    case expireSilence(id: String, by: String, from: String)
    /// Alerts pushed by others, as Prometheus does again and again.
    case push([PushedAlert], by: String, from: String)
    /// A delivery that was given up goes back to the outbox.
    case requeueDelivery(letter: DeadLetterRecord, by: String)
    /// A dead letter is thrown away.
    case discard(letter: DeadLetterRecord, by: String)
}

/// What a command came to.
public enum AlertReply: Sendable, Equatable {
    /// Done; the text says what changed.
    case done(String)
    /// The silence has this id.
    case silence(id: String)
    /// Nothing changed; why, in words for whoever asked.
    case refused(String)
}

/// The alert worker's policy: rules judge rows, transitions become outbox rows. A synchronous value.
public struct AlertDecider: Decider {
    var rules: RuleSet
    var evaluator: RuleEvaluator
    var engine: AlertingEngine
    var pushed = PushedAlerts()
    var writer: MessageWriter
    var receivers: ReceiverDirectory
    var directory: RuleDirectory
    let metrics: AlertWorkerMetrics
    public private(set) var catalogVersion = 0
    var health: HealthNotes
    var forgotten = (newestRows: 0, episodes: 0)

    /// Makes a decider that has loaded nothing yet.
    public init(rules: RuleSet, receivers: ReceiverDirectory, metrics: AlertWorkerMetrics) {
        self.rules = rules
        self.metrics = metrics
        evaluator = RuleEvaluator(rules: rules)
        self.receivers = receivers
        writer = MessageWriter(receivers: receivers)
        directory = RuleDirectory(rules: rules)
        engine = AlertingEngine(configuration: receivers.alerting(directory))
        health = HealthNotes(rules: rules)
    }

    /// The open alerts, of rules and pushed.
    var pool: OpenAlerts { OpenAlerts(evaluator: evaluator, pushed: pushed) }

    public var catalog: TableCatalog { rules.catalog }
    public var ruleHashes: [String: String] {
        Dictionary(rules.rules.map { ($0.name, $0.hash) }, uniquingKeysWith: { first, _ in first })
    }

    /// Takes over what is stored: open alerts, episodes, who was told.
    public mutating func load(from reader: any StoreReader) throws {
        var open: [(alert: Alert, membership: Membership)] = []
        try reader.forEachOpenAlert { record in
            let stored = try StoredAlert(record: record)
            open.append((stored.alert, stored.membership))
        }
        var episodes: [Fingerprint: UInt32] = [:]
        try reader.forEachClosedEpisode { fingerprint, episode in
            episodes[Fingerprint(bytes: fingerprint)] = UInt32(truncatingIfNeeded: episode)
        }
        let ownAlerts = open.filter { $0.alert.rule != PushedAlerts.rule }.map(\.alert)
        evaluator.restore(open: ownAlerts, episodes: episodes)
        pushed.restore(open: open.filter { $0.alert.rule == PushedAlerts.rule }.map(\.alert), episodes: episodes)
        var states: [AlertingEngine.StoredState] = []
        for kind in StateChange.Kind.allCases {
            try reader.forEachState(kind: kind.rawValue) {
                states.append(AlertingEngine.StoredState(kind: kind, key: $0.key, bytes: $0.bytes))
            }
        }
        try engine.load(open: open, states: states, alerts: pool)
    }

    /// The memory of the rules, in pieces, for a checkpoint.
    public func memoryCheckpoint() -> [[UInt8]] { evaluator.memory().flatMap(MemoryPieces.split) }

    /// Takes over the memory of a checkpoint.
    public mutating func restoreMemory(_ chunks: [[UInt8]]) throws {
        for chunk in try MemoryPieces.join(chunks) { try evaluator.restoreMemory(chunk) }
    }

    /// Reads rows into memory with effects off, when a start replays them.
    public mutating func remember(_ batch: ChangeBatch) { evaluator.remember(batch) }

    /// What a start has to put right before rows are judged: rules that changed or went away meanwhile.
    public mutating func settle(context: DecisionContext) -> Decision? {
        var output = EvaluationOutput()
        evaluator.settle(at: context.now, output: &output)
        var changes = Changes()
        let problems = add(output, raw: nil, rules: directory, context: context, &changes)
        judge(HealthNotes.outlived(open: openHealthAlerts), context: context, &changes)
        judge(health.fresh(problems), context: context, &changes)
        return changes.decision
    }

    /// The open alerts about the router itself.
    private var openHealthAlerts: [Alert] {
        rules.rules.filter { $0.table == HealthTable.name }.flatMap { evaluator.open(rule: $0.name) }
    }

    /// Judges the rows of a batch.
    public mutating func decide(_ batch: ChangeBatch, context: DecisionContext) -> Decision? {
        var output = EvaluationOutput()
        evaluator.isBootstrapping = context.isBootstrap
        evaluator.evaluate(batch, output: &output)
        let counts = evaluator.forgottenCounts
        metrics.countForgotten(from: forgotten, to: counts)
        forgotten = counts
        return decision(from: output, raw: batch.raw, context: context)
    }

    /// When the next timer of a table is due on its clock; nil for none.
    public mutating func nextTimer(table: Int) -> Timestamp? { evaluator.nextTimer(table: table) }

    /// Runs the timers that the table clocks have passed.
    public mutating func advance(context: DecisionContext) -> Decision? {
        var output = EvaluationOutput()
        for table in context.tableClocks.indices {
            // Facts about the router come from no partition: their clock is the wall clock.
            let clock = table == health.table ? context.now : context.tableClocks[table]
            guard let clock, isTimerDue(table, clock) else { continue }
            evaluator.isBootstrapping = context.isBootstrap
            evaluator.advance(table: table, to: clock, versionFloor: context.versionFloors[table], output: &output)
        }
        var changes = Changes()
        var problems = add(output, raw: nil, rules: directory, context: context, &changes)
        if let due = pushed.nextTimer(), due <= context.routerClock {
            problems += add(pushed.advance(to: context.routerClock), context: context, &changes)
        }
        if let due = engine.nextTimer(), due <= context.routerClock {
            problems += take(
                engine.advance(to: context.routerClock, alerts: pool), changed: [], rules: directory,
                context: context, &changes)
        }
        judge(health.fresh(problems), context: context, &changes)
        return changes.decision
    }

    /// When the next timer of groups, silences, acknowledgements and pushed alerts is due.
    public mutating func nextRouterTimer() -> Timestamp? {
        switch (engine.nextTimer(), pushed.nextTimer()) {
        case (let engine?, let pushed?): min(engine, pushed)
        case (let engine, let pushed): engine ?? pushed
        }
    }

    private mutating func isTimerDue(_ table: Int, _ clock: Timestamp) -> Bool {
        evaluator.hasHeldBack(table: table) || evaluator.nextTimer(table: table).map { $0 <= clock } ?? false
    }

    /// Judges facts about the router itself as rows of the built-in table.
    public mutating func note(_ facts: [HealthFact], context: DecisionContext) -> Decision? {
        var changes = Changes()
        judge(facts, context: context, &changes)
        return changes.decision
    }

    /// Judges facts about the router itself; never suppressed by bootstrapping.
    mutating func judge(_ facts: [HealthFact], context: DecisionContext, _ changes: inout Changes) {
        guard !facts.isEmpty, let batch = health.batch(of: facts, at: context.now) else { return }
        var output = EvaluationOutput()
        evaluator.isBootstrapping = false
        evaluator.evaluate(batch, output: &output)
        var context = context
        context.isBootstrap = false
        _ = add(output, raw: nil, rules: directory, context: context, &changes)
    }

    /// Tells each receiver once what is already open.
    public mutating func endBootstrap(context: DecisionContext) -> Decision? {
        var changes = Changes()
        let problems = take(
            engine.endBootstrap(alerts: pool, now: context.routerClock), changed: [], rules: directory,
            context: context, &changes)
        judge(health.fresh(problems), context: context, &changes)
        return changes.decision
    }

    /// Carries out a command.
    public mutating func perform(
        _ command: AlertCommand, context: DecisionContext
    ) -> (decision: Decision?, reply: AlertReply) {
        let now = context.now
        switch command {
        case .reload(let rules, let receivers): return reload(rules, receivers: receivers, context: context)
        case .acknowledge, .unacknowledge, .putSilence, .expireSilence, .push:
            return performAlerting(command, context: context)
        case .requeueDelivery(let letter, let by):
            var decision = Decision(byteCount: 512, hasOutboxRows: true) { transaction in
                if let row = letter.outboxId { _ = try transaction.requeue(id: row, at: now) }
                try transaction.settleDeadLetter(id: letter.id, state: .replayed, by: by, at: now)
            }
            decision.isAlone = true
            decision.facts = AlertDecider.facts(after: letter)
            return (decision, .done("dead letter \(letter.id) goes back to the outbox"))
        case .discard(let letter, let by):
            var decision = Decision(byteCount: 512, hasOutboxRows: false) { transaction in
                if let row = letter.outboxId {
                    try transaction.settle(
                        id: row,
                        OutboxSettlement(
                            state: .discarded, reason: "discarded by \(by)", providerId: nil, at: now,
                            isAmbiguous: false), attempt: nil)
                }
                try transaction.settleDeadLetter(id: letter.id, state: .discarded, by: by, at: now)
            }
            decision.isAlone = true
            decision.facts = AlertDecider.facts(after: letter)
            return (decision, .done("dead letter \(letter.id) is discarded"))
        }
    }

    /// Somebody dealt with a notification that was given up: the operator's alert about its receiver ends with it, and
    /// the next one given up is told again.
    private static func facts(after letter: DeadLetterRecord) -> [HealthFact] {
        guard letter.kind == .delivery, let receiver = letter.receiver else { return [] }
        return [HealthFact(component: HealthNotes.deadLetter, subject: receiver, isHealthy: true, detail: "")]
    }

    private mutating func reload(
        _ new: RuleSet, receivers: ReceiverDirectory, context: DecisionContext
    ) -> (decision: Decision?, reply: AlertReply) {
        var output = EvaluationOutput()
        let old = directory
        evaluator.replaceRules(new, at: context.now, output: &output)
        let removed = Set(self.receivers.profiles.keys).subtracting(receivers.profiles.keys)
        rules = new
        var changes = Changes()
        _ = add(output, raw: nil, rules: old, context: context, &changes)
        self.receivers = receivers
        writer = MessageWriter(receivers: receivers)
        directory = RuleDirectory(rules: new)
        catalogVersion += 1
        let replaced = engine.replace(
            configuration: receivers.alerting(directory), alerts: pool, now: context.routerClock)
        let problems = take(replaced, changed: [], rules: directory, context: context, &changes)
        // What was wrong with rules, texts and recipients may be right now; what is not says so again.
        let said = health.takeStated(open: openHealthAlerts)
        health = HealthNotes(rules: new)
        judge(said, context: context, &changes)
        judge(health.fresh(problems), context: context, &changes)
        let decision = changes.decision
        let closed = output.transitions.filter { $0.kind == .resolved }.count
        var text = "\(new.rules.count) rules are loaded"
        if closed > 0 { text += "; \(closed) alerts were resolved by the edit" }
        if !removed.isEmpty { text += "; receivers removed: \(removed.sorted().joined(separator: ", "))" }
        return (decision, .done(text))
    }
}

extension TransitionRecord {
    init(_ transition: Transition, recordedAt: Timestamp) {
        let alert = transition.alert
        self.init(
            fingerprint: alert.fingerprint.bytes, rule: alert.rule, table: alert.table, kind: transition.kind.rawValue,
            severity: alert.severity, previousSeverity: transition.previousSeverity, episode: Int64(alert.episode),
            at: transition.at, recordedAt: recordedAt, reason: transition.reason, keyDisplay: alert.keyDisplay,
            cause: transition.cause)
    }
}

extension EvaluationErrorRecord {
    init(_ report: EvaluationReport) {
        self.init(
            rule: report.rule, reason: report.reason, count: Int64(report.count), firstAt: report.at,
            lastAt: report.at, rowKey: report.sampleRowKey, cause: report.sampleCause)
    }
}

extension DeadLetterRecord {
    /// A row on which a rule failed, with the message it came in.
    init(_ report: EvaluationReport, raw: RawBatch?, now: Timestamp) {
        self.init(kind: .evaluation, createdAt: now, reason: report.reason)
        rule = report.rule
        rowKey = report.sampleRowKey
        topic = report.sampleCause.topic
        partition = report.sampleCause.partition
        offset = report.sampleCause.offset
        guard let raw,
            let index = raw.partitions.firstIndex(where: { $0.topic == topic && $0.partition == partition }),
            let message = raw.messages.first(where: { $0.partitionIndex == Int32(index) && $0.offset == offset })
        else {
            areBytesDropped = true
            return
        }
        timestamp = Timestamp(milliseconds: message.timestamp)
        key = message.key.map { Array($0) }
        value = message.value.map { Array($0) }
        headers = MessageHeaders.encode(raw.headers(of: message))
    }
}
