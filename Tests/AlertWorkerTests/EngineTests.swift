import AlertWorker
import Alerting
import ChangeEvents
import Core
import RouterTesting
import Spine
import Store
import Testing

@Suite struct EngineTests {
    private static let rules = "table: t\nowner: o\nrules:\n  - {name: r, when: after.x > 60}\n"

    private func world() throws -> World {
        try World(EngineTests.rules, clock: .wall, receivers: World.directory { _ in })
    }

    @Test func `a group waits by the wall clock, also over a restart, and its timer wakes the worker`() async throws {
        let world = try world()
        try await world.session { session in
            try await session.settle()
            world.x("a", 70, at: 0)
            try await session.settle()
            try await session.advance(20)
            world.x("b", 70, at: 20)
            try await session.settle()
            #expect(try session.outbox().isEmpty)
        }
        try await world.session { session in
            try await session.settle()
            #expect(try session.outbox().isEmpty)
            try await session.advance(15)
            #expect(
                try session.outbox().map(\.description) == ["team: first r/id=a/firing/warning, r/id=b/firing/warning"])
            world.x("a", 1, at: 36)
            try await session.settle()
        }
        try await world.session { session in
            try await session.settle()
            try await session.advance(400)
            #expect(try session.outbox().last?.description == "team: some_resolved r/id=a/resolved/warning")
            #expect(try session.outbox().count == 2)
            let why = try session.store.read {
                try $0.decisions(
                    fingerprint: Fingerprint(rule: "r", keyColumns: ["id"], keyTexts: ["a"]).bytes, countMax: 10)
            }
            #expect(why.map(\.decision) == ["some_resolved", "first"])
            #expect(why.allSatisfy { $0.receiver == "team" && $0.path == ["default_receiver"] })
        }
    }

    @Test func `silences and acknowledgements are commands with an audit record, and outlive a restart`() async throws {
        let world = try world()
        let fingerprint = Fingerprint(rule: "r", keyColumns: ["id"], keyTexts: ["a"])
        try await world.session { session in
            try await session.settle()
            let now = world.clock.now()
            let silence = Silence(
                id: "11", expression: .labels([LabelMatcher("id", equals: "b")]), startsAt: now,
                endsAt: now.adding(.seconds(600)), author: "ann", comment: "maintenance", untilResolved: false,
                source: .cli, createdAt: now, updatedAt: now)
            let reply = try await session.worker.perform(.putSilence(silence, by: "ann", from: "cli"))
            #expect(reply == .silence(id: "11"))
            world.x("a", 70, at: 0)
            world.x("b", 70, at: 0)
            try await session.settle()
            try await session.advance(31)
            let done = try await session.worker.perform(
                .acknowledge(fingerprint: fingerprint, by: "bob", comment: "on it", until: nil, from: "127.0.0.1"))
            #expect(done == .done("acknowledge"))
            let refused = try await session.worker.perform(.expireSilence(id: "12", by: "ann", from: "cli"))
            #expect(refused == .refused("there is no silence 12"))
        }
        try await world.session { session in
            try await session.settle()
            try await session.advance(700)
            #expect(
                try session.outbox().map(\.description) == [
                    "team: first r/id=a/firing/warning", "team: silence_ended r/id=b/firing/warning",
                ])
            try await session.advance(5 * 3600)
            #expect(try session.outbox().last?.description == "team: repeat r/id=b/firing/warning")
            let audit = try session.store.read { try $0.audit(subject: nil, beforeId: nil, countMax: 10) }
            #expect(audit.map(\.action) == ["acknowledge", "put-silence"])
            #expect(audit.map(\.actor) == ["bob", "ann"])
            #expect(audit.map(\.origin) == ["127.0.0.1", "cli"])
        }
    }

    @Test func `a pushed alert fires, lasts while it is pushed, ends in time, and not at once after a start`()
        async throws
    {
        let world = try world()
        let alert = PushedAlert(
            labels: ["alertname": "Down", "severity": "critical"], annotations: ["summary": "It is down"],
            startsAt: nil, endsAt: nil, generatorURL: nil)
        try await world.session { session in
            try await session.settle()
            _ = try await session.worker.perform(.push([alert], by: "prometheus", from: "127.0.0.1"))
            try await session.advance(200)
            _ = try await session.worker.perform(.push([alert], by: "prometheus", from: "127.0.0.1"))
            try await session.advance(200)
            #expect(try session.outbox().map(\.notification.reason) == [.first])
            #expect(try session.outbox().first?.notification.items.first?.title == "It is down")
        }
        world.clock.advance(by: .seconds(3600))
        try await world.session { session in
            try await session.settle()
            try await session.advance(290)
            #expect(try session.openAlerts().count == 1)
            try await session.advance(20)
            #expect(try session.openAlerts().isEmpty)
            try await session.advance(31)
            #expect(try session.outbox().map(\.notification.reason) == [.first, .allResolved])
        }
    }
}
