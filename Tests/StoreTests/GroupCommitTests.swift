import Core
import Foundation
import GRDB
import Synchronization
import Testing

@testable import Store

private struct Refusal: Error, Equatable { var number: Int }

/// Collects the outcomes of submitted jobs in the order in which they were told.
final class Outcomes: Sendable {
    private let state = Mutex<[(number: Int, error: (any Error)?)]>([])
    private let condition = NSCondition()

    func note(_ number: Int, _ result: Result<Void, any Error>) {
        condition.lock()
        state.withLock { state in
            if case .failure(let error) = result { state.append((number, error)) } else { state.append((number, nil)) }
        }
        condition.broadcast()
        condition.unlock()
    }

    /// Blocks until `count` outcomes were told.
    func waitFor(_ count: Int) -> [(number: Int, error: (any Error)?)] {
        condition.lock()
        defer { condition.unlock() }
        while state.withLock({ $0.count }) < count { condition.wait() }
        return state.withLock { $0 }
    }
}

@Suite struct GroupCommitTests {
    @Test func `the connection that writes syncs every commit`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (synchronous, journal) = try await store.pool.writeWithoutTransaction { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA synchronous"),
                try String.fetchOne(database, sql: "PRAGMA journal_mode")
            )
        }
        #expect(synchronous == 2)
        #expect(journal == "wal")
        await store.close(now: StoreFixture.start)
    }

    @Test func `a job that throws changes nothing and harms no other job of its group`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let outcomes = Outcomes()
        let gate = DispatchSemaphore(value: 0)
        store.submit(byteCount: 1, chain: nil, { _ in gate.wait() }, completion: { outcomes.note(0, $0) })
        for number in 1...9 {
            store.submit(
                byteCount: 1, chain: nil,
                { transaction in
                    try transaction.setMeta("job.\(number)", [UInt8(number)])
                    if number == 5 { throw Refusal(number: 5) }
                }, completion: { outcomes.note(number, $0) })
        }
        gate.signal()
        let told = outcomes.waitFor(10)
        #expect(told.map(\.number) == Array(0...9))
        #expect(told.filter { $0.error != nil }.map(\.number) == [5])
        #expect(told[5].error as? Refusal == Refusal(number: 5))
        let keys = try store.read { try $0.metaEntries(prefix: "job.").map(\.key) }
        #expect(keys == [1, 2, 3, 4, 6, 7, 8, 9].map { "job.\($0)" })
        await store.close(now: StoreFixture.start)
    }

    @Test func `after a failed job of a chain no later job of it is run`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let outcomes = Outcomes()
        let chain = WriteChain()
        for number in 0..<6 {
            store.submit(
                byteCount: 1, chain: chain,
                { transaction in
                    let expected: Int64? = number == 0 ? nil : Int64(number * 10)
                    // Job 2 expects an offset that nobody stored.
                    try transaction.advanceOffset(
                        topic: "t", partition: 0, expected: number == 2 ? 999 : expected,
                        next: number == 2 ? 1000 : Int64((number + 1) * 10))
                }, completion: { outcomes.note(number, $0) })
        }
        let told = outcomes.waitFor(6)
        let codes = told.map { ($0.error as? StoreError)?.code }
        #expect(codes == [nil, nil, .offsetConflict, .chainBroken, .chainBroken, .chainBroken])
        #expect(chain.isBroken)
        #expect(try store.read { try $0.nextOffset(topic: "t", partition: 0) } == 20)
        // A new chain goes on where the store stands.
        store.submit(
            byteCount: 1, chain: WriteChain(),
            { try $0.advanceOffset(topic: "t", partition: 0, expected: 20, next: 25) },
            completion: { outcomes.note(6, $0) })
        #expect(outcomes.waitFor(7)[6].error == nil)
        await store.close(now: StoreFixture.start)
    }

    @Test func `several waiting jobs share one transaction and are told after it`() async throws {
        let fixture = StoreFixture()
        let metrics = MetricsRegistry()
        let store = try SQLiteStore(
            StoreOptions(location: fixture.location, limits: .standard, now: StoreFixture.start, metrics: metrics),
            holder: .current(startedAt: StoreFixture.start, socketPath: ""))
        let outcomes = Outcomes()
        let gate = DispatchSemaphore(value: 0)
        store.submit(byteCount: 1, chain: nil, { _ in gate.wait() }, completion: { outcomes.note(0, $0) })
        for number in 1...40 {
            store.submit(
                byteCount: 1, chain: nil, { try $0.setMeta("k\(number)", [1]) },
                completion: { result in
                    // Durable before it is told: another connection sees it.
                    let isVisible = (try? store.read { try $0.meta("k\(number)") }) == [1]
                    outcomes.note(isVisible ? number : -number, result)
                })
        }
        gate.signal()
        #expect(outcomes.waitFor(41).map(\.number) == Array(0...40))
        let groups = metrics.counter("alert_router_store_groups_total", "").current
        #expect(groups < 41, "41 jobs took \(groups) transactions")
        await store.close(now: StoreFixture.start)
    }

    @Test func `a full queue refuses jobs and breaks their chain`() async throws {
        let fixture = StoreFixture()
        fixture.limits.queuedJobsMax = 3
        let store = try fixture.open()
        let outcomes = Outcomes()
        let (running, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        store.submit(
            byteCount: 1, chain: nil,
            { _ in
                running.signal()
                gate.wait()
            }, completion: { outcomes.note(0, $0) })
        running.wait()
        let chain = WriteChain()
        for number in 1...4 {
            store.submit(byteCount: 1, chain: chain, { _ in }, completion: { outcomes.note(number, $0) })
        }
        #expect(outcomes.waitFor(1).map(\.number) == [4])
        #expect(chain.isBroken)
        gate.signal()
        let told = outcomes.waitFor(5)
        #expect((told[0].error as? StoreError)?.code == .queueFull)
        #expect(told.dropFirst(2).allSatisfy { ($0.error as? StoreError)?.code == .chainBroken })
        await store.close(now: StoreFixture.start)
    }

    @Test func `a closed store refuses and says so`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        await store.close(now: StoreFixture.start)
        await store.close(now: StoreFixture.start)
        #expect(await code { try await store.write(byteCount: 1) { try $0.setMeta("a", [1]) } } == .closed)
        #expect(code { try store.read { try $0.offsets() } } == .closed)
    }

    @Test func `an offset moves only from the value that was expected`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        func move(_ expected: Int64?, _ next: Int64) async -> StoreError.Code? {
            await code {
                try await store.write(byteCount: 1) {
                    try $0.advanceOffset(topic: "t", partition: 3, expected: expected, next: next)
                }
            }
        }
        #expect(await move(5, 9) == .offsetConflict)
        #expect(await move(nil, 9) == nil)
        #expect(await move(nil, 12) == .offsetConflict)
        #expect(await move(8, 12) == .offsetConflict)
        #expect(await move(9, 8) == .offsetConflict)
        #expect(await move(9, 4000) == nil)
        #expect(try store.read { try $0.offsets() } == [OffsetRecord(topic: "t", partition: 3, nextOffset: 4000)])
        await store.close(now: StoreFixture.start)
    }
}
