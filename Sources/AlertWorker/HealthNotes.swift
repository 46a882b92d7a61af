internal import ChangeEvents
internal import Core
internal import RuleEngine
internal import Spine

/// Facts about the router itself on their way to its rules, and which problems of rules were stated.
///
/// A rule that fails on every row is one problem, not many: it is stated once, and again only after a reload.
struct HealthNotes {
    /// A rule that cannot judge rows.
    static let rule = "rule"
    /// Notifications that were given up: open until somebody has looked at one.
    static let deadLetter = "dead-letter"
    /// What a reload of rules and receivers may mend: texts, recipients from data, conditions, receivers left alone.
    static let mendedByReload: Set<String> = [
        rule, "template", "recipient", "receiver", "receiver-removed", "delivery",
    ]
    /// What lives with the process: a new one begins without it and says so again where it is still so.
    static let endedByStart: Set<String> = ["receiver", "receiver-removed", "delivery", "clock", "store", "reload"]
    /// Most problems that are remembered as stated; above it they are judged each time, which repeats no alert.
    private static let statedMax = 10_000

    private struct Problem: Hashable {
        var component: String
        var subject: String
    }

    /// Index of the built-in table; nil where it is not declared.
    let table: Int?
    private var decoder: ChangeDecoder
    private let events = ChangeBatch()
    private var stated: Set<Problem> = []

    init(rules: RuleSet) {
        table = rules.catalog.index(of: HealthTable.name)
        decoder = ChangeDecoder(catalog: rules.catalog)
    }

    /// Facts as rows of the built-in table, to be judged; nil where it is not declared.
    mutating func batch(of facts: [HealthFact], at time: Timestamp) -> ChangeBatch? {
        guard table != nil else { return nil }
        events.reset()
        decoder.decode(RawBatch.copying(facts.map { HealthTable.message(of: $0, at: time) }), into: events)
        for index in events.events.indices { events.events[index].disposition = .judge }
        return events
    }

    /// The problems that were not stated since the last reload.
    mutating func fresh(_ problems: [HealthFact]) -> [HealthFact] {
        problems.filter { fact in
            let problem = Problem(component: fact.component, subject: fact.subject)
            guard stated.count < HealthNotes.statedMax else { return !stated.contains(problem) }
            return stated.insert(problem).inserted
        }
    }

    /// Takes back what was stated, and what open alerts of an earlier run say: a reload may have mended it.
    func takeStated(open alerts: [Alert]) -> [HealthFact] {
        var problems = stated
        for problem in alerts.compactMap(HealthNotes.problem)
        where HealthNotes.mendedByReload.contains(problem.component) {
            problems.insert(problem)
        }
        return HealthNotes.healthy(problems)
    }

    /// Takes back what an earlier run said of itself.
    static func outlived(open alerts: [Alert]) -> [HealthFact] {
        healthy(Set(alerts.compactMap(problem).filter { endedByStart.contains($0.component) }))
    }

    private static func problem(of alert: Alert) -> Problem? {
        let texts = Dictionary(zip(alert.keyColumns, alert.keyTexts)) { first, _ in first }
        guard let component = texts["component"] ?? nil, let subject = texts["subject"] ?? nil else { return nil }
        return Problem(component: component, subject: subject)
    }

    private static func healthy(_ problems: Set<Problem>) -> [HealthFact] {
        problems.map { HealthFact(component: $0.component, subject: $0.subject, isHealthy: true, detail: "") }
            .sorted { ($0.component, $0.subject) < ($1.component, $1.subject) }
    }
}

/// The memory of rules in pieces that the store takes.
enum MemoryPieces {
    private static let bytesMax = 1 << 20

    static func split(_ chunk: RuleMemoryChunk) -> [[UInt8]] {
        let count = max((chunk.bytes.count + bytesMax - 1) / bytesMax, 1)
        return (0..<count).map { index in
            let start = index * bytesMax
            let piece = chunk.bytes[start..<min(start + bytesMax, chunk.bytes.count)]
            var writer = ByteWriter(reserving: piece.count + 64)
            writer.text(chunk.name)
            writer.count(index)
            writer.count(count)
            writer.blob(Array(piece))
            return writer.bytes
        }
    }

    /// Puts pieces together again, in the order in which they were made.
    static func join(_ pieces: [[UInt8]]) throws -> [RuleMemoryChunk] {
        var chunks: [RuleMemoryChunk] = []
        var next = 0
        var total = 0
        for bytes in pieces {
            var reader = ByteReader(bytes)
            let name = try reader.text()
            let (index, count) = (try reader.unsigned(), try reader.unsigned())
            guard index == UInt64(next), index < count,
                index == 0 || (chunks.last?.name == name && count == UInt64(total))
            else { throw ByteReadError(message: "a piece of the rules' memory is missing", byteOffset: 0) }
            let piece = try reader.blob()
            if index == 0 {
                chunks.append(RuleMemoryChunk(name: name, bytes: piece))
            } else {
                chunks[chunks.count - 1].bytes += piece
            }
            total = Int(truncatingIfNeeded: count)
            next = index + 1 == count ? 0 : Int(truncatingIfNeeded: index) + 1
        }
        guard next == 0 else {
            throw ByteReadError(message: "the last piece of the rules' memory is missing", byteOffset: 0)
        }
        return chunks
    }
}
