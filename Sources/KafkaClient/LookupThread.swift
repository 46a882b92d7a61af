internal import CRdKafka
internal import Core
internal import Glibc
internal import Logging

// SAFETY: the topic handles are made and destroyed by this thread; the consumer thread joins it before it destroys the
// client. The calls made here are those that librdkafka allows from any thread; none of them reads messages.

/// A question that librdkafka answers by blocking.
enum Lookup: Sendable {
    case partitions(deadline: Int64, CheckedContinuation<[PartitionInfo], any Error>)
    case committed(deadline: Int64, CheckedContinuation<[TopicPartition: Int64], any Error>)
    case offsets(Timestamp, deadline: Int64, CheckedContinuation<[TopicPartition: Int64], any Error>)
    case statistics([UInt8])
    case allBrokersDown

    func fail(_ error: KafkaError) {
        switch self {
        case .partitions(_, let continuation): continuation.resume(throwing: error)
        case .committed(_, let continuation), .offsets(_, _, let continuation): continuation.resume(throwing: error)
        case .statistics, .allBrokersDown: break
        }
    }
}

/// Asks what blocks, so that reading and flow control never wait for it: bounds and committed offsets, new partitions,
/// and the statistics, whose parsing takes milliseconds.
final class LookupThread {
    private let core: ConsumerCore
    private let client: OpaquePointer
    /// The longest one call into librdkafka may block, in milliseconds: a shutdown waits for it.
    private static let sliceMax: Int32 = 4000

    private static let pauseMicroseconds: UInt32 = 100_000
    /// What a call into librdkafka ends with when its time is over, or the way to a broker is not there yet.
    private static let mayPass = [
        RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR__WAIT_COORD,
    ]

    private var topics: [(name: String, handle: OpaquePointer)] = []
    private var watch: LeaderWatch
    /// Partitions that the caller knows: told by a lookup, by an event, or assigned.
    private var known: Set<TopicPartition> = []
    private var isKnownComplete = false
    /// Bounded by the topics and the errors that a broker can have for one.
    private var toldProblems: Set<String> = []

    init(core: ConsumerCore, topics names: [String]) {
        self.core = core
        client = core.handle.client
        watch = LeaderWatch(silenceMax: core.configuration.leaderSilenceMax)
        for name in names {
            if let handle = rd_kafka_topic_new(client, name, nil) { topics.append((name, handle)) }
        }
    }

    func run() {
        let interval = max(10, core.configuration.partitionDiscoveryInterval.wholeMilliseconds)
        var nextDiscovery = monotonicNanoseconds() / 1_000_000 + interval
        while core.lookups.isOpen {
            let now = monotonicNanoseconds() / 1_000_000
            if now >= nextDiscovery {
                discover()
                nextDiscovery = monotonicNanoseconds() / 1_000_000 + interval
            }
            guard let lookup = core.lookups.pop(milliseconds: min(1000, max(0, nextDiscovery - now))) else { continue }
            serve(lookup)
        }
        for topic in topics { rd_kafka_topic_destroy(topic.handle) }
    }

    private func serve(_ lookup: Lookup) {
        switch lookup {
        case .statistics(let json):
            guard let report = StatisticsReport(json) else { return }
            core.metrics.observe(report)
            let (assigned, count) = core.assignment
            core.bridge.push(watch.observe(report, assigned: assigned, assignmentCount: count))
        case .allBrokersDown: core.bridge.push(watch.allBrokersDown(assigned: core.assigned))
        case .partitions(let deadline, let continuation):
            continuation.resume(with: Result { try self.partitions(deadline: deadline) })
        case .committed(let deadline, let continuation):
            continuation.resume(with: Result { try self.committed(deadline: deadline) })
        case .offsets(let time, let deadline, let continuation):
            continuation.resume(with: Result { try self.offsets(at: time, deadline: deadline) })
        }
    }

    // MARK: Questions

    private static func remaining(_ deadline: Int64, doing action: String) throws(KafkaError) -> Int32 {
        let left = (deadline - monotonicNanoseconds()) / 1_000_000
        guard left > 0 else { throw KafkaError(.timedOut, "\(action): no answer in time") }
        return Int32(clamping: left)
    }

    private static func failure(_ error: rd_kafka_resp_err_t, doing action: String) -> KafkaError {
        let isTimeout = error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE
        return KafkaError(isTimeout ? .timedOut : .broker, error, doing: action)
    }

    /// The partitions that exist now.
    private func metadata(deadline: Int64) throws(KafkaError) -> [TopicPartition] {
        let action = "asking for the partitions of \(topics.map(\.name).joined(separator: ", "))"
        var found: [TopicPartition] = []
        var problems: [String] = []
        for topic in topics {
            let answer = try ask(topic.handle, deadline: deadline, doing: action)
            defer { rd_kafka_metadata_destroy(answer) }
            for index in 0..<Int(answer.pointee.topic_cnt) {
                let entry = answer.pointee.topics[index]
                if entry.err != RD_KAFKA_RESP_ERR_NO_ERROR {
                    problems.append("topic '\(topic.name)': \(KafkaLibrary.text(of: entry.err))")
                }
                for number in 0..<Int(entry.partition_cnt) {
                    found.append(TopicPartition(topic: topic.name, partition: entry.partitions[number].id))
                }
            }
        }
        if !problems.isEmpty { try report(problems, isAnyFound: !found.isEmpty) }
        return found.sorted()
    }

