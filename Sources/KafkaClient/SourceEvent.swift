public import Core

/// What a consumer hands over, in order per partition.
public enum SourceEvent: Sendable {
    /// An assignment took effect: what was taken before it belongs to an older one.
    case assigned(generation: Int)
    /// Messages. Their memory counts against ``KafkaConfiguration/bufferLimits`` until the batch is released.
    case batch(RawBatch)
    /// Everything up to `offset` (the next one to come) was handed over; left out where newer messages follow at once.
    case endOfPartition(TopicPartition, offset: Int64)
    /// The broker no longer (or not yet) has the offset; the partition stands still until it is assigned anew.
    case offsetOutOfRange(TopicPartition, offset: Int64)
    /// Reading of one partition, or of all where it is nil, met an error that librdkafka goes on after.
    case partitionError(TopicPartition?, name: String, message: String)
    /// Partitions that were not there before; nothing is read from them until they are assigned.
    case newPartitions([TopicPartition])
    /// Whether any broker can be reached; told when it changes.
    case brokerState(live: Bool)
    /// Partitions whose leader answers, and partitions whose leader no longer does; told when it changes. What was
    /// told neither is not known yet.
    case leaderState(live: [TopicPartition], lost: [TopicPartition])
}

/// A partition with its bounds, as its leader told them.
public struct PartitionInfo: Sendable, Equatable {
    public var topic: String
    public var partition: Int32
    /// First offset that can be read.
    public var low: Int64
    /// Offset that the next message will get.
    public var high: Int64

    /// Describes a partition.
    public init(topic: String, partition: Int32, low: Int64, high: Int64) {
        self.topic = topic
        self.partition = partition
        self.low = low
        self.high = high
    }

    /// Topic and partition.
    public var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
}
