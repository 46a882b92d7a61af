public import Core

/// Where reading begins when neither the store nor the operator says otherwise.
public enum StartPosition: Sendable, Equatable {
    case earliest
    case latest
    case timestamp(Timestamp)
}

/// Why a worker does not start, and what the operator can do.
public struct StartRefusal: Error, Equatable, CustomStringConvertible {
    public var message: String
    public var help: String
    public var description: String { "\(message)\n  help: \(help)" }
}

/// What is known when a worker starts.
public struct StartFacts: Sendable {
    /// Next offset per partition, as stored.
    public var stored: [TopicPartition: Int64]
    /// Offsets that the checkpoint of memory covers; empty where there is none.
    public var checkpoint: [TopicPartition: Int64]
    /// Where each partition was first read from: memory without a checkpoint is replayed from there.
    public var firstRead: [TopicPartition: Int64]
    /// What Kafka holds.
    public var ranges: [PartitionRange]
    /// What the consumer group committed to Kafka.
    public var committed: [TopicPartition: Int64]
    /// For `start: timestamp`: the offsets Kafka gave for that time.
    public var atTimestamp: [TopicPartition: Int64]
    /// The store was restored from a backup: it starts as at first, bootstrapping.
    public var isRestored: Bool

    /// Gathers the facts of a start.
    public init(
        stored: [TopicPartition: Int64], checkpoint: [TopicPartition: Int64], firstRead: [TopicPartition: Int64],
        ranges: [PartitionRange], committed: [TopicPartition: Int64], atTimestamp: [TopicPartition: Int64],
        isRestored: Bool
    ) {
        self.stored = stored
        self.checkpoint = checkpoint
        self.firstRead = firstRead
        self.ranges = ranges
        self.committed = committed
        self.atTimestamp = atTimestamp
        self.isRestored = isRestored
    }
}

/// What the operator said about the start.
public struct StartOptions: Sendable {
    /// `start:`; needed the first time.
    public var position: StartPosition?
    /// `--new-store`: the group has committed offsets, but this store is meant to be new.
    public var isNewStoreAccepted: Bool
    /// `--accept-gap`: go on although Kafka has dropped messages that were not read.
    public var isGapAccepted: Bool

    /// Says what the operator said.
    public init(position: StartPosition?, isNewStoreAccepted: Bool, isGapAccepted: Bool) {
        self.position = position
        self.isNewStoreAccepted = isNewStoreAccepted
        self.isGapAccepted = isGapAccepted
    }
}

/// Where every partition begins: a pure function of the facts and the options.
public struct StartPlan: Sendable, Equatable {
    /// Memory is replayed from here, with effects off, up to ``judge``; equal offsets mean nothing to replay.
    public var replay: [TopicPartition: Int64]
    /// The first offset that is judged.
    public var judge: [TopicPartition: Int64]
    /// Until every partition has passed these offsets, the worker bootstraps; empty when it does not.
    public var bootstrapEnds: [TopicPartition: Int64]
    /// Gaps that the operator accepted, one sentence each.
    public var acceptedGaps: [String]

    /// Plans a start or says why there can be none.
    public static func make(_ facts: StartFacts, options: StartOptions) throws(StartRefusal) -> StartPlan {
        guard !facts.ranges.isEmpty else {
            throw StartRefusal(
                message: "none of the configured topics has a partition",
                help: "check kafka.topics and the rights of the Kafka user (Describe, Read)")
        }
        let isFirst = facts.stored.isEmpty
        if isFirst, !facts.committed.isEmpty, !options.isNewStoreAccepted {
            throw StartRefusal(
                message: "the consumer group has committed offsets in Kafka, but the store is new: starting here would "
                    + "forget every open alert",
                help: "point store: at the old folder, or pass --new-store to begin anew")
        }
        var plan = StartPlan(replay: [:], judge: [:], bootstrapEnds: [:], acceptedGaps: [])
        for range in facts.ranges {
            let partition = range.partition
            let judge: Int64
            if let stored = facts.stored[partition] {
                judge = stored
            } else if isFirst {
                judge = try firstOffset(range, facts: facts, options: options)
            } else {
                judge = range.low
            }
            plan.judge[partition] = judge
            plan.replay[partition] =
                facts.stored[partition] == nil
                ? judge : min(judge, facts.checkpoint[partition] ?? facts.firstRead[partition] ?? judge)
            if isFirst || facts.isRestored, range.high > judge { plan.bootstrapEnds[partition] = range.high }
        }
        try plan.closeGaps(facts, options: options)
        return plan
    }

    private static func firstOffset(
        _ range: PartitionRange, facts: StartFacts, options: StartOptions
    ) throws(StartRefusal) -> Int64 {
        switch options.position {
        case .earliest: return range.low
        case .latest: return range.high
        case .timestamp:
            // Kafka answers -1 for a time after the newest message: nothing of the partition is that new.
            let offset = facts.atTimestamp[range.partition] ?? -1
            return offset < 0 ? range.high : offset
        case nil:
            throw StartRefusal(
                message: "the store is new and nothing says where to begin",
                help: "set start: to earliest, latest or a time such as 2026-01-12T00:00:00Z")
        }
    }

    private mutating func closeGaps(_ facts: StartFacts, options: StartOptions) throws(StartRefusal) {
        for range in facts.ranges {
            let partition = range.partition
            guard let judge = judge[partition], let replay = replay[partition] else { continue }
            if judge > range.high {
                throw StartRefusal(
                    message: "\(partition): the store has read up to offset \(judge), but Kafka ends at \(range.high): "
                        + "the topic was recreated or is another one",
                    help:
                        "check kafka.brokers; for a recreated topic raise its epoch in tables.yaml and begin with a "
                        + "new store"
                )
            }
            guard replay < range.low else { continue }
            let isLoss = judge < range.low
            let gap =
                isLoss
                ? "\(partition): offsets \(judge) to \(range.low - 1) were never read and Kafka has dropped them"
                : "\(partition): Kafka dropped offsets \(replay) to \(range.low - 1), which rebuild the row memory"
            guard options.isGapAccepted else {
                throw StartRefusal(message: gap, help: "pass --accept-gap to go on without them")
            }
            acceptedGaps.append(gap)
            self.replay[partition] = range.low
            if isLoss { self.judge[partition] = range.low }
        }
    }
}
