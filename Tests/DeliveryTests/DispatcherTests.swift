import Core
import Logging
import Store
import Testing

@testable import Delivery

// Goal: the rim loses nothing at start, stop, reload and when the store fails. Method: the dispatcher runs on a store
// in memory, with a clock and answers that the test moves; no test waits for time.

@Suite(.timeLimit(.minutes(1))) struct DispatcherTests {
    let clock = TestClock(1_000_000)
    let store = MemoryStore(run: 1)

    func dispatcher(_ destinations: [any Destination]) -> Dispatcher {
        Dispatcher(
            store: store, destinations: destinations, clock: clock, seed: 1, metrics: MetricsRegistry(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onFact: { _ in })
    }

    @discardableResult
    func add(_ lane: String, _ payload: String = "a=fire", receiver: String = "ops") throws -> Int64 {
        try store.sync {
            try $0.insertOutbox(makeRow(receiver, lane: lane, payload: payload, at: clock.now()))
        }
    }

    @Test func `a wake claims at once and the next row does not wait for the clock`() async throws {
        let destination = FakeDestination("ops", policy: .standard, joins: false)
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        try add("a")
        dispatcher.wake()
        await destination.waitForSends(1)
        try add("b")
        dispatcher.wake()
        destination.answer(.accepted(providerId: nil))
        await destination.waitForSends(2)
        destination.answer(.accepted(providerId: nil))
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(store.state.rows.values.allSatisfy { $0.state == .sent })
        #expect(!dispatcher.isDelivering)
    }

    @Test func `rows taken ahead go out on one connection without waiting, and are given back at a drain`() async throws
    {
        var policy = DestinationPolicy.standard
        policy.claimBatch = 8
        let destination = FakeDestination("ops", policy: policy, joins: false)
        for index in 0..<10 { try add("l\(index)") }
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        for index in 1...3 {
            await destination.waitForSends(index)
            destination.answer(.accepted(providerId: nil))
        }
        await destination.waitForSends(4)
        #expect(destination.pendingRows.count == 1, "one attempt at a time")
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await dispatcher.drain(within: .seconds(5)) }
            group.addTask {
                // Until the drain has begun another row may follow an answer.
                while !Task.isCancelled {
                    if !destination.pendingRows.isEmpty { destination.answer(.accepted(providerId: nil)) }
                    await Task.yield()
                }
            }
            await group.next()
            group.cancelAll()
        }
        await running
        let rows = store.state.rows.values
        #expect(rows.count { $0.state == .leased } == 0)
        #expect(rows.count { $0.state == .sent } >= 4)
        #expect(rows.allSatisfy { $0.ambiguousCount == 0 })
        #expect(rows.count { $0.state == .waiting && $0.attemptCount == 0 } == rows.count { $0.state == .waiting })
    }

    @Test func `a drain breaks off what does not answer by its deadline`() async throws {
        let destination = FakeDestination("ops", policy: .standard, joins: false)
        let id = try add("a")
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        await destination.waitForSends(1)
        async let drained: Void = dispatcher.drain(within: .seconds(3))
        while clock.firstDeadline != clock.now().adding(milliseconds: 3000) { await Task.yield() }
        clock.advance(milliseconds: 3000)
        await drained
        await running
        let row = try #require(store.state.rows[id])
        #expect(row.state == .waiting && row.ambiguousCount == 1)
    }

    @Test func `cancellation ends it without waiting for time`() async throws {
        let destination = FakeDestination("ops", policy: .standard, joins: false)
        try add("a")
        let dispatcher = dispatcher([destination])
        let task = Task { await dispatcher.run() }
        await destination.waitForSends(1)
        task.cancel()
        await task.value
        #expect(store.state.rows.values.allSatisfy { $0.state == .waiting })
        await dispatcher.drain(within: .seconds(1))
    }

    @Test func `while the store fails nothing is claimed and no outcome is lost`() async throws {
        let destination = FakeDestination("ops", policy: .standard, joins: false)
        let first = try add("a")
        let second = try add("b")
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        await destination.waitForSends(1)
        store.fail(with: StoreError(.diskFull, "the disk is full", systemCode: nil))
        destination.answer(.accepted(providerId: nil))
        while clock.firstDeadline != clock.now().adding(milliseconds: 1000) { await Task.yield() }
        #expect(!dispatcher.isDelivering)
        #expect(destination.bodies.count == 1)
        store.fail(with: nil)
        clock.advance(milliseconds: 1000)
        await destination.waitForSends(2)
        destination.answer(.accepted(providerId: nil))
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(store.state.rows[first]?.state == .sent && store.state.rows[second]?.state == .sent)
        #expect(store.state.attempts.count == 2)
    }

    @Test func `new destinations take over at the next pass and rows of removed ones die`() async throws {
        let old = FakeDestination("ops", policy: .standard, joins: false)
        let new = FakeDestination("quality", policy: .standard, joins: false)
        let dispatcher = dispatcher([old])
        async let running: Void = dispatcher.run()
        let first = try add("a")
        dispatcher.wake()
        await old.waitForSends(1)
        let orphan = try add("b")
        let kept = try add("c", receiver: "quality")
        await dispatcher.replace(destinations: [new])
        await new.waitForSends(1)
        new.answer(.accepted(providerId: nil))
        old.answer(.accepted(providerId: nil))
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(store.state.rows[first]?.state == .sent, "what was in flight is recorded")
        #expect(store.state.rows[orphan]?.state == .dead)
        #expect(store.state.rows[kept]?.state == .sent)
    }

    @Test func `a retry comes with the clock`() async throws {
        let destination = FakeDestination("ops", policy: .test { $0.retryBase = .seconds(60) }, joins: false)
        let id = try add("a")
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        await destination.waitForSends(1)
        destination.answer(.retryable(after: nil, reason: "503"))
        while store.state.rows[id]?.attemptCount != 1 { await Task.yield() }
        let due = try #require(store.state.rows[id]).notBefore
        while due > clock.now() {
            if let next = clock.firstDeadline { clock.advance(to: next) }
            await Task.yield()
        }
        await destination.waitForSends(2)
        destination.answer(.accepted(providerId: nil))
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(destination.bodies[0] == destination.bodies[1], "the body is laid out once")
    }

    @Test func `an undrained dispatcher that never ran drains at once`() async {
        await dispatcher([]).drain(within: .seconds(5))
    }
}
