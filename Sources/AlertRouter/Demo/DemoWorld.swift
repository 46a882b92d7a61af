import AlertWorker
import ChangeEvents
import Core
import Foundation
import KafkaClient
import Logging
import NIOPosix
import RuleEngine
import Sandbox
import Spine
import Store
import Synchronization

/// Everything around the router in the demo: a Kafka cluster in this process, a Teams webhook and a mail server on
/// loopback, the sample tables, a temporary folder.
final class DemoWorld: Sendable {
    let configurationPath: String
    let metrics = MetricsRegistry()
    private let folder: String
    private let rulesFolder: String
    private let cluster: MockCluster
    private let samples: SamplePlayer
    private let teams: [(name: String, sink: TeamsSink)]
    private let mail: SMTPSandbox
    private let screen: DemoScreen
    private let clock: SystemWallClock

    private init(
        folder: String, rulesFolder: String, configurationPath: String, cluster: MockCluster, samples: SamplePlayer,
        teams: [(name: String, sink: TeamsSink)], mail: SMTPSandbox, screen: DemoScreen, clock: SystemWallClock
    ) {
        self.folder = folder
        self.rulesFolder = rulesFolder
        self.configurationPath = configurationPath
        self.cluster = cluster
        self.samples = samples
        self.teams = teams
        self.mail = mail
        self.screen = screen
        self.clock = clock
    }

    /// Starts the world.
    /// - Parameter rulesFolder: the rules the router is to run.
    static func start(rulesFolder: String) async throws -> DemoWorld {
        let clock = SystemWallClock()
        let screen = DemoScreen()
        let samples = try SamplePlayer()
        let folder = try makeFolder()
        let cluster = try MockCluster(brokerCount: 1)
        for topic in samples.topics { try cluster.createTopic(topic, partitions: SamplePlayer.partitionCount) }
        let group = MultiThreadedEventLoopGroup.singleton
        var teams: [(name: String, sink: TeamsSink)] = []
        for name in ["quality", "sales", "operations"] {
            let sink = try await TeamsSink.start(port: 0, group: group, clock: clock, isThrottling: false) { card in
                screen.show(card, receiver: name)
            }
            teams.append((name, sink))
        }
        var options = SMTPSandboxOptions()
        options.hostName = "mail.contoso-mfg.example"
        let mail = try await SMTPSandbox.start(options: options, port: 0, group: group)
        let path = folder + "/alert-router.yaml"
        let rulesFolder =
            rulesFolder.hasPrefix("/") ? rulesFolder : FileManager.default.currentDirectoryPath + "/" + rulesFolder
        let text = configuration(
            rulesFolder: rulesFolder, brokers: cluster.bootstrapServers, topics: samples.topics, teams: teams,
            mailPort: mail.port, folder: folder
        )
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return DemoWorld(
            folder: folder, rulesFolder: rulesFolder, configurationPath: path, cluster: cluster, samples: samples,
            teams: teams, mail: mail, screen: screen, clock: clock)
    }

    private static func makeFolder() throws -> String {
        let base = NSTemporaryDirectory()
        let name = "alert-router-demo-\(ProcessInfo.processInfo.processIdentifier)"
        let folder = (base.hasSuffix("/") ? base : base + "/") + name
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return folder
    }

    private static func configuration(
        rulesFolder: String, brokers: String, topics: [String], teams: [(name: String, sink: TeamsSink)], mailPort: Int,
        folder: String
    ) -> String {
        var text = """
            # Written by 'alert-router demo'. Everything is on this machine.
            store: state
            rules: \(JSON.string(rulesFolder))
            start: earliest
            clock: data
            kafka:
              brokers: [\(JSON.string(brokers))]
              topics: [\(topics.map { JSON.string($0).description }.joined(separator: ", "))]
              properties: {fetch.wait.max.ms: 10}
            default_receiver: quality
            operator: operations
            http: {port: 0}
            receivers:

            """
        for (name, sink) in teams {
            let file = "\(name).url"
            try? Data(sink.webhookAddress.utf8).write(to: URL(fileURLWithPath: folder + "/" + file))
            text += """
                  - {name: \(name), channel: teams, url: "${file:\(file)}", locale: en_GB, timezone: Europe/Berlin,
                     messages_per_minute: 0, messages_per_second: 0}

                """
        }
        for (name, to) in [("planners", "planning"), ("service", "service-desk")] {
            text += """
                  - {name: \(name), channel: email, host: 127.0.0.1, port: \(mailPort), tls: none,
                     from: "AlertRouter <alerts@contoso-mfg.example>", to: [\(to)@contoso-mfg.example],
                     allowed_domains: [contoso-mfg.example], locale: en_GB, timezone: Europe/Berlin,
                     messages_per_second: 0}

                """
        }
        return text
    }

