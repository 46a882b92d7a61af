import ArgumentParser
import Core
import Store

struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Lists, shows, replays and discards what could not be read, judged or delivered.",
        subcommands: [List.self, Show.self, Replay.self, Discard.self], defaultSubcommand: List.self)

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case input, evaluation, delivery
        var record: DeadLetterRecord.Kind {
            switch self {
            case .input: .input
            case .evaluation: .evaluation
            case .delivery: .delivery
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists dead letters, newest first.",
            discussion: "Example: alert-router dead-letters list --kind delivery")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Option(help: "Only letters of this kind.") var kind: Kind?
        @Option(help: "Only letters of this rule.") var rule: String?
        @Option(help: "Only letters of this receiver.") var receiver: String?
        @Flag(help: "Also letters that were replayed or discarded.") var all = false
        @OptionGroup var limit: LimitOptions

        func run() async throws {
            let store = try StoreAccess.reading(configuration)
            let query = DeadLetterQuery(
                kind: kind?.record, state: all ? nil : .open, receiver: receiver, rule: rule, beforeId: nil,
                countMax: limit.limit)
            let letters = try store.read { try $0.deadLetters(query) }
            output.show(.array(letters.map { DeadLetterText.json($0, isRaw: false) })) {
                guard !letters.isEmpty else { return Output.line("no dead letters") }
                Output.table(
                    ["ID", "KIND", "STATE", "AT", "WHERE", "REASON"],
                    letters.map {
                        [
                            String($0.id), $0.kind.rawValue, $0.state.rawValue, $0.createdAt.description,
                            DeadLetterText.place($0), $0.reason,
                        ]
                    })
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows one dead letter.",
            discussion: """
                The bytes of the message may hold personal data: they are printed with --raw only, and \
                raw-access.log in the store's folder notes who looked.

                Example: alert-router dead-letters show 17 --raw
                """)

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The letter's id.") var id: Int64
        @Flag(help: "Print the message's bytes too.") var raw = false

        func run() async throws {
            let store = try StoreAccess.reading(configuration)
            guard var letter = try store.read({ try $0.deadLetter(id: id) }) else {
                throw CommandFailure(
                    .inputIsWrong, "there is no dead letter \(id)",
                    help: "'alert-router dead-letters list --all' prints the ids")
            }
            if raw {
                try RawAccessLog.note(
                    letter: id, by: StoreAccess.person, at: SystemWallClock().now(),
                    in: StoreAccess.location(configuration))
            }
            let isFromKafka = raw && letter.areBytesDropped
            if isFromKafka {
                letter = try await MessageRecovery.recover(letter, configurationPath: configuration.config)
                if output.output == .text { Output.error("the store did not keep the message; it was read from Kafka") }
            }
            output.show(DeadLetterText.json(letter, isRaw: raw)) {
                for line in DeadLetterText.lines(letter, isRaw: raw) { Output.line(line) }
            }
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replays dead letters.",
            discussion: """
                Messages are read and judged again, deliveries go back to the outbox with their idempotency key. \
                Without a running service, deliveries are put back at once and messages at the next start.

                Example: alert-router dead-letters replay 17 18
                """)

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "Ids of dead letters.") var ids: [Int64]

        func run() async throws { try await DeadLetterAction.perform("replay", ids, configuration, output) }
    }

    struct Discard: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Discards dead letters: nothing more happens to them.",
            discussion: "Example: alert-router dead-letters discard 17")

        @OptionGroup var configuration: ConfigurationOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "Ids of dead letters.") var ids: [Int64]

        func run() async throws { try await DeadLetterAction.perform("discard", ids, configuration, output) }
    }
}

/// Asks the service, or the store where no service runs, to replay or discard.
private enum DeadLetterAction {
    static func perform(
        _ action: String, _ ids: [Int64], _ configuration: ConfigurationOptions, _ output: OutputOptions
    ) async throws {
        let answer = try await StoreAccess.command(
            .object([
                "command": .string("dead_letters.\(action)"), "ids": .array(ids.map { .integer($0) }),
                "by": .string(StoreAccess.person),
            ]), configuration)
        output.show(answer) {
            for result in answer["results"]?.elements ?? [] {
                Output.line("\(result["id"]?.intValue ?? 0): \(result["text"]?.stringValue ?? "")")
            }
        }
        if answer["results"]?.elements?.contains(where: { $0["ok"]?.boolValue == false }) == true {
            throw CommandFailure(.inputIsWrong, lines: [])
        }
    }
}

/// A dead letter as commands print it.
enum DeadLetterText {
    static func place(_ letter: DeadLetterRecord) -> String {
        if let topic = letter.topic, let partition = letter.partition, let offset = letter.offset {
            return "\(topic)[\(partition)]@\(offset)" + (letter.rule.map { " rule \($0)" } ?? "")
        }
        return letter.receiver.map { "receiver \($0)" } ?? "-"
    }

    static func lines(_ letter: DeadLetterRecord, isRaw: Bool) -> [String] {
        var lines = [
            "dead letter  \(letter.id)", "kind         \(letter.kind.rawValue), \(letter.state.rawValue)",
            "where        \(place(letter))", "at           \(letter.createdAt)", "reason       \(letter.reason)",
        ]
        if let rowKey = letter.rowKey { lines.append("row key      \(rowKey)") }
        if let row = letter.outboxId { lines.append("outbox row   \(row)") }
        if let by = letter.settledBy { lines.append("settled by   \(by)") }
        let bytes =
            !letter.areBytesDropped
            ? "\(letter.byteCount)" + (isRaw || letter.byteCount == 0 ? "" : "; --raw prints them")
            : letter.topic == nil
                ? "not kept: the store held too many letters" : "not kept; --raw and 'replay' read them from Kafka"
        lines.append("bytes        \(bytes)")
        if isRaw {
            if let key = letter.key { lines.append("key          \(String(decoding: key, as: UTF8.self))") }
            if let value = letter.value { lines.append("value        \(String(decoding: value, as: UTF8.self))") }
        }
        return lines
    }

    static func json(_ letter: DeadLetterRecord, isRaw: Bool) -> JSON {
        var members: [JSON.Member] = [
            .init("id", .integer(letter.id)), .init("kind", .string(letter.kind.rawValue)),
            .init("state", .string(letter.state.rawValue)), .init("created_at", .string(letter.createdAt.description)),
            .init("reason", .string(letter.reason)), .init("topic", .optional(letter.topic)),
            .init("partition", letter.partition.map { .integer($0) } ?? .null),
            .init("offset", letter.offset.map { .integer($0) } ?? .null), .init("rule", .optional(letter.rule)),
            .init("row_key", .optional(letter.rowKey)), .init("receiver", .optional(letter.receiver)),
            .init("outbox_id", letter.outboxId.map { .integer($0) } ?? .null),
            .init("bytes", .integer(letter.byteCount)), .init("bytes_kept", .bool(!letter.areBytesDropped)),
            .init("settled_by", .optional(letter.settledBy)),
        ]
        if isRaw {
            members.append(.init("key", .optional(letter.key.map { String(decoding: $0, as: UTF8.self) })))
            members.append(.init("value", .optional(letter.value.map { String(decoding: $0, as: UTF8.self) })))
        }
        return .object(members)
    }
}
