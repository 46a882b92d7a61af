public import Core

/// Reads one consistent state of the store. Valid only inside the closure that gets it.
///
/// Every call throws ``StoreError``.
public protocol StoreReader {
    // MARK: Offsets and runs

    /// All stored offsets.
    func offsets() throws -> [OffsetRecord]
    /// The next offset of one partition; nil where none is stored.
    func nextOffset(topic: String, partition: Int32) throws -> Int64?
    /// The newest runs of the program, newest first.
    func runs(countMax: Int) throws -> [RunRecord]
    /// The value of a key of the small free table; nil where there is none.
    func meta(_ key: String) throws -> [UInt8]?
    /// All keys and values of the small free table whose key begins with `prefix`.
    func metaEntries(prefix: String) throws -> [(key: String, value: [UInt8])]

    // MARK: Alerts

    /// Streams all open alerts, in no order.
    func forEachOpenAlert(_ body: (AlertRecord) throws -> Void) throws
    /// Streams fingerprint (32 bytes) and episode of all alerts that are not open.
    func forEachClosedEpisode(_ body: (_ fingerprint: [UInt8], _ episode: Int64) throws -> Void) throws
    /// One alert; nil where it is not known.
    func alert(fingerprint: [UInt8]) throws -> AlertRecord?
    /// Alerts, newest change first.
    func alerts(_ query: AlertQuery) throws -> [AlertRecord]
    /// How many alerts are open.
    func openAlertCount() throws -> Int
    /// The history of one alert, newest first.
    func transitions(fingerprint: [UInt8], countMax: Int) throws -> [TransitionRecord]
    /// The history of all alerts, newest first, below an id where given.
    func transitions(beforeId: Int64?, countMax: Int) throws -> [TransitionRecord]
    /// Why somebody was told of an alert or was not, newest first.
    func decisions(fingerprint: [UInt8], countMax: Int) throws -> [DecisionRecord]
    /// Who changed what, newest first, below an id and about one subject where given.
    func audit(subject: String?, beforeId: Int64?, countMax: Int) throws -> [AuditRecord]
    /// Evaluation errors, most recent first.
    func evaluationErrors(rule: String?, countMax: Int) throws -> [EvaluationErrorRecord]

    // MARK: State of modules above

    /// Streams all pieces of state of one kind.
    func forEachState(kind: String, _ body: (StateRecord) throws -> Void) throws
    /// One piece of state; nil where there is none.
    func state(kind: String, key: String) throws -> StateRecord?
    /// The runs of pair timers at or after a time.
    func pairRuns(since: Timestamp) throws -> [PairRunRecord]
    /// The newest complete checkpoint of that name.
    func checkpoint(name: String) throws -> CheckpointRecord?
    /// One chunk of a checkpoint; nil where there is none.
    func checkpointChunk(id: Int64, index: Int) throws -> [UInt8]?

    // MARK: Outbox

    /// One row.
    func outboxRow(id: Int64) throws -> OutboxRecord?
    /// Rows of a state, optionally of one receiver, by id downwards from `beforeId`.
    func outboxRows(state: OutboxState, receiver: String?, beforeId: Int64?, countMax: Int) throws -> [OutboxRecord]
    /// All rows of an incident key, oldest first.
    func outboxRows(incidentKey: String, countMax: Int) throws -> [OutboxRecord]
    /// Lanes of a receiver that have a row due at `now` and nothing in flight: most urgent first, then earliest due.
    func claimableLanes(receiver: String, now: Timestamp, countMax: Int) throws -> [LaneCandidate]
    /// The waiting rows of a lane, oldest first.
    func waitingRows(receiver: String, lane: String, countMax: Int) throws -> [OutboxRecord]
    /// The waiting rows of a receiver, across lanes, oldest first.
    func waitingRows(receiver: String, countMax: Int) throws -> [OutboxRecord]
    /// How many rows of a receiver wait, counted up to `countMax`.
    func waitingCount(receiver: String, countMax: Int) throws -> Int
    /// The row of a lane that is in flight; nil where none is.
    func leasedRow(receiver: String, lane: String) throws -> OutboxRecord?
    /// All rows in flight.
    func leasedRows() throws -> [OutboxRecord]
    /// When the next lane of a receiver with nothing in flight becomes due; may lie in the past.
    func nextDue(receiver: String) throws -> Timestamp?
    /// The receivers that have waiting or leased rows.
    func activeReceivers() throws -> [String]
    /// Rows per receiver and state; settled rows count until retention removes them.
    func outboxCounts() throws -> [OutboxCount]
    /// The attempts of a row, oldest first.
    func attempts(outboxId: Int64) throws -> [AttemptRecord]
    /// Whether a row of the lane with a greater id was sent.
    func isLaterSent(receiver: String, lane: String, id: Int64) throws -> Bool
    /// The newest sent row of a lane; nil where none was sent or retention removed it.
    func newestSent(receiver: String, lane: String) throws -> OutboxRecord?
    /// The slots of a destination that still count somewhere, oldest first.
    func limiterSlots(destination: String) throws -> [LimiterSlotRecord]

