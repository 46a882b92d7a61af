public import Core
internal import Foundation
public import KafkaClient

/// Plays the sample tables into Kafka in the order of their commits, at a visible pace or as fast as possible.
///
/// Under `clock: data` the samples' own times are the clock, and the router may count on rows that arrive within
/// `max_delay` of it. So at any pace a commit is played only after the one before was read: a partition must not bring
/// the afternoon while the morning still waits in another.
public struct SamplePlayer: Sendable {
    /// How many messages a second are played.
    public enum Pace: Sendable, Equatable {
        case perSecond(Double)
        case unlimited
    }

    /// One message with its place among all.
    public struct Line: Sendable {
        public var topic: String
        public var message: ProducerMessage
        public var timestamp: Timestamp
    }

    /// Where a message went.
    public struct Place: Sendable, Hashable {
        public var topic: String
        public var partition: Int32
        public var offset: Int64

        /// Names a message.
        public init(topic: String, partition: Int32, offset: Int64) {
            self.topic = topic
            self.partition = partition
            self.offset = offset
        }
    }

    /// Messages that were sent together.
    public struct Portion: Sendable {
        /// When sending them began.
        public var sentAt: Timestamp
        /// How many were sent so far, these included.
        public var count: Int
        /// The time that the samples have reached.
        public var reached: Timestamp
        public var places: [Place]
    }

    /// Why samples cannot be played.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// Partitions that each topic needs: lines that say where they belong name one of them.
    public static let partitionCount = 3

    /// The samples, in the order of their commits; the order within a file is kept.
    public let lines: [Line]

    /// The topics that occur, sorted.
    public var topics: [String] { Set(lines.map(\.topic)).sorted() }

    /// Reads the sample tables that come with the program.
    public init() throws {
        guard let folder = SampleFiles.tables else {
            throw Failure(description: "the sample tables are not beside the program (\(SampleFiles.bundleName))")
        }
        try self.init(folder: folder)
    }

    /// Reads every `*.ndjson` of a folder.
    public init(folder: String) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".ndjson") }
        var all: [(order: Int, line: Line)] = []
        for name in names.sorted() {
            var reader = try PublishLineReader(path: folder + "/" + name)
            while let line = try reader.next() {
                guard let topic = line.topic else {
                    throw Failure(description: "\(name):\(reader.lineNumber): the line names no topic")
                }
                let time = Timestamp(milliseconds: line.timestampMilliseconds ?? 0)
                all.append(
                    (
                        all.count,
                        Line(
                            topic: topic, message: line.message(topic: topic, partition: line.partitionHint),
                            timestamp: time)
                    ))
            }
        }
        lines = all.sorted { ($0.line.timestamp, $0.order) < ($1.line.timestamp, $1.order) }.map(\.line)
    }

    /// When each topic's last commit was.
    public var lastCommits: [String: Timestamp] {
        Dictionary(lines.map { ($0.topic, $0.timestamp) }, uniquingKeysWith: max)
    }

    /// Produces all lines and returns when every one is acknowledged.
    ///
    /// - Parameters:
    ///   - onSent: told after each portion what was sent.
    ///   - untilRead: waits until so many messages in all were read; called after each commit.
    public func play(
        _ producer: KafkaProducer, pace: Pace, clock: any WallClock, onSent: @escaping @Sendable (Portion) -> Void,
        untilRead: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let start = clock.now()
        var sent = 0
        while sent < lines.count {
            let part = lines[sent..<portionEnd(from: sent, pace: pace)]
            var done = Portion(sentAt: clock.now(), count: sent + part.count, reached: .epoch, places: [])
            for (line, report) in zip(part, try await producer.send(part.map(\.message))) {
                let location = try report.result.get()
                done.places.append(
                    Place(topic: line.topic, partition: location.partition, offset: location.offset))
                done.reached = line.timestamp
            }
            sent += part.count
            onSent(done)
            if sent == lines.count || lines[sent].timestamp != done.reached { try await untilRead(sent) }
            if case .perSecond(let rate) = pace {
                try await clock.sleep(until: start.adding(milliseconds: Int64(Double(sent) / rate * 1000)))
            }
        }
    }

    /// Ten portions a second look even to the eye; no portion goes beyond its commit.
    private func portionEnd(from start: Int, pace: Pace) -> Int {
        let commit = lines[start].timestamp
        let end = lines[start...].firstIndex { $0.timestamp != commit } ?? lines.count
        switch pace {
        case .unlimited: return end
        case .perSecond(let rate): return min(end, start + max(1, Int(rate / 10)))
        }
    }
}
