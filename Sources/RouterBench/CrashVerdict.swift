import Alerting
import Core
import Store

/// What a crash run came to: expected against delivered.
struct CrashVerdict {
    typealias Told = CrashRecorder.Told

    /// Attempts of all receivers that can be under way at once: four chats of four requests, two mail servers of two.
    static let concurrency = 20

    private(set) var violations: [String] = []
    /// Why the kills prove too little; nil when they hit enough.
    private(set) var voidReason: String?
    private var lines: [String] = []

    init(
        figures: [CrashWorld.KillFigures], rows: [CrashRow], recorder: CrashRecorder, store: ReadOnlyStore,
        exitCode: Int32
    ) throws {
        let expected = CrashOracle.expected(of: rows)
        let (arrivals, faults) = recorder.arrivals()
        let messages = arrivals.map(\.told)
        violations = recorder.faults + faults
        if exitCode != 0 { violations.append("alert-router ended with \(exitCode) on SIGTERM") }
        for line in recorder.operatorLines.prefix(20) { violations.append("the operator was told: \(line)") }
        let sent = try CrashVerdict.sentRows(store)
        let counted = CrashVerdict.counted(
            of: try sent.filter { $0.receiver != "ops" }.map { try RowContent($0) }, in: arrivals)
        violations += counted.violations
        let lost = compare(expected, Set(messages.joined()), counted: counted.told)
        checkOrder(messages)
        let ambiguous = try CrashVerdict.ambiguous(sent)
        let duplicates = checkDuplicates(messages, ambiguous)
        try checkStore(store, killCount: figures.count, ambiguousCount: ambiguous.rowCount)
        voidReason = CrashVerdict.voidReason(figures)
        let delivered = Set(messages.joined())
        lines += [
            "kills=\(figures.count)", "kills_in_start=\(figures.count { !$0.isPastStart })",
            "kills_in_flight=\(figures.count { $0.inFlightCount > 0 })",
            "kills_with_messages=\(figures.count { $0.messageCount > 0 })",
            "kills_while_sending=\(figures.count { $0.leasedCount > 0 })", "rows=\(rows.count)",
            "expected=\(expected.episodes.count + expected.episodes.count { $0.value })",
            "delivered=\(delivered.count)", "messages=\(messages.count)",
            "vanished=\(vanishedCount)", "replaced=\(replacedCount)",
            "left_out=\(arrivals.reduce(0) { $0 + $1.leftOutCount })", "lost=\(lost)",
            "duplicates=\(duplicates)",
            "ambiguous=\(ambiguous.rowCount)", "violations=\(violations.count)",
        ]
    }

    private var vanishedCount = 0
    private var replacedCount = 0

    func show() {
        for violation in violations.prefix(40) { BenchOutput.remark("VIOLATION \(violation)") }
        if let voidReason { BenchOutput.remark("void: \(voidReason)") }
        for line in lines { BenchOutput.line(line) }
    }

    /// Kills that hit nothing prove nothing: 80 % must leave rows or messages undone, half must hit a worker that runs
    /// (a start has rows to read, but tells nobody anything), and a quarter a message that waits or is being sent.
    static func voidReason(_ figures: [CrashWorld.KillFigures]) -> String? {
        func share(_ isHit: (CrashWorld.KillFigures) -> Bool) -> Double {
            figures.isEmpty ? 1 : Double(figures.count(where: isHit)) / Double(figures.count)
        }
        if share({ $0.inFlightCount > 0 }) < 0.8 { return "fewer than 80 % of the kills hit work in flight" }
        if share(\.isPastStart) < 0.5 { return "fewer than half of the kills hit a worker that runs" }
        if share({ $0.messageCount > 0 }) < 0.25 {
            return "fewer than a quarter of the kills hit a message that waits or is being sent"
        }
        return nil
    }

    /// What an accepted row holds.
    struct RowContent {
        var id: Int64
        var told: Set<Told>
        /// Alerts in all, named or only counted.
        var count: Int

        init(id: Int64, told: Set<Told>, count: Int) {
            self.id = id
            self.told = told
            self.count = count
        }

        init(_ row: OutboxRecord) throws {
            let notification = try Notification(bytes: row.payload)
            self.init(
                id: row.id, told: Set(try CrashVerdict.told(by: row)),
                count: notification.items.count + notification.omittedCount)
        }
    }

    /// A message with many alerts shows some and counts the others: of each accepted row, a message must have arrived
    /// that shows nothing else and comes to the number of its alerts.
    ///
    /// - Returns: what the rows with such a message hold, shown or counted; and the rows without one.
    static func counted(
        of rows: [RowContent], in arrivals: [CrashRecorder.Arrival]
    ) -> (told: Set<Told>, violations: [String]) {
        var arrivalsOf: [Told: [CrashRecorder.Arrival]] = [:]
        for arrival in arrivals { for told in arrival.told { arrivalsOf[told, default: []].append(arrival) } }
        var result: (told: Set<Told>, violations: [String]) = ([], [])
        for row in rows {
            let candidates = row.told.flatMap { arrivalsOf[$0] ?? [] }
            let isWhole = candidates.contains {
                $0.told.count + $0.leftOutCount == row.count && row.told.isSuperset(of: $0.told)
            }
            if isWhole {
                result.told.formUnion(row.told)
            } else {
                let best = candidates.map { "\($0.told.count)+\($0.leftOutCount)" }.max() ?? "none"
                result.violations.append(
                    "row \(row.id) holds \(row.count) alerts; no message shows and counts as many (\(best))")
            }
        }
        return result
    }

