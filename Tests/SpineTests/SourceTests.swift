import ChangeEvents
import Core
import RouterTesting
import Spine
import Store
import Testing

/// Partitions that come, go, stand still, and brokers that do not answer, through the worker's loop.
@Suite(.timeLimit(.minutes(1))) struct SourceTests {
    // MARK: Partitions

    @Test func `new partitions are read from their beginning and go on where they were after a restart`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        try await stage.life { life in
            try await life.settle()
            stage.row(.insert, "b", 1, version: 1, in: t1)
            stage.row(.insert, "c", 1, version: 2, in: t1)
            try await life.settle()
            #expect(try life.lines() == ["bootstrap a@1 - 1", "bootstrap ended"])
            stage.source.report(.newPartitions([t1]))
            try await life.settle()
            #expect(try life.lines().suffix(2) == ["b@1 - 1", "c@2 - 1"])
            #expect(stage.source.assignments.last == [t0: 1, t1: 0])
        }
        stage.row(.insert, "d", 1, version: 3, in: t1)
        try await stage.life { try await $0.settle() }
        #expect(stage.source.assignments.last == [t0: 1, t1: 2])
        #expect(try await stage.lines().suffix(3) == ["b@1 - 1", "c@2 - 1", "d@3 - 1"])
    }

    @Test func `a partition that Kafka overtook stands still, an operator hears of it, and only --accept-gap goes on`()
        async throws
    {
        let stage = Stage(partitions: [t0, t1])
        stage.row(.insert, "a", 1, version: 1)
        try await stage.life { life in
            try await life.settle()
            stage.source.hold(after: 0)
            for version in Int64(2)...5 { stage.row(.insert, "x\(version)", 1, version: version) }
            stage.source.overtake(t0, below: 3)
            stage.source.hold(after: nil)
            stage.row(.insert, "b", 1, version: 1, in: t1)
            try await life.settle()
        }
        let lines = try await stage.lines()
        #expect(lines == ["bootstrap a@1 - 1", "bootstrap ended", "ill partition t[0]", "b@1 - 1"])
        #expect(try await stage.read { try $0.nextOffset(topic: "t", partition: 0) } == 1)
        await #expect(throws: StartRefusal.self) { try await stage.life { try await $0.settle() } }
        stage.settings.isGapAccepted = true
        try await stage.life { try await $0.settle() }
        let after = try await stage.lines().dropFirst(lines.count)
        #expect(Set(after) == ["well partition t[0]", "x4@4 - 1", "x5@5 - 1"])
    }

    @Test func `a partition that is away for a while loses nothing, though memory was checkpointed without it`()
        async throws
    {
        let stage = Stage(partitions: [t0, t1])
        stage.row(.insert, "a", 1, version: 1, in: t1)
        stage.row(.after, "a", 2, version: 2, in: t1)
        try await stage.killed { try await $0.settle() }
        stage.row(.before, "a", 1, version: 2, in: t1)
        stage.source.remove(t1)
        stage.row(.insert, "b", 1, version: 1)
        // It ends in order, with a checkpoint that does not hold the half that waits in the other partition.
        try await stage.life { try await $0.settle() }
        #expect(try await stage.read { try $0.checkpoint(name: "lines")?.offsets } == [t0: 1, t1: 0])
        try await stage.life { life in
            try await life.settle()
            stage.source.bringBack(t1)
            while !stage.source.assignments.contains([t0: 1, t1: 2]) { await Task.yield() }
            try await life.settle()
        }
        let lines = try await stage.lines()
        #expect(lines.count { $0.contains("a@1") } == 1)
        #expect(lines.filter { $0.contains("a@2") } == ["a@2 1 2"])
        #expect(lines.count { $0.contains("b@1") } == 1)
    }

    @Test func `an operator hears that a leader is lost, and that it is back`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        try await stage.life { life in
            try await life.settle()
            try await life.advance(.seconds(5), by: .seconds(1))
            stage.source.report(.leaderLost(t0))
            try await life.settle()
            try await life.advance(.seconds(5), by: .seconds(1))
            #expect(try life.lines().last == "ill lagging t")
            let clocks = try await life.worker.perform(.context)
            try await life.advance(.seconds(60), by: .seconds(10))
            #expect(try await life.worker.perform(.context) == clocks)
            stage.source.report(.leaderLive(t0))
            try await life.settle()
            try await life.advance(.seconds(5), by: .seconds(1))
            #expect(try life.lines().last == "well lagging t")
        }
    }

    @Test func `bootstrapping ends though its last partitions are gone, once and with its summary`() async throws {
        let stage = Stage(partitions: [t0, t1])
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.insert, "b", 1, version: 1, in: t1)
        stage.source.hold(after: 1)
        try await stage.life { try await $0.settle() }
        #expect(try await stage.lines() == ["bootstrap a@1 - 1"])
        for partition in [t0, t1] { stage.source.remove(partition) }
        stage.source.hold(after: nil)
        // A partition that is new to this start is stored at once; bootstrapping must not be forgotten with that.
        stage.row(.insert, "c", 1, version: 1, in: TopicPartition(topic: "t", partition: 2))
        await #expect(throws: WorkerError.self) {
            try await stage.life(faults: { $0.fail(unit: 2, .before(.corrupt)) }) { try await $0.settle() }
        }
        try await stage.life { try await $0.settle() }
        #expect(try await stage.lines() == ["bootstrap a@1 - 1", "bootstrap ended", "c@1 - 1"])
        try await stage.life { try await $0.settle() }
        #expect(try await stage.lines().count { $0 == "bootstrap ended" } == 1)
    }

    // MARK: Brokers that do not answer

    @Test func `a first start waits for Kafka, says why, ever more rarely, and begins when it answers`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        let source = BalkySource(stage.source)
        source.mood = .refuses("topic 'misspelt': unknown")
        try await stage.life(source: source) { life in
            for _ in 0..<600 {
                while stage.clock.sleeperCount == 0 { await Task.yield() }
                stage.clock.advance(by: .seconds(1))
            }
            #expect(!life.worker.isReady)
            let lines = stage.log.lines("waiting for Kafka")
            #expect((4...10).contains(lines.count))
            // Where virtual time outruns the first answer, the lines before it say that there is none yet.
            let reasoned = lines.drop { $0.contains("no answer yet") }
            #expect(reasoned.count >= 3 && reasoned.allSatisfy { $0.contains("topic 'misspelt': unknown") })
            source.mood = .answers
            while !life.worker.isReady {
                if stage.clock.sleeperCount > 0 { stage.clock.advance(by: .seconds(1)) }
                await Task.yield()
            }
            try await life.settle()
        }
        #expect(try await stage.lines() == ["bootstrap a@1 - 1", "bootstrap ended"])
        #expect(stage.log.lines("Kafka answers").count == 1)
    }

    @Test func `what brokers say while a start waits is in the line, and a silent broker is one`() async throws {
        let stage = Stage()
        let source = BalkySource(stage.source)
        source.mood = .isSilent
        try await stage.life(source: source) { life in
            while source.questionCount == 0 { await Task.yield() }
            stage.source.report(.problem("SASL authentication error: wrong password"))
            await stage.source.waitUntilIdle()
            while stage.log.lines("waiting for Kafka").isEmpty {
                if stage.clock.sleeperCount > 0 { stage.clock.advance(by: .seconds(1)) }
                await Task.yield()
            }
            #expect(stage.log.lines("waiting for Kafka")[0].contains("wrong password"))
            // The stop that follows does not wait for the answer.
        }
        #expect(!source.isAnswering)
        source.mood = .answers
    }

    @Test func `a start anew after a failed commit waits for brokers that are away`() async throws {
        let stage = Stage()
        let source = BalkySource(stage.source)
        try await stage.life(source: source) { life in
            try await life.settle()
            source.mood = .refuses("no broker")
            life.store.fail(unit: 1, .before(.diskFull))
            stage.row(.insert, "a", 1, version: 1)
            while stage.log.lines("waiting for Kafka").isEmpty { await Task.yield() }
            #expect(!life.worker.isReady)
            source.mood = .answers
            while !life.worker.isReady {
                if stage.clock.sleeperCount > 0 { stage.clock.advance(by: .seconds(1)) }
                await Task.yield()
            }
            try await life.settle()
        }
        #expect(try await stage.lines() == ["a@1 - 1"])
    }

    @Test func `a stop does not wait for an answer about new partitions`() async throws {
        let stage = Stage()
        let source = BalkySource(stage.source)
        stage.row(.insert, "a", 1, version: 1)
        try await stage.life(source: source) { life in
            try await life.settle()
            let before = source.questionCount
            source.mood = .isSilent
            stage.source.report(.newPartitions([t1]))
            while source.questionCount == before { await Task.yield() }
        }
        source.mood = .answers
        // It ended in order: with a checkpoint.
        #expect(try await stage.read { try $0.checkpoint(name: "lines")?.offsets } == [t0: 1])
    }

    @Test func `a source that ends while a start waits for it ends the worker`() async throws {
        let stage = Stage()
        let source = BalkySource(stage.source)
        source.mood = .refuses("no broker")
        stage.source.end()
        await #expect(throws: WorkerError.self) {
            try await stage.life(source: source) { life in
                while true {
                    if stage.clock.sleeperCount > 0 { stage.clock.advance(by: .seconds(1)) }
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
        }
    }
}
