internal import ChangeEvents
public import Core
internal import Logging
internal import Store
internal import Synchronization

extension Worker {
    /// Decodes and admits a batch into the state's change batch.
    func decode(_ raw: RawBatch, _ state: inout WorkerState<D>) {
        state.batch.reset()
        state.decoder.commitTimeMax =
            configuration.clockMode == .wall
            ? clock.now().adding(milliseconds: ChangeDecoder.timeAheadMaxMilliseconds) : nil
        state.decoder.decode(raw, into: state.batch)
        state.memory.admit(state.batch)
    }

    /// Judges a raw batch on top of what is decided, and hands it over when it is time.
    func judge(_ raw: RawBatch, _ state: inout WorkerState<D>) async throws {
        let now = clock.now()
        pulse.withLock { pulse in
            pulse.turn(at: now)
            pulse.read(raw.partitions, at: now)
        }
        let wanted = belowOffsetsDropped(raw, state)
        guard !wanted.messages.isEmpty else { return }
        decode(wanted, &state)
        let decision = state.decider.decide(state.batch, context: state.context(now: clock.now()))
        observe(&state)
        advanceOffsets(wanted, &state)
        keepRejected(wanted, &state)
        state.pending.add(decision)
        count(wanted, &state)
        endBootstrapIfPassed(&state)
        try await flush(&state, isForced: false)
        try await checkpointIfDue(&state)
    }

    /// Drops messages below the offsets that are decided: Kafka may send them again after an assignment.
    private func belowOffsetsDropped(_ raw: RawBatch, _ state: WorkerState<D>) -> RawBatch {
        var limits: [Int64] = []
        for partition in raw.partitions { limits.append(state.next[partition] ?? .max) }
        let isClean = raw.messages.allSatisfy { $0.offset >= limits[Int($0.partitionIndex)] }
        if isClean { return raw }
        let kept = raw.filtered { message, _ in message.offset >= limits[Int(message.partitionIndex)] }
        metrics.skippedBelowOffset.add(raw.messages.count - kept.messages.count)
        return kept
    }

    /// Moves the table clocks by the batch's commit times.
    private func observe(_ state: inout WorkerState<D>) {
        guard let raw = state.batch.raw else { return }
        var newest: [Int64] = []
        let stride = raw.partitions.count
        newest = Array(repeating: .min, count: stride * state.clocks.count)
        var versions = newest
        for event in state.batch.events where event.partitionIndex >= 0 {
            let index = Int(event.table) * stride + Int(event.partitionIndex)
            newest[index] = max(newest[index], event.commitTime.milliseconds)
            versions[index] = max(versions[index], event.version)
        }
        for (index, partition) in raw.partitions.enumerated() {
            var progress = state.progress[partition] ?? PartitionProgress()
            progress.isAtEnd = false
            for table in state.tables(of: partition) { progress.judged(versions[table * stride + index], of: table) }
            state.progress[partition] = progress
        }
        for table in state.clocks.indices {
            state.clocks[table].observe(
                raw.partitions, newest: newest[table * stride..<(table + 1) * stride])
        }
    }

    private func advanceOffsets(_ raw: RawBatch, _ state: inout WorkerState<D>) {
        var last = Array(repeating: Int64(-1), count: raw.partitions.count)
        for message in raw.messages { last[Int(message.partitionIndex)] = message.offset }
        for (index, partition) in raw.partitions.enumerated() where last[index] >= 0 {
            let next = last[index] + 1
            state.next[partition] = next
            state.passed[partition] = max(state.passed[partition] ?? 0, next)
            let expected = state.pending.offsets[partition].map(\.expected) ?? state.submitted[partition]
            state.pending.offsets[partition] = (expected, next)
        }
        state.pending.byteCount += 64 * raw.partitions.count
    }

    /// Messages that are no event go to the dead letters with everything that is needed to look at and replay them.
    private func keepRejected(_ raw: RawBatch, _ state: inout WorkerState<D>) {
        for rejected in state.batch.rejected {
            let message = raw.messages[Int(rejected.messageIndex)]
            let partition = raw.partition(of: message)
            var reason = rejected.reason
            if let offset = rejected.byteOffset { reason += " (byte \(offset))" }
            var letter = DeadLetterRecord(kind: .input, createdAt: clock.now(), reason: reason)
            letter.topic = partition.topic
            letter.partition = partition.partition
            letter.offset = message.offset
            letter.timestamp = message.timestamp >= 0 ? Timestamp(milliseconds: message.timestamp) : nil
            letter.key = message.key.map { Array($0) }
            letter.value = message.value.map { Array($0) }
            letter.headers = MessageHeaders.encode(raw.headers(of: message))
            state.pending.byteCount += letter.byteCount + 256
            state.pending.deadLetters.append(letter)
        }
    }

