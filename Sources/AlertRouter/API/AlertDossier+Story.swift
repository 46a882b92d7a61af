import AlertWorker
import Alerting
import Console
import Core
import Store

extension AlertDossier {
    /// Everything that happened to the alert, oldest first.
    var entries: [ConsoleAlertLife.Entry] {
        // What happened at the same time is told in the order cause and effect have.
        var parts: [(at: Timestamp, rank: Int, entries: [ConsoleAlertLife.Entry])] = []
        for entry in history.reversed() { parts.append((entry.recordedAt, 0, [AlertDossier.entry(of: entry)])) }
        for record in decisions { parts.append((record.recordedAt, 1, [AlertDossier.entry(of: record)])) }
        for record in audit { parts.append((record.at, 0, [AlertDossier.entry(of: record)])) }
        for row in rows { parts.append((row.createdAt, 2, self.entries(of: row))) }
        let ordered = parts.enumerated().sorted {
            ($0.element.at, $0.element.rank, $0.offset) < ($1.element.at, $1.element.rank, $1.offset)
        }
        return ordered.flatMap(\.element.entries)
    }

    private static func entry(of record: TransitionRecord) -> ConsoleAlertLife.Entry {
        let kind = Transition.Kind(rawValue: record.kind)
        let before = record.previousSeverity.map { " (before: \($0))" } ?? ""
        var details = [record.reason]
        if let cause = record.cause {
            details.append(
                "event \(cause.topic)[\(cause.partition)]@\(cause.offset), version \(cause.version)")
        }
        if record.recordedAt != record.at { details.append("by the table's clock at \(record.at)") }
        return ConsoleAlertLife.Entry(
            at: record.recordedAt,
            what: "\(AlertDossier.words(for: kind)) \(record.severity)\(before), episode \(record.episode)",
            details: details, isPart: false)
    }

    private static func entry(of record: DecisionRecord) -> ConsoleAlertLife.Entry {
        let to = record.receiver + (record.recipient.map { " <\($0)>" } ?? "")
        let path = record.path.isEmpty ? nil : "route: " + record.path.joined(separator: " > ")
        return ConsoleAlertLife.Entry(
            at: record.recordedAt, what: to.isEmpty ? record.decision : "decided for \(to): \(record.decision)",
            details: [record.detail.isEmpty ? nil : record.detail, path].compactMap(\.self), isPart: false)
    }

    private static func entry(of record: AuditRecord) -> ConsoleAlertLife.Entry {
        ConsoleAlertLife.Entry(
            at: record.at, what: "\(record.action) by \(record.actor)",
            details: [record.detail, "from \(record.origin)"].filter { !$0.isEmpty }, isPart: false)
    }

    private static func words(for kind: Transition.Kind?) -> String {
        switch kind {
        case .pending: "pending"
        case .pendingEnded: "not pending any more"
        case .firing: "firing"
        case .severityRaised: "severity raised to"
        case .severityLowered: "severity lowered to"
        case .resolved: "resolved from"
        case .event: "event"
        case nil: "changed"
        }
    }

    private func entries(of row: OutboxRecord) -> [ConsoleAlertLife.Entry] {
        let to = row.receiver + (row.recipient.map { " <\($0)>" } ?? "")
        var details: [String] = []
        if let notification = try? Notification(bytes: row.payload) {
            details.append("because: \(notification.reason.rawValue)")
            details.append("group: \(notification.groupKey), \(notification.items.count) alerts in it")
        }
        details.append(AlertDossier.outcome(of: row))
        if row.waitedMilliseconds > 0 {
            let waited = DurationText.format(.milliseconds(row.waitedMilliseconds))
            details.append("waited \(waited) for a limit, a breaker or a time to send")
        }
        if row.ambiguousCount > 0 {
            details.append("\(row.ambiguousCount) times no answer came: may have arrived twice")
        }
        let head = ConsoleAlertLife.Entry(
            at: row.createdAt, what: "notification #\(row.id) to \(to)", details: details, isPart: false)
        let parts = (attempts[row.id] ?? []).map { attempt in
            let answer = [
                attempt.statusCode.map { "status \($0)" }, attempt.detail, attempt.providerId.map { "id \($0)" },
            ]
            let took = attempt.finishedAt.milliseconds(since: attempt.startedAt)
            return ConsoleAlertLife.Entry(
                at: attempt.startedAt, what: "attempt \(attempt.number): \(attempt.outcome.rawValue)",
                details: answer.compactMap(\.self) + ["answered after \(took) ms"], isPart: true)
        }
        return [head] + parts
    }

    private static func outcome(of row: OutboxRecord) -> String {
        let why = row.reason.map { ": \($0)" } ?? ""
        switch row.state {
        case .superseded: return "superseded by #\(row.supersededBy.map(String.init) ?? "?")\(why)"
        case .waiting: return "waiting, not before \(row.notBefore)\(why)"
        case .leased: return "being sent"
        case .sent, .dead, .discarded, .suppressed:
            return "\(row.state.rawValue)\(row.settledAt.map { " at \($0)" } ?? "")\(why)"
        }
    }

    /// The story as lines.
    var story: [String] {
        let alert = stored.alert
        var lines = [
            "\(alert.rule) \(alert.keyDisplay): \(alert.state) \(alert.severity), episode \(alert.episode)",
            "id \(alert.fingerprint)",
        ]
        if isCut { lines.append("(older entries are left out)") }
        for entry in entries {
            let indent = entry.isPart ? "    " : ""
            lines.append("\(indent)\(entry.at)  \(entry.what)")
            lines += entry.details.map { "\(indent)    \($0)" }
        }
        return lines
    }

    /// The story for programs.
    var explanation: JSON {
        .object([
            "alert": AlertJSON.make(stored.alert), "cut": .bool(isCut),
            "entries": .array(
                entries.map { entry in
                    .object([
                        "at": .string(entry.at.description), "what": .string(entry.what),
                        "details": .array(entry.details.map { .string($0) }), "part": .bool(entry.isPart),
                    ])
                }),
        ])
    }
}
