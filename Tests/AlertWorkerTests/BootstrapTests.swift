import Alerting
import Core
import RouterTesting
import Spine
import Store
import Testing

@Suite struct BootstrapTests {
    @Test func `what fires while bootstrapping is told once as already open, and its end is not told`() async throws {
        let world = try World(AnnouncingTests.high, batchMax: 1)
        world.x("a", 65, at: 1)
        world.x("b", 65, at: 2)
        world.x("c", 65, at: 3)
        world.x("c", 10, at: 4)
        try await world.session { session in
            try await session.settle()
            let told = try session.outbox()
            #expect(told.filter { $0.row.state == .suppressed }.allSatisfy { $0.row.reason == "bootstrap" })
            #expect(told.count { $0.row.state == .suppressed } == 3)
            let summary = told.last.map { [$0.description] }
            #expect(summary == ["team: already_open high/id=a/firing/warning, high/id=b/firing/warning"])
            #expect(told.count == 4, "\(told)")
            world.x("a", 10, at: 5)
            // A raise is news: it is told, and so is the end then.
            world.x("b", 90, at: 6)
            world.x("b", 10, at: 7)
            try await session.settle()
            #expect(
                try session.outbox().dropFirst(told.count).map(\.description) == [
                    "team: severity_raised high/id=b/firing/critical", "team: all_resolved high/id=b/resolved/critical",
                ])
        }
    }

    @Test func `what was already open and falls says nothing, and back at what was told neither`()
        async throws
    {
        for batchMax in [1, 100] {
            let world = try World(AnnouncingTests.high, batchMax: batchMax)
            world.x("a", 90, at: 1)
            world.x("b", 90, at: 1)
            try await world.session { session in
                try await session.settle()
                let count = try session.outbox().count
                world.x("a", 65, at: 2)
                world.x("b", 65, at: 2)
                try await session.settle()
                world.x("a", 90, at: 3)
                world.x("b", 10, at: 3)
                try await session.settle()
                world.x("a", 10, at: 4)
                try await session.settle()
                #expect(try session.outbox().dropFirst(count).map(\.description) == [], "batches of \(batchMax)")
                #expect(try session.openAlerts().isEmpty)
            }
        }
    }

    @Test func `a timer that rows of the bootstrap have passed fires while bootstrapping`() async throws {
        let world = try World("table: t\nowner: o\nrules:\n  - {name: r, when: after.x > 60, for: 2m}\n")
        world.x("a", 65, at: 1)
        world.x("b", 1, at: 600)
        try await world.session { session in
            try await session.settle()
            let told = try session.outbox()
            #expect(told.map(\.notification.reason) == [.first, .alreadyOpen])
            #expect(told.map(\.row.state) == [.suppressed, .waiting])
        }
    }

    @Test func `a restart in the middle of bootstrapping goes on bootstrapping and tells one summary`() async throws {
        let world = try World(AnnouncingTests.high, batchMax: 1)
        for index in 0..<6 { world.x("k\(index)", 65, at: Int64(index)) }
        do {
            try await world.session { session in
                session.store.fail(unit: 3, .before(.corrupt))
                try await session.settle()
            }
            Issue.record("the store did not fail")
        } catch {}
        try await world.live()
        let told = try await world.read { try Told.all($0) }
        #expect(told.count { $0.row.state == .suppressed } == 6)
        let waiting = told.filter { $0.row.state == .waiting }
        #expect(waiting.map(\.notification.reason) == [.alreadyOpen])
        #expect(waiting.first?.notification.items.count == 6)
    }

    @Test func `a restored store bootstraps again, and the end of what was told before is still told`() async throws {
        let world = try World(AnnouncingTests.high, batchMax: 1)
        try await world.session { session in
            try await session.settle()
            world.x("old", 65, at: 1)
            try await session.settle()
        }
        let store = try world.open()
        try await store.write(byteCount: 10) { try $0.setMeta(StoreMetaKey.restoredAt, Array("1".utf8)) }
        await store.close(now: world.clock.now())
        world.x("new", 65, at: 2)
        world.x("old", 10, at: 3)
        try await world.session { session in
            try await session.settle()
            #expect(
                try session.outbox().map(\.description) == [
                    "team: first high/id=old/firing/warning",
                    "team: new_firing high/id=new/firing/warning [suppressed bootstrap]",
                    "team: some_resolved high/id=old/resolved/warning", "team: already_open high/id=new/firing/warning",
                ])
            #expect(try session.store.read { try $0.meta(StoreMetaKey.restoredAt) } == nil)
            world.x("later", 65, at: 4)
            try await session.settle()
            #expect(try session.outbox().last?.row.state == .waiting)
        }
    }
}
