import Core
import Store
import Testing

@testable import Delivery

// Goal: each rule of delivery holds. Method: the policy is driven by hand over a store in memory.

@Suite struct DispatchMachineTests {
    let start = Timestamp(milliseconds: 1_000_000)

    func destination(
        _ receiver: String = "ops", joins: Bool = false, _ change: (inout DestinationPolicy) -> Void = { _ in }
    ) -> FakeDestination {
        FakeDestination(receiver, policy: .test(change), joins: joins)
    }

    func row(
        _ lane: String, _ payload: String = "a=fire", severity: Severity = .error,
        priority: OutboxPriority = .normal, recipient: String? = nil
    ) -> OutboxRecord {
        makeRow(
            "ops", lane: lane, payload: payload, at: start, severity: severity, priority: priority,
            recipient: recipient)
    }

    @Test func `an accepted row is sent and its attempt recorded in the same transaction`() throws {
        var harness = try MachineHarness([destination()])
        let id = try harness.add(row("l"))
        #expect(try harness.pass() == [id])
        #expect(harness.state(id) == .leased)
        try harness.answer(id, .accepted(providerId: "42"))
        #expect(harness.state(id) == .sent)
        #expect(try harness.row(id).providerId == "42")
        #expect(harness.store.state.attempts.map(\.outcome) == [.accepted])
    }

    @Test func `critical goes first, then resolves of sent incidents, then age`() throws {
        var harness = try MachineHarness([destination()])
        let old = try harness.add(row("a"))
        harness.advance(10)
        let resolve = try harness.add(row("b", priority: .resolveOfSent))
        harness.advance(10)
        let critical = try harness.add(row("c", priority: .critical))
        var order = try harness.pass()
        for _ in 0..<3 { order += try harness.answer(order[order.count - 1], .accepted(providerId: nil)) }
        #expect(order == [critical, resolve, old])
    }

    @Test func `one row of a lane is in flight, in order`() throws {
        var harness = try MachineHarness([destination { ($0.concurrency, $0.claimBatch) = (4, 4) }])
        let first = try harness.add(row("l"))
        let second = try harness.add(row("l", "a=resolve"))
        let other = try harness.add(row("m"))
        #expect(Set(try harness.pass()) == [first, other])
        #expect(try harness.pass() == [])
        #expect(try harness.answer(first, .accepted(providerId: nil)) == [second])
    }

    @Test func `a retryable row backs off, keeps its body and its idempotency key`() throws {
        var harness = try MachineHarness([destination { $0.retryBase = .seconds(100) }])
        let id = try harness.add(row("l"))
        try harness.pass()
        #expect(try harness.answer(id, .retryable(after: nil, reason: "503"), body: "laid out") == [])
        let waiting = try harness.row(id)
        #expect(waiting.state == .waiting && waiting.attemptCount == 1 && waiting.reason == "503")
        #expect(waiting.body == Array("laid out".utf8))
        #expect(waiting.notBefore > harness.now && harness.wakeAt == waiting.notBefore)
        harness.now = waiting.notBefore
        #expect(try harness.pass() == [id])
        #expect(harness.claims[0].row.body == Array("laid out".utf8))
        #expect(harness.claims[0].row.idempotencyKey == waiting.idempotencyKey)
    }

    @Test func `Retry-After holds for the whole destination, over a restart, and at most an hour`() throws {
        var harness = try MachineHarness([destination { ($0.concurrency, $0.claimBatch) = (1, 1) }])
        let id = try harness.add(row("l"))
        try harness.pass()
        try harness.answer(id, .retryable(after: .seconds(90), reason: "429"))
        let other = try harness.add(row("m"))
        #expect(try harness.pass() == [])
        #expect(harness.wakeAt == harness.now.adding(milliseconds: 90_000))
        try harness.crash()
        #expect(try harness.pass() == [])
        harness.advance(90_000)
        let next = try harness.pass()
        #expect(next == [id] || next == [other])
        try harness.answer(next[0], .retryable(after: .seconds(86_400), reason: "429"))
        harness.advance(3_599_999)
        #expect(try harness.pass() == [])
        harness.advance(1)
        #expect(try harness.pass().count == 1)
    }

