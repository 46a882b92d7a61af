import Foundation
import Synchronization

/// A TCP relay on loopback in front of a Kafka broker that notes when the first Fetch request passes.
///
/// The broker names its own address in its answers, which would lead clients past the relay; so the port after
/// `127.0.0.1` in answers is replaced by the relay's.
final class KafkaRelay: Sendable {
    /// The number of the Fetch request in the Kafka protocol.
    private static let fetchKey: UInt16 = 1

    let port: UInt16
    private let listener: Int32
    private let brokerPort: UInt16
    private let firstFetch = Mutex<ContinuousClock.Instant?>(nil)
    private let waiter = DispatchSemaphore(value: 0)

    /// Listens on a free port and relays to the broker's port on 127.0.0.1.
    init(brokerPort: UInt16) throws {
        self.brokerPort = brokerPort
        (listener, port) = try Loopback.listen()
        let thread = Thread { [self] in acceptLoop() }
        thread.start()
    }

    /// Waits until a Fetch request passed; nil when none does in time. Then the next is waited for.
    func waitForFetch(seconds: Int) -> ContinuousClock.Instant? {
        guard waiter.wait(timeout: .now() + .seconds(seconds)) == .success else { return nil }
        return firstFetch.withLock { $0 }
    }

    /// Forgets the Fetch that was seen.
    func reset() { firstFetch.withLock { $0 = nil } }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func acceptLoop() {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { return }
            guard let broker = Loopback.connect(port: brokerPort) else {
                close(client)
                continue
            }
            Thread { [self] in relay(from: client, to: broker) { noteFetch($0) } }.start()
            Thread { [self] in relay(from: broker, to: client) { replacePorts(&$0) } }.start()
        }
    }

    private func noteFetch(_ frame: [UInt8]) {
        guard frame.count >= 6, UInt16(frame[4]) << 8 | UInt16(frame[5]) == KafkaRelay.fetchKey else { return }
        let isFirst = firstFetch.withLock { first in
            if first != nil { return false }
            first = ContinuousClock.now
            return true
        }
        if isFirst { waiter.signal() }
    }

    private func replacePorts(_ frame: inout [UInt8]) {
        let host = Array("127.0.0.1".utf8)
        let port = [0, 0, UInt8(self.port >> 8), UInt8(self.port & 255)]
        var index = 4
        while index + host.count + 4 <= frame.count {
            if frame[index] == host[0], Array(frame[index..<index + host.count]) == host {
                frame.replaceSubrange(index + host.count..<index + host.count + 4, with: port)
                index += host.count + 4
            } else {
                index += 1
            }
        }
    }

    /// Relays whole frames: four bytes of length, then that many bytes.
    private func relay(from source: Int32, to target: Int32, _ look: (inout [UInt8]) -> Void) {
        defer {
            shutdown(source, Int32(SHUT_RDWR))
            shutdown(target, Int32(SHUT_RDWR))
        }
        while let head = Loopback.read(source, count: 4) {
            let length = head.reduce(0) { $0 << 8 | Int($1) }
            guard length > 0, length < 200_000_000, let body = Loopback.read(source, count: length) else { return }
            var frame = head + body
            // Answers with messages are large and name no address.
            if frame.count < 1 << 20 { look(&frame) }
            guard Loopback.write(target, frame) else { return }
        }
    }
}
