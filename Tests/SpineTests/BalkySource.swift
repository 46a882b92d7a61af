import Core
import RouterTesting
import Spine
import Synchronization

/// A scripted source whose broker may refuse questions or leave them without an answer.
final class BalkySource: EventSource {
    struct Refusal: Error, CustomStringConvertible {
        var description: String
    }

    enum Mood: Sendable {
        case answers
        case refuses(String)
        case isSilent
    }

    private struct State {
        var mood = Mood.answers
        var isAssigningSilent = false
        var questionCount = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    let script: ScriptedEventSource
    private let state = Mutex(State())

    init(_ script: ScriptedEventSource) { self.script = script }

    /// How it answers from now on; questions that wait are answered.
    var mood: Mood {
        get { state.withLock { $0.mood } }
        set {
            let waiting = state.withLock { state in
                state.mood = newValue
                state.isAssigningSilent = false
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Assignments take effect only when the mood is set again.
    func assignSilently() { state.withLock { $0.isAssigningSilent = true } }

    /// Whether no question waits.
    var isAnswering: Bool { state.withLock { $0.waiting.isEmpty } }

    var questionCount: Int { state.withLock { $0.questionCount } }

    private func ask(isAssignment: Bool = false) async throws {
        let mood = state.withLock { state in
            state.questionCount += 1
            return state.isAssigningSilent && isAssignment ? .isSilent : state.mood
        }
        switch mood {
        case .answers: return
        case .refuses(let text): throw Refusal(description: text)
        case .isSilent:
            await withCheckedContinuation { continuation in state.withLock { $0.waiting.append(continuation) } }
        }
    }

    func partitions() async throws -> [PartitionRange] {
        try await ask()
        return try await script.partitions()
    }

    func committedOffsets() async throws -> [TopicPartition: Int64] { try await script.committedOffsets() }

    func offsets(at time: Timestamp) async throws -> [TopicPartition: Int64] { try await script.offsets(at: time) }

    func assign(_ offsets: [TopicPartition: Int64], generation: Int) async throws {
        try await ask(isAssignment: true)
        try await script.assign(offsets, generation: generation)
    }

    func next() async throws -> [SourceEvent]? { try await script.next() }

    func commit(_ offsets: [TopicPartition: Int64]) { script.commit(offsets) }
}
