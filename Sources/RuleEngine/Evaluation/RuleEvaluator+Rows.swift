internal import CEL
internal import ChangeEvents
internal import Core
internal import Templates

/// One row and one rule, beyond the hot loop.
struct RowContext {
    var event: ChangeEvent
    var keySet: Int
    var rule: Int
    /// Hash of the key.
    var hash: UInt64
}

extension RuleEvaluator {
    /// Judges a row that holds, has the third outcome, has a due time, or touches an open alert.
    mutating func judgeRow(
        _ row: RowContext, _ verdicts: LevelVerdicts, _ frame: borrowing EvaluationFrame, _ batch: ChangeBatch,
        _ output: inout EvaluationOutput
    ) {
        let rule = rules.rules[row.rule]
        guard rule.policy.kind != .event else {
            notifyEvent(row, rule, verdicts, frame, batch, &output)
            return
        }
        let slot = findSlot(row, frame.spaces.1, batch)
        var deadline: (until: Verdict, due: DueTime) = (.no, .none)
        var opens = Severity.allCases.contains { verdicts[$0] == .yes }
        if rule.policy.kind == .deadline {
            deadline = judgeDeadline(row, rule, frame, batch, &output)
            if case .at = deadline.due { opens = deadline.until == .no } else { opens = false }
        }
        guard slot != nil || opens, let slot = slot ?? openSlot(row, rule, frame.spaces.1, batch, &output),
            var alert = states[row.rule].alerts[Int(slot)]
        else { return }
        let before = alert
        let machine = states[row.rule].machine
        let cause = position(of: row.event, batch)
        _ = machine.runTimers(
            &alert, upTo: row.event.commitTime, versionFloor: .max, isBootstrap: isBootstrapping,
            into: &output.transitions)
        if !alert.isOpen, before.isOpen {
            // A hold was over: what the row says now is about a new alert.
            guard opens else {
                settle(alert, before: before, rule: row.rule, slot: slot, &output)
                return
            }
            alert = alert.succeeded(at: row.event.commitTime)
        }
        noteRow(&alert, row, rule)
        let texts = RowTexts(rule: rule, frame: copy frame)
        let moment = AlertStateMachine.Moment(
            time: row.event.commitTime, cause: cause, isBootstrap: isBootstrapping, refresh: texts.refresh)
        var resetErrors: [EvaluationError] = []
        let reset = { (severity: Severity) -> Verdict? in
            texts.reset(severity, onError: rule.onError, errors: &resetErrors)
        }
        switch (rule.policy.kind, rule.policy.across) {
        case (.deadline, _):
            machine.judge(&alert, until: deadline.until, due: deadline.due, at: moment, into: &output.transitions)
        case (_, .any):
            machine.judgeRow(
                &alert, digest: row.event.rowKeyHash, verdicts: verdicts, reset: reset, at: moment,
                into: &output.transitions)
        case (_, .latest):
            machine.judge(&alert, verdicts: verdicts, reset: reset, at: moment, into: &output.transitions)
        }
        for error in resetErrors { report(error, field: "reset", row.rule, row.event, batch, &output) }
        for error in texts.errors { report(error, field: "recipient", row.rule, row.event, batch, &output) }
        settle(alert, before: before, rule: row.rule, slot: slot, &output)
    }

    // MARK: - Which alert

    private func findSlot(_ row: RowContext, _ image: UnsafePointer<SlotValue>?, _ batch: ChangeBatch) -> Int32? {
        let set = keySets[row.keySet]
        return set.open.find(row.hash, rule: Int32(row.rule)) { slot in
            // The row key's hash is its identity; other keys are compared by their texts.
            guard !set.isRowKey, let image, let alert = states[row.rule].alerts[Int(slot)] else { return true }
            return alert.keyTexts == set.texts(image, batch.arena)
        }
    }

