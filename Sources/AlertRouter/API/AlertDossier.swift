import AlertWorker
import Alerting
import Console
import Core
import Store

/// An alert with its history and its notifications.
struct AlertDossier {
    var stored: StoredAlert
    var history: [TransitionRecord]
    var rows: [OutboxRecord]
    var attempts: [Int64: [AttemptRecord]]
    /// Why somebody was told or was not.
    var decisions: [DecisionRecord]
    /// Who changed something about it.
    var audit: [AuditRecord]

    /// Group rows that are looked through for an alert.
    private static let groupRowsMax = 1000

    /// Transitions that are told at most.
    private static let historyMax = 500

    /// Older entries are left out.
    var isCut: Bool { max(history.count, decisions.count) >= AlertDossier.historyMax }

    /// One alert by its fingerprint; nil where it is not known.
    static func find(_ id: Fingerprint, in reader: any StoreReader) throws -> AlertDossier? {
        try reader.alert(fingerprint: id.bytes).map { try AlertDossier(record: $0, reader: reader) }
    }

    /// Finds the alert whose id begins with a text; nil for none, an error for several.
    static func find(_ id: String, in reader: any StoreReader) throws -> AlertDossier? {
        let prefix = id.lowercased()
        guard !prefix.isEmpty, prefix.allSatisfy(\.isHexDigit) else {
            throw CommandFailure(
                .usage, "an alert's id has hexadecimal digits only; found '\(id)'",
                help: "'alert-router alerts list' prints the ids")
        }
        var matches: [AlertRecord] = []
        if let whole = Fingerprint(hex: prefix) {
            matches = try reader.alert(fingerprint: whole.bytes).map { [$0] } ?? []
        } else {
            var skip = 0
            while true {
                let page = try reader.alerts(
                    AlertQuery(isOpen: nil, rule: nil, severityMin: nil, countMax: 5000, skipCount: skip))
                matches += page.filter { Hex.encode($0.fingerprint).hasPrefix(prefix) }
                skip += page.count
                if page.count < 5000 || matches.count > 1 { break }
            }
        }
        guard let record = matches.first else { return nil }
        guard matches.count == 1 else {
            throw CommandFailure(.inputIsWrong, "several alerts have ids that begin with '\(id)': give more characters")
        }
        return try AlertDossier(record: record, reader: reader)
    }

    private init(record: AlertRecord, reader: any StoreReader) throws {
        stored = try StoredAlert(record: record)
        rows = try AlertDossier.rows(of: stored.alert, reader)
        attempts = [:]
        for row in rows { attempts[row.id] = try reader.attempts(outboxId: row.id) }
        decisions = try reader.decisions(fingerprint: record.fingerprint, countMax: AlertDossier.historyMax)
        audit = try reader.audit(
            subject: stored.alert.fingerprint.description, beforeId: nil, countMax: AlertDossier.historyMax)
        history = try reader.transitions(fingerprint: record.fingerprint, countMax: AlertDossier.historyMax)
    }

    private static func rows(of alert: Alert, _ reader: any StoreReader) throws -> [OutboxRecord] {
        var rows: [OutboxRecord] = []
        for episode in stride(from: alert.episode, through: 1, by: -1).prefix(5) {
            let key = IncidentKey(fingerprint: alert.fingerprint, episode: episode).description
            rows += try reader.outboxRows(incidentKey: key, countMax: 100)
        }
        // Rows of a group hold several alerts; they are found under the group's key, which is the rule.
        let groups = try [alert.rule, "already open"].flatMap { key in
            try reader.outboxRows(incidentKey: key, countMax: AlertDossier.groupRowsMax)
        }
        let fingerprint = alert.fingerprint.description
        rows += groups.filter { String(decoding: $0.payload, as: UTF8.self).contains(fingerprint) }
        return rows.sorted { $0.id < $1.id }
    }

    var lines: [String] {
        let alert = stored.alert
        var lines = [
            "alert      \(alert.fingerprint)", "rule       \(alert.rule) (table \(alert.table), owner \(alert.owner))",
            "key        \(alert.keyDisplay)",
            "state      \(alert.state), severity \(alert.severity), episode \(alert.episode)",
        ]
        if let since = alert.firingSince { lines.append("firing     since \(since)") }
        if let resolved = alert.resolvedAt { lines.append("resolved   \(resolved)") }
        if let due = alert.dueAt { lines.append("due        \(due)\(alert.isOverdue ? " (past at first sight)" : "")") }
        if alert.isLastValueUnknown { lines.append("note       the last row had a value that could not be judged") }
        for (name, value) in alert.labels.sorted(by: { $0.key < $1.key }) {
            lines.append("label      \(name)=\(value)")
        }
        for told in stored.told {
            lines.append("told       \(told.receiver)\(told.recipient.map { " <\($0)>" } ?? "")")
        }
        lines.append("history")
        for entry in history.reversed() {
            let kind = Transition.Kind(rawValue: entry.kind).map { "\($0)" } ?? "?"
            let cause = entry.cause.map { ", \($0.topic)[\($0.partition)]@\($0.offset) version \($0.version)" } ?? ""
            lines.append("  \(entry.at)  \(kind) \(entry.severity): \(entry.reason)\(cause)")
        }
        lines.append(rows.isEmpty ? "notifications: none" : "notifications")
        for row in rows {
            let to = row.receiver + (row.recipient.map { " <\($0)>" } ?? "")
            let why = row.reason.map { ": \($0)" } ?? ""
            lines.append("  \(row.createdAt)  #\(row.id) to \(to) \(row.state.rawValue)\(why)")
            for attempt in attempts[row.id] ?? [] {
                let answer = [attempt.statusCode.map { "\($0)" }, attempt.detail].compactMap { $0 }
                let text = ([attempt.outcome.rawValue] + answer).joined(separator: " ")
                lines.append("    \(attempt.startedAt)  attempt \(attempt.number): \(text)")
            }
        }
        return lines
    }

    var json: JSON {
        .object([
            "alert": AlertJSON.make(stored.alert),
            "told": .array(
                stored.told.map { .object(["receiver": .string($0.receiver), "recipient": .optional($0.recipient)]) }),
            "history": .array(
                history.reversed().map { entry in
                    .object([
                        "at": .string(entry.at.description),
                        "kind": .optional(Transition.Kind(rawValue: entry.kind).map { "\($0)" }),
                        "severity": .string("\(entry.severity)"), "episode": .integer(entry.episode),
                        "reason": .string(entry.reason),
                    ])
                }),
            "notifications": .array(
                rows.map { row in
                    .object([
                        "id": .integer(row.id), "receiver": .string(row.receiver),
                        "recipient": .optional(row.recipient),
                        "state": .string(row.state.rawValue), "reason": .optional(row.reason),
                        "created_at": .string(row.createdAt.description), "attempts": .integer(row.attemptCount),
                        "ambiguous": .integer(row.ambiguousCount), "provider_id": .optional(row.providerId),
                    ])
                }),
        ])
    }
}