    private func count(_ raw: RawBatch, _ state: inout WorkerState<D>) {
        metrics.messages.add(raw.messages.count)
        metrics.rejected.add(state.batch.rejected.count)
        metrics.timeAhead.add(state.batch.timeAheadCount)
        var counts = [0, 0, 0, 0]
        for event in state.batch.events {
            switch event.disposition {
            case .judge: counts[0] += 1
            case .late: counts[1] += 1
            case .duplicate: counts[2] += 1
            case .noOp: counts[3] += 1
            case .decoded, .waiting, .paired: break
            }
        }
        metrics.events.add(counts[0])
        metrics.late.add(counts[1])
        metrics.duplicates.add(counts[2])
        metrics.noOps.add(counts[3])
        metrics.keysEvicted.add(state.noteForgottenKeys())
        countMemory(&state)
        state.eventsSinceCheckpoint += raw.messages.count
    }

    /// Counts what memory gave up.
    private func countMemory(_ state: inout WorkerState<D>) {
        let counters = state.takeMemoryCounters()
        metrics.keysExpired.add(counters.keysExpired)
        metrics.unpaired.add(counters.unpaired)
        metrics.waitsRefused.add(counters.waitsRefused)
        metrics.valuesRefused.add(counters.valuesRefused)
        metrics.textsCut.add(counters.textsCut)
    }

    /// Bootstrapping ends when every partition has passed what Kafka held at the first start.
    private func endBootstrapIfPassed(_ state: inout WorkerState<D>) {
        guard state.isBootstrap else { return }
        let passed = state.passed
        state.bootstrapEnds = state.bootstrapEnds.filter { (passed[$0.key] ?? 0) < $0.value }
        guard state.bootstrapEnds.isEmpty else { return }
        // What was due by the rows read so far fired while bootstrapping.
        var context = state.context(now: clock.now())
        context.isBootstrap = true
        state.isBootstrap = false
        state.pending.add(state.decider.advance(context: context))
        let key = MetaKeys(worker: configuration.name).bootstrapEnds
        state.pending.add(
            Decision(byteCount: 64, hasOutboxRows: false) { try $0.setMeta(key, OffsetMap.encode([:])) })
        state.pending.add(state.decider.endBootstrap(context: state.context(now: clock.now())))
        metrics.bootstrapping.set(0)
        logger.info("bootstrap finished", metadata: ["worker": "\(configuration.name)"])
    }

    /// What passes with time: waits for preimages, timers, facts about the router itself.
    func tick(_ state: inout WorkerState<D>) async throws {
        let now = clock.now()
        state.advanceClocks(wall: now)
        showClocks(&state)
        state.batch.reset()
        state.advanceWaitClocks(router: state.routerClock(now: now))
        let runs = state.memory.expireWaits(upTo: state.waitClocks.map(\.now), into: state.batch)
        if !runs.isEmpty {
            countMemory(&state)
            state.pending.pairRuns += runs.map { run in
                PairRunRecord(
                    table: state.decider.catalog.tables[Int(run.table)].name,
                    rowKey: String(run.rowKeyHash, radix: 16), version: run.version, ranAt: now)
            }
            state.pending.add(state.decider.decide(state.batch, context: state.context(now: now)))
        }
        endBootstrapIfPassed(&state)
        let context = state.context(now: now)
        state.pending.add(state.decider.advance(context: context))
        if !state.facts.isEmpty {
            let facts = state.facts.take()
            state.pending.add(state.decider.note(facts, context: context))
            state.notedFacts.add(facts)
        }
        metrics.factsDropped.add(state.facts.takeDroppedCount())
    }

    private func showClocks(_ state: inout WorkerState<D>) {
        if state.clockGauges.isEmpty { state.clockGauges = state.tableNames.map(metrics.tableClock) }
        for (gauge, clock) in zip(state.clockGauges, state.clocks) where clock.now > .distantPast {
            gauge.set(Double(clock.now.milliseconds) / 1000)
        }
    }

