import ChangeEvents
import Core
import Spine
import Store

/// A decider that writes a line per judged event, command and fact into the store, in the order of its decisions.
///
/// Its memory is the number of rows it saw, so that a test sees what was replayed into it and from what checkpoint.
struct LineDecider: Decider {
    enum Command: Sendable {
        case say(String)
        /// Answers with what decisions are made with.
        case context
        /// As a reload: the memory is checkpointed and the stream decoded anew.
        case reload(TableCatalog, hashes: [String: String])
    }

    struct DamagedMemory: Error {}

    static let kind = "line"

    private(set) var catalog: TableCatalog
    private(set) var catalogVersion = 0
    private(set) var ruleHashes: [String: String]
    private var lineCount = 0
    private(set) var rowCount = 0
    private var ill: Set<String> = []

    init(catalog: TableCatalog, hashes: [String: String]) {
        self.catalog = catalog
        ruleHashes = hashes
    }

    mutating func load(from reader: any StoreReader) throws {
        var count = 0
        var ill: Set<String> = []
        try reader.forEachState(kind: LineDecider.kind) { record in
            count += 1
            let words = String(decoding: record.bytes, as: UTF8.self).split(separator: " ", maxSplits: 1)
            if words.count == 2, words[0] == "ill" { ill.insert(String(words[1])) }
            if words.count == 2, words[0] == "well" { ill.remove(String(words[1])) }
        }
        lineCount = count
        self.ill = ill
    }

    func memoryCheckpoint() -> [[UInt8]] { [Array("rows \(rowCount)".utf8)] }

    mutating func restoreMemory(_ chunks: [[UInt8]]) throws {
        let words = String(decoding: chunks.joined(), as: UTF8.self).split(separator: " ")
        guard words.count == 2, words[0] == "rows", let count = Int(words[1]) else { throw DamagedMemory() }
        rowCount = count
    }

    mutating func remember(_ batch: ChangeBatch) { rowCount += batch.events.count(where: \.isJudged) }

    mutating func settle(context: DecisionContext) -> Decision? { nil }

    mutating func decide(_ batch: ChangeBatch, context: DecisionContext) -> Decision? {
        let lines = batch.events.filter(\.isJudged).map { event in
            let phase = context.isBootstrap ? "bootstrap " : ""
            return phase + "\(batch.rowKey(of: event))@\(event.version) \(x(event.beforeSlot, event, batch)) "
                + "\(x(event.afterSlot, event, batch))"
        }
        rowCount += lines.count
        return write(lines)
    }

    /// A row's column `x`; the key's column comes first in every layout here.
    private func x(_ slot: Int32, _ event: ChangeEvent, _ batch: ChangeBatch) -> String {
        guard slot >= 0, let place = catalog.tables[Int(event.table)].layout.existingSlot(for: "x") else { return "-" }
        return batch.slots[Int(slot) + place].display(in: batch.arena) ?? "null"
    }

    private mutating func write(_ lines: [String]) -> Decision? {
        guard !lines.isEmpty else { return nil }
        let first = lineCount
        lineCount += lines.count
        return Decision(byteCount: lines.count * 64, hasOutboxRows: false) { transaction in
            for (index, line) in lines.enumerated() {
                let number = String(first + index)
                let key = String(repeating: "0", count: 8 - number.count) + number
                try transaction.upsertState(
                    StateRecord(kind: LineDecider.kind, key: key, dueAt: nil, bytes: Array(line.utf8)))
            }
        }
    }

    mutating func nextTimer(table: Int) -> Timestamp? { nil }

    mutating func nextRouterTimer() -> Timestamp? { nil }
    mutating func advance(context: DecisionContext) -> Decision? { nil }

    mutating func perform(_ command: Command, context: DecisionContext) -> (decision: Decision?, reply: String) {
        switch command {
        case .say(let text):
            return (write(["said \(text)"]), "rows \(rowCount)")
        case .context:
            let clocks = context.tableClocks.map { $0.map { "\($0.milliseconds(since: Stage.start) / 1000)" } ?? "-" }
            return (nil, "clocks \(clocks.joined(separator: " ")) floors \(context.versionFloors)")
        case .reload(let catalog, let hashes):
            self.catalog = catalog
            catalogVersion += 1
            ruleHashes = hashes
            return (write(["reloaded"]), "reloaded")
        }
    }

    mutating func note(_ facts: [HealthFact], context: DecisionContext) -> Decision? {
        // A router that is well says so of every part at a start; tests look at what changes.
        write(
            facts.compactMap { fact in
                let name = "\(fact.component) \(fact.subject)"
                if fact.isHealthy { return ill.remove(name).map { "well \($0)" } }
                return ill.insert(name).inserted ? "ill \(name)" : nil
            })
    }

    mutating func endBootstrap(context: DecisionContext) -> Decision? { write(["bootstrap ended"]) }
}
