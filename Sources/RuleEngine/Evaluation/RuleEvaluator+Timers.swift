public import Core

extension RuleEvaluator {
    /// Runs all timers of a table up to its clock, each at the time it was due.
    ///
    /// - Parameter versionFloor: the lowest newest version among the table's partitions that are not at their end;
    ///   `Int64.max` where all are. A delete resolves an alert only when its version is below it.
    public mutating func advance(
        table: Int, to time: Timestamp, versionFloor: Int64, output: inout EvaluationOutput
    ) {
        guard tables.indices.contains(table) else { return }
        let waiting = tables[table].heldBack
        tables[table].heldBack = []
        for entry in waiting { run(entry, table, versionFloor, &output) }
        while let entry = tables[table].timers.pop(upTo: time.milliseconds) {
            run(entry, table, versionFloor, &output)
        }
    }

    /// When the next timer of a table is due; nil where none runs.
    ///
    /// A hold that waits for a partition is not one: call ``advance(table:to:versionFloor:output:)`` when one moves on.
    public mutating func nextTimer(table: Int) -> Timestamp? {
        guard tables.indices.contains(table) else { return nil }
        while let entry = tables[table].timers.first {
            if isCurrent(entry) { return Timestamp(milliseconds: entry.time) }
            _ = tables[table].timers.pop(upTo: entry.time)
        }
        return nil
    }

    /// Whether a hold of a table waits for a partition.
    public func hasHeldBack(table: Int) -> Bool { tables.indices.contains(table) && !tables[table].heldBack.isEmpty }

    private func isCurrent(_ entry: TimerQueue.Entry) -> Bool {
        let state = states[Int(entry.rule)]
        guard let alert = state.alerts[Int(entry.slot)], alert.fingerprint.words.0 == entry.fingerprint else {
            return false
        }
        return state.machine.nextTimer(of: alert)?.milliseconds == entry.time
    }

    private mutating func run(
        _ entry: TimerQueue.Entry, _ table: Int, _ versionFloor: Int64, _ output: inout EvaluationOutput
    ) {
        let rule = Int(entry.rule)
        guard isCurrent(entry), var alert = states[rule].alerts[Int(entry.slot)] else { return }
        let before = alert
        let outcome = states[rule].machine.runTimers(
            &alert, upTo: Timestamp(milliseconds: entry.time), versionFloor: versionFloor,
            isBootstrap: isBootstrapping, into: &output.transitions)
        if outcome == .heldBack {
            tables[table].heldBack.append(entry)
            return
        }
        settle(alert, before: before, rule: rule, slot: entry.slot, &output)
    }

    mutating func schedule(_ alert: Alert, rule: Int, slot: Int32) {
        guard let due = states[rule].machine.nextTimer(of: alert) else { return }
        let entry = TimerQueue.Entry(
            time: due.milliseconds, rule: Int32(rule), slot: slot, fingerprint: alert.fingerprint.words.0)
        tables[rules.rules[rule].tableIndex].timers.push(entry)
    }

    /// Drops timers that were replaced, once they are the most.
    mutating func compactTimers(_ table: Int) {
        let openCount = tables[table].keySets.reduce(0) { $0 + keySets[$1].open.count }
        guard tables[table].timers.count > 2 * openCount + 1024 else { return }
        var seen: Set<TimerKey> = []
        let states = states
        tables[table].timers.compact { entry in
            guard let alert = states[Int(entry.rule)].alerts[Int(entry.slot)],
                alert.fingerprint.words.0 == entry.fingerprint,
                states[Int(entry.rule)].machine.nextTimer(of: alert)?.milliseconds == entry.time
            else { return false }
            return seen.insert(TimerKey(rule: entry.rule, slot: entry.slot)).inserted
        }
    }

    private struct TimerKey: Hashable {
        var rule: Int32
        var slot: Int32
    }

    // MARK: - Overflow

    mutating func raiseOverflow(
        _ rule: Int, at time: Timestamp, cause: EventPosition?, _ output: inout EvaluationOutput
    ) {
        guard states[rule].overflow == nil else { return }
        var alert = Alert(
            rule: rules.rules[rule].name, table: rules.rules[rule].table, owner: rules.rules[rule].owner,
            keyColumns: [OverflowAlert.keyColumn], keyTexts: [OverflowAlert.keyText], at: time)
        alert.episode = episodes.episode(of: alert.fingerprint)
        let moment = AlertStateMachine.Moment(
            time: time, cause: cause, isBootstrap: isBootstrapping, refresh: nil)
        states[rule].machine.fire(
            &alert, at: .error, reason: OverflowAlert.fired, moment: moment, into: &output.transitions)
        states[rule].overflow = alert
        output.set(alert, of: alert.fingerprint)
    }

    /// Resolves the overflow alert when a tenth of the places is free again.
    mutating func lowerOverflow(_ rule: Int, at time: Timestamp, _ output: inout EvaluationOutput) {
        guard states[rule].overflow != nil,
            states[rule].openCount <= rules.rules[rule].alertsMax - max(1, rules.rules[rule].alertsMax / 10)
        else { return }
        resolveOverflow(rule, at: time, reason: OverflowAlert.resolved, &output)
    }

    mutating func resolveOverflow(
        _ rule: Int, at time: Timestamp, reason: String, _ output: inout EvaluationOutput
    ) {
        guard var alert = states[rule].overflow else { return }
        let moment = AlertStateMachine.Moment(time: time, cause: nil, isBootstrap: false, refresh: nil)
        states[rule].machine.resolve(&alert, reason: reason, moment: moment, into: &output.transitions)
        states[rule].overflow = nil
        episodes.set(alert.episode, of: alert.fingerprint)
        output.set(alert, of: alert.fingerprint)
    }
}
