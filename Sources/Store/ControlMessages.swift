internal import Core
internal import Foundation

#if canImport(Glibc)
internal import Glibc
#endif

/// Bounds of the control protocol: one line of JSON as request, one line of JSON as answer, then the end.
public enum ControlLimits {
    /// Bytes of a request, its line end included.
    public static let requestBytesMax = 1 << 20
    /// Bytes of an answer, its line end included.
    public static let answerBytesMax = 64 << 20
    /// Requests served at one time.
    public static let connectionsMax = 16
    /// How long a client waits for its answer.
    public static let clientTimeout: Duration = .seconds(5)
}

/// Blocking reads and writes on a socket, with a deadline on the monotonic clock.
struct ControlConnection {
    let descriptor: Int32
    let deadline: ContinuousClock.Instant

    private var remainingMilliseconds: Int32 {
        let left = deadline - ContinuousClock.now
        return left <= .zero ? 0 : Int32(clamping: left.wholeMilliseconds + 1)
    }

    private func wait(for events: Int32) throws {
        while true {
            var poller = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let ready = poll(&poller, 1, remainingMilliseconds)
            if ready > 0 { return }
            if ready == 0 { throw StoreError(.noAnswer, "The other side did not answer in time.", systemCode: nil) }
            if errno != EINTR { throw StoreError.system(errno, doing: "waiting on the control socket") }
        }
    }

    /// Reads up to a line end (which is cut off).
    func readLine(bytesMax: Int) throws -> [UInt8] {
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            try wait(for: Int32(POLLIN))
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else {
                throw StoreError(.noAnswer, "The other side closed the control socket.", systemCode: nil)
            }
            if let end = buffer[..<count].firstIndex(of: UInt8(ascii: "\n")) { return line + buffer[..<end] }
            line += buffer[..<count]
            guard line.count < bytesMax else {
                throw StoreError(.misuse, "A control line has more than \(bytesMax) bytes.", systemCode: nil)
            }
        }
    }

    /// Writes a line and its end.
    func writeLine(_ line: [UInt8]) throws {
        let bytes = line + [UInt8(ascii: "\n")]
        var start = 0
        while start < bytes.count {
            try wait(for: Int32(POLLOUT))
            let count = bytes[start...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { throw StoreError.system(errno, doing: "writing to the control socket") }
            start += count
        }
    }
}

/// A Unix-domain address.
enum ControlAddress {
    static func with<T>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T) throws -> T {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count <= StoreLocation.socketPathBytesMax, !bytes.isEmpty else {
            throw StoreError(.misuse, "The control socket's path has \(bytes.count) bytes.", systemCode: nil)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    static func makeSocket() throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw StoreError.system(errno, doing: "making the control socket") }
        return descriptor
    }
}
