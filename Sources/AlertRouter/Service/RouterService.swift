import AlertWorker
import Alerting
import ConfigFiles
import Console
import Core
import Delivery
import Foundation
import HTTPTransport
import KafkaClient
import Logging
import RuleEngine
import Sandbox
import ServiceLifecycle
import Spine
import Store
import Synchronization

/// How a service is started, besides its configuration.
struct ServiceOptions: Sendable {
    var isNewStoreAccepted = false
    var isGapAccepted = false
    /// Wait for the store's lock instead of ending at once.
    var isStandby = false
}

/// The running service: wires the parts together, reloads, drains. No policy.
final class RouterService: Sendable {
    /// What attempts under way may take after a stop; with the rest it keeps SIGTERM to exit below 10 s.
    private static let drainMax: Duration = .seconds(4)
    /// A difference of the clocks above it is reported, in milliseconds.
    private static let clockDifferenceMax: Int64 = 2000

    let configurationPath: String
    let metrics: MetricsRegistry
    let clock: any WallClock
    let store: SQLiteStore
    let worker: Worker<AlertDecider>
    let dispatcher: Dispatcher
    /// Signs links in messages, sessions and forms.
    private let linkKey: [UInt8]
    private let consumer: KafkaConsumer
    private let transport: HTTPTransport
    private let destinations: DestinationFactory
    let console: ConsoleParts?
    private let heartbeat: HeartbeatSender?
    private let logger: Logger
    private let reloads = Mutex(ReloadState.idle)
    private let clockWasFine = Atomic<Bool>(true)
    private let isStopRequested = Atomic<Bool>(false)

    /// Whether configuration is being read, and whether it was asked for again meanwhile.
    private enum ReloadState { case idle, reading, wantedAgain }

    /// Builds the service under a lock of the store that the caller took; nothing runs until ``run()``.
    init(
        loaded: LoadedConfiguration, rules: RuleSet, options: ServiceOptions, lock: ProcessLock,
        metrics: MetricsRegistry, clock: any WallClock, logger: Logger,
        onBound: @escaping @Sendable (_ port: Int) -> Void = { _ in }
    ) throws {
        guard let configuration = loaded.configuration else {
            throw CommandFailure(.inputIsWrong, "the configuration \(loaded.path) cannot be used")
        }
        configurationPath = loaded.path
        self.metrics = metrics
        self.clock = clock
        self.logger = logger
        store = try SQLiteStore(
            StoreOptions(location: loaded.storeLocation, limits: .standard, now: clock.now(), metrics: metrics),
            lock: lock)
        linkKey = try ConsoleKey.load(from: store)
        let transport = try HTTPTransport(configuration: HTTPTransportConfiguration.standard, clock: clock)
        self.transport = transport
        destinations = DestinationFactory(transport: transport, clock: clock)
        let relay = FactRelay()
        self.relay = relay
        let dispatcher = Dispatcher(
            store: store, destinations: try destinations.make(loaded), clock: clock,
            seed: UInt64.random(in: .min ... .max), metrics: metrics, logger: logger,
            onFact: { relay.send($0) })
        self.dispatcher = dispatcher
        consumer = try KafkaConsumer(
            configuration: try KafkaSettings.configuration(
                loaded, tokens: try TokenSources.make(loaded, transport: transport, clock: clock)),
            topics: configuration.kafka.topics, metrics: metrics, logger: logger)
        let directory = configuration.receiverDirectory(linkKey: linkKey, silences: loaded.policy?.silences ?? [])
        let decisionMetrics = AlertWorkerMetrics(registry: metrics)
        let rulesNow = CurrentRules(rules: rules, receivers: directory)
        let worker = Worker<AlertDecider>(
            configuration: .standard(
                name: "alert",
                start: StartOptions(
                    position: configuration.start, isNewStoreAccepted: options.isNewStoreAccepted,
                    isGapAccepted: options.isGapAccepted), clockMode: configuration.clockMode),
            source: KafkaEventSource(consumer: consumer), store: store, clock: clock, registry: metrics,
            logger: logger, onOutboxRows: { dispatcher.wake() },
            makeDecider: {
                let current = rulesNow.current
                return AlertDecider(rules: current.rules, receivers: current.receivers, metrics: decisionMetrics)
            })
        self.worker = worker
        self.rulesNow = rulesNow
        relay.connect { [logger] fact in
            RouterService.log(fact, logger)
            worker.report(fact)
        }
        console =
            configuration.http.isEnabled
            ? try ConsoleParts(
                configuration: configuration, resolver: loaded.resolver, rules: rules, store: store, key: linkKey,
                worker: worker, dispatcher: dispatcher, metrics: metrics, clock: clock, logger: logger,
                onBound: onBound)
            : nil
        heartbeat = try RouterService.heartbeat(
            configuration, loaded.resolver, transport, clock, metrics, isConsuming: { worker.obstacles().isEmpty },
            isDelivering: { dispatcher.isDelivering })
    }

