internal import ChangeEvents
internal import Core
internal import Logging
internal import Store
internal import Synchronization

/// Keys of the small free table, prefixed by the worker's name.
struct MetaKeys {
    let worker: String
    var firstRead: String { "\(worker).first_read" }
    var bootstrapEnds: String { "\(worker).bootstrap_ends" }
}

extension Worker {
    /// What a start or a new start after a failed commit does: load what is stored, plan, replay memory, assign.
    func start(_ state: inout WorkerState<D>) async throws {
        let facts = try await gatherFacts(&state)
        let plan = try StartPlan.make(facts, options: configuration.start)
        for gap in plan.acceptedGaps { logger.warning("gap accepted", metadata: ["gap": "\(gap)"]) }
        try await storePlan(plan, facts: facts, &state)
        try await replay(plan, &state)
        state.next = plan.judge
        state.passed = plan.judge
        // Where a start was possible, a partition that stood still is read again.
        state.lagging = Set(state.tableNames)
        for partition in plan.judge.keys.sorted() {
            state.facts.add(
                HealthFact(component: "partition", subject: partition.description, isHealthy: true, detail: ""))
        }
        try await assign(plan.judge, &state)
        state.lastCheckpointAt = clock.now()
        let (patience, now) = (patience(state), clock.now())
        pulse.withLock { $0.start(patience, at: now) }
        state.noteRoomForKeys()
        state.pending.add(state.decider.settle(context: state.context(now: clock.now())))
        metrics.bootstrapping.set(state.isBootstrap ? 1 : 0)
        logger.info(
            "worker started",
            metadata: [
                "worker": "\(configuration.name)", "partitions": "\(plan.judge.count)",
                "bootstrapping": "\(state.isBootstrap)",
            ])
    }

    func assign(_ offsets: [TopicPartition: Int64], _ state: inout WorkerState<D>) async throws {
        state.generation += 1
        state.isAssigned = false
        do {
            try await unlessStopped { [source, generation = state.generation] in
                try await source.assign(offsets, generation: generation)
            }
        } catch let error as WorkerError where error.code == .stopped {
            throw error
        } catch {
            throw WorkerError(.source, "assigning partitions failed: \(error)")
        }
    }

    private func gatherFacts(_ state: inout WorkerState<D>) async throws -> StartFacts {
        let answers = try await askSource()
        let keys = MetaKeys(worker: configuration.name)
        let name = configuration.name
        let fresh = state.decider
        var decider = fresh
        var memory = state.memory
        var clockValues: [String: Timestamp] = [:]
        var formats: [String: EventFormat] = [:]
        var newestValues: [String: Timestamp] = [:]
        let catalog = decider.catalog
        let stored = try store.read { reader in
            try reader.forEachState(kind: "\(name).table_clock") { record in
                if let time = record.dueAt { clockValues[record.key] = time }
                newestValues[record.key] = TableClockRecord.newest(record.bytes)
            }
            try reader.forEachState(kind: "\(name).format") { record in
                formats[record.key] = EventFormat(rawValue: String(decoding: record.bytes, as: UTF8.self))
            }
            var checkpointOffsets: [TopicPartition: Int64] = [:]
            if let checkpoint = try reader.checkpoint(name: name) {
                do {
                    memory = try RowMemory(
                        catalog: catalog, restoring: ChunkedBlob.sequence(try reader.chunks(of: checkpoint)))
                    if let rules = try reader.checkpoint(name: "\(name).rules") {
                        try decider.restoreMemory(try reader.chunks(of: rules))
                    }
                    checkpointOffsets = checkpoint.offsets
                } catch let error where !(error is StoreError) {
                    // Memory is a function of the rows: without the checkpoint it is read again from the first row.
                    logger.warning("the checkpoint cannot be used", metadata: ["error": "\(error)"])
                    memory = RowMemory(catalog: catalog)
                    decider = fresh
                }
            }
            try decider.load(from: reader)
            let runs = try reader.pairRuns(since: .distantPast)
            memory.replay(runs.compactMap { PairRun(record: $0, catalog: catalog) })
            let offsets = try reader.offsets().map {
                (TopicPartition(topic: $0.topic, partition: $0.partition), $0.nextOffset)
            }
            return StoredStart(
                offsets: Dictionary(uniqueKeysWithValues: offsets), checkpoint: checkpointOffsets,
                firstRead: try OffsetMap.decode(reader.meta(keys.firstRead)),
                bootstrapEnds: try OffsetMap.decode(reader.meta(keys.bootstrapEnds)),
                isRestored: try reader.meta(StoreMetaKey.restoredAt) != nil)
        }
        state.decider = decider
        state.memory = memory
        state.decoder.remember(formats)
        state.storedFormats = formats
        restoreClocks(clockValues, newest: newestValues, &state)
        take(stored, of: Set(answers.ranges.map(\.partition)), &state)
        return StartFacts(
            stored: stored.offsets, checkpoint: stored.checkpoint, firstRead: stored.firstRead,
            ranges: answers.ranges, committed: answers.committed, atTimestamp: answers.atTimestamp,
            isRestored: stored.isRestored)
    }

