internal import ChangeEvents
public import Core
public import Logging
public import Store
internal import Synchronization

/// The loop of a worker: reads batches, lets the decider judge them on stacked overlays, commits decisions together
/// with offsets, runs timers and commands, checkpoints memory, and starts anew after a failed commit.
///
/// `run()` is called once. Everything but the mailbox and the counters belongs to the task that runs it.
public final class Worker<D: Decider>: Sendable {
    enum Item: Sendable {
        case events([SourceEvent])
        case sourceEnded((any Error)?)
        case command(D.Command, CheckedContinuation<D.Reply, any Error>)
        case replay([DeadLetterRecord], by: String, CheckedContinuation<ReplayReport, any Error>)
        case factsWait
        case commitFailed
        case stop
    }

    let configuration: WorkerConfiguration
    let source: any EventSource
    let store: any RouterStore
    let clock: any WallClock
    let metrics: WorkerMetrics
    let logger: Logger
    let mailbox = Mailbox<Item>()
    private let inbox = FactInbox()
    let stopSignal = StopSignal()
    let trouble = SourceTrouble()
    /// Called after a commit that added outbox rows, on the store's thread; must be quick.
    let onOutboxRows: @Sendable () -> Void
    private let makeDecider: @Sendable () throws -> D
    private let isReadyFlag = Atomic<Bool>(false)
    /// Commands that are not answered.
    private let commandCount = Atomic<Int>(0)
    /// What anybody may see of the loop.
    let pulse = Mutex(WorkerPulse())

    /// The loop wakes at least so often.
    static var turnInterval: Duration { .seconds(5) }

    /// Makes a worker; nothing is read until ``run()``.
    public init(
        configuration: WorkerConfiguration, source: any EventSource, store: any RouterStore, clock: any WallClock,
        registry: MetricsRegistry, logger: Logger, onOutboxRows: @escaping @Sendable () -> Void,
        makeDecider: @escaping @Sendable () throws -> D
    ) {
        self.configuration = configuration
        self.source = source
        self.store = store
        self.clock = clock
        self.logger = logger
        self.onOutboxRows = onOutboxRows
        self.makeDecider = makeDecider
        metrics = WorkerMetrics(registry: registry, worker: configuration.name)
    }

    /// Whether the worker has started and its store takes commits.
    public var isReady: Bool { isReadyFlag.load(ordering: .acquiring) }

    /// What keeps it from consuming now; nothing where it consumes.
    ///
    /// It consumes when it has started, its loop turned and its store answered within 30 s, no partition stands still,
    /// and none was without a live leader for longer than the `max_delay` of its tables, a minute at most.
    public func obstacles() -> [WorkerObstacle] {
        let now = clock.now()
        return pulse.withLock { $0.obstacles(at: now) }
    }

    /// How far a table's clock is; 1970 before its first row. Timers due by then have run.
    public func tableClock(_ table: String) -> Timestamp {
        Timestamp(milliseconds: Int64((metrics.tableClock(table).current * 1000).rounded()))
    }

    /// Carries out a command in the order of the stream and answers after its decision is durable.
    /// - Throws: ``WorkerError`` when the worker stops first or too many commands wait, or what the store said.
    public func perform(_ command: D.Command) async throws -> D.Reply {
        try admitCommand()
        defer { commandCount.wrappingSubtract(1, ordering: .relaxed) }
        return try await withCheckedThrowingContinuation { continuation in
            if !mailbox.post(.command(command, continuation)) { continuation.resume(throwing: WorkerError.stopping) }
        }
    }

    /// Reads messages of dead letters again, as if they came now, and judges what they hold.
    ///
    /// Letters that are no event this time either stay open; the others end `replayed` in the same transaction.
    /// - Throws: as ``perform(_:)``.
    public func replay(_ letters: [DeadLetterRecord], by person: String) async throws -> ReplayReport {
        try admitCommand()
        defer { commandCount.wrappingSubtract(1, ordering: .relaxed) }
        return try await withCheckedThrowingContinuation { continuation in
            if !mailbox.post(.replay(letters, by: person, continuation)) {
                continuation.resume(throwing: WorkerError.stopping)
            }
        }
    }

    /// Commands wait in the mailbox, and during a start beside it: what is not answered is bounded as a whole.
    private func admitCommand() throws {
        let (_, count) = commandCount.wrappingAdd(1, ordering: .relaxed)
        guard count > WorkerLimits.commandsMax else { return }
        commandCount.wrappingSubtract(1, ordering: .relaxed)
        metrics.commandsRefused.add()
        throw WorkerError(
            .busy, "the worker has \(WorkerLimits.commandsMax) commands to answer already; try again later")
    }

    /// States a fact about the router itself; it becomes a row of `router_health`.
    ///
    /// Never waits. Of facts about one subject that were not noted yet only the newest is kept.
    public func report(_ fact: HealthFact) {
        if inbox.add(fact) { mailbox.post(.factsWait) }
    }

