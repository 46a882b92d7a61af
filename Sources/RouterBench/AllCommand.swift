import ArgumentParser

/// All figures, one after the other.
struct AllCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "all", abstract: "Measures every figure.")

    @Option(help: "The program; else the one beside this.") var binary: String?

    func run() async throws {
        let program = binary.map { ["--binary", $0] } ?? []
        let commands: [any AsyncParsableCommand] = [
            try ThroughputCommand.parse([]), try RSSCommand.parse(program), try LatencyCommand.parse(program),
            try SMTPCommand.parse([]), try StartCommand.parse(program), try RestartCommand.parse(program),
            try CELCommand.parse([]), try PushedCommand.parse(program), try OpenAlertsCommand.parse(program),
            try ReloadCommand.parse(program),
        ]
        var failureCount = 0
        for var command in commands {
            do { try await command.run() } catch {
                failureCount += 1
                BenchOutput.remark("\(type(of: command)._commandName) could not be measured: \(error)")
            }
        }
        if failureCount > 0 { throw ExitCode(1) }
    }
}
