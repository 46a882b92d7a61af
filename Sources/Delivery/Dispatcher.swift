public import Core
public import Logging
public import Store
internal import Synchronization

/// Sends the rows of the outbox: the rim around the policy, which is a synchronous value.
///
/// One pass settles what ended and claims what may be sent, in one transaction; attempts run beside it and never wait
/// for a commit.
public final class Dispatcher: Sendable {
    private struct Shared {
        var finished: [FinishedAttempt] = []
        var queues: [String: [Claim]] = [:]
        var workerCounts: [String: Int] = [:]
        var changes: [PendingChange] = []
        var drainDeadline: Timestamp?
        /// The next pass should not wait for more outcomes.
        var isUrgent = false
        var isRunning = false
        var isStopped = false
        var stopWaiters: [CheckedContinuation<Void, Never>] = []
        var isPassing = false
        /// The store did not take the last transaction.
        var isStoreFailing = false
        var openBreakerCount = 0
        var destinationCount = 0
    }

    private struct Input: Sendable {
        var finished: [FinishedAttempt]
        var changes: [PendingChange]
        var drainDeadline: Timestamp?
    }

    /// A change of destinations and who waits for it.
    private struct PendingChange: Sendable {
        var change: DestinationChange
        var continuation: CheckedContinuation<Void, Never>?
    }

    private let store: any RouterStore
    private let clock: any WallClock
    private let seed: UInt64
    private let metrics: DeliveryMetrics
    private let logger: Logger
    private let onFact: @Sendable (DeliveryFact) -> Void
    private let destinations: [any Destination]
    private let shared: Mutex<Shared>
    private let bell = Doorbell()

    /// How long a pass that the store did not take waits before it is tried again.
    static let storeRetryMilliseconds: Int64 = 1000
    /// How long an outcome waits for others to be recorded with, while the rows taken ahead last.
    static let groupMilliseconds: Int64 = 5
    /// So many outcomes are recorded at once.
    static let groupMax = 64

    /// Makes a dispatcher; ``run()`` starts it.
    ///
    /// - Parameters:
    ///   - seed: of the random part of backoffs.
    ///   - onFact: hears what an operator should know, after the commit; must be quick.
    public init(
        store: any RouterStore, destinations: [any Destination], clock: any WallClock, seed: UInt64,
        metrics: MetricsRegistry, logger: Logger, onFact: @escaping @Sendable (DeliveryFact) -> Void
    ) {
        self.store = store
        self.destinations = destinations
        self.clock = clock
        self.seed = seed
        self.metrics = DeliveryMetrics(registry: metrics)
        self.logger = logger
        self.onFact = onFact
        var initial = Shared()
        initial.destinationCount = destinations.count
        shared = Mutex(initial)
    }

    /// Says that rows were committed to the outbox. Cheap; call it after every commit that adds or requeues rows.
    public func wake() { hurry() }

    private func hurry() {
        shared.withLock { $0.isUrgent = true }
        bell.ring()
    }

    /// Puts new destinations in place of all. Rows of receivers that are gone become dead.
    ///
    /// Returns when they are in place; before ``run()`` and after a drain at once.
    public func replace(destinations: [any Destination]) async { await apply(.replace(destinations)) }

    /// Adds the destinations whose receivers are not there yet; the others stay as they are.
    ///
    /// To be called before anything writes rows of new receivers, which would be dead else: of a receiver that nobody
    /// knows. Returns when they are in place; before ``run()`` and after a drain at once.
    public func add(destinations: [any Destination]) async { await apply(.add(destinations)) }

