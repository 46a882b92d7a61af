import AlertWorker
import ArgumentParser
import Core
import Store

struct AcknowledgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ack", abstract: "Acknowledges an open alert: no reminders of it are sent for a while.",
        discussion: "Example: alert-router ack 3f9c2a7b51d0 --for 4h --comment \"on my way\"")

    /// Longer ones are forgotten ones.
    private static let lengthMax: Duration = .seconds(30 * 86_400)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The alert's id or its first characters, as 'alerts list' prints it.") var id: String
    @Option(name: .customLong("for"), help: "How long it holds, such as 30m, 4h or 2d; at most 30d.")
    var length = "4h"
    @Option(help: "What to tell others.") var comment = ""

    func validate() throws {
        guard let duration = DurationText.parse(length), duration > .zero,
            duration <= AcknowledgeCommand.lengthMax
        else { throw ValidationError("--for must be a duration of at most 30d, such as 4h; found '\(length)'") }
    }

    func run() async throws {
        let seconds = (DurationText.parse(length) ?? .zero).wholeMilliseconds / 1000
        try await AcknowledgeRequest.send(
            "alerts.acknowledge", id: id, configuration, output,
            more: [.init("seconds", .integer(seconds)), .init("comment", .string(comment))])
    }
}

struct UnacknowledgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unack", abstract: "Takes an acknowledgement back.",
        discussion: "Example: alert-router unack 3f9c2a7b51d0")

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The alert's id or its first characters, as 'alerts list' prints it.") var id: String

    func run() async throws {
        try await AcknowledgeRequest.send("alerts.unacknowledge", id: id, configuration, output, more: [])
    }
}

/// Asks the service about one alert.
private enum AcknowledgeRequest {
    static func send(
        _ command: String, id: String, _ configuration: ConfigurationOptions, _ output: OutputOptions,
        more: [JSON.Member]
    ) async throws {
        let store = try StoreAccess.reading(configuration)
        guard let dossier = try store.read({ try AlertDossier.find(id, in: $0) }) else {
            throw CommandFailure(
                .inputIsWrong, "no alert has an id that begins with '\(id)'",
                help: "'alert-router alerts list' prints the ids")
        }
        let members: [JSON.Member] = [
            .init("command", .string(command)), .init("by", .string(StoreAccess.person)),
            .init("id", .string(dossier.stored.alert.fingerprint.description)),
        ]
        let answer = try await StoreAccess.command(.object(members + more), configuration)
        output.show(answer) { Output.line(answer["text"]?.stringValue ?? "done") }
    }
}
