import Core
import Store

/// A row taken for an attempt.
struct Claim: Sendable {
    var row: OutboxRecord
    var destination: any Destination
}

/// An attempt that ended, or a claim that was given back.
struct FinishedAttempt: Sendable {
    enum Ending: Sendable {
        case attempted(AttemptReport)
        /// The row's payload cannot be laid out; nothing was sent.
        case unrenderable(reason: String)
        /// Delivery is stopping; nothing was sent.
        case returned
    }

    var rowId: Int64
    var startedAt: Timestamp
    var finishedAt: Timestamp
    var ending: Ending
    /// The body as laid out in this attempt; nil where an earlier one's was used or there is none.
    var body: [UInt8]?
    var problem: String?
}

/// What one pass over the outbox decided.
struct Cycle: Sendable {
    var claims: [Claim] = []
    /// When the next pass is worth while, should nothing else happen before.
    var wakeAt: Timestamp?
    var facts: [DeliveryFact] = []
    var events: [DeliveryEvent] = []
    /// Attempts whose end could not be recorded; to be given to a later pass.
    var unsettled: [FinishedAttempt] = []

    mutating func append(_ other: Cycle) {
        claims += other.claims
        wake(at: other.wakeAt)
        facts += other.facts
        events += other.events
        unsettled += other.unsettled
    }

    mutating func wake(at time: Timestamp?) {
        guard let time else { return }
        wakeAt = min(wakeAt ?? time, time)
    }
}

/// What the metrics count; applied after the commit.
enum DeliveryEvent: Sendable {
    case attempt(receiver: String, outcome: AttemptOutcomeName, milliseconds: Int64)
    case settled(receiver: String, state: OutboxState, latencyMilliseconds: Int64?)
    case superseded(receiver: String, reason: SupersedeReason, count: Int)
    case blocked(receiver: String, by: DestinationState.Block)
    case breaker(receiver: String, isOpen: Bool)
    case inFlight(receiver: String, count: Int)
}

/// All policy of delivery: a synchronous value. Its calls run inside a transaction of the store; a caller keeps the
/// changed value only when the transaction was committed.
struct DispatchMachine: Sendable {
    /// A row in flight.
    struct Flight: Sendable {
        var row: OutboxRecord
        var slotId: Int64?
        /// The lanes whose news it carries, where it is more than its own.
        var mergedLanes: [String]
    }

    /// A merged row that has not settled yet: the lanes it speaks for wait for it.
    struct Merge: Sendable, Equatable {
        var rowId: Int64
        var receiver: String
        var lanes: [String]
    }

    let run: Int64
    var states: [String: DestinationState]
    /// The receivers in the order they are served.
    var receivers: [String]
    var flights: [Int64: Flight] = [:]
    var merges: [Merge] = []
    var random: SeededRandom
    var isDraining = false
    /// When the outbox is next searched for rows of receivers that do not exist.
    var orphansDueAt = Timestamp.distantPast

    /// Most rows read to be merged into one.
    static let mergeRowsMax = 500
    /// Most rows of a lane read to be joined.
    static let laneRowsMax = 200
    /// How long the rows of a lane wait that a merged row in flight speaks for, before they are looked at again.
    static let mergeWaitMilliseconds: Int64 = 500
    static let orphanSearchMilliseconds: Int64 = 60_000
    /// What the store gives as the reason of a row whose lease died with its process.
    static let freedReason = "the process ended during an attempt"
    static let mergeKind = "delivery.merge"
    static let pausePrefix = "delivery.pause."

    init(run: Int64, destinations: [any Destination], seed: UInt64) {
        self.run = run
        states = [:]
        receivers = []
        random = SeededRandom(seed: seed)
        install(destinations)
    }

    private mutating func install(_ destinations: [any Destination]) {
        receivers = destinations.map(\.receiver)
        states = Dictionary(destinations.map { ($0.receiver, DestinationState($0)) }) { first, _ in first }
    }

    // MARK: Start and reload

    /// Takes over what earlier runs left: their leases end, their open slots count from now.
    mutating func recover(_ transaction: any StoreTransaction, now: Timestamp) throws -> Cycle {
        var cycle = Cycle()
        for row in try transaction.leasedRows() where row.leaseRun != run {
            try recover(row: row, transaction, now: now, cycle: &cycle)
        }
        for receiver in receivers {
            if states[receiver]?.policy.onAmbiguous == .hold {
                try holdFreed(receiver, transaction, now: now, cycle: &cycle)
            }
            try loadSlots(receiver, transaction, now: now)
        }
        for (key, value) in try transaction.metaEntries(prefix: DispatchMachine.pausePrefix) {
            let receiver = String(key.dropFirst(DispatchMachine.pausePrefix.count))
            guard let time = Int64(String(decoding: value, as: UTF8.self)), time > now.milliseconds else {
                try transaction.setMeta(key, nil)
                continue
            }
            let longest = now.adding(RetryAfter.longest)
            states[receiver]?.pausedUntil = min(Timestamp(milliseconds: time), longest)
        }
        try loadMerges(transaction)
        for receiver in receivers {
            // Said once, so that a destination that was never left alone shows as such.
            cycle.events.append(.breaker(receiver: receiver, isOpen: false))
            cycle.events.append(.inFlight(receiver: receiver, count: 0))
        }
        return cycle
    }

