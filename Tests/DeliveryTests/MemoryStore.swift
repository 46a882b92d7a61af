import Core
import Store
import Synchronization

/// The part of a store that delivery uses, in memory, as the protocols describe it. Anything else throws `misuse`.
struct MemoryState: Sendable {
    /// Rows that are not settled; kept apart so that a long simulation stays quick.
    var active: [Int64: OutboxRecord] = [:]
    var settled: [Int64: OutboxRecord] = [:]
    var newestSent: [String: Int64] = [:]
    var nextId: Int64 = 1
    var attempts: [AttemptRecord] = []
    var letters: [DeadLetterRecord] = []
    var slots: [Int64: LimiterSlotRecord] = [:]
    var meta: [String: [UInt8]] = [:]
    var states: [String: StateRecord] = [:]

    var rows: [Int64: OutboxRecord] { active.merging(settled) { first, _ in first } }

    subscript(row id: Int64) -> OutboxRecord? {
        get { active[id] ?? settled[id] }
        set {
            let isSettled = newValue?.state.isSettled == true
            active[id] = isSettled ? nil : newValue
            settled[id] = isSettled ? newValue : nil
            if let newValue, newValue.state == .sent {
                let key = "\(newValue.receiver)/\(newValue.lane)"
                newestSent[key] = max(newestSent[key] ?? 0, id)
            }
        }
    }
}

final class MemoryTransaction {
    var state: MemoryState
    /// A row whose end is refused, as by a defect.
    let refusedId: Int64?

    init(_ state: MemoryState, refusedId: Int64?) {
        self.state = state
        self.refusedId = refusedId
    }

    func conflict(_ message: String) -> StoreError { StoreError(.conflict, message, systemCode: nil) }
    var misuse: StoreError { StoreError(.misuse, "the memory store has no such call", systemCode: nil) }

    func waiting(_ test: (OutboxRecord) -> Bool) -> [OutboxRecord] {
        state.active.values.filter { $0.state == .waiting && test($0) }.sorted { $0.id < $1.id }
    }

    func row(_ id: Int64, in states: Set<OutboxState>) throws -> OutboxRecord {
        guard let row = state[row: id] else { throw StoreError(.notFound, "no row \(id)", systemCode: nil) }
        guard states.contains(row.state) else { throw conflict("row \(id) is \(row.state.rawValue)") }
        return row
    }
}

extension MemoryTransaction: StoreTransaction {
    func inSavepoint<T>(_ body: () throws -> T) throws -> T {
        let before = state
        do { return try body() } catch {
            state = before
            throw error
        }
    }

    // MARK: Outbox, reading

    func outboxRow(id: Int64) throws -> OutboxRecord? { state[row: id] }
    func claimableLanes(receiver: String, now: Timestamp, countMax: Int) throws -> [LaneCandidate] {
        let busy = Set(state.active.values.filter { $0.state == .leased }.map(\.lane))
        let lanes = Dictionary(grouping: waiting { $0.receiver == receiver && !busy.contains($0.lane) }, by: \.lane)
        return Array(
            lanes.compactMap { lane, rows -> LaneCandidate? in
                guard let due = rows.map(\.notBefore).min(), due <= now, let priority = rows.map(\.priority).min()
                else {
                    return nil
                }
                return LaneCandidate(
                    lane: lane, receiver: receiver, priority: priority, dueAt: due, waitingCount: rows.count)
            }.sorted { ($0.priority, $0.dueAt, $0.lane) < ($1.priority, $1.dueAt, $1.lane) }.prefix(countMax))
    }
    func waitingRows(receiver: String, lane: String, countMax: Int) throws -> [OutboxRecord] {
        Array(waiting { $0.receiver == receiver && $0.lane == lane }.prefix(countMax))
    }
    func waitingRows(receiver: String, countMax: Int) throws -> [OutboxRecord] {
        Array(waiting { $0.receiver == receiver }.prefix(countMax))
    }
    func waitingCount(receiver: String, countMax: Int) throws -> Int {
        min(countMax, waiting { $0.receiver == receiver }.count)
    }
    func leasedRow(receiver: String, lane: String) throws -> OutboxRecord? {
        state.active.values.first { $0.receiver == receiver && $0.lane == lane && $0.state == .leased }
    }
    func leasedRows() throws -> [OutboxRecord] {
        state.active.values.filter { $0.state == .leased }.sorted { $0.id < $1.id }
    }
    func nextDue(receiver: String) throws -> Timestamp? {
        let busy = Set(state.active.values.filter { $0.state == .leased }.map(\.lane))
        return waiting { $0.receiver == receiver && !busy.contains($0.lane) }.map(\.notBefore).min()
    }
    func activeReceivers() throws -> [String] {
        Set(state.active.values.filter { !$0.state.isSettled }.map(\.receiver)).sorted()
    }
    func attempts(outboxId: Int64) throws -> [AttemptRecord] { state.attempts.filter { $0.outboxId == outboxId } }
    func isLaterSent(receiver: String, lane: String, id: Int64) throws -> Bool {
        (state.newestSent["\(receiver)/\(lane)"] ?? 0) > id
    }
    func newestSent(receiver: String, lane: String) throws -> OutboxRecord? {
        state.newestSent["\(receiver)/\(lane)"].flatMap { state[row: $0] }
    }
    func limiterSlots(destination: String) throws -> [LimiterSlotRecord] {
        state.slots.values.filter { $0.destination == destination }
            .sorted { ($0.takenAt, $0.id) < ($1.takenAt, $1.id) }
    }
    func meta(_ key: String) throws -> [UInt8]? { state.meta[key] }
    func metaEntries(prefix: String) throws -> [(key: String, value: [UInt8])] {
        state.meta.filter { $0.key.hasPrefix(prefix) }.map { ($0.key, $0.value) }
    }
    func forEachState(kind: String, _ body: (StateRecord) throws -> Void) throws {
        for record in state.states.values where record.kind == kind { try body(record) }
    }
    func state(kind: String, key: String) throws -> StateRecord? { state.states["\(kind)/\(key)"] }

