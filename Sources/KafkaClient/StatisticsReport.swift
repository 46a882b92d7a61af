internal import Core

/// The parts of librdkafka's statistics that are of use, read leniently: what is missing is unknown, never an error.
struct StatisticsReport: Equatable {
    struct Broker: Equatable {
        var id: Int64
        var isUp: Bool
        /// Microseconds since the last bytes came; nil where none came on this connection.
        var receiveIdleMicroseconds: Int64?
        var roundTripMicroseconds: Int64?
        var throttleMilliseconds: Int64?
        var disconnectCount: Int64
    }

    struct Partition: Equatable {
        var partition: TopicPartition
        var brokerId: Int64
        /// Messages behind the end; nil where unknown.
        var lag: Int64?
        var queueByteCount: Int64
        var queueMessageCount: Int64
    }

    var brokers: [Broker] = []
    var partitions: [Partition] = []

    /// Reads a report; nil where the text is no JSON object.
    init?(_ bytes: [UInt8]) {
        guard let json = try? JSON.parse(bytes), case .object(let members) = json else { return nil }
        for member in members {
            switch member.name {
            case "brokers": brokers = (member.value.members ?? []).compactMap { StatisticsReport.broker($0.value) }
            case "topics":
                for topic in member.value.members ?? [] {
                    let list = topic.value["partitions"]?.members ?? []
                    partitions += list.compactMap { StatisticsReport.partition(topic: topic.name, $0.value) }
                }
            default: continue
            }
        }
    }

    private static func broker(_ json: JSON) -> Broker? {
        // Bootstrap addresses and the logical coordinator have no node id of their own.
        guard let id = json["nodeid"]?.intValue, id >= 0 else { return nil }
        let idle = json["rxidle"]?.intValue ?? -1
        return Broker(
            id: id, isUp: json["state"]?.stringValue == "UP", receiveIdleMicroseconds: idle < 0 ? nil : idle,
            roundTripMicroseconds: json["rtt"]?["avg"]?.intValue,
            throttleMilliseconds: json["throttle"]?["max"]?.intValue,
            disconnectCount: json["disconnects"]?.intValue ?? 0)
    }

    private static func partition(topic: String, _ json: JSON) -> Partition? {
        guard let number = json["partition"]?.intValue, number >= 0, number <= Int64(Int32.max) else { return nil }
        let lag = json["consumer_lag"]?.intValue ?? -1
        return Partition(
            partition: TopicPartition(topic: topic, partition: Int32(number)),
            brokerId: json["broker"]?.intValue ?? json["leader"]?.intValue ?? -1, lag: lag < 0 ? nil : lag,
            queueByteCount: json["fetchq_size"]?.intValue ?? 0, queueMessageCount: json["fetchq_cnt"]?.intValue ?? 0)
    }
}

/// Which partitions have a leader that answers; a pure value, fed with reports and outages.
struct LeaderWatch {
    private let silenceMaxMicroseconds: Int64
    /// What was told of partitions since the last assignment; absent: nothing yet.
    private var told: [TopicPartition: Bool] = [:]
    private var assignmentCount = 0
    private var reportCount = 0
    private(set) var isAnyBrokerUp: Bool?

    init(silenceMax: Duration) { silenceMaxMicroseconds = silenceMax.wholeMilliseconds * 1000 }

    /// What changed by a report, for partitions that are assigned.
    ///
    /// With another assignment all is told again: a reader may have begun anew without what it was told before. Leaders
    /// that never answered are told to be lost with the second report, as the first may be older than the connections;
    /// the reader may have taken an end of the partition for an answer.
    mutating func observe(
        _ report: StatisticsReport, assigned: Set<TopicPartition>, assignmentCount count: Int
    ) -> [SourceEvent] {
        var answering: Set<Int64> = []
        for broker in report.brokers where broker.isUp {
            // An idle connection that has received nothing yet is up, but has not answered.
            if let idle = broker.receiveIdleMicroseconds, idle <= silenceMaxMicroseconds { answering.insert(broker.id) }
        }
        var nowLive: Set<TopicPartition> = []
        for entry in report.partitions where answering.contains(entry.brokerId) && assigned.contains(entry.partition) {
            nowLive.insert(entry.partition)
        }
        if count != assignmentCount {
            assignmentCount = count
            reportCount = 0
            told = [:]
        }
        reportCount += 1
        var lost = Set(told.keys.filter { told[$0] == true }).subtracting(nowLive)
        if reportCount > 1 { lost.formUnion(assigned.filter { told[$0] == nil && !nowLive.contains($0) }) }
        return change(gained: nowLive, lost: lost, isAnyBrokerUp: report.brokers.contains { $0.isUp })
    }

    /// What changed because no broker can be reached.
    mutating func allBrokersDown(assigned: Set<TopicPartition>) -> [SourceEvent] {
        change(gained: [], lost: assigned.union(told.keys), isAnyBrokerUp: false)
    }

    private mutating func change(
        gained: Set<TopicPartition>, lost: Set<TopicPartition>, isAnyBrokerUp isUp: Bool
    ) -> [SourceEvent] {
        var events: [SourceEvent] = []
        if isAnyBrokerUp != isUp {
            isAnyBrokerUp = isUp
            events.append(.brokerState(live: isUp))
        }
        let gained = gained.filter { told[$0] != true }.sorted()
        let lost = lost.filter { told[$0] != false }.sorted()
        for partition in gained { told[partition] = true }
        for partition in lost { told[partition] = false }
        if !gained.isEmpty || !lost.isEmpty { events.append(.leaderState(live: gained, lost: lost)) }
        return events
    }
}
