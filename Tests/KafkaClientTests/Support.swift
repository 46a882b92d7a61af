import Core
import Foundation
import KafkaClient
import Logging
import Synchronization
import Testing

/// A log handler that keeps what is written, for the tests that look for secrets and warnings.
struct RecordingLogHandler: LogHandler {
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func append(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// A message as it came, copied out of its batch.
struct Received: Equatable {
    var partition: TopicPartition
    var offset: Int64
    var timestamp: Int64
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [ProducerMessage.Header]
}

extension RawBatch {
    var received: [Received] {
        messages.map { message in
            Received(
                partition: partition(of: message), offset: message.offset, timestamp: message.timestamp,
                key: message.key.map { Array($0) }, value: message.value.map { Array($0) },
                headers: headers(of: message).map { .init(name: $0.name, value: $0.value.map { Array($0) }) })
        }
    }
}

struct DeadlineError: Error, CustomStringConvertible {
    var description: String
}

/// Runs `body`, which must end by itself; a test that hangs fails with `what` instead.
func within<Result: Sendable>(
    _ what: String, limit: Duration = .seconds(20), _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await ContinuousClock().sleep(for: limit)
            throw DeadlineError(description: "not in time: \(what)")
        }
        defer { group.cancelAll() }
        guard let result = try await group.next() else { throw DeadlineError(description: what) }
        return result
    }
}

/// A cluster with the settings that make the tests quick.
struct World {
    let cluster: MockCluster
    let metrics = MetricsRegistry()

    init(brokers: Int = 1, topics: [String: Int]) throws {
        cluster = try MockCluster(brokerCount: brokers)
        for (name, count) in topics { try cluster.createTopic(name, partitions: count) }
    }

    func configuration(_ extra: [String: String] = [:]) throws -> KafkaConfiguration {
        var properties = [
            "bootstrap.servers": cluster.bootstrapServers, "fetch.wait.max.ms": "10", "linger.ms": "0",
            "reconnect.backoff.ms": "20", "reconnect.backoff.max.ms": "100", "statistics.interval.ms": "100",
            "group.id": "test-group", "fetch.error.backoff.ms": "20", "retry.backoff.ms": "20",
        ]
        properties.merge(extra) { $1 }
        var configuration = try KafkaConfiguration(properties: properties)
        configuration.partitionDiscoveryInterval = .milliseconds(50)
        // Tests that still hold batches at their end need not wait for them.
        configuration.shutdownTimeout = .seconds(1)
        return configuration
    }

    func producer(_ extra: [String: String] = [:]) throws -> KafkaProducer {
        try KafkaProducer(configuration: configuration(extra), metrics: metrics, logger: quiet)
    }

    func consumer(_ topics: [String], _ change: (inout KafkaConfiguration) -> Void = { _ in }) throws -> KafkaConsumer {
        var configuration = try configuration()
        change(&configuration)
        return try KafkaConsumer(configuration: configuration, topics: topics, metrics: metrics, logger: quiet)
    }
}

extension KafkaConsumer {
    /// Assigns every partition from its beginning.
    @discardableResult
    func assignAll() async throws -> [PartitionInfo] {
        let found = try await partitions(within: .seconds(10))
        try await assign(Dictionary(uniqueKeysWithValues: found.map { ($0.topicPartition, $0.low) }))
        return found
    }

    /// Reads events until one makes `isDone` true; a deadline ends it.
    func read(_ what: String, until isDone: @escaping @Sendable (SourceEvent) -> Bool) async throws -> [SourceEvent] {
        try await within(what) {
            var all: [SourceEvent] = []
            while let events = try await self.next() {
                for event in events {
                    all.append(event)
                    if isDone(event) { return all }
                }
            }
            throw DeadlineError(description: "the consumer ended before: \(what)")
        }
    }

    /// Reads `count` messages and copies them.
    func receive(_ count: Int) async throws -> [Received] {
        try await within("\(count) messages") {
            var all: [Received] = []
            while all.count < count, let events = try await self.next() {
                for case .batch(let batch) in events { all += batch.received }
            }
            return all
        }
    }
}