    // MARK: Outbox, writing

    func insertOutbox(_ row: OutboxRecord) throws -> Int64 {
        var row = row
        row.id = state.nextId
        state.nextId += 1
        state[row: row.id] = row
        return row.id
    }
    func lease(id: Int64, _ lease: OutboxLease) throws -> OutboxRecord {
        var row = try row(id, in: [.waiting])
        guard try leasedRow(receiver: row.receiver, lane: row.lane) == nil else { throw conflict("lane in flight") }
        guard try !isLaterSent(receiver: row.receiver, lane: row.lane, id: id) else {
            throw conflict("a later row was sent")
        }
        row.state = .leased
        row.leaseRun = lease.run
        row.leaseUntil = lease.until
        row.firstAttemptAt = row.firstAttemptAt ?? lease.at
        row.payload = lease.payload ?? row.payload
        row.body = lease.body ?? row.body
        row.waitedMilliseconds += lease.waitedMilliseconds
        state[row: id] = row
        return row
    }
    func setBody(id: Int64, body: [UInt8]) throws {
        var row = try row(id, in: [.leased])
        row.body = body
        state[row: id] = row
    }
    func supersede(id: Int64, by: Int64, reason: SupersedeReason, at: Timestamp) throws {
        var row = try row(id, in: [.waiting])
        guard by != id, state[row: by] != nil else { throw conflict("no other row \(by)") }
        (row.state, row.supersededBy, row.reason, row.settledAt) = (.superseded, by, reason.rawValue, at)
        state[row: id] = row
    }
    func settle(id: Int64, _ settlement: OutboxSettlement, attempt: AttemptRecord?) throws {
        if id == refusedId { throw StoreError(.misuse, "a test refuses the end of row \(id)", systemCode: nil) }
        var row = try row(id, in: [.waiting, .leased])
        (row.state, row.reason, row.providerId) = (settlement.state, settlement.reason, settlement.providerId)
        (row.settledAt, row.leaseRun, row.leaseUntil) = (settlement.at, nil, nil)
        if settlement.isAmbiguous { row.ambiguousCount += 1 }
        if attempt != nil { row.attemptCount += 1 }
        state[row: id] = row
        if let attempt { try insertAttempt(attempt) }
        guard settlement.state == .sent else { return }
        for older in waiting({ $0.lane == row.lane && $0.id < id }) {
            try supersede(id: older.id, by: id, reason: .newer, at: settlement.at)
        }
    }
    func release(id: Int64, _ release: OutboxRelease, attempt: AttemptRecord?) throws {
        var row = try row(id, in: [.leased])
        (row.state, row.notBefore, row.reason) = (.waiting, release.notBefore, release.reason)
        (row.leaseRun, row.leaseUntil) = (nil, nil)
        if release.isAmbiguous { row.ambiguousCount += 1 }
        if release.countsAsAttempt { row.attemptCount += 1 }
        row.waitedMilliseconds += release.waitedMilliseconds
        state[row: id] = row
        if let attempt { try insertAttempt(attempt) }
    }
    func postpone(id: Int64, notBefore: Timestamp, waitedMilliseconds: Int64) throws {
        var row = try row(id, in: [.waiting])
        row.notBefore = notBefore
        row.waitedMilliseconds += waitedMilliseconds
        state[row: id] = row
    }
    @discardableResult func requeue(id: Int64, at: Timestamp) throws -> Int64 {
        var row = try row(id, in: [.dead])
        let later = try leasedRow(receiver: row.receiver, lane: row.lane).map { $0.id > id } ?? false
        let isOvertaken = try later || isLaterSent(receiver: row.receiver, lane: row.lane, id: id)
        if row.kind != OutboxKind.notification, isOvertaken { throw conflict("a later row was sent") }
        if row.kind == OutboxKind.notification, isOvertaken {
            var copy = row
            (copy.state, copy.notBefore, copy.firstAttemptAt, copy.waitedMilliseconds) = (.waiting, at, nil, 0)
            (copy.createdAt, copy.attemptCount, copy.settledAt, copy.reason) = (at, 0, nil, nil)
            let last = try insertOutbox(copy)
            (row.state, row.supersededBy, row.reason, row.settledAt) = (.superseded, last, "newer", at)
            state[row: id] = row
            return last
        }
        (row.state, row.notBefore, row.firstAttemptAt, row.waitedMilliseconds) = (.waiting, at, nil, 0)
        state[row: id] = row
        return id
    }
    @discardableResult func insertAttempt(_ attempt: AttemptRecord) throws -> Int64 {
        var attempt = attempt
        attempt.id = Int64(state.attempts.count + 1)
        state.attempts.append(attempt)
        return attempt.id
    }
    func takeLimiterSlot(_ slot: LimiterSlotRecord) throws -> Int64 {
        var slot = slot
        slot.id = state.nextId
        state.nextId += 1
        state.slots[slot.id] = slot
        return slot.id
    }
    func answerLimiterSlot(id: Int64, at: Timestamp) throws { state.slots[id]?.answeredAt = at }
    func returnLimiterSlot(id: Int64) throws { state.slots[id] = nil }
    @discardableResult func removeLimiterSlots(destination: String, answeredBefore: Timestamp) throws -> Int {
        let old = state.slots.values.filter {
            $0.destination == destination && $0.answeredAt.map { $0 < answeredBefore } == true
        }
        for slot in old { state.slots[slot.id] = nil }
        return old.count
    }
    @discardableResult func insertDeadLetter(_ letter: DeadLetterRecord) throws -> Int64 {
        state.letters.append(letter)
        return Int64(state.letters.count)
    }
    func setMeta(_ key: String, _ value: [UInt8]?) throws { state.meta[key] = value }
    func upsertState(_ record: StateRecord) throws { state.states["\(record.kind)/\(record.key)"] = record }
    func deleteState(kind: String, key: String) throws { state.states["\(kind)/\(key)"] = nil }

