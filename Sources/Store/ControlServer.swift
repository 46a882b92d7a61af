internal import Foundation
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#endif

/// Answers control commands on a Unix-domain socket that only its owner can reach.
public final class ControlServer: Sendable {
    /// Answers one request line with one answer line, neither with its line end.
    public typealias Handler = @Sendable (_ request: [UInt8]) async -> [UInt8]

    /// Where it listens.
    public let path: String
    private let descriptor: Int32
    private let wakeWrite: Int32
    private let wakeRead: Int32
    private let handler: Handler
    private let requestTimeout: Duration
    private let connectionCount = Mutex(0)
    private let isStopped = Mutex(false)
    private let ended = NSCondition()
    private let hasEnded = Mutex(false)
    private static let executor = ControlExecutor()

    /// Listens, on a thread of its own. The caller holds the store's lock, so a socket left by a dead process is
    /// removed.
    /// - Parameter requestTimeout: how long a client may take to send its line and to read its answer.
    /// - Throws: ``StoreError`` where the socket cannot be made.
    public init(path: String, requestTimeout: Duration, handler: @escaping Handler) throws {
        self.path = path
        self.handler = handler
        self.requestTimeout = requestTimeout
        try ControlServer.prepareFolder(of: path)
        unlink(path)
        let listener = try ControlAddress.makeSocket()
        do {
            let bound = try ControlAddress.with(path) { bind(listener, $0, $1) }
            guard bound == 0 else { throw StoreError.system(errno, doing: "binding \(path)") }
            guard chmod(path, 0o600) == 0, listen(listener, 16) == 0 else {
                throw StoreError.system(errno, doing: "listening on \(path)")
            }
        } catch {
            Glibc.close(listener)
            throw error
        }
        var pipes: [Int32] = [-1, -1]
        guard pipe(&pipes) == 0 else {
            let number = errno
            Glibc.close(listener)
            throw StoreError.system(number, doing: "making a pipe")
        }
        for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        descriptor = listener
        wakeRead = pipes[0]
        wakeWrite = pipes[1]
        let thread = Thread { [self] in serve() }
        thread.name = "control"
        thread.stackSize = 1 << 19
        thread.start()
    }

    /// Stops listening and removes the socket. Requests under way are still answered. Blocks for a moment.
    public func stop() {
        let isFirst = isStopped.withLock { isStopped in
            defer { isStopped = true }
            return !isStopped
        }
        guard isFirst else { return }
        var byte: UInt8 = 1
        _ = Glibc.write(wakeWrite, &byte, 1)
        ended.lock()
        while !hasEnded.withLock({ $0 }) { ended.wait() }
        ended.unlock()
        unlink(path)
        Glibc.close(descriptor)
        Glibc.close(wakeRead)
        Glibc.close(wakeWrite)
    }

    private static func prepareFolder(of path: String) throws {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let folder = String(path[..<slash])
        try StoreLocation.makePrivateFolder(folder)
        var status = stat()
        guard lstat(folder, &status) == 0, status.st_uid == geteuid() || geteuid() == 0 else {
            throw StoreError(
                .readOnly, "The folder \(folder) of the control socket belongs to another user.", systemCode: nil)
        }
        guard chmod(folder, 0o700) == 0 else { throw StoreError.system(errno, doing: "closing \(folder) to others") }
    }

    private func serve() {
        while true {
            var pollers = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&pollers, 2, -1)
            if ready < 0, errno != EINTR { break }
            if pollers[1].revents != 0 { break }
            guard ready > 0, pollers[0].revents != 0 else { continue }
            let client = accept(descriptor, nil, nil)
            guard client >= 0 else {
                // Out of descriptors: leave the client in the queue for a moment instead of spinning.
                if errno == EMFILE || errno == ENFILE { usleep(50_000) }
                continue
            }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            welcome(client)
        }
        ended.lock()
        hasEnded.withLock { $0 = true }
        ended.broadcast()
        ended.unlock()
    }

    private func welcome(_ client: Int32) {
        let isWelcome = connectionCount.withLock { count in
            guard count < ControlLimits.connectionsMax else { return false }
            count += 1
            return true
        }
        guard isWelcome, ControlServer.isOwner(client) else {
            let connection = ControlConnection(descriptor: client, deadline: ContinuousClock.now)
            try? connection.writeLine(Array(#"{"error":"too many control requests, or not the owner"}"#.utf8))
            Glibc.close(client)
            if isWelcome { connectionCount.withLock { $0 -= 1 } }
            return
        }
        let thread = Thread { [self] in
            answer(client)
            Glibc.close(client)
            connectionCount.withLock { $0 -= 1 }
        }
        thread.name = "control-request"
        thread.stackSize = 1 << 19
        thread.start()
    }

    /// Only the socket's owner and root may command.
    private static func isOwner(_ client: Int32) -> Bool {
        // struct ucred: process, user and group, 32 bits each.
        var credentials: (UInt32, UInt32, UInt32) = (0, .max, .max)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else { return false }
        return credentials.1 == geteuid() || credentials.1 == 0
    }

    private func answer(_ client: Int32) {
        do {
            let incoming = ControlConnection(descriptor: client, deadline: ContinuousClock.now + requestTimeout)
            let request = try incoming.readLine(bytesMax: ControlLimits.requestBytesMax)
            let box = Mutex<[UInt8]>([])
            let done = DispatchSemaphore(value: 0)
            Task(executorPreference: ControlServer.executor) { [handler] in
                let line = await handler(request)
                box.withLock { $0 = line }
                done.signal()
            }
            done.wait()
            var line = box.withLock { $0 }
            if line.count >= ControlLimits.answerBytesMax || line.contains(UInt8(ascii: "\n")) {
                line = Array(#"{"error":"the answer is too long: ask for less"}"#.utf8)
            }
            let outgoing = ControlConnection(descriptor: client, deadline: ContinuousClock.now + requestTimeout)
            try outgoing.writeLine(line)
        } catch let error as StoreError where error.code == .misuse {
            let outgoing = ControlConnection(descriptor: client, deadline: ContinuousClock.now + requestTimeout)
            try? outgoing.writeLine(Array(#"{"error":"the request is too long"}"#.utf8))
        } catch {
            // The client is gone or too slow: nobody is left to tell.
        }
    }
}

/// Threads for answers: a command is answered in its time also while everything else is busy, or blocks.
private final class ControlExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "control-answers", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
