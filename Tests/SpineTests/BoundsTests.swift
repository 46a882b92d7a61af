import Core
import RouterTesting
import Spine
import Testing

/// Goal: nothing that a worker gives up for want of room goes without a number. Method: the worker's loop, its bounds
/// reached, its metrics read.
@Suite(.timeLimit(.minutes(1))) struct BoundsTests {
    private static func value(_ name: String, _ stage: Stage) -> String? {
        let start = "alert_router_\(name)_total{worker=\"lines\"} "
        return stage.registry.prometheusText().split(separator: "\n").first { $0.hasPrefix(start) }
            .map { String($0.dropFirst(start.count)) }
    }

    @Test func `what row memory gives up is counted, with the next batch or when a wait ends`() async throws {
        let stage = Stage()
        stage.row(.insert, "a", 1, version: 1)
        try await stage.life { life in
            try await life.settle()
            stage.row(.after, "b", 1, version: 2)
            try await life.settle()
            #expect(BoundsTests.value("events_unpaired", stage) == "0")
            try await life.advance(.seconds(4))
            #expect(BoundsTests.value("events_unpaired", stage) == "1")
            #expect(BoundsTests.value("row_keys_expired", stage) == "0")
            let days = Int64(8 * 86_400)
            stage.clock.advance(by: .seconds(days))
            stage.row(.insert, "c", 1, version: 3, seconds: days)
            stage.row(.insert, "a", 1, version: 4, seconds: days)
            try await life.settle()
            #expect(BoundsTests.value("row_keys_expired", stage) == "1")
            for name in ["waits_refused", "row_values_refused", "row_texts_cut", "row_keys_evicted"] {
                #expect(BoundsTests.value(name, stage) == "0")
            }
        }
        // What memory did before is not counted again after a start.
        try await stage.life { try await $0.settle() }
        #expect(BoundsTests.value("events_unpaired", stage) == "1")
    }

    @Test func `commands beyond the bound are refused at once, those before are carried out`() async throws {
        let stage = Stage()
        let source = BalkySource(stage.source)
        try await stage.life(source: source) { life in
            try await life.settle()
            await BoundsTests.hang(life, source)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<1003 {
                    group.addTask {
                        do {
                            _ = try await life.worker.perform(.say("\(number)"))
                            return true
                        } catch let error as WorkerError where error.code == .busy {
                            #expect(error.message.contains("1000 commands"))
                            return false
                        }
                    }
                }
                for _ in 0..<3 { #expect(try await group.next() == false) }
                source.mood = .answers
                for try await isDone in group { #expect(isDone) }
            }
            #expect(BoundsTests.value("commands_refused", stage) == "3")
            // There is room again.
            _ = try await life.worker.perform(.say("after"))
        }
    }

    @Test func `facts beyond the bound are counted`() async throws {
        let stage = Stage()
        let source = BalkySource(stage.source)
        try await stage.life(source: source) { life in
            try await life.settle()
            await BoundsTests.hang(life, source)
            for number in 0..<10_005 {
                life.worker.report(
                    HealthFact(component: "c", subject: "\(number)", isHealthy: false, detail: ""))
            }
            source.mood = .answers
            try await life.settle()
            #expect(BoundsTests.value("facts_dropped", stage) == "5")
        }
    }

    /// Lets the loop wait for an answer of Kafka.
    private static func hang(_ life: Life, _ source: BalkySource) async {
        let before = source.questionCount
        source.mood = .isSilent
        life.stage.source.report(.newPartitions([t1]))
        while source.questionCount == before { await Task.yield() }
    }
}
