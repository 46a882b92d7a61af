import ArgumentParser
import Core
import Foundation
import KafkaClient
import Logging
import RuleEngine
import Spine
import Store
import UnixSignals

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs the alert worker until it is stopped.",
        discussion: """
            SIGTERM ends it orderly within 10 s; SIGHUP reloads configuration, rules, receivers and secrets, and keeps \
            the last good ones when something is wrong.

            Example: alert-router run --config alert-router.yaml
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @Flag(help: "The consumer group has committed offsets, but the store is meant to be new.") var newStore = false
    @Flag(help: "Go on although Kafka has dropped messages that were not read.") var acceptGap = false
    @Flag(help: "Wait while another process holds the store, and take over when it ends.") var standby = false

    func run() async throws {
        // Trapped before anything is read, so that an early SIGHUP does not end the process.
        let signals = await UnixSignalsSequence(trapping: [.sigterm, .sigint, .sighup])
        signal(SIGPIPE, SIG_IGN)
        let loaded = LoadedConfiguration.load(path: configuration.config, secrets: .resolve)
        guard let rules = loaded.rules, let settings = loaded.configuration else {
            throw CommandFailure(
                .inputIsWrong, lines: DiagnosticReport.lines(loaded.diagnostics, sources: loaded.sources))
        }
        let clock = SystemWallClock()
        let logger = Logger(label: "alert-router") { label in
            LogOutput(
                label: label, isJSON: settings.logging.format == .json, level: Logger.Level(settings.logging.level),
                clock: clock)
        }
        for warning in loaded.diagnostics { logger.warning("\(warning.position): \(warning.message)") }
        logger.info(
            "alert-router starts",
            metadata: [
                "version": "\(ProgramVersion.text)", "librdkafka": "\(KafkaLibrary.version)",
                "rules": "\(rules.rules.count)", "store": "\(loaded.storeLocation.folder)",
            ])
        if let warning = KafkaLibrary.versionWarning { logger.warning("\(warning)") }
        let options = ServiceOptions(isNewStoreAccepted: newStore, isGapAccepted: acceptGap, isStandby: standby)
        try await ServiceRunner.run(
            loaded: loaded, rules: rules, options: options, signals: signals, clock: clock, logger: logger)
    }
}

/// Runs a service until a signal ends it.
enum ServiceRunner {
    /// How often a process that stands by looks at the lock.
    private static let standbyInterval: Duration = .seconds(1)

    static func run(
        loaded: LoadedConfiguration, rules: RuleSet, options: ServiceOptions, signals: UnixSignalsSequence,
        clock: any WallClock, logger: Logger
    ) async throws {
        let location = loaded.storeLocation
        let holder = LockHolder.current(
            startedAt: clock.now(), socketPath: location.socketPath(environment: ProcessInfo.processInfo.environment))
        let inbox = SignalInbox()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await signal in signals { await inbox.receive(signal) }
            }
            defer { group.cancelAll() }
            do {
                guard let lock = try await takeLock(location, holder, options, inbox, clock, logger) else { return }
                let service = try RouterService(
                    loaded: loaded, rules: rules, options: options, lock: lock, metrics: MetricsRegistry(),
                    clock: clock, logger: logger,
                    onBound: { logger.info("the console listens", metadata: ["port": "\($0)"]) })
                await inbox.connect(service)
                try await service.run()
                logger.info("alert-router ended")
            } catch {
                throw failure(for: error)
            }
        }
    }

    private static func takeLock(
        _ location: StoreLocation, _ holder: LockHolder, _ options: ServiceOptions, _ inbox: SignalInbox,
        _ clock: any WallClock, _ logger: Logger
    ) async throws -> ProcessLock? {
        guard options.isStandby else { return try ProcessLock(location: location, holder: holder) }
        logger.info("standing by until the store is free", metadata: ["store": "\(location.folder)"])
        return try await withThrowingTaskGroup(of: ProcessLock?.self) { group in
            group.addTask {
                try await ProcessLock.waitForLock(
                    location: location, holder: holder, clock: clock, interval: standbyInterval)
            }
            group.addTask {
                await inbox.waitForStop()
                return nil
            }
            defer { group.cancelAll() }
            guard let lock = try await group.next() ?? nil else { return nil }
            logger.notice("the store is free: taking over", metadata: ["store": "\(location.folder)"])
            return lock
        }
    }

    /// What a failure of the service tells the operator.
    private static func failure(for error: any Error) -> any Error {
        switch error {
        case let error as CommandFailure: return error
        case let error as StoreError where error.code == .locked:
            return CommandFailure(
                .serviceUnreachable, error.message, help: "end it first, or wait for its end with --standby")
        case let error as StoreError: return CommandFailure(.inputIsWrong, error.message)
        case let error as WorkerError where error.code == .source:
            return CommandFailure(
                .inputIsWrong, error.message,
                help:
                    "look at kafka: in the configuration and at the brokers; start again when they answer"
            )
        default: return CommandFailure(.inputIsWrong, "\(error)")
        }
    }
}

/// Turns signals into what they ask of the service, also those that come before it runs.
actor SignalInbox {
    private var service: RouterService?
    private var isStopped = false
    /// A SIGHUP came before there was a service; what it asked to be read may have been read before.
    private var isReloadWanted = false
    private var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    private var waiterCount = 0
    private var reload: Task<Void, Never>?

    func connect(_ service: RouterService) {
        self.service = service
        if isStopped { service.stop() }
        if isReloadWanted { receive(.sighup) }
    }

    func receive(_ signal: UnixSignal) {
        if signal == .sighup {
            guard let service else {
                isReloadWanted = true
                return
            }
            // Not structured: a reload takes a while and signals must go on being heard; requests meanwhile are joined
            // by the service.
            reload = Task { await service.reload() }
            return
        }
        isStopped = true
        service?.stop()
        for waiter in waiters.values { waiter.resume() }
        waiters = [:]
    }

    /// Returns when the process is asked to end, or the task is cancelled.
    func waitForStop() async {
        waiterCount += 1
        let number = waiterCount
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if isStopped || Task.isCancelled { return continuation.resume() }
                waiters[number] = continuation
            }
        } onCancel: {
            // Not structured: a cancellation handler cannot wait for the actor.
            Task { await self.endWaiting(number) }
        }
    }

    private func endWaiting(_ number: Int) { waiters.removeValue(forKey: number)?.resume() }
}
