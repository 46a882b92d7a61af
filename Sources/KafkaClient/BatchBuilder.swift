// HOT
internal import CRdKafka
internal import Core
internal import Glibc

// SAFETY: BatchMemory owns the messages it holds and frees each once, in deinit, on whatever thread releases the batch
// (rd_kafka_message_destroy is thread-safe); the ledger it counts in keeps rd_kafka_destroy waiting for that. The
// pointers inside RawMessage and RawHeader point into those messages. The builder is confined to the consumer thread.

/// The messages of one batch; freed when the batch is released.
final class BatchMemory {
    fileprivate var messages: ContiguousArray<UnsafeMutablePointer<rd_kafka_message_t>> = []
    fileprivate var byteCount = 0
    private let ledger: BatchLedger
    fileprivate var isCounted = false

    init(ledger: BatchLedger, capacity: Int) {
        self.ledger = ledger
        messages.reserveCapacity(capacity)
    }

    fileprivate func count() {
        isCounted = true
        ledger.add(byteCount: byteCount, messageCount: messages.count)
    }

    deinit {
        for message in messages { rd_kafka_message_destroy(message) }
        if isCounted { ledger.release(byteCount: byteCount, messageCount: messages.count) }
    }
}

/// Collects messages into batches.
struct BatchBuilder {
    private let ledger: BatchLedger
    private let messageCountMax: Int
    private let byteCountMax: Int
    private var memory: BatchMemory
    private var messages: ContiguousArray<RawMessage> = []
    private var headers: ContiguousArray<RawHeader> = []
    private var slots = PartitionSlots()
    /// Slots that occur in this batch, in order of appearance.
    private var used: [Int] = []
    private var batchIndexes: [Int32] = []

    init(ledger: BatchLedger, limits: KafkaConfiguration.BatchLimits) {
        self.ledger = ledger
        messageCountMax = max(1, limits.messageCountMax)
        byteCountMax = max(1, limits.byteCountMax)
        memory = BatchMemory(ledger: ledger, capacity: 0)
    }

    var isEmpty: Bool { messages.isEmpty }
    var count: Int { messages.count }
    var isFull: Bool { messages.count >= messageCountMax || memory.byteCount >= byteCountMax }

    /// Takes ownership of a message without an error.
    /// - Returns: the slot of its partition.
    @discardableResult
    mutating func append(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> Int {
        if messages.isEmpty { start() }
        memory.messages.append(message)
        let slot = slots.slot(of: message.pointee.rkt, partition: message.pointee.partition)
        if slot >= batchIndexes.count {
            batchIndexes += repeatElement(-1, count: slot + 1 - batchIndexes.count)
        }
        if batchIndexes[slot] < 0 {
            batchIndexes[slot] = Int32(used.count)
            used.append(slot)
        }
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = rd_kafka_message_timestamp(message, &kind)
        let headerStart = headers.count
        var list: OpaquePointer?
        if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list { append(headers: list) }
        let value = message.pointee
        memory.byteCount += value.key_len + value.len
        messages.append(
            RawMessage(
                partitionIndex: batchIndexes[slot], offset: value.offset, timestamp: timestamp,
                key: value.key.map { UnsafeRawBufferPointer(start: $0, count: value.key_len) },
                value: value.payload.map { UnsafeRawBufferPointer(start: $0, count: value.len) },
                headerStart: Int32(truncatingIfNeeded: headerStart),
                headerCount: Int32(truncatingIfNeeded: headers.count - headerStart)))
        return slot
    }

    private mutating func start() {
        memory = BatchMemory(ledger: ledger, capacity: messageCountMax)
        messages.reserveCapacity(messageCountMax)
    }

    private mutating func append(headers list: OpaquePointer) {
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var count = 0
        while rd_kafka_header_get_all(list, index, &name, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let text = name
        {
            let bytes = UnsafeRawBufferPointer(start: text, count: strlen(text))
            headers.append(
                RawHeader(name: bytes, value: value.map { UnsafeRawBufferPointer(start: $0, count: count) }))
            index += 1
        }
    }

    /// Closes the batch; nil where it is empty.
    mutating func finish() -> (batch: RawBatch, byteCount: Int)? {
        guard !messages.isEmpty else { return nil }
        memory.count()
        let byteCount = memory.byteCount
        let batch = RawBatch(
            partitions: used.map { slots[$0] }, messages: messages, headers: headers, owner: memory)
        for slot in used { batchIndexes[slot] = -1 }
        used.removeAll(keepingCapacity: true)
        messages = []
        headers = []
        memory = BatchMemory(ledger: ledger, capacity: 0)
        return (batch, byteCount)
    }

    /// Frees what is not yet in a batch.
    mutating func discard() { _ = finish() }

    /// The partition of a message.
    mutating func partition(_ topic: OpaquePointer?, _ partition: Int32) -> TopicPartition {
        // Two statements: in one, the list would be read before the slot is made.
        let slot = slots.slot(of: topic, partition: partition)
        return slots[slot]
    }

    /// The partition of a slot.
    func partition(slot: Int) -> TopicPartition { slots[slot] }

    /// The slot of a partition, as ``append(_:)`` returns it.
    mutating func slot(_ topic: OpaquePointer?, _ partition: Int32) -> Int {
        slots.slot(of: topic, partition: partition)
    }
}

/// Small numbers for the partitions that occur, so that a message costs no text and no dictionary.
struct PartitionSlots {
    private struct Topic {
        var pointer: OpaquePointer?
        var name: String
        var slots: ContiguousArray<Int32>
    }

    private var topics: ContiguousArray<Topic> = []
    private var partitions: ContiguousArray<TopicPartition> = []
    private var lastTopic: OpaquePointer?
    private var lastPartition: Int32 = -1
    private var lastSlot = -1

    subscript(slot: Int) -> TopicPartition { partitions[slot] }

    /// The slot of a partition; made at the first call.
    @inline(__always)
    mutating func slot(of topic: OpaquePointer?, partition: Int32) -> Int {
        if topic == lastTopic, partition == lastPartition, lastSlot >= 0 { return lastSlot }
        return findSlot(of: topic, partition: partition)
    }

    // SAFETY: librdkafka keeps one topic object per name for the life of the client, because the consumer holds a
    // reference to each of its topics; a pointer therefore never comes to mean another topic.
    private mutating func findSlot(of topic: OpaquePointer?, partition: Int32) -> Int {
        let topicIndex = topics.firstIndex { $0.pointer == topic } ?? addTopic(topic)
        let position = Int(max(partition, 0))
        if position >= topics[topicIndex].slots.count {
            let missing = position + 1 - topics[topicIndex].slots.count
            topics[topicIndex].slots += repeatElement(-1, count: missing)
        }
        var slot = Int(topics[topicIndex].slots[position])
        if slot < 0 {
            slot = partitions.count
            partitions.append(TopicPartition(topic: topics[topicIndex].name, partition: partition))
            topics[topicIndex].slots[position] = Int32(slot)
        }
        (lastTopic, lastPartition, lastSlot) = (topic, partition, slot)
        return slot
    }

    private mutating func addTopic(_ topic: OpaquePointer?) -> Int {
        let name = topic.flatMap { rd_kafka_topic_name($0) }.map { String(cString: $0) } ?? ""
        topics.append(Topic(pointer: topic, name: name, slots: []))
        return topics.count - 1
    }
}
