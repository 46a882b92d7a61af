internal import Core

/// How far the publishing of a file is. A pure value.
public struct PublishProgress: Sendable, Equatable {
    private static let barWidth = 30

    /// Messages that the brokers took.
    public var messageCount: Int
    public var readByteCount: Int
    /// Bytes of the whole file; nil where nobody knows, as on standard input.
    public var byteCount: Int?
    public var elapsed: Duration

    /// Says how far it is.
    public init(messageCount: Int, readByteCount: Int, byteCount: Int?, elapsed: Duration) {
        self.messageCount = messageCount
        self.readByteCount = readByteCount
        self.byteCount = byteCount
        self.elapsed = elapsed
    }

    /// Messages per second since the beginning; of the first millisecond, as if it had passed.
    public var messagesPerSecond: Int64 {
        Int64(Double(messageCount) * 1000 / Double(max(1, elapsed.wholeMilliseconds)))
    }

    /// One line for a terminal: a bar with the share read where the size is known, messages, speed.
    public var line: String {
        let counts = "\(messageCount) messages  \(messagesPerSecond) messages/s"
        guard let byteCount else { return counts }
        // A file may grow or shrink while it is read.
        let share = byteCount <= 0 ? 1 : min(1, max(0, Double(readByteCount) / Double(byteCount)))
        let filled = Int(share * Double(PublishProgress.barWidth))
        let bar =
            String(repeating: "#", count: filled)
            + String(repeating: ".", count: PublishProgress.barWidth - filled)
        return "[\(bar)] \(Int(share * 100)) %  \(counts)"
    }
}
