import AlertWorker
import Core
import RouterTesting
import Spine
import Store
import Testing

@Suite struct StartAndFailureTests {
    @Test func `the time asked for at a first start is the configured one`() async throws {
        let world = try World(AnnouncingTests.high)
        world.x("a", 65, at: 1)
        world.x("b", 65, at: 100)
        world.position = .timestamp(second(50))
        try await world.live()
        #expect(world.source.timestampRequests == [second(50)])
        #expect(world.source.assignments.first == [p0: 1])
        try await world.live()
        #expect(world.source.timestampRequests.count == 1)
    }

    @Test func `a new store beside committed offsets, or without a start, is refused`() async throws {
        let world = try World(AnnouncingTests.high)
        world.position = nil
        await #expect(throws: StartRefusal.self) { try await world.live() }
        world.position = .earliest
        world.source.committed = [p0: 3]
        await #expect(throws: StartRefusal.self) { try await world.live() }
    }

    @Test func `a command that the store refuses fails alone and the worker goes on`() async throws {
        let world = try World(AnnouncingTests.high)
        try await world.session { session in
            try await session.settle()
            var letter = DeadLetterRecord(kind: .delivery, createdAt: second(0), reason: "gone")
            letter.id = 77
            letter.outboxId = 78
            await #expect(throws: StoreError.self) {
                try await session.worker.perform(.requeueDelivery(letter: letter, by: "test"))
            }
            world.x("a", 65, at: 1)
            try await session.settle()
            #expect(try session.openAlerts().count == 1)
        }
    }

    @Test func `a full disk acknowledges nothing, and a stop ends the wait for it`() async throws {
        let world = try World(AnnouncingTests.high, batchMax: 1)
        try await world.session { session in
            try await session.settle()
            let before = world.source.committed
            session.store.failProbes(1000)
            session.store.fail(unit: 1, .before(.diskFull))
            world.x("a", 65, at: 1)
            while session.store.probeCount == 0 { await Task.yield() }
            #expect(world.source.committed == before)
            session.worker.stop()
        }
        try await world.live()
        #expect(try await world.read { try $0.openAlertCount() } == 1)
    }

    @Test func `a damaged store ends the worker with an error`() async throws {
        let world = try World(AnnouncingTests.high)
        await #expect(throws: WorkerError.self) {
            try await world.session { session in
                try await session.settle()
                session.store.fail(unit: 1, .before(.corrupt))
                world.x("a", 65, at: 1)
                try await session.settle()
            }
        }
    }
}