    @Test func `a row is given up after the age limit, and waiting for reasons of ours does not count`() throws {
        var harness = try MachineHarness([
            destination {
                $0.ageLimit = .seconds(100)
                ($0.retryBase, $0.retryCap) = (.milliseconds(1), .milliseconds(1))
                $0.breaker.failureCountMax = 1000
            }
        ])
        let id = try harness.add(row("l"))
        try harness.pass()
        try harness.answer(id, .retryable(after: .seconds(3000), reason: "429"))
        harness.advance(3_000_001)
        #expect(try harness.pass() == [id], "the pause is not the row's age")
        harness.advance(60_000)
        try harness.answer(id, .retryable(after: nil, reason: "slow"))
        #expect(harness.state(id) == .waiting)
        harness.advance(1)
        #expect(try harness.pass() == [id])
        harness.advance(40_000)
        try harness.answer(id, .retryable(after: nil, reason: "slow"))
        #expect(harness.state(id) == .dead)
        #expect(harness.store.state.letters.map(\.outboxId) == [id])
        #expect(harness.facts.contains { if case .deadLetter(_, _, id, _) = $0 { true } else { false } })
    }

    @Test func `a permanent refusal is a dead letter at once and the lane goes on`() throws {
        var harness = try MachineHarness([destination()])
        let id = try harness.add(row("l"))
        let next = try harness.add(row("l", "a=resolve"))
        try harness.pass()
        #expect(try harness.answer(id, .permanent(reason: "400 bad card")) == [next])
        #expect(harness.state(id) == .dead)
        #expect(try harness.row(id).reason == "400 bad card")
    }

