public import Core
internal import Foundation
internal import GRDB

#if canImport(Glibc)
internal import Glibc
#endif

/// A store opened for reading only, without its lock: for commands that list and show, beside a running service.
public final class ReadOnlyStore: Sendable {
    private let queue: DatabaseQueue

    /// Opens an existing store.
    /// - Throws: ``StoreError/Code/notFound`` where there is none, ``StoreError/Code/newerSchema``, or
    ///   ``StoreError/Code/corrupt``.
    public convenience init(location: StoreLocation) throws {
        try self.init(path: location.databasePath)
    }

    init(path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else {
            throw StoreError(.notFound, "There is no store at \(path).", systemCode: nil)
        }
        queue = try StoreError.translated {
            let queue = try DatabaseQueue(path: path, configuration: SQLiteStore.configuration(readOnly: true))
            let version = try queue.read { try SQLiteStore.checkIdentity($0) }
            guard version == Schema.version else {
                throw StoreError(
                    .notFound, "The store at \(path) has the older schema \(version): start the service once.",
                    systemCode: nil)
            }
            return queue
        }
    }

    /// Reads one consistent state.
    /// - Throws: ``StoreError`` and what `body` throws.
    public func read<T>(_ body: (any StoreReader) throws -> T) throws -> T {
        try StoreError.translated { try queue.read { try body(SQLiteReader($0)) } }
    }

    /// Examines the file and the store's own rules. Reads everything: seconds per gigabyte.
    /// - Throws: ``StoreError`` where the file cannot be read at all.
    public func check() throws -> StoreCheck {
        try StoreError.translated { try queue.read { try StoreExamination(SQLiteReader($0)).run() } }
    }

    /// Writes a compact copy of the present state to a file that must not exist.
    ///
    /// The copy is complete or absent: it is written beside its name, made durable, then renamed.
    /// - Throws: ``StoreError``, with code `conflict` where the file exists.
    public func backup(to path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else {
            throw StoreError(.conflict, "\(path) exists: a backup replaces no file.", systemCode: nil)
        }
        let partial = path + ".partial"
        unlink(partial)
        do {
            // SQLite takes an empty file as it finds it, and keeps its mode.
            try StoreFile.makePrivate(partial)
            try StoreError.translated {
                try queue.inDatabase { try $0.execute(sql: "VACUUM INTO ?", arguments: [partial]) }
            }
            try StoreFile.sync(partial)
            guard rename(partial, path) == 0 else { throw StoreError.system(errno, doing: "renaming \(partial)") }
            try StoreFile.syncFolder(of: path)
        } catch {
            unlink(partial)
            throw error
        }
    }
}

/// Brings back a backup.
public enum StoreRestore {
    /// Replaces a store's database by a backup, and marks it so that the next start bootstraps.
    ///
    /// The replaced database stays beside it as `NAME.db.replaced`.
    /// - Throws: ``StoreError/Code/locked`` naming the holder while a process uses the store; `corrupt` or
    ///   `newerSchema` where the backup cannot be used: then nothing was changed.
    public static func restore(from backup: String, to location: StoreLocation, now: Timestamp) throws {
        let source = try ReadOnlyStore(path: backup)
        let found = try source.check()
        guard found.problems.isEmpty else {
            throw StoreError(.corrupt, "The backup \(backup) is damaged: \(found.problems[0])", systemCode: nil)
        }
        let holder = LockHolder.current(startedAt: now, socketPath: "")
        let lock = try ProcessLock(location: location, holder: holder)
        defer { lock.release() }
        let partial = location.databasePath + ".restoring"
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(partial + suffix) }
        do {
            try source.backup(to: partial)
            try mark(partial, now: now)
            try StoreFile.sync(partial)
        } catch {
            for suffix in ["", "-wal", "-shm", "-journal"] { unlink(partial + suffix) }
            throw error
        }
        try replace(location, by: partial)
    }

    private static func mark(_ path: String, now: Timestamp) throws {
        try StoreError.translated {
            var configuration = Configuration()
            configuration.journalMode = .default
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.write {
                try $0.execute(
                    sql: "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
                    arguments: [StoreMetaKey.restoredAt, Array("\(now.milliseconds)".utf8).blob])
            }
            try queue.close()
        }
    }

    private static func replace(_ location: StoreLocation, by partial: String) throws {
        let path = location.databasePath
        if FileManager.default.fileExists(atPath: path) {
            // The log belongs to the old database; fold it in, or it would be replayed into the new one.
            if let old = try? DatabaseQueue(path: path, configuration: SQLiteStore.configuration(readOnly: false)) {
                _ = try? old.writeWithoutTransaction { try $0.checkpoint(.truncate) }
                try? old.close()
            }
            guard rename(path, path + ".replaced") == 0 else {
                throw StoreError.system(errno, doing: "renaming \(path)")
            }
        }
        for suffix in ["-wal", "-shm"] { unlink(path + suffix) }
        guard rename(partial, path) == 0 else { throw StoreError.system(errno, doing: "renaming \(partial)") }
        try StoreFile.syncFolder(of: path)
    }
}

enum StoreFile {
    /// Makes an empty file for its owner alone, where it is missing.
    static func makePrivate(_ path: String) throws {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreError.system(errno, doing: "opening \(path)") }
        Glibc.close(file)
    }

    static func sync(_ path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreError.system(errno, doing: "opening \(path)") }
        defer { Glibc.close(file) }
        guard fsync(file) == 0 else { throw StoreError.system(errno, doing: "syncing \(path)") }
    }

    static func syncFolder(of path: String) throws {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        try sync(folder)
    }
}
