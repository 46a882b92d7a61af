public import ChangeEvents
public import Core

/// Limits and choices of a worker's loop.
public struct WorkerConfiguration: Sendable {
    /// The worker's name: its checkpoint, its metrics.
    public var name: String
    public var start: StartOptions
    public var clockMode: TableClock.Mode
    /// Most units handed to the writer and not answered. 64 keep the writer busy; each may hold many batches.
    public var unitsInFlightMax: Int
    /// Most bytes handed to the writer and not answered.
    public var bytesInFlightMax: Int
    /// Memory is checkpointed after so many events …
    public var checkpointEventsMax: Int
    /// … or so long after the last checkpoint, when anything was read.
    public var checkpointInterval: Duration
    /// Waits between probes of a store that cannot be written, and between questions that Kafka did not answer,
    /// doubling from the first to the last.
    public var probeIntervals: ClosedRange<Duration>

    /// Says the limits and choices of a worker.
    public init(
        name: String, start: StartOptions, clockMode: TableClock.Mode, unitsInFlightMax: Int, bytesInFlightMax: Int,
        checkpointEventsMax: Int, checkpointInterval: Duration, probeIntervals: ClosedRange<Duration>
    ) {
        self.name = name
        self.start = start
        self.clockMode = clockMode
        self.unitsInFlightMax = unitsInFlightMax
        self.bytesInFlightMax = bytesInFlightMax
        self.checkpointEventsMax = checkpointEventsMax
        self.checkpointInterval = checkpointInterval
        self.probeIntervals = probeIntervals
    }

    /// The limits a worker runs with in production.
    ///
    /// A checkpoint every 500,000 events keeps the replay of a start near one second at 500,000 events/s.
    public static func standard(name: String, start: StartOptions, clockMode: TableClock.Mode) -> WorkerConfiguration {
        WorkerConfiguration(
            name: name, start: start, clockMode: clockMode, unitsInFlightMax: 64, bytesInFlightMax: 32 << 20,
            checkpointEventsMax: 500_000, checkpointInterval: .seconds(60), probeIntervals: .seconds(1)...(.seconds(30))
        )
    }
}

/// What a worker does not take beyond.
enum WorkerLimits {
    /// Commands that are not answered; the control socket and a dispatcher have few at a time.
    static let commandsMax = 1000
}

/// Why a worker ended, or did not take a command.
public struct WorkerError: Error, CustomStringConvertible {
    /// What happened.
    public enum Code: String, Sendable {
        /// It did not start; the message says what the operator can do.
        case refused
        /// The event source ended with a fatal error.
        case source
        /// The store failed in a way that no waiting mends.
        case store
        /// The worker was stopped before it could answer.
        case stopped
        /// Too many commands wait for an answer.
        case busy
    }

    public var code: Code
    public var message: String
    public var description: String { message }

    static let stopping = WorkerError(.stopped, "the worker is stopping")

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

/// What a worker counts; handles are made once.
public struct WorkerMetrics: Sendable {
    let messages: Counter
    let events: Counter
    let rejected: Counter
    let late: Counter
    let duplicates: Counter
    let noOps: Counter
    let timeAhead: Counter
    let keysEvicted: Counter
    let keysExpired: Counter
    let unpaired: Counter
    let waitsRefused: Counter
    let valuesRefused: Counter
    let textsCut: Counter
    let factsDropped: Counter
    let commandsRefused: Counter
    let skippedBelowOffset: Counter
    let units: Counter
    let commitFailures: Counter
    let checkpoints: Counter
    let bootstrapping: Gauge
    let unitsInFlight: Gauge
    private let registry: MetricsRegistry
    private let worker: String

    /// Makes the metrics of a worker.
    public init(registry: MetricsRegistry, worker: String) {
        self.registry = registry
        self.worker = worker
        func counter(_ name: String, _ help: String) -> Counter {
            registry.counter("alert_router_\(name)_total", help, labels: ["worker": worker])
        }
        messages = counter("messages", "Kafka messages read.")
        events = counter("events_judged", "Change events judged by rules.")
        rejected = counter("messages_rejected", "Messages that were no event and went to the dead letters.")
        late = counter("events_late", "Events older than the newest of their row.")
        duplicates = counter("events_duplicate", "Events that were read before.")
        noOps = counter("events_no_op", "Events with identical images.")
        timeAhead = counter("events_time_ahead", "Events whose commit time was too far ahead.")
        keysEvicted = counter(
            "row_keys_evicted", "Row keys forgotten because a table had more than row_keys_max.")
        keysExpired = counter("row_keys_expired", "Row keys forgotten after row_state_ttl.")
        unpaired = counter("events_unpaired", "Updates judged without the row before, which did not come in time.")
        waitsRefused = counter("waits_refused", "Halves of updates that could not wait because too many did.")
        valuesRefused = counter("row_values_refused", "Rows whose values were not remembered for want of room.")
        textsCut = counter("row_texts_cut", "Texts of rows that were too long to be remembered.")
        factsDropped = counter("facts_dropped", "Facts about the router left out because too many waited.")
        commandsRefused = counter("commands_refused", "Commands refused because too many waited.")
        skippedBelowOffset = counter("messages_skipped", "Messages below the stored offset, read again and skipped.")
        units = counter("commit_units", "Units of work handed to the store.")
        commitFailures = counter("commit_failures", "Units of work that the store refused.")
        checkpoints = counter("checkpoints", "Checkpoints of memory written.")
        bootstrapping = registry.gauge(
            "alert_router_bootstrapping", "1 until everything Kafka held at the first start was read.",
            labels: ["worker": worker])
        unitsInFlight = registry.gauge(
            "alert_router_units_in_flight", "Units of work the store has not answered.", labels: ["worker": worker])
    }

    /// How far a table's clock is; 0 before its first row.
    func tableClock(_ table: String) -> Gauge {
        registry.gauge(
            "alert_router_table_clock_seconds", "Unix time up to which all rows of a table were read.",
            labels: ["worker": worker, "table": table])
    }
}
