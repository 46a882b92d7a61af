public import Core
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#endif

/// Who holds a store's lock, as written in the lock file.
public struct LockHolder: Sendable, Equatable {
    public var processId: Int32
    public var host: String
    public var startedAt: Timestamp
    /// Where its control socket listens; empty where it has none.
    public var socketPath: String

    /// Describes a holder.
    public init(processId: Int32, host: String, startedAt: Timestamp, socketPath: String) {
        self.processId = processId
        self.host = host
        self.startedAt = startedAt
        self.socketPath = socketPath
    }

    /// This process.
    public static func current(startedAt: Timestamp, socketPath: String) -> LockHolder {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return LockHolder(processId: getpid(), host: host, startedAt: startedAt, socketPath: socketPath)
    }

    var bytes: [UInt8] {
        JSON.object([
            "pid": .integer(processId), "host": .string(host), "started_at": .string(startedAt.description),
            "socket": .string(socketPath),
        ]).bytes
    }

    init?(bytes: [UInt8]) {
        guard let value = try? JSON.parse(bytes), let process = value["pid"]?.intValue,
            let host = value["host"]?.stringValue, let started = value["started_at"]?.stringValue,
            let startedAt = Timestamp.parse(started), let socketPath = value["socket"]?.stringValue
        else { return nil }
        self.init(
            processId: Int32(clamping: process), host: host, startedAt: startedAt, socketPath: socketPath)
    }
}

/// The lock of one store: a lock of an open file that names the holder. The system frees it when the process dies.
///
/// It can be asked after without being taken, so that nobody who looks is ever in the way of a start.
public final class ProcessLock: Sendable {
    private let descriptor: Mutex<Int32>
    /// The lock file.
    public let path: String

    /// Takes the lock at once.
    /// - Throws: ``StoreError/Code/locked`` naming the holder; ``StoreError/Code/readOnly`` and others where the file
    ///   cannot be written.
    public init(location: StoreLocation, holder: LockHolder) throws {
        path = location.lockPath
        try location.makeFolder()
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreError.system(errno, doing: "opening \(path)") }
        guard ProcessLock.fileLock(file, ProcessLock.setLock) != nil else {
            let number = errno
            close(file)
            guard number == EAGAIN || number == EACCES else {
                throw StoreError.system(number, doing: "locking \(path)")
            }
            throw ProcessLock.lockedError(location)
        }
        descriptor = Mutex(file)
        do {
            try write(holder, to: file)
        } catch {
            release()
            throw error
        }
    }

    deinit { release() }

    private func write(_ holder: LockHolder, to file: Int32) throws {
        let bytes = holder.bytes
        guard ftruncate(file, 0) == 0, pwrite(file, bytes, bytes.count, 0) == bytes.count else {
            throw StoreError.system(errno, doing: "writing \(path)")
        }
    }

    /// Gives the lock up; the file stays, empty.
    public func release() {
        descriptor.withLock { file in
            guard file >= 0 else { return }
            _ = ftruncate(file, 0)
            close(file)
            file = -1
        }
    }

    /// Who holds the lock of a store; nil where it is free. Looks without disturbing the holder.
    /// - Throws: ``StoreError`` where the lock file exists and cannot be opened.
    public static func holder(of location: StoreLocation) throws -> LockHolder? {
        let file = open(location.lockPath, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw StoreError.system(errno, doing: "opening \(location.lockPath)")
        }
        defer { close(file) }
        guard let lock = fileLock(file, getLock) else {
            throw StoreError.system(errno, doing: "looking at the lock \(location.lockPath)")
        }
        if lock.l_type == Int16(F_UNLCK) { return nil }
        return readHolder(file) ?? LockHolder(processId: 0, host: "", startedAt: .epoch, socketPath: "")
    }

    /// Waits until the lock is free and takes it, for a process that stands by.
    /// - Parameter interval: how often it looks.
    /// - Throws: `CancellationError`, or ``StoreError`` other than ``StoreError/Code/locked``.
    public static func waitForLock(
        location: StoreLocation, holder: LockHolder, clock: any WallClock, interval: Duration
    ) async throws -> ProcessLock {
        while true {
            do {
                return try ProcessLock(location: location, holder: holder)
            } catch let error as StoreError where error.code == .locked {
                try await clock.sleep(until: clock.now().adding(interval))
            }
        }
    }

    /// Takes the lock of the whole file, or tells who is in the way of it without taking anything.
    ///
    /// Source: fcntl(2), "Open file description locks"; they belong to the open file, as those of flock(2) do.
    /// - Returns: what the system made of the question; nil where it refused, with `errno` set.
    private static func fileLock(_ file: Int32, _ command: Int32) -> flock? {
        var lock: flock = .init()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        return fcntl(file, command, &lock) == 0 ? lock : nil
    }

    private static let getLock: Int32 = 36  // F_OFD_GETLK of linux/fcntl.h
    private static let setLock: Int32 = 37  // F_OFD_SETLK

    private static func readHolder(_ file: Int32) -> LockHolder? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = pread(file, &bytes, bytes.count, 0)
        return count > 0 ? LockHolder(bytes: Array(bytes.prefix(count))) : nil
    }

    private static func lockedError(_ location: StoreLocation) -> StoreError {
        let file = open(location.lockPath, O_RDONLY | O_CLOEXEC)
        defer { if file >= 0 { close(file) } }
        guard file >= 0, let holder = readHolder(file) else {
            return StoreError(
                .locked, "Another process, just starting, holds the store \(location.databasePath).", systemCode: nil)
        }
        return StoreError(
            .locked,
            "Process \(holder.processId) on \(holder.host) holds the store \(location.databasePath) "
                + "since \(holder.startedAt).", systemCode: nil)
    }
}