    private mutating func recover(
        row: OutboxRecord, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        let reason = DispatchMachine.freedReason
        let attempt = AttemptRecord(
            outboxId: row.id, receiver: row.receiver, number: row.attemptCount + 1,
            startedAt: min(row.firstAttemptAt ?? now, now), finishedAt: now, outcome: .ambiguous, statusCode: nil,
            detail: reason, providerId: nil, run: row.leaseRun ?? run)
        if states[row.receiver]?.policy.onAmbiguous == .hold {
            try bury(
                row, reason: "\(reason); held, as on_ambiguous is hold", isAmbiguous: true, attempt: attempt,
                transaction, now: now, cycle: &cycle)
        } else {
            try transaction.release(
                id: row.id,
                OutboxRelease(
                    notBefore: now, reason: reason, isAmbiguous: true, countsAsAttempt: true, waitedMilliseconds: 0),
                attempt: attempt)
        }
    }

    /// The store frees leases of dead runs when it opens; what must be held is found by the reason it gives.
    private mutating func holdFreed(
        _ receiver: String, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        var beforeId: Int64?
        while true {
            let rows = try transaction.outboxRows(
                state: .waiting, receiver: receiver, beforeId: beforeId, countMax: DispatchMachine.mergeRowsMax)
            for row in rows where row.ambiguousCount > 0 && row.reason == DispatchMachine.freedReason {
                try bury(
                    row, reason: "\(DispatchMachine.freedReason); held, as on_ambiguous is hold", isAmbiguous: false,
                    attempt: nil, transaction, now: now, cycle: &cycle)
            }
            guard rows.count == DispatchMachine.mergeRowsMax, let last = rows.last else { return }
            beforeId = last.id
        }
    }

    private mutating func loadSlots(_ receiver: String, _ transaction: any StoreTransaction, now: Timestamp) throws {
        let openIds = Set(flights.values.compactMap(\.slotId))
        for slot in try transaction.limiterSlots(destination: receiver) {
            if slot.answeredAt == nil, openIds.contains(slot.id) {
                states[receiver]?.takeSlot(recipient: slot.recipient, at: now)
                continue
            }
            if slot.answeredAt == nil { try transaction.answerLimiterSlot(id: slot.id, at: now) }
            // A slot answered in the future was written before the clock was set back.
            states[receiver]?.restoreSlot(recipient: slot.recipient, answeredAt: min(slot.answeredAt ?? now, now))
        }
    }

    private mutating func loadMerges(_ transaction: any StoreTransaction) throws {
        var found: [Merge] = []
        try transaction.forEachState(kind: DispatchMachine.mergeKind) { state in
            guard let id = Int64(state.key), let json = try? JSON.parse(state.bytes), let lanes = json.elements else {
                return
            }
            found.append(Merge(rowId: id, receiver: "", lanes: lanes.compactMap(\.stringValue)))
        }
        for var merge in found {
            let row = try transaction.outboxRow(id: merge.rowId)
            if let row, !row.state.isSettled {
                merge.receiver = row.receiver
                merges.append(merge)
            } else {
                try transaction.deleteState(kind: DispatchMachine.mergeKind, key: String(merge.rowId))
            }
        }
    }

    /// Changes the destinations.
    mutating func apply(
        _ change: DestinationChange, _ transaction: any StoreTransaction, now: Timestamp
    ) throws -> Cycle {
        switch change {
        case .replace(let destinations): return try replace(destinations, transaction, now: now)
        case .add(let destinations):
            var cycle = Cycle()
            for destination in destinations where states[destination.receiver] == nil {
                receivers.append(destination.receiver)
                states[destination.receiver] = DestinationState(destination)
                try loadSlots(destination.receiver, transaction, now: now)
                states[destination.receiver]?.inFlightCount = flights.values.count {
                    $0.row.receiver == destination.receiver
                }
                cycle.events.append(.breaker(receiver: destination.receiver, isOpen: false))
            }
            return cycle
        }
    }

