internal import CRdKafka
internal import Core

// SAFETY: the list is owned by the value, used by one thread at a time, and destroyed once, at the end of its life.

/// Owns a librdkafka list of partitions.
struct PartitionList: ~Copyable {
    let list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    init(_ offsets: some Sequence<(key: TopicPartition, value: Int64)>) {
        list = rd_kafka_topic_partition_list_new(16)
        for (partition, offset) in offsets {
            rd_kafka_topic_partition_list_add(list, partition.topic, partition.partition).pointee.offset = offset
        }
    }

    init(_ partitions: some Sequence<TopicPartition>, offset: Int64) {
        self.init(partitions.map { (key: $0, value: offset) })
    }

    deinit { rd_kafka_topic_partition_list_destroy(list) }

    /// Each partition with its offset, and its error where it has one.
    func entries() -> [(partition: TopicPartition, offset: Int64, error: rd_kafka_resp_err_t)] {
        (0..<Int(list.pointee.cnt)).map { index in
            let entry = list.pointee.elems[index]
            let topic = entry.topic.map { String(cString: $0) } ?? ""
            return (TopicPartition(topic: topic, partition: entry.partition), entry.offset, entry.err)
        }
    }
}

/// Destroys an error that librdkafka handed over, and tells what it said.
func consumeError(_ error: OpaquePointer?, doing action: String) -> KafkaError? {
    guard let error else { return nil }
    defer { rd_kafka_error_destroy(error) }
    let text = String(cString: rd_kafka_error_string(error))
    return KafkaError(.broker, "\(action): \(text)", name: KafkaLibrary.name(of: rd_kafka_error_code(error)))
}