    // MARK: Dead letters

    /// Dead letters, newest first.
    func deadLetters(_ query: DeadLetterQuery) throws -> [DeadLetterRecord]
    /// One dead letter; nil where there is none.
    func deadLetter(id: Int64) throws -> DeadLetterRecord?
    /// Open dead letters per kind.
    func openDeadLetterCounts() throws -> [DeadLetterRecord.Kind: Int]
}

/// Changes the store. Everything one job does happens, or nothing of it does. Valid only inside that job.
///
/// Every call throws ``StoreError``; a job may catch ``StoreError/Code/conflict`` and go on, a storage failure fails
/// it whatever it does.
public protocol StoreTransaction: StoreReader {
    /// Runs a part of the job that may fail alone: when it throws, nothing of the part is left. May be nested.
    /// - Throws: what the part threw; after a storage failure the whole job fails whatever is done with it.
    func inSavepoint<T>(_ body: () throws -> T) throws -> T

    // MARK: Offsets

    /// Moves the next offset of a partition, compare-and-set.
    /// - Parameter expected: what is stored now; nil where nothing is.
    /// - Throws: ``StoreError/Code/offsetConflict`` when another value is stored or `next` lies below it.
    func advanceOffset(topic: String, partition: Int32, expected: Int64?, next: Int64) throws
    /// Sets the next offset of a partition whatever is stored, for an operator's explicit command.
    func resetOffset(topic: String, partition: Int32, next: Int64?) throws
    /// Sets a key of the small free table; nil removes it.
    func setMeta(_ key: String, _ value: [UInt8]?) throws

    // MARK: Alerts

    /// Writes an alert, new or known.
    func upsertAlert(_ alert: AlertRecord) throws
    /// Forgets an alert and its episode.
    func deleteAlert(fingerprint: [UInt8]) throws
    /// Adds a line to the history.
    @discardableResult func insertTransition(_ transition: TransitionRecord) throws -> Int64
    /// Notes why somebody was told of an alert or was not.
    func insertDecision(_ decision: DecisionRecord) throws
    /// Notes who changed what.
    func insertAudit(_ record: AuditRecord) throws
    /// Adds errors to those stored for the same rule and reason. Beyond the store's bounds the reason becomes `other`.
    func addEvaluationErrors(_ errors: EvaluationErrorRecord) throws

    // MARK: State of modules above

    /// Writes a piece of state, new or known.
    func upsertState(_ state: StateRecord) throws
    /// Removes a piece of state.
    func deleteState(kind: String, key: String) throws
    /// Notes that a pair timer ran.
    func insertPairRun(_ run: PairRunRecord) throws
    /// Forgets runs of pair timers before a time, at most `countMax`; returns how many.
    @discardableResult func deletePairRuns(before: Timestamp, countMax: Int) throws -> Int

    // MARK: Checkpoints: begun, filled chunk by chunk in jobs of their own, then complete at once

    /// Begins a checkpoint; incomplete until ``completeCheckpoint(id:offsets:ruleHashes:at:)``.
    func beginCheckpoint(name: String, at: Timestamp) throws -> Int64
    /// Adds the next chunk (at most 4 MiB) of a checkpoint that is not complete.
    func appendCheckpointChunk(id: Int64, bytes: [UInt8]) throws
    /// Makes a checkpoint the newest of its name and drops the older ones.
    func completeCheckpoint(
        id: Int64, offsets: [TopicPartition: Int64], ruleHashes: [String: String], at: Timestamp
    ) throws
    /// Removes every checkpoint of that name.
    func deleteCheckpoints(name: String) throws

    // MARK: Outbox

