import ArgumentParser
import Core
import KafkaClient

/// The program `alert-router`.
@main
struct AlertRouterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alert-router",
        abstract: "Turns change events of Gold tables into alerts that reach the right people once.",
        discussion: """
            Start with 'alert-router demo': it needs nothing but this machine.

            Exit codes: 0 done, 1 the input is wrong, 2 usage, 3 the service cannot be reached.
            """,
        version: ProgramVersion.text,
        subcommands: [
            DemoCommand.self, RunCommand.self, CheckCommand.self, RulesCommand.self, RoutesCommand.self,
            AlertsCommand.self, AcknowledgeCommand.self, UnacknowledgeCommand.self, SilencesCommand.self,
            DeadLettersCommand.self, StoreCommand.self, PublishCommand.self, SchemaCommand.self,
        ])

    static func main() async {
        ProcessHeap.settle()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            failure.show(asJSON: OutputOptions.isJSON(CommandLine.arguments))
            exit(withError: failure.code.exitCode)
        } catch {
            // What ArgumentParser throws for wrong usage has code 64; ours is 2.
            let code = exitCode(for: error)
            if code == .validationFailure {
                Output.error(fullMessage(for: error))
                exit(withError: ExitCode(2))
            }
            exit(withError: error)
        }
    }
}

/// The version, as `--version` and the start line print it.
enum ProgramVersion {
    static let text = "0.1.0"
}

/// How this program is called again: by its path where it is not found by its name.
enum ProgramName {
    static var asStarted: String {
        guard let path = CommandLine.arguments.first, path.contains("/") else { return "alert-router" }
        return path
    }
}

/// How a command ends when it does not succeed.
struct CommandFailure: Error {
    /// Exit codes, the same for every command.
    enum Code: Int32 {
        case inputIsWrong = 1
        case usage = 2
        case serviceUnreachable = 3

        var exitCode: ExitCode { ExitCode(rawValue) }
    }

    var code: Code
    /// What is printed to standard error.
    var lines: [String]

    /// - Parameter help: what to do about it.
    init(_ code: Code, _ message: String, help: String? = nil) {
        self.code = code
        lines = ["error: \(message)"] + (help.map { ["  help: \($0)"] } ?? [])
    }

    /// Lines that are printed as they are; none where the command has said everything itself.
    init(_ code: Code, lines: [String]) {
        self.code = code
        self.lines = lines
    }

    /// What went wrong, in one line.
    var reason: String {
        let first = lines.first ?? ""
        return first.hasPrefix("error: ") ? String(first.dropFirst("error: ".count)) : first
    }

    /// For people to standard error; for programs that asked for JSON also as the answer.
    func show(asJSON: Bool) {
        for line in lines { Output.error(line) }
        guard asJSON, !lines.isEmpty else { return }
        let text = lines.joined(separator: "\n")
        let message = text.hasPrefix("error: ") ? String(text.dropFirst("error: ".count)) : text
        Output.line(JSON.object(["error": .string(message), "exit_code": .integer(code.rawValue)]).description)
    }
}