    /// A slot for an alert that is about to open; nil above `alerts_max`.
    private mutating func openSlot(
        _ row: RowContext, _ rule: Rule, _ image: UnsafePointer<SlotValue>?, _ batch: ChangeBatch,
        _ output: inout EvaluationOutput
    ) -> Int32? {
        guard states[row.rule].openCount < rule.alertsMax else {
            states[row.rule].counters.overflowed += 1
            raiseOverflow(row.rule, at: row.event.commitTime, cause: position(of: row.event, batch), &output)
            return nil
        }
        guard let image else { return nil }
        var alert = Alert(
            rule: rule.name, table: rule.table, owner: rule.owner, keyColumns: rule.keyColumns,
            keyTexts: keySets[row.keySet].texts(image, batch.arena), at: row.event.commitTime)
        alert.episode = episodes.episode(of: alert.fingerprint)
        return insert(alert, rule: row.rule, hash: row.hash)
    }

    /// Puts an alert into its rule's table without telling anyone.
    mutating func insert(_ alert: Alert, rule: Int, hash: UInt64) -> Int32 {
        let slot: Int32
        if let free = states[rule].freeSlots.popLast() {
            slot = free
            states[rule].alerts[Int(slot)] = alert
            states[rule].keyHashes[Int(slot)] = hash
        } else {
            slot = Int32(states[rule].alerts.count)
            states[rule].alerts.append(alert)
            states[rule].keyHashes.append(hash)
        }
        states[rule].openCount += 1
        keySets[states[rule].keySet].open.insert(hash, rule: Int32(rule), slot: slot)
        return slot
    }

    /// Notes which row speaks for the alert now.
    private func noteRow(_ alert: inout Alert, _ row: RowContext, _ rule: Rule) {
        if rule.isKeyedByRow {
            // Only which row it is: its order is the row memory's business.
            alert.newestRow = NewestRow(digest: row.event.rowKeyHash, eventTime: .epoch, version: 0)
            return
        }
        if rule.policy.across == .any || row.event.isLate {
            return
        }
        alert.newestRow = NewestRow(
            digest: row.event.rowKeyHash, eventTime: row.event.eventTime, version: row.event.version)
    }

    // MARK: - After a change

    /// Takes over what became of an alert: keeps it, or closes it and remembers its episode; tells the output.
    mutating func settle(
        _ alert: Alert, before: Alert, rule: Int, slot: Int32, _ output: inout EvaluationOutput
    ) {
        reindexRows(alert, before: before, rule: rule, slot: slot)
        if alert.isOpen {
            states[rule].alerts[Int(slot)] = alert
            if alert != before { output.set(alert, of: alert.fingerprint) }
            schedule(alert, rule: rule, slot: slot)
            return
        }
        let set = states[rule].keySet
        keySets[set].open.remove(states[rule].keyHashes[Int(slot)], rule: Int32(rule), slot: slot)
        states[rule].alerts[Int(slot)] = nil
        states[rule].freeSlots.append(slot)
        states[rule].openCount -= 1
        if alert.episode > 0 {
            episodes.set(alert.episode, of: alert.fingerprint)
            if alert != before { output.set(alert, of: alert.fingerprint) }
        } else if before.state != .inactive {
            output.set(nil, of: alert.fingerprint)
        }
        lowerOverflow(rule, at: alert.changedAt, &output)
    }

    /// Keeps the index from rows to alerts: the newest row, or all that breach.
    private mutating func reindexRows(_ alert: Alert, before: Alert, rule: Int, slot: Int32) {
        let set = states[rule].keySet
        guard !keySets[set].isRowKey else { return }
        let old = rowDigests(before)
        let new = alert.isOpen ? rowDigests(alert) : []
        guard old != new else { return }
        for digest in old { keySets[set].byRow.remove(digest, rule: Int32(rule), slot: slot) }
        for digest in new { keySets[set].byRow.insert(digest, rule: Int32(rule), slot: slot) }
    }

    func rowDigests(_ alert: Alert) -> [UInt64] {
        alert.breachingRows.map(\.digest) + (alert.newestRow.map { [$0.digest] } ?? [])
    }

    // MARK: - Deletes and key changes

