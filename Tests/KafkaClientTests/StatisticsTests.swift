import Core
import Testing

@testable import KafkaClient

/// Statistics are read leniently, and turned into the news of leaders that come and go.
struct StatisticsTests {
    private static func report(state: String, idle: Int, lag: Int) -> [UInt8] {
        bytes(
            """
            {"brokers":{"a:9093/1":{"nodeid":1,"state":"\(state)","rxidle":\(idle),"rtt":{"avg":1500},
            "throttle":{"max":20},"disconnects":2},"bootstrap":{"nodeid":-1,"state":"UP","rxidle":1}},
            "topics":{"t":{"partitions":{"0":{"partition":0,"broker":1,"consumer_lag":\(lag),"fetchq_size":7,
            "fetchq_cnt":1},"-1":{"partition":-1},"1":{"partition":1,"broker":2,"consumer_lag":-1}}}}}
            """)
    }

    @Test func `what is there is read, what is missing is unknown`() throws {
        let report = try #require(StatisticsReport(StatisticsTests.report(state: "UP", idle: 10, lag: 5)))
        #expect(report.brokers.count == 1)
        #expect(report.brokers[0].throttleMilliseconds == 20)
        #expect(report.partitions.map(\.lag) == [5, nil])
        #expect(StatisticsReport(bytes("{}"))?.brokers.isEmpty == true)
        #expect(StatisticsReport(bytes("{\"brokers\":[1],\"topics\":{\"t\":null}}"))?.partitions.isEmpty == true)
        #expect(StatisticsReport(bytes("{\"brokers\"")) == nil)
        #expect(StatisticsReport([]) == nil)
    }

    @Test func `a leader is live while it answers, and news come only with a change`() throws {
        let partition = TopicPartition(topic: "t", partition: 0)
        let assigned: Set = [partition, TopicPartition(topic: "t", partition: 1)]
        var watch = LeaderWatch(silenceMax: .milliseconds(100))
        func observe(_ state: String, idle: Int) throws -> [String] {
            let report = try #require(StatisticsReport(StatisticsTests.report(state: state, idle: idle, lag: 0)))
            return watch.observe(report, assigned: assigned).map { "\($0)" }
        }
        let live = "\(SourceEvent.leaderState(live: [partition], lost: []))"
        let lost = "\(SourceEvent.leaderState(live: [], lost: [partition]))"
        #expect(try observe("UP", idle: -1) == ["\(SourceEvent.brokerState(live: true))"])
        #expect(try observe("UP", idle: 1000) == [live])
        #expect(try observe("UP", idle: 100_000) == [])
        #expect(try observe("UP", idle: 100_001) == [lost])
        #expect(try observe("UP", idle: 5) == [live])
        #expect(try observe("DOWN", idle: 5) == ["\(SourceEvent.brokerState(live: false))", lost])
        #expect(try observe("UP", idle: 5) == ["\(SourceEvent.brokerState(live: true))", live])
        #expect(watch.allBrokersDown().count == 2)
        #expect(watch.allBrokersDown().isEmpty)
    }

    @Test func `lag and throttling become metrics`() throws {
        let registry = MetricsRegistry()
        let metrics = ConsumerMetrics(registry)
        metrics.observe(try #require(StatisticsReport(StatisticsTests.report(state: "UP", idle: 10, lag: 5))))
        let text = registry.prometheusText()
        #expect(text.contains("alert_router_kafka_lag_messages 5\n"))
        #expect(text.contains("alert_router_kafka_partition_lag_messages{topic=\"t\",partition=\"0\"} 5\n"))
        #expect(!text.contains("partition=\"1\""))
        #expect(text.contains("alert_router_kafka_throttle_milliseconds 20\n"))
    }
}
