public import Core
public import KafkaClient
public import Spine

/// Kafka as the event source of a worker.
public final class KafkaEventSource: EventSource {
    /// How long Kafka may take to answer a question at start.
    public static let answerMax: Duration = .seconds(30)

    private let consumer: KafkaConsumer

    /// Reads through a consumer; its owner shuts it down.
    public init(consumer: KafkaConsumer) { self.consumer = consumer }

    /// The partitions of all topics and what Kafka holds of each.
    public func partitions() async throws -> [PartitionRange] {
        try await consumer.partitions(within: KafkaEventSource.answerMax).map {
            PartitionRange(partition: $0.topicPartition, low: $0.low, high: $0.high)
        }
    }

    /// What the consumer group committed, for the refusal to start anew by accident.
    public func committedOffsets() async throws -> [TopicPartition: Int64] {
        try await consumer.committedOffsets(within: KafkaEventSource.answerMax)
    }

    /// The first offset at or after a time, per partition.
    public func offsets(at time: Timestamp) async throws -> [TopicPartition: Int64] {
        try await consumer.offsets(at: time, within: KafkaEventSource.answerMax)
    }

    /// Reads from these offsets on; events of older generations are passed over.
    public func assign(_ offsets: [TopicPartition: Int64], generation: Int) async throws {
        try await consumer.assign(offsets, generation: generation)
    }

    public func next() async throws -> [Spine.SourceEvent]? {
        guard let events = try await consumer.next() else { return nil }
        return events.flatMap(KafkaEventSource.translate)
    }

    /// Tells Kafka what is done, for lag tools.
    public func commit(_ offsets: [TopicPartition: Int64]) { consumer.commit(offsets) }

    private static func translate(_ event: KafkaClient.SourceEvent) -> [Spine.SourceEvent] {
        switch event {
        case .assigned(let generation): [.assigned(generation: generation)]
        case .batch(let batch): [.batch(batch)]
        case .endOfPartition(let partition, let offset): [.endOfPartition(partition, offset: offset)]
        case .offsetOutOfRange(let partition, let offset):
            [.offsetOutOfRange(partition, reason: "offset \(offset) is out of range")]
        case .partitionError(let partition, let name, let message):
            [.problem("\(partition.map { "\($0): " } ?? "")\(message) (\(name))")]
        case .newPartitions(let partitions): [.newPartitions(partitions)]
        case .brokerState(let isLive): isLive ? [] : [.problem("no broker can be reached")]
        case .leaderState(let live, let lost): live.map { .leaderLive($0) } + lost.map { .leaderLost($0) }
        }
    }
}