    /// Adds a row in state `waiting`, or `suppressed` with a reason; `id` is ignored.
    /// - Returns: the new row's id.
    func insertOutbox(_ row: OutboxRecord) throws -> Int64
    /// Takes a waiting row in flight.
    /// - Throws: ``StoreError/Code/conflict`` when the row does not wait, a row of its lane is in flight, or a later
    ///   one of its lane was sent.
    /// - Returns: the row as leased.
    func lease(id: Int64, _ lease: OutboxLease) throws -> OutboxRecord
    /// Stores the body of a row in flight, as laid out at its first attempt.
    func setBody(id: Int64, body: [UInt8]) throws
    /// Ends a waiting row because row `by` says what it would have said.
    /// A fire and its resolve that were both not sent may cancel each other: reason `resolved`, each by the other.
    /// - Throws: ``StoreError/Code/conflict`` when the row does not wait, or `by` is no other row that exists.
    func supersede(id: Int64, by: Int64, reason: SupersedeReason, at: Timestamp) throws
    /// Ends a waiting or leased row, and records the attempt that did it.
    ///
    /// When a row was sent, older rows of its lane that still wait end `superseded(newer)` by it.
    /// - Throws: ``StoreError/Code/conflict`` when the row is settled already (but a dead one may be discarded).
    func settle(id: Int64, _ settlement: OutboxSettlement, attempt: AttemptRecord?) throws
    /// Puts a leased row back to waiting, and records the attempt.
    func release(id: Int64, _ release: OutboxRelease, attempt: AttemptRecord?) throws
    /// Moves the time of a waiting row, and adds to the time it waited for reasons of ours.
    func postpone(id: Int64, notBefore: Timestamp, waitedMilliseconds: Int64) throws
    /// Ends up to `countMax` waiting rows of a receiver the same way; returns how many.
    func settleWaiting(receiver: String, _ settlement: OutboxSettlement, countMax: Int) throws -> Int
    /// Puts a dead row back to waiting, with its idempotency key and a new age.
    ///
    /// A row of kind ``OutboxKind/notification`` that a later row of its lane has overtaken, sent or in flight, becomes
    /// a new last row of the lane and ends `superseded(newer)` by it.
    /// - Throws: ``StoreError/Code/conflict`` when it is not dead, or is of another kind and a later row of its lane
    ///   was sent.
    /// - Returns: the id of the row that waits now.
    @discardableResult func requeue(id: Int64, at: Timestamp) throws -> Int64
    /// Records an attempt that changes no row.
    @discardableResult func insertAttempt(_ attempt: AttemptRecord) throws -> Int64

    // MARK: Limiter

    /// Takes a slot.
    /// - Returns: its id.
    func takeLimiterSlot(_ slot: LimiterSlotRecord) throws -> Int64
    /// Notes when the answer came; from then the slot leaves each window after its length.
    func answerLimiterSlot(id: Int64, at: Timestamp) throws
    /// Gives back a slot that nothing was sent for.
    func returnLimiterSlot(id: Int64) throws
    /// Removes slots of a destination that were answered before a time; returns how many.
    @discardableResult func removeLimiterSlots(destination: String, answeredBefore: Timestamp) throws -> Int

    // MARK: Dead letters

    /// Keeps a dead letter; its bytes only within the store's limits.
    @discardableResult func insertDeadLetter(_ letter: DeadLetterRecord) throws -> Int64
    /// Marks an open dead letter as replayed or discarded.
    /// - Throws: ``StoreError/Code/conflict`` when it is not open.
    func settleDeadLetter(id: Int64, state: DeadLetterRecord.State, by: String, at: Timestamp) throws
}

/// Persistent state: transactions, compare-and-set and leases. Shared by all tasks of a process.
public protocol RouterStore: Sendable {
    /// The id of this run of the program; greater than that of every earlier run.
    var run: Int64 { get }

    /// Runs a job on the writer and returns when it is durable.
    ///
    /// Jobs run in the order of submission, several in one transaction, each in its own savepoint: a job that throws
    /// changes nothing and harms no other. Jobs must be quick and must not wait for anything.
    /// - Parameter byteCount: an estimate of the bytes it writes; a group closes at 16 MiB.
    /// - Throws: what the job threw, or ``StoreError`` where the storage failed or the queue is full.
    func write<T: Sendable>(
        byteCount: Int, _ body: @escaping @Sendable (any StoreTransaction) throws -> T
    ) async throws -> T

    /// Runs a job on the writer without waiting for it.
    ///
    /// - Parameters:
    ///   - chain: when a job of a chain fails, every later job of that chain fails with
    ///     ``StoreError/Code/chainBroken`` and is not run, so that nothing above a failed overlay is committed.
    ///   - completion: called once, on the writer's thread, after the commit (or at once on the caller's thread where
    ///     the queue is full or the store is closed); must be quick.
    func submit(
        byteCount: Int, chain: WriteChain?, _ body: @escaping @Sendable (any StoreTransaction) throws -> Void,
        completion: @escaping @Sendable (Result<Void, any Error>) -> Void)

    /// Reads one consistent state, on a connection of its own. Blocks the calling thread while it reads.
    func read<T>(_ body: (any StoreReader) throws -> T) throws -> T

    /// Finds out whether the store can be written again after a storage failure.
    /// - Throws: ``StoreError`` where it cannot.
    func probe() async throws
}
