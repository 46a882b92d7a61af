import Core
import Store
import Testing

@testable import Delivery

/// Drives the policy by hand, on a store in memory.
struct MachineHarness {
    var store: MemoryStore
    var machine: DispatchMachine
    var now = Timestamp(milliseconds: 1_000_000)
    var claims: [Claim] = []
    var facts: [DeliveryFact] = []
    var wakeAt: Timestamp?
    let destinations: [any Destination]

    init(_ destinations: [any Destination], store: MemoryStore = MemoryStore(run: 1)) throws {
        self.destinations = destinations
        self.store = store
        machine = DispatchMachine(run: store.run, destinations: destinations, seed: 1)
        try recover()
    }

    private mutating func recover() throws {
        // Else each pass would wake for the search for removed receivers.
        machine.orphansDueAt = .distantFuture
        var machine = machine
        let now = now
        let cycle = try store.sync { try machine.recover($0, now: now) }
        self.machine = machine
        facts += cycle.facts
    }

    /// The process dies and another starts on what was committed.
    mutating func crash() throws {
        store = MemoryStore(run: store.run + 1, state: store.state)
        machine = DispatchMachine(run: store.run, destinations: destinations, seed: UInt64(store.run))
        claims = []
        try recover()
    }

    @discardableResult
    mutating func add(_ row: OutboxRecord) throws -> Int64 {
        var row = row
        row.createdAt = now
        row.notBefore = max(row.notBefore, now)
        return try store.sync { try $0.insertOutbox(row) }
    }

    /// One pass; returns the ids claimed by it.
    @discardableResult
    mutating func pass(_ finished: [FinishedAttempt] = []) throws -> [Int64] {
        var machine = machine
        let now = now
        let cycle = try store.sync { try machine.cycle(settling: finished, $0, now: now) }
        self.machine = machine
        claims += cycle.claims
        facts += cycle.facts
        wakeAt = cycle.wakeAt
        return cycle.claims.map(\.row.id)
    }

    /// Ends the attempt of a claimed row, then passes.
    @discardableResult
    mutating func answer(_ id: Int64, _ outcome: AttemptOutcome, body: String? = nil) throws -> [Int64] {
        claims.removeAll { $0.row.id == id }
        return try pass([
            FinishedAttempt(
                rowId: id, startedAt: now, finishedAt: now,
                ending: .attempted(AttemptReport(outcome: outcome, statusCode: 200, detail: nil)),
                body: body.map { Array($0.utf8) }, problem: nil)
        ])
    }

    mutating func advance(_ milliseconds: Int64) { now = now.adding(milliseconds: milliseconds) }

    func row(_ id: Int64) throws -> OutboxRecord { try #require(store.state.rows[id]) }
    func state(_ id: Int64) -> OutboxState? { store.state.rows[id]?.state }
}

extension DestinationPolicy {
    static func test(_ change: (inout DestinationPolicy) -> Void) -> DestinationPolicy {
        var policy = DestinationPolicy.standard
        change(&policy)
        return policy
    }
}
