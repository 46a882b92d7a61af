import AlertWorker
import Alerting
import Core
import RouterTesting
import Spine
import Store
import Testing

@Suite struct AnnouncingTests {
    static let high = """
        table: t
        owner: o
        rules:
          - name: high
            severity:
              critical: {when: after.x > 80, reset: after.x < 70}
              warning: {when: after.x > 60, reset: after.x < 50}
        """

    @Test func `notify beats the default receiver, and facts about the router go to the operator`() async throws {
        let world = try World(
            """
            table: t
            owner: o
            rules:
              - {name: named, when: after.x > 60, notify: [line]}
              - {name: unnamed, when: after.x > 70}
            """)
        try await world.session { session in
            try await session.settle()
            world.x("a", 75, at: 1)
            try await session.settle()
            session.worker.report(HealthFact(component: "receiver", subject: "team", isHealthy: false, detail: "down"))
            try await session.settle()
            let told = try session.outbox().map(\.description)
            #expect(
                told == [
                    "line: first named/id=a/firing/warning", "team: first unnamed/id=a/firing/warning",
                    "ops: first router-health/component=receiver, subject=team/firing/error",
                ])
        }
    }

    @Test
    func `a recipient comes from the row, and one of a refused domain is replaced by the fallback and reported once`()
        async throws
    {
        let rules = """
            table: t
            owner: o
            rules:
              - {name: low, when: after.x < 10, notify: [mail], recipient: after.mail}
            """
        let world = try World(rules)
        try await world.session { session in
            try await session.settle()
            // Read as one batch, so that what the fallback hears is one message.
            world.source.hold(after: 0)
            world.row("a", at: 1, ["x": .double(1), "mail": .string("ann@x.example")])
            world.row("b", at: 2, ["x": .double(1), "mail": .string("bob@evil.example")])
            world.row("c", at: 3, ["x": .double(1), "mail": .string("<script>@x.example")])
            world.row("d", at: 4, ["x": .double(1)])
            world.source.hold(after: nil)
            try await session.settle()
            let recipients = try session.outbox().filter { $0.row.receiver == "mail" }.map(\.row.recipient)
            #expect(recipients == ["ann@x.example", "desk@x.example"])
            let open = try session.openAlerts("router-health")
            #expect(open.count == 1)
            let ops = try session.outbox().filter { $0.row.receiver == "ops" }
            #expect(
                ops.map(\.description) == ["ops: first router-health/component=recipient, subject=low/firing/error"])
            // More of the same says nothing new; a good reload resolves it, and what is still wrong says so again.
            world.row("e", at: 5, ["x": .double(1)])
            try await session.settle()
            #expect(try session.outbox().count { $0.row.receiver == "ops" } == 1)
            _ = try await session.reload(rules)
            try await session.settle()
            #expect(try session.openAlerts("router-health").isEmpty)
            world.row("f", at: 6, ["x": .double(1)])
            try await session.settle()
            #expect(
                try session.outbox().filter { $0.row.receiver == "ops" }.map(\.notification.reason) == [
                    .first, .allResolved, .first,
                ])
        }
    }

    @Test func `a rule that errors is one alert to the operator, also after a restart, and a reload resolves it`()
        async throws
    {
        let rules = "table: t\nowner: o\nrules:\n  - {name: r, when: after.x > 60}\n"
        let world = try World(rules)
        try await world.session { session in
            try await session.settle()
            for time in 1...50 { world.row("a\(time)", at: Int64(time), ["x": .null]) }
            try await session.settle()
            #expect(
                try session.outbox().map(\.description) == [
                    "ops: first router-health/component=rule, subject=r/firing/error"
                ])
        }
        try await world.session { session in
            for time in 51...60 { world.row("a\(time)", at: Int64(time), ["x": .null]) }
            try await session.settle()
            #expect(try session.outbox().count == 1)
            let errors = try session.store.read { try $0.evaluationErrors(rule: "r", countMax: 10) }
            #expect(errors.map(\.count) == [60])
            let letters = try session.store.read {
                try $0.deadLetters(
                    DeadLetterQuery(
                        kind: .evaluation, state: .open, receiver: nil, rule: "r", beforeId: nil, countMax: 100))
            }
            #expect(letters.count == 1)
            _ = try await session.reload(rules)
            try await session.settle()
            #expect(try session.openAlerts().isEmpty)
            #expect(try session.outbox().map(\.notification.reason) == [.first, .allResolved])
        }
    }

    @Test func `raised and lowered levels are told, each under a key of its own, and the end is told too`() async throws
    {
        let world = try World(AnnouncingTests.high)
        try await world.session { session in
            try await session.settle()
            for (index, value) in [65.0, 85, 65, 85, 65, 40].enumerated() {
                world.x("a", value, at: Int64(index))
                try await session.settle()
            }
            let told = try session.outbox()
            #expect(
                told.map(\.notification.reason) == [
                    .first, .severityRaised, .severityLowered, .severityRaised, .severityLowered, .allResolved,
                ])
            #expect(Set(told.map(\.row.idempotencyKey)).count == 6)
            #expect(Set(told.map(\.row.lane)).count == 1)
        }
    }

    @Test func `keys and lanes are the same when the same rows are decided again after a crash`() async throws {
        func rows(_ fault: FaultyStore.Fault?) async throws -> [String] {
            let world = try World(AnnouncingTests.high, batchMax: 1)
            let failing: @Sendable (Session) async throws -> Void = { session in
                try await session.settle()
                if let fault { session.store.fail(unit: 1, fault) }
                world.x("a", 65, at: 1)
                world.x("a", 90, at: 2)
                try await session.settle()
            }
            do { try await world.session(failing) } catch { try await world.live() }
            return try await world.read { try Told.all($0) }.map { "\($0.row.lane) \($0.row.idempotencyKey)" }
        }
        let undisturbed = try await rows(nil)
        #expect(undisturbed.count == 2)
        #expect(try await rows(.before(.corrupt)) == undisturbed)
        #expect(try await rows(.after(.corrupt)) == undisturbed)
    }

    @Test func `a resolve goes to whoever was told, also after notify was edited and the worker restarted`()
        async throws
    {
        @Sendable func rules(_ receiver: String) -> String {
            "table: t\nowner: o\nrules:\n  - {name: r, when: after.x > 60, notify: [\(receiver)]}\n"
        }
        let world = try World(rules("line"))
        try await world.session { session in
            try await session.settle()
            world.x("a", 70, at: 1)
            try await session.settle()
            _ = try await session.reload(rules("team"))
        }
        try await world.session { session in
            world.x("a", 10, at: 2)
            try await session.settle()
            #expect(
                try session.outbox().map(\.description) == [
                    "line: first r/id=a/firing/warning", "line: all_resolved r/id=a/resolved/warning",
                ])
        }
    }

    @Test func `more alerts than a notification holds are counted, and each is told of its end`() async throws {
        let world = try World(
            "table: t\nowner: o\nrules:\n  - {name: r, when: after.x > 60}\n", batchMax: 500)
        try await world.session { session in
            try await session.settle()
            for index in 0..<150 { world.x("k\(index)", 70, at: 1) }
            try await session.settle()
            let first = try session.outbox()
            #expect(first.reduce(0) { $0 + $1.notification.items.count + $1.notification.omittedCount } == 150)
            #expect(first.allSatisfy { $0.notification.items.count <= 100 })
            #expect(first.last?.notification.openCount == 150)
            for index in 0..<150 { world.x("k\(index)", 1, at: 2) }
            try await session.settle()
            let resolved = try session.outbox().dropFirst(first.count)
            #expect(resolved.reduce(0) { $0 + $1.notification.items.count + $1.notification.omittedCount } == 150)
        }
    }
}