    private static func heartbeat(
        _ configuration: RouterConfiguration, _ resolver: SecretResolver, _ transport: HTTPTransport,
        _ clock: any WallClock, _ metrics: MetricsRegistry, isConsuming: @escaping @Sendable () -> Bool,
        isDelivering: @escaping @Sendable () -> Bool
    ) throws -> HeartbeatSender? {
        guard let heartbeat = configuration.heartbeat else { return nil }
        let url = try HTTPURL(try heartbeat.url.resolve(resolver).reveal())
        return HeartbeatSender(
            every: heartbeat.every, clock: clock, metrics: metrics, isConsuming: isConsuming,
            isDelivering: isDelivering,
            send: { deadline in
                let result = await transport.send(
                    HTTPRequest(method: "GET", url: url, headers: [], body: []), deadline: deadline)
                if case .response(let response) = result { return (200..<300).contains(response.status) }
                return false
            })
    }

    private let rulesNow: CurrentRules
    private let relay: FactRelay

    /// What the operator is told of delivery also stands in the log: the operator's own receiver may be what fails.
    private static func log(_ fact: HealthFact, _ logger: Logger) {
        // The dispatcher logs its store itself; a text that falls back does so for each message.
        guard !["store", "template"].contains(fact.component) else { return }
        let metadata: Logger.Metadata = ["component": "\(fact.component)", "subject": "\(fact.subject)"]
        if fact.isHealthy {
            logger.notice("delivery is well again", metadata: metadata)
        } else {
            logger.warning("delivery has a problem", metadata: metadata.merging(["detail": "\(fact.detail)"]) { $1 })
        }
    }