    private func restoreClocks(
        _ values: [String: Timestamp], newest: [String: Timestamp], _ state: inout WorkerState<D>
    ) {
        for (index, table) in state.decider.catalog.tables.enumerated() {
            state.clocks[index] = TableClock(
                maxDelay: table.declaration.maxDelay, mode: configuration.clockMode, stored: values[table.name])
            state.storedClocks[index] = values[table.name]
            if let newest = newest[table.name] {
                state.clocks[index].restore(newestCommit: newest)
                state.storedNewest[index] = newest
            }
        }
    }

    /// Takes what is stored of offsets into the state; some of their partitions may not be there at the moment.
    private func take(_ stored: StoredStart, of present: Set<TopicPartition>, _ state: inout WorkerState<D>) {
        for partition in present { state.add(partition) }
        state.submitted = stored.offsets
        state.firstRead = stored.firstRead
        // Partitions that are gone cannot be passed any more; where none is left, the first round ends bootstrapping.
        state.bootstrapEnds = stored.bootstrapEnds.filter { present.contains($0.key) }
        state.isBootstrap = !stored.bootstrapEnds.isEmpty
        // Their memory is not read again now: a checkpoint covers of them what the last one did.
        state.absent = [:]
        for (partition, offset) in stored.offsets where !present.contains(partition) {
            state.absent[partition] = stored.checkpoint[partition] ?? stored.firstRead[partition] ?? offset
        }
    }

    /// Makes the first start durable: where each partition is first read, where bootstrapping ends, first offsets.
    private func storePlan(_ plan: StartPlan, facts: StartFacts, _ state: inout WorkerState<D>) async throws {
        var firstRead = facts.firstRead
        for (partition, offset) in plan.judge where facts.stored[partition] == nil { firstRead[partition] = offset }
        if !plan.bootstrapEnds.isEmpty {
            state.bootstrapEnds = plan.bootstrapEnds
            state.isBootstrap = true
        }
        state.firstRead = firstRead
        let moved = plan.judge.filter { facts.stored[$0.key] != $0.value }
        guard !moved.isEmpty || facts.isRestored else { return }
        let keys = MetaKeys(worker: configuration.name)
        let first = OffsetMap.encode(firstRead)
        let ends = plan.bootstrapEnds.isEmpty ? nil : OffsetMap.encode(plan.bootstrapEnds)
        do {
            try await store.write(byteCount: first.count + (ends?.count ?? 0)) { transaction in
                for (partition, offset) in moved {
                    try transaction.resetOffset(topic: partition.topic, partition: partition.partition, next: offset)
                }
                try transaction.setMeta(keys.firstRead, first)
                if let ends { try transaction.setMeta(keys.bootstrapEnds, ends) }
                try transaction.setMeta(StoreMetaKey.restoredAt, nil)
            }
        } catch {
            throw CommitFailure(underlying: error)
        }
        for (partition, offset) in moved { state.submitted[partition] = offset }
    }

