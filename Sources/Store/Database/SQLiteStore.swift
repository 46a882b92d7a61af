public import Core
internal import Foundation
internal import GRDB
internal import Synchronization

/// The store over SQLite: a folder, one process, one writer.
public final class SQLiteStore: RouterStore {
    /// What this start found.
    public struct Opening: Sendable, Equatable {
        /// The database was made by this start.
        public var isNew: Bool
        /// A backup was restored since the last start: bootstrap again, then clear ``StoreMetaKey/restoredAt``.
        public var isRestored: Bool
        /// Rows that were in flight when an earlier run died; they wait again, flagged ambiguous.
        public var freedLeaseCount: Int
        /// The run before this one did not end orderly.
        public var isAfterCrash: Bool
    }

    public let location: StoreLocation
    public let run: Int64
    /// What this start found.
    public let opening: Opening
    let pool: DatabasePool
    let limits: StoreLimits
    let metrics: StoreMetrics
    private let writer: GroupWriter
    private let lock: ProcessLock
    private let isClosed = Mutex(false)

    /// Opens or makes the store, under a lock that the caller took.
    ///
    /// Migrates an older database, begins a run, and frees what older runs had in flight.
    /// - Throws: ``StoreError`` with code `newerSchema`, `corrupt`, `readOnly`, `diskFull` or `inputOutput`.
    public init(_ options: StoreOptions, lock: ProcessLock) throws {
        let storeMetrics = StoreMetrics(options.metrics)
        let (database, isNew) = try SQLiteStore.openPool(options.location, now: options.now)
        let started = try StoreError.translated {
            try database.writeWithoutTransaction { try SQLiteStore.begin($0, options: options) }
        }
        self.lock = lock
        location = options.location
        limits = options.limits
        metrics = storeMetrics
        pool = database
        run = started.run
        opening = Opening(
            isNew: isNew, isRestored: started.isRestored, freedLeaseCount: started.freedLeaseCount,
            isAfterCrash: started.isAfterCrash)
        writer = GroupWriter(pool: database, limits: options.limits, metrics: storeMetrics)
    }

    /// Takes the lock and opens or makes the store.
    /// - Throws: ``StoreError/Code/locked`` naming the holder, and what ``init(_:lock:)`` throws.
    public convenience init(_ options: StoreOptions, holder: LockHolder) throws {
        let lock = try ProcessLock(location: options.location, holder: holder)
        do {
            try self.init(options, lock: lock)
        } catch {
            lock.release()
            throw error
        }
    }

    /// Lets queued jobs finish, notes the orderly end of the run, closes the files and gives up the lock.
    public func close(now: Timestamp) async {
        guard
            isClosed.withLock({ isClosed in
                defer { isClosed = true }; return !isClosed
            })
        else { return }
        let run = run
        try? await write(byteCount: 64) { transaction in
            try (transaction as? SQLiteTransaction)?.run(
                "UPDATE runs SET ended_at = ? WHERE id = ?", [now.milliseconds, run])
        }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let thread = Thread { [self] in
                writer.close()
                try? pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
                try? pool.close()
                lock.release()
                continuation.resume()
            }
            thread.start()
        }
    }

    // MARK: RouterStore

    /// Runs a job on the writer and returns when it is durable; see ``RouterStore``.
    public func write<T: Sendable>(
        byteCount: Int, _ body: @escaping @Sendable (any StoreTransaction) throws -> T
    ) async throws -> T {
        let box = Mutex<T?>(nil)
        return try await withCheckedThrowingContinuation { continuation in
            writer.submit(
                GroupWriter.Job(
                    byteCount: byteCount, chain: nil,
                    body: { transaction in
                        let value = try body(transaction)
                        box.withLock { $0 = value }
                    },
                    completion: { result in
                        switch (result, box.withLock { $0 }) {
                        case (.success, .some(let value)): continuation.resume(returning: value)
                        case (.failure(let error), _): continuation.resume(throwing: error)
                        case (.success, .none):
                            continuation.resume(
                                throwing: StoreError(.misuse, "A job ended without a value.", systemCode: nil))
                        }
                    }))
        }
    }

    /// Runs a job on the writer without waiting for it; see ``RouterStore``.
    public func submit(
        byteCount: Int, chain: WriteChain?, _ body: @escaping @Sendable (any StoreTransaction) throws -> Void,
        completion: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        writer.submit(
            GroupWriter.Job(byteCount: byteCount, chain: chain, body: { try body($0) }, completion: completion))
    }

    /// Reads one consistent state, on one of four connections; see ``RouterStore``.
    public func read<T>(_ body: (any StoreReader) throws -> T) throws -> T {
        guard !isClosed.withLock({ $0 }) else { throw StoreError(.closed, "The store is closed.", systemCode: nil) }
        return try StoreError.translated { try pool.read { try body(SQLiteReader($0)) } }
    }

    /// Writes and removes a page, to find out whether the store can be written again.
    public func probe() async throws {
        try await write(byteCount: 4096) { try $0.setMeta("store.probe", [UInt8](repeating: 0, count: 4096)) }
        try await write(byteCount: 0) { try $0.setMeta("store.probe", nil) }
    }
}

