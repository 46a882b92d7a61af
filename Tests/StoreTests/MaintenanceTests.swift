import Core
import Foundation
import GRDB
import Testing

@testable import Store

@Suite struct MaintenanceTests {
    let now = StoreFixture.start

    @Test func `a backup taken while writing goes on is sound and restores to a bootstrap`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        try await store.write(byteCount: 1) { transaction in
            for number in 0..<50 { try transaction.upsertAlert(alertRecord(number)) }
            try transaction.advanceOffset(topic: "t", partition: 0, expected: nil, next: 50)
        }
        let backup = fixture.folder + "/backup.db"
        try ReadOnlyStore(location: fixture.location).backup(to: backup)
        #expect(code { try ReadOnlyStore(location: fixture.location).backup(to: backup) } == .conflict)
        try await store.write(byteCount: 1) {
            try $0.advanceOffset(topic: "t", partition: 0, expected: 50, next: 90)
        }
        // Refused while the service runs, and nothing is touched.
        #expect(code { try StoreRestore.restore(from: backup, to: fixture.location, now: now) } == .locked)
        #expect(try store.read { try $0.nextOffset(topic: "t", partition: 0) } == 90)
        await store.close(now: now)
        try StoreRestore.restore(from: backup, to: fixture.location, now: now)
        let restored = try fixture.open()
        #expect(restored.opening.isRestored && !restored.opening.isNew)
        #expect(try restored.read { try $0.nextOffset(topic: "t", partition: 0) } == 50)
        #expect(try restored.read { try $0.openAlertCount() } == 50)
        try await restored.write(byteCount: 1) { try $0.setMeta(StoreMetaKey.restoredAt, nil) }
        await restored.close(now: now)
        let again = try fixture.open()
        #expect(!again.opening.isRestored)
        await again.close(now: now)
        // Row bytes are for the owner alone.
        let modes = try [backup, fixture.location.databasePath].map {
            try FileManager.default.attributesOfItem(atPath: $0)[.posixPermissions] as? Int
        }
        #expect(modes == [0o600, 0o600])
        // The replaced database is kept.
        #expect(FileManager.default.fileExists(atPath: fixture.location.databasePath + ".replaced"))
    }

    @Test func `a damaged backup is refused and the store stays`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        try await store.write(byteCount: 1) { try $0.setMeta("mine", [1]) }
        await store.close(now: now)
        let backup = fixture.folder + "/broken.db"
        try Data(repeating: 0x55, count: 4096).write(to: URL(fileURLWithPath: backup))
        #expect(code { try StoreRestore.restore(from: backup, to: fixture.location, now: now) } == .corrupt)
        #expect(code { try StoreRestore.restore(from: backup + "x", to: fixture.location, now: now) } == .notFound)
        let same = try fixture.open()
        #expect(try same.read { try $0.meta("mine") } == [1])
        await same.close(now: now)
    }

    @Test func `the check names what is broken`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        try await store.write(byteCount: 1) { transaction in
            let first = try transaction.insertOutbox(outboxRow())
            let second = try transaction.insertOutbox(outboxRow())
            _ = try transaction.lease(id: second, .of(run, at: now))
            try transaction.supersede(id: first, by: second, reason: .newer, at: now)
        }
        #expect(try ReadOnlyStore(location: fixture.location).check().problems == [])
        try await store.pool.writeWithoutTransaction { database in
            try database.execute(
                sql: """
                    UPDATE outbox SET superseded_by = 77 WHERE state = 5;
                    UPDATE lanes SET waiting_count = 9;
                    UPDATE outbox_counts SET count = 5 WHERE state = 1;
                    INSERT INTO offsets VALUES ('t', 0, -4);
                    """)
        }
        let problems = try ReadOnlyStore(location: fixture.location).check().problems
        #expect(problems.count == 4, "\(problems)")
        #expect(problems.contains("a superseded row points at no other row: row 1 by 77"))
        #expect(problems.contains("an offset is negative: t[0]"))
        await store.close(now: now)
    }

    @Test func `retention removes what is old and settled, in small jobs, and nothing else`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let (run, now) = (store.run, now)
        let policy = RetentionPolicy(
            history: .seconds(100), attempts: .seconds(50), limiterSlots: .seconds(10), pairRuns: .seconds(10),
            sliceCount: 10, audit: .seconds(100))
        let kept = try await store.write(byteCount: 1) { transaction in
            for number in 0..<35 {
                let id = try transaction.insertOutbox(outboxRow(lane: "old\(number)"))
                _ = try transaction.lease(id: id, .of(run, at: now))
                let attempt = AttemptRecord(
                    outboxId: id, receiver: "team", number: 1, startedAt: now, finishedAt: now, outcome: .accepted,
                    statusCode: 200, detail: nil, providerId: nil, run: run)
                try transaction.settle(id: id, .of(.sent, at: now), attempt: attempt)
                try transaction.upsertAlert(alertRecord(number, isOpen: number < 5))
            }
            // An old superseded row whose successor is young, and one that waits for ever.
            let first = try transaction.insertOutbox(outboxRow(lane: "x"))
            let second = try transaction.insertOutbox(outboxRow(lane: "x"))
            try transaction.supersede(id: first, by: second, reason: .newer, at: now)
            return second
        }
        let later = now.adding(milliseconds: 101_000)
        #expect(try await store.runRetention(now: now, policy: policy, sliceCountMax: 100) == 0)
        let few = try await store.runRetention(now: later, policy: policy, sliceCountMax: 3)
        #expect(few > 0 && few <= 30)
        try await store.runRetention(now: later, policy: policy, sliceCountMax: 1000)
        let check = try ReadOnlyStore(location: fixture.location).check()
        #expect(check.problems == [])
        let counts = Dictionary(uniqueKeysWithValues: check.counts.map { ($0.name, $0.count) })
        #expect(counts["outbox"] == 1 && counts["attempts"] == 0 && counts["alerts"] == 5)
        #expect(try store.read { try $0.outboxRow(id: kept)?.state } == .waiting)
        #expect(store.size().databaseBytes > 0)
        await store.close(now: now)
    }

    @Test func `an unfinished start leaves a store that the next start finishes`() throws {
        // A process died after making the file and before the first migration was committed.
        let fixture = StoreFixture()
        try fixture.location.makeFolder()
        #expect(FileManager.default.createFile(atPath: fixture.location.databasePath, contents: Data()))
        let store = try fixture.open()
        #expect(store.run == 1 && store.opening.isNew && !store.opening.isAfterCrash)
        #expect(try store.read { try $0.offsets() } == [])
    }

    @Test func `commands that read need no lock and find no store where there is none`() async throws {
        let fixture = StoreFixture()
        #expect(code { try ReadOnlyStore(location: fixture.location) } == .notFound)
        let store = try fixture.open()
        try await store.write(byteCount: 1) { try $0.upsertAlert(alertRecord(1)) }
        let reader = try ReadOnlyStore(location: fixture.location)
        #expect(try reader.read { try $0.openAlertCount() } == 1)
        try await store.write(byteCount: 1) { try $0.upsertAlert(alertRecord(2)) }
        #expect(try reader.read { try $0.openAlertCount() } == 2)
        await store.close(now: now)
        // Also with the service down.
        #expect(try ReadOnlyStore(location: fixture.location).read { try $0.runs(countMax: 1)[0].endedAt } == now)
    }
}
