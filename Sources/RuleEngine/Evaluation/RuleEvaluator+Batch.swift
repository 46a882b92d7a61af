// HOT
internal import CEL
public import ChangeEvents
internal import Core

extension RuleEvaluator {
    /// Judges the events of a batch, in its order. Before a row is judged, the due timers of the alerts it touches run.
    public mutating func evaluate(_ batch: ChangeBatch, output: inout EvaluationOutput) {
        let scalars = ScalarTexts(arena: batch.arena, tables: tables)
        let changed = ChangedColumns(arena: batch.arena)
        for index in states.indices { states[index].reasons.removeAll(keepingCapacity: true) }
        var scalarSlots = (SlotValue.missing, SlotValue.missing, SlotValue.missing, SlotValue.missing)
        withUnsafeMutableBytes(of: &scalarSlots) { bytes in
            guard let scalarBase = bytes.baseAddress?.assumingMemoryBound(to: SlotValue.self) else { return }
            batch.slots.withUnsafeBufferPointer { slots in
                var frame = EvaluationFrame(spaces: (nil, nil, UnsafePointer(scalarBase), nil), arena: batch.arena)
                for event in batch.events {
                    guard event.disposition == .judge || event.disposition == .late else { continue }
                    let table = Int(event.table)
                    guard tables.indices.contains(table), !tables[table].keySets.isEmpty else { continue }
                    frame.spaces.0 = event.beforeSlot < 0 ? nil : slots.baseAddress.map { $0 + Int(event.beforeSlot) }
                    frame.spaces.1 = event.afterSlot < 0 ? nil : slots.baseAddress.map { $0 + Int(event.afterSlot) }
                    if tables[table].readsScalars { scalars.fill(scalarBase, event) }
                    if tables[table].readsChanged {
                        changed.before = frame.spaces.0
                        changed.after = frame.spaces.1
                        changed.paths = tables[table].columnPaths
                        if frame.dynamic == nil {
                            frame.dynamic = { $0 == RuleScope.changedIndex ? changed.value : nil }
                        }
                    }
                    for keySet in tables[table].keySets { judge(event, keySet, &frame, batch, &output) }
                }
            }
        }
        for index in tables.indices { compactTimers(index) }
    }

    @inline(__always)
    private mutating func judge(
        _ event: ChangeEvent, _ set: Int, _ frame: inout EvaluationFrame, _ batch: ChangeBatch,
        _ output: inout EvaluationOutput
    ) {
        guard let after = frame.spaces.1 else {
            judgeDelete(event, set, &frame, batch, &output)
            return
        }
        let isLate = event.isLate
        let hash: UInt64
        if keySets[set].isRowKey {
            hash = event.rowKeyHash
        } else if let found = keySets[set].hash(after, batch.arena) {
            hash = found
        } else {
            countUnknownKey(set)
            return
        }
        var isNewest = true
        if keySets[set].ordersRows, !isLate {
            isNewest = keySets[set].newest.observe(
                hash: hash, digest: event.rowKeyHash, eventTime: event.eventTime.milliseconds, version: event.version)
        }
        if !isLate, keySets[set].byRow.mayContain(event.rowKeyHash) {
            leaveOldKeys(event, set, hash, batch, &output)
        }
        let isTouched = keySets[set].open.mayContain(hash)
        if !isTouched, isNewest, !isLate, keySets[set].conditions?.areAllFalse(frame) ?? false {
            keySets[set].judgedTogether &+= 1
            return
        }
        for index in keySets[set].rules {
            if isLate, !hot[index].acceptsLate { continue }
            if !isNewest, hot[index].isLatest, hot[index].kind != .event {
                states[Int(hot[index].rule)].counters.outOfOrder += 1
                continue
            }
            judge(event, set, index, hash, isTouched, &frame, batch, &output)
        }
    }

    /// One rule and one row. A row that fires nothing and touches no open alert ends here after its conditions.
    @inline(__always)
    private mutating func judge(
        _ event: ChangeEvent, _ set: Int, _ index: Int, _ hash: UInt64, _ isTouched: Bool,
        _ frame: inout EvaluationFrame, _ batch: ChangeBatch, _ output: inout EvaluationOutput
    ) {
        let rule = Int(hot[index].rule)
        states[rule].counters.judged += 1
        var verdicts = LevelVerdicts(all: .no)
        var isClear = true
        if hot[index].kind == .deadline {
            isClear = false
        } else {
            var absorbed = 0
            for level in Int(hot[index].levelStart)..<Int(hot[index].levelEnd) {
                switch levels[level].when.evaluateCondition(frame, absorbed: &absorbed) {
                case .isFalse: continue
                case .isTrue: verdicts[levels[level].severity] = .yes
                case .unknown(let error):
                    verdicts[levels[level].severity] = thirdOutcome(
                        error, field: "when", rule, hot[index].onError, event, frame, batch, &output)
                }
                if verdicts[levels[level].severity] == .no { continue }
                isClear = false
                // A level that holds says the same of all below it.
                if verdicts[levels[level].severity] == .yes { break }
            }
            if absorbed > 0 { states[rule].counters.absorbed += absorbed }
        }
        if isClear, !isTouched { return }
        judgeRow(RowContext(event: event, keySet: set, rule: rule, hash: hash), verdicts, frame, batch, &output)
    }
}

extension ChangeEvent {
    /// Whether the row is older than the newest version of its row key.
    @inline(__always)
    var isLate: Bool { disposition == .late || flags.contains(.late) }
}

/// Texts for the scalars of rules, in the batch's arena.
struct ScalarTexts {
    private let arena: RowArena
    private let ops: [SlotValue]
    private let tables: [SlotValue]

    init(arena: RowArena, tables: ContiguousArray<TableRuntime>) {
        self.arena = arena
        guard tables.contains(where: \.readsScalars) else {
            ops = []
            self.tables = []
            return
        }
        ops = ["insert", "update", "delete", "snapshot", "update", "update"].map { ScalarTexts.text($0, arena) }
        self.tables = tables.map { ScalarTexts.text($0.name, arena) }
    }

    private static func text(_ text: String, _ arena: RowArena) -> SlotValue {
        var copy = text
        let offset = copy.withUTF8 { arena.append(UnsafeRawBufferPointer($0)) }
        return SlotValue(kind: .string, textOffset: offset, bits: UInt64(text.utf8.count))
    }

    /// Writes the scalars of an event, in the order of ``RuleScalar``.
    func fill(_ slots: UnsafeMutablePointer<SlotValue>, _ event: ChangeEvent) {
        slots[0] = ops[min(Int(event.kind.rawValue), ops.count - 1)]
        slots[1] = tables[Int(event.table)]
        slots[2] = SlotValue(kind: .int, bits: UInt64(bitPattern: event.version))
        slots[3] = SlotValue(kind: .timestamp, bits: UInt64(bitPattern: event.commitTime.milliseconds))
    }
}
