internal import Alerting
internal import ChangeEvents
internal import Core
internal import RuleEngine
internal import Spine
internal import Store

/// The open alerts as the engine looks them up: those of rules, and pushed ones.
struct OpenAlerts: AlertPool {
    let evaluator: RuleEvaluator
    let pushed: PushedAlerts

    func locator(of alert: Alert) -> UInt64 {
        alert.rule == PushedAlerts.rule ? 0 : evaluator.locator(of: alert)
    }

    func alert(at place: AlertPlace) -> Alert? {
        place.rule == PushedAlerts.rule
            ? pushed.alert(place.fingerprint)
            : evaluator.alert(place.fingerprint, rule: place.rule, locator: place.locator)
    }
}

extension ReceiverDirectory {
    /// What the engine needs of the receivers, the routes and the rules.
    func alerting(_ rules: RuleDirectory) -> AlertingConfiguration {
        AlertingConfiguration(
            policy: policy, profiles: profiles, operatorReceiver: operatorReceiver, rules: rules.profiles)
    }
}

extension AlertDecider {
    mutating func decision(from output: EvaluationOutput, raw: RawBatch?, context: DecisionContext) -> Decision? {
        var changes = Changes()
        let problems = add(output, raw: raw, rules: directory, context: context, &changes)
        judge(health.fresh(problems), context: context, &changes)
        return changes.decision
    }

    /// Adds what an evaluation came to: alerts, history, outbox rows, errors.
    /// - Returns: what went wrong with rules, their texts and recipients, for the operator.
    mutating func add(
        _ output: EvaluationOutput, raw: RawBatch?, rules: RuleDirectory, context: DecisionContext,
        _ changes: inout Changes
    ) -> [HealthFact] {
        metrics.count(output)
        guard !output.isEmpty else { return [] }
        let problems = tell(
            output.transitions, changed: output.changed, rules: rules, context: context, &changes)
        changes.removed += output.removed.map(\.bytes)
        changes.errors += output.errors.map { EvaluationErrorRecord($0) }
        changes.letters += output.errors.map { DeadLetterRecord($0, raw: raw, now: context.now) }
        let errors = output.errors.filter { $0.table != HealthTable.name }.map { error in
            let place = error.position.map { " (\($0))" } ?? ""
            return HealthFact(
                component: HealthNotes.rule, subject: error.rule, isHealthy: false,
                detail: "\(error.field): \(error.reason)\(place); the alert keeps its state")
        }
        return errors + problems
    }

    /// Adds what became of pushed alerts.
    mutating func add(
        _ output: PushedAlerts.Output, context: DecisionContext, _ changes: inout Changes
    ) -> [HealthFact] {
        tell(output.transitions, changed: output.changed, rules: directory, context: context, &changes)
    }

    /// Lets the engine decide who is told of changes, and adds what is to be stored.
    private mutating func tell(
        _ transitions: [Transition], changed: [Alert], rules: RuleDirectory, context: DecisionContext,
        _ changes: inout Changes
    ) -> [HealthFact] {
        changes.transitions += transitions.map { TransitionRecord($0, recordedAt: context.now) }
        guard transitions.contains(where: { $0.kind != .pending && $0.kind != .pendingEnded }) else {
            for alert in changed { store(alert, &changes) }
            return []
        }
        let output = engine.handle(
            transitions, alerts: pool, now: context.routerClock, isBootstrap: context.isBootstrap)
        return take(output, changed: changed, rules: rules, context: context, &changes)
    }

    /// Adds what the engine decided.
    /// - Parameter changed: alerts to be stored in any case, as they are now.
    mutating func take(
        _ output: EngineOutput, changed: [Alert], rules: RuleDirectory, context: DecisionContext,
        _ changes: inout Changes
    ) -> [HealthFact] {
        for alert in changed { store(alert, &changes) }
        if !output.touched.isEmpty {
            let stored = Set(changed.map(\.fingerprint))
            let pool = pool
            for place in output.touched where !stored.contains(place.fingerprint) {
                if let alert = pool.alert(at: place) { store(alert, &changes) }
            }
        }
        let written = writer.write(output.messages, rules: rules, now: context.now)
        changes.rows += written.rows
        changes.states += output.states
        changes.decisions += output.decisions.map { DecisionRecord($0, recordedAt: context.now) }
        metrics.count(written.rows, recipientProblems: output.problems.count)
        let problems = output.problems.map {
            HealthFact(component: $0.component, subject: $0.rule, isHealthy: false, detail: $0.detail)
        }
        return problems + written.problems
    }

    private func store(_ alert: Alert, _ changes: inout Changes) {
        let membership = alert.isOpen ? engine.membership(of: alert.fingerprint) ?? .none : .none
        changes.alerts.append(StoredAlert(alert: alert, membership: membership).record(isOpen: alert.isOpen))
    }

    // MARK: - Commands

