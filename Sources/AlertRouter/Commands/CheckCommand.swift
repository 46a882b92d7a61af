import AlertWorker
import Alerting
import ArgumentParser
import ConfigFiles
import Core
import Foundation
import RuleEngine
import Store

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Checks the configuration and all rules, without side effects.",
        discussion: "Example: alert-router check --config alert-router.yaml")

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let loaded = LoadedConfiguration.load(path: configuration.config, secrets: .resolve)
        try DiagnosticReport.show(loaded.diagnostics, sources: loaded.sources, output: output)
        guard let rules = loaded.rules else { throw CommandFailure(.inputIsWrong, lines: []) }
        if output.output == .text {
            let routes = loaded.policy?.routes.count ?? 0
            Output.line(
                "\(configuration.config) is right: \(rules.rules.count) rules, "
                    + "\(loaded.configuration?.receivers.count ?? 0) receivers"
                    + (routes > 0 ? ", \(routes) routes" : ""))
        }
    }
}

struct RulesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules", abstract: "Checks rules and says what an edit would do.",
        subcommands: [Check.self, Plan.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks rule files; needs no configuration.",
            discussion: "Example: alert-router rules check rules/")

        @OptionGroup var output: OutputOptions
        @Argument(help: "The folder of the rule files.") var folder = "rules"

        func run() async throws {
            let loaded = LoadedRules.load(folder: folder)
            try DiagnosticReport.show(loaded.diagnostics, sources: loaded.sources, output: output)
            guard let rules = loaded.rules else { throw CommandFailure(.inputIsWrong, lines: []) }
            if output.output == .text {
                let own = rules.rules.filter { $0.table != HealthTable.name }
                Output.line("\(own.count) rules over \(Set(own.map(\.table)).count) tables are right")
            }
        }
    }

    struct Plan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says what loading the rules as they are now would do to open alerts; changes nothing.",
            discussion: "Example: alert-router rules plan")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let loaded = LoadedConfiguration.load(path: configuration.config, secrets: .leave)
            // The plan is the answer; diagnostics are, only where there is no plan.
            if loaded.rules == nil {
                try DiagnosticReport.show(loaded.diagnostics, sources: loaded.sources, output: output)
            }
            guard let rules = loaded.rules else { throw CommandFailure(.inputIsWrong, lines: []) }
            let isStored = FileManager.default.fileExists(atPath: loaded.storeLocation.databasePath)
            let plan = try RulePlan.make(rules: rules, reader: isStored ? StoreAccess.reading(configuration) : nil)
            output.show(plan.json) { for line in plan.lines { Output.line(line) } }
        }
    }
}

/// What loading a rule set would do to what is open: a dry run on a copy of the state.
struct RulePlan {
    var added: [String]
    var removed: [String]
    var changed: [String]
    /// Open alerts per rule, and how many of them the edit would resolve.
    var open: [String: Int]
    var resolved: [String: Int]

    static func make(rules: RuleSet, reader store: ReadOnlyStore?) throws -> RulePlan {
        var open: [String: Int] = [:]
        var resolved: [String: Int] = [:]
        var known: [String: String] = [:]
        try store?.read { reader in
            known = try LoadedRuleHashes.read(reader) ?? reader.checkpoint(name: "alert")?.ruleHashes ?? [:]
            try reader.forEachOpenAlert { record in
                let alert = try StoredAlert(record: record).alert
                guard alert.state == .firing || alert.state == .pending else { return }
                open[alert.rule, default: 0] += 1
                let rule = rules.rules.first { $0.name == alert.rule }
                if rule?.takesOver(alert) != true { resolved[alert.rule, default: 0] += 1 }
            }
        }
        let now = Dictionary(rules.rules.map { ($0.name, $0.hash) }, uniquingKeysWith: { first, _ in first })
        return RulePlan(
            added: now.keys.filter { known[$0] == nil }.sorted(),
            removed: known.keys.filter { now[$0] == nil }.sorted(),
            changed: now.filter { known[$0.key] != nil && known[$0.key] != $0.value }.map(\.key).sorted(), open: open,
            resolved: resolved)
    }

    var lines: [String] {
        var lines: [String] = []
        for name in added { lines.append("+ \(name): new") }
        for name in changed { lines.append("~ \(name): changed; \(effect(name))") }
        for name in removed { lines.append("- \(name): removed; \(effect(name))") }
        if lines.isEmpty { lines.append("nothing changes") }
        return lines
    }

    private func effect(_ name: String) -> String {
        let count = open[name] ?? 0
        let closing = resolved[name] ?? 0
        if count == 0 { return "no alert of it is open" }
        return closing == 0
            ? "\(count) open alerts stay open and are judged by their next row"
            : "\(closing) of \(count) open alerts are resolved"
    }

    var json: JSON {
        func names(_ names: [String]) -> JSON { .array(names.map { .string($0) }) }
        func counts(_ counts: [String: Int]) -> JSON {
            .object(counts.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) })
        }
        return .object([
            "added": names(added), "changed": names(changed), "removed": names(removed), "open": counts(open),
            "resolved": counts(resolved),
        ])
    }
}

/// Prints diagnostics and ends the command when one is an error.
enum DiagnosticReport {
    static func show(_ diagnostics: [Diagnostic], sources: [String: String], output: OutputOptions) throws {
        let sorted = diagnostics.sorted { $0.position < $1.position }
        let hasErrors = sorted.contains { $0.level == .error }
        if output.output == .json {
            Output.line(JSON.array(sorted.map(json)).description)
        } else {
            for line in lines(sorted, sources: sources) { Output.error(line) }
        }
        if hasErrors { throw CommandFailure(.inputIsWrong, lines: []) }
    }

    /// The diagnostics by place, and how many are errors.
    static func lines(_ diagnostics: [Diagnostic], sources: [String: String]) -> [String] {
        let sorted = diagnostics.sorted { $0.position < $1.position }
        let texts = sorted.map { $0.rendered(source: sources[$0.position.file]) }
        return sorted.contains { $0.level == .error } ? texts + [errorCount(sorted)] : texts
    }

    /// "1 error", "2 errors".
    static func errorCount(_ diagnostics: [Diagnostic]) -> String {
        let count = diagnostics.count { $0.level == .error }
        return "\(count) \(count == 1 ? "error" : "errors")"
    }

    static func json(_ diagnostic: Diagnostic) -> JSON {
        .object([
            "level": .string(diagnostic.level.rawValue), "code": .string(diagnostic.code),
            "message": .string(diagnostic.message), "file": .string(diagnostic.position.file),
            "line": .integer(diagnostic.position.line), "column": .integer(diagnostic.position.column),
            "length": .integer(diagnostic.length), "help": .optional(diagnostic.help),
            "notes": .array(
                diagnostic.notes.map {
                    .object(["position": .optional($0.position?.description), "message": .string($0.message)])
                }),
        ])
    }
}

/// The rules that the service last loaded, by name and hash, kept in the store so that a plan can tell what is new.
enum LoadedRuleHashes {
    private static let key = "alert.rules"

    static func write(_ rules: RuleSet, in transaction: any StoreTransaction) throws {
        let members = rules.rules.map { JSON.Member($0.name, .string($0.hash)) }
        try transaction.setMeta(key, JSON.object(members).bytes)
    }

    /// Nil in a store of before.
    static func read(_ reader: any StoreReader) throws -> [String: String]? {
        guard let bytes = try reader.meta(key) else { return nil }
        let members = (try JSON.parse(bytes)).members ?? []
        return Dictionary(
            members.map { ($0.name, $0.value.stringValue ?? "") }, uniquingKeysWith: { first, _ in first })
    }
}