    @Test func `refused credentials open the breaker at once; rows wait, one probes`() throws {
        var harness = try MachineHarness([destination { ($0.concurrency, $0.claimBatch) = (3, 3) }])
        let ids = try (0..<4).map { try harness.add(row("l\($0)")) }
        #expect(try harness.pass() == Array(ids.prefix(3)))
        #expect(try harness.answer(ids[0], .unauthorized(reason: "401")) == [])
        #expect(
            harness.facts == [
                .breakerOpened(receiver: "ops", channel: "fake", isUnauthorized: true, reason: "401")
            ])
        try harness.answer(ids[1], .unauthorized(reason: "401"))
        try harness.answer(ids[2], .unauthorized(reason: "401"))
        #expect(harness.facts.count == 1, "one opening is told once")
        #expect(harness.wakeAt == harness.now.adding(milliseconds: 300_000))
        harness.advance(300_000)
        let probe = try harness.pass()
        #expect(probe.count == 1)
        let rest = try harness.answer(probe[0], .accepted(providerId: nil))
        #expect(rest.count == 3)
        #expect(harness.facts.last == .breakerClosed(receiver: "ops", channel: "fake"))
        #expect(try harness.row(ids[1]).attemptCount == 1)
    }

    @Test func `a lost answer is sent again once, flagged, ahead of what waits behind it`() throws {
        var harness = try MachineHarness([destination(joins: true)])
        let id = try harness.add(row("l", "a=fire"))
        try harness.pass()
        let resolve = try harness.add(row("l", "a=resolve"))
        try harness.answer(id, .ambiguous(reason: "no answer"), body: "body")
        #expect(try harness.row(id).ambiguousCount == 1)
        harness.now = try harness.row(id).notBefore
        #expect(try harness.pass() == [id], "the fire may have been taken, so it is not cancelled")
        #expect(try harness.answer(id, .accepted(providerId: nil)) == [resolve])
        #expect(try harness.row(id).ambiguousCount == 1)
    }

    @Test func `on_ambiguous hold gives the row up for a person to decide`() throws {
        var harness = try MachineHarness([destination { $0.onAmbiguous = .hold }])
        let id = try harness.add(row("l"))
        try harness.pass()
        try harness.answer(id, .ambiguous(reason: "no answer"))
        #expect(harness.state(id) == .dead)
        #expect(try harness.row(id).ambiguousCount == 1)
        let other = try harness.add(row("m"))
        try harness.pass()
        try harness.crash()
        #expect(harness.state(other) == .dead)
    }

    @Test func `a row whose lease died with its process is sent again, flagged`() throws {
        var harness = try MachineHarness([destination()])
        let id = try harness.add(row("l"))
        try harness.pass()
        try harness.crash()
        let freed = try harness.row(id)
        #expect(freed.state == .waiting && freed.ambiguousCount == 1 && freed.attemptCount == 1)
        #expect(harness.store.state.attempts.map(\.outcome) == [.ambiguous])
        #expect(try harness.pass() == [id])
    }

    @Test func `open slots of a crashed process count from the restart`() throws {
        var harness = try MachineHarness([destination { $0.windows = [RateWindow(count: 1, duration: .seconds(60))] }])
        let id = try harness.add(row("l"))
        try harness.pass()
        harness.advance(50_000)
        try harness.crash()
        #expect(try harness.pass() == [])
        #expect(harness.wakeAt == harness.now.adding(milliseconds: 60_601))
        harness.advance(60_601)
        #expect(try harness.pass() == [id])
        try harness.answer(id, .accepted(providerId: nil))
        harness.advance(60_602)
        try harness.pass()
        #expect(harness.store.state.slots.isEmpty, "slots that count nowhere are removed")
    }

    @Test func `a claim given back leaves no trace`() throws {
        var harness = try MachineHarness([
            destination {
                $0.windows = [RateWindow(count: 1, duration: .seconds(60))]
                $0.breaker.failureCountMax = 1
            }
        ])
        let id = try harness.add(row("l"))
        try harness.pass()
        harness.machine.isDraining = true
        let returned = FinishedAttempt(
            rowId: id, startedAt: harness.now, finishedAt: harness.now, ending: .returned, body: nil, problem: nil)
        #expect(try harness.pass([returned]) == [])
        let waiting = try harness.row(id)
        #expect(waiting.state == .waiting && waiting.attemptCount == 0 && waiting.ambiguousCount == 0)
        #expect(harness.store.state.slots.isEmpty && harness.store.state.attempts.isEmpty)
        harness.machine.isDraining = false
        #expect(try harness.pass() == [id])
    }

    @Test func `a row that cannot be laid out is dead and used up no limit`() throws {
        var harness = try MachineHarness([destination { $0.windows = [RateWindow(count: 1, duration: .seconds(60))] }])
        let id = try harness.add(row("l"))
        let next = try harness.add(row("m"))
        try harness.pass()
        let failed = FinishedAttempt(
            rowId: id, startedAt: harness.now, finishedAt: harness.now, ending: .unrenderable(reason: "bad JSON"),
            body: nil, problem: nil)
        #expect(try harness.pass([failed]) == [next])
        #expect(try harness.row(id).reason == "cannot be laid out: bad JSON")
    }

    @Test func `while rows wait the newest carries the older ones`() throws {
        var harness = try MachineHarness([destination(joins: true)])
        let busy = try harness.add(row("l", "x=fire"))
        try harness.pass()
        let first = try harness.add(row("l", "a=fire"))
        let second = try harness.add(row("l", "b=fire"))
        #expect(try harness.answer(busy, .accepted(providerId: nil)) == [second])
        #expect(try harness.row(first).state == .superseded)
        #expect(try harness.row(first).supersededBy == second)
        #expect(String(decoding: harness.claims[0].row.payload, as: UTF8.self) == "a=fire b=fire")
    }

    @Test func `below error an unsent fire and its resolve cancel each other`() throws {
        var harness = try MachineHarness([destination(joins: true)])
        let fire = try harness.add(row("l", "a=fire", severity: .warning))
        let resolve = try harness.add(row("l", "a=resolve", severity: .warning))
        #expect(try harness.pass() == [])
        for id in [fire, resolve] {
            #expect(harness.state(id) == .superseded)
            #expect(try harness.row(id).reason == "resolved")
        }
        let loud = try harness.add(row("l", "b=fire"))
        let over = try harness.add(row("l", "b=resolve"))
        #expect(try harness.pass() == [over])
        #expect(harness.state(loud) == .superseded)
        #expect(String(decoding: harness.claims[0].row.payload, as: UTF8.self) == "b=both")
    }

    @Test func `an attempted row that other news joined is laid out anew`() throws {
        var harness = try MachineHarness([destination(joins: true)])
        let first = try harness.add(row("l", "a=fire"))
        try harness.pass()
        try harness.answer(first, .retryable(after: nil, reason: "503"), body: "old body")
        let second = try harness.add(row("l", "b=fire"))
        #expect(try harness.pass() == [second])
        #expect(harness.claims[0].row.body == nil)
        #expect(harness.state(first) == .superseded)
    }

    @Test func `more than the bound of waiting rows merge into one message`() throws {
        var harness = try MachineHarness([
            destination(joins: true) {
                $0.mergeAbove = 5
                $0.windows = [RateWindow(count: 1, duration: .seconds(60))]
            }
        ])
        let lanes = (0..<8).map { "l\($0)" }
        let ids = try lanes.map { try harness.add(row($0, "\($0)=fire")) }
        #expect(try harness.pass() == [ids[7]])
        let payload = FakeMessage(bytes: harness.claims[0].row.payload)
        #expect(payload.news.map(\.incident) == lanes)
        for id in ids.dropLast() { #expect(try harness.row(id).supersededBy == ids[7]) }
    }

    @Test func `lanes that a merged row speaks for wait for it, over a crash too`() throws {
        var harness = try MachineHarness([
            destination(joins: true) {
                $0.mergeAbove = 2
                ($0.concurrency, $0.claimBatch) = (4, 4)
                $0.pace = Pace(perSecond: 1000, burst: 1000)
                $0.retryBase = .seconds(100)
            }
        ])
        let ids = try (0..<3).map { try harness.add(row("l\($0)", "i\($0)=fire")) }
        #expect(try harness.pass() == [ids[2]])
        let resolve = try harness.add(row("l0", "i0=resolve"))
        #expect(try harness.pass() == [], "the merged row in flight carries the fire of that lane")
        try harness.crash()
        #expect(try harness.pass() == [ids[2]], "it may have been taken: it goes again as it is, first")
        harness.advance(1000)
        #expect(try harness.pass() == [])
        #expect(try harness.answer(ids[2], .accepted(providerId: nil)).isEmpty)
        harness.advance(500)
        #expect(try harness.pass() == [resolve])
        #expect(harness.store.state.states.isEmpty)
    }

    @Test func `a merged row that failed takes newer rows of its lanes along`() throws {
        var harness = try MachineHarness([
            destination(joins: true) {
                $0.mergeAbove = 2
                $0.pace = Pace(perSecond: 1000, burst: 1000)
                $0.retryBase = .seconds(100)
            }
        ])
        let ids = try (0..<3).map { try harness.add(row("l\($0)", "i\($0)=fire")) }
        try harness.pass()
        try harness.answer(ids[2], .retryable(after: nil, reason: "503"), body: "b")
        let newer = try harness.add(row("l1", "i1=resolve"))
        #expect(try harness.pass() == [newer])
        let news = FakeMessage(bytes: harness.claims[0].row.payload).news
        #expect(news.map { "\($0.incident) \($0.news)" } == ["i0 fire", "i1 both", "i2 fire"])
        #expect(try harness.row(ids[2]).supersededBy == newer)
        try harness.answer(newer, .accepted(providerId: nil))
        #expect(harness.store.state.states.isEmpty)
    }

    @Test func `a recipient's last free mail of the hour takes everything that waits for them`() throws {
        var harness = try MachineHarness([
            destination(joins: true) {
                $0.recipientWindows = [RateWindow(count: 3, duration: .seconds(3600))]
                ($0.concurrency, $0.claimBatch) = (10, 10)
            }
        ])
        var payloads: [String] = []
        var recipients: [String?] = []
        func sendAll() throws {
            for _ in 0..<50 {
                try harness.pass()
                guard let claim = harness.claims.first else { return }
                payloads.append(String(decoding: claim.row.payload, as: UTF8.self))
                recipients.append(claim.row.recipient)
                try harness.answer(claim.row.id, .accepted(providerId: nil))
            }
        }
        for index in 0..<6 { try harness.add(row("anna-\(index)", "a\(index)=fire", recipient: "anna")) }
        try harness.add(row("ben-0", "b0=fire", recipient: "ben"))
        try sendAll()
        #expect(recipients.count { $0 == "anna" } == 3)
        #expect(recipients.count { $0 == "ben" } == 1)
        #expect(payloads.contains("a2=fire a3=fire a4=fire a5=fire"))
        for index in 6..<9 { try harness.add(row("anna-\(index)", "a\(index)=fire", recipient: "anna")) }
        try sendAll()
        #expect(recipients.count == 4, "the hour is full")
        harness.advance(3_636_001)
        try sendAll()
        #expect(recipients.count { $0 == "anna" } <= 6)
        #expect(harness.store.state.rows.values.allSatisfy { $0.state.isSettled })
    }

    @Test func `rows of a removed receiver are dead`() throws {
        var harness = try MachineHarness([destination()])
        let id = try harness.store.sync {
            try $0.insertOutbox(makeRow("gone", lane: "g", payload: "a=fire", at: start))
        }
        harness.machine.orphansDueAt = .distantPast
        try harness.pass()
        #expect(harness.state(id) == .dead)
        #expect(try harness.row(id).reason == "receiver removed")
        #expect(harness.facts == [.receiverRemoved(receiver: "gone", rowCount: 1)])
        #expect(harness.store.state.letters.count == 1)
    }

    @Test func `a replayed fire does not go out after its resolve`() throws {
        var harness = try MachineHarness([destination()])
        var opening = row("l")
        opening.kind = OutboxKind.incident
        var closing = row("l", "a=resolve")
        closing.kind = OutboxKind.incident
        let (fire, resolve) = (try harness.add(opening), try harness.add(closing))
        try harness.pass()
        try harness.answer(fire, .permanent(reason: "400"))
        try harness.answer(resolve, .accepted(providerId: nil))
        let now = harness.now
        #expect(throws: StoreError.self) { try harness.store.sync { try $0.requeue(id: fire, at: now) } }
        #expect(try harness.pass() == [])
        #expect(harness.state(fire) == .dead)
    }

    @Test func `a replayed message goes out after what overtook it, sent or in flight`() throws {
        var harness = try MachineHarness([destination()])
        let first = try harness.add(row("l", "a=fire"))
        try harness.pass()
        try harness.answer(first, .permanent(reason: "400"))
        let second = try harness.add(row("l", "b=fire"))
        #expect(try harness.pass() == [second])
        let now = harness.now
        let again = try harness.store.sync { try $0.requeue(id: first, at: now) }
        #expect(try again > second && harness.row(first).supersededBy == again)
        #expect(try harness.pass() == [], "one row of a lane is in flight")
        #expect(try harness.answer(second, .accepted(providerId: nil)) == [again])
        #expect(String(decoding: try harness.row(again).payload, as: UTF8.self) == "a=fire")
        #expect(try harness.row(again).idempotencyKey == harness.row(first).idempotencyKey)
        try harness.answer(again, .accepted(providerId: nil))
        #expect(harness.state(again) == .sent)
    }

    @Test func `a row that somebody settled while it was in flight keeps that end`() throws {
        var harness = try MachineHarness([destination()])
        let ids = try ["l", "m"].map { try harness.add(row($0)) }
        for (id, outcome) in zip(
            ids, [.accepted(providerId: nil), .retryable(after: nil, reason: "503")] as [AttemptOutcome])
        {
            #expect(try harness.pass().contains(id) || harness.claims.contains { $0.row.id == id })
            try harness.store.sync {
                try $0.settle(
                    id: id,
                    OutboxSettlement(
                        state: .discarded, reason: "by ops", providerId: nil, at: start, isAmbiguous: false),
                    attempt: nil)
            }
            try harness.answer(id, outcome, body: "b")
            #expect(harness.state(id) == .discarded)
        }
        #expect(harness.store.state.attempts.count == 2)
    }

    @Test func `a reload keeps limits and pauses and closes breakers`() throws {
        let windows = [RateWindow(count: 2, duration: .seconds(60))]
        var harness = try MachineHarness([destination { $0.windows = windows }])
        let first = try harness.add(row("l"))
        try harness.pass()
        try harness.answer(first, .unauthorized(reason: "401"))
        #expect(try harness.pass() == [])
        var machine = harness.machine
        let now = harness.now
        let replacement = destination { $0.windows = windows }
        try harness.store.sync { try machine.replace([replacement], $0, now: now) }
        harness.machine = machine
        #expect(try harness.pass() == [first], "the secret may be mended")
        #expect(try harness.answer(first, .retryable(after: nil, reason: "503")) == [])
        harness.advance(10_000)
        #expect(try harness.pass() == [], "the window is full: the send before the reload counts")
    }

    @Test func `a channel that decides nothing does not block its lane for ever`() throws {
        struct Mute: Destination {
            var receiver: String { "ops" }
            var channel: String { "mute" }
            var policy: DestinationPolicy { .standard }
            func coalesce(_ waiting: [OutboxRecord]) -> Coalescing {
                Coalescing(sendId: nil, payload: nil, superseded: [.init(id: 999, reason: .newer)])
            }
            func render(_ row: OutboxRecord) throws -> RenderedBody { RenderedBody(bytes: [], problem: nil) }
            func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
                AttemptReport(outcome: .accepted(providerId: nil), statusCode: nil, detail: nil)
            }
        }
        var harness = try MachineHarness([Mute()])
        let id = try harness.add(row("l"))
        try harness.pass()
        #expect(harness.state(id) == .dead)
    }

    @Test func `a detail is cut between characters`() {
        let report = AttemptReport(
            outcome: .permanent(reason: "x"), statusCode: 400, detail: String(repeating: "ö", count: 600))
        let detail = report.detail ?? ""
        #expect(detail.utf8.count <= AttemptReport.detailBytesMax && detail.hasSuffix("ö…"))
    }
}
