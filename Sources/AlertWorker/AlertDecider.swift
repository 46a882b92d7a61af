internal import Alerting
public import ChangeEvents
public import Core
public import RuleEngine
public import Spine
public import Store

/// What operators ask of the alert worker.
public enum AlertCommand: Sendable {
    /// Rules and receivers were read anew and are right.
    case reload(rules: RuleSet, receivers: ReceiverDirectory)
    /// A delivery that was given up goes back to the outbox.
    case requeueDelivery(letter: DeadLetterRecord, by: String)
    /// A dead letter is thrown away.
    case discard(letter: DeadLetterRecord, by: String)
}

/// What a command came to.
public enum AlertReply: Sendable, Equatable {
    /// Done; the text says what changed.
    case done(String)
}

/// The alert worker's policy: rules judge rows, transitions become outbox rows. A synchronous value.
public struct AlertDecider: Decider {
    var rules: RuleSet
    var evaluator: RuleEvaluator
    var announcer: Announcer
    var directory: RuleDirectory
    /// Whom the open episodes were told to.
    var told: [Fingerprint: [StoredAlert.Told]] = [:]
    let metrics: AlertWorkerMetrics
    public private(set) var catalogVersion = 0
    private var health: HealthNotes
    private var forgotten = (newestRows: 0, episodes: 0)

    /// Makes a decider that has loaded nothing yet.
    public init(rules: RuleSet, receivers: ReceiverDirectory, metrics: AlertWorkerMetrics) {
        self.rules = rules
        self.metrics = metrics
        evaluator = RuleEvaluator(rules: rules)
        announcer = Announcer(receivers: receivers)
        directory = RuleDirectory(rules: rules)
        health = HealthNotes(rules: rules)
    }

    public var catalog: TableCatalog { rules.catalog }
    public var ruleHashes: [String: String] {
        Dictionary(rules.rules.map { ($0.name, $0.hash) }, uniquingKeysWith: { first, _ in first })
    }