    /// Carries out what people and programs ask of alerts.
    mutating func performAlerting(
        _ command: AlertCommand, context: DecisionContext
    ) -> (decision: Decision?, reply: AlertReply) {
        var changes = Changes()
        let reply: AlertReply
        switch command {
        case .acknowledge(let fingerprint, let by, let comment, let until, let from):
            reply = perform(
                .acknowledge(fingerprint, by: by, comment: comment, until: until), context: context, &changes,
                audit: AuditRecord(
                    at: context.now, actor: by, origin: from, action: "acknowledge", subject: "\(fingerprint)",
                    detail: [until.map { "until \($0)" }, comment].compactMap { $0 }.joined(separator: "; ")))
        case .unacknowledge(let fingerprint, let by, let from):
            reply = perform(
                .unacknowledge(fingerprint, by: by), context: context, &changes,
                audit: AuditRecord(
                    at: context.now, actor: by, origin: from, action: "unacknowledge", subject: "\(fingerprint)",
                    detail: ""))
        case .putSilence(let silence, let by, let from):
            reply = perform(
                .putSilence(silence), context: context, &changes,
                audit: AuditRecord(
                    at: context.now, actor: by, origin: from, action: "put-silence", subject: silence.id,
                    detail: "\(silence.expression) from \(silence.startsAt) to \(silence.endsAt); \(silence.comment)"))
        case .expireSilence(let id, let by, let from):
            reply = perform(
                .expireSilence(id: id), context: context, &changes,
                audit: AuditRecord(
                    at: context.now, actor: by, origin: from, action: "expire-silence", subject: id, detail: ""))
        case .push(let alerts, let by, let from):
            let output = pushed.push(alerts, now: context.routerClock)
            let problems = add(output, context: context, &changes)
            judge(health.fresh(problems), context: context, &changes)
            if !output.transitions.isEmpty {
                changes.audits.append(
                    AuditRecord(
                        at: context.now, actor: by, origin: from, action: "push", subject: "",
                        detail: "\(alerts.count) alerts, \(output.transitions.count) changes"))
            }
            reply = .done("\(alerts.count) alerts, \(output.transitions.count) changes")
        case .reload, .requeueDelivery, .discard: reply = .refused("not a command about alerts")
        }
        return (changes.decision, reply)
    }

    private mutating func perform(
        _ command: EngineCommand, context: DecisionContext, _ changes: inout Changes, audit: AuditRecord
    ) -> AlertReply {
        let (output, reply) = engine.perform(command, alerts: pool, now: context.routerClock)
        let problems = take(output, changed: [], rules: directory, context: context, &changes)
        judge(health.fresh(problems), context: context, &changes)
        switch reply {
        case .refused(let reason): return .refused(reason)
        case .done:
            changes.audits.append(audit)
            return .done(audit.action)
        case .silence(let id):
            changes.audits.append(audit)
            return .silence(id: id)
        }
    }
}

/// What a decision writes, as records.
struct Changes: Sendable {
    var alerts: [AlertRecord] = []
    var removed: [[UInt8]] = []
    var transitions: [TransitionRecord] = []
    var rows: [OutboxRecord] = []
    var errors: [EvaluationErrorRecord] = []
    var letters: [DeadLetterRecord] = []
    var states: [StateChange] = []
    var decisions: [DecisionRecord] = []
    var audits: [AuditRecord] = []

    /// Open dead letters of evaluation kept per rule and reason; the evaluation log counts the others.
    private static let lettersPerRule = 20

    var byteCount: Int {
        let told = rows.reduce(0) { $0 + $1.payload.count + 400 } + decisions.count * 200 + audits.count * 200
        let kept = states.reduce(0) { $0 + ($1.bytes?.count ?? 0) + 200 }
        return alerts.reduce(told + kept) { $0 + $1.bytes.count + 200 } + transitions.count * 300
            + letters.reduce(errors.count * 200) { $0 + $1.byteCount + 200 }
    }

    /// Nil where nothing changes.
    var decision: Decision? {
        let isEmpty =
            alerts.isEmpty && removed.isEmpty && transitions.isEmpty && rows.isEmpty && errors.isEmpty
            && letters.isEmpty && states.isEmpty && decisions.isEmpty && audits.isEmpty
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
        for state in states {
            if let bytes = state.bytes {
                try transaction.upsertState(
                    StateRecord(kind: state.kind.rawValue, key: state.key, dueAt: state.dueAt, bytes: bytes))
            } else {
                try transaction.deleteState(kind: state.kind.rawValue, key: state.key)
            }
        }
        for decision in decisions { try transaction.insertDecision(decision) }
        for audit in audits { try transaction.insertAudit(audit) }
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

extension DecisionRecord {
    init(_ note: DecisionNote, recordedAt: Timestamp) {
        self.init(
            fingerprint: note.fingerprint.bytes, episode: Int64(note.episode), at: note.at, recordedAt: recordedAt,
            receiver: note.receiver, recipient: note.recipient, decision: note.decision, detail: note.detail,
            path: note.routePath)
    }
}
