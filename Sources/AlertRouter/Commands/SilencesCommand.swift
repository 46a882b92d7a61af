import Alerting
import ArgumentParser
import CEL
import Core
import Foundation
import Store

struct SilencesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "silences", abstract: "Lists, makes and ends silences.",
        subcommands: [List.self, Show.self, Add.self, Expire.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists silences, those of files and those that were made, the one that ends first above.",
            discussion: "Example: alert-router silences list --all")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Flag(help: "Also silences that are over.") var all = false

        func run() async throws {
            let now = SystemWallClock().now()
            let silences = try KnownSilences.load(configuration, output).silences
                .filter { all || $0.state(at: now) != .expired }
            output.show(.array(silences.map { SilenceText.json($0, at: now) })) {
                guard !silences.isEmpty else {
                    return Output.line(all ? "no silences" : "no silences pending or active")
                }
                Output.table(
                    ["ID", "STATE", "STARTS", "ENDS", "AUTHOR", "SILENCES"],
                    silences.map { silence in
                        [
                            String(silence.id.prefix(8)), silence.state(at: now).rawValue,
                            silence.startsAt.description, silence.endsAt.description, silence.author,
                            silence.expression.description,
                        ]
                    })
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one silence.", discussion: "Example: alert-router silences show 1f0c93b2")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The silence's id or its first characters.") var id: String

        func run() async throws {
            let now = SystemWallClock().now()
            let silence = try KnownSilences.load(configuration, output).find(id)
            output.show(SilenceText.json(silence, at: now)) {
                for line in SilenceText.lines(silence, at: now) { Output.line(line) }
            }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Silences the alerts that match.",
            discussion: """
                Matchers are written as Alertmanager's; all of them must hold. --match takes a CEL expression instead.

                Example: alert-router silences add 'plant="Plant 1"' 'line=~"L1|L2"' --for 2h --comment "filler rebuilt"
                """)

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "Matchers, such as team=\"quality\".") var matchers: [String] = []
        @Option(help: "A CEL expression instead of matchers.") var match: String?
        @Option(name: .customLong("for"), help: "How long, such as 2h or 1d12h.") var length: DurationArgument?
        @Option(help: "Until when, as 2026-03-06T22:00:00+01:00, instead of --for.") var until: TimeArgument?
        @Option(help: "From when, as 2026-03-06T06:00:00+01:00; default: now.") var start: TimeArgument?
        @Option(help: "Why.") var comment: String
        @Option(help: "Who silences; default: you.") var author: String?
        @Flag(help: "It also ends when none of its alerts is open any more.") var untilResolved = false

        func validate() throws {
            guard matchers.isEmpty != (match == nil) else {
                throw ValidationError("give matchers or --match, and not both")
            }
            guard (length == nil) != (until == nil) else { throw ValidationError("give one of --for and --until") }
            guard !comment.isEmpty else { throw ValidationError("--comment must say why") }
        }

        func run() async throws {
            let known = try KnownSilences.load(configuration, output)
            let now = SystemWallClock().now()
            let startsAt = start?.time ?? now
            var random = SystemRandomNumberGenerator()
            let silence = Silence(
                id: Silence.id(bytes: (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }),
                expression: try expression(), startsAt: startsAt,
                endsAt: until?.time ?? startsAt.adding(length?.duration ?? .zero), author: author ?? StoreAccess.person,
                comment: comment, untilResolved: untilResolved, source: .cli, createdAt: now, updatedAt: now)
            let open = known.silences.count { $0.state(at: now) != .expired }
            if let refusal = known.limits.refusal(of: silence, at: now, openCount: open) {
                throw CommandFailure(.inputIsWrong, refusal)
            }
            let answer = try await StoreAccess.command(
                SilenceRequest.put(silence, by: StoreAccess.person), configuration)
            output.show(answer) { Output.line(answer["id"]?.stringValue ?? silence.id) }
        }

        private func expression() throws -> MatchExpression {
            if let match {
                let (condition, diagnostics) = CompiledCondition.compile(match, at: SourceMap(file: "--match"))
                guard let condition else {
                    throw CommandFailure(.inputIsWrong, lines: diagnostics.map { $0.rendered(source: match) })
                }
                return .cel(condition)
            }
            var all: [LabelMatcher] = []
            for text in matchers {
                do throws(MatcherSyntaxProblem) { all += try LabelMatcher.parse(text) } catch {
                    throw CommandFailure(
                        .inputIsWrong, "'\(text)' is no matcher: column \(error.column): \(error.message)",
                        help: error.help ?? "write one as team=\"quality\", in single quotes for the shell")
                }
            }
            return .labels(all)
        }
    }

    struct Expire: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends silences at once; what stayed bad meanwhile is told in one summary.",
            discussion: "Example: alert-router silences expire 1f0c93b2")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "Ids of silences or their first characters.") var ids: [String]

        func run() async throws {
            let known = try KnownSilences.load(configuration, output)
            let now = SystemWallClock().now()
            var found: [Silence] = []
            for id in ids {
                let silence = try known.find(id)
                if case .file(let position) = silence.source {
                    throw CommandFailure(
                        .inputIsWrong, "silence \(id) stands in \(position.file):\(position.line)",
                        help: "remove it there and reload")
                }
                guard silence.state(at: now) != .expired else {
                    throw CommandFailure(.inputIsWrong, "silence \(id) is over since \(silence.endsAt)")
                }
                found.append(silence)
            }
            for silence in found {
                let answer = try await StoreAccess.command(
                    SilenceRequest.expire(silence.id, by: StoreAccess.person), configuration)
                output.show(answer) { Output.line("\(silence.id): expired") }
            }
        }
    }
}