    /// Puts new destinations in place. Limits are loaded anew; breakers begin closed, as what opened them may be
    /// mended.
    @discardableResult
    mutating func replace(
        _ destinations: [any Destination], _ transaction: any StoreTransaction, now: Timestamp
    ) throws -> Cycle {
        var cycle = Cycle()
        let before = states
        install(destinations)
        for receiver in receivers {
            try loadSlots(receiver, transaction, now: now)
            states[receiver]?.pausedUntil = before[receiver]?.pausedUntil
            states[receiver]?.inFlightCount = flights.values.count { $0.row.receiver == receiver }
        }
        for (receiver, state) in before.sorted(by: { $0.key < $1.key }) {
            // A destination that is gone, or made anew, is not left alone any more.
            if state.breaker.isOpen {
                cycle.facts.append(.breakerClosed(receiver: receiver, channel: state.destination.channel))
            }
            if state.failedUntil != nil { cycle.facts.append(.receiverRecovered(receiver: receiver)) }
            cycle.events.append(.breaker(receiver: receiver, isOpen: false))
        }
        for receiver in receivers where before[receiver] == nil {
            cycle.events.append(.breaker(receiver: receiver, isOpen: false))
        }
        orphansDueAt = .distantPast
        return cycle
    }

    // MARK: A pass

    /// Settles what ended, then claims what may be sent.
    ///
    /// What goes wrong with the rows of one receiver, the store itself apart, harms no other.
    mutating func cycle(
        settling finished: [FinishedAttempt], _ transaction: any StoreTransaction, now: Timestamp
    ) throws -> Cycle {
        let before = self
        do {
            var cycle = Cycle()
            try transaction.inSavepoint {
                for attempt in finished { try settle(attempt, transaction, now: now, cycle: &cycle) }
                if !isDraining { try buryOrphans(transaction, now: now, cycle: &cycle) }
                for receiver in receivers {
                    try claimAndPrune(receiver, transaction, now: now, cycle: &cycle)
                }
            }
            return cycle
        } catch  where DispatchMachine.isLocal(error) {
            // The same again, each part for itself.
            self = before
            return try cycleInParts(settling: finished, transaction, now: now)
        }
    }

    mutating func claimAndPrune(
        _ receiver: String, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        if !isDraining {
            if let until = states[receiver]?.failedUntil {
                guard until <= now else { return cycle.wake(at: until) }
                states[receiver]?.failedUntil = nil
                try claim(receiver, transaction, now: now, cycle: &cycle)
                cycle.facts.append(.receiverRecovered(receiver: receiver))
            } else {
                try claim(receiver, transaction, now: now, cycle: &cycle)
            }
        }
        guard states[receiver]?.prune(at: now) == true, let state = states[receiver] else { return }
        try transaction.removeLimiterSlots(
            destination: receiver,
            answeredBefore: now.adding(milliseconds: -SlidingWindowLimiter.span(of: state.longestWindow)))
    }

    /// Rows of receivers that are not configured any more are dead.
    mutating func buryOrphans(
        _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        guard now >= orphansDueAt else { return cycle.wake(at: orphansDueAt) }
        orphansDueAt = now.adding(milliseconds: DispatchMachine.orphanSearchMilliseconds)
        for receiver in try transaction.activeReceivers() where states[receiver] == nil {
            let rows = try transaction.waitingRows(receiver: receiver, countMax: DispatchMachine.mergeRowsMax)
            for row in rows {
                try bury(
                    row, reason: "receiver removed", isAmbiguous: false, attempt: nil, transaction, now: now,
                    cycle: &cycle, isTold: false)
            }
            if !rows.isEmpty { cycle.facts.append(.receiverRemoved(receiver: receiver, rowCount: rows.count)) }
            if rows.count == DispatchMachine.mergeRowsMax { orphansDueAt = now }
        }
        cycle.wake(at: orphansDueAt)
    }

    /// Gives a row up, with its dead letter.
    mutating func bury(
        _ row: OutboxRecord, reason: String, isAmbiguous: Bool, attempt: AttemptRecord?,
        _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle, isTold: Bool = true
    ) throws {
        try transaction.settle(
            id: row.id,
            OutboxSettlement(state: .dead, reason: reason, providerId: nil, at: now, isAmbiguous: isAmbiguous),
            attempt: attempt)
        var letter = DeadLetterRecord(kind: .delivery, createdAt: now, reason: reason)
        letter.rule = row.rule
        letter.receiver = row.receiver
        letter.outboxId = row.id
        try transaction.insertDeadLetter(letter)
        try forgetMerge(row.id, transaction)
        cycle.events.append(.settled(receiver: row.receiver, state: .dead, latencyMilliseconds: nil))
        if isTold {
            cycle.facts.append(
                .deadLetter(receiver: row.receiver, rule: row.rule, outboxId: row.id, reason: reason))
        }
    }

    mutating func forgetMerge(_ rowId: Int64, _ transaction: any StoreTransaction) throws {
        guard let index = merges.firstIndex(where: { $0.rowId == rowId }) else { return }
        merges.remove(at: index)
        try transaction.deleteState(kind: DispatchMachine.mergeKind, key: String(rowId))
    }
}
