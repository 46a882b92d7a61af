import ArgumentParser

/// The project's benchmarks: each prints its figures as `name=value` lines with how they were measured.
@main
struct RouterBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "RouterBench",
        abstract: "Measures the router and prints name=value lines.",
        subcommands: [
            BrokerCommand.self, BareCommand.self, RouterLoopCommand.self, ThroughputCommand.self, CrashCommand.self,
            BadInputCommand.self,
            BadInputLoopCommand.self,
        ])
}
