public import Core

/// A partition and the offsets it holds at the moment.
public struct PartitionRange: Sendable, Equatable {
    public var partition: TopicPartition
    /// Offset of the oldest message that can still be read.
    public var low: Int64
    /// Offset the next message will get.
    public var high: Int64

    /// Describes a partition's range.
    public init(partition: TopicPartition, low: Int64, high: Int64) {
        self.partition = partition
        self.low = low
        self.high = high
    }
}

/// What an event source reports.
public enum SourceEvent: Sendable {
    /// An assignment took effect: what comes before it belongs to an older one.
    case assigned(generation: Int)
    case batch(RawBatch)
    /// Everything below `offset` was read.
    case endOfPartition(TopicPartition, offset: Int64)
    /// The partition's leader answers.
    case leaderLive(TopicPartition)
    /// The partition's leader cannot be reached: its table clock freezes.
    case leaderLost(TopicPartition)
    /// Partitions that appeared since the start; they begin to be read when they are assigned.
    case newPartitions([TopicPartition])
    /// The wanted offset is not there any more; the partition stands still until it is assigned anew.
    case offsetOutOfRange(TopicPartition, reason: String)
    /// Something that passes by itself or that an operator has to look at, in words for people; reading goes on.
    case problem(String)
}

/// Where events come from: Kafka in production, a script in tests.
///
/// A question may be answered late or never: whoever stops meanwhile does not wait for its answer.
public protocol EventSource: Sendable {
    /// All partitions of the configured topics with the offsets they hold.
    func partitions() async throws -> [PartitionRange]
    /// Offsets that the consumer group committed to Kafka; empty where it never did.
    func committedOffsets() async throws -> [TopicPartition: Int64]
    /// The first offset at or after a time, per partition; the end where there is none.
    func offsets(at time: Timestamp) async throws -> [TopicPartition: Int64]
    /// Replaces the assignment: reading begins at these offsets.
    ///
    /// ``SourceEvent/assigned(generation:)`` comes before the first event of the new assignment.
    func assign(_ offsets: [TopicPartition: Int64], generation: Int) async throws
    /// The next events, in order per partition; nil after shutdown. One caller at a time.
    func next() async throws -> [SourceEvent]?
    /// Tells lag tools how far the group is; may be dropped, never blocks.
    func commit(_ offsets: [TopicPartition: Int64])
}
