internal import CRdKafka
internal import Core
internal import Logging
internal import Synchronization

/// An order to the consumer's thread, answered when it is done.
enum ConsumerCommand: Sendable {
    /// Reads exactly these partitions from these offsets.
    case assign([TopicPartition: Int64], generation: Int, CheckedContinuation<Void, any Error>)
    /// Reads these partitions too.
    case add([TopicPartition: Int64], CheckedContinuation<Void, any Error>)
    case pause([TopicPartition], CheckedContinuation<Void, any Error>)
    case resume([TopicPartition], CheckedContinuation<Void, any Error>)

    var continuation: CheckedContinuation<Void, any Error> {
        switch self {
        case .assign(_, _, let continuation), .add(_, let continuation): continuation
        case .pause(_, let continuation), .resume(_, let continuation): continuation
        }
    }
}

/// What the consumer, its thread and its lookup thread share.
final class ConsumerCore: ClientObserver {
    private struct State {
        var commands: [ConsumerCommand] = []
        var commits: [TopicPartition: Int64] = [:]
        var assigned: Set<TopicPartition> = []
        var assignmentCount = 0
        var isStopping = false
        var failure: KafkaError?
        var commitsInFlight = 0
        /// Monotonic time of the last commit.
        var commitStart: Int64 = 0
    }

    /// Orders that may wait; the thread serves all of them within one poll.
    static let commandCountMax = 64
    /// Lookups that may wait; each has a deadline, which runs from the call on.
    static let lookupCountMax = 64

    /// After it a commit without an answer counts as lost, so that it cannot hold up the later ones.
    static let commitNanosecondsMax: Int64 = 60_000_000_000

    let configuration: KafkaConfiguration
    let handle: ClientHandle
    let bridge = EventBridge()
    /// Open when the thread has destroyed the client.
    let stopLatch = StopLatch()
    let ledger: BatchLedger
    let lookups = BlockingQueue<Lookup>(countMax: ConsumerCore.lookupCountMax)
    let metrics: ConsumerMetrics
    let logger: Logger
    private let context: ClientContext
    private let state = Mutex(State())

    init(configuration: KafkaConfiguration, metrics: MetricsRegistry, logger: Logger) throws(KafkaError) {
        self.configuration = configuration
        self.logger = logger
        self.metrics = ConsumerMetrics(metrics)
        context = ClientContext(logger: logger, configuration: configuration)
        handle = try ClientHandle(.consumer, configuration, context)
        ledger = BatchLedger(limits: configuration.bufferLimits, handle: handle)
        context.observer = self
    }

    // MARK: Called by anyone

    func send(_ command: ConsumerCommand) {
        let refusal = state.withLock { state -> KafkaError? in
            if state.isStopping { return KafkaError(.shutDown, "the Kafka consumer was shut down") }
            guard state.commands.count < ConsumerCore.commandCountMax else {
                return KafkaError(.queueFull, "too many orders to the Kafka consumer wait")
            }
            state.commands.append(command)
            return nil
        }
        if let refusal { command.continuation.resume(throwing: refusal) } else { handle.wake() }
    }

    func ask(_ lookup: Lookup) {
        do {
            try lookups.push(lookup)
        } catch {
            switch error {
            case .closed: lookup.fail(KafkaError(.shutDown, "the Kafka consumer was shut down"))
            case .full: lookup.fail(KafkaError(.queueFull, "too many questions to Kafka wait"))
            }
        }
    }

    func commit(_ offsets: [TopicPartition: Int64]) {
        state.withLock { state in
            guard !state.isStopping else { return }
            state.commits.merge(offsets) { $1 }
        }
    }

    var assigned: Set<TopicPartition> { state.withLock { $0.assigned } }
    /// What is assigned, and how often that was said.
    var assignment: (partitions: Set<TopicPartition>, count: Int) {
        state.withLock { ($0.assigned, $0.assignmentCount) }
    }

    func requestStop() {
        let isFirst = state.withLock { state in
            defer { state.isStopping = true }
            return !state.isStopping
        }
        if isFirst { handle.wake() }
    }

    // MARK: Called by the consumer's thread

    var isStopping: Bool { state.withLock { $0.isStopping } }
    var failure: KafkaError? { state.withLock { $0.failure } }

    func takeCommands() -> [ConsumerCommand] {
        state.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
    }

    /// The offsets to commit, unless an earlier commit is still under way.
    func takeCommits(now: Int64) -> [TopicPartition: Int64] {
        state.withLock { state in
            if now - state.commitStart > ConsumerCore.commitNanosecondsMax { state.commitsInFlight = 0 }
            guard state.commitsInFlight == 0 else { return [:] }
            defer { state.commits = [:] }
            return state.commits
        }
    }

    func commitStarted(now: Int64) {
        state.withLock { state in
            state.commitsInFlight += 1
            state.commitStart = now
        }
    }

    var isCommitting: Bool { state.withLock { $0.commitsInFlight > 0 } }

    func setAssigned(_ partitions: Set<TopicPartition>) {
        state.withLock {
            $0.assigned = partitions
            $0.assignmentCount += 1
        }
    }

    /// Takes no more orders and refuses those that wait: who waits for one may hold the batches that the end waits for.
    func refuseCommands() {
        let commands = state.withLock { state in
            state.isStopping = true
            defer { state.commands = [] }
            return state.commands
        }
        for command in commands {
            command.continuation.resume(throwing: KafkaError(.shutDown, "the Kafka consumer was shut down"))
        }
    }

    func stopped() {
        refuseCommands()
        stopLatch.open()
    }

    func fail(_ error: KafkaError) {
        logger.error("the Kafka consumer cannot go on", metadata: ["reason": "\(error.message)"])
        state.withLock { state in
            if state.failure == nil { state.failure = error }
        }
    }

    // MARK: ClientObserver

    func clientFailed(_ error: rd_kafka_resp_err_t, text: String, isFatal: Bool) {
        metrics.errors.add()
        if isFatal {
            return fail(KafkaError(.fatal, "Kafka consumer: \(text)", name: KafkaLibrary.name(of: error)))
        }
        logger.debug("Kafka consumer error", metadata: ["name": "\(KafkaLibrary.name(of: error))", "text": "\(text)"])
        if error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN { try? lookups.push(.allBrokersDown) }
        bridge.push([.partitionError(nil, name: KafkaLibrary.name(of: error), message: text)])
    }

    func clientStatistics(_ json: [UInt8]) {
        metrics.observe(ledger.outstanding)
        try? lookups.push(.statistics(json))
    }

    func clientCommitted(_ error: rd_kafka_resp_err_t, partitionCount: Int) {
        state.withLock { $0.commitsInFlight = max(0, $0.commitsInFlight - 1) }
        guard error != RD_KAFKA_RESP_ERR_NO_ERROR, error != RD_KAFKA_RESP_ERR__NO_OFFSET else { return }
        metrics.commitFailures.add()
        logger.debug("a commit of offsets failed", metadata: ["reason": "\(KafkaLibrary.text(of: error))"])
    }

    func clientDelivered(_ message: UnsafePointer<rd_kafka_message_t>) {}
}
