import Core
import Foundation
import GRDB
import Testing

@testable import Store

#if canImport(Glibc)
import Glibc
#endif

@Suite struct FailureTests {
    let now = StoreFixture.start

    /// Adds big rows until the store refuses; returns how many were acknowledged and the refusal.
    func fill(_ store: SQLiteStore, countMax: Int, from first: Int) async -> (acknowledged: Int, error: StoreError?) {
        for number in first..<(first + countMax) {
            do {
                try await store.write(byteCount: 1) { transaction in
                    try transaction.upsertAlert(alertRecord(number, byteCount: 20_000))
                    try transaction.advanceOffset(
                        topic: "t", partition: 0, expected: number == 0 ? nil : Int64(number), next: Int64(number + 1))
                }
            } catch {
                return (number - first, error as? StoreError)
            }
        }
        return (countMax, nil)
    }

    @Test func `a full database acknowledges nothing, loses nothing, and goes on when there is space`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let pages = try await store.pool.writeWithoutTransaction { database in
            let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            try database.execute(sql: "PRAGMA max_page_count = \(pages + 200)")
            return pages
        }
        #expect(pages > 10)
        let (acknowledged, error) = await fill(store, countMax: 500, from: 0)
        #expect(acknowledged > 10 && acknowledged < 100)
        #expect(error?.code == .diskFull && error?.actor == .operator && error?.isRecoverable == true)
        #expect(try store.read { try $0.openAlertCount() } == acknowledged)
        #expect(try store.read { try $0.nextOffset(topic: "t", partition: 0) } == Int64(acknowledged))
        // A job that swallows the failure fails all the same, and takes its chain along.
        let chain = WriteChain()
        let outcomes = Outcomes()
        store.submit(
            byteCount: 1, chain: chain,
            { transaction in
                for number in 1000..<1020 { try? transaction.upsertAlert(alertRecord(number, byteCount: 20_000)) }
            }, completion: { outcomes.note(0, $0) })
        store.submit(byteCount: 1, chain: chain, { try $0.setMeta("a", [1]) }, completion: { outcomes.note(1, $0) })
        let told = await Task.detached { outcomes.waitFor(2) }.value
        #expect((told[0].error as? StoreError)?.code == .diskFull)
        #expect(told[1].error != nil && chain.isBroken)
        #expect(try store.read { try $0.openAlertCount() } == acknowledged)
        // Space again: the probe tells, and writing goes on from the stored offset.
        try await store.pool.writeWithoutTransaction {
            try $0.execute(sql: "PRAGMA max_page_count = 1000000")
        }
        try await store.probe()
        let (more, none) = await fill(store, countMax: 30, from: acknowledged)
        #expect(more == 30 && none == nil)
        await store.close(now: now)
        #expect(try ReadOnlyStore(location: fixture.location).check().problems == [])
    }

    @Test func `a full file system acknowledges nothing and loses nothing`() async throws {
        let folder = NSTemporaryDirectory() + "/store-tmpfs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { rmdir(folder) }
        guard geteuid() == 0, mount("tmpfs", folder, "tmpfs", 0, "size=3m,mode=0700") == 0 else {
            // Only root may mount the small file system that this test fills.
            return
        }
        defer { umount2(folder, Int32(MNT_DETACH)) }
        let location = StoreLocation(folder: folder, name: "alert")
        let options = StoreOptions(location: location, limits: .standard, now: now, metrics: MetricsRegistry())
        let store = try SQLiteStore(options, holder: .current(startedAt: now, socketPath: ""))
        let ballast = folder + "/ballast"
        #expect(FileManager.default.createFile(atPath: ballast, contents: Data(count: 1 << 20)))
        let (acknowledged, error) = await fill(store, countMax: 500, from: 0)
        #expect(acknowledged < 200 && error?.code == .diskFull, "\(String(describing: error))")
        #expect(await code { try await store.probe() } == .diskFull)
        #expect(try store.read { try $0.openAlertCount() } == acknowledged)
        #expect(try store.read { try $0.nextOffset(topic: "t", partition: 0) ?? 0 } == Int64(acknowledged))
        try FileManager.default.removeItem(atPath: ballast)
        try await store.probe()
        let (more, none) = await fill(store, countMax: 3, from: acknowledged)
        #expect(more == 3 && none == nil)
        await store.close(now: now)
        #expect(try ReadOnlyStore(location: location).check().problems == [])
    }

    @Test func `a newer database refuses an older program and stays as it is`() async throws {
        let fixture = StoreFixture()
        await (try fixture.open()).close(now: now)
        do {
            let queue = try DatabaseQueue(path: fixture.location.databasePath)
            try await queue.writeWithoutTransaction {
                try $0.execute(sql: "PRAGMA user_version = \(Schema.version + 1)")
            }
        }
        #expect(code { try fixture.open() } == .newerSchema)
        #expect(code { try ReadOnlyStore(location: fixture.location) } == .newerSchema)
        // The lock was given up with the refusal.
        #expect(try ProcessLock.holder(of: fixture.location) == nil)
    }

    @Test func `a file that is no database, or another program's, is refused in plain words`() async throws {
        let fixture = StoreFixture()
        try fixture.location.makeFolder()
        try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: fixture.location.databasePath))
        #expect(code { try fixture.open() } == .corrupt)
        let other = StoreFixture()
        try other.location.makeFolder()
        do {
            let queue = try DatabaseQueue(path: other.location.databasePath)
            try await queue.write { try $0.execute(sql: "CREATE TABLE other (id)") }
        }
        #expect(code { try other.open() } == .corrupt)
    }

    @Test func `damaged pages are found by the check, and reading them is an error, not a crash`() async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        try await store.write(byteCount: 1) { transaction in
            for number in 0..<300 { try transaction.upsertAlert(alertRecord(number, byteCount: 3000)) }
        }
        await store.close(now: now)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: fixture.location.databasePath))
        for page in 120..<260 {
            try handle.seek(toOffset: UInt64(page * 4096))
            try handle.write(contentsOf: Data(repeating: 0xEE, count: 64))
        }
        try handle.close()
        let reader = try ReadOnlyStore(location: fixture.location)
        let found = try? reader.check()
        #expect(found == nil || found?.problems.isEmpty == false)
        #expect(code { try reader.read { try $0.forEachOpenAlert { _ in } } } == .corrupt)
    }

    @Test func `a file that only its owner could write is an error for the operator`() async throws {
        guard geteuid() != 0 else {
            // Root writes whatever the mode says; the classification is covered by the error table below.
            return
        }
        let fixture = StoreFixture()
        await (try fixture.open()).close(now: now)
        chmod(fixture.location.databasePath, 0o400)
        #expect(code { try fixture.open() } == .readOnly)
    }

    @Test(
        arguments: [
            (ResultCode.SQLITE_FULL, StoreError.Code.diskFull), (.SQLITE_READONLY, .readOnly),
            (.SQLITE_READONLY_DBMOVED, .readOnly), (.SQLITE_CANTOPEN, .readOnly), (.SQLITE_CORRUPT, .corrupt),
            (.SQLITE_NOTADB, .corrupt), (.SQLITE_IOERR_FSYNC, .inputOutput), (.SQLITE_BUSY, .locked),
            (.SQLITE_CONSTRAINT_CHECK, .misuse),
        ])
    func `each result of SQLite has its code`(result: ResultCode, code: StoreError.Code) {
        let error = StoreError.translating(DatabaseError(resultCode: result)) as? StoreError
        #expect(error?.code == code)
        #expect(error?.message.hasSuffix(".") == true)
        #expect(error?.isStorageFailure == (code != .misuse))
    }

    @Test func `every code names who must act`() {
        for code in StoreError.Code.allCases {
            let error = StoreError(code, "Something.", systemCode: 5)
            #expect(!error.actor.rawValue.isEmpty)
            #expect(error.description == "Something. (\(code.rawValue), 5)")
        }
    }
}
