import Core
import Foundation
import GRDB
import Testing

@testable import Store

@Suite struct OutboxTests {
    let now = StoreFixture.start

    @Test func `a row survives with all its fields`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        var row = outboxRow(lane: "x", priority: .critical)
        row.recipient = "ann@example.com"
        row.notBefore = now.adding(milliseconds: 5)
        row.waitedMilliseconds = 7
        let written = row
        let id = try await store.write(byteCount: 1) { try $0.insertOutbox(written) }
        row.id = id
        #expect(try store.read { try $0.outboxRow(id: id) } == row)
        await store.close(now: now)
    }

    @Test func `lanes are claimed by urgency, then by due time, and only when due and free`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let now = now
        try await store.write(byteCount: 1) { transaction in
            _ = try transaction.insertOutbox(outboxRow(lane: "old", at: now.adding(milliseconds: -900)))
            _ = try transaction.insertOutbox(outboxRow(lane: "new", at: now.adding(milliseconds: -100)))
            _ = try transaction.insertOutbox(outboxRow(lane: "resolve", priority: .resolveOfSent, at: now))
            _ = try transaction.insertOutbox(outboxRow(lane: "urgent", priority: .critical, at: now))
            _ = try transaction.insertOutbox(outboxRow(lane: "later", at: now.adding(milliseconds: 500)))
            _ = try transaction.insertOutbox(outboxRow(receiver: "other", lane: "old", at: now))
        }
        func claimable(_ time: Timestamp) throws -> [String] {
            try store.read { try $0.claimableLanes(receiver: "team", now: time, countMax: 10).map(\.lane) }
        }
        #expect(try claimable(now) == ["urgent", "resolve", "old", "new"])
        #expect(try claimable(now.adding(milliseconds: 500)) == ["urgent", "resolve", "old", "new", "later"])
        #expect(try store.read { try $0.nextDue(receiver: "team") } == now.adding(milliseconds: -900))
        #expect(try store.read { try $0.claimableLanes(receiver: "team", now: now, countMax: 1).count } == 1)
        let run = store.run
        try await store.write(byteCount: 1) { transaction in
            for lane in ["old", "urgent", "resolve", "new"] {
                let row = try transaction.waitingRows(receiver: "team", lane: lane, countMax: 1)[0]
                _ = try transaction.lease(id: row.id, .of(run, at: now))
            }
        }
        #expect(try claimable(now) == [])
        #expect(try store.read { try $0.nextDue(receiver: "team") } == now.adding(milliseconds: 500))
        #expect(try store.read { try $0.leasedRow(receiver: "team", lane: "old")?.leaseRun } == run)
        #expect(try store.read { try $0.leasedRow(receiver: "other", lane: "old") } == nil)
        await store.close(now: now)
    }

    @Test func `a row is never sent again once a later one of its lane was accepted`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        let (fire, resolve) = try await store.write(byteCount: 1) { transaction in
            (try transaction.insertOutbox(incidentRow()), try transaction.insertOutbox(incidentRow()))
        }
        try await store.write(byteCount: 1) { transaction in
            _ = try transaction.lease(id: fire, .of(run, at: now))
            #expect(code { try transaction.lease(id: resolve, .of(run, at: now)) } == .conflict)
            try transaction.settle(id: fire, .of(.dead, at: now, reason: "refused"), attempt: nil)
            _ = try transaction.lease(id: resolve, .of(run, at: now))
            try transaction.settle(id: resolve, .of(.sent, at: now), attempt: nil)
        }
        let refusal = await #expect(throws: StoreError.self) {
            try await store.write(byteCount: 1) { try $0.requeue(id: fire, at: now) }
        }
        #expect(refusal?.code == .conflict && refusal?.message.contains("row \(resolve)") == true)
        #expect(try store.read { try $0.outboxRow(id: fire)?.state } == .dead)
        // An older row that still waits ends with the later one.
        let (late, later) = try await store.write(byteCount: 1) { transaction in
            (try transaction.insertOutbox(outboxRow(lane: "b")), try transaction.insertOutbox(outboxRow(lane: "b")))
        }
        try await store.write(byteCount: 1) { transaction in
            _ = try transaction.lease(id: later, .of(run, at: now))
            try transaction.settle(id: later, .of(.sent, at: now), attempt: nil)
        }
        let ended = try store.read { try $0.outboxRow(id: late) }
        #expect(ended?.state == .superseded && ended?.supersededBy == later && ended?.reason == "newer")
        await store.close(now: now)
    }

    @Test func `a replayed message that was overtaken becomes the last of its lane`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        let again = try await store.write(byteCount: 1) { transaction in
            var row = outboxRow()
            row.body = Array("as laid out".utf8)
            let first = try transaction.insertOutbox(row)
            let second = try transaction.insertOutbox(outboxRow())
            let third = try transaction.insertOutbox(outboxRow())
            _ = try transaction.lease(id: first, .of(run, at: now))
            try transaction.settle(id: first, .of(.dead, at: now, reason: "refused"), attempt: nil)
            // What waits behind it is no hindrance: it keeps its place before them.
            #expect(try transaction.requeue(id: first, at: now) == first)
            _ = try transaction.lease(id: first, .of(run, at: now))
            try transaction.settle(id: first, .of(.dead, at: now, reason: "refused"), attempt: nil)
            // In flight it will have been sent.
            _ = try transaction.lease(id: second, .of(run, at: now))
            let last = try transaction.requeue(id: first, at: now.adding(milliseconds: 7))
            #expect(last > third)
            #expect(code { try transaction.requeue(id: first, at: now) } == .conflict, "replayed once")
            try transaction.settle(id: second, .of(.sent, at: now), attempt: nil)
            let rows = try transaction.waitingRows(receiver: "team", lane: row.lane, countMax: 10)
            #expect(rows.map(\.id) == [third, last])
            let old = try transaction.outboxRow(id: first)
            #expect(old?.state == .superseded && old?.supersededBy == last && old?.reason == "newer")
            return last
        }
        let row = try #require(try store.read { try $0.outboxRow(id: again) })
        #expect(row.idempotencyKey == "k" && row.body == Array("as laid out".utf8) && row.attemptCount == 0)
        #expect(row.createdAt == now.adding(milliseconds: 7) && row.notBefore == row.createdAt)
        #expect(row.state == .waiting && row.reason == nil && row.settledAt == nil)
        await store.close(now: now)
        #expect(try ReadOnlyStore(location: fixture.location).check().problems == [])
    }

    @Test func `an unsent fire and its unsent resolve cancel each other, other circles are refused`()
        async throws
    {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let now = now
        let rows = try await store.write(byteCount: 1) { transaction in
            let ids = try (0..<3).map { _ in try transaction.insertOutbox(outboxRow(lane: "x", at: now)) }
            try transaction.supersede(id: ids[0], by: ids[1], reason: .resolved, at: now)
            #expect(throws: StoreError.self) {
                try transaction.supersede(id: ids[2], by: ids[0], reason: .resolved, at: now)
            }
            #expect(throws: StoreError.self) {
                try transaction.supersede(id: ids[1], by: ids[0], reason: .newer, at: now)
            }
            try transaction.supersede(id: ids[1], by: ids[0], reason: .resolved, at: now)
            return try ids.compactMap { try transaction.outboxRow(id: $0) }
        }
        #expect(rows.map(\.state) == [.superseded, .superseded, .waiting])
        #expect(rows[0].supersededBy == rows[1].id && rows[1].supersededBy == rows[0].id)
        await store.close(now: now)
    }

    @Test func `the outcome of an attempt and the attempt are one change`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        let id = try await store.write(byteCount: 1) { try $0.insertOutbox(outboxRow()) }
        let attempt = AttemptRecord(
            outboxId: id, receiver: "team", number: 1, startedAt: now, finishedAt: now.adding(milliseconds: 9),
            outcome: .retryable, statusCode: 503, detail: "busy", providerId: nil, run: run)
        _ = await code {
            try await store.write(byteCount: 1) { transaction in
                _ = try transaction.lease(id: id, .of(run, at: now))
                try transaction.release(
                    id: id,
                    OutboxRelease(
                        notBefore: now, reason: "busy", isAmbiguous: false, countsAsAttempt: true,
                        waitedMilliseconds: 0), attempt: attempt)
                throw StoreError(.conflict, "the job ends here", systemCode: nil)
            }
        }
        #expect(try store.read { try $0.attempts(outboxId: id) } == [])
        #expect(try store.read { try $0.outboxRow(id: id)?.state } == .waiting)
        try await store.write(byteCount: 1) { transaction in
            let leased = try transaction.lease(id: id, .of(run, at: now))
            #expect(leased.firstAttemptAt == now)
            try transaction.setBody(id: id, body: [9])
            try transaction.release(
                id: id,
                OutboxRelease(
                    notBefore: now.adding(milliseconds: 4000), reason: "busy", isAmbiguous: true,
                    countsAsAttempt: true, waitedMilliseconds: 11), attempt: attempt)
        }
        let row = try store.read { try $0.outboxRow(id: id) }
        #expect(row?.attemptCount == 1 && row?.ambiguousCount == 1 && row?.waitedMilliseconds == 11)
        #expect(row?.body == [9] && row?.reason == "busy" && row?.leaseRun == nil)
        let attempts = try store.read { try $0.attempts(outboxId: id) }
        #expect(attempts.count == 1 && attempts[0].statusCode == 503 && attempts[0].outcome == .retryable)
        #expect(try store.read { try $0.nextDue(receiver: "team") } == now.adding(milliseconds: 4000))
        await store.close(now: now)
    }

    @Test func `leases of a dead run are free at the next start, flagged ambiguous`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        let id = try await store.write(byteCount: 1) { transaction in
            let id = try transaction.insertOutbox(outboxRow())
            _ = try transaction.lease(id: id, .of(run, at: now))
            _ = try transaction.takeLimiterSlot(
                LimiterSlotRecord(destination: "team", recipient: nil, takenAt: now, answeredAt: nil, run: run))
            return id
        }
        // Crash: the files as they are, without an orderly end.
        let other = StoreFixture()
        try fixture.copyFiles(to: other.location)
        let later = now.adding(milliseconds: 60_000)
        let next = try other.open(at: later)
        #expect(next.run > run)
        #expect(next.opening.freedLeaseCount == 1 && next.opening.isAfterCrash && !next.opening.isNew)
        let row = try next.read { try $0.outboxRow(id: id) }
        #expect(row?.state == .waiting && row?.ambiguousCount == 1 && row?.leaseRun == nil)
        #expect(try next.read { try $0.claimableLanes(receiver: "team", now: later, countMax: 9).count } == 1)
        // An open slot counts from the restart.
        #expect(try next.read { try $0.limiterSlots(destination: "team").map(\.answeredAt) } == [later])
        await next.close(now: later)
        await store.close(now: now)
        let third = try other.open(at: later)
        #expect(!third.opening.isAfterCrash && third.opening.freedLeaseCount == 0)
        await third.close(now: later)
    }

    @Test func `a row cannot be superseded by itself, by a dead row, or while in flight`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        try await store.write(byteCount: 1) { transaction in
            let ids = try (0..<3).map { _ in try transaction.insertOutbox(outboxRow()) }
            #expect(code { try transaction.supersede(id: ids[0], by: ids[0], reason: .newer, at: now) } == .conflict)
            #expect(code { try transaction.supersede(id: ids[0], by: 999, reason: .newer, at: now) } == .conflict)
            _ = try transaction.lease(id: ids[2], .of(run, at: now))
            #expect(code { try transaction.supersede(id: ids[2], by: ids[1], reason: .newer, at: now) } == .conflict)
            try transaction.supersede(id: ids[0], by: ids[2], reason: .merged, at: now)
            #expect(code { try transaction.supersede(id: ids[1], by: ids[0], reason: .newer, at: now) } == .conflict)
            #expect(code { try transaction.settle(id: ids[0], .of(.dead, at: now), attempt: nil) } == .conflict)
            #expect(code { try transaction.settle(id: ids[1], .of(.sent, at: now), attempt: nil) } == .conflict)
            #expect(code { try transaction.settle(id: ids[1], .of(.waiting, at: now), attempt: nil) } == .misuse)
        }
        await store.close(now: now)
    }

    @Test func `a removed receiver's rows end dead, a dead row can be replayed or discarded`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let now = now
        let ids = try await store.write(byteCount: 1) { transaction in
            try (0..<5).map { try transaction.insertOutbox(outboxRow(lane: "l\($0)")) }
        }
        let end = OutboxSettlement.of(.dead, at: now, reason: "receiver removed")
        #expect(try await store.write(byteCount: 1) { try $0.settleWaiting(receiver: "team", end, countMax: 3) } == 3)
        #expect(try await store.write(byteCount: 1) { try $0.settleWaiting(receiver: "team", end, countMax: 3) } == 2)
        try await store.write(byteCount: 1) { transaction in
            try transaction.requeue(id: ids[0], at: now.adding(milliseconds: 1))
            try transaction.settle(id: ids[1], .of(.discarded, at: now, reason: "by ann"), attempt: nil)
            #expect(code { try transaction.requeue(id: ids[1], at: now) } == .conflict)
        }
        let counts = try store.read { try $0.outboxCounts() }
        #expect(
            counts == [
                OutboxCount(receiver: "team", state: .waiting, count: 1),
                OutboxCount(receiver: "team", state: .dead, count: 3),
                OutboxCount(receiver: "team", state: .discarded, count: 1),
            ])
        #expect(try store.read { try $0.activeReceivers() } == ["team"])
        #expect(try store.read { try $0.outboxRow(id: ids[0])?.idempotencyKey } == "k")
        await store.close(now: now)
    }

    @Test func `limiter slots are taken, answered, given back and removed`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        try await store.write(byteCount: 1) { transaction in
            func slot(_ recipient: String?) -> LimiterSlotRecord {
                LimiterSlotRecord(destination: "d", recipient: recipient, takenAt: now, answeredAt: nil, run: run)
            }
            let first = try transaction.takeLimiterSlot(slot("ann"))
            let second = try transaction.takeLimiterSlot(slot(nil))
            _ = try transaction.takeLimiterSlot(slot("bob"))
            try transaction.answerLimiterSlot(id: first, at: now.adding(milliseconds: 10))
            try transaction.returnLimiterSlot(id: second)
            #expect(try transaction.limiterSlots(destination: "d").map(\.recipient) == ["bob", "ann"])
            #expect(
                try transaction.removeLimiterSlots(destination: "d", answeredBefore: now.adding(milliseconds: 11)) == 1)
            #expect(try transaction.limiterSlots(destination: "d").map(\.recipient) == ["bob"])
        }
        await store.close(now: now)
    }
}