    // MARK: Not used by delivery

    func offsets() throws -> [OffsetRecord] { throw misuse }
    func nextOffset(topic: String, partition: Int32) throws -> Int64? { throw misuse }
    func runs(countMax: Int) throws -> [RunRecord] { throw misuse }
    func forEachOpenAlert(_ body: (AlertRecord) throws -> Void) throws { throw misuse }
    func forEachClosedEpisode(_ body: ([UInt8], Int64) throws -> Void) throws { throw misuse }
    func alert(fingerprint: [UInt8]) throws -> AlertRecord? { throw misuse }
    func alerts(_ query: AlertQuery) throws -> [AlertRecord] { throw misuse }
    func openAlertCount() throws -> Int { throw misuse }
    func transitions(fingerprint: [UInt8], countMax: Int) throws -> [TransitionRecord] { throw misuse }
    func transitions(beforeId: Int64?, countMax: Int) throws -> [TransitionRecord] { throw misuse }
    func evaluationErrors(rule: String?, countMax: Int) throws -> [EvaluationErrorRecord] { throw misuse }
    func decisions(fingerprint: [UInt8], countMax: Int) throws -> [DecisionRecord] { throw misuse }
    func audit(subject: String?, beforeId: Int64?, countMax: Int) throws -> [AuditRecord] { throw misuse }
    func insertDecision(_ decision: DecisionRecord) throws { throw misuse }
    func insertAudit(_ record: AuditRecord) throws { throw misuse }
    func pairRuns(since: Timestamp) throws -> [PairRunRecord] { throw misuse }
    func checkpoint(name: String) throws -> CheckpointRecord? { throw misuse }
    func checkpointChunk(id: Int64, index: Int) throws -> [UInt8]? { throw misuse }
    func outboxRows(state: OutboxState, receiver: String?, beforeId: Int64?, countMax: Int) throws -> [OutboxRecord] {
        let all = waiting { state == .waiting && $0.receiver == receiver && $0.id < beforeId ?? Int64.max }
        return Array(all.reversed().prefix(countMax))
    }
    func outboxRows(incidentKey: String, countMax: Int) throws -> [OutboxRecord] { throw misuse }
    func outboxCounts() throws -> [OutboxCount] { throw misuse }
    func deadLetters(_ query: DeadLetterQuery) throws -> [DeadLetterRecord] { throw misuse }
    func deadLetter(id: Int64) throws -> DeadLetterRecord? { throw misuse }
    func openDeadLetterCounts() throws -> [DeadLetterRecord.Kind: Int] { throw misuse }
    func advanceOffset(topic: String, partition: Int32, expected: Int64?, next: Int64) throws { throw misuse }
    func resetOffset(topic: String, partition: Int32, next: Int64?) throws { throw misuse }
    func upsertAlert(_ alert: AlertRecord) throws { throw misuse }
    func deleteAlert(fingerprint: [UInt8]) throws { throw misuse }
    @discardableResult func insertTransition(_ transition: TransitionRecord) throws -> Int64 { throw misuse }
    func addEvaluationErrors(_ errors: EvaluationErrorRecord) throws { throw misuse }
    func insertPairRun(_ run: PairRunRecord) throws { throw misuse }
    @discardableResult func deletePairRuns(before: Timestamp, countMax: Int) throws -> Int { throw misuse }
    func beginCheckpoint(name: String, at: Timestamp) throws -> Int64 { throw misuse }
    func appendCheckpointChunk(id: Int64, bytes: [UInt8]) throws { throw misuse }
    func completeCheckpoint(
        id: Int64, offsets: [TopicPartition: Int64], ruleHashes: [String: String], at: Timestamp
    ) throws { throw misuse }
    func deleteCheckpoints(name: String) throws { throw misuse }
    func settleWaiting(receiver: String, _ settlement: OutboxSettlement, countMax: Int) throws -> Int { throw misuse }
    func settleDeadLetter(id: Int64, state: DeadLetterRecord.State, by: String, at: Timestamp) throws { throw misuse }
}