    /// Asks in slices of a second, so that a shutdown does not wait for brokers that cannot be reached.
    private func ask(
        _ topic: OpaquePointer, deadline: Int64, doing action: String
    ) throws(KafkaError) -> UnsafePointer<rd_kafka_metadata> {
        while true {
            let timeout = try LookupThread.remaining(deadline, doing: action)
            var answer: UnsafePointer<rd_kafka_metadata>?
            let error = rd_kafka_metadata(client, 0, topic, &answer, min(timeout, 1000))
            if error == RD_KAFKA_RESP_ERR_NO_ERROR, let answer { return answer }
            let mayCome = [RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT].contains(error)
            guard mayCome, timeout > 1000, core.lookups.isOpen else {
                throw LookupThread.failure(error, doing: action)
            }
        }
    }

    /// Asks about partitions in slices, as ``ask(_:deadline:doing:)`` does; they grow, for brokers that are slow.
    private func answered(
        deadline: Int64, doing action: String, _ partitions: [TopicPartition], offset: Int64,
        _ question: (UnsafeMutablePointer<rd_kafka_topic_partition_list_t>, Int32) -> rd_kafka_resp_err_t
    ) throws(KafkaError) -> PartitionList {
        var slice: Int32 = 1000
        while true {
            let timeout = try LookupThread.remaining(deadline, doing: action)
            // A list of its own for each: an answer in part may have changed it.
            let list = PartitionList(partitions, offset: offset)
            let error = question(list.list, min(timeout, slice))
            if error == RD_KAFKA_RESP_ERR_NO_ERROR { return list }
            guard LookupThread.mayPass.contains(error), timeout > slice, core.lookups.isOpen else {
                throw LookupThread.failure(error, doing: action)
            }
            // A connection that is refused is an answer at once.
            usleep(LookupThread.pauseMicroseconds)
            slice = min(slice * 2, LookupThread.sliceMax)
        }
    }

    /// Where all topics are missing, that is an error; else a topic may still be made later, and is only told once.
    private func report(_ problems: [String], isAnyFound: Bool) throws(KafkaError) {
        guard isAnyFound else { throw KafkaError(.unknownTopic, problems.joined(separator: "; ")) }
        for problem in problems where toldProblems.insert(problem).inserted {
            core.logger.warning("a topic cannot be read", metadata: ["reason": "\(problem)"])
            core.bridge.push([.partitionError(nil, name: "UNKNOWN_TOPIC_OR_PART", message: problem)])
        }
    }

    private func partitions(deadline: Int64) throws(KafkaError) -> [PartitionInfo] {
        let found = try metadata(deadline: deadline)
        let low = try listOffsets(found, logical: Int64(RD_KAFKA_OFFSET_BEGINNING), deadline: deadline)
        let high = try listOffsets(found, logical: Int64(RD_KAFKA_OFFSET_END), deadline: deadline)
        known.formUnion(found)
        isKnownComplete = true
        return found.compactMap { partition in
            guard let low = low[partition], let high = high[partition] else { return nil }
            return PartitionInfo(topic: partition.topic, partition: partition.partition, low: low, high: high)
        }
    }

    /// One request per leader. A logical offset in place of a time asks for the beginning or the end.
    private func listOffsets(_ partitions: [TopicPartition], logical: Int64, deadline: Int64)
        throws(KafkaError) -> [TopicPartition: Int64]
    {
        guard !partitions.isEmpty else { return [:] }
        let action = "asking for the offsets of \(partitions.count) partitions"
        let list = try answered(deadline: deadline, doing: action, partitions, offset: logical) {
            rd_kafka_offsets_for_times(client, $0, $1)
        }
        var result: [TopicPartition: Int64] = [:]
        for entry in list.entries() {
            guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw LookupThread.failure(entry.error, doing: "asking for the offsets of \(entry.partition)")
            }
            result[entry.partition] = entry.offset
        }
        return result
    }

    private func committed(deadline: Int64) throws(KafkaError) -> [TopicPartition: Int64] {
        let action = "asking for the committed offsets of the group"
        let found = try metadata(deadline: deadline)
        let list = try answered(deadline: deadline, doing: action, found, offset: Int64(RD_KAFKA_OFFSET_INVALID)) {
            rd_kafka_committed(client, $0, $1)
        }
        var result: [TopicPartition: Int64] = [:]
        for entry in list.entries() {
            guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw LookupThread.failure(entry.error, doing: "\(action), \(entry.partition)")
            }
            if entry.offset >= 0 { result[entry.partition] = entry.offset }
        }
        return result
    }

    private func offsets(at time: Timestamp, deadline: Int64) throws(KafkaError) -> [TopicPartition: Int64] {
        let found = try metadata(deadline: deadline)
        var result = try listOffsets(found, logical: max(0, time.milliseconds), deadline: deadline)
        // No message is that new: the end, as -1 means.
        let missing = found.filter { (result[$0] ?? -1) < 0 }
        if !missing.isEmpty {
            let ends = try listOffsets(missing, logical: Int64(RD_KAFKA_OFFSET_END), deadline: deadline)
            result.merge(ends) { $1 }
        }
        return result
    }

    // MARK: New partitions

    private func discover() {
        // Before the caller has asked once, nothing is new.
        guard isKnownComplete else { return }
        let deadline = monotonicNanoseconds() + 5_000_000_000
        guard let found = try? metadata(deadline: deadline) else { return }
        known.formUnion(core.assigned)
        let new = found.filter { !known.contains($0) }
        guard !new.isEmpty else { return }
        known.formUnion(new)
        let names = new.map(\.description).joined(separator: " ")
        core.logger.notice("new partitions", metadata: ["partitions": "\(names)"])
        core.bridge.push([.newPartitions(new)])
    }
}