    /// - Parameter counted: what accepted rows hold that messages show or count.
    /// - Returns: how many expected notifications are missing.
    private mutating func compare(
        _ expected: CrashOracle.Expected, _ told: Set<Told>, counted: Set<Told>
    ) -> Int {
        var lost = 0
        let shown = told
        let told = told.union(counted)
        for (episode, isOver) in expected.episodes {
            let hasFired = told.contains(Told(episode: episode, isResolved: false))
            let hasResolved = told.contains(Told(episode: episode, isResolved: true))
            if !isOver, hasResolved { violations.append("\(episode) was told as resolved and is open") }
            switch (hasFired, hasResolved) {
            case (true, true): continue
            case (true, false) where !isOver: continue
            case (false, true) where isOver && !expected.mayVanish.contains(episode.rule): replacedCount += 1
            case (false, false) where isOver && expected.mayVanish.contains(episode.rule): vanishedCount += 1
            default:
                lost += 1
                violations.append("lost: \(episode) over=\(isOver) fired=\(hasFired) resolved=\(hasResolved)")
            }
        }
        for one in shown where expected.episodes[one.episode] == nil { violations.append("not expected: \(one)") }
        return lost
    }

    /// A fire must not follow the resolve of its incident.
    private mutating func checkOrder(_ messages: [[Told]]) {
        var over: Set<CrashOracle.Episode> = []
        for message in messages {
            for told in message where !told.isResolved && over.contains(told.episode) {
                violations.append("told as firing after it was told as resolved: \(told.episode)")
            }
            for told in message where told.isResolved { over.insert(told.episode) }
        }
    }

    /// Rows whose lease died with a process, or whose answer was lost.
    private struct Ambiguous {
        var rowCount = 0
        /// What was told, with how often it may have been told once more.
        var allowed: [Told: Int] = [:]
    }

    private static func ambiguous(_ sent: [OutboxRecord]) throws -> Ambiguous {
        var result = Ambiguous()
        for row in sent where row.ambiguousCount > 0 {
            result.rowCount += 1
            for told in try told(by: row) { result.allowed[told, default: 0] += row.ambiguousCount }
        }
        return result
    }

    /// What a row says.
    private static func told(by row: OutboxRecord) throws -> [Told] {
        let addressee =
            row.receiver == "desk"
            ? "desk desk@crash.example" : row.recipient.map { "\(row.receiver) \($0)" } ?? row.receiver
        return try Notification(bytes: row.payload).items.flatMap {
            CrashRecorder.read([$0.title], addressee: addressee)
        }
    }

    private static func sentRows(_ store: ReadOnlyStore) throws -> [OutboxRecord] {
        var all: [OutboxRecord] = []
        var before: Int64?
        while true {
            let page = try store.read { [before] in
                try $0.outboxRows(state: .sent, receiver: nil, beforeId: before, countMax: 500)
            }
            all += page
            guard let last = page.last else { return all }
            before = last.id
        }
    }

    private mutating func checkDuplicates(_ messages: [[Told]], _ ambiguous: Ambiguous) -> Int {
        var counts: [Told: Int] = [:]
        for told in messages.joined() { counts[told, default: 0] += 1 }
        var duplicates = 0
        for (told, count) in counts where count > 1 {
            duplicates += count - 1
            let allowed = ambiguous.allowed[told] ?? 0
            if count - 1 > allowed {
                violations.append("told \(count) times, flagged \(allowed) times: \(told)")
            }
        }
        return duplicates
    }

    private mutating func checkStore(_ store: ReadOnlyStore, killCount: Int, ambiguousCount: Int) throws {
        for problem in try store.check().problems { violations.append("store check: \(problem)") }
        let counts = try store.read { try $0.outboxCounts() }
        for count in counts where count.count > 0 && ![.sent, .superseded].contains(count.state) {
            // A fire and its end that were decided together and may vanish leave nothing to say.
            if count.state == .suppressed, count.receiver == "chat-b" { continue }
            violations.append("\(count.count) rows of \(count.receiver) ended \(count.state.rawValue)")
        }
        for (kind, count) in try store.read({ try $0.openDeadLetterCounts() }) where count > 0 {
            violations.append("\(count) dead letters of kind \(kind.rawValue)")
        }
        if ambiguousCount > killCount * CrashVerdict.concurrency {
            violations.append("\(ambiguousCount) ambiguous rows are more than kills x concurrency")
        }
        lines += counts.sorted { ($0.receiver, $0.state.rawValue) < ($1.receiver, $1.state.rawValue) }
            .map { "# rows of \($0.receiver) \($0.state.rawValue): \($0.count)" }
    }
}
