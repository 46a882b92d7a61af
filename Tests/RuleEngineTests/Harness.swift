import ChangeEvents
import ConfigFiles
import Core
import Foundation
import RuleEngine
import Testing

/// A value of a test row.
enum Cell: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
    ExpressibleByBooleanLiteral,
    ExpressibleByNilLiteral
{
    case int(Int64), double(Double), text(String), bool(Bool), time(Int64), decimal(String), null, unknown
    init(integerLiteral value: Int64) { self = .int(value) }
    init(floatLiteral value: Double) { self = .double(value) }
    init(stringLiteral value: String) { self = .text(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(nilLiteral: ()) { self = .null }

    func slot(in arena: RowArena) -> SlotValue {
        func text(_ text: String) -> (UInt16, UInt32) {
            var copy = text
            return (UInt16(text.utf8.count), copy.withUTF8 { arena.append(UnsafeRawBufferPointer($0)) })
        }
        switch self {
        case .int(let value):
            let (count, offset) = text(String(value))
            return SlotValue(kind: .int, shortTextCount: count, textOffset: offset, bits: UInt64(bitPattern: value))
        case .double(let value):
            let (count, offset) = text("\(value)")
            return SlotValue(kind: .double, shortTextCount: count, textOffset: offset, bits: value.bitPattern)
        case .decimal(let value):
            let (count, offset) = text(value)
            let bits = (Double(value) ?? .nan).bitPattern
            return SlotValue(kind: .decimal, shortTextCount: count, textOffset: offset, bits: bits)
        case .text(let value):
            let (count, offset) = text(value)
            return SlotValue(kind: .string, textOffset: offset, bits: UInt64(count))
        case .bool(let value): return .bool(value)
        case .time(let seconds):
            let (count, offset) = text(Timestamp(milliseconds: seconds * 1000).description)
            return SlotValue(
                kind: .timestamp, shortTextCount: count, textOffset: offset, bits: UInt64(bitPattern: seconds * 1000))
        case .null: return .null
        case .unknown: return .unknown
        }
    }
}

/// One row change of a test; times in seconds.
struct Change {
    var table = "t"
    var kind = ChangeEvent.Kind.update
    var at: Int64
    var version: Int64
    var eventTime: Int64?
    var before: [String: Cell]?
    var after: [String: Cell]?
    var rowKey: String
    var disposition = ChangeEvent.Disposition.judge
}

/// A rule set with an evaluator over it, driven by hand.
struct Harness {
    static let tables = """
        tables:
          t:
            row_key: [id]
            event_time: seen_at
            columns:
              {id: string, plant: string, line: string, x: double, y: double, n: int, d: decimal, due: timestamp,
               status: string, seen_at: timestamp, mail: string, o: object, o.a: int, flag: bool}
        """

    var rules: RuleSet
    var evaluator: RuleEvaluator
    var output = EvaluationOutput()
    private var version: Int64 = 0

    init(_ text: String, tables: String = Harness.tables) throws {
        rules = try Harness.load(text, tables: tables)
        evaluator = RuleEvaluator(rules: rules)
    }

    static func load(_ text: String, tables: String = Harness.tables) throws -> RuleSet {
        let files = [ConfigFile(text: tables, file: "rules/tables.yaml"), ConfigFile(text: text, file: "rules/r.yaml")]
        let (rules, diagnostics) = RuleSet.load(files: files, options: .standard)
        for diagnostic in diagnostics { Issue.record("\(diagnostic.rendered(source: text))") }
        return try #require(rules)
    }

    /// One rule of table `t` with these fields.
    static func rule(_ fields: String) -> String {
        "table: t\nowner: o\nrules:\n  - name: r\n"
            + fields.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }.joined(
                separator: "\n")
            + "\n"
    }

    /// Evaluates changes as one batch.
    mutating func send(_ changes: [Change]) {
        let batch = ChangeBatch()
        for change in changes { append(change, to: batch) }
        evaluator.evaluate(batch, output: &output)
    }

    /// A row of table `t` at a second.
    mutating func row(
        _ at: Int64, _ id: String, _ columns: [String: Cell], kind: ChangeEvent.Kind = .update,
        before: [String: Cell]? = nil, eventTime: Int64? = nil, disposition: ChangeEvent.Disposition = .judge
    ) {
        version += 1
        var after = columns
        after["id"] = .text(id)
        var old = before
        if old != nil { old?["id"] = .text(id) }
        send([
            Change(
                kind: kind, at: at, version: version, eventTime: eventTime, before: old, after: after, rowKey: id,
                disposition: disposition)
        ])
    }

    mutating func delete(_ at: Int64, _ id: String, before: [String: Cell]? = nil) {
        version += 1
        var old = before ?? [:]
        old["id"] = .text(id)
        send([Change(kind: .delete, at: at, version: version, before: before == nil ? nil : old, rowKey: id)])
    }

    mutating func clock(_ at: Int64, versionFloor: Int64 = .max) {
        evaluator.advance(
            table: 0, to: Timestamp(milliseconds: at * 1000), versionFloor: versionFloor, output: &output)
    }

    private func append(_ change: Change, to batch: ChangeBatch) {
        let index = rules.catalog.index(of: change.table) ?? 0
        let layout = rules.catalog.tables[index].layout
        var event = ChangeEvent(
            table: Int32(index), kind: change.kind, messageIndex: 0, ordinal: 0, epoch: 0, version: change.version,
            commitTime: Timestamp(milliseconds: change.at * 1000), partitionIndex: -1, offset: change.version)
        event.disposition = change.disposition
        if let eventTime = change.eventTime { event.eventTime = Timestamp(milliseconds: eventTime * 1000) }
        var key = change.rowKey
        event.rowKeyHash = key.withUTF8 { Hash64.hash(UnsafeRawBufferPointer($0)) }
        let keyOffset = key.withUTF8 { batch.arena.append(UnsafeRawBufferPointer($0)) }
        event.rowKeyText = (keyOffset, UInt32(key.utf8.count))
        func image(_ columns: [String: Cell]?) -> Int32 {
            guard let columns else { return -1 }
            let start = batch.slots.count
            for column in layout.columns {
                batch.slots.append((columns[column.path] ?? .null).slot(in: batch.arena))
            }
            return Int32(start)
        }
        event.beforeSlot = image(change.before)
        event.afterSlot = image(change.after)
        batch.events.append(event)
    }

    /// Transitions as short lines `second kind severity`, and the list is emptied.
    mutating func take() -> [String] {
        let lines = output.transitions.map { Harness.line($0) }
        output = EvaluationOutput()
        return lines
    }

    static func line(_ transition: Transition) -> String {
        let seconds = transition.at.milliseconds / 1000
        switch transition.kind {
        case .pending: return "\(seconds) pending \(transition.alert.severity)"
        case .pendingEnded: return "\(seconds) ended"
        case .firing: return "\(seconds) fire \(transition.alert.severity)"
        case .severityRaised: return "\(seconds) raise \(transition.alert.severity)"
        case .severityLowered: return "\(seconds) lower \(transition.alert.severity)"
        case .resolved: return "\(seconds) resolve"
        case .event: return "\(seconds) event \(transition.alert.severity)"
        }
    }

    /// Starts again from the stored alerts, as after a restart.
    mutating func restart() throws {
        let open = try rules.rules.flatMap { try evaluator.open(rule: $0.name).map { try Alert(bytes: $0.bytes) } }
        var fresh = RuleEvaluator(rules: rules)
        fresh.restore(open: open, episodes: [:])
        evaluator = fresh
    }
}

/// The repository, and the sample events in it.
enum Places {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static var data: String { root.path + "/Tests/Data" }
}
