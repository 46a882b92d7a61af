import AlertWorker
import Alerting
import ArgumentParser
import Calendars
import Core
import Foundation
import RuleEngine
import Templates

struct RoutesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routes", abstract: "Shows the routes and says whom an alert would be told to.",
        subcommands: [Show.self, Test.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the tree of routes with the settings that each has or inherits.",
            discussion: "Example: alert-router routes show")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let (policy, _) = try RoutesCommand.load(configuration, output)
            output.show(RouteText.json(policy.routes.root)) {
                for line in RouteText.lines(policy.routes.root) { Output.line(line) }
            }
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says whom an alert would be told to, through which routes, in which group.",
            discussion: """
                Of a rule that is loaded, its table, owner, severity, receivers and fixed labels are taken unless they \
                are given. Nothing is sent.

                Example: alert-router routes test --label team=quality --severity error --key "plant=Plant 1"
                """)

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Option(help: "The alert's rule.") var rule: String?
        @Option(help: "Its severity; default: the highest of the rule, else warning.") var severity: Severity?
        @Option(name: .long, help: "A label, as name=value; may be repeated.") var label: [NamedText] = []
        @Option(name: .long, help: "A key column, as name=value; may be repeated.") var key: [NamedText] = []
        @Option(help: "Its table; default: the rule's.") var table: String?
        @Option(help: "Its owner; default: the rule's.") var owner: String?
        @Option(help: "When, for windows and silences, as 2026-01-12T06:00:00Z; default: now.") var at: TimeArgument?

        func run() async throws {
            let (policy, rules) = try RoutesCommand.load(configuration, output)
            let answer = RouteTest(
                policy: policy, rules: rules, rule: rule, severity: severity,
                labels: Dictionary(label.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }),
                key: key.map { ($0.name, $0.value) }, table: table, owner: owner,
                at: at?.time ?? SystemWallClock().now())
            output.show(answer.json) { for line in answer.lines { Output.line(line) } }
        }
    }

    /// The configuration's routes; what is wrong with it ends the command.
    static func load(
        _ configuration: ConfigurationOptions, _ output: OutputOptions
    ) throws -> (policy: RoutingPolicy, rules: RuleSet) {
        let loaded = LoadedConfiguration.load(path: configuration.config, secrets: .leave)
        guard let policy = loaded.policy, let rules = loaded.rules else {
            try DiagnosticReport.show(loaded.diagnostics, sources: loaded.sources, output: output)
            throw CommandFailure(.inputIsWrong, lines: [])
        }
        return (policy, rules)
    }
}

/// `name=value` on the command line.
struct NamedText: ExpressibleByArgument {
    var name: String
    var value: String

    init?(argument: String) {
        guard let place = argument.firstIndex(of: "="), place > argument.startIndex else { return nil }
        name = String(argument[..<place])
        value = String(argument[argument.index(after: place)...])
    }
}

/// A time with its zone on the command line.
struct TimeArgument: ExpressibleByArgument {
    var time: Timestamp

    init?(argument: String) {
        guard let time = Timestamp.parse(argument, zoneRequired: true) else { return nil }
        self.time = time
    }
}

/// Whom an alert would be told to.
struct RouteTest {
    var subject: AlertSubject
    var matches: [RouteMatch]
    /// Silences of files, by name of file and line, that would silence it.
    var silences: [Silence]
    var maintenance: [String]
    /// Names of mute times that go on, by receiver.
    var muted: [String: MuteReference]
    var notes: [String]