    /// A row was deleted: holds the alerts that stand on it, and lets event rules match it.
    mutating func judgeDelete(
        _ event: ChangeEvent, _ set: Int, _ frame: inout EvaluationFrame, _ batch: ChangeBatch,
        _ output: inout EvaluationOutput
    ) {
        for index in keySets[set].rules {
            if event.isLate, !hot[index].acceptsLate { continue }
            let rule = Int(hot[index].rule)
            if hot[index].kind == .event {
                judgeDeletedEvent(event, set, index, frame, batch, &output)
                continue
            }
            states[rule].counters.judged += 1
            let slots =
                keySets[set].isRowKey
                ? keySets[set].open.slots(event.rowKeyHash, rule: Int32(rule))
                : keySets[set].byRow.slots(event.rowKeyHash, rule: Int32(rule))
            for slot in slots { holdDelete(event, rule: rule, slot: slot, &output) }
        }
    }

    private mutating func judgeDeletedEvent(
        _ event: ChangeEvent, _ set: Int, _ index: Int, _ frame: borrowing EvaluationFrame, _ batch: ChangeBatch,
        _ output: inout EvaluationOutput
    ) {
        let rule = Int(hot[index].rule)
        states[rule].counters.judged += 1
        let hash: UInt64? =
            keySets[set].isRowKey ? event.rowKeyHash : frame.spaces.0.flatMap { keySets[set].hash($0, batch.arena) }
        guard let hash else {
            states[rule].counters.keyUnknown += 1
            return
        }
        var verdicts = LevelVerdicts(all: .no)
        var absorbed = 0
        for level in Int(hot[index].levelStart)..<Int(hot[index].levelEnd) {
            switch levels[level].when.evaluateCondition(frame, absorbed: &absorbed) {
            case .isFalse: continue
            case .isTrue: verdicts[levels[level].severity] = .yes
            case .unknown(let error):
                verdicts[levels[level].severity] = thirdOutcome(
                    error, field: "when", rule, hot[index].onError, event, frame, batch, &output)
            }
        }
        states[rule].counters.absorbed += absorbed
        let row = RowContext(event: event, keySet: set, rule: rule, hash: hash)
        notifyEvent(row, rules.rules[rule], verdicts, frame, batch, &output)
    }

    /// The row has another key now: for the alerts of its old key it is deleted.
    mutating func leaveOldKeys(
        _ event: ChangeEvent, _ set: Int, _ hash: UInt64, _ batch: ChangeBatch, _ output: inout EvaluationOutput
    ) {
        for index in keySets[set].rules {
            let rule = Int(hot[index].rule)
            for slot in keySets[set].byRow.slots(event.rowKeyHash, rule: Int32(rule))
            where states[rule].keyHashes[Int(slot)] != hash {
                holdDelete(event, rule: rule, slot: slot, &output)
            }
        }
    }

    private mutating func holdDelete(
        _ event: ChangeEvent, rule: Int, slot: Int32, _ output: inout EvaluationOutput
    ) {
        guard var alert = states[rule].alerts[Int(slot)] else { return }
        let before = alert
        let machine = states[rule].machine
        _ = machine.runTimers(
            &alert, upTo: event.commitTime, versionFloor: .max, isBootstrap: isBootstrapping,
            into: &output.transitions)
        if machine.policy.across == .any {
            machine.holdDelete(&alert, digest: event.rowKeyHash, version: event.version, at: event.commitTime)
        } else if alert.holdUntil == nil {
            machine.holdDelete(&alert, version: event.version, at: event.commitTime)
        }
        settle(alert, before: before, rule: rule, slot: slot, &output)
    }

    // MARK: - Events

    private mutating func notifyEvent(
        _ row: RowContext, _ rule: Rule, _ verdicts: LevelVerdicts, _ frame: borrowing EvaluationFrame,
        _ batch: ChangeBatch, _ output: inout EvaluationOutput
    ) {
        guard let severity = Severity.allCases.last(where: { verdicts[$0] == .yes }),
            let image = frame.spaces.1 ?? frame.spaces.0
        else { return }
        var alert = Alert(
            rule: rule.name, table: rule.table, owner: rule.owner, keyColumns: rule.keyColumns,
            keyTexts: keySets[row.keySet].texts(image, batch.arena), at: row.event.commitTime)
        let episode = episodes.episode(of: alert.fingerprint) + 1
        episodes.set(episode, of: alert.fingerprint)
        let texts = RowTexts(rule: rule, frame: copy frame)
        let moment = AlertStateMachine.Moment(
            time: row.event.commitTime, cause: position(of: row.event, batch), isBootstrap: isBootstrapping,
            refresh: texts.refresh)
        states[row.rule].machine.notify(
            &alert, severity: severity, episode: episode, at: moment, into: &output.transitions)
        for error in texts.errors { report(error, field: "recipient", row.rule, row.event, batch, &output) }
        output.set(alert, of: alert.fingerprint)
    }

