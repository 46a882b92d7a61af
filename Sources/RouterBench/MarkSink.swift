import Foundation
import Synchronization

/// A webhook on loopback that answers as Teams' workflows do, and notes when each request came.
final class MarkSink: Sendable {
    private struct State {
        var requestCount = 0
        /// When a mark was first seen in a request, in microseconds.
        var marks: [String: Int64] = [:]
        /// How many requests told of a mark as firing and as resolved.
        var tellings: [String: Tellings] = [:]
    }

    /// Requests that told of one mark.
    struct Tellings {
        var firing = 0
        var resolved = 0
    }

    let port: UInt16
    private let listener: Int32
    private let state = Mutex(State())
    /// Marks are texts such as `mark-17-` in the body of a request.
    private static let prefix = Array("mark-".utf8)
    private static let resolved = Array("\"status\":\"resolved\"".utf8)

    init() throws {
        (listener, port) = try Loopback.listen()
        Thread { [self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                Thread { [self] in serve(client) }.start()
            }
        }.start()
    }

    var url: String { "http://127.0.0.1:\(port)/workflows/bench" }
    var requestCount: Int { state.withLock { $0.requestCount } }
    var marks: [String: Int64] { state.withLock { $0.marks } }
    var markCount: Int { state.withLock { $0.marks.count } }
    var tellings: [String: Tellings] { state.withLock { $0.tellings } }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ client: Int32) {
        defer { close(client) }
        var on: Int32 = 1
        setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var buffer: [UInt8] = []
        while true {
            while let (head, total) = MarkSink.length(of: buffer), buffer.count >= total {
                note(buffer[head..<total])
                buffer.removeFirst(total)
                Loopback.write(client, Array("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".utf8))
            }
            guard let more = Loopback.read(client, upTo: 65_536) else { return }
            buffer += more
        }
    }

    /// Bytes of the head, and of the whole request; nil before the head is complete.
    static func length(of buffer: [UInt8]) -> (head: Int, total: Int)? {
        let end = Array("\r\n\r\n".utf8)
        guard buffer.count >= 4 else { return nil }
        var position = 0
        while position + 4 <= buffer.count, !buffer[position..<position + 4].elementsEqual(end) { position += 1 }
        guard position + 4 <= buffer.count else { return nil }
        let head = String(decoding: buffer[..<position], as: UTF8.self).lowercased()
        let length = head.components(separatedBy: "\r\n").first { $0.hasPrefix("content-length:") }
            .flatMap { Int($0.dropFirst("content-length:".count).trimmingCharacters(in: .whitespaces)) }
        return (position + 4, position + 4 + (length ?? 0))
    }

    private func note(_ body: ArraySlice<UInt8>) {
        let now = Loopback.microseconds()
        var found: Set<String> = []
        var index = body.startIndex
        let prefix = MarkSink.prefix
        while index + prefix.count < body.endIndex {
            if body[index] == prefix[0], body[index..<index + prefix.count].elementsEqual(prefix) {
                var end = index + prefix.count
                while end < body.endIndex, (48...57).contains(body[end]) { end += 1 }
                found.insert(String(decoding: body[index..<end], as: UTF8.self))
                index = end
            } else {
                index += 1
            }
        }
        let isResolved = body.firstRange(of: MarkSink.resolved) != nil
        state.withLock { state in
            state.requestCount += 1
            for mark in found {
                if state.marks[mark] == nil { state.marks[mark] = now }
                if isResolved {
                    state.tellings[mark, default: Tellings()].resolved += 1
                } else {
                    state.tellings[mark, default: Tellings()].firing += 1
                }
            }
        }
    }
}
