import Core
import Foundation
import Testing

@testable import Store

/// The outbox against a model that is a plain list: seeded random operations, the same question to both after each.
@Suite struct OutboxModelTests {
    struct Row: Equatable {
        var id: Int64
        var lane: String
        var priority: OutboxPriority
        var notBefore: Int64
        var state: OutboxState
        var supersededBy: Int64?
        var attemptCount = 0
        var ambiguousCount = 0

        var isMessage: Bool { lane.hasSuffix("0") || lane.hasSuffix("1") || lane.hasSuffix("2") }
    }

    struct Model {
        var rows: [Row] = []

        func isLeased(_ lane: String) -> Bool { rows.contains { $0.lane == lane && $0.state == .leased } }
        func isLaterSent(_ row: Row) -> Bool {
            rows.contains { $0.lane == row.lane && $0.id > row.id && $0.state == .sent }
        }
        func candidates(_ now: Int64) -> [LaneCandidate] {
            let waiting = Dictionary(grouping: rows.filter { $0.state == .waiting }, by: \.lane)
            let lanes = waiting.compactMap { lane, rows -> LaneCandidate? in
                guard let due = rows.map(\.notBefore).min(), let priority = rows.map(\.priority).min(), due <= now,
                    !isLeased(lane)
                else { return nil }
                return LaneCandidate(
                    lane: lane, receiver: "team", priority: priority, dueAt: Timestamp(milliseconds: due),
                    waitingCount: rows.count)
            }
            return lanes.sorted { ($0.priority, $0.dueAt, $0.lane) < ($1.priority, $1.dueAt, $1.lane) }
        }
        var nextDue: Int64? {
            rows.filter { $0.state == .waiting && !isLeased($0.lane) }.map(\.notBefore).min()
        }
        func index(_ id: Int64) -> Int { rows.firstIndex { $0.id == id } ?? 0 }
    }

    /// One random operation on both; errors must agree.
    static func step(
        _ transaction: any StoreTransaction, _ model: inout Model, _ random: inout SeededGenerator, run: Int64,
        now: Timestamp
    ) throws {
        let row = model.rows.randomElement(using: &random)
        let other = model.rows.randomElement(using: &random)
        switch (Int.random(in: 0..<10, using: &random), row, other) {
        case (0...2, _, _), (_, nil, _), (_, _, nil):
            let lane = "lane\(Int.random(in: 0..<6, using: &random))"
            let priority = OutboxPriority.allCases.randomElement(using: &random) ?? .normal
            var fresh = outboxRow(lane: lane, priority: priority, at: now)
            let isMessage = Row(
                id: 0, lane: lane, priority: priority, notBefore: 0, state: .waiting, supersededBy: nil
            ).isMessage
            fresh.kind = isMessage ? OutboxKind.notification : OutboxKind.incident
            fresh.notBefore = now.adding(milliseconds: Int64.random(in: -50...50, using: &random))
            let id = try transaction.insertOutbox(fresh)
            model.rows.append(
                Row(
                    id: id, lane: lane, priority: priority, notBefore: fresh.notBefore.milliseconds, state: .waiting))
        case (3...4, let row?, _):
            let isAllowed = row.state == .waiting && !model.isLeased(row.lane) && !model.isLaterSent(row)
            let refused = code { try transaction.lease(id: row.id, .of(run, at: now)) }
            #expect(refused == (isAllowed ? nil : .conflict))
            if isAllowed { model.rows[model.index(row.id)].state = .leased }
        case (5, let row?, let other?):
            let isAllowed =
                row.state == .waiting && row.id != other.id && [.waiting, .leased, .sent].contains(other.state)
            let refused = code { try transaction.supersede(id: row.id, by: other.id, reason: .merged, at: now) }
            #expect(refused == (isAllowed ? nil : .conflict))
            if isAllowed {
                model.rows[model.index(row.id)].state = .superseded
                model.rows[model.index(row.id)].supersededBy = other.id
            }
        case (6...7, let row?, _):
            try settle(transaction, &model, row, &random, now: now)
        case (8, let row?, _):
            let time = now.adding(milliseconds: Int64.random(in: -20...80, using: &random))
            let release = OutboxRelease(
                notBefore: time, reason: "later", isAmbiguous: true, countsAsAttempt: true, waitedMilliseconds: 1)
            let refused = code { try transaction.release(id: row.id, release, attempt: nil) }
            #expect(refused == (row.state == .leased ? nil : .conflict))
            guard refused == nil else { return }
            let index = model.index(row.id)
            model.rows[index].state = .waiting
            model.rows[index].notBefore = time.milliseconds
            model.rows[index].attemptCount += 1
            model.rows[index].ambiguousCount += 1
        case (_, let row?, _): try requeue(transaction, &model, row, now: now)
        }
    }

