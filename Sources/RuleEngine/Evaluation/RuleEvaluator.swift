internal import CEL
internal import ChangeEvents
public import Core

/// Judges change events by rules and keeps the open alerts. Pure and synchronous: no clock, no I/O.
///
/// A value, but not one to copy while it works: it holds all open alerts and the newest row of every shared key. After
/// a failed commit it is made again from the stored alerts and the checkpoint of its memory.
public struct RuleEvaluator: Sendable {
    /// Fingerprints whose episode numbers are kept after their alerts have closed; about 100 bytes each.
    public static let episodesMax = 200_000
    /// Keys per set of key columns whose newest row is kept; about 80 bytes each.
    public static let newestRowsMax = 500_000

    public internal(set) var rules: RuleSet
    /// While set, alerts that fire are marked as found at the first start.
    public var isBootstrapping = false
    var tables: ContiguousArray<TableRuntime> = []
    var keySets: ContiguousArray<KeySet> = []
    var hot: ContiguousArray<HotRule> = []
    var levels: ContiguousArray<HotLevel> = []
    var states: ContiguousArray<RuleState> = []
    /// Index of each rule by its name.
    var places: [String: Int] = [:]
    var episodes = EpisodeMemory(fingerprintsMax: RuleEvaluator.episodesMax)
    /// Stored alerts whose rule is gone or has another key: resolved by ``settle(at:output:)``.
    var orphans: [(alert: Alert, reason: String)] = []

    /// Starts with no open alert.
    public init(rules: RuleSet) {
        self.rules = rules
        build()
    }

    /// Lays the rules out for the hot loop: by table, then by key columns.
    mutating func build() {
        tables = []
        keySets = []
        hot = []
        levels = []
        places = Dictionary(rules.rules.indices.map { (rules.rules[$0].name, $0) }) { first, _ in first }
        states = ContiguousArray(rules.rules.map { RuleState(rule: $0, keySet: 0) })
        for (tableIndex, table) in rules.catalog.tables.enumerated() {
            let own = rules.rules.indices.filter { rules.rules[$0].tableIndex == tableIndex }
            let start = keySets.count
            var columnSets: [[String]] = []
            for index in own where !columnSets.contains(rules.rules[index].keyColumns) {
                columnSets.append(rules.rules[index].keyColumns)
            }
            for columns in columnSets { addKeySet(own.filter { rules.rules[$0].keyColumns == columns }) }
            tables.append(
                TableRuntime(
                    name: table.name, columnPaths: table.layout.columns.map(\.path), keySets: start..<keySets.count,
                    readsScalars: own.contains { rules.rules[$0].readsScalars },
                    readsChanged: own.contains { rules.rules[$0].readsChanged }))
        }
    }

    private mutating func addKeySet(_ members: [Int]) {
        guard let first = members.first.map({ rules.rules[$0] }) else { return }
        let start = hot.count
        for index in members {
            let rule = rules.rules[index]
            let levelStart = Int32(levels.count)
            for level in rule.levels { levels.append(HotLevel(severity: level.severity, when: level.when)) }
            hot.append(
                HotRule(
                    rule: Int32(index), levelStart: levelStart, levelEnd: Int32(levels.count), kind: rule.policy.kind,
                    isLatest: rule.policy.across == .latest, acceptsLate: rule.acceptsLate, onError: rule.onError))
            states[index].keySet = keySets.count
        }
        let ordersRows = !first.isKeyedByRow && members.contains { rules.rules[$0].ordersRows }
        keySets.append(
            KeySet(
                columns: first.keyColumns, slots: ContiguousArray(first.keySlots), isRowKey: first.isKeyedByRow,
                rules: start..<hot.count, conditions: conditions(of: start..<hot.count), ordersRows: ordersRows,
                newest: NewestRowMemory(keysMax: RuleEvaluator.newestRowsMax)))
    }

    private func conditions(of range: Range<Int>) -> ConditionList? {
        guard range.allSatisfy({ hot[$0].kind != .deadline }) else { return nil }
        return ConditionList(
            range.flatMap { levels[Int(hot[$0].levelStart)..<Int(hot[$0].levelEnd)].map(\.when) })
    }

    // MARK: - What is open

    /// Pending and firing alerts of all rules; overflow alerts are not counted.
    public var openCount: Int { states.reduce(0) { $0 + $1.openCount } }

    /// Pending and firing alerts of a rule, its overflow alert first, in no other order.
    public func open(rule name: String) -> [Alert] {
        guard let index = rules.rules.firstIndex(where: { $0.name == name }) else { return [] }
        return [states[index].overflow].compactMap { $0 } + states[index].alerts.compactMap { $0 }
    }

    /// What finds an open alert again: the hash of its key, as the rule of its name has it.
    public func locator(of alert: Alert) -> UInt64 {
        guard let index = ruleIndex(alert.rule), rules.rules[index].isKeyedByRow, let row = alert.newestRow else {
            return KeySet.hash(texts: alert.keyTexts)
        }
        return row.digest
    }

    /// The open alert with that fingerprint, by what ``locator(of:)`` said of it; nil where it is open no more.
    public func alert(_ fingerprint: Fingerprint, rule name: String, locator: UInt64) -> Alert? {
        guard let index = ruleIndex(name) else { return nil }
        if let overflow = states[index].overflow, overflow.fingerprint == fingerprint { return overflow }
        guard keySets.indices.contains(states[index].keySet) else { return nil }
        for slot in keySets[states[index].keySet].open.slots(locator, rule: Int32(index)) {
            if let alert = states[index].alerts[Int(slot)], alert.fingerprint == fingerprint { return alert }
        }
        return nil
    }

    private func ruleIndex(_ name: String) -> Int? { places[name] }

    /// How many alerts of a rule are pending or firing.
    public func openCount(rule name: String) -> Int {
        rules.rules.firstIndex { $0.name == name }.map { states[$0].openCount } ?? 0
    }

    /// What was evaluated so far, by rule name.
    public var counters: [(rule: String, counters: RuleCounters)] {
        rules.rules.indices.map { index in
            var counters = states[index].counters
            if keySets.indices.contains(states[index].keySet) {
                counters.judged += keySets[states[index].keySet].judgedTogether
            }
            return (rules.rules[index].name, counters)
        }
    }

    /// Keys whose newest row is remembered.
    public var newestRowCount: Int { keySets.reduce(0) { $0 + $1.newest.count } }

    /// How much was forgotten for want of room: keys whose newest row is not known any more, and closed episodes. For
    /// metrics: it begins anew when memory is restored or rules are replaced.
    public var forgottenCounts: (newestRows: Int, episodes: Int) {
        (keySets.reduce(0) { $0 + $1.newest.forgottenCount }, episodes.forgottenCount)
    }

    /// The highest episode number that was forgotten; new episodes of forgotten alerts go on above it.
    public var episodeFloor: UInt32 {
        get { episodes.floor }
        set { episodes.floor = max(episodes.floor, newValue) }
    }
}

extension Rule {
    /// Whether the order of rows that share a key matters to it.
    var ordersRows: Bool { !isKeyedByRow && policy.across == .latest && policy.kind != .event }
}
