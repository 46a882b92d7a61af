internal import Foundation

#if canImport(Glibc)
internal import Glibc
#endif

/// Sends a command to the service that holds a store.
public enum ControlClient {
    /// Where a command for a store goes.
    public enum Route: Sendable, Equatable {
        /// A service holds the store: its socket answers.
        case service(LockHolder)
        /// Nobody holds the store: take the lock and act on the database.
        case free
    }

    /// Finds out who takes a command.
    /// - Throws: ``StoreError`` where the lock file cannot be read.
    public static func route(for location: StoreLocation) throws -> Route {
        try ProcessLock.holder(of: location).map { .service($0) } ?? .free
    }

    /// Sends one request line and reads one answer line, on a thread of its own, within `timeout`.
    /// - Throws: ``StoreError/Code/noAnswer`` where nobody listens or answers in time (exit code 3),
    ///   ``StoreError/Code/misuse`` where the request is no single line or too long.
    public static func send(_ request: [UInt8], to path: String, timeout: Duration) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
                continuation.resume(with: Result { try sendBlocking(request, to: path, timeout: timeout) })
            }
            thread.name = "control-client"
            thread.start()
        }
    }

    static func sendBlocking(_ request: [UInt8], to path: String, timeout: Duration) throws -> [UInt8] {
        guard request.count < ControlLimits.requestBytesMax, !request.contains(UInt8(ascii: "\n")) else {
            throw StoreError(.misuse, "A control request is one line of at most 1 MiB.", systemCode: nil)
        }
        let descriptor = try ControlAddress.makeSocket()
        defer { close(descriptor) }
        let connection = ControlConnection(descriptor: descriptor, deadline: ContinuousClock.now + timeout)
        // A full backlog must not block longer than the timeout.
        var limit = timeval(tv_sec: time_t(max(1, timeout.components.seconds)), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let connected = try ControlAddress.with(path) { connect(descriptor, $0, $1) }
        guard connected == 0 else {
            throw StoreError(
                .noAnswer, "The service does not listen on \(path): \(String(cString: strerror(errno))).",
                systemCode: errno)
        }
        try connection.writeLine(request)
        return try connection.readLine(bytesMax: ControlLimits.answerBytesMax)
    }
}