    // MARK: - Deadlines

    private mutating func judgeDeadline(
        _ row: RowContext, _ rule: Rule, _ frame: borrowing EvaluationFrame, _ batch: ChangeBatch,
        _ output: inout EvaluationOutput
    ) -> (Verdict, DueTime) {
        var until = Verdict.no
        var absorbed = 0
        if let program = rule.until {
            switch program.evaluateCondition(frame, absorbed: &absorbed) {
            case .isFalse: until = .no
            case .isTrue: until = .yes
            case .unknown(let error):
                until = thirdOutcome(error, field: "until", row.rule, rule.onError, row.event, frame, batch, &output)
            }
        }
        states[row.rule].counters.absorbed += absorbed
        guard let program = rule.deadline, until != .yes else { return (until, .none) }
        do throws(EvaluationError) {
            switch try program.evaluate(frame) {
            case .timestamp(let time): return (until, .at(time.timestamp))
            case .null: return (until, .none)
            default:
                let error = EvaluationError(kind: .notACondition, message: "the deadline is no timestamp")
                report(error, field: "deadline", row.rule, row.event, batch, &output)
                return (until, .unknown)
            }
        } catch {
            switch error.kind {
            case .nullValue, .missing: return (until, .none)
            default:
                report(error, field: "deadline", row.rule, row.event, batch, &output)
                return (until, .unknown)
            }
        }
    }
}

extension Alert {
    /// The alert of the same key before its next episode.
    fileprivate func succeeded(at time: Timestamp) -> Alert {
        var next = Alert(
            rule: rule, table: table, owner: owner, keyColumns: keyColumns, keyTexts: keyTexts, at: time)
        next.episode = episode
        return next
    }
}

/// What an alert takes from the row it is judged by.
final class RowTexts {
    private let rule: Rule
    private let frame: EvaluationFrame
    /// Errors of the recipient's expression.
    private(set) var errors: [EvaluationError] = []

    init(rule: Rule, frame: EvaluationFrame) {
        self.rule = rule
        self.frame = frame
    }

    /// Stores the texts of columns; labels and recipient too while the episode is open for them.
    func refresh(_ alert: inout Alert, isEpisodeOpen: Bool) {
        for column in rule.textColumns {
            let space: UnsafePointer<SlotValue>? =
                switch column.slot.space {
                case RuleScope.beforeSpace: frame.spaces.0
                case RuleScope.afterSpace: frame.spaces.1
                default: frame.spaces.2
                }
            guard let value = space?[Int(column.slot.index)] else {
                alert.columns[column.path] = ColumnText(kind: .unknown, text: "")
                continue
            }
            alert.columns[column.path] = ColumnText(kind: value.kind, text: value.display(in: frame.arena) ?? "")
        }
        guard isEpisodeOpen else { return }
        alert.labels = [:]
        for label in rule.labels {
            alert.labels[label.name] = label.template.render(frame, alert: alert, locale: nil).text
        }
        alert.recipient = recipient()
    }

    private func recipient() -> String? {
        guard let program = rule.recipient else { return nil }
        do throws(EvaluationError) {
            switch try program.evaluate(frame) {
            case .string(let address): return address.isEmpty ? nil : address
            case .null: return nil
            default: errors.append(EvaluationError(kind: .notACondition, message: "the recipient is no text"))
            }
        } catch {
            errors.append(error)
        }
        return nil
    }

    /// The verdict of a level's reset; nil where it has none.
    func reset(_ severity: Severity, onError: Rule.OnError, errors: inout [EvaluationError]) -> Verdict? {
        guard let program = rule.levels.first(where: { $0.severity == severity })?.reset else { return nil }
        var absorbed = 0
        switch program.evaluateCondition(frame, absorbed: &absorbed) {
        case .isTrue: return .yes
        case .isFalse: return .no
        case .unknown(let error):
            errors.append(error)
            return onError == .report ? .unknown : .no
        }
    }
}
