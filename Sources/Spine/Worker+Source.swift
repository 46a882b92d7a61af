internal import Core
internal import Logging
internal import Store
internal import Synchronization

/// What Kafka answers to a start.
struct SourceAnswers: Sendable {
    var ranges: [PartitionRange]
    var committed: [TopicPartition: Int64] = [:]
    var atTimestamp: [TopicPartition: Int64] = [:]
}

/// What went wrong with the event source lately, told from its task to the loop's.
final class SourceTrouble: Sendable {
    /// An error of a broker is often followed by others that say less.
    private static let problemsMax = 3

    private struct State {
        var problems: [String] = []
        var ending: WorkerError?
    }

    private let state = Mutex(State())

    /// Why nothing more will come; nil while it may.
    var ending: WorkerError? {
        get { state.withLock { $0.ending } }
        set { state.withLock { $0.ending = newValue } }
    }

    func note(_ problem: String) {
        state.withLock { state in
            state.problems.removeAll { $0 == problem }
            state.problems.append(problem)
            if state.problems.count > SourceTrouble.problemsMax { state.problems.removeFirst() }
        }
    }

    /// The latest problems, newest first; they are forgotten.
    func takeProblems() -> [String] {
        state.withLock { state in
            defer { state.problems = [] }
            return state.problems.reversed()
        }
    }
}

/// When to say again that Kafka does not answer: after three seconds, or at once where it refused, then at intervals
/// that double from five seconds to five minutes.
struct Complaint {
    private static let patience: Duration = .seconds(3)
    private static let intervalMax: Duration = .seconds(300)

    let begin: Timestamp
    private(set) var dueAt: Timestamp
    private(set) var count = 0
    private var interval: Duration = .seconds(5)
    /// What the last question was answered with.
    var refusal: String?

    init(at now: Timestamp) {
        begin = now
        dueAt = now.adding(Complaint.patience)
    }

    /// A question was refused: that is worth a line at once.
    mutating func refused(_ text: String, at now: Timestamp) {
        refusal = text
        if count == 0 { dueAt = now }
    }

    /// Whether a line is due now; if so, the next one is later.
    mutating func isDue(at now: Timestamp) -> Bool {
        guard now >= dueAt else { return false }
        count += 1
        dueAt = now.adding(interval)
        interval = min(interval * 2, Complaint.intervalMax)
        return true
    }
}

extension Worker {
    /// Hands the source's events to the loop until it ends. What is only to be told never waits for the loop.
    func pump() async {
        do {
            while let events = try await source.next() {
                var rest: [SourceEvent] = []
                for event in events {
                    if case .problem(let text) = event { note(text) } else { rest.append(event) }
                }
                if !rest.isEmpty { await mailbox.deliver(.events(rest)) }
            }
            trouble.ending = WorkerError(.source, "the event source ended")
            mailbox.post(.sourceEnded(nil))
        } catch {
            trouble.ending = WorkerError(.source, "the event source failed: \(error)")
            mailbox.post(.sourceEnded(error))
        }
    }

    private func note(_ problem: String) {
        trouble.note(problem)
        // While a start waits for Kafka, one line says what is wrong, not one per attempt to connect.
        logger.log(level: isReady ? .warning : .debug, "event source", metadata: ["problem": "\(problem)"])
    }

    /// What Kafka holds, and where a first start could begin; waits until Kafka answers.
    /// - Throws: ``WorkerError`` when the worker is stopped meanwhile, or the source failed for good.
    func askSource() async throws -> SourceAnswers {
        let hasStored = try store.read { try !$0.offsets().isEmpty }
        let position = configuration.start.position
        var complaint = Complaint(at: clock.now())
        var wait = configuration.probeIntervals.lowerBound
        while true {
            do {
                let answers = try await unlessStopped(&complaint) { [source] in
                    var answers = SourceAnswers(ranges: try await source.partitions())
                    guard !hasStored else { return answers }
                    answers.committed = try await source.committedOffsets()
                    if case .timestamp(let time)? = position {
                        answers.atTimestamp = try await source.offsets(at: time)
                    }
                    return answers
                }
                if complaint.count > 0 { logger.notice("Kafka answers") }
                return answers
            } catch let error as WorkerError where error.code == .stopped {
                throw error
            } catch {
                if let ending = trouble.ending { throw ending }
                complaint.refused("\(error)", at: clock.now())
                complain(&complaint)
            }
            await sleepUnlessStopped(wait)
            if stopSignal.isRaised { throw WorkerError.stopping }
            wait = min(wait * 2, configuration.probeIntervals.upperBound)
        }
    }

    private func complain(_ complaint: inout Complaint) {
        let now = clock.now()
        guard complaint.isDue(at: now) else { return }
        var reasons = complaint.refusal.map { [$0] } ?? []
        for problem in trouble.takeProblems() where !reasons.contains(problem) { reasons.append(problem) }
        if reasons.isEmpty { reasons = ["no answer yet"] }
        logger.error(
            "waiting for Kafka: the worker cannot start before it says what its topics hold",
            metadata: [
                "reason": "\(reasons.joined(separator: "; "))",
                "seconds": "\(now.milliseconds(since: complaint.begin) / 1000)",
            ])
    }

    /// Puts a question that may be answered late or never: a stop ends the wait for it, not the question.
    func unlessStopped<Answer: Sendable>(
        _ question: @escaping @Sendable () async throws -> Answer
    ) async throws -> Answer {
        var silent: Complaint?
        return try await unlessStopped(&silent, question)
    }

    private func unlessStopped<Answer: Sendable>(
        _ complaint: inout Complaint, _ question: @escaping @Sendable () async throws -> Answer
    ) async throws -> Answer {
        var spoken: Complaint? = complaint
        defer { complaint = spoken ?? complaint }
        return try await unlessStopped(&spoken, question)
    }

    private func unlessStopped<Answer: Sendable>(
        _ complaint: inout Complaint?, _ question: @escaping @Sendable () async throws -> Answer
    ) async throws -> Answer {
        let answers = Mailbox<Result<Answer, any Error>>()
        // Not structured: a group would wait at its end for a question that is never answered.
        let asking = Task {
            do { answers.post(.success(try await question())) } catch { answers.post(.failure(error)) }
        }
        // Not structured, as it must end beside the question.
        let watching = Task {
            await stopSignal.wait()
            if stopSignal.isRaised { answers.post(.failure(WorkerError.stopping)) }
        }
        defer {
            asking.cancel()
            watching.cancel()
        }
        while true {
            if let answer = await answers.take(until: complaint?.dueAt, clock: clock).first { return try answer.get() }
            if var spoken = complaint {
                complain(&spoken)
                complaint = spoken
            }
        }
    }
}
