import AlertWorker
import ArgumentParser
import Core
import Store

struct AlertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts", abstract: "Lists and shows alerts.", subcommands: [List.self, Show.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists alerts, newest change first.",
            discussion: "Example: alert-router alerts list --rule below-safety-stock")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Option(help: "Only alerts of this rule.") var rule: String?
        @Option(help: "Only alerts of this severity or above.") var severity: Severity?
        @Flag(help: "Also alerts that are not open any more.") var all = false
        @OptionGroup var limit: LimitOptions

        func run() async throws {
            let store = try StoreAccess.reading(configuration)
            let query = AlertQuery(
                isOpen: all ? nil : true, rule: rule, severityMin: severity, countMax: limit.limit, skipCount: 0)
            let alerts = try store.read { reader in try reader.alerts(query).map { try StoredAlert(record: $0).alert } }
            output.show(.array(alerts.map(AlertJSON.make))) {
                guard !alerts.isEmpty else { return Output.line(all ? "no alerts" : "no open alerts") }
                Output.table(
                    ["ID", "STATE", "SEVERITY", "SINCE", "RULE", "KEY"],
                    alerts.map { alert in
                        [
                            String(alert.fingerprint.description.prefix(12)), "\(alert.state)", "\(alert.severity)",
                            (alert.firingSince ?? alert.pendingSince ?? alert.changedAt).description, alert.rule,
                            alert.keyDisplay,
                        ]
                    })
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one alert: its state, its history and what was sent.",
            discussion: "Example: alert-router alerts show 3f9c2a7b51d0")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The alert's id or its first characters, as 'alerts list' prints it.") var id: String

        func run() async throws {
            let store = try StoreAccess.reading(configuration)
            let found = try store.read { reader in try AlertDossier.find(id, in: reader) }
            guard let dossier = found else {
                throw CommandFailure(
                    .inputIsWrong, "no alert has an id that begins with '\(id)'",
                    help: "'alert-router alerts list --all' prints the ids")
            }
            output.show(dossier.json) { for line in dossier.lines { Output.line(line) } }
        }
    }
}

/// An alert with its history and its notifications.
struct AlertDossier {
    var stored: StoredAlert
    var history: [TransitionRecord]
    var rows: [OutboxRecord]
    var attempts: [Int64: [AttemptRecord]]

    /// Group rows that are looked through for an alert.
    private static let groupRowsMax = 1000

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
        let stored = try StoredAlert(record: record)
        var rows: [OutboxRecord] = []
        for episode in stride(from: stored.alert.episode, through: 1, by: -1).prefix(5) {
            let key = IncidentKey(fingerprint: stored.alert.fingerprint, episode: episode).description
            rows += try reader.outboxRows(incidentKey: key, countMax: 100)
        }
        // Rows of a group hold several alerts; they are found under the group's key, which is the rule.
        let groups = try [stored.alert.rule, "already open"].flatMap { key in
            try reader.outboxRows(incidentKey: key, countMax: AlertDossier.groupRowsMax)
        }
        let fingerprint = stored.alert.fingerprint.description
        rows += groups.filter { String(decoding: $0.payload, as: UTF8.self).contains(fingerprint) }
        var attempts: [Int64: [AttemptRecord]] = [:]
        for row in rows { attempts[row.id] = try reader.attempts(outboxId: row.id) }
        return AlertDossier(
            stored: stored, history: try reader.transitions(fingerprint: record.fingerprint, countMax: 200),
            rows: rows.sorted { $0.id < $1.id }, attempts: attempts)
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

/// An alert as commands print it.
enum AlertJSON {
    static func make(_ alert: Alert) -> JSON {
        .object([
            "id": .string(alert.fingerprint.description), "rule": .string(alert.rule), "table": .string(alert.table),
            "owner": .string(alert.owner), "state": .string("\(alert.state)"), "severity": .string("\(alert.severity)"),
            "episode": .integer(alert.episode),
            "key": .object(zip(alert.keyColumns, alert.keyTexts).map { JSON.Member($0, .optional($1)) }),
            "labels": .object(alert.labels.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) }),
            "recipient": .optional(alert.recipient), "firing_since": .optional(alert.firingSince?.description),
            "resolved_at": .optional(alert.resolvedAt?.description), "due_at": .optional(alert.dueAt?.description),
            "changed_at": .string(alert.changedAt.description), "bootstrap": .bool(alert.isBootstrap),
            "last_value_unknown": .bool(alert.isLastValueUnknown), "overdue": .bool(alert.isOverdue),
        ])
    }
}
