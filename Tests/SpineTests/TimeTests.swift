import ChangeEvents
import Core
import RouterTesting
import Spine
import Testing

/// What the worker takes from messages for its clocks and floors.
@Suite(.timeLimit(.minutes(1))) struct TimeTests {
    @Test func `times far in the future, Kafka's too, set the table clock five minutes ahead at most`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        let century: Int64 = 3_155_760_000
        stage.row(.insert, "b", 1, version: 2, seconds: century)
        try await stage.life { life in
            try await life.settle()
            #expect(try await life.worker.perform(.context).hasPrefix("clocks 240 "))
            try await life.advance(.seconds(600), by: .seconds(100))
            #expect(try await life.worker.perform(.context).hasPrefix("clocks 540 "))
            // Nor are all other rows now older than what a table remembers: this one was read before.
            stage.row(.insert, "a", 1, version: 1)
            try await life.settle()
            #expect(try life.lines().filter { $0.contains("a@1") }.count == 1)
        }
        #expect(stage.registry.prometheusText().contains("alert_router_events_time_ahead_total{worker=\"lines\"} 1"))
    }

    @Test func `a time up to five minutes ahead is what it says`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1, seconds: 299)
        try await stage.life { life in
            try await life.settle()
            #expect(try await life.worker.perform(.context).hasPrefix("clocks 239 "))
        }
    }

    @Test func `under the clock of the data the data says what time it is`() async throws {
        let stage = Stage()
        stage.settings.clockMode = .data
        stage.row(.insert, "a", 1, version: 1, seconds: 86_400)
        try await stage.life { life in
            try await life.settle()
            #expect(try await life.worker.perform(.context).hasPrefix("clocks 86340 "))
        }
    }

    @Test func `versions of one table of a topic say nothing of another's, and keep their names in a reload`()
        async throws
    {
        let m0 = TopicPartition(topic: "m", partition: 0)
        let stage = Stage(partitions: [m0], batchMax: 1)
        let (u, v) = (Stage.table("u", topics: ["m"]), Stage.table("v", topics: ["m"]))
        stage.settings.catalog = Stage.catalog([u, v])
        for (table, lsn) in [("u", 100), ("v", 5), ("u", 101)] {
            stage.source.append(
                m0, key: "k",
                value: "{\"op\":\"c\",\"source\":{\"table\":\"\(table)\",\"lsn\":\(lsn),\"ts_ms\":1768200000000},"
                    + "\"before\":null,\"after\":{\"id\":\"k\",\"x\":\(lsn)}}",
                timestamp: Stage.start.milliseconds)
        }
        stage.source.hold(after: 2)
        try await stage.life { life in
            try await life.settle()
            #expect(try await life.worker.perform(.context).hasSuffix("floors [100, 5]"))
            _ = try await life.worker.perform(.reload(Stage.catalog([v, u]), hashes: [:]))
            #expect(try await life.worker.perform(.context).hasSuffix("floors [5, 100]"))
            stage.source.hold(after: nil)
            try await life.settle()
            #expect(try await life.worker.perform(.context).hasSuffix("floors [\(Int64.max), \(Int64.max)]"))
        }
    }
}
