import ChangeEvents
import Core
import RouterTesting
import Spine
import Testing

// Goal: nobody waits for a worker that has ended. Method: questions asked before, while and after it ends.

/// A source that cannot be reached; it says so when it is told to.
private final class UnreachableSource: EventSource {
    struct Failure: Error {}
    let gate = AsyncStream<Void>.makeStream()

    func partitions() async throws -> [PartitionRange] {
        for await _ in gate.stream { break }
        throw Failure()
    }
    func committedOffsets() async throws -> [TopicPartition: Int64] { [:] }
    func offsets(at time: Timestamp) async throws -> [TopicPartition: Int64] { [:] }
    func assign(_ offsets: [TopicPartition: Int64], generation: Int) async throws {}
    func next() async throws -> [SourceEvent]? { nil }
    func commit(_ offsets: [TopicPartition: Int64]) {}
}

@Suite(.timeLimit(.minutes(1))) struct WorkerEndTests {
    private static let tables =
        "tables:\n  facts: {row_key: [id], topics: [t], format: cdf, columns: {id: string, x: int}}"
    private static let rules = "table: facts\nowner: t\nrules:\n  - {name: high, when: after.x > 1, severity: error}"

    private static func rig(reading: (any EventSource)? = nil) throws -> WorkerRig {
        let source = ScriptedEventSource(partitions: [TopicPartition(topic: "t", partition: 0)], batchMax: 10)
        return try WorkerRig(
            rules: WorkerRig.rules(tables: tables, rules: rules), source: source, folder: nil,
            clock: TestClock(WorkerRig.start), clockMode: .data, reading: reading)
    }

    @Test func `a question after the end is refused at once`() async throws {
        let rig = try WorkerEndTests.rig()
        defer { rig.remove() }
        try await rig.drain()
        try await rig.stop()
        await #expect(throws: WorkerError.self) { try await rig.ask() }
    }

    @Test func `a question that waits while the start fails is refused`() async throws {
        let source = UnreachableSource()
        let rig = try WorkerEndTests.rig(reading: source)
        defer { rig.remove() }
        let answer = Task { try await rig.ask() }
        source.gate.continuation.yield()
        await #expect(throws: WorkerError.self) { try await rig.ended() }
        await #expect(throws: WorkerError.self) { try await answer.value }
    }
}
