// HOT
internal import CEL
internal import ChangeEvents
internal import Core

/// A level as the hot loop reads it.
struct HotLevel: Sendable {
    var severity: Severity
    var when: Program
}

/// A rule as the hot loop reads it: what decides about a row that fires nothing.
struct HotRule: Sendable {
    /// Index into ``RuleSet/rules`` and the states.
    var rule: Int32
    var levelStart: Int32
    var levelEnd: Int32
    var kind: LevelPolicy.Kind
    var isLatest: Bool
    var acceptsLate: Bool
    var onError: Rule.OnError
}

/// The rules of one table that share their key columns: the key is hashed and looked up once for all of them.
struct KeySet: Sendable {
    var columns: [String]
    var slots: ContiguousArray<Int>
    var isRowKey: Bool
    var rules: Range<Int>
    /// Every condition of these rules, where none needs more than its conditions to say that nothing happens.
    var conditions: ConditionList?
    /// Rows that all rules of the set judged at once, which ``RuleCounters/judged`` of each rule leaves out.
    var judgedTogether = 0
    /// Whether a rule with `across: latest` needs the newest row of each key.
    var ordersRows: Bool
    /// Open alerts by the hash of their key.
    var open = OpenIndex()
    /// Open alerts by the rows they stand on, where rows share keys.
    var byRow = OpenIndex()
    var newest: NewestRowMemory

    /// The hash of key texts; nil stands for null. Equal to what ``hash(_:_:)`` gives for slots with these texts.
    static func hash(texts: [String?]) -> UInt64 {
        var hasher = Hash64()
        for text in texts {
            guard var text else {
                hasher.combine(nullMark)
                continue
            }
            text.withUTF8 { hasher.combine(UnsafeRawBufferPointer($0)) }
        }
        return hasher.state
    }

    private static let nullMark: UInt64 = 0x6E75_6C6C_6E75_6C6C

    /// The hash of the key of an image; nil where the source did not say a key column's value.
    @inline(__always)
    func hash(_ image: UnsafePointer<SlotValue>, _ arena: RowArena) -> UInt64? {
        var hasher = Hash64()
        for index in slots {
            let slot = image[index]
            switch slot.kind {
            case .unknown: return nil
            case .missing, .null: hasher.combine(KeySet.nullMark)
            case .string, .bytes, .list, .object: hasher.combine(slot.text(in: arena))
            default:
                if slot.shortTextCount > 0 {
                    hasher.combine(slot.text(in: arena))
                } else {
                    var text = slot.display(in: arena) ?? ""
                    text.withUTF8 { hasher.combine(UnsafeRawBufferPointer($0)) }
                }
            }
        }
        return hasher.state
    }

    func texts(_ image: UnsafePointer<SlotValue>, _ arena: RowArena) -> [String?] {
        slots.map { image[$0].display(in: arena) }
    }
}

/// One table as the evaluator reads it.
struct TableRuntime: Sendable {
    var name: String
    var columnPaths: [String]
    var keySets: Range<Int>
    var readsScalars: Bool
    var readsChanged: Bool
    var timers = TimerQueue()
    /// Alerts whose delete hold is over by the clock and waits for a partition.
    var heldBack: [TimerQueue.Entry] = []
}

/// The open alerts of one rule.
struct RuleState: Sendable {
    var machine: AlertStateMachine
    var keySet: Int
    var alerts: ContiguousArray<Alert?> = []
    var keyHashes: ContiguousArray<UInt64> = []
    var freeSlots: [Int32] = []
    var openCount = 0
    var overflow: Alert?
    var counters = RuleCounters()
    /// Reasons seen in the running call and their place in the output.
    var reasons: [(error: EvaluationError.Kind, field: String, place: Int)] = []

    init(rule: Rule, keySet: Int) {
        machine = AlertStateMachine(policy: rule.policy)
        self.keySet = keySet
    }
}

/// The columns that differ between the two images of an event: the value of `changed`.
final class ChangedColumns {
    // SAFETY: set for one event and read only while that event is evaluated, on the same thread.
    var before: UnsafePointer<SlotValue>?
    var after: UnsafePointer<SlotValue>?
    var arena: RowArena
    var paths: [String] = []

    init(arena: RowArena) { self.arena = arena }

    /// The names as a list; nil where one of the images is not known.
    var value: Value? {
        guard let before, let after else { return nil }
        return .list(
            paths.indices.compactMap { index in
                ChangedColumns.isEqual(before[index], after[index], arena) ? nil : .string(paths[index])
            })
    }

    private static func isEqual(_ left: SlotValue, _ right: SlotValue, _ arena: RowArena) -> Bool {
        guard left.hasValue, right.hasValue else { return left.hasValue == right.hasValue }
        if left.kind == .decimal || right.kind == .decimal {
            let texts = (left.display(in: arena) ?? "", right.display(in: arena) ?? "")
            return texts.0 == texts.1 || DecimalText.compare(texts.0, texts.1) == 0
        }
        guard left.kind == right.kind else { return false }
        switch left.kind {
        case .string, .bytes, .list, .object: return left.text(in: arena).elementsEqual(right.text(in: arena))
        default: return left.bits == right.bits
        }
    }
}
