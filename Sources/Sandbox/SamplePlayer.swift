public import Core
internal import Foundation
public import KafkaClient

/// Plays the sample tables into Kafka in the order of their commits, at a visible pace or as fast as possible.
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

    /// The samples, in the order of their commits; the order within a file is kept.
    public let lines: [Line]

    /// The topics that occur, sorted.
    public var topics: [String] { Set(lines.map(\.topic)).sorted() }

    /// Reads the sample tables that come with the program.
    public init() throws {
        guard let folder = Bundle.module.url(forResource: "Samples", withExtension: nil) else {
            throw Failure(description: "the sample tables are not beside the program")
        }
        try self.init(folder: folder.path)
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
                        Line(topic: topic, message: line.message(topic: topic, partition: nil), timestamp: time)
                    ))
            }
        }
        lines = all.sorted { ($0.line.timestamp, $0.order) < ($1.line.timestamp, $1.order) }.map(\.line)
    }

    /// Produces all lines and returns when every one is acknowledged.
    ///
    /// - Parameter onSent: told after each portion what was sent.
    public func play(
        _ producer: KafkaProducer, pace: Pace, clock: any WallClock, onSent: @escaping @Sendable (Portion) -> Void
    ) async throws {
        let portion: Int
        switch pace {
        case .unlimited: portion = 2000
        // Ten portions a second look even to the eye.
        case .perSecond(let rate): portion = max(1, Int(rate / 10))
        }
        let start = clock.now()
        var sent = 0
        while sent < lines.count {
            let part = lines[sent..<min(sent + portion, lines.count)]
            var done = Portion(sentAt: clock.now(), count: sent + part.count, reached: .epoch, places: [])
            for (line, report) in zip(part, try await producer.send(part.map(\.message))) {
                let location = try report.result.get()
                done.places.append(
                    Place(topic: line.topic, partition: location.partition, offset: location.offset))
                done.reached = line.timestamp
            }
            sent += part.count
            onSent(done)
            if case .perSecond(let rate) = pace {
                try await clock.sleep(until: start.adding(milliseconds: Int64(Double(sent) / rate * 1000)))
            }
        }
    }
}
