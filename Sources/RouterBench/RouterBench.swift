import ArgumentParser

/// The project's benchmarks: each prints its figures as `name=value` lines with how they were measured.
@main
struct RouterBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "RouterBench",
        abstract: "Measures the router and prints name=value lines.",
        subcommands: [
            AllCommand.self, ThroughputCommand.self, RSSCommand.self, LatencyCommand.self, SMTPCommand.self,
            StartCommand.self, RestartCommand.self, CELCommand.self, CalendarsCommand.self, BrokerCommand.self,
            BareCommand.self, PushedCommand.self, PushSinkCommand.self, OpenAlertsCommand.self, ReloadCommand.self,
            RouterLoopCommand.self, CrashCommand.self, BadInputCommand.self, BadInputLoopCommand.self,
        ])
}