/// A store in memory: every job is a transaction of its own; it can be made to fail.
final class MemoryStore: RouterStore {
    let run: Int64
    private let gate = Mutex<(isHeld: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))
    private let shared: Mutex<(state: MemoryState, failure: StoreError?, refusedId: Int64?)>

    init(run: Int64, state: MemoryState = MemoryState()) {
        self.run = run
        shared = Mutex((state, nil, nil))
    }

    var state: MemoryState { shared.withLock { $0.state } }
    func fail(with error: StoreError?) { shared.withLock { $0.failure = error } }
    /// Refuses the end of a row, though the storage works.
    func refuse(settling id: Int64?) { shared.withLock { $0.refusedId = id } }

    /// Runs a job in place. A job that throws is not undone: what delivery expects to fail it catches within.
    @discardableResult
    func sync<T>(_ body: (any StoreTransaction) throws -> T) throws -> T {
        try shared.withLock { shared in
            if let failure = shared.failure { throw failure }
            let transaction = MemoryTransaction(shared.state, refusedId: shared.refusedId)
            shared.state = MemoryState()
            defer { shared.state = transaction.state }
            return try body(transaction)
        }
    }

    func write<T: Sendable>(
        byteCount: Int, _ body: @escaping @Sendable (any StoreTransaction) throws -> T
    ) async throws -> T {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isHeld = gate.withLock { gate in
                if gate.isHeld { gate.waiters.append(continuation) }
                return gate.isHeld
            }
            if !isHeld { continuation.resume() }
        }
        return try sync(body)
    }
    /// Lets transactions wait that were not begun.
    func hold() { gate.withLock { $0.isHeld = true } }
    func letGo() {
        let waiters = gate.withLock { gate in
            defer { gate = (false, []) }
            return gate.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
    /// How many transactions wait.
    var heldCount: Int { gate.withLock { $0.waiters.count } }
    func submit(
        byteCount: Int, chain: WriteChain?, _ body: @escaping @Sendable (any StoreTransaction) throws -> Void,
        completion: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        completion(Result { try sync(body) })
    }
    func read<T>(_ body: (any StoreReader) throws -> T) throws -> T { try sync(body) }
    func probe() async throws { if let failure = shared.withLock({ $0.failure }) { throw failure } }
}