    static func requeue(_ transaction: any StoreTransaction, _ model: inout Model, _ row: Row, now: Timestamp) throws {
        let isOvertaken =
            model.isLaterSent(row)
            || model.rows.contains { $0.lane == row.lane && $0.id > row.id && $0.state == .leased }
        let isAllowed = row.state == .dead && (row.isMessage || !model.isLaterSent(row))
        var again: Int64?
        let refused = code { again = try transaction.requeue(id: row.id, at: now) }
        #expect(refused == (isAllowed ? nil : .conflict))
        guard isAllowed, let again else { return }
        #expect((again != row.id) == (row.isMessage && isOvertaken))
        let index = model.index(row.id)
        var waiting = model.rows[index]
        (waiting.state, waiting.notBefore, waiting.attemptCount) = (.waiting, now.milliseconds, 0)
        if again == row.id {
            model.rows[index] = waiting
        } else {
            waiting.id = again
            model.rows.append(waiting)
            (model.rows[index].state, model.rows[index].supersededBy) = (.superseded, again)
        }
    }

    static func settle(
        _ transaction: any StoreTransaction, _ model: inout Model, _ row: Row, _ random: inout SeededGenerator,
        now: Timestamp
    ) throws {
        let ends: [OutboxState] = [.sent, .sent, .sent, .dead, .discarded, .suppressed]
        let end = ends.randomElement(using: &random) ?? .sent
        let isAllowed =
            row.state == .leased || (row.state == .waiting && end != .sent)
            || (row.state == .dead && end == .discarded)
        let refused = code { try transaction.settle(id: row.id, .of(end, at: now, reason: "end"), attempt: nil) }
        #expect(refused == (isAllowed ? nil : .conflict))
        guard isAllowed else { return }
        model.rows[model.index(row.id)].state = end
        guard end == .sent else { return }
        for index in model.rows.indices
        where model.rows[index].lane == row.lane && model.rows[index].id < row.id && model.rows[index].state == .waiting
        {
            model.rows[index].state = .superseded
            model.rows[index].supersededBy = row.id
        }
    }

    static func compare(_ reader: any StoreReader, _ model: Model, now: Timestamp) throws {
        for row in model.rows {
            guard let stored = try reader.outboxRow(id: row.id) else {
                Issue.record("row \(row.id) is gone")
                continue
            }
            let found = Row(
                id: stored.id, lane: stored.lane, priority: stored.priority,
                notBefore: stored.notBefore.milliseconds, state: stored.state, supersededBy: stored.supersededBy,
                attemptCount: stored.attemptCount, ambiguousCount: stored.ambiguousCount)
            #expect(found == row)
        }
        let candidates = try reader.claimableLanes(receiver: "team", now: now, countMax: 100)
        #expect(
            candidates.sorted { ($0.priority, $0.dueAt, $0.lane) < ($1.priority, $1.dueAt, $1.lane) }
                == model.candidates(now.milliseconds))
        let pairs = zip(candidates, candidates.dropFirst())
        #expect(pairs.allSatisfy { ($0.priority, $0.dueAt) <= ($1.priority, $1.dueAt) })
        #expect(try reader.nextDue(receiver: "team")?.milliseconds == model.nextDue)
        for state in OutboxState.allCases {
            let counted = try reader.outboxCounts().first { $0.state == state }?.count ?? 0
            #expect(counted == model.rows.count { $0.state == state })
        }
        #expect(try reader.waitingCount(receiver: "team", countMax: 1000) == model.rows.count { $0.state == .waiting })
    }

    @Test(arguments: 1...12) func `random operations leave the outbox as the model says`(seed: Int) async throws {
        let fixture = StoreFixture()
        var store = try fixture.open()
        var random = SeededGenerator(seed: UInt64(seed))
        var model = Model()
        var now = StoreFixture.start
        for _ in 0..<12 {
            let (run, start) = (store.run, now)
            let (before, source) = (model, random)
            let result = try await store.write(byteCount: 1) { transaction in
                var (model, random, now) = (before, source, start)
                for _ in 0..<25 {
                    now = now.adding(milliseconds: Int64.random(in: 0...15, using: &random))
                    try OutboxModelTests.step(transaction, &model, &random, run: run, now: now)
                    try OutboxModelTests.compare(transaction, model, now: now)
                }
                return (model, random, now)
            }
            (model, random, now) = result
            // A restart: what was in flight waits again.
            await store.close(now: now)
            store = try fixture.open(at: now)
            for index in model.rows.indices where model.rows[index].state == .leased {
                model.rows[index].state = .waiting
                model.rows[index].ambiguousCount += 1
                model.rows[index].notBefore = min(model.rows[index].notBefore, now.milliseconds)
            }
            try store.read { try OutboxModelTests.compare($0, model, now: now) }
        }
        await store.close(now: now)
        #expect(try ReadOnlyStore(location: fixture.location).check().problems == [], "seed \(seed)")
    }
}