    init(
        policy: RoutingPolicy, rules: RuleSet, rule name: String?, severity: Severity?, labels: [String: String],
        key: [(String, String)], table: String?, owner: String?, at time: Timestamp
    ) {
        let rule = name.flatMap { rules.rule(named: $0) }
        notes = []
        if let name, rule == nil {
            let nearest = Spelling.nearest(to: name, among: rules.rules.map(\.name))
            notes.append("there is no rule '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
        }
        var all: [String: String] = [:]
        for label in rule?.labels ?? [] where label.template.isPlain { all[label.name] = label.template.source }
        let open = (rule?.labels ?? []).filter { !$0.template.isPlain && labels[$0.name] == nil }.map(\.name)
        if !open.isEmpty { notes.append("the row decides the labels " + open.sorted().joined(separator: ", ")) }
        let columns = (rule?.keyColumns ?? []).filter { column in !key.contains { $0.0 == column } }
        if !columns.isEmpty { notes.append("the row decides the key columns " + columns.joined(separator: ", ")) }
        // `--label owner=x` means what `--owner x` does.
        let named = labels["severity"].flatMap { Severity(name: $0) }
        subject = AlertSubject(
            rule: name ?? "", table: table ?? labels["table"] ?? rule?.table ?? "",
            owner: owner ?? labels["owner"] ?? rule?.owner ?? "",
            severity: severity ?? named ?? rule?.severityMax ?? .warning, labels: all.merging(labels) { $1 },
            keyColumns: key.map(\.0), keyTexts: key.map(\.1), recipient: nil)
        matches = policy.routes.matches(subject, notify: rule?.notify ?? [])
        let subject = subject
        silences = policy.silences.filter { $0.silences(subject, at: time) }
        maintenance = policy.maintenance.suppressing(subject, at: time)
        muted = [:]
        for match in matches {
            muted[match.receiver] = policy.muteTimes.active(among: match.settings.muteTimes, at: time)
        }
    }

    var lines: [String] {
        let labels = subject.labelSet.sorted { $0.key < $1.key }
            .map { LabelMatcher($0.key, equals: $0.value).description }
        var lines = ["alert      " + labels.joined(separator: ", ")]
        lines += notes.map { "note       \($0)" }
        for name in maintenance { lines.append("suppressed by the maintenance window '\(name)'") }
        for silence in silences { lines.append("silenced   by \(RouteText.place(silence)) until \(silence.endsAt)") }
        for match in matches {
            lines.append("")
            lines.append("receiver   \(match.receiver)")
            lines.append("through    " + match.path.joined(separator: "\n           "))
            let group = match.settings.groupLabels(of: subject)
                .map { LabelMatcher($0.name, equals: $0.value).description }
            lines.append("group      " + group.joined(separator: ", "))
            lines += RouteText.settings(match.settings).map { "           \($0)" }
            if let mute = muted[match.receiver] {
                lines.append("muted      by '\(mute.name)' now (\(mute.policy.rawValue))")
            }
        }
        if matches.isEmpty { lines.append("nobody is told") }
        return lines
    }

    var json: JSON {
        func texts(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
        let labels = subject.labelSet.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) }
        return .object([
            "labels": .object(labels), "notes": texts(notes), "maintenance": texts(maintenance),
            "silenced_by": texts(silences.map(\.id)),
            "receivers": .array(
                matches.map { match in
                    let group = match.settings.groupLabels(of: subject).map { JSON.Member($0.name, .string($0.value)) }
                    return .object([
                        "receiver": .string(match.receiver), "path": texts(match.path), "group": .object(group),
                        "settings": RouteText.json(match.settings),
                        "muted_by": .optional(muted[match.receiver]?.name),
                    ])
                }),
        ])
    }
}

/// Routes as texts and JSON.
enum RouteText {
    static func place(_ silence: Silence) -> String {
        if case .file(let position) = silence.source { return "\(position.file):\(position.line)" }
        return silence.id
    }

    static func grouping(_ grouping: GroupSettings.Grouping) -> String {
        switch grouping {
        case .rule: "by rule"
        case .each: "each alert alone"
        case .labels(let names): "by " + names.joined(separator: ", ")
        }
    }