    func perform(
        _ command: D.Command, _ continuation: CheckedContinuation<D.Reply, any Error>, _ state: inout WorkerState<D>
    ) async throws {
        let (decision, reply) = state.decider.perform(command, context: state.context(now: clock.now()))
        if let decision, decision.isAlone { return performAlone(decision, reply, continuation) }
        state.pending.add(decision ?? Decision(byteCount: 0, hasOutboxRows: false) { _ in })
        submit(&state) { result in
            switch result {
            case .success: continuation.resume(returning: reply)
            case .failure(let error): continuation.resume(throwing: error)
            }
        }
        if state.decider.catalogVersion != state.catalogVersion { try await replaceCatalog(&state) }
    }

    /// Hands over what builds on no overlay: where the store refuses it, nothing but its command fails.
    private func performAlone(
        _ decision: Decision, _ reply: D.Reply, _ continuation: CheckedContinuation<D.Reply, any Error>
    ) {
        store.submit(byteCount: decision.byteCount, chain: nil) { transaction in
            try decision.apply(transaction)
        } completion: { [self] result in
            switch result {
            case .success:
                if decision.hasOutboxRows { onOutboxRows() }
                for fact in decision.facts { report(fact) }
                continuation.resume(returning: reply)
            case .failure(let error): continuation.resume(throwing: error)
            }
        }
    }

    /// A reload changed what is read: memory is checkpointed at its offsets and goes on with the new catalog.
    private func replaceCatalog(_ state: inout WorkerState<D>) async throws {
        let catalog = state.decider.catalog
        let clocks = Dictionary(
            zip(state.tableNames, state.clocks), uniquingKeysWith: { first, _ in first })
        let names = state.tableNames
        state.tableNames = catalog.tables.map(\.name)
        for partition in state.progress.keys {
            state.progress[partition]?.rename { catalog.index(of: names[$0]) }
        }
        state.clockGauges = []
        state.memory = try RowMemory(catalog: catalog, restoring: state.memory.checkpoint())
        let formats = state.decoder.detectedFormats
        state.decoder = ChangeDecoder(catalog: catalog)
        state.decoder.remember(formats)
        state.catalogVersion = state.decider.catalogVersion
        // A clock goes on with what it knows of its partitions: their ends are told only once.
        state.clocks = catalog.tables.map { table in
            clocks[table.name]?.with(maxDelay: table.declaration.maxDelay)
                ?? TableClock(maxDelay: table.declaration.maxDelay, mode: configuration.clockMode, stored: nil)
        }
        // The halves that memory took over begin to wait anew.
        state.waitClocks = state.clocks.map { WaitClock(mode: $0.mode) }
        state.topicTables = [:]
        for partition in state.next.keys { state.add(partition) }
        let now = clock.now()
        let patience = patience(state)
        pulse.withLock { $0.watch(patience, at: now) }
        for (partition, progress) in state.progress where progress.isAtEnd && state.live.contains(partition) {
            for table in state.tables(of: partition) where clocks[catalog.tables[table].name] == nil {
                state.clocks[table].partitionAtEnd(partition, wall: now)
            }
        }
        state.storedClocks = state.clocks.map { _ in nil }
        state.noteRoomForKeys()
        state.storedNewest = state.clocks.map { _ in .distantPast }
        try await checkpoint(&state)
    }
}

/// Headers of a message as a dead letter keeps them.
public enum MessageHeaders {
    /// Writes the headers of a message; nil for none.
    public static func encode(_ headers: ArraySlice<RawHeader>) -> [UInt8]? {
        guard !headers.isEmpty else { return nil }
        var writer = ByteWriter()
        writer.count(headers.count)
        for header in headers {
            writer.text(header.name)
            writer.optional(header.value) { $0.blob(Array($1)) }
        }
        return writer.bytes
    }

    /// Reads the headers that a dead letter keeps.
    public static func decode(_ bytes: [UInt8]?) throws -> [(name: String, value: [UInt8]?)] {
        guard let bytes else { return [] }
        var reader = ByteReader(bytes)
        var headers: [(name: String, value: [UInt8]?)] = []
        for _ in 0..<(try reader.count()) {
            let name = try reader.text()
            headers.append((name, try reader.optional { reader throws(ByteReadError) in try reader.blob() }))
        }
        return headers
    }
}