    /// Runs until ``stop()`` or a failure; returns after everything decided is stored and attempts under way have
    /// ended.
    func run() async throws {
        let control = try ControlServer(
            path: store.location.socketPath(environment: ProcessInfo.processInfo.environment),
            requestTimeout: .seconds(30)
        ) { [self] request in await answer(request) }
        var failure: (any Error)?
        let consoleGroup = console.map { console in
            ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: [.init(service: console.server)], logger: quietLogger))
        }
        async let consoleEnd: Void = run(consoleGroup)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [dispatcher] in await dispatcher.run() }
            if let heartbeat { group.addTask { await heartbeat.run() } }
            group.addTask { [self] in await keepHouse() }
            group.addTask { [self] in await noteRules() }
            group.addTask { [self] in await replayRequested() }
            do { try await worker.run() } catch {
                // Being stopped before everything was ready is no failure.
                let isStop = isStopRequested.load(ordering: .acquiring) && (error as? WorkerError)?.code != .store
                if !isStop { failure = error }
            }
            control.stop()
            await dispatcher.drain(within: RouterService.drainMax)
            group.cancelAll()
        }
        await consoleGroup?.triggerGracefulShutdown()
        await consoleEnd
        await console?.views.shutdown()
        await consumer.shutdown()
        await transport.shutdown()
        await destinations.shutdown()
        await store.close(now: clock.now())
        if let failure { throw failure }
    }

    /// Ends the service orderly; also while it still waits for Kafka's first answers.
    func stop() {
        isStopRequested.store(true, ordering: .releasing)
        worker.stop()
        // A question under way would otherwise be waited for until its own deadline. Not structured: who stops does not
        // wait; run() waits for the same shutdown.
        if !worker.isReady { Task { await consumer.shutdown() } }
    }

    /// Serves metrics; without them the router goes on.
    private func run(_ console: ServiceGroup?) async {
        do { try await console?.run() } catch {
            logger.error("the metrics server stopped", metadata: ["error": "\(error)"])
        }
    }

    /// For frameworks whose own starts and stops are not news of the router.
    private var quietLogger: Logger {
        var quiet = logger
        quiet.logLevel = .critical
        return quiet
    }

    // MARK: - Reload

    /// Reads configuration, rules and secrets anew; on any error the last good ones stay. Requests meanwhile are
    /// joined.
    func reload() async {
        let isFirst = reloads.withLock { state in
            defer { state = state == .idle ? .reading : .wantedAgain }
            return state == .idle
        }
        guard isFirst else { return }
        // A request that came while files were read may be about an edit that was not seen: it is read once more.
        var isWanted = true
        while isWanted {
            await reloadOnce()
            isWanted = reloads.withLock { state in
                defer { state = state == .wantedAgain ? .reading : .idle }
                return state == .wantedAgain
            }
        }
    }

    private func reloadOnce() async {
        let loaded = LoadedConfiguration.load(path: configurationPath, secrets: .resolve)
        let problems = loaded.diagnostics.filter { $0.level == .error }
        guard let rules = loaded.rules, let configuration = loaded.configuration else {
            let first = problems.first.map { "\($0.position): \($0.message)" } ?? "the configuration cannot be used"
            return refuse(problems.count == 1 ? first : "\(DiagnosticReport.errorCount(problems)), the first: \(first)")
        }
        do {
            let fresh = try destinations.make(loaded)
            // Where it listens is not changed by a reload; who may do what is.
            let access = try console?.settings(of: configuration.http, loaded.resolver)
            let directory = configuration.receiverDirectory(
                linkKey: linkKey, silences: loaded.policy?.silences ?? [])
            let before = rulesNow.current
            // Rows of a new receiver come with the reload: delivery knows it before, else they would be given up.
            await dispatcher.add(destinations: fresh)
            rulesNow.set(rules: rules, receivers: directory)
            let reply: AlertReply
            do {
                reply = try await worker.perform(.reload(rules: rules, receivers: directory))
            } catch {
                rulesNow.set(rules: before.rules, receivers: before.receivers)
                throw error
            }
            // From here on the new rules hold, whatever becomes of the notes about them.
            await dispatcher.replace(destinations: fresh)
            if let access {
                console?.access.replace(settings: access)
                console?.views.replace(ConsoleParts.current(rules: rules, configuration: configuration))
            }
            if case .done(let text) = reply { logger.notice("reloaded", metadata: ["result": "\(text)"]) }
            worker.report(HealthFact(component: "reload", subject: "configuration", isHealthy: true, detail: ""))
            await noteHashes(of: rules)
        } catch {
            refuse("\(error)")
        }
    }

    private func noteHashes(of rules: RuleSet) async {
        do {
            try await store.write(byteCount: 1024) { try LoadedRuleHashes.write(rules, in: $0) }
        } catch {
            logger.warning("the rules' hashes could not be noted", metadata: ["error": "\(error)"])
        }
    }

    private func refuse(_ reason: String) {
        logger.error("reload failed; the last good configuration stays", metadata: ["reason": "\(reason)"])
        worker.report(
            HealthFact(component: "reload", subject: "configuration", isHealthy: false, detail: reason))
    }

    // MARK: - Commands

    private func answer(_ bytes: [UInt8]) async -> [UInt8] {
        do {
            return try await ServiceCommands(service: self).perform(try JSON.parse(bytes)).bytes
        } catch {
            return JSON.object(["error": .string("\(error)")]).bytes
        }
    }

    // MARK: - Housekeeping

    /// Notes which rules are loaded, for 'rules plan'.
    private func noteRules() async {
        do {
            let rules = rulesNow.current.rules
            try await store.write(byteCount: 1024) { try LoadedRuleHashes.write(rules, in: $0) }
        } catch {
            logger.warning("the loaded rules could not be noted", metadata: ["error": "\(error)"])
        }
    }

    /// Removes what is older than the retention allows, in small slices, once a minute.
    private func keepHouse() async {
        while !Task.isCancelled {
            do {
                _ = try await store.runRetention(now: clock.now(), policy: .standard, sliceCountMax: 20)
                store.updateSizeMetrics()
                noteClock()
            } catch {
                logger.warning("retention could not run", metadata: ["error": "\(error)"])
            }
            do { try await clock.sleep(until: clock.now().adding(.seconds(60))) } catch { return }
        }
    }

    /// Tells the operator while the system clock and the router's clock differ: somebody set the clock.
    private func noteClock() {
        guard let clock = clock as? SystemWallClock else { return }
        let ahead = clock.systemClockAheadMilliseconds()
        let isFine = abs(ahead) <= RouterService.clockDifferenceMax
        guard clockWasFine.exchange(isFine, ordering: .relaxed) != isFine else { return }
        let detail = isFine ? "" : "the system clock is \(ahead) ms ahead of the router's, which follows it at 1 %"
        worker.report(HealthFact(component: "clock", subject: "wall clock", isHealthy: isFine, detail: detail))
    }

    /// Replays that were asked for while no service ran.
    private func replayRequested() async {
        do {
            let requests = try store.read { try $0.metaEntries(prefix: ReplayRequests.prefix) }
            for (key, by) in requests {
                if let id = Int64(key.dropFirst(ReplayRequests.prefix.count)),
                    let letter = try store.read({ try $0.deadLetter(id: id) }), letter.state == .open
                {
                    do {
                        let whole = try await MessageRecovery.recover(letter, configurationPath: configurationPath)
                        _ = try await worker.replay([whole], by: String(decoding: by, as: UTF8.self))
                    } catch let failure as CommandFailure {
                        logger.warning(
                            "a dead letter could not be replayed",
                            metadata: ["id": "\(id)", "reason": "\(failure.reason)"])
                    }
                }
                try await store.write(byteCount: 64) { try $0.setMeta(key, nil) }
            }
        } catch is WorkerError {
            // The worker stopped first; the requests stay for the next start.
        } catch {
            logger.warning("replays asked for earlier could not be done", metadata: ["error": "\(error)"])
        }
    }
}

