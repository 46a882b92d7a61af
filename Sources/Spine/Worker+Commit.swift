internal import ChangeEvents
internal import Core
internal import Logging
internal import Store
internal import Synchronization

extension Worker {
    /// Hands the pending unit over when it has effects or the writer is idle; waits while too much is in flight.
    ///
    /// Offsets of batches without effects are joined while a commit is under way (ADR 0002).
    func flush(_ state: inout WorkerState<D>, isForced: Bool) async throws {
        guard !state.pending.isEmpty else { return }
        let inFlight = state.inFlight.unitCount
        guard isForced || state.pending.hasEffects || inFlight == 0 || state.pending.byteCount > 1 << 20 else { return }
        submit(&state) { _ in }
        await state.inFlight.waitUntil(
            unitsMax: configuration.unitsInFlightMax, bytesMax: configuration.bytesInFlightMax)
        if state.inFlight.failure != nil { throw failure(of: state) }
    }

    /// Hands the pending unit to the writer; `answered` is called after its commit.
    func submit(
        _ state: inout WorkerState<D>, answered: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        let unit = state.pending
        state.pending = PendingUnit()
        for (partition, offset) in unit.offsets { state.submitted[partition] = offset.next }
        let clocks = clocksToStore(&state, hasEffects: unit.hasEffects)
        let kind = "\(configuration.name).table_clock"
        let formatKind = "\(configuration.name).format"
        let formats = newFormats(&state)
        let byteCount = unit.byteCount + 256
        let inFlight = state.inFlight
        inFlight.begin(byteCount: byteCount, gauge: metrics.unitsInFlight)
        metrics.units.add()
        store.submit(byteCount: byteCount, chain: state.chain) { transaction in
            for (partition, offset) in unit.offsets {
                try transaction.advanceOffset(
                    topic: partition.topic, partition: partition.partition, expected: offset.expected,
                    next: offset.next)
            }
            for (table, time, newest) in clocks {
                try transaction.upsertState(
                    StateRecord(kind: kind, key: table, dueAt: time, bytes: TableClockRecord.bytes(newest: newest)))
            }
            for (topic, format) in formats {
                try transaction.upsertState(
                    StateRecord(kind: formatKind, key: topic, dueAt: nil, bytes: Array(format.rawValue.utf8)))
            }
            for letter in unit.deadLetters { try transaction.insertDeadLetter(letter) }
            for run in unit.pairRuns { try transaction.insertPairRun(run) }
            for decision in unit.decisions { try decision.apply(transaction) }
        } completion: { [source, mailbox, metrics, onOutboxRows] result in
            switch result {
            case .success:
                inFlight.end(byteCount: byteCount, failure: nil, gauge: metrics.unitsInFlight)
                if !unit.offsets.isEmpty { source.commit(unit.offsets.mapValues(\.next)) }
                if unit.hasOutboxRows { onOutboxRows() }
            case .failure(let error):
                inFlight.end(byteCount: byteCount, failure: error, gauge: metrics.unitsInFlight)
                mailbox.post(.commitFailed)
            }
            answered(result)
        }
    }

    /// Formats detected since the last unit: a tombstone can only be read when its topic's format is known.
    private func newFormats(_ state: inout WorkerState<D>) -> [String: EventFormat] {
        let found = state.decoder.detectedFormats
        guard found.count != state.storedFormats.count else { return [:] }
        let known = state.storedFormats
        state.storedFormats = found
        return found.filter { known[$0.key] != $0.value }
    }

    /// Clocks whose stored value is worth writing: with effects always, else when they moved by a second.
    private func clocksToStore(_ state: inout WorkerState<D>, hasEffects: Bool) -> [(String, Timestamp, Timestamp)] {
        var changed: [(String, Timestamp, Timestamp)] = []
        for (index, clock) in state.clocks.enumerated() where clock.now != .distantPast {
            let stored = state.storedClocks[index] ?? .distantPast
            let newest = clock.newestCommit
            let isMoved = clock.now > stored && (hasEffects || clock.now.milliseconds(since: stored) >= 1000)
            // Under `clock: data` the newest row drives the clock, so it is as durable as the offsets.
            guard isMoved || (clock.mode == .data && newest > state.storedNewest[index]) else { continue }
            state.storedClocks[index] = clock.now
            state.storedNewest[index] = newest
            // The names that go with the clocks: a reload may have brought another catalog already.
            changed.append((state.tableNames[index], clock.now, newest))
        }
        return changed
    }

