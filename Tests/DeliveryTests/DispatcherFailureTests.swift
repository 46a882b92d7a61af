import Core
import Logging
import Store
import Synchronization
import Testing

@testable import Delivery

// Goal: what goes wrong is told, is tried again, and stays where it is. Method: the dispatcher runs on a store in
// memory that a test makes fail, or with a destination that decides nonsense.

@Suite(.timeLimit(.minutes(1))) struct DispatcherFailureTests {
    private final class Flag: Sendable {
        private let state = Mutex(false)
        var isOver: Bool { state.withLock { $0 } }
        func end() { state.withLock { $0 = true } }
    }

    let clock = TestClock(1_000_000)
    let store = MemoryStore(run: 1)
    let registry = MetricsRegistry()
    let facts = Facts()

    /// What the operator was told.
    final class Facts: Sendable {
        private let state = Mutex<[DeliveryFact]>([])
        var all: [DeliveryFact] { state.withLock { $0 } }
        func add(_ fact: DeliveryFact) { state.withLock { $0.append(fact) } }
    }

    func dispatcher(_ destinations: [any Destination]) -> Dispatcher {
        let facts = facts
        return Dispatcher(
            store: store, destinations: destinations, clock: clock, seed: 1, metrics: registry,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), onFact: { facts.add($0) })
    }

    @discardableResult
    func add(_ lane: String, receiver: String = "ops") throws -> Int64 {
        try store.sync { try $0.insertOutbox(makeRow(receiver, lane: lane, payload: "a=fire", at: clock.now())) }
    }

    /// Lets time pass, sleeper by sleeper, until something holds.
    func advance(until isReached: () -> Bool) async {
        while !isReached() {
            if let next = clock.firstDeadline { clock.advance(to: next) }
            await Task.yield()
        }
    }

    func breakerGauge(_ receiver: String) -> Int? {
        let prefix = "alert_router_delivery_breaker_open{receiver=\"\(receiver)\"} "
        return registry.prometheusText().split(separator: "\n").first { $0.hasPrefix(prefix) }
            .flatMap { Int($0.dropFirst(prefix.count)) }
    }

    @Test func `a store that fails at the start is reported once, tried again, and nothing is lost`() async throws {
        let destination = FakeDestination("ops", policy: .standard, joins: false)
        let id = try add("a")
        store.fail(with: StoreError(.diskFull, "the disk is full", systemCode: nil))
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        while clock.firstDeadline != clock.now().adding(milliseconds: 1000) { await Task.yield() }
        guard facts.all.count == 1, case .storeFailed(let reason) = facts.all[0] else {
            Issue.record("\(facts.all)")
            return await dispatcher.drain(within: .zero)
        }
        #expect(reason.contains("the disk is full"))
        #expect(!dispatcher.isDelivering)
        clock.advance(milliseconds: 1000)
        while clock.firstDeadline != clock.now().adding(milliseconds: 1000) { await Task.yield() }
        #expect(facts.all.count == 1, "the second failure is no news")
        store.fail(with: nil)
        clock.advance(milliseconds: 1000)
        await destination.waitForSends(1)
        #expect(facts.all.count == 2 && facts.all.last == .storeRecovered)
        destination.answer(.accepted(providerId: nil))
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(store.state.rows[id]?.state == .sent)
    }

    @Test func `a store that fails while delivering is reported and taken back`() async throws {
        let destination = FakeDestination("ops", policy: .standard, joins: false)
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        for round in 1...2 {
            try add("a")
            dispatcher.wake()
            await destination.waitForSends(round)
            store.fail(with: StoreError(.inputOutput, "the disk failed", systemCode: nil))
            destination.answer(.accepted(providerId: nil))
            while facts.all.count != round * 2 - 1 { await Task.yield() }
            store.fail(with: nil)
            await advance { facts.all.count == round * 2 }
            #expect(facts.all.last == .storeRecovered)
        }
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(store.state.rows.values.allSatisfy { $0.state == .sent })
    }

    @Test func `rows of one receiver that cannot be handled stop nobody else's`() async throws {
        let bad = FakeDestination("bad", policy: .standard, joins: false)
        let good = FakeDestination("good", policy: .standard, joins: false)
        // The same row twice: the second time it does not wait any more.
        bad.coalesce { rows in
            Coalescing(
                sendId: rows.last?.id, payload: nil,
                superseded: rows.dropLast().flatMap { row in
                    Array(repeating: Coalescing.Superseded(id: row.id, reason: .newer), count: 2)
                })
        }
        let ids = try [add("b", receiver: "bad"), add("b", receiver: "bad")]
        let other = try add("g", receiver: "good")
        let dispatcher = dispatcher([bad, good])
        async let running: Void = dispatcher.run()
        await good.waitForSends(1)
        good.answer(.accepted(providerId: nil))
        while store.state.rows[other]?.state != .sent { await Task.yield() }
        #expect(ids.allSatisfy { store.state.rows[$0]?.state == .waiting }, "half of a claim is none")
        // What the operator hears comes after the commit.
        while facts.all.isEmpty { await Task.yield() }
        guard case .receiverFailed("bad", _) = facts.all.first else {
            Issue.record("\(facts.all)")
            return
        }
        try add("g", receiver: "good")
        dispatcher.wake()
        await good.waitForSends(2)
        good.answer(.accepted(providerId: nil))
        #expect(facts.all.count == 1, "told once")
        bad.coalesce(with: nil)
        await advance { !bad.pendingRows.isEmpty }
        // The send starts before the operator hears of the recovery.
        while facts.all.count < 2 { await Task.yield() }
        #expect(facts.all.last == .receiverRecovered(receiver: "bad"))
        while bad.bodies.count < 2 || !bad.pendingRows.isEmpty {
            bad.answer(.accepted(providerId: nil))
            await Task.yield()
        }
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(store.state.rows.values.allSatisfy { $0.state == .sent })
    }

    @Test func `an end that cannot be recorded is kept and recorded later; others are at once`() async throws {
        let destination = FakeDestination(
            "ops", policy: .test { ($0.concurrency, $0.claimBatch) = (2, 2) }, joins: false)
        let ids = try [add("a"), add("b")]
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        await destination.waitForSends(2)
        let poisoned = try #require(destination.pendingRows.first?.id)
        store.refuse(settling: poisoned)
        destination.answer(.accepted(providerId: "first"))
        destination.answer(.accepted(providerId: "second"))
        let other = try #require(ids.first { $0 != poisoned })
        while store.state.rows[other]?.state != .sent { await Task.yield() }
        #expect(store.state.rows[poisoned]?.state == .leased)
        while facts.all.isEmpty { await Task.yield() }
        #expect(facts.all.count == 1)
        store.refuse(settling: nil)
        await advance { store.state.rows[poisoned]?.state == .sent }
        #expect(store.state.rows[poisoned]?.providerId == "first" && store.state.attempts.count == 2)
        await dispatcher.drain(within: .seconds(5))
        await running
    }

    @Test func `a drain ends though an end cannot be recorded`() async throws {
        let destination = FakeDestination("ops", policy: .standard, joins: false)
        let id = try add("a")
        let dispatcher = dispatcher([destination])
        async let running: Void = dispatcher.run()
        await destination.waitForSends(1)
        store.refuse(settling: id)
        destination.answer(.accepted(providerId: nil))
        while facts.all.isEmpty { await Task.yield() }
        async let drained: Void = dispatcher.drain(within: .seconds(3))
        while clock.now() < Timestamp(milliseconds: 1_003_000) {
            if let next = clock.firstDeadline { clock.advance(to: next) }
            await Task.yield()
        }
        await drained
        await running
        #expect(store.state.rows[id]?.state == .leased, "the next run sends it again as ambiguous")
    }

    @Test func `the gauge shows every breaker from the start, and a reload ends what was told of it`() async throws {
        let policy = DestinationPolicy.test { $0.breaker.failureCountMax = 1 }
        let kept = FakeDestination("kept", policy: policy, joins: false)
        let removed = FakeDestination("removed", policy: policy, joins: false)
        let dispatcher = dispatcher([kept, removed])
        async let running: Void = dispatcher.run()
        while !dispatcher.isDelivering { await Task.yield() }
        #expect(breakerGauge("kept") == 0 && breakerGauge("removed") == 0)
        try add("k", receiver: "kept")
        try add("r", receiver: "removed")
        dispatcher.wake()
        await kept.waitForSends(1)
        await removed.waitForSends(1)
        kept.answer(.retryable(after: nil, reason: "503"))
        removed.answer(.unauthorized(reason: "401"))
        while facts.all.count < 2 { await Task.yield() }
        #expect(breakerGauge("kept") == 1 && breakerGauge("removed") == 1 && !dispatcher.isDelivering)
        let again = FakeDestination("kept", policy: policy, joins: false)
        let new = FakeDestination("new", policy: policy, joins: false)
        await dispatcher.add(destinations: [again, new])
        #expect(breakerGauge("kept") == 1, "what is there stays as it is")
        #expect(breakerGauge("new") == 0 && facts.all.count == 2)
        await dispatcher.replace(destinations: [again, new])
        #expect(breakerGauge("kept") == 0 && breakerGauge("removed") == 0 && dispatcher.isDelivering)
        #expect(
            facts.all.dropFirst(2).prefix(2) == [
                .breakerClosed(receiver: "kept", channel: "fake"), .breakerClosed(receiver: "removed", channel: "fake"),
            ])
        await again.waitForSends(1)
        again.answer(.accepted(providerId: nil))
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(breakerGauge("kept") == 0)
    }

    @Test func `a receiver is added when no pass under way can take its rows for those of a removed one`() async throws
    {
        let new = FakeDestination("new", policy: .standard, joins: false)
        let dispatcher = dispatcher([FakeDestination("ops", policy: .standard, joins: false)])
        async let running: Void = dispatcher.run()
        while !dispatcher.isDelivering { await Task.yield() }
        // A pass with the old receivers, and a search for removed ones in it, has not reached the store yet.
        clock.advance(milliseconds: DispatchMachine.orphanSearchMilliseconds)
        store.hold()
        dispatcher.wake()
        while store.heldCount == 0 { await Task.yield() }
        let adding = Flag()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await dispatcher.add(destinations: [new])
                adding.end()
            }
            for _ in 0..<1000 { await Task.yield() }
            #expect(!adding.isOver)
            store.letGo()
            try await group.waitForAll()
        }
        let id = try add("n", receiver: "new")
        clock.advance(milliseconds: DispatchMachine.orphanSearchMilliseconds)
        dispatcher.wake()
        await new.waitForSends(1)
        new.answer(.accepted(providerId: nil))
        await dispatcher.replace(destinations: [new])
        await dispatcher.drain(within: .seconds(5))
        await running
        #expect(store.state.rows[id]?.state == .sent)
    }

    @Test func `a change of destinations waits for the store, and a stop ends the wait`() async throws {
        let dispatcher = dispatcher([FakeDestination("ops", policy: .standard, joins: false)])
        async let running: Void = dispatcher.run()
        while !dispatcher.isDelivering { await Task.yield() }
        store.fail(with: StoreError(.diskFull, "the disk is full", systemCode: nil))
        async let added: Void = dispatcher.add(destinations: [])
        while facts.all.isEmpty { await Task.yield() }
        let draining = Flag()
        async let drained: Void = {
            await dispatcher.drain(within: .zero)
            draining.end()
        }()
        await advance { draining.isOver }
        await drained
        #expect(!dispatcher.isDelivering && facts.all.count == 1)
        await added
        await running
        await dispatcher.replace(destinations: [])
    }
}
