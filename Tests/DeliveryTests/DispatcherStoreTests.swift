import Core
import Foundation
import Logging
import Store
import Testing

@testable import Delivery

// Goal: delivery and the real store agree on leases, limits and what a crash leaves. Method: SQLite in a temporary
// folder; a crash is a store that is opened again while rows are in flight.

@Suite(.timeLimit(.minutes(5))) struct DispatcherStoreTests {
    let clock = TestClock(1_700_000_000_000)

    /// Answers at once, and counts what it took.
    final class Eager: Destination {
        let receiver = "ops"
        let channel = "eager"
        let policy: DestinationPolicy
        init(_ policy: DestinationPolicy) { self.policy = policy }
        func coalesce(_ waiting: [OutboxRecord]) -> Coalescing { .oldest(of: waiting) }
        func render(_ row: OutboxRecord) throws -> RenderedBody { RenderedBody(bytes: row.payload, problem: nil) }
        func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
            AttemptReport(outcome: .accepted(providerId: "id-\(row.id)"), statusCode: 202, detail: nil)
        }
    }

    func open(_ folder: String) throws -> SQLiteStore {
        try SQLiteStore(
            StoreOptions(
                location: StoreLocation(folder: folder, name: "alert"), limits: .standard, now: clock.now(),
                metrics: MetricsRegistry()), holder: .current(startedAt: clock.now(), socketPath: ""))
    }

    func inFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("delivery-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await body(folder)
        try FileManager.default.removeItem(atPath: folder)
    }

    func machine(_ store: SQLiteStore, _ policy: DestinationPolicy) -> DispatchMachine {
        DispatchMachine(run: store.run, destinations: [Eager(policy)], seed: 1)
    }

    func pass(_ machine: DispatchMachine, _ store: SQLiteStore) async throws -> (DispatchMachine, Cycle) {
        let now = clock.now()
        return try await store.write(byteCount: 1000) { transaction in
            var machine = machine
            let cycle = try machine.cycle(settling: [], transaction, now: now)
            return (machine, cycle)
        }
    }

    func recovered(_ machine: DispatchMachine, _ store: SQLiteStore) async throws -> DispatchMachine {
        let now = clock.now()
        return try await store.write(byteCount: 1000) { transaction in
            var machine = machine
            _ = try machine.recover(transaction, now: now)
            return machine
        }
    }

    @Test func `many rows go through the real store, each once`() async throws {
        try await inFolder { folder in
            let store = try open(folder)
            let now = clock.now()
            try await store.write(byteCount: 100_000) { transaction in
                for index in 0..<300 {
                    _ = try transaction.insertOutbox(
                        makeRow("ops", lane: "l\(index % 100)", payload: "i\(index)=fire", at: now))
                }
            }
            let dispatcher = Dispatcher(
                store: store, destinations: [Eager(.test { $0.claimBatch = 32 })], clock: clock, seed: 1,
                metrics: MetricsRegistry(), logger: Logger(label: "test"), onFact: { _ in })
            async let running: Void = dispatcher.run()
            // A drain gives back what is claimed and not begun, so it comes after the last answer.
            while try store.read({
                try $0.outboxRows(state: .sent, receiver: "ops", beforeId: nil, countMax: 1000).count
            }) < 300 { await Task.yield() }
            await dispatcher.drain(within: .seconds(30))
            await running
            let rows = try store.read {
                try $0.outboxRows(state: .sent, receiver: "ops", beforeId: nil, countMax: 1000)
            }
            #expect(rows.count == 300)
            #expect(rows.allSatisfy { $0.providerId == "id-\($0.id)" && $0.attemptCount == 1 })
            await store.close(now: clock.now())
        }
    }

    @Test(arguments: AmbiguousPolicy.allCases)
    func `what was in flight at a crash is sent again, flagged, or held`(ambiguous: AmbiguousPolicy) async throws {
        let policy = DestinationPolicy.test {
            $0.onAmbiguous = ambiguous
            $0.windows = [RateWindow(count: 1, duration: .seconds(60))]
        }
        try await inFolder { folder in
            var store = try open(folder)
            let now = clock.now()
            let id = try await store.write(byteCount: 1000) {
                try $0.insertOutbox(makeRow("ops", lane: "l", payload: "a=fire", at: now))
            }
            let (_, cycle) = try await pass(machine(store, policy), store)
            #expect(cycle.claims.map(\.row.id) == [id])
            await store.close(now: now)
            clock.advance(milliseconds: 30_000)
            store = try open(folder)
            var next = try await recovered(machine(store, policy), store)
            let row = try #require(try store.read { try $0.outboxRow(id: id) })
            #expect(row.ambiguousCount == 1)
            #expect(row.state == (ambiguous == .hold ? .dead : .waiting))
            let blocked: Cycle
            (next, blocked) = try await pass(next, store)
            #expect(blocked.claims.isEmpty, "the slot of the crashed run counts from the restart")
            clock.advance(milliseconds: 60_601)
            let (_, again) = try await pass(next, store)
            #expect(again.claims.map(\.row.id) == (ambiguous == .hold ? [] : [id]))
            await store.close(now: clock.now())
        }
    }
}
