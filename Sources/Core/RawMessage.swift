/// One partition of a Kafka topic.
public struct TopicPartition: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var topic: String
    public var partition: Int32

    /// Names a partition of a topic.
    public init(topic: String, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    public static func < (left: TopicPartition, right: TopicPartition) -> Bool {
        (left.topic, left.partition) < (right.topic, right.partition)
    }

    /// `topic[partition]`, as Kafka tools write it.
    public var description: String { "\(topic)[\(partition)]" }
}

/// One Kafka message as it lies in the memory of its batch: spans, position, times. A trivial value.
///
/// SAFETY: the pointers are valid as long as the ``RawBatch`` that holds the message is alive; they are never written.
@frozen
public struct RawMessage: @unchecked Sendable {
    /// Index into ``RawBatch/partitions``.
    public var partitionIndex: Int32
    public var offset: Int64
    /// The record's timestamp in Unix milliseconds; -1 where the broker gave none.
    public var timestamp: Int64
    /// Start of the key; nil where the message has none.
    public var keyStart: UnsafeRawPointer?
    public var keyCount: Int
    /// Start of the value; nil for a tombstone (an empty value is not nil).
    public var valueStart: UnsafeRawPointer?
    public var valueCount: Int
    /// First of the message's headers in ``RawBatch/headers``.
    public var headerStart: Int32
    public var headerCount: Int32

    /// Makes a message over memory that its batch owns.
    @inlinable
    public init(
        partitionIndex: Int32, offset: Int64, timestamp: Int64, key: UnsafeRawBufferPointer?,
        value: UnsafeRawBufferPointer?, headerStart: Int32 = 0, headerCount: Int32 = 0
    ) {
        self.partitionIndex = partitionIndex
        self.offset = offset
        self.timestamp = timestamp
        keyStart = key?.baseAddress
        keyCount = key?.count ?? 0
        valueStart = value?.baseAddress
        valueCount = value?.count ?? 0
        self.headerStart = headerStart
        self.headerCount = headerCount
    }

    /// The key's bytes; nil where the message has none.
    @inlinable
    public var key: UnsafeRawBufferPointer? { keyStart.map { UnsafeRawBufferPointer(start: $0, count: keyCount) } }

    /// The value's bytes; nil for a tombstone.
    @inlinable
    public var value: UnsafeRawBufferPointer? {
        valueStart.map { UnsafeRawBufferPointer(start: $0, count: valueCount) }
    }
}

/// One header of a message: name and value bytes in the memory of the batch.
///
/// SAFETY: as for ``RawMessage``.
@frozen
public struct RawHeader: @unchecked Sendable {
    public var nameStart: UnsafeRawPointer
    public var nameCount: Int
    /// Start of the value; nil for a null value.
    public var valueStart: UnsafeRawPointer?
    public var valueCount: Int

    /// Makes a header over memory that its batch owns.
    public init(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?) {
        nameStart = name.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        nameCount = name.count
        valueStart = value?.baseAddress
        valueCount = value?.count ?? 0
    }

    /// The name, as UTF-8; bytes that are none are replaced.
    public var name: String {
        String(decoding: UnsafeRawBufferPointer(start: nameStart, count: nameCount), as: UTF8.self)
    }

    /// The value's bytes; nil for a null value.
    public var value: UnsafeRawBufferPointer? {
        valueStart.map { UnsafeRawBufferPointer(start: $0, count: valueCount) }
    }
}

/// Messages that were read together, with the memory they lie in; handed from the consumer thread to the worker.
///
/// Messages of one partition are in order of offset. The owner frees the memory when the batch is released.
public final class RawBatch: @unchecked Sendable {
    // SAFETY: everything is immutable after init; `owner` only keeps the memory alive.
    /// The partitions that occur, indexed by ``RawMessage/partitionIndex``.
    public let partitions: [TopicPartition]
    public let messages: ContiguousArray<RawMessage>
    public let headers: ContiguousArray<RawHeader>
    /// Sum of key and value bytes.
    public let byteCount: Int
    private let owner: AnyObject?

    /// Makes a batch over memory that `owner` frees when it is released.
    public init(
        partitions: [TopicPartition], messages: ContiguousArray<RawMessage>,
        headers: ContiguousArray<RawHeader> = [], owner: AnyObject?
    ) {
        self.partitions = partitions
        self.messages = messages
        self.headers = headers
        self.owner = owner
        byteCount = messages.reduce(0) { $0 + $1.keyCount + $1.valueCount }
    }

    /// The headers of a message, in order; names may repeat.
    public func headers(of message: RawMessage) -> ArraySlice<RawHeader> {
        let start = Int(message.headerStart)
        return ArraySlice(headers[start..<start + Int(message.headerCount)])
    }

    /// The partition of a message.
    public func partition(of message: RawMessage) -> TopicPartition { partitions[Int(message.partitionIndex)] }
}

extension RawBatch {
    /// A message for ``copying(_:)``: what tests, replays and the player hand in.
    public struct Copied: Sendable {
        public var partition: TopicPartition
        public var offset: Int64
        public var timestamp: Int64
        public var key: [UInt8]?
        public var value: [UInt8]?
        public var headers: [(name: String, value: [UInt8]?)]

        /// Describes a message to be copied into a batch.
        public init(
            partition: TopicPartition, offset: Int64, timestamp: Int64, key: [UInt8]?, value: [UInt8]?,
            headers: [(name: String, value: [UInt8]?)] = []
        ) {
            self.partition = partition
            self.offset = offset
            self.timestamp = timestamp
            self.key = key
            self.value = value
            self.headers = headers
        }
    }

    private final class Memory {
        let pointer: UnsafeMutableRawBufferPointer
        init(byteCount: Int) { pointer = .allocate(byteCount: max(byteCount, 1), alignment: 8) }
        deinit { pointer.deallocate() }
    }

    /// Makes a batch that owns copies of the messages given.
    public static func copying(_ copied: [Copied]) -> RawBatch {
        let total = copied.reduce(0) { sum, message in
            sum + (message.key?.count ?? 0) + (message.value?.count ?? 0)
                + message.headers.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
        }
        let memory = Memory(byteCount: total)
        var used = 0
        func store(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
            let target = UnsafeMutableRawBufferPointer(rebasing: memory.pointer[used..<used + bytes.count])
            target.copyBytes(from: bytes)
            used += bytes.count
            // An empty slice of an allocation has no base address, but an empty value must stay different from none.
            let base = memory.pointer.baseAddress.unsafelyUnwrapped + (used - bytes.count)
            return UnsafeRawBufferPointer(start: base, count: bytes.count)
        }
        var partitions: [TopicPartition] = []
        var indexes: [TopicPartition: Int32] = [:]
        var messages: ContiguousArray<RawMessage> = []
        var headers: ContiguousArray<RawHeader> = []
        for message in copied {
            let index = indexes[message.partition] ?? Int32(partitions.count)
            if index == partitions.count {
                partitions.append(message.partition)
                indexes[message.partition] = index
            }
            let headerStart = Int32(headers.count)
            for header in message.headers {
                headers.append(RawHeader(name: store(Array(header.name.utf8)), value: header.value.map(store)))
            }
            messages.append(
                RawMessage(
                    partitionIndex: index, offset: message.offset, timestamp: message.timestamp,
                    key: message.key.map(store), value: message.value.map(store), headerStart: headerStart,
                    headerCount: Int32(message.headers.count)))
        }
        return RawBatch(partitions: partitions, messages: messages, headers: headers, owner: memory)
    }
}
