import Core
import RouterTesting
import Spine
import Testing

/// Goal: a worker that does not consume says so and why, whatever keeps it, and says when it is over. Method: the
/// worker's loop with a clock that only the test moves.
@Suite(.timeLimit(.minutes(1))) struct PulseTests {
    private static func names(_ life: Life) -> [String] { life.worker.obstacles().map(\.name) }

    @Test func `a leader may be away for as long as rows may be late, and no longer`() async throws {
        let stage = Stage(partitions: [t0, t1])
        try await stage.life { life in
            try await life.settle()
            #expect(life.worker.obstacles() == [])
            stage.source.report(.leaderLost(t1))
            try await life.settle()
            try await life.advance(.seconds(60), by: .seconds(5))
            #expect(life.worker.obstacles() == [])
            try await life.advance(.seconds(5), by: .seconds(5))
            #expect(PulseTests.names(life) == ["kafka"])
            #expect(life.worker.obstacles().first?.message == "no leader has answered for 65 s for t[1]")
            #expect(stage.log.lines("not consuming").count == 1)
            stage.source.report(.leaderLost(t0))
            try await life.settle()
            try await life.advance(.seconds(65), by: .seconds(5))
            #expect(life.worker.obstacles().first?.message == "no leader has answered for 130 s for any partition")
            stage.source.report(.leaderLive(t0))
            stage.source.report(.leaderLive(t1))
            try await life.settle()
            #expect(life.worker.obstacles() == [])
            #expect(stage.log.lines("not consuming").count == 1)
            #expect(stage.log.lines("consuming again").count == 1)
        }
    }

    @Test func `while a backlog comes, a leader that answers nothing else is not away`() async throws {
        let stage = Stage(batchMax: 1)
        for index in 0..<20 { stage.row(.insert, "k\(index)", 1, version: Int64(index + 1)) }
        stage.source.hold(after: 1)
        try await stage.life { life in
            for _ in 0..<8 {
                stage.source.hold(after: 1)
                try await life.advance(.seconds(10), by: .seconds(5))
                #expect(life.worker.obstacles() == [])
            }
            try await life.advance(.seconds(70), by: .seconds(5))
            #expect(PulseTests.names(life) == ["kafka"])
        }
    }

    @Test func `a partition that stands still is told until a start`() async throws {
        let stage = Stage(partitions: [t0, t1])
        stage.settings.isGapAccepted = true
        try await stage.life { life in
            try await life.settle()
            stage.source.hold(after: 0)
            for version in Int64(1)...3 { stage.row(.insert, "a", 1, version: version) }
            stage.source.overtake(t0, below: 2)
            stage.source.hold(after: nil)
            try await life.settle()
            #expect(PulseTests.names(life) == ["partitions"])
            #expect(life.worker.obstacles().first?.message.hasSuffix("any more of t[0]") == true)
        }
        try await stage.life { life in
            try await life.settle()
            #expect(life.worker.obstacles() == [])
        }
    }

    @Test func `a loop that hangs is noticed within 30 s, one that has nothing to do is not taken for one`()
        async throws
    {
        let stage = Stage()
        let source = BalkySource(stage.source)
        try await stage.life(source: source) { life in
            try await life.settle()
            try await life.advance(.seconds(600), by: .seconds(25))
            #expect(life.worker.obstacles() == [])
            let before = source.questionCount
            source.mood = .isSilent
            stage.source.report(.newPartitions([t1]))
            while source.questionCount == before { await Task.yield() }
            stage.clock.advance(by: .seconds(30))
            #expect(life.worker.obstacles() == [])
            stage.clock.advance(by: .seconds(1))
            #expect(life.worker.obstacles().first?.message == "its loop has stood for 31 s")
            source.mood = .answers
            while !life.worker.obstacles().isEmpty { await Task.yield() }
        }
    }

    @Test func `a store that hangs is noticed though the loop turns`() async throws {
        let stage = Stage()
        try await stage.life { life in
            try await life.settle()
            life.store.hang()
            stage.row(.insert, "a", 1, version: 1)
            await stage.source.waitUntilIdle()
            while stage.log.lines("store: it has not answered for").isEmpty {
                if stage.clock.sleeperCount > 0 { stage.clock.advance(by: .seconds(5)) }
                await Task.yield()
            }
            #expect(PulseTests.names(life) == ["store"])
            life.store.goOn()
            try await life.settle()
            #expect(life.worker.obstacles() == [])
        }
    }

    @Test func `before its start and behind its end a worker does not consume`() async throws {
        let stage = Stage()
        let source = BalkySource(stage.source)
        source.mood = .refuses("no broker")
        try await stage.life(source: source) { life in
            #expect(PulseTests.names(life) == ["worker"])
            source.mood = .answers
            while !life.worker.isReady {
                if stage.clock.sleeperCount > 0 { stage.clock.advance(by: .seconds(1)) }
                await Task.yield()
            }
            try await life.settle()
            #expect(life.worker.obstacles() == [])
            life.worker.stop()
            while life.worker.obstacles().isEmpty { await Task.yield() }
            #expect(PulseTests.names(life) == ["worker"])
        }
    }
}