/// A duration on the command line.
struct DurationArgument: ExpressibleByArgument {
    var duration: Duration

    init?(argument: String) {
        guard let duration = DurationText.parse(argument), duration > .zero else { return nil }
        self.duration = duration
    }
}

/// The silences of files and of the store.
struct KnownSilences {
    /// The one that ends first is the first.
    var silences: [Silence]
    var limits: SilenceLimits

    /// The kind under which the store keeps silences.
    static let stateKind = "alerting.silence"

    static func load(_ configuration: ConfigurationOptions, _ output: OutputOptions) throws -> KnownSilences {
        let loaded = LoadedConfiguration.load(path: configuration.config, secrets: .leave)
        guard let policy = loaded.policy else {
            try DiagnosticReport.show(loaded.diagnostics, sources: loaded.sources, output: output)
            throw CommandFailure(.inputIsWrong, lines: [])
        }
        var silences = policy.silences
        if FileManager.default.fileExists(atPath: loaded.storeLocation.databasePath) {
            let store = try StoreAccess.reading(configuration)
            try store.read { reader in
                try reader.forEachState(kind: stateKind) { silences.append(try Silence(bytes: $0.bytes)) }
            }
        }
        silences.sort { ($0.endsAt, $0.id) < ($1.endsAt, $1.id) }
        return KnownSilences(silences: silences, limits: policy.silenceLimits)
    }

    /// The silence whose id begins with a text.
    func find(_ id: String) throws -> Silence {
        let matches = silences.filter { $0.id.hasPrefix(id.lowercased()) }
        guard !id.isEmpty, let silence = matches.first else {
            throw CommandFailure(
                .inputIsWrong, "no silence has an id that begins with '\(id)'",
                help: "'alert-router silences list --all' prints the ids")
        }
        guard matches.count == 1 else {
            throw CommandFailure(
                .inputIsWrong, "several silences have ids that begin with '\(id)': give more characters")
        }
        return silence
    }
}

/// What the commands ask of the service.
enum SilenceRequest {
    static let putName = "silences.put"
    static let expireName = "silences.expire"

    static func put(_ silence: Silence, by person: String) -> JSON {
        .object([
            "command": .string(putName), "silence": .string(Hex.encode(silence.bytes)), "by": .string(person),
        ])
    }

    static func expire(_ id: String, by person: String) -> JSON {
        .object(["command": .string(expireName), "id": .string(id), "by": .string(person)])
    }

    /// The silence of a request; nil where it is none.
    static func silence(of request: JSON) -> Silence? {
        guard let bytes = request["silence"]?.stringValue.flatMap(Hex.decode) else { return nil }
        return try? Silence(bytes: bytes)
    }

    /// Carries a request out on the store where no service runs; the next start takes it up.
    static func perform(
        _ request: JSON, now: Timestamp, in transaction: any StoreTransaction
    ) throws -> JSON {
        var silence: Silence
        if request["command"]?.stringValue == putName {
            guard let new = self.silence(of: request) else {
                throw StoreError(.conflict, "the request holds no silence", systemCode: nil)
            }
            silence = new
        } else {
            let id = request["id"]?.stringValue ?? ""
            guard let state = try transaction.state(kind: KnownSilences.stateKind, key: id),
                let old = try? Silence(bytes: state.bytes)
            else { throw StoreError(.conflict, "there is no silence \(id)", systemCode: nil) }
            var set = SilenceSet()
            set.put(old)
            guard let ended = set.expire(id: id, at: now) else {
                throw StoreError(.conflict, "silence \(id) is over", systemCode: nil)
            }
            silence = ended
        }
        try transaction.upsertState(
            StateRecord(
                kind: KnownSilences.stateKind, key: silence.id,
                dueAt: silence.state(at: now) == .pending ? silence.startsAt : silence.endsAt, bytes: silence.bytes))
        return .object(["id": .string(silence.id)])
    }
}

/// A silence as commands print it.
enum SilenceText {
    static func lines(_ silence: Silence, at now: Timestamp) -> [String] {
        var lines = [
            "silence    \(silence.id)", "state      \(silence.state(at: now).rawValue)",
            "silences   \(silence.expression)", "starts     \(silence.startsAt)", "ends       \(silence.endsAt)",
        ]
        if silence.untilResolved { lines.append("           or when none of its alerts is open any more") }
        lines += [
            "author     \(silence.author)", "comment    \(silence.comment)", "made       \(source(silence.source))",
        ]
        return lines
    }

    private static func source(_ source: Silence.Source) -> String {
        switch source {
        case .api: "through the API"
        case .cli: "by the command line"
        case .file(let position): "in \(position.file):\(position.line)"
        }
    }

    static func json(_ silence: Silence, at now: Timestamp) -> JSON {
        let matchers = silence.expression.matchers.map { matcher in
            JSON.object([
                "name": .string(matcher.name), "value": .string(matcher.value), "isRegex": .bool(matcher.isRegex),
                "isEqual": .bool(matcher.isEqual),
            ])
        }
        var members: [JSON.Member] = [
            .init("id", .string(silence.id)), .init("state", .string(silence.state(at: now).rawValue)),
            .init("matchers", .array(matchers)), .init("starts_at", .string(silence.startsAt.description)),
            .init("ends_at", .string(silence.endsAt.description)), .init("author", .string(silence.author)),
            .init("comment", .string(silence.comment)), .init("until_resolved", .bool(silence.untilResolved)),
        ]
        if case .file(let position) = silence.source { members.append(.init("file", .string(position.description))) }
        return .object(members)
    }
}