/// The rules and receivers that a worker starts with; replaced by a reload.
final class CurrentRules: Sendable {
    private let state: Mutex<(rules: RuleSet, receivers: ReceiverDirectory)>

    init(rules: RuleSet, receivers: ReceiverDirectory) { state = Mutex((rules, receivers)) }

    var current: (rules: RuleSet, receivers: ReceiverDirectory) { state.withLock { $0 } }

    func set(rules: RuleSet, receivers: ReceiverDirectory) { state.withLock { $0 = (rules, receivers) } }
}

/// Passes delivery's facts to the worker, which is made after the dispatcher.
final class FactRelay: Sendable {
    private let target = Mutex<(@Sendable (HealthFact) -> Void)?>(nil)

    func connect(_ target: @escaping @Sendable (HealthFact) -> Void) { self.target.withLock { $0 = target } }

    func send(_ fact: DeliveryFact) {
        guard let fact = HealthFact(fact) else { return }
        target.withLock { $0 }?(fact)
    }
}

extension HealthFact {
    /// A fact about delivery as a fact about the router; nil where an operator need not hear of it.
    init?(_ fact: DeliveryFact) {
        switch fact {
        case .breakerOpened(let receiver, let channel, let isUnauthorized, let reason):
            self.init(
                component: "receiver", subject: receiver, isHealthy: false,
                detail: "\(channel) is left alone after failures\(isUnauthorized ? " of authorization" : ""): \(reason)"
            )
        case .breakerClosed(let receiver, _):
            self.init(component: "receiver", subject: receiver, isHealthy: true, detail: "")
        case .deadLetter(let receiver, let rule, let row, let reason):
            self.init(
                component: "dead-letter", subject: receiver, isHealthy: false,
                detail: "a notification of rule '\(rule)' was given up (outbox row \(row)): \(reason)")
        case .templateProblem(let receiver, let rule, _, let problem):
            self.init(
                component: "template", subject: rule, isHealthy: false,
                detail: "a text for \(receiver) fell back to plain: \(problem)")
        case .receiverRemoved(let receiver, let count):
            self.init(
                component: "receiver-removed", subject: receiver, isHealthy: false,
                detail: "\(count) waiting notifications were given up because the receiver is not configured any more")
        case .storeFailed(let reason):
            self.init(component: "store", subject: "delivery", isHealthy: false, detail: reason)
        case .storeRecovered: self.init(component: "store", subject: "delivery", isHealthy: true, detail: "")
        case .receiverFailed(let receiver, let reason):
            self.init(
                component: "delivery", subject: receiver, isHealthy: false,
                detail: "its waiting notifications cannot be handled: \(reason)")
        case .receiverRecovered(let receiver):
            self.init(component: "delivery", subject: receiver, isHealthy: true, detail: "")
        }
    }
}

/// Whether the service can do its work now.
struct ReadinessBackend: ConsoleBackend {
    let worker: Worker<AlertDecider>
    let dispatcher: Dispatcher

    func readiness() async -> Readiness {
        var reasons = worker.obstacles().map { Readiness.Reason(name: $0.name, message: $0.message) }
        if !dispatcher.isDelivering {
            reasons.append(.init(name: "delivery", message: "no destination takes messages"))
        }
        return Readiness(reasons: reasons)
    }
}
