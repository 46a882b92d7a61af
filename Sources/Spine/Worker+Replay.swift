internal import ChangeEvents
internal import Core
internal import Store

/// What became of dead letters that were read again.
public struct ReplayReport: Sendable, Equatable {
    /// Letters whose message was read as events this time.
    public var replayed: [Int64]
    /// Letters that stay open, with the reason.
    public var refused: [Int64: String]
    /// Events that rules judged; the others were older than what is known, or changed nothing.
    public var judgedCount: Int
}

extension Worker {
    func replay(
        _ letters: [DeadLetterRecord], by person: String,
        _ continuation: CheckedContinuation<ReplayReport, any Error>, _ state: inout WorkerState<D>
    ) async throws {
        do {
            try await flush(&state, isForced: true)
        } catch {
            continuation.resume(throwing: (error as? CommitFailure)?.underlying ?? error)
            throw error
        }
        var report = ReplayReport(replayed: [], refused: [:], judgedCount: 0)
        var copies: [RawBatch.Copied] = []
        var ids: [Int64] = []
        for letter in letters {
            guard let copy = RawBatch.Copied(letter: letter) else {
                report.refused[letter.id] = "its message was not kept; read it from Kafka at its offset"
                continue
            }
            copies.append(copy)
            ids.append(letter.id)
        }
        decode(RawBatch.copying(copies), &state)
        for rejected in state.batch.rejected { report.refused[ids[Int(rejected.messageIndex)]] = rejected.reason }
        // A row that failed in a rule was admitted before: it is known, but its judgement is what is asked for.
        for index in state.batch.events.indices where state.batch.events[index].disposition == .duplicate {
            state.batch.events[index].disposition = .judge
        }
        report.judgedCount = state.batch.events.count { $0.disposition == .judge }
        report.replayed = ids.filter { report.refused[$0] == nil }
        let now = clock.now()
        let judged = state.decider.decide(state.batch, context: state.context(now: now))
        let settled = report.replayed
        // Settled first: a row that fails again then gets a letter of its own, and nothing passes as success.
        state.pending.add(
            Decision(byteCount: 128 * settled.count, hasOutboxRows: false) { transaction in
                // One that somebody settled meanwhile stays as it is: the judgement stands all the same.
                for id in settled where try transaction.deadLetter(id: id)?.state == .open {
                    try transaction.settleDeadLetter(id: id, state: .replayed, by: person, at: now)
                }
            })
        state.pending.add(judged)
        let answer = report
        submit(&state) { result in
            switch result {
            case .success: continuation.resume(returning: answer)
            case .failure(let error): continuation.resume(throwing: error)
            }
        }
    }
}

extension RawBatch.Copied {
    init?(letter: DeadLetterRecord) {
        guard let topic = letter.topic, let partition = letter.partition, let offset = letter.offset,
            !letter.areBytesDropped, let headers = try? MessageHeaders.decode(letter.headers)
        else { return nil }
        self.init(
            partition: TopicPartition(topic: topic, partition: partition), offset: offset,
            timestamp: letter.timestamp?.milliseconds ?? -1, key: letter.key, value: letter.value, headers: headers)
    }
}