    /// Stops reading; ``run()`` returns after what was decided is committed and memory is checkpointed.
    public func stop() {
        if stopSignal.raise() { mailbox.post(.stop) }
    }

    /// Runs until ``stop()`` or until its task is cancelled.
    /// - Throws: ``StartRefusal`` where it may not start, ``WorkerError`` when the source or the store failed for good.
    public func run() async throws {
        try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await self.pump() }
                defer {
                    setNotReady()
                    for item in mailbox.close() { item.refuse(with: .stopping) }
                    group.cancelAll()
                }
                try await loop()
            }
        } onCancel: {
            stop()
        }
    }

    private func loop() async throws {
        var state = WorkerState(decider: try makeDecider(), configuration: configuration)
        var isStarting = true
        defer { state.answerWaiting(with: .stopping) }
        while true {
            do {
                if isStarting {
                    try await start(&state)
                    isStarting = false
                    isReadyFlag.store(true, ordering: .releasing)
                }
                try await round(&state)
                if state.isStopping { return try await finish(&state) }
            } catch let error as WorkerError where error.code == .stopped {
                // Stopped before anything was decided: an orderly end.
                return
            } catch let failure as CommitFailure {
                setNotReady()
                try await waitForStore(after: failure.underlying, &state)
                if state.isStopping || stopSignal.isRaised { return }
                state.dropOverlays(decider: try makeDecider(), configuration: configuration)
                isStarting = true
            } catch is StartAnew {
                setNotReady()
                state.dropOverlays(decider: try makeDecider(), configuration: configuration)
                isStarting = true
            }
        }
    }

    private func setNotReady() {
        isReadyFlag.store(false, ordering: .releasing)
        pulse.withLock { $0.end() }
    }

    private func round(_ state: inout WorkerState<D>) async throws {
        if Task.isCancelled { state.isStopping = true }
        let taken = await mailbox.take(until: nextWake(&state), clock: clock)
        let items = state.takeDeferred() + taken
        for (index, item) in items.enumerated() {
            do {
                try await handle(item, &state)
            } catch {
                // Commands that came behind wait for the new start; what was read before it is read again.
                state.deferred = items[(index + 1)...].filter { !$0.isFromSource }
                throw error
            }
        }
        try await tick(&state)
        turned(&state)
        try await flush(&state, isForced: false)
        if state.inFlight.failure != nil { throw failure(of: state) }
        if !state.wanted.isEmpty, state.isAssigned, clock.now() >= state.retryNewAt { try await takeNew(&state) }
        if state.pending.isEmpty, state.inFlight.unitCount == 0, state.inFlight.failure == nil {
            state.notedFacts = FactList()
        }
        try await checkpointIfDue(&state)
    }

    private func handle(_ item: Item, _ state: inout WorkerState<D>) async throws {
        switch item {
        case .events(let events):
            for event in events { try await handle(event, &state) }
        case .sourceEnded(let error):
            if let error { throw WorkerError(.source, "the event source failed: \(error)") }
            state.isStopping = true
        case .command(let command, let continuation):
            try await perform(command, continuation, &state)
        case .replay(let letters, let person, let continuation):
            try await replay(letters, by: person, continuation, &state)
        case .factsWait:
            let (facts, droppedCount) = inbox.take()
            state.facts.add(facts)
            metrics.factsDropped.add(droppedCount)
        case .commitFailed:
            // The failure of a generation that was dropped is old news.
            if state.inFlight.failure != nil { throw failure(of: state) }
        case .stop: state.isStopping = true
        }
    }

    private func handle(_ event: SourceEvent, _ state: inout WorkerState<D>) async throws {
        if case .assigned(let generation) = event {
            state.isAssigned = generation == state.generation
            return
        }
        // What is told once must not get lost while an assignment takes effect.
        if case .newPartitions(let partitions) = event { state.wanted.formUnion(partitions) }
        if case .leaderLost(let partition) = event { setLeader(of: partition, isLive: false, &state) }
        if case .leaderLive(let partition) = event { setLeader(of: partition, isLive: true, &state) }
        guard state.isAssigned, !state.isStopping else { return }
        switch event {
        case .assigned: break
        case .batch(let raw): try await judge(raw, &state)
        case .endOfPartition(let partition, let offset):
            let now = clock.now()
            state.reachedEnd(of: partition, offset: offset, now: now)
            pulse.withLock { $0.setLeader(of: partition, isLive: true, at: now) }
        case .leaderLive, .leaderLost, .newPartitions: break
        case .offsetOutOfRange(let partition, let reason):
            // It cannot be passed any more; the others must not wait for it.
            if let end = state.bootstrapEnds[partition] { state.passed[partition] = end }
            pulse.withLock { $0.standsStill(partition) }
            logger.error("partition stands still", metadata: ["partition": "\(partition)", "reason": "\(reason)"])
            state.facts.add(
                HealthFact(
                    component: "partition", subject: partition.description, isHealthy: false,
                    detail: "the next offset is not in Kafka any more (\(reason)); the partition stands still. "
                        + "Restart with --accept-gap to go on at the oldest offset"))
        case .problem: break
        }
    }

    /// When the loop has to wake without any input: the next timer, or a look at a clock that may stand.
    private func nextWake(_ state: inout WorkerState<D>) -> Timestamp {
        if !state.deferred.isEmpty { return clock.now() }
        let now = clock.now()
        var wake = now.adding(state.pending.isEmpty ? Worker.turnInterval : .milliseconds(5))
        for (table, clock) in state.clocks.enumerated() {
            guard let timer = state.decider.nextTimer(table: table) else { continue }
            let due = timer.adding(clock.maxDelay)
            let look = due > now ? due : now.adding(.milliseconds(250))
            wake = min(wake, look)
        }
        if let timer = state.decider.nextRouterTimer() {
            let isWall = configuration.clockMode == .wall
            let look = isWall && timer > now ? timer : now.adding(.milliseconds(250))
            // A timer that is due runs with this round's tick; under `clock: data` only rows make it due.
            if isWall || timer <= state.routerClock(now: now) { wake = min(wake, look) }
        }
        if state.clocks.indices.contains(where: { state.memory.waitingCount(table: $0) > 0 }) {
            // A half waits two seconds for the other at least; looking four times in that time is near enough.
            let look = now.adding(.milliseconds(500))
            wake = min(wake, look)
        }
        if !state.wanted.isEmpty, state.isAssigned {
            let look = max(now, state.retryNewAt)
            wake = min(wake, look)
        }
        return wake
    }

    func failure(of state: WorkerState<D>) -> CommitFailure {
        CommitFailure(underlying: state.inFlight.failure ?? WorkerError(.store, "a commit failed"))
    }

    /// Waits until nothing is in flight and the store can be written again.
    private func waitForStore(after failure: any Error, _ state: inout WorkerState<D>) async throws {
        metrics.commitFailures.add()
        await state.inFlight.waitUntil(unitsMax: 0, bytesMax: 0)
        guard (failure as? StoreError)?.isRecoverable ?? false else {
            throw WorkerError(.store, "the store failed: \(failure)")
        }
        logger.error(
            "commit failed; reading stands still, nothing is acknowledged", metadata: ["error": "\(failure)"])
        var wait = configuration.probeIntervals.lowerBound
        while true {
            do {
                try await store.probe()
                logger.notice("the store can be written again; starting anew from what is stored")
                return
            } catch {
                guard (error as? StoreError)?.isRecoverable ?? false else {
                    throw WorkerError(.store, "the store failed: \(error)")
                }
            }
            // What is queued stays queued: the pump waits with one delivery, so nothing grows.
            await sleepUnlessStopped(wait)
            wait = min(wait * 2, configuration.probeIntervals.upperBound)
            if stopSignal.isRaised { return }
        }
    }

    func sleepUnlessStopped(_ duration: Duration) async {
        let deadline = clock.now().adding(duration)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await self.clock.sleep(until: deadline) }
            group.addTask { await self.stopSignal.wait() }
            await group.next()
            group.cancelAll()
        }
    }

    /// Commits what is decided, checkpoints memory, and lets Kafka know.
    private func finish(_ state: inout WorkerState<D>) async throws {
        try await flush(&state, isForced: true)
        await state.inFlight.waitUntil(unitsMax: 0, bytesMax: 0)
        if let failure = state.inFlight.failure { throw WorkerError(.store, "the last commit failed: \(failure)") }
        try await checkpoint(&state)
        await state.inFlight.waitUntil(unitsMax: 0, bytesMax: 0)
        if let failure = state.inFlight.failure {
            // The older checkpoint stays: the next start replays a little more.
            logger.warning("the last checkpoint failed", metadata: ["error": "\(failure)"])
        }
    }
}

extension Worker.Item {
    /// What the source said; an item of an older assignment is worth nothing after a new start.
    var isFromSource: Bool {
        if case .events = self { true } else { false }
    }

    /// Tells whoever waits for an answer that there is none.
    func refuse(with error: WorkerError) {
        switch self {
        case .command(_, let continuation): continuation.resume(throwing: error)
        case .replay(_, _, let continuation): continuation.resume(throwing: error)
        case .events, .sourceEnded, .factsWait, .commitFailed, .stop: break
        }
    }
}

/// Everything decided is stored, and the worker begins again from there.
struct StartAnew: Error {}

/// A commit failed: what is decided above it is dropped.
struct CommitFailure: Error {
    var underlying: any Error
}
