public import Core

/// The next offset to read of one partition.
public struct OffsetRecord: Sendable, Equatable {
    public var topic: String
    public var partition: Int32
    public var nextOffset: Int64

    /// Describes a stored offset.
    public init(topic: String, partition: Int32, nextOffset: Int64) {
        self.topic = topic
        self.partition = partition
        self.nextOffset = nextOffset
    }
}

/// The wait of a postimage for its preimage ended by its timer; replay takes the same branch.
public struct PairRunRecord: Sendable, Hashable {
    public var table: String
    public var rowKey: String
    /// The position of the postimage that went on alone.
    public var version: Int64
    public var ranAt: Timestamp

    /// Describes a run of the timer.
    public init(table: String, rowKey: String, version: Int64, ranAt: Timestamp) {
        self.table = table
        self.rowKey = rowKey
        self.version = version
        self.ranAt = ranAt
    }
}

/// A complete checkpoint of memory; its bytes are read chunk by chunk.
public struct CheckpointRecord: Sendable, Equatable {
    /// Assigned by the store.
    public var id: Int64
    public var name: String
    public var createdAt: Timestamp
    /// The offsets it covers: per partition the first one that is not in it.
    public var offsets: [TopicPartition: Int64]
    /// The hash of each rule it was made with.
    public var ruleHashes: [String: String]
    public var chunkCount: Int
    public var byteCount: Int64

    /// Describes a checkpoint.
    public init(
        id: Int64, name: String, createdAt: Timestamp, offsets: [TopicPartition: Int64],
        ruleHashes: [String: String], chunkCount: Int, byteCount: Int64
    ) {
        self.id = id
        self.name = name
        self.createdAt = createdAt
        self.offsets = offsets
        self.ruleHashes = ruleHashes
        self.chunkCount = chunkCount
        self.byteCount = byteCount
    }
}

/// A piece of durable state of a module above: a group with its timer, a silence, a breaker.
public struct StateRecord: Sendable, Equatable {
    /// What it is, such as `group` or `silence`.
    public var kind: String
    public var key: String
    /// When its timer runs; nil where it has none.
    public var dueAt: Timestamp?
    public var bytes: [UInt8]

    /// Describes a piece of state.
    public init(kind: String, key: String, dueAt: Timestamp?, bytes: [UInt8]) {
        self.kind = kind
        self.key = key
        self.dueAt = dueAt
        self.bytes = bytes
    }
}

/// One run of the program on this store. Ids ascend; leases belong to a run.
public struct RunRecord: Sendable, Equatable {
    public var id: Int64
    public var startedAt: Timestamp
    /// When it ended orderly; nil while it runs and after a crash.
    public var endedAt: Timestamp?
    public var processId: Int32
    public var host: String

    /// Describes a run.
    public init(id: Int64, startedAt: Timestamp, endedAt: Timestamp?, processId: Int32, host: String) {
        self.id = id
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.processId = processId
        self.host = host
    }
}

/// What is wrong with an input, an evaluation or a delivery, kept to be looked at and replayed.
public struct DeadLetterRecord: Sendable, Equatable {
    /// Where it failed.
    public enum Kind: String, Sendable, CaseIterable { case input, evaluation, delivery }
    /// What became of it.
    public enum State: String, Sendable, CaseIterable { case open, replayed, discarded }

    /// Assigned by the store; 0 before that.
    public var id: Int64
    public var kind: Kind
    public var state: State
    public var createdAt: Timestamp
    public var reason: String
    public var topic: String?
    public var partition: Int32?
    public var offset: Int64?
    /// The message's own time.
    public var timestamp: Timestamp?
    public var key: [UInt8]?
    public var value: [UInt8]?
    /// The headers, in the form its writer chose.
    public var headers: [UInt8]?
    public var rule: String?
    public var rowKey: String?
    public var receiver: String?
    public var outboxId: Int64?
    /// The bytes were not kept because the store's limit was reached; the position still says where they are.
    public var areBytesDropped: Bool
    public var settledAt: Timestamp?
    /// Who replayed or discarded it.
    public var settledBy: String?

    /// Makes an open dead letter without position or bytes.
    public init(kind: Kind, createdAt: Timestamp, reason: String) {
        id = 0
        self.kind = kind
        state = .open
        self.createdAt = createdAt
        self.reason = reason
        areBytesDropped = false
    }

    /// Bytes of key, value and headers.
    public var byteCount: Int { (key?.count ?? 0) + (value?.count ?? 0) + (headers?.count ?? 0) }
}

/// Which dead letters to list, newest first.
public struct DeadLetterQuery: Sendable {
    public var kind: DeadLetterRecord.Kind?
    public var state: DeadLetterRecord.State?
    public var receiver: String?
    public var rule: String?
    /// Only ids below this one; nil begins with the newest.
    public var beforeId: Int64?
    public var countMax: Int

    /// Describes a listing.
    public init(
        kind: DeadLetterRecord.Kind?, state: DeadLetterRecord.State?, receiver: String?, rule: String?,
        beforeId: Int64?, countMax: Int
    ) {
        self.kind = kind
        self.state = state
        self.receiver = receiver
        self.rule = rule
        self.beforeId = beforeId
        self.countMax = countMax
    }
}