    private func apply(_ change: DestinationChange) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isAwaited = shared.withLock { shared in
                guard !shared.isStopped else { return false }
                let isAwaited = shared.isRunning
                shared.changes.append(
                    PendingChange(change: change, continuation: isAwaited ? continuation : nil))
                return isAwaited
            }
            if !isAwaited { continuation.resume() }
            hurry()
        }
    }

    /// Stops claiming, lets running attempts end until the deadline, then breaks them off, and returns when all is
    /// recorded.
    ///
    /// Rows that were claimed and not begun wait for the next run as if they had never been touched.
    public func drain(within duration: Duration) async {
        let deadline = clock.now().adding(duration)
        beginDrain(deadline)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isStopped = shared.withLock { shared in
                let isStopped = shared.isStopped || !shared.isRunning
                if !isStopped { shared.stopWaiters.append(continuation) }
                return isStopped
            }
            if isStopped { continuation.resume() }
        }
    }

    /// Whether the last pass over the outbox was committed and not every destination is left alone; for the heartbeat.
    public var isDelivering: Bool {
        shared.withLock { shared in
            shared.isPassing && !shared.isStopped
                && (shared.destinationCount == 0 || shared.openBreakerCount < shared.destinationCount)
        }
    }

    private func beginDrain(_ deadline: Timestamp) {
        shared.withLock { shared in
            shared.drainDeadline = min(shared.drainDeadline ?? deadline, deadline)
            let now = clock.now()
            for claim in shared.queues.values.joined() {
                shared.finished.append(
                    FinishedAttempt(
                        rowId: claim.row.id, startedAt: now, finishedAt: now, ending: .returned, body: nil,
                        problem: nil))
            }
            shared.queues = [:]
        }
        hurry()
    }

    // MARK: The loop

    /// Delivers until ``drain(within:)`` or cancellation. Call it once.
    public func run() async {
        shared.withLock { $0.isRunning = true }
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                if var machine = await recover() { await deliver(&machine, in: &group) }
            }
        } onCancel: {
            beginDrain(clock.now())
        }
        let waiters = shared.withLock { shared in
            shared.isStopped = true
            let waiters = shared.stopWaiters + shared.changes.compactMap(\.continuation)
            shared.stopWaiters = []
            shared.changes = []
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func recover() async -> DispatchMachine? {
        let initial = DispatchMachine(run: store.run, destinations: destinations, seed: seed)
        while shared.withLock({ $0.drainDeadline == nil }) {
            do {
                let clock = clock
                let (machine, cycle) = try await store.write(byteCount: 65_536) { transaction in
                    var machine = initial
                    let cycle = try machine.recover(transaction, now: clock.now())
                    return (machine, cycle)
                }
                publish(cycle, machine)
                return machine
            } catch {
                await storeFailed(error)
            }
        }
        return nil
    }

    private func deliver(_ machine: inout DispatchMachine, in group: inout DiscardingTaskGroup) async {
        var isBrokenOff = false
        while true {
            let input = takeInput()
            guard let cycle = await pass(&machine, input) else {
                // What cannot be recorded is found as leased by the next run, which sends it again as ambiguous.
                if let deadline = input.drainDeadline, clock.now() >= deadline { return group.cancelAll() }
                continue
            }
            start(cycle.claims, in: &group)
            publish(cycle, machine)
            for change in input.changes { change.continuation?.resume() }
            guard let deadline = input.drainDeadline else {
                await bell.wait(until: cycle.wakeAt, clock: clock)
                await gather()
                continue
            }
            if machine.flights.isEmpty { return }
            if !isBrokenOff, clock.now() >= deadline {
                isBrokenOff = true
                group.cancelAll()
            }
            // What cannot be recorded is found as leased by the next run.
            if isBrokenOff, cycle.unsettled.count == machine.flights.count { return }
            await bell.wait(until: isBrokenOff ? nil : deadline, clock: clock)
        }
    }

    /// Lets outcomes that nobody waits for come together, so that one transaction records many.
    private func gather() async {
        let mayWait = shared.withLock { !$0.isUrgent && !$0.finished.isEmpty }
        guard mayWait else { return }
        await bell.wait(until: clock.now().adding(milliseconds: Dispatcher.groupMilliseconds), clock: clock)
    }

    private func takeInput() -> Input {
        shared.withLock { shared in
            let input = Input(
                finished: shared.finished, changes: shared.changes, drainDeadline: shared.drainDeadline)
            shared.finished = []
            shared.changes = []
            shared.isUrgent = false
            return input
        }
    }

    /// One transaction; nil where the store did not take it, and everything stays as it was.
    private func pass(_ machine: inout DispatchMachine, _ input: Input) async -> Cycle? {
        let current = machine
        let clock = clock
        let byteCount = 16_384 + input.finished.reduce(0) { $0 + 1024 + ($1.body?.count ?? 0) }
        do {
            let (next, cycle) = try await store.write(byteCount: byteCount) { transaction in
                var machine = current
                let now = clock.now()
                machine.isDraining = input.drainDeadline != nil
                var cycle = Cycle()
                for change in input.changes {
                    cycle.append(try machine.apply(change.change, transaction, now: now))
                }
                cycle.append(try machine.cycle(settling: input.finished, transaction, now: now))
                return (machine, cycle)
            }
            machine = next
            if !cycle.unsettled.isEmpty { shared.withLock { $0.finished = cycle.unsettled + $0.finished } }
            return cycle
        } catch {
            shared.withLock { shared in
                shared.finished = input.finished + shared.finished
                shared.changes = input.changes + shared.changes
            }
            await storeFailed(error)
            return nil
        }
    }

    private func storeFailed(_ error: any Error) async {
        let isNews = shared.withLock { shared in
            let isNews = !shared.isStoreFailing
            (shared.isPassing, shared.isStoreFailing) = (false, true)
            return isNews
        }
        if isNews {
            logger.error("delivery cannot write to the store", metadata: ["error": "\(error)"])
            onFact(.storeFailed(reason: "\(error)"))
        }
        await bell.pause(until: clock.now().adding(milliseconds: Dispatcher.storeRetryMilliseconds), clock: clock)
    }

    private func publish(_ cycle: Cycle, _ machine: DispatchMachine) {
        let isRecovered = shared.withLock { shared in
            let isRecovered = shared.isStoreFailing
            (shared.isPassing, shared.isStoreFailing) = (true, false)
            shared.destinationCount = machine.receivers.count
            shared.openBreakerCount = machine.states.values.count { $0.breaker.isOpen }
            return isRecovered
        }
        metrics.apply(cycle.events)
        if isRecovered {
            logger.notice("delivery can write to the store again")
            onFact(.storeRecovered)
        }
        for fact in cycle.facts {
            if case .receiverFailed(let receiver, let reason) = fact {
                logger.error(
                    "rows cannot be handled; the others are",
                    metadata: ["receiver": "\(receiver)", "error": "\(reason)"])
            }
            onFact(fact)
        }
    }

    // MARK: Attempts

    private func start(_ claims: [Claim], in group: inout DiscardingTaskGroup) {
        let newWorkers = shared.withLock { shared in
            var newWorkers: [String] = []
            for claim in claims {
                let receiver = claim.row.receiver
                shared.queues[receiver, default: []].append(claim)
                let count = shared.workerCounts[receiver, default: 0]
                guard count < claim.destination.policy.concurrency else { continue }
                shared.workerCounts[receiver] = count + 1
                newWorkers.append(receiver)
            }
            return newWorkers
        }
        for receiver in newWorkers {
            group.addTask { await self.work(receiver) }
        }
    }

    private func work(_ receiver: String) async {
        while let claim = next(receiver) {
            let finished = await attempt(claim)
            let isNews = shared.withLock { shared in
                let wasUrgent = shared.isUrgent
                shared.finished.append(finished)
                // Nobody waits for this outcome while the rows taken ahead keep the workers busy.
                let queuedCount = shared.queues[receiver]?.count ?? 0
                if queuedCount <= claim.destination.policy.claimBatch / 4
                    || shared.finished.count >= Dispatcher.groupMax
                {
                    shared.isUrgent = true
                }
                return shared.finished.count == 1 || shared.isUrgent != wasUrgent
            }
            if isNews { bell.ring() }
        }
    }

    private func next(_ receiver: String) -> Claim? {
        shared.withLock { shared in
            // Short: at most the policy's claim batch.
            if shared.queues[receiver]?.isEmpty == false { return shared.queues[receiver]?.removeFirst() }
            shared.workerCounts[receiver] = shared.workerCounts[receiver].flatMap { $0 > 1 ? $0 - 1 : nil }
            return nil
        }
    }

    private func attempt(_ claim: Claim) async -> FinishedAttempt {
        var finished = FinishedAttempt(
            rowId: claim.row.id, startedAt: clock.now(), finishedAt: clock.now(), ending: .returned, body: nil,
            problem: nil)
        let body: RenderedBody
        if let stored = claim.row.body, !stored.isEmpty {
            body = RenderedBody(bytes: stored, problem: nil)
        } else {
            do { body = try claim.destination.render(claim.row) } catch {
                finished.ending = .unrenderable(reason: "\(error)")
                return finished
            }
            finished.body = body.bytes
            finished.problem = body.problem
        }
        let report = await claim.destination.send(
            body, row: claim.row, deadline: finished.startedAt.adding(claim.destination.policy.attemptTimeout))
        finished.finishedAt = clock.now()
        finished.ending = .attempted(report)
        return finished
    }
}
