import Core
import Foundation
import GRDB
import Testing

@testable import Store

@Suite struct StateTests {
    let now = StoreFixture.start

    @Test func `100,000 open alerts load whole, and closed ones stay apart`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        for start in stride(from: 0, to: 110_000, by: 5000) {
            try await store.write(byteCount: 1 << 20) { transaction in
                for number in start..<start + 5000 {
                    try transaction.upsertAlert(alertRecord(number, isOpen: number < 100_000, byteCount: 400))
                }
            }
        }
        var (count, bytes) = (0, 0)
        try store.read {
            try $0.forEachOpenAlert { alert in
                count += 1
                bytes += alert.bytes.count
            }
        }
        #expect(count == 100_000 && bytes == 40_000_000)
        var closed = 0
        try store.read { try $0.forEachClosedEpisode { _, _ in closed += 1 } }
        #expect(closed == 10_000)
        await store.close(now: now)
    }

    @Test func `an alert is written, replaced, listed and forgotten`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        try await store.write(byteCount: 1) { transaction in
            for number in 0..<6 { try transaction.upsertAlert(alertRecord(number)) }
            try transaction.upsertAlert(alertRecord(2, isOpen: false))
            try transaction.deleteAlert(fingerprint: alertRecord(5).fingerprint)
        }
        let reader = try ReadOnlyStore(location: fixture.location)
        try reader.read { (reader: any StoreReader) throws -> Void in
            #expect(try reader.alert(fingerprint: alertRecord(1).fingerprint) == alertRecord(1))
            #expect(try reader.alert(fingerprint: alertRecord(5).fingerprint) == nil)
            #expect(try reader.openAlertCount() == 4)
            let open = AlertQuery(isOpen: true, rule: "r", severityMin: .error, countMax: 2, skipCount: 1)
            #expect(try reader.alerts(open) == [alertRecord(3), alertRecord(1)])
            let closed = AlertQuery(isOpen: false, rule: nil, severityMin: nil, countMax: 9, skipCount: 0)
            #expect(try reader.alerts(closed) == [alertRecord(2, isOpen: false)])
            let critical = AlertQuery(isOpen: nil, rule: nil, severityMin: .critical, countMax: 9, skipCount: 0)
            #expect(try reader.alerts(critical) == [])
        }
        await store.close(now: now)
    }

    @Test func `the history keeps its causes, newest first`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let now = now
        let print = alertRecord(1).fingerprint
        @Sendable func line(_ episode: Int64, cause: EventPosition?) -> TransitionRecord {
            TransitionRecord(
                fingerprint: print, rule: "r", table: "t", kind: 2, severity: .critical, previousSeverity: .warning,
                episode: episode, at: now, recordedAt: now, reason: "condition holds", keyDisplay: "k=1", cause: cause)
        }
        let position = EventPosition(topic: "t", partition: 4, offset: 77, version: 9)
        try await store.write(byteCount: 1) { transaction in
            try transaction.insertTransition(line(1, cause: position))
            try transaction.insertTransition(line(2, cause: nil))
        }
        let found = try store.read { try $0.transitions(fingerprint: print, countMax: 9) }
        #expect(found.map(\.episode) == [2, 1] && found.map(\.cause) == [nil, position])
        #expect(found[1].previousSeverity == .warning)
        #expect(try store.read { try $0.transitions(beforeId: found[0].id, countMax: 9) } == [found[1]])
        await store.close(now: now)
    }

    @Test func `dead letters beyond the limits keep their position and lose their bytes`() async throws {
        let fixture = StoreFixture()
        fixture.limits.deadLetterCountMax = 3
        fixture.limits.deadLetterBytesMax = 100
        fixture.limits.deadLetterPositionsMax = 5
        let store = try fixture.open()
        let now = now
        @Sendable func letter(_ number: Int, byteCount: Int) -> DeadLetterRecord {
            var letter = DeadLetterRecord(kind: .input, createdAt: now, reason: "no JSON")
            letter.topic = "t"
            letter.partition = 1
            letter.offset = Int64(number)
            letter.value = [UInt8](repeating: 7, count: byteCount)
            return letter
        }
        let ids = try await store.write(byteCount: 1) { transaction in
            try [40, 50, 20, 5, 5, 5, 5].enumerated().map {
                try transaction.insertDeadLetter(letter($0.offset, byteCount: $0.element))
            }
        }
        let found = try store.read {
            try $0.deadLetters(
                DeadLetterQuery(kind: .input, state: .open, receiver: nil, rule: nil, beforeId: nil, countMax: 99))
        }
        #expect(found.map(\.id) == ids.reversed())
        // 40 + 50 fit in 100 bytes, 20 does not, 5 does; then three are kept.
        #expect(found.reversed().map(\.areBytesDropped) == [false, false, true, false, true, true, true])
        #expect(found.reversed().map { $0.value?.count } == [40, 50, nil, 5, nil, nil, nil])
        #expect(found.allSatisfy { $0.topic == "t" && $0.partition == 1 && $0.offset != nil })
        try await store.write(byteCount: 1) { transaction in
            try transaction.settleDeadLetter(id: ids[0], state: .replayed, by: "ann", at: now)
            let again = code { try transaction.settleDeadLetter(id: ids[0], state: .discarded, by: "ann", at: now) }
            #expect(again == .conflict)
        }
        #expect(try store.read { try $0.openDeadLetterCounts() } == [.input: 6])
        // Two positions above the bound go, the oldest first, and are counted.
        try await store.runRetention(now: now, policy: .standard, sliceCountMax: 100)
        #expect(try store.read { try $0.deadLetter(id: ids[1]) } == nil)
        #expect(try store.read { try $0.deadLetter(id: ids[2])?.offset } == 2)
        #expect(try store.read { try $0.meta(StoreMetaKey.deadLettersForgotten) } == Array("2".utf8))
        await store.close(now: now)
        #expect(try ReadOnlyStore(location: fixture.location).check().problems == [])
    }

    @Test func `the evaluation log adds up and stays bounded`() async throws {
        let fixture = StoreFixture()
        fixture.limits.errorReasonsPerRuleMax = 3
        fixture.limits.errorReasonsMax = 5
        let store = try fixture.open()
        let now = now
        @Sendable func errors(
            _ rule: String, _ reason: String, _ count: Int64, at time: Int64
        ) -> EvaluationErrorRecord {
            let time = now.adding(milliseconds: time)
            return EvaluationErrorRecord(
                rule: rule, reason: reason, count: count, firstAt: time, lastAt: time, rowKey: "k", cause: nil)
        }
        try await store.write(byteCount: 1) { transaction in
            for time in 0..<10 { try transaction.addEvaluationErrors(errors("a", "null", 100, at: Int64(time))) }
            for number in 0..<50 { try transaction.addEvaluationErrors(errors("a", "r\(number)", 1, at: 20)) }
        }
        let found = try store.read { try $0.evaluationErrors(rule: "a", countMax: 99) }
        #expect(Set(found.map(\.reason)) == ["null", "r0", "other"])
        #expect(found.first { $0.reason == "null" }?.count == 1000)
        #expect(found.first { $0.reason == "null" }?.firstAt == now)
        #expect(found.first { $0.reason == "other" }?.count == 49)
        try await store.write(byteCount: 1) { transaction in
            for rule in 0..<20 { try transaction.addEvaluationErrors(errors("b\(rule)", "x", 1, at: 30)) }
        }
        #expect(try store.read { try $0.evaluationErrors(rule: nil, countMax: 99).count } == 5)
        await store.close(now: now)
    }

    @Test func `texts from outside are cut to their bound`() async throws {
        let fixture = StoreFixture()
        fixture.limits.textCharactersMax = 10
        let store = try fixture.open()
        let now = now
        let (letter, row) = try await store.write(byteCount: 1) { transaction in
            let long = String(repeating: "ä", count: 5000)
            let id = try transaction.insertOutbox(outboxRow())
            try transaction.settle(id: id, .of(.dead, at: now, reason: long), attempt: nil)
            let letter = DeadLetterRecord(kind: .input, createdAt: now, reason: long)
            return (try transaction.insertDeadLetter(letter), id)
        }
        #expect(try store.read { try $0.deadLetter(id: letter)?.reason } == String(repeating: "ä", count: 10))
        #expect(try store.read { try $0.outboxRow(id: row)?.reason } == String(repeating: "ä", count: 10))
        await store.close(now: now)
    }

    @Test func `a checkpoint replaces the one before at once, and its chunks go away`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let now = now
        func save(_ byte: UInt8, chunks: Int, completes: Bool) async throws -> Int64 {
            let id = try await store.write(byteCount: 1) { try $0.beginCheckpoint(name: "memory", at: now) }
            for index in 0..<chunks {
                try await store.write(byteCount: 1) {
                    try $0.appendCheckpointChunk(id: id, bytes: [byte, UInt8(index)])
                }
            }
            guard completes else { return id }
            try await store.write(byteCount: 1) {
                try $0.completeCheckpoint(
                    id: id, offsets: [TopicPartition(topic: "t", partition: 1): Int64(byte)],
                    ruleHashes: ["rule": "hash\(byte)"], at: now)
            }
            return id
        }
        _ = try await save(1, chunks: 3, completes: true)
        let unfinished = try await save(2, chunks: 2, completes: false)
        var found = try #require(try store.read { try $0.checkpoint(name: "memory") })
        #expect(found.offsets == [TopicPartition(topic: "t", partition: 1): 1] && found.chunkCount == 3)
        #expect(try store.read { try $0.checkpointChunk(id: found.id, index: 2) } == [1, 2])
        let third = try await save(3, chunks: 4, completes: true)
        found = try #require(try store.read { try $0.checkpoint(name: "memory") })
        #expect(found.id == third && found.ruleHashes == ["rule": "hash3"] && found.byteCount == 8)
        #expect(
            await code {
                try await store.write(byteCount: 1) { try $0.appendCheckpointChunk(id: unfinished, bytes: [0]) }
            } == .conflict)
        #expect(
            await code {
                try await store.write(byteCount: 1) {
                    try $0.appendCheckpointChunk(id: third, bytes: [UInt8](repeating: 0, count: (4 << 20) + 1))
                }
            } == .misuse)
        try await store.runRetention(now: now, policy: .standard, sliceCountMax: 100)
        let left = try await store.pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM checkpoint_chunks") }
        #expect(left == 4)
        #expect(try store.read { try $0.checkpointChunk(id: third, index: 3) } == [3, 3])
        await store.close(now: now)
    }

    @Test func `state of modules above and pair runs are kept by key`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let now = now
        let group = StateRecord(kind: "group", key: "a", dueAt: now, bytes: [1])
        let run = PairRunRecord(table: "t", rowKey: "k", version: 7, ranAt: now)
        try await store.write(byteCount: 1) { transaction in
            try transaction.upsertState(StateRecord(kind: "group", key: "a", dueAt: nil, bytes: []))
            try transaction.upsertState(group)
            try transaction.upsertState(StateRecord(kind: "silence", key: "a", dueAt: nil, bytes: [2]))
            try transaction.upsertState(StateRecord(kind: "group", key: "b", dueAt: nil, bytes: [3]))
            try transaction.deleteState(kind: "group", key: "b")
            try transaction.insertPairRun(run)
            try transaction.insertPairRun(run)
            try transaction.insertPairRun(
                PairRunRecord(table: "t", rowKey: "k", version: 6, ranAt: now.adding(milliseconds: -1)))
        }
        var found: [StateRecord] = []
        try store.read { try $0.forEachState(kind: "group") { found.append($0) } }
        #expect(found == [group])
        #expect(try store.read { try $0.state(kind: "silence", key: "a")?.bytes } == [2])
        #expect(try store.read { try $0.pairRuns(since: now) } == [run])
        #expect(try await store.write(byteCount: 1) { try $0.deletePairRuns(before: now, countMax: 9) } == 1)
        await store.close(now: now)
    }
}
