import KafkaClient
import Testing

/// The line that tells how far publishing is, for whatever a file does meanwhile.
struct PublishProgressTests {
    private static func line(_ messages: Int, _ read: Int, _ all: Int?, _ milliseconds: Int) -> String {
        PublishProgress(
            messageCount: messages, readByteCount: read, byteCount: all, elapsed: .milliseconds(milliseconds)
        ).line
    }

    @Test func `it shows the share that is read, the messages that were taken, and the speed`() {
        let half = String(repeating: "#", count: 15) + String(repeating: ".", count: 15)
        #expect(Self.line(5000, 500, 1000, 2000) == "[\(half)] 50 %  5000 messages  2500 messages/s")
        let full = String(repeating: "#", count: 30)
        #expect(Self.line(3, 1000, 1000, 1500) == "[\(full)] 100 %  3 messages  2 messages/s")
        let empty = String(repeating: ".", count: 30)
        #expect(Self.line(1, 9, 1000, 1000) == "[\(empty)] 0 %  1 messages  1 messages/s")
    }

    @Test func `without a size there is no bar`() {
        #expect(Self.line(10, 500, nil, 1000) == "10 messages  10 messages/s")
    }

    @Test func `a file that grows, shrinks or is empty, and a clock that did not move, are no trouble`() {
        let full = "[\(String(repeating: "#", count: 30))] 100 %"
        #expect(Self.line(10, 1500, 1000, 1000).hasPrefix(full))
        #expect(Self.line(10, 1500, 0, 1000).hasPrefix(full))
        #expect(Self.line(0, 0, 0, 0) == "\(full)  0 messages  0 messages/s")
        #expect(Self.line(7, 10, nil, 0) == "7 messages  7000 messages/s")
        #expect(Self.line(7, 10, nil, -5) == "7 messages  7000 messages/s")
    }
}
