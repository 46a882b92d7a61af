public import ChangeEvents
public import Core
public import Store

/// What a decision is made with, besides the state and the input. Nothing else may be read.
public struct DecisionContext: Sendable {
    /// Wall-clock time, for records and for what is sent; never for conditions.
    public var now: Timestamp
    /// Drives the timers of what happens to alerts after their rules: the wall clock, under `clock: data` the least of
    /// the table clocks.
    public var routerClock: Timestamp
    /// The table clock of each table of the catalog; nil where no row has set it going.
    public var tableClocks: [Timestamp?]
    /// Per table the lowest newest version among its partitions that are not at their end; `Int64.max` where all are.
    public var versionFloors: [Int64]
    /// The worker has not yet passed what Kafka held at its first start.
    public var isBootstrap: Bool

    /// Gathers what a decision is made with.
    public init(
        now: Timestamp, routerClock: Timestamp, tableClocks: [Timestamp?], versionFloors: [Int64], isBootstrap: Bool
    ) {
        self.now = now
        self.routerClock = routerClock
        self.tableClocks = tableClocks
        self.versionFloors = versionFloors
        self.isBootstrap = isBootstrap
    }
}

/// What a decision changes in the store, besides offsets.
public struct Decision: Sendable {
    /// Applies the changes; runs on the writer, in the transaction that also moves the offsets.
    public var apply: @Sendable (any StoreTransaction) throws -> Void
    /// An estimate of the bytes it writes.
    public var byteCount: Int
    /// New rows wait in the outbox once it is committed.
    public var hasOutboxRows: Bool
    /// It changed nothing in the decider, so nothing builds on it: the store may refuse it alone. For commands only.
    public var isAlone = false
    /// Stated once it is durable; of a decision that stands alone.
    public var facts: [HealthFact] = []

    /// Describes a decision.
    public init(byteCount: Int, hasOutboxRows: Bool, apply: @escaping @Sendable (any StoreTransaction) throws -> Void) {
        self.byteCount = byteCount
        self.hasOutboxRows = hasOutboxRows
        self.apply = apply
    }
}

/// A fact about the router itself, as a row of the built-in table `router_health`.
public struct HealthFact: Sendable, Equatable {
    /// What part it is about, such as `receiver`, `rule`, `partition`, `store`, `reload`.
    public var component: String
    /// Which one, such as the receiver's name.
    public var subject: String
    /// False while something is wrong.
    public var isHealthy: Bool
    /// What an operator has to know; holds no secret and no row bytes.
    public var detail: String

    /// States a fact.
    public init(component: String, subject: String, isHealthy: Bool, detail: String) {
        self.component = component
        self.subject = subject
        self.isHealthy = isHealthy
        self.detail = detail
    }
}

/// The policy of a worker: a synchronous value that turns inputs into decisions. No clock, no I/O, no await.
///
/// The state it holds is the top of the stack of overlays. When a commit fails it is thrown away and loaded anew.
public protocol Decider: SendableMetatype {
    /// What operators ask for; committed like a batch and answered after the commit.
    associatedtype Command: Sendable
    /// What a command answers.
    associatedtype Reply: Sendable

    /// Tables, formats and the columns that are read; changes with ``catalogVersion``.
    var catalog: TableCatalog { get }
    /// Grows when the catalog is replaced: the worker then checkpoints its memory and decodes anew.
    var catalogVersion: Int { get }
    /// The hash of each rule or sync, as checkpoints name them.
    var ruleHashes: [String: String] { get }

    /// Loads what is stored, once, before anything is judged.
    mutating func load(from reader: any StoreReader) throws
    /// What the decider remembers of rows besides durable state; checkpointed with the offsets it covers.
    func memoryCheckpoint() -> [[UInt8]]
    /// Begins with remembered rows, before ``load(from:)``; damaged bytes are an error.
    mutating func restoreMemory(_ chunks: [[UInt8]]) throws
    /// Remembers a batch with all effects off, while memory is rebuilt after a start.
    mutating func remember(_ batch: ChangeBatch)
    /// Settles what a start finds: alerts whose rule went away while the worker was down.
    mutating func settle(context: DecisionContext) -> Decision?
    /// Judges a batch: the events whose disposition says so, in order. Nil where nothing changes.
    mutating func decide(_ batch: ChangeBatch, context: DecisionContext) -> Decision?
    /// When the next timer of a table runs, by its table clock; nil where none waits.
    mutating func nextTimer(table: Int) -> Timestamp?
    /// When the next timer on the router clock is due; nil where none waits.
    mutating func nextRouterTimer() -> Timestamp?
    /// Runs all timers that the table clocks and the router clock have passed; cheap where there are none.
    mutating func advance(context: DecisionContext) -> Decision?
    /// Carries out a command.
    mutating func perform(_ command: Command, context: DecisionContext) -> (decision: Decision?, reply: Reply)
    /// Takes note of facts about the router itself.
    mutating func note(_ facts: [HealthFact], context: DecisionContext) -> Decision?
    /// The worker has passed what Kafka held at its first start: tells once what is open.
    mutating func endBootstrap(context: DecisionContext) -> Decision?
}
