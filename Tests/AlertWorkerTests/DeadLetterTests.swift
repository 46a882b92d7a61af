import AlertWorker
import Alerting
import Core
import Delivery
import Logging
import RouterTesting
import Spine
import Store
import Synchronization
import Testing

// Goal: what went wrong can be looked at and dealt with, each kind of it, and the operator hears of it until then.
// Method: the alert worker and a dispatcher on the real store; the receivers answer as the test says.

@Suite(.timeLimit(.minutes(1))) struct DeadLetterTests {
    /// A receiver that refuses everything, or takes everything.
    private final class Scripted: Destination {
        let receiver: String
        let channel = "scripted"
        let policy = DestinationPolicy.standard
        private let state = Mutex((takes: true, sent: [String]()))

        init(_ receiver: String) { self.receiver = receiver }

        func take(_ takes: Bool) { state.withLock { $0.takes = takes } }
        var sent: [String] { state.withLock { $0.sent } }
        func coalesce(_ waiting: [OutboxRecord]) -> Coalescing { .oldest(of: waiting) }
        func render(_ row: OutboxRecord) throws -> RenderedBody { RenderedBody(bytes: row.payload, problem: nil) }

        func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
            let isTaken = state.withLock { state in
                if state.takes { state.sent.append(row.idempotencyKey) }
                return state.takes
            }
            return AttemptReport(
                outcome: isTaken ? .accepted(providerId: nil) : .permanent(reason: "400 bad card"),
                statusCode: isTaken ? 200 : 400, detail: nil)
        }
    }

    private func letters(
        _ session: Session, _ kind: DeadLetterRecord.Kind, _ state: DeadLetterRecord.State = .open
    ) throws -> [DeadLetterRecord] {
        try session.store.read {
            try $0.deadLetters(
                DeadLetterQuery(kind: kind, state: state, receiver: nil, rule: nil, beforeId: nil, countMax: 100))
        }
    }

    private func letter(_ session: Session, _ id: Int64) throws -> DeadLetterRecord {
        try #require(try session.store.read { try $0.deadLetter(id: id) })
    }

    /// What the operator is told at the moment, as component and subject.
    private func operatorAlerts(_ session: Session) throws -> [String] {
        try session.openAlerts("router-health").map { record in
            let alert = try StoredAlert(record: record).alert
            return alert.keyTexts.map { $0 ?? "" }.joined(separator: "/")
        }.sorted()
    }

    private func expectConflict(_ letter: DeadLetterRecord, _ session: Session) async -> String {
        let error = await #expect(throws: StoreError.self) {
            try await session.worker.perform(.requeueDelivery(letter: letter, by: "ann"))
        }
        #expect(error?.code == .conflict)
        return error?.message ?? ""
    }

    @Test func `a message that was no event is refused again until tables fit it, then it is judged, once`()
        async throws
    {
        let world = try World(AnnouncingTests.high)
        try await world.session { session in
            try await session.settle()
            // No row key: 'id' is missing.
            for (plant, time) in [("p1", Int64(1)), ("p2", 2)] {
                world.source.append(
                    p0, key: nil, value: #"{"plant":"\#(plant)","x":70}"#, timestamp: second(time).milliseconds)
            }
            try await session.settle()
            let open = try letters(session, .input)
            #expect(open.count == 2)
            let refused = try await session.worker.replay([open[0]], by: "ann")
            #expect(refused.replayed.isEmpty && refused.refused[open[0].id]?.isEmpty == false)
            #expect(try letter(session, open[0].id).state == .open, "what is refused again stays open")

            let tables = World.tables.replacing("t:\n    row_key: [id]", with: "t:\n    row_key: [plant]")
            #expect(tables != World.tables)
            world.rules = try World.load(AnnouncingTests.high, tables: tables)
            _ = try await session.worker.perform(.reload(rules: world.rules, receivers: world.receivers))
            let report = try await session.worker.replay([open[0]], by: "ann")
            #expect(report.replayed == [open[0].id] && report.judgedCount == 1)
            try await session.settle()
            let settled = try letter(session, open[0].id)
            #expect(settled.state == .replayed && settled.settledBy == "ann")
            #expect(try session.openAlerts("high").count == 1)

            _ = try await session.worker.perform(.discard(letter: open[1], by: "bob"))
            let discarded = try letter(session, open[1].id)
            #expect(discarded.state == .discarded && discarded.settledBy == "bob")
            await #expect(throws: StoreError.self, "once") {
                try await session.worker.perform(.discard(letter: open[1], by: "bob"))
            }
            #expect(try session.openAlerts("high").count == 1)
        }
    }

    @Test func `a row on which a rule failed is judged again by the mended rule, and fails anew by an unmended one`()
        async throws
    {
        let broken = "table: t\nowner: o\nrules:\n  - {name: r, when: after.x > 60}\n"
        let world = try World(broken)
        try await world.session { session in
            try await session.settle()
            world.row("a", at: 1, ["x": .null, "done": .bool(true)])
            try await session.settle()
            let first = try #require(try letters(session, .evaluation).first)
            _ = try await session.worker.replay([first], by: "ann")
            try await session.settle()
            #expect(try letter(session, first.id).state == .replayed)
            let second = try #require(try letters(session, .evaluation).first)
            #expect(second.id != first.id, "what fails again is no success")

            _ = try await session.reload("table: t\nowner: o\nrules:\n  - {name: r, when: after.done}\n")
            _ = try await session.worker.replay([second], by: "ann")
            try await session.settle()
            #expect(try letters(session, .evaluation).isEmpty)
            #expect(try session.openAlerts("r").count == 1)
            // Another one is thrown away.
            _ = try await session.reload(broken)
            world.row("b", at: 2, ["x": .null])
            try await session.settle()
            let third = try #require(try letters(session, .evaluation).first)
            _ = try await session.worker.perform(.discard(letter: third, by: "bob"))
            #expect(try letter(session, third.id).state == .discarded)
        }
    }

    /// Runs a dispatcher beside the worker; what it says of dead letters reaches the operator.
    private func delivering(
        _ session: Session, _ destinations: [any Destination], _ body: (Dispatcher) async throws -> Void
    ) async throws {
        let worker = session.worker
        let dispatcher = Dispatcher(
            store: session.store, destinations: destinations, clock: session.world.clock, seed: 1,
            metrics: MetricsRegistry(), logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onFact: { fact in
                guard case .deadLetter(let receiver, _, _, let reason) = fact else { return }
                worker.report(
                    HealthFact(component: "dead-letter", subject: receiver, isHealthy: false, detail: reason))
            })
        async let running: Void = dispatcher.run()
        do { try await body(dispatcher) } catch {
            await dispatcher.drain(within: .seconds(1))
            throw error
        }
        await dispatcher.drain(within: .seconds(1))
        await running
    }

    private func wait(_ isMet: () throws -> Bool) async throws {
        while try !isMet() { await Task.yield() }
    }

    @Test func `a delivery that was given up is sent when it is replayed, and the operator's alert ends`() async throws
    {
        let world = try World(AnnouncingTests.high)
        try await world.session { session in
            let (team, ops) = (Scripted("team"), Scripted("ops"))
            try await delivering(session, [team, ops]) { dispatcher in
                try await session.settle()
                team.take(false)
                world.x("a", 65, at: 1)
                try await session.settle()
                dispatcher.wake()
                try await wait { try letters(session, .delivery).count == 1 }
                try await session.settle()
                #expect(try operatorAlerts(session) == ["dead-letter/team"])
                let given = try letters(session, .delivery)[0]
                let row = try #require(given.outboxId)
                team.take(true)
                _ = try await session.worker.perform(.requeueDelivery(letter: given, by: "ann"))
                dispatcher.wake()
                try await wait { try session.store.read { try $0.outboxRow(id: row)?.state } == .sent }
                try await session.settle()
                #expect(try letter(session, given.id).state == .replayed)
                #expect(try operatorAlerts(session).isEmpty)
                #expect(team.sent.count == 1)
                #expect(try session.store.read { try $0.attempts(outboxId: row) }.count == 2, "both attempts are kept")
                #expect(await expectConflict(given, session).isEmpty == false)
                // Overtaken by a later message it goes out after that.
                team.take(false)
                world.x("b", 65, at: 2)
                try await session.settle()
                dispatcher.wake()
                try await wait { try letters(session, .delivery).count == 1 }
                let overtaken = try letters(session, .delivery)[0]
                team.take(true)
                world.x("c", 65, at: 3)
                try await session.settle()
                dispatcher.wake()
                try await wait { team.sent.count == 2 }
                _ = try await session.worker.perform(.requeueDelivery(letter: overtaken, by: "ann"))
                dispatcher.wake()
                try await wait { team.sent.count == 3 }
                #expect(Set(team.sent).count == 3)
            }
        }
    }

    @Test func `a delivery that was given up and discarded is never sent, and the operator's alert ends`() async throws
    {
        let world = try World(AnnouncingTests.high)
        try await world.session { session in
            let (team, ops) = (Scripted("team"), Scripted("ops"))
            try await delivering(session, [team, ops]) { dispatcher in
                try await session.settle()
                team.take(false)
                world.x("a", 65, at: 1)
                try await session.settle()
                dispatcher.wake()
                try await wait { try letters(session, .delivery).count == 1 }
                try await session.settle()
                let given = try letters(session, .delivery)[0]
                team.take(true)
                _ = try await session.worker.perform(.discard(letter: given, by: "bob"))
                try await session.settle()
                let row = try session.store.read { try $0.outboxRow(id: given.outboxId ?? 0) }
                #expect(row?.state == .discarded && row?.reason == "discarded by bob")
                #expect(try letter(session, given.id).state == .discarded)
                #expect(try operatorAlerts(session).isEmpty && team.sent.isEmpty)
            }
        }
    }

    @Test func `a step of an incident that is over is refused with its reason, and nothing is taken for done`()
        async throws
    {
        let world = try World(AnnouncingTests.high)
        try await world.session { session in
            try await session.settle()
            let (run, now) = (session.store.run, world.clock.now())
            let id = try await session.store.write(byteCount: 1000) { transaction in
                var row = OutboxRecord(
                    receiver: "team", lane: "incident-7", kind: OutboxKind.incident, incidentKey: "7", rule: "high",
                    severity: .critical, priority: .critical, createdAt: now, idempotencyKey: "fire",
                    payload: Array("{}".utf8), recipient: nil)
                let fire = try transaction.insertOutbox(row)
                row.idempotencyKey = "resolve"
                let resolve = try transaction.insertOutbox(row)
                let lease = OutboxLease(
                    run: run, until: now, at: now, payload: nil, body: nil, waitedMilliseconds: 0)
                for (row, state) in [(fire, OutboxState.dead), (resolve, .sent)] {
                    _ = try transaction.lease(id: row, lease)
                    try transaction.settle(
                        id: row,
                        OutboxSettlement(state: state, reason: "end", providerId: nil, at: now, isAmbiguous: false),
                        attempt: nil)
                }
                var letter = DeadLetterRecord(kind: .delivery, createdAt: now, reason: "end")
                letter.receiver = "team"
                letter.outboxId = fire
                return try transaction.insertDeadLetter(letter)
            }
            session.worker.report(
                HealthFact(component: "dead-letter", subject: "team", isHealthy: false, detail: "given up"))
            try await session.settle()
            let given = try letter(session, id)
            let message = await expectConflict(given, session)
            #expect(message.contains("opened again"), "\(message)")
            try await session.settle()
            #expect(try letter(session, id).state == .open)
            #expect(try operatorAlerts(session) == ["dead-letter/team"], "nothing was dealt with")
            _ = try await session.worker.perform(.discard(letter: given, by: "bob"))
            try await session.settle()
            #expect(try operatorAlerts(session).isEmpty)
        }
    }

    private func reportEverything(_ session: Session) async throws {
        let all = ["clock", "dead-letter", "delivery", "receiver", "receiver-removed", "reload", "store"]
        for component in all {
            session.worker.report(HealthFact(component: component, subject: "s", isHealthy: false, detail: "bad"))
        }
        try await session.settle()
        #expect(try operatorAlerts(session) == all.map { "\($0)/s" }.sorted())
    }

    @Test func `what a run said of itself ends with it, what a reload may mend with the reload, the rest stays`()
        async throws
    {
        let world = try World(AnnouncingTests.high)
        try await world.session { session in
            try await session.settle()
            try await reportEverything(session)
        }
        try await world.session { session in
            try await session.settle()
            #expect(try operatorAlerts(session) == ["dead-letter/s"])
            try await reportEverything(session)
            _ = try await session.reload(AnnouncingTests.high)
            try await session.settle()
            #expect(try operatorAlerts(session) == ["clock/s", "dead-letter/s", "reload/s", "store/s"])
            session.worker.report(HealthFact(component: "store", subject: "s", isHealthy: true, detail: ""))
            try await session.settle()
            #expect(try operatorAlerts(session) == ["clock/s", "dead-letter/s", "reload/s"])
            // Each end is told, to whoever was told of the beginning.
            let ends = try session.outbox().filter { [.someResolved, .allResolved].contains($0.notification.reason) }
                .flatMap(\.notification.items)
            #expect(ends.count == 6 + 3 + 1)
        }
    }
}