    // MARK: - The course of the demo

    func introduce(rules: RuleSet) {
        let ownCount = rules.rules.filter { $0.table != HealthTable.name }.count
        Output.line("AlertRouter \(ProgramVersion.text), librdkafka \(KafkaLibrary.version)")
        Output.line("Kafka    an in-process cluster at \(cluster.bootstrapServers), \(samples.topics.count) topics")
        Output.line("Rules    \(ownCount) in \(rulesFolder)")
        let webhooks = teams.map { "\($0.name) 127.0.0.1:\($0.sink.http.port)" }.joined(separator: ", ")
        Output.line("Teams    webhooks on loopback: \(webhooks)")
        Output.line("Mail     an SMTP server at 127.0.0.1:\(mail.port): planners, service")
        Output.line("State    \(folder)")
        Output.line("Playing  \(samples.lines.count) change events of Gold tables")
        Output.line()
    }

    /// Waits until the router reads, so that what is played is news and no backlog.
    func waitUntilReady(_ service: RouterService) async throws {
        while !service.worker.isReady { try await pause(20) }
    }

    /// Plays the sample tables and prints what arrives meanwhile.
    /// - Returns: how many events were played.
    func play(pace: SamplePlayer.Pace, for service: RouterService) async throws -> Int {
        let producer = try KafkaProducer(
            configuration: try KafkaConfiguration(properties: [
                "bootstrap.servers": cluster.bootstrapServers, "linger.ms": "0",
            ]), metrics: MetricsRegistry(), logger: Logger(label: "player") { _ in SwiftLogNoOpLogHandler() })
        // Ends with this function.
        async let _: Void = watchMail()
        let result: Result<Void, any Error>
        do {
            try await samples.play(producer, pace: pace, clock: clock) { [screen] portion in
                screen.progress(portion)
            } untilRead: { [self] count in
                try await waitUntilRead(count, by: service)
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await producer.shutdown()
        try result.get()
        return samples.lines.count
    }

    private func watchMail() async {
        var shown = 0
        while !Task.isCancelled {
            shown = showMail(from: shown)
            do { try await pause(50) } catch { return }
        }
    }

    private func showMail(from shown: Int) -> Int {
        let messages = mail.messages
        for message in messages.dropFirst(shown) { screen.show(message) }
        return messages.count
    }

    private func waitUntilRead(_ count: Int, by service: RouterService) async throws {
        while try service.store.read({ try $0.offsets().reduce(0) { $0 + $1.nextOffset } }) < Int64(count) {
            try await pause(2)
        }
    }

    /// Waits until everything played is judged, every timer that is due by then has run, and everything written is
    /// delivered.
    func settle(_ service: RouterService, rules: RuleSet) async throws {
        try await waitUntilRead(samples.lines.count, by: service)
        // The clocks get there when the ends of all partitions were told.
        for (topic, last) in samples.lastCommits {
            for table in rules.catalog.tables(carriedBy: topic) {
                let declaration = rules.catalog.tables[table].declaration
                while service.worker.tableClock(declaration.name) < last.adding(.zero - declaration.maxDelay) {
                    try await pause(5)
                }
            }
        }
        // Answered after everything decided before is stored.
        _ = try await service.worker.replay([], by: "demo")
        while try service.store.read({ try $0.outboxCounts() }).contains(where: { !$0.state.isSettled && $0.count > 0 })
        {
            try await pause(20)
        }
        _ = showMail(from: screen.mailCount)
    }

    func summarize(_ service: RouterService, eventCount: Int) {
        var tellings = SinkTellings()
        for (name, sink) in teams {
            for card in sink.cards { tellings.add(card.tellings, receiver: name) }
        }
        for message in mail.messages { tellings.add(message) }
        let summary = DemoSummary(
            eventCount: eventCount, cardCounts: teams.map { ($0.name, $0.sink.cards.count) },
            mailCount: mail.messages.count, repetitions: tellings.repetitions,
            faults: teams.flatMap(\.sink.faults) + mail.faults, store: service.store,
            sentAt: screen.sentAt, configurationPath: configurationPath)
        for line in summary.lines { Output.line(line) }
    }

    func invite() {
        Output.line()
        Output.line("The router goes on until Ctrl-C. From another terminal:")
        Output.line("  \(ProgramName.asStarted) alerts list --config \(configurationPath)")
        Output.line("  \(ProgramName.asStarted) dead-letters list --config \(configurationPath)")
    }

    func stop() async {
        for (_, sink) in teams { await sink.stop() }
        await mail.stop()
        cluster.shutdown()
    }

    private func pause(_ milliseconds: Int64) async throws {
        try await clock.sleep(until: clock.now().adding(milliseconds: milliseconds))
    }
}
