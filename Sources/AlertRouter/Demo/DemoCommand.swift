import ArgumentParser
import Core
import Foundation
import KafkaClient
import Logging
import RuleEngine
import Sandbox
import Store
import UnixSignals

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Plays sample tables of a plant through the router, on this machine only.",
        discussion: """
            Starts a Kafka cluster in this process, a Teams webhook and a mail server on loopback, and the router with \
            the sample rules; then plays the change events of four Gold tables and prints what arrives.

            Example: alert-router demo --speed 100
            """)

    @Option(help: "Change events a second, or 'max'.") var speed = "60"
    @Flag(help: "Play through once, print the summary and exit; otherwise the router goes on until Ctrl-C.") var once =
        false
    @Option(help: "The folder of other rules; the sample rules come with the program.") var rules: String?

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: [.sigterm, .sigint, .sighup])
        signal(SIGPIPE, SIG_IGN)
        let pace: SamplePlayer.Pace
        if speed == "max" {
            pace = .unlimited
        } else if let rate = Double(speed), rate > 0, rate <= 1_000_000 {
            pace = .perSecond(rate)
        } else {
            throw CommandFailure(.usage, "--speed must be a number of events a second or 'max'; found '\(speed)'")
        }
        let rulesFolder = try rulesFolder()
        let world = try await DemoWorld.start(rulesFolder: rulesFolder)
        do {
            try await play(world, pace: pace, signals: signals)
        } catch {
            await world.stop()
            throw error
        }
        await world.stop()
    }

    private func rulesFolder() throws -> String {
        if let rules {
            guard FileManager.default.fileExists(atPath: rules + "/tables.yaml") else {
                throw CommandFailure(
                    .inputIsWrong, "the demo needs rules with a tables.yaml; there is none in '\(rules)'",
                    help: "without --rules it takes the sample rules that come with the program")
            }
            return rules
        }
        guard let shipped = SampleFiles.rules else {
            throw CommandFailure(
                .inputIsWrong, "the sample rules that come with the program are not beside it",
                help: "'make install' puts them into share/alert-router; or name a folder with --rules")
        }
        return shipped
    }

    private func play(_ world: DemoWorld, pace: SamplePlayer.Pace, signals: UnixSignalsSequence) async throws {
        let loaded = LoadedConfiguration.load(path: world.configurationPath, secrets: .resolve)
        guard let ruleSet = loaded.rules else {
            throw CommandFailure(
                .inputIsWrong, lines: loaded.diagnostics.map { $0.rendered(source: loaded.sources[$0.position.file]) })
        }
        world.introduce(rules: ruleSet)
        let clock = SystemWallClock()
        let logger = Logger(label: "alert-router") { label in
            LogOutput(label: label, isJSON: false, level: .warning, clock: clock)
        }
        let lock = try ProcessLock(
            location: loaded.storeLocation,
            holder: .current(
                startedAt: clock.now(),
                socketPath: loaded.storeLocation.socketPath(environment: ProcessInfo.processInfo.environment)))
        let service = try RouterService(
            loaded: loaded, rules: ruleSet, options: ServiceOptions(), lock: lock, metrics: world.metrics, clock: clock,
            logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            group.addTask {
                for await _ in signals { service.stop() }
            }
            try await world.waitUntilReady(service)
            let events = try await world.play(pace: pace, for: service)
            try await world.settle(service, rules: ruleSet)
            world.summarize(service, eventCount: events)
            if once { service.stop() } else { world.invite() }
            _ = try await group.next()
            group.cancelAll()
        }
    }
}