    /// Lines that say all of the settings that mean something.
    static func settings(_ settings: GroupSettings) -> [String] {
        let text = DurationText.format
        var lines = [
            "grouped \(grouping(settings.grouping)); wait \(text(settings.wait)), critical "
                + "\(text(settings.criticalWait)), then every \(text(settings.interval)), repeated after "
                + text(settings.repeatInterval)
        ]
        if !settings.sendsResolved { lines.append("the end of an alert is not told") }
        if let storm = settings.storm {
            lines.append("storm: more than \(storm.moreThan) new alerts within \(text(storm.within))")
        }
        for mute in settings.muteTimes { lines.append("mute time '\(mute.name)' (\(mute.policy.rawValue))") }
        if let digest = settings.digest {
            let days = digest.schedule.calendar == nil ? "" : ", \(digest.schedule.days.rawValue)"
            lines.append(
                "digest: \(digest.schedule.cron) in \(digest.schedule.zone.identifier)\(days), one for each "
                    + digest.split.rawValue)
        }
        for step in settings.escalations {
            lines.append(
                "after \(text(step.after)) unless \(step.unless.rawValue): " + step.notify.joined(separator: ", "))
        }
        return lines
    }

    /// The tree; settings stand where they differ from those of the route around.
    static func lines(_ root: RouteTree.Node) -> [String] {
        var lines: [String] = []
        func visit(_ node: RouteTree.Node, parent: RouteTree.Node?, indent: String) {
            let title = [node.name, node.expression?.description].compactMap { $0 }.joined(separator: ": ")
            let place = node.position.map { "  (\($0.file):\($0.line))" } ?? ""
            lines.append("\(indent)\(title.isEmpty ? "all alerts" : title)\(place)")
            let told = node.receivers.joined(separator: ", ")
            lines.append("\(indent)    -> \(told)\(node.continues ? ", and on to the next" : "")")
            if parent?.settings != node.settings {
                lines += settings(node.settings).map { "\(indent)    \($0)" }
            }
            for child in node.children { visit(child, parent: node, indent: indent + "  ") }
        }
        visit(root, parent: nil, indent: "")
        return lines
    }

    static func json(_ node: RouteTree.Node) -> JSON {
        .object([
            "name": .optional(node.name), "match": .optional(node.expression?.description),
            "position": .optional(node.position?.description), "receivers": .array(node.receivers.map { .string($0) }),
            "continue": .bool(node.continues), "settings": json(node.settings),
            "routes": .array(node.children.map(json)),
        ])
    }

    static func json(_ settings: GroupSettings) -> JSON {
        func time(_ duration: Duration) -> JSON { .string(DurationText.format(duration)) }
        func texts(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
        let groupBy: [String] =
            switch settings.grouping {
            case .rule: ["rule"]
            case .each: ["each"]
            case .labels(let names): names
            }
        var members: [JSON.Member] = [
            .init("group_by", texts(groupBy)), .init("group_wait", time(settings.wait)),
            .init("critical_wait", time(settings.criticalWait)), .init("group_interval", time(settings.interval)),
            .init("repeat_interval", time(settings.repeatInterval)),
            .init("send_resolved", .bool(settings.sendsResolved)),
            .init(
                "mute_times",
                .array(
                    settings.muteTimes.map {
                        .object(["name": .string($0.name), "policy": .string($0.policy.rawValue)])
                    }
                )),
            .init(
                "escalate",
                .array(
                    settings.escalations.map {
                        .object([
                            "after": time($0.after), "unless": .string($0.unless.rawValue), "notify": texts($0.notify),
                        ])
                    })),
        ]
        if let storm = settings.storm {
            members.append(
                .init("storm", .object(["more_than": .integer(storm.moreThan), "within": time(storm.within)])))
        }
        if let digest = settings.digest {
            members.append(
                .init(
                    "digest",
                    .object([
                        "schedule": .string(digest.schedule.cron.description),
                        "timezone": .string(digest.schedule.zone.identifier), "by": .string(digest.split.rawValue),
                        "columns": .object(digest.columns.map { JSON.Member($0.title, .string($0.source)) }),
                        "sort": texts(digest.sort.map { ($0.isDescending ? "-" : "") + $0.source }),
                    ])))
        }
        return .object(members)
    }
}
