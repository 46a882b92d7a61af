import ChangeEvents
import Core
import RouterTesting
import Spine
import Store
import Testing

/// Memory that is read again after a start, checkpoints, and commands meanwhile.
@Suite(.timeLimit(.minutes(1))) struct ReplayTests {
    /// Three rows that are judged and not checkpointed.
    private func stage() async throws -> Stage {
        let stage = Stage()
        for version in Int64(1)...3 { stage.row(.insert, "a\(version)", 1, version: version) }
        try await stage.killed { try await $0.settle() }
        return stage
    }

    @Test func `commands wait while memory is read again and are carried out after it`() async throws {
        let stage = try await stage()
        stage.source.hold(after: 1)
        try await stage.life { life in
            async let first = life.worker.perform(.say("one"))
            async let second = life.worker.perform(.say("two"))
            while stage.source.positions[t0] != 1 { await Task.yield() }
            let lines = try life.lines()
            #expect(lines.allSatisfy { !$0.contains("said") })
            stage.source.hold(after: nil)
            let replies = try await [first, second]
            #expect(replies == ["rows 3", "rows 3"])
        }
        #expect(Set(try await stage.lines().suffix(2)) == ["said one", "said two"])
    }

    @Test func `commands before and behind a stop are all answered while memory is read again`() async throws {
        let stage = try await stage()
        stage.source.hold(after: 1)
        let answers = Answers()
        try await stage.life { life in
            while stage.source.positions[t0] != 1 { await Task.yield() }
            for number in 0..<100 {
                if number == 50 { life.worker.stop() }
                answers.add { _ = try await life.worker.perform(.say("\(number)")) }
            }
        }
        #expect(await answers.refusedCount() == 100)
        #expect(try await stage.lines().allSatisfy { !$0.contains("said") })
    }

    @Test func `commands behind an error are all answered while memory is read again`() async throws {
        let stage = try await stage()
        let source = BalkySource(stage.source)
        source.assignSilently()
        let answers = Answers()
        await #expect(throws: WorkerError.self) {
            try await stage.life(source: source) { life in
                while source.questionCount < 2 { await Task.yield() }
                stage.source.end()
                for _ in 0..<1000 { await Task.yield() }
                for number in 0..<100 { answers.add { _ = try await life.worker.perform(.say("\(number)")) } }
                for _ in 0..<1000 { await Task.yield() }
                source.mood = .answers
                while !Task.isCancelled { await Task.yield() }
            }
        }
        #expect(await answers.refusedCount() == 100)
    }

    /// Of the rows' memory or of the rules': both are read again, so that they fit each other.
    @Test(arguments: ["lines", "lines.rules"])
    func `a damaged checkpoint is told, memory is read again from the first row, and nothing is judged twice`(
        name: String
    ) async throws {
        let stage = Stage()
        for version in Int64(1)...3 { stage.row(.insert, "a\(version)", 1, version: version) }
        stage.row(.after, "a1", 2, version: 4)
        try await stage.life { try await $0.settle() }
        let lines = try await stage.lines()
        let store = try stage.open()
        let old = try #require(try store.read { try $0.checkpoint(name: name) })
        var chunk = try #require(try store.read { try $0.checkpointChunk(id: old.id, index: 0) })
        chunk[chunk.count / 2] ^= 0x10
        let (damaged, now) = (chunk, stage.clock.now())
        try await store.write(byteCount: 4096) { transaction in
            let id = try transaction.beginCheckpoint(name: name, at: now)
            try transaction.appendCheckpointChunk(id: id, bytes: damaged)
            try transaction.completeCheckpoint(id: id, offsets: old.offsets, ruleHashes: old.ruleHashes, at: now)
        }
        await store.close(now: now)
        let assignmentCount = stage.source.assignments.count
        stage.row(.before, "a1", 1, version: 4)
        try await stage.life { life in
            try await life.settle()
            let reply = try await life.worker.perform(.say("x"))
            #expect(reply == "rows 4")
        }
        #expect(stage.source.assignments.dropFirst(assignmentCount).first == [t0: 0])
        #expect(stage.log.lines("checkpoint cannot be used").count == 1)
        // The half that waited before the damage still found its other half.
        #expect(try await stage.lines() == lines + ["a1@4 1 2", "said x"])
    }

    @Test func `with other rules the checkpoint of rows still holds`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.life { try await $0.settle() }
        let assignmentCount = stage.source.assignments.count
        stage.settings.hashes = ["r": "2", "s": "1"]
        stage.row(.before, "a", 1, version: 2)
        try await stage.life { try await $0.settle() }
        #expect(stage.source.assignments.count == assignmentCount + 1)
        #expect(try await stage.lines().last == "a@2 1 2")
        #expect(try await stage.read { try $0.checkpoint(name: "lines")?.ruleHashes } == ["r": "2", "s": "1"])
    }

    @Test func `a reload writes a checkpoint at its offset, with the hashes of the new rules`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        stage.row(.after, "a", 2, version: 2)
        try await stage.killed { life in
            try await life.settle()
            #expect(try life.store.read { try $0.checkpoint(name: "lines") } == nil)
            _ = try await life.worker.perform(.reload(Stage.catalog(), hashes: ["r": "2"]))
            try await life.settle()
            let checkpoint = try life.store.read { try $0.checkpoint(name: "lines") }
            #expect(checkpoint?.offsets == [t0: 2])
            #expect(checkpoint?.ruleHashes == ["r": "2"])
        }
        // The half that waited at the reload is in it.
        stage.row(.before, "a", 1, version: 2)
        try await stage.life { try await $0.settle() }
        #expect(try await stage.lines().suffix(2) == ["reloaded", "a@2 1 2"])
    }
}

/// Tasks that must all be refused with an answer.
final class Answers: @unchecked Sendable {
    // SAFETY: the list is changed by the life's task alone and read after its end.
    private var tasks: [Task<Bool, Never>] = []

    func add(_ body: @escaping @Sendable () async throws -> Void) {
        tasks.append(
            Task {
                do { try await body() } catch { return error is WorkerError }
                return false
            })
    }

    /// Waits for all of them.
    func refusedCount() async -> Int {
        var count = 0
        for task in tasks where await task.value { count += 1 }
        return count
    }
}