    /// Takes over what is stored: open alerts, episodes, who was told.
    public mutating func load(from reader: any StoreReader) throws {
        var open: [Alert] = []
        try reader.forEachOpenAlert { record in
            let stored = try StoredAlert(record: record)
            if !stored.told.isEmpty { told[stored.alert.fingerprint] = stored.told }
            open.append(stored.alert)
        }
        var episodes: [Fingerprint: UInt32] = [:]
        try reader.forEachClosedEpisode { fingerprint, episode in
            episodes[Fingerprint(bytes: fingerprint)] = UInt32(truncatingIfNeeded: episode)
        }
        evaluator.restore(open: open, episodes: episodes)
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
        return decision(from: output, raw: nil, context: context)
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
    private mutating func judge(_ facts: [HealthFact], context: DecisionContext, _ changes: inout Changes) {
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
        let open = rules.rules.flatMap { evaluator.open(rule: $0.name) }.filter {
            $0.isBootstrap && $0.state == .firing
        }
        let announcement = announcer.announceOpen(open, rules: directory, now: context.now)
        metrics.count(announcement)
        var changes = Changes()
        changes.rows = announcement.rows
        judge(health.fresh(announcement.problems), context: context, &changes)
        return changes.decision
    }

    /// Carries out a command.
    public mutating func perform(
        _ command: AlertCommand, context: DecisionContext
    ) -> (decision: Decision?, reply: AlertReply) {
        let now = context.now
        switch command {
        case .reload(let rules, let receivers): return reload(rules, receivers: receivers, context: context)
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
        let removed = Set(announcer.profiles.keys).subtracting(receivers.profiles.keys)
        rules = new
        announcer = Announcer(receivers: receivers)
        directory = RuleDirectory(rules: new)
        catalogVersion += 1
        var changes = Changes()
        _ = add(output, raw: nil, rules: old, context: context, &changes)
        // What was wrong with rules, texts and recipients may be right now; what is not says so again.
        let said = health.takeStated(open: openHealthAlerts)
        health = HealthNotes(rules: new)
        judge(said, context: context, &changes)
        let decision = changes.decision
        let closed = output.transitions.filter { $0.kind == .resolved }.count
        var text = "\(new.rules.count) rules are loaded"
        if closed > 0 { text += "; \(closed) alerts were resolved by the edit" }
        if !removed.isEmpty { text += "; receivers removed: \(removed.sorted().joined(separator: ", "))" }
        return (decision, .done(text))
    }

    // MARK: - From evaluation to a decision

    private mutating func decision(
        from output: EvaluationOutput, raw: RawBatch?, context: DecisionContext
    ) -> Decision? {
        var changes = Changes()
        let problems = add(output, raw: raw, rules: directory, context: context, &changes)
        judge(health.fresh(problems), context: context, &changes)
        return changes.decision
    }

    /// Adds what an evaluation came to: alerts, history, outbox rows, errors.
    /// - Returns: what went wrong with rules, their texts and recipients, for the operator.
    private mutating func add(
        _ output: EvaluationOutput, raw: RawBatch?, rules: RuleDirectory, context: DecisionContext,
        _ changes: inout Changes
    ) -> [HealthFact] {
        metrics.count(output)
        guard !output.isEmpty else { return [] }
        let announcement = announcer.announce(
            output.transitions, rules: rules, told: { [told] in told[$0] ?? [] },
            openCount: { [evaluator] in evaluator.openCount(rule: $0) }, isBootstrap: context.isBootstrap,
            now: context.now)
        for (fingerprint, receivers) in announcement.told { told[fingerprint] = receivers.isEmpty ? nil : receivers }
        metrics.count(announcement)
        for alert in output.changed {
            let isOpen = alert.isOpen
            changes.alerts.append(
                StoredAlert(alert: alert, told: told[alert.fingerprint] ?? []).record(isOpen: isOpen))
            if !isOpen { told[alert.fingerprint] = nil }
        }
        changes.removed += output.removed.map(\.bytes)
        changes.transitions += output.transitions.map { TransitionRecord($0, recordedAt: context.now) }
        changes.rows += announcement.rows
        changes.errors += output.errors.map { EvaluationErrorRecord($0) }
        changes.letters += output.errors.map { DeadLetterRecord($0, raw: raw, now: context.now) }
        let errors = output.errors.filter { $0.table != HealthTable.name }.map { error in
            let place = error.position.map { " (\($0))" } ?? ""
            return HealthFact(
                component: HealthNotes.rule, subject: error.rule, isHealthy: false,
                detail: "\(error.field): \(error.reason)\(place); the alert keeps its state")
        }
        return errors + announcement.problems
    }
}

/// What a decision writes, as records.
private struct Changes: Sendable {
    var alerts: [AlertRecord] = []
    var removed: [[UInt8]] = []
    var transitions: [TransitionRecord] = []
    var rows: [OutboxRecord] = []
    var errors: [EvaluationErrorRecord] = []
    var letters: [DeadLetterRecord] = []

    /// Open dead letters of evaluation kept per rule and reason; the evaluation log counts the others.
    private static let lettersPerRule = 20

    var byteCount: Int {
        alerts.reduce(0) { $0 + $1.bytes.count + 200 } + rows.reduce(0) { $0 + $1.payload.count + 400 }
            + transitions.count * 300 + letters.reduce(errors.count * 200) { $0 + $1.byteCount + 200 }
    }

    /// Nil where nothing changes.
    var decision: Decision? {
        let isEmpty =
            alerts.isEmpty && removed.isEmpty && transitions.isEmpty && rows.isEmpty && errors.isEmpty
            && letters.isEmpty
        guard !isEmpty else { return nil }
        let changes = self
        return Decision(byteCount: byteCount, hasOutboxRows: rows.contains { $0.state == .waiting }) { transaction in
            try changes.apply(to: transaction)
        }
    }

    func apply(to transaction: any StoreTransaction) throws {
        for alert in alerts { try transaction.upsertAlert(alert) }
        for fingerprint in removed { try transaction.deleteAlert(fingerprint: fingerprint) }
        for transition in transitions { try transaction.insertTransition(transition) }
        for row in rows { _ = try transaction.insertOutbox(row) }
        for error in errors { try transaction.addEvaluationErrors(error) }
        for letter in letters {
            let open = try transaction.deadLetters(
                DeadLetterQuery(
                    kind: .evaluation, state: .open, receiver: nil, rule: letter.rule, beforeId: nil,
                    countMax: Changes.lettersPerRule))
            if open.count < Changes.lettersPerRule, !open.contains(where: { $0.reason == letter.reason }) {
                try transaction.insertDeadLetter(letter)
            }
        }
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