    /// Rebuilds memory with effects off: reads from the checkpoint's offsets to the stored ones, judging nothing.
    private func replay(_ plan: StartPlan, _ state: inout WorkerState<D>) async throws {
        var open = plan.replay.filter { $0.value < plan.judge[$0.key] ?? $0.value }
        guard !open.isEmpty else { return state.memory.endReplay() }
        let total = open.reduce(0) { $0 + (plan.judge[$1.key] ?? $1.value) - $1.value }
        logger.info("rebuilding row memory", metadata: ["messages": "\(total)", "partitions": "\(open.count)"])
        state.next = open
        try await assign(open, &state)
        while !open.isEmpty {
            let items = await mailbox.take(until: nil, clock: clock)
            for (index, item) in items.enumerated() {
                do {
                    try replay(item, until: plan.judge, &open, &state)
                } catch {
                    // What came behind is carried out after another start, or told that there is none.
                    state.deferred += items[(index + 1)...].filter { !$0.isFromSource }
                    throw error
                }
            }
        }
        state.memory.endReplay()
    }

    private func replay(
        _ item: Item, until judge: [TopicPartition: Int64], _ open: inout [TopicPartition: Int64],
        _ state: inout WorkerState<D>
    ) throws {
        switch item {
        case .events(let events): for event in events { try replay(event, until: judge, &open, &state) }
        case .sourceEnded(let error):
            throw WorkerError(
                .source, "the event source ended while memory was rebuilt: \(error.map { "\($0)" } ?? "")")
        case .stop: throw WorkerError(.stopped, "stopped while row memory was rebuilt")
        case .command, .replay, .factsWait, .commitFailed: state.deferred.append(item)
        }
    }

    private func replay(
        _ event: SourceEvent, until judge: [TopicPartition: Int64], _ open: inout [TopicPartition: Int64],
        _ state: inout WorkerState<D>
    ) throws {
        if case .assigned(let generation) = event {
            state.isAssigned = generation == state.generation
            return
        }
        if case .newPartitions(let partitions) = event { state.wanted.formUnion(partitions) }
        guard state.isAssigned else { return }
        switch event {
        case .batch(let raw):
            let limited = raw.filtered { message, partition in
                message.offset >= (state.next[partition] ?? .max) && message.offset < (judge[partition] ?? 0)
            }
            decode(limited, &state)
            state.decider.remember(state.batch)
            for (index, partition) in raw.partitions.enumerated() {
                guard let last = raw.lastOffset(partitionIndex: Int32(index)), open[partition] != nil else { continue }
                state.next[partition] = last + 1
                if last + 1 >= judge[partition] ?? 0 { open[partition] = nil }
            }
        case .endOfPartition(let partition, let offset):
            // Only a gap can end below the stored offset; then nothing more of it can come.
            if offset >= judge[partition] ?? 0 { open[partition] = nil }
        case .offsetOutOfRange(let partition, let reason):
            throw WorkerError(
                .source, "\(partition): Kafka dropped messages while memory was rebuilt (\(reason)); restart")
        case .assigned, .leaderLive, .leaderLost, .newPartitions, .problem: break
        }
    }

