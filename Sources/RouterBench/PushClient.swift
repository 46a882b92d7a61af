import Foundation

/// Posts alerts to `/api/v2/alerts` over one connection that is kept.
final class PushClient {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(port: UInt16) throws {
        guard let descriptor = Loopback.connect(port: port) else {
            throw Loopback.Failure(description: "nobody listens on port \(port)")
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Posts a body that was made by ``body(_:isResolved:)`` and waits for the answer.
    func post(_ body: [UInt8]) throws {
        let head =
            "POST /api/v2/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        guard Loopback.write(descriptor, Array(head.utf8) + body) else {
            throw Loopback.Failure(description: "the connection ended")
        }
        while true {
            if let (head, total) = MarkSink.length(of: buffer), buffer.count >= total {
                let status = String(decoding: buffer[..<min(15, head)], as: UTF8.self)
                guard status.hasPrefix("HTTP/1.1 200") else {
                    let text = String(decoding: buffer[head..<total], as: UTF8.self)
                    throw Loopback.Failure(description: "\(status): \(text)")
                }
                buffer.removeFirst(total)
                return
            }
            guard let more = Loopback.read(descriptor, upTo: 65_536) else {
                throw Loopback.Failure(description: "the connection ended before an answer")
            }
            buffer += more
        }
    }

    /// Alerts as Prometheus pushes them, each with a mark of its number.
    static func body(_ numbers: Range<Int>, isResolved: Bool) -> [UInt8] {
        let end = isResolved ? ",\"endsAt\":\"2026-01-01T00:00:00Z\",\"startsAt\":\"2025-12-31T00:00:00Z\"" : ""
        let alerts = numbers.map { number in
            "{\"labels\":{\"alertname\":\"DiskFull\",\"severity\":\"warning\",\"job\":\"node\","
                + "\"instance\":\"host-\(number % 500):9100\",\"device\":\"mark-\(number)-\"},"
                + "\"annotations\":{\"summary\":\"Disk of host \(number % 500) is 93 % full\","
                + "\"description\":\"It fills up in about four hours.\"},"
                + "\"generatorURL\":\"http://prometheus.example.com/graph?g0.expr=disk\"\(end)}"
        }
        return Array("[\(alerts.joined(separator: ","))]".utf8)
    }
}
