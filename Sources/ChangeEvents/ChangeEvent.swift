public import Core

/// One row change of one table. A trivial value; images and texts lie in the ``ChangeBatch``.
@frozen
public struct ChangeEvent: Sendable {
    /// What happened to the row.
    @frozen
    public enum Kind: UInt8, Sendable {
        case insert
        case update
        case delete
        /// A row as it is, read by a snapshot.
        case snapshot
        /// A row of a source that does not tell insert from update; ``RowMemory`` decides which it is.
        case upsert
        /// One half of an update, as Delta sends it: never judged by itself.
        case preimage
    }

    /// What is done with the event.
    @frozen
    public enum Disposition: UInt8, Sendable {
        /// Decoded, not yet seen by ``RowMemory``.
        case decoded
        /// To be judged by rules.
        case judge
        /// Older than the newest row of its key: changes no state.
        case late
        /// The same event again.
        case duplicate
        /// The row did not change: a sign of life.
        case noOp
        /// Waits for its preimage; comes back in this or a later batch.
        case waiting
        /// Became part of another event: a preimage, or the delete of a row rewritten in the same commit.
        case paired
    }

    /// Facts about an event that are either so or not.
    @frozen
    public struct Flags: OptionSet, Sendable {
        public let rawValue: UInt8
        /// Makes flags of their bits.
        @inlinable
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The commit time was more than 5 minutes ahead of the Kafka time or of the wall clock; another stands in for
        /// it.
        public static let timeAhead = Flags(rawValue: 1)
        /// Older than the newest row of its key, judged because the table says `late: accept`.
        public static let late = Flags(rawValue: 2)
        /// Judged after a wait that ended without the preimage.
        public static let unpaired = Flags(rawValue: 4)
        /// One half of an update or rewrite, as Delta sends them: the other half is a message of its own.
        public static let half = Flags(rawValue: 16)
        /// `before` is what the router remembered, not what the source sent.
        public static let remembered = Flags(rawValue: 8)
    }

    /// Index into ``TableCatalog/tables``.
    public var table: Int32
    public var kind: Kind
    public var disposition: Disposition
    public var flags: Flags
    /// Index of the message in the raw batch; -1 for an event that came with an earlier batch.
    public var messageIndex: Int32
    /// 0, 1, …: which object of its message.
    public var ordinal: Int32
    public var epoch: Int32
    /// The position within the table: commit version, LSN or offset.
    public var version: Int64
    public var commitTime: Timestamp
    /// The event time's column; where there is none or it holds no time, the commit time.
    public var eventTime: Timestamp
    /// Stable hash of the row key's texts; the identity of the row within its table.
    public var rowKeyHash: UInt64
    /// Hash of the row as it was sent, format columns excluded.
    public var imageHash: UInt64
    /// The row key as text: the columns' texts joined by `|`.
    public var rowKeyText: (offset: UInt32, count: UInt32)
    /// First slot of the row before; -1: none or not known.
    public var beforeSlot: Int32
    /// First slot of the row after; -1: none (a delete).
    public var afterSlot: Int32
    /// Index into ``RawBatch/partitions``; -1 for an event that came with an earlier batch.
    public var partitionIndex: Int32
    public var offset: Int64

    /// Whether rules judge the event.
    @inlinable
    public var isJudged: Bool { disposition == .judge }

    /// Makes an event without images.
    @inlinable
    public init(
        table: Int32, kind: Kind, messageIndex: Int32, ordinal: Int32, epoch: Int32, version: Int64,
        commitTime: Timestamp, partitionIndex: Int32, offset: Int64
    ) {
        self.table = table
        self.kind = kind
        disposition = .decoded
        flags = []
        self.messageIndex = messageIndex
        self.ordinal = ordinal
        self.epoch = epoch
        self.version = version
        self.commitTime = commitTime
        eventTime = commitTime
        rowKeyHash = 0
        imageHash = 0
        rowKeyText = (0, 0)
        beforeSlot = -1
        afterSlot = -1
        self.partitionIndex = partitionIndex
        self.offset = offset
    }
}

/// A message that is no event: why, and where it lies. It goes to the dead letters; the partition goes on.
public struct RejectedMessage: Sendable, Equatable {
    /// Index of the message in the raw batch.
    public var messageIndex: Int32
    /// What is wrong, lower case, without data of the message.
    public var reason: String
    /// The byte of the value at which it was noticed, where one can be named.
    public var byteOffset: Int?

    /// Describes a rejected message.
    public init(messageIndex: Int32, reason: String, byteOffset: Int? = nil) {
        self.messageIndex = messageIndex
        self.reason = reason
        self.byteOffset = byteOffset
    }
}

/// Messages that are no row changes and are known for it: counted, nothing else.
public struct SkippedMessages: Sendable, Equatable {
    /// A tombstone after a delete, kept only for log compaction.
    public var tombstones = 0
    public var heartbeats = 0
    public var transactions = 0
    public var schemaChanges = 0
    public var truncates = 0
    /// Debezium's logical decoding messages (op `m`).
    public var logicalMessages = 0

    /// Starts with none.
    public init() {}

    /// All of them.
    public var total: Int {
        tombstones + heartbeats + transactions + schemaChanges + truncates + logicalMessages
    }
}

/// The events of one raw batch with their row images; reused from batch to batch.
///
/// One task owns a batch at a time: decode, admit, evaluate, read, then ``reset()``.
public final class ChangeBatch {
    /// Texts of the slots.
    public let arena: RowArena
    /// Row images: each takes as many slots as its table's layout has columns.
    public var slots: ContiguousArray<SlotValue> = []
    /// In the order of messages after decoding; in judging order after ``RowMemory/admit(_:)``.
    public var events: ContiguousArray<ChangeEvent> = []
    public var rejected: [RejectedMessage] = []
    @exclusivity(unchecked)
    public var skipped = SkippedMessages()
    /// Events whose commit time was too far ahead.
    @exclusivity(unchecked)
    public var timeAheadCount = 0
    public var raw: RawBatch?

    /// Makes an empty batch.
    public init() { arena = RowArena() }

    /// Forgets everything; keeps the memory for the next batch.
    public func reset() {
        arena.reset()
        slots.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        rejected.removeAll(keepingCapacity: true)
        skipped = SkippedMessages()
        timeAheadCount = 0
        raw = nil
    }

    /// The row key of an event as text.
    public func rowKey(of event: ChangeEvent) -> String {
        String(
            decoding: arena.bytes(offset: event.rowKeyText.offset, count: Int(event.rowKeyText.count)), as: UTF8.self)
    }
}