// MARK: - Opening

extension SQLiteStore {
    static func configuration(readOnly: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = readOnly
        configuration.foreignKeysEnabled = false
        configuration.maximumReaderCount = 4
        configuration.busyMode = .timeout(5)
        // A failed rollback must surface as an error of the group, never end the process.
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { database in
            guard !database.configuration.readonly else { return }
            try database.execute(
                sql: "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY")
        }
        return configuration
    }

    static func openPool(_ location: StoreLocation, now: Timestamp) throws -> (pool: DatabasePool, isNew: Bool) {
        try location.makeFolder()
        try StoreFile.makePrivate(location.databasePath)
        return try StoreError.translated {
            let pool = try DatabasePool(path: location.databasePath, configuration: configuration(readOnly: false))
            let isNew = try pool.writeWithoutTransaction { database in
                // The pool's WAL set-up leaves NORMAL, which may lose the last commits when the power fails.
                try database.execute(sql: "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864")
                return try migrate(database, now: now)
            }
            return (pool, isNew)
        }
    }

    /// Refuses files that are not ours or from the future.
    static func checkIdentity(_ database: Database) throws -> Int64 {
        let application = try Int64.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        let version = try Int64.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let tables = try Int64.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
        guard application == Schema.applicationId || (application == 0 && tables == 0) else {
            throw StoreError(.corrupt, "The database file belongs to another program.", systemCode: nil)
        }
        guard version <= Schema.version else {
            throw StoreError(
                .newerSchema,
                "The database has schema \(version), this program knows \(Schema.version): use a newer program.",
                systemCode: nil)
        }
        return version
    }

    /// Brings the schema up to date; returns whether there was none.
    static func migrate(_ database: Database, now: Timestamp) throws -> Bool {
        let first = try checkIdentity(database)
        var version = first
        while version < Schema.version {
            try database.inTransaction(.immediate) {
                try database.execute(sql: Schema.migrations[Int(version)])
                if version == 0 {
                    try database.execute(sql: "PRAGMA application_id = \(Schema.applicationId)")
                    try database.execute(
                        sql: "INSERT INTO meta (key, value) VALUES (?, ?)",
                        arguments: [StoreMetaKey.createdAt, Array("\(now.milliseconds)".utf8).blob])
                }
                try database.execute(sql: "PRAGMA user_version = \(version + 1)")
                return .commit
            }
            version += 1
        }
        return first == 0
    }

    private struct Start {
        var run: Int64
        var isRestored: Bool
        var freedLeaseCount: Int
        var isAfterCrash: Bool
    }

    /// Begins a run: leases of older runs are free at once, their limiter slots count from now.
    private static func begin(_ database: Database, options: StoreOptions) throws -> Start {
        let holder = LockHolder.current(startedAt: options.now, socketPath: "")
        var start = Start(run: 0, isRestored: false, freedLeaseCount: 0, isAfterCrash: false)
        try database.inTransaction(.immediate) {
            let transaction = SQLiteTransaction(database, limits: options.limits)
            start.isRestored = try transaction.meta(StoreMetaKey.restoredAt) != nil
            start.isAfterCrash = try transaction.runs(countMax: 1).first.map { $0.endedAt == nil } ?? false
            try transaction.run(
                "INSERT INTO runs (started_at, process_id, host) VALUES (?, ?, ?)",
                [options.now.milliseconds, holder.processId, holder.host])
            start.run = database.lastInsertedRowID
            start.freedLeaseCount = try transaction.freeLeases(olderThan: start.run, now: options.now)
            try transaction.run("UPDATE checkpoints SET stage = 2 WHERE stage = 0", [])
            try transaction.finish()
            return .commit
        }
        return start
    }
}

extension SQLiteTransaction {
    /// Leases of dead runs end: their rows wait again, flagged ambiguous, since the receiver may have taken them.
    func freeLeases(olderThan run: Int64, now: Timestamp) throws -> Int {
        let freed = try rows("SELECT \(SQL.outboxColumns) FROM outbox WHERE state = 1 AND lease_run < ?", [run]) {
            try $0.outbox()
        }
        for row in freed {
            try self.run(
                """
                UPDATE outbox SET state = 0, lease_run = NULL, lease_until = NULL, not_before = min(not_before, ?),
                  ambiguous_count = ambiguous_count + 1, reason = 'the process ended during an attempt' WHERE id = ?
                """, [now.milliseconds, row.id])
            staleLanes.insert(Lane(receiver: row.receiver, lane: row.lane))
        }
        try self.run(
            "UPDATE limiter_slots SET answered_at = ? WHERE answered_at IS NULL AND run < ?", [now.milliseconds, run])
        return freed.count
    }
}
