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

    private static let partition = TopicPartition(topic: "t", partition: 0)
    private static let up = "\(SourceEvent.brokerState(live: true))"
    private static let down = "\(SourceEvent.brokerState(live: false))"
    private static let live = "\(SourceEvent.leaderState(live: [partition], lost: []))"
    private static let lost = "\(SourceEvent.leaderState(live: [], lost: [partition]))"

    private struct Watched {
        var watch = LeaderWatch(silenceMax: .milliseconds(100))
        var assigned: Set = [StatisticsTests.partition]
        var assignmentCount = 1

        mutating func observe(_ state: String, idle: Int = 5) throws -> [String] {
            let report = try #require(StatisticsReport(StatisticsTests.report(state: state, idle: idle, lag: 0)))
            return watch.observe(report, assigned: assigned, assignmentCount: assignmentCount).map { "\($0)" }
        }

        mutating func allBrokersDown() -> [String] { watch.allBrokersDown(assigned: assigned).map { "\($0)" } }
    }

    @Test func `a leader is live while it answers, and news come only with a change`() throws {
        let (up, down, live, lost) = (
            StatisticsTests.up, StatisticsTests.down, StatisticsTests.live, StatisticsTests.lost
        )
        var watched = Watched()
        #expect(try watched.observe("UP", idle: -1) == [up])
        #expect(try watched.observe("UP", idle: 1000) == [live])
        #expect(try watched.observe("UP", idle: 100_000) == [])
        #expect(try watched.observe("UP", idle: 100_001) == [lost])
        #expect(try watched.observe("UP") == [live])
        #expect(try watched.observe("DOWN") == [down, lost])
        #expect(try watched.observe("UP") == [up, live])
        #expect(watched.allBrokersDown() == [down, lost])
        #expect(watched.allBrokersDown() == [])
        #expect(try watched.observe("DOWN") == [])
    }

    @Test func `a leader that never answered is told to be lost, not at once, and only once`() throws {
        let (up, down, live, lost) = (
            StatisticsTests.up, StatisticsTests.down, StatisticsTests.live, StatisticsTests.lost
        )
        var watched = Watched()
        #expect(try watched.observe("DOWN") == [down])
        #expect(try watched.observe("DOWN") == [lost])
        #expect(try watched.observe("DOWN") == [])
        #expect(try watched.observe("UP") == [up, live])
        // Brokers may go before the first report came.
        var other = Watched()
        #expect(other.allBrokersDown() == [down, lost])
        #expect(try other.observe("DOWN") == [])
        #expect(try other.observe("DOWN") == [lost])
    }

    @Test func `with another assignment all is told again`() throws {
        let (up, down, live, lost) = (
            StatisticsTests.up, StatisticsTests.down, StatisticsTests.live, StatisticsTests.lost
        )
        var watched = Watched()
        #expect(try watched.observe("UP") == [up, live])
        watched.assignmentCount = 2
        #expect(try watched.observe("UP") == [live])
        #expect(try watched.observe("UP") == [])
        watched.assignmentCount = 3
        #expect(try watched.observe("DOWN") == [down])
        #expect(try watched.observe("DOWN") == [lost])
        watched.assignmentCount = 4
        watched.assigned = []
        #expect(try watched.observe("DOWN") == [])
        #expect(try watched.observe("DOWN") == [])
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