    /// Reads partitions that appeared since the start from their beginning; where one comes back, starts anew.
    ///
    /// While Kafka cannot answer, as for a partition that has no leader yet, it is asked again every five seconds.
    func takeNew(_ state: inout WorkerState<D>) async throws {
        let fresh = state.wanted.filter { state.next[$0] == nil }
        guard !fresh.isEmpty else {
            state.wanted = []
            return
        }
        try await flush(&state, isForced: true)
        await state.inFlight.waitUntil(unitsMax: 0, bytesMax: 0)
        if state.inFlight.failure != nil { throw failure(of: state) }
        let lows: [PartitionRange]
        do {
            lows = try await unlessStopped { [source] in try await source.partitions() }
        } catch let error as WorkerError where error.code == .stopped {
            // The stop itself is on its way; it ends the worker in order.
            return
        } catch {
            logger.warning("Kafka could not be asked for new partitions", metadata: ["error": "\(error)"])
            state.retryNewAt = clock.now().adding(.seconds(5))
            return
        }
        // One that was read before has memory to be read again, which is what a start does.
        if lows.contains(where: { fresh.contains($0.partition) && state.submitted[$0.partition] != nil }) {
            throw StartAnew()
        }
        state.wanted = []
        for range in lows where fresh.contains(range.partition) {
            state.next[range.partition] = range.low
            if state.firstRead[range.partition] == nil { state.firstRead[range.partition] = range.low }
            state.add(range.partition)
        }
        // Memory without a checkpoint of these partitions is replayed from here.
        let key = MetaKeys(worker: configuration.name).firstRead
        let bytes = OffsetMap.encode(state.firstRead)
        state.pending.add(Decision(byteCount: bytes.count, hasOutboxRows: false) { try $0.setMeta(key, bytes) })
        logger.notice("new partitions", metadata: ["partitions": "\(fresh.map(\.description).sorted())"])
        try await assign(state.next, &state)
        let (patience, now) = (patience(state), clock.now())
        pulse.withLock { $0.watch(patience, at: now) }
    }
}

private struct StoredStart {
    var offsets: [TopicPartition: Int64]
    var checkpoint: [TopicPartition: Int64]
    var firstRead: [TopicPartition: Int64]
    var bootstrapEnds: [TopicPartition: Int64]
    var isRestored: Bool
}

/// Offsets per partition as stored bytes.
enum OffsetMap {
    static func encode(_ offsets: [TopicPartition: Int64]) -> [UInt8] {
        var writer = ByteWriter()
        writer.count(offsets.count)
        for (partition, offset) in offsets.sorted(by: { $0.key < $1.key }) {
            writer.text(partition.topic)
            writer.signed(Int64(partition.partition))
            writer.signed(offset)
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]?) throws -> [TopicPartition: Int64] {
        guard let bytes else { return [:] }
        var reader = ByteReader(bytes)
        var offsets: [TopicPartition: Int64] = [:]
        for _ in 0..<(try reader.count()) {
            let topic = try reader.text()
            let partition = Int32(truncatingIfNeeded: try reader.signed())
            offsets[TopicPartition(topic: topic, partition: partition)] = try reader.signed()
        }
        return offsets
    }
}

extension StoreReader {
    /// The pieces of a checkpoint, in order.
    fileprivate func chunks(of checkpoint: CheckpointRecord) throws -> [[UInt8]] {
        try (0..<checkpoint.chunkCount).compactMap { try checkpointChunk(id: checkpoint.id, index: $0) }
    }
}

extension ChunkedBlob {
    /// Row memory's chunks as stored, in order.
    static func sequence(_ chunks: [[UInt8]]) -> [ChunkedBlob] {
        chunks.enumerated().map {
            ChunkedBlob(name: RowMemory.checkpointName, chunk: Int32($0.offset), bytes: $0.element)
        }
    }
}

extension PairRun {
    init?(record: PairRunRecord, catalog: TableCatalog) {
        guard let table = catalog.index(of: record.table), let hash = UInt64(record.rowKey, radix: 16) else {
            return nil
        }
        self.init(
            table: Int32(table), epoch: catalog.tables[table].declaration.epoch, rowKeyHash: hash,
            version: record.version)
    }
}

extension RawBatch {
    /// The offset of the last message of a partition; nil where it has none.
    func lastOffset(partitionIndex: Int32) -> Int64? {
        messages.last { $0.partitionIndex == partitionIndex }?.offset
    }

    /// A batch of the messages that are wanted, over the same memory; itself where all are.
    func filtered(_ isWanted: (RawMessage, TopicPartition) -> Bool) -> RawBatch {
        let kept = messages.filter { isWanted($0, partitions[Int($0.partitionIndex)]) }
        return kept.count == messages.count
            ? self : RawBatch(partitions: partitions, messages: ContiguousArray(kept), headers: headers, owner: self)
    }
}
