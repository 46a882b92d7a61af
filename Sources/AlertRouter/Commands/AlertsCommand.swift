import AlertWorker
import ArgumentParser
import Core
import Store

struct AlertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alerts", abstract: "Lists and shows alerts.", subcommands: [List.self, Show.self, Explain.self],
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

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tells the whole life of one alert, in the order it happened.",
            discussion: """
                Each event that moved it, each level, each notification with its reason, what held it back, how long \
                it waited, every attempt and the answer to it.

                Example: alert-router alerts explain 3f9c2a7b51d0
                """)

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The alert's id or its first characters, as 'alerts list' prints it.") var id: String

        func run() async throws {
            let store = try StoreAccess.reading(configuration)
            guard let dossier = try store.read({ try AlertDossier.find(id, in: $0) }) else {
                throw CommandFailure(
                    .inputIsWrong, "no alert has an id that begins with '\(id)'",
                    help: "'alert-router alerts list --all' prints the ids")
            }
            output.show(dossier.explanation) { for line in dossier.story { Output.line(line) } }
        }
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