    func checkpointIfDue(_ state: inout WorkerState<D>) async throws {
        guard state.eventsSinceCheckpoint > 0 else { return }
        let age = clock.now().milliseconds(since: state.lastCheckpointAt)
        guard
            state.eventsSinceCheckpoint >= configuration.checkpointEventsMax
                || age >= configuration.checkpointInterval.wholeMilliseconds
        else { return }
        try await checkpoint(&state)
    }

    /// Writes memory with the offsets it covers. It is complete only when its last job is committed, and every unit it
    /// covers was handed over before, so it can never be ahead of the stored offsets.
    func checkpoint(_ state: inout WorkerState<D>) async throws {
        try await flush(&state, isForced: true)
        let name = configuration.name
        let memories = [
            (name, state.memory.checkpoint().map(\.bytes)), ("\(name).rules", state.decider.memoryCheckpoint()),
        ]
        let offsets = state.submitted.merging(state.next.filter { state.submitted[$0.key] == nil }) { old, _ in old }
            .merging(state.absent) { _, covered in covered }
        let hashes = state.decider.ruleHashes
        let now = clock.now()
        state.eventsSinceCheckpoint = 0
        state.lastCheckpointAt = now
        let ids = CheckpointIds()
        // Piece by piece, so that a large memory neither fills the writer's queue nor stalls it.
        for (name, chunks) in memories {
            await submitCheckpointJob(byteCount: 64, state) {
                try ids.set(name, $0.beginCheckpoint(name: name, at: now))
            }
            for chunk in chunks {
                await submitCheckpointJob(byteCount: chunk.count, state) { transaction in
                    try transaction.appendCheckpointChunk(id: ids.of(name), bytes: chunk)
                }
            }
        }
        // Both memories become the newest at once: a crash before this leaves the older checkpoint.
        await submitCheckpointJob(byteCount: 4096, state) { [metrics] transaction in
            for (name, _) in memories {
                try transaction.completeCheckpoint(id: ids.of(name), offsets: offsets, ruleHashes: hashes, at: now)
            }
            try transaction.deletePairRuns(before: now.adding(.seconds(-86_400)), countMax: 10_000)
            metrics.checkpoints.add()
        }
    }

    private func submitCheckpointJob(
        byteCount: Int, _ state: WorkerState<D>, _ body: @escaping @Sendable (any StoreTransaction) throws -> Void
    ) async {
        let inFlight = state.inFlight
        inFlight.begin(byteCount: byteCount, gauge: metrics.unitsInFlight)
        store.submit(byteCount: byteCount, chain: state.chain, body) { [mailbox, metrics] result in
            switch result {
            case .success: inFlight.end(byteCount: byteCount, failure: nil, gauge: metrics.unitsInFlight)
            case .failure(let error):
                inFlight.end(byteCount: byteCount, failure: error, gauge: metrics.unitsInFlight)
                mailbox.post(.commitFailed)
            }
        }
        await inFlight.waitUntil(unitsMax: configuration.unitsInFlightMax, bytesMax: configuration.bytesInFlightMax)
    }
}

/// The ids of checkpoints that are being written, known once their first job ran.
private final class CheckpointIds: Sendable {
    private let ids = Mutex<[String: Int64]>([:])

    func set(_ name: String, _ id: Int64) { ids.withLock { $0[name] = id } }

    func of(_ name: String) throws -> Int64 {
        guard let id = ids.withLock({ $0[name] }) else {
            throw StoreError(.chainBroken, "The checkpoint '\(name)' was not begun.", systemCode: nil)
        }
        return id
    }
}

/// What is stored of a table clock beside its time.
enum TableClockRecord {
    static func bytes(newest: Timestamp) -> [UInt8] {
        var writer = ByteWriter()
        writer.signed(newest.milliseconds)
        return writer.bytes
    }

    /// Nil where an older program stored none.
    static func newest(_ bytes: [UInt8]) -> Timestamp? {
        var reader = ByteReader(bytes)
        return (try? reader.signed()).map(Timestamp.init(milliseconds:))
    }
}
