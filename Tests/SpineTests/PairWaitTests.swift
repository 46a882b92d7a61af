import ChangeEvents
import Core
import RouterTesting
import Spine
import Store
import Testing

/// A postimage whose preimage is behind it in the partition, in the worker's loop.
@Suite struct PairWaitTests {
    /// One message a batch: the row's insert and its postimage are read, the preimage lies in Kafka and is not.
    private func stage() -> Stage {
        let stage = Stage(batchMax: 1)
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        stage.row(.before, "a", 1, version: 2)
        stage.source.hold(after: 2)
        return stage
    }

    @Test(arguments: [Duration.milliseconds(500), .seconds(10)])
    func `while the partition is not read to its end, ten slow seconds do not end the wait`(
        step: Duration
    ) async throws {
        let stage = stage()
        try await stage.life { life in
            try await life.settle()
            try await life.advance(.seconds(10), by: step)
            #expect(try life.lines() == ["bootstrap a@1 - 1"])
            stage.source.hold(after: nil)
            try await life.settle()
            #expect(try life.lines().contains("bootstrap a@2 1 2"))
        }
        #expect(try await stage.lines() == ["bootstrap a@1 - 1", "bootstrap a@2 1 2", "bootstrap ended"])
        #expect(try await stage.read { try $0.pairRuns(since: .distantPast) }.isEmpty)
    }

    @Test func `a kill between the halves and a slow start leave one event with its before`() async throws {
        let stage = stage()
        try await stage.killed { try await $0.settle() }
        try await stage.life { life in
            // The broker is slow to come back: nothing more of the partition is there yet.
            stage.source.hold(after: 2)
            try await life.settle()
            try await life.advance(.seconds(10))
            stage.source.hold(after: nil)
            try await life.settle()
        }
        #expect(try await stage.lines() == ["bootstrap a@1 - 1", "bootstrap a@2 1 2", "bootstrap ended"])
    }

    @Test func `a half restored from a checkpoint begins to wait anew`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.life { life in
            try await life.settle()
            try await life.advance(.milliseconds(1500))
        }
        try await stage.life { life in
            try await life.settle()
            try await life.advance(.milliseconds(1500))
            stage.row(.before, "a", 1, version: 2)
            try await life.settle()
        }
        #expect(try await stage.lines().filter { $0.contains("a@2") } == ["a@2 1 2"])
    }

    @Test func `at the end of the partition the wait ends after two seconds, not before`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.life { life in
            try await life.settle()
            try await life.advance(.milliseconds(1500))
            #expect(try life.lines().allSatisfy { !$0.contains("a@2") })
            try await life.advance(.seconds(1))
            #expect(try life.lines().last == "a@2 - 2")
        }
        #expect(try await stage.read { try $0.pairRuns(since: .distantPast) }.count == 1)
    }

    @Test func `a loop that stood still at the end does not take that for silence`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.life { life in
            try await life.settle()
            stage.clock.advance(by: .seconds(3600))
            try await life.settle()
            #expect(try life.lines().allSatisfy { !$0.contains("a@2") })
            stage.row(.before, "a", 1, version: 2)
            try await life.settle()
            #expect(try life.lines().last == "a@2 1 2")
        }
    }

    @Test func `where the source is never read to its end the wait ends after thirty seconds`() async throws {
        let stage = stage()
        try await stage.life { life in
            try await life.settle()
            try await life.advance(.seconds(29))
            #expect(try life.lines() == ["bootstrap a@1 - 1"])
            try await life.advance(.milliseconds(1500))
            #expect(try life.lines() == ["bootstrap a@1 - 1", "bootstrap a@2 - 2"])
            stage.source.hold(after: nil)
            try await life.settle()
        }
        #expect(try await stage.lines().filter { $0.contains("a@2") } == ["bootstrap a@2 - 2"])
    }

    @Test func `a busy partition of another table does not hold up a wait`() async throws {
        let u0 = TopicPartition(topic: "u", partition: 0)
        let stage = Stage(partitions: [t0, u0])
        stage.settings.catalog = Stage.catalog([Stage.table("t"), Stage.table("u")])
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.life { life in
            try await life.settle()
            stage.source.hold(after: 0)
            stage.row(.insert, "b", 1, version: 1, in: u0)
            try await life.advance(.milliseconds(2500))
            #expect(try life.lines().last == "a@2 - 2")
        }
    }

    @Test func `a partition whose leader is lost is not known to be read to its end`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.life { life in
            try await life.settle()
            stage.source.report(.leaderLost(t0))
            try await life.settle()
            try await life.advance(.seconds(10))
            stage.row(.before, "a", 1, version: 2)
            try await life.settle()
            #expect(try life.lines().filter { $0.contains("a@2") } == ["a@2 1 2"])
        }
    }

    /// The wait ended in the first life, or the preimage came in it; either way a replay judges nothing again.
    @Test(arguments: [true, false])
    func `a replay after a kill takes the branch that was taken`(isEnded: Bool) async throws {
        let stage = Stage(batchMax: 1)
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.killed { life in
            try await life.settle()
            if isEnded { try await life.advance(.seconds(3)) }
            stage.row(.before, "a", 1, version: 2)
            try await life.settle()
        }
        let lines = try await stage.lines()
        #expect(lines.filter { $0.contains("a@2") } == [isEnded ? "a@2 - 2" : "a@2 1 2"])
        try await stage.life { life in
            stage.row(.before, "a", 2, version: 3)
            stage.row(.after, "a", 3, version: 3)
            try await life.settle()
            try await life.advance(.seconds(40))
            #expect(try await life.worker.perform(.say("x")) == "rows 3")
        }
        #expect(try await stage.lines() == lines + ["a@3 2 3", "said x"])
    }

    @Test func `under the clock of the data only rows end a wait`() async throws {
        let stage = Stage()
        stage.settings.clockMode = .data
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2, seconds: 1)
        try await stage.life { life in
            try await life.settle()
            try await life.advance(.seconds(60), by: .seconds(10))
            #expect(try life.lines().allSatisfy { !$0.contains("a@2") })
            stage.row(.insert, "b", 1, version: 3, seconds: 4)
            try await life.settle()
            #expect(try life.lines().last == "a@2 - 2")
        }
    }
}
