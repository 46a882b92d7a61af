public import Core

/// What an edit of the rules does to one rule, as `rules plan` shows it.
public struct RuleEdit: Sendable, Equatable {
    /// The kind of edit.
    public enum Kind: String, Sendable {
        case unchanged, added
        /// Conditions, levels or times: open alerts stay open and are judged by their next row.
        case changed
        /// The key, the table or the kind: open alerts are resolved.
        case rekeyed
        /// Open alerts are resolved.
        case removed
    }

    public var rule: String
    public var kind: Kind
    /// Pending and firing alerts of the rule.
    public var openCount: Int
}

extension RuleEvaluator {
    static let ruleRemoved = "rule removed"
    static let keyChanged = "key of the rule changed"

    /// Takes over stored alerts: open ones, and the episode numbers of closed ones. Call once, before the first batch.
    ///
    /// Alerts whose rule is gone or has another key are kept aside for ``settle(at:output:)``.
    public mutating func restore(open: [Alert], episodes numbers: [Fingerprint: UInt32]) {
        for (fingerprint, episode) in numbers.sorted(by: { $0.key < $1.key }) { episodes.set(episode, of: fingerprint) }
        let places = Dictionary(rules.rules.indices.map { (rules.rules[$0].name, $0) }) { first, _ in first }
        for alert in open where alert.isOpen { adopt(alert, places) }
    }

    /// Resolves the alerts given to ``restore(open:episodes:)`` whose rules were removed or got another key meanwhile.
    public mutating func settle(at time: Timestamp, output: inout EvaluationOutput) {
        for (alert, reason) in orphans { close(alert, reason: reason, at: time, &output) }
        orphans = []
    }

    private mutating func adopt(_ alert: Alert, _ places: [String: Int]) {
        guard let rule = places[alert.rule] else {
            orphans.append((alert, RuleEvaluator.ruleRemoved))
            return
        }
        if OverflowAlert.isOverflow(alert) {
            states[rule].overflow = alert
            return
        }
        let definition = rules.rules[rule]
        guard definition.takesOver(alert) else {
            orphans.append((alert, RuleEvaluator.keyChanged))
            return
        }
        var alert = alert
        for severity in Severity.allCases where !definition.policy.declares(severity) {
            alert.levelSince[Int(severity.rawValue)] = nil
        }
        let hash =
            definition.isKeyedByRow ? alert.newestRow?.digest ?? 0 : KeySet.hash(texts: alert.keyTexts)
        let slot = insert(alert, rule: rule, hash: hash)
        let set = states[rule].keySet
        if !definition.isKeyedByRow {
            for digest in rowDigests(alert) { keySets[set].byRow.insert(digest, rule: Int32(rule), slot: slot) }
            if keySets[set].ordersRows, let row = alert.newestRow { keySets[set].newest.seed(hash: hash, row: row) }
        }
        schedule(alert, rule: rule, slot: slot)
    }

    private mutating func close(
        _ alert: Alert, reason: String, at time: Timestamp, _ output: inout EvaluationOutput
    ) {
        var alert = alert
        let machine = AlertStateMachine(policy: LevelPolicy(kind: .levels, levels: []))
        let moment = AlertStateMachine.Moment(time: time, cause: nil, isBootstrap: false, refresh: nil)
        if alert.state == .firing {
            machine.resolve(&alert, reason: reason, moment: moment, into: &output.transitions)
        } else {
            machine.endPending(&alert, reason: reason, moment: moment, into: &output.transitions)
        }
        episodes.set(alert.episode, of: alert.fingerprint)
        output.set(alert.episode > 0 ? alert : nil, of: alert.fingerprint)
    }

    /// What replacing the rules would do.
    public func plan(_ new: RuleSet) -> [RuleEdit] {
        var edits: [RuleEdit] = []
        for old in rules.rules {
            let kind: RuleEdit.Kind =
                switch new.rule(named: old.name) {
                case nil: .removed
                case let rule? where !old.keepsAlerts(as: rule): .rekeyed
                case let rule?: rule.hash == old.hash ? .unchanged : .changed
                }
            edits.append(RuleEdit(rule: old.name, kind: kind, openCount: openCount(rule: old.name)))
        }
        for rule in new.rules where rules.rule(named: rule.name) == nil {
            edits.append(RuleEdit(rule: rule.name, kind: .added, openCount: 0))
        }
        return edits.sorted { $0.rule < $1.rule }
    }

    /// Replaces the rules. Open alerts of rules that were removed or got another key, table or kind are resolved with
    /// that reason; those of other rules stay open and are judged by their next row.
    ///
    /// The catalog of the new rules may differ: batches decoded with the old one must be evaluated before.
    public mutating func replaceRules(_ new: RuleSet, at time: Timestamp, output: inout EvaluationOutput) {
        var kept: [Alert] = []
        for (index, rule) in rules.rules.enumerated() {
            let successor = new.rule(named: rule.name)
            let open = ([states[index].overflow] + Array(states[index].alerts)).compactMap { $0 }
                .sorted { $0.fingerprint < $1.fingerprint }
            if let successor, rule.keepsAlerts(as: successor) {
                kept += open
                continue
            }
            let reason = successor == nil ? RuleEvaluator.ruleRemoved : RuleEvaluator.keyChanged
            for alert in open { close(alert, reason: reason, at: time, &output) }
        }
        let old = self
        let counters = Dictionary(self.counters.map { ($0.rule, $0.counters) }) { first, _ in first }
        rules = new
        build()
        for index in keySets.indices where keySets[index].ordersRows {
            let table = tables.first { $0.keySets.contains(index) }?.name
            for other in old.keySets.indices
            where old.keySets[other].ordersRows && old.keySets[other].columns == keySets[index].columns
                && old.tables.first(where: { $0.keySets.contains(other) })?.name == table
            {
                keySets[index].newest = old.keySets[other].newest
            }
        }
        for index in rules.rules.indices {
            states[index].counters = counters[rules.rules[index].name] ?? RuleCounters()
        }
        restore(open: kept, episodes: [:])
        settle(at: time, output: &output)
    }
}

extension Rule {
    /// Whether open alerts may live on under an edited rule.
    func keepsAlerts(as other: Rule) -> Bool {
        table == other.table && keyColumns == other.keyColumns && isKeyedByRow == other.isKeyedByRow
            && policy.kind != .event && other.policy.kind != .event
    }
}
