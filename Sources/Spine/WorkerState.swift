internal import ChangeEvents
internal import Core
internal import Store

/// What is decided and not yet handed to the writer.
struct PendingUnit {
    /// Per partition: the next offset as last handed over (nil: none stored) and after this unit.
    var offsets: [TopicPartition: (expected: Int64?, next: Int64)] = [:]
    var decisions: [Decision] = []
    var deadLetters: [DeadLetterRecord] = []
    var pairRuns: [PairRunRecord] = []
    var byteCount = 0
    var hasOutboxRows = false

    /// Holds nothing at all.
    var isEmpty: Bool { offsets.isEmpty && !hasEffects }
    /// Holds more than offsets.
    var hasEffects: Bool { !decisions.isEmpty || !deadLetters.isEmpty || !pairRuns.isEmpty }

    mutating func add(_ decision: Decision?) {
        guard let decision else { return }
        decisions.append(decision)
        byteCount += decision.byteCount
        hasOutboxRows = hasOutboxRows || decision.hasOutboxRows
    }
}

/// What is judged of a partition: versions are those of one table, and a topic may carry several.
struct PartitionProgress {
    /// Everything in it was judged.
    var isAtEnd = false
    private var newest: [Int: Int64] = [:]

    /// The newest version of a table that was judged; `Int64.min` for none.
    func newestVersion(of table: Int) -> Int64 { newest[table] ?? .min }

    mutating func judged(_ version: Int64, of table: Int) {
        if version > newestVersion(of: table) { newest[table] = version }
    }

    /// Another catalog has other indexes for its tables.
    mutating func rename(_ index: (Int) -> Int?) {
        var renamed: [Int: Int64] = [:]
        for (table, version) in newest { if let now = index(table) { renamed[now] = version } }
        newest = renamed
    }
}

/// Everything the loop's task owns: the top of the stack of overlays.
struct WorkerState<D: Decider> {
    var decider: D
    let clockMode: TableClock.Mode
    var catalogVersion: Int
    var decoder: ChangeDecoder
    var memory: RowMemory
    var clocks: [TableClock]
    /// Per table, what the waits of halves are measured with; they begin anew with every start.
    var waitClocks: [WaitClock]
    /// The tables of the catalog that clocks and memory were made with.
    var tableNames: [String]
    /// One per table, made at the first tick with these tables.
    var clockGauges: [Gauge] = []
    /// Clock values as last handed to the store.
    var storedClocks: [Timestamp?]
    /// Newest commit times as last handed to the store.
    var storedNewest: [Timestamp]
    let batch = ChangeBatch()
    /// First offset that is not decided, per assigned partition.
    var next: [TopicPartition: Int64] = [:]
    /// The next offsets as last handed to the writer; absent where none is stored.
    var submitted: [TopicPartition: Int64] = [:]
    /// How far a partition is known to be read: `next`, or its end where only gaps follow.
    var passed: [TopicPartition: Int64] = [:]
    var progress: [TopicPartition: PartitionProgress] = [:]
    var topicTables: [String: [Int]] = [:]
    /// Formats found so far, as last handed to the store.
    var storedFormats: [String: EventFormat] = [:]
    /// Partitions whose leader answers.
    var live: Set<TopicPartition> = []
    private var liveToldAt: Timestamp = .distantPast
    /// Bootstrapping began and did not end; its end may be due because its last partitions are gone.
    var isBootstrap = false
    var bootstrapEnds: [TopicPartition: Int64] = [:]
    var pending = PendingUnit()
    var chain = WriteChain()
    var inFlight = InFlight()
    /// Per table the row keys forgotten for want of room, as last counted.
    private var evictedCounts: [Int]
    /// What memory did, as last counted.
    private var countedMemory = RowMemoryCounters()
    /// Facts to be noted at the next tick.
    var facts = FactList()
    /// Facts that were noted and may not be durable yet: noted again after a failed commit.
    var notedFacts = FactList()
    /// Partitions that appeared and are not read yet.
    var wanted: Set<TopicPartition> = []
    /// Kafka could not answer for them before; it is asked again then.
    var retryNewAt: Timestamp = .distantPast
    /// Where each partition was first read from, as stored.
    var firstRead: [TopicPartition: Int64] = [:]
    /// Stored partitions that are not there: up to where the checkpoint covers their rows.
    var absent: [TopicPartition: Int64] = [:]
    /// Tables of which it was reported that their clock stands.
    var lagging: Set<String> = []
    /// What kept it from consuming, as the log was told.
    var obstacleNames: [String] = []
    var deferred: [Worker<D>.Item] = []
    var generation = 0
    var isAssigned = false
    var isStopping = false
    var eventsSinceCheckpoint = 0
    var lastCheckpointAt: Timestamp = .distantPast

    init(decider: D, configuration: WorkerConfiguration) {
        self.decider = decider
        clockMode = configuration.clockMode
        catalogVersion = decider.catalogVersion
        decoder = ChangeDecoder(catalog: decider.catalog)
        memory = RowMemory(catalog: decider.catalog)
        clocks = decider.catalog.tables.map {
            TableClock(maxDelay: $0.declaration.maxDelay, mode: configuration.clockMode, stored: nil)
        }
        waitClocks = clocks.map { WaitClock(mode: $0.mode) }
        storedClocks = clocks.map { _ in nil }
        storedNewest = clocks.map { _ in .distantPast }
        tableNames = decider.catalog.tables.map(\.name)
        evictedCounts = clocks.map { _ in 0 }
    }

    /// States which tables remember as many row keys as they may: as soon as keys are forgotten, once per start.
    /// - Returns: how many keys were forgotten since the last call.
    mutating func noteForgottenKeys() -> Int {
        var sum = 0
        for table in evictedCounts.indices {
            let count = memory.evictedCount(table: table)
            guard count > evictedCounts[table] else { continue }
            sum += count - evictedCounts[table]
            if evictedCounts[table] == 0 {
                let declaration = decider.catalog.tables[table].declaration
                facts.add(
                    HealthFact(
                        component: "row-memory", subject: declaration.name, isHealthy: false,
                        detail: "more than \(declaration.rowKeysMax) row keys changed: the oldest are forgotten, and "
                            + "repeated or late changes of their rows are not recognised. Raise row_keys_max or lower "
                            + "row_state_ttl of the table"))
            }
            evictedCounts[table] = count
        }
        return sum
    }

    /// What memory did since the last call.
    mutating func takeMemoryCounters() -> RowMemoryCounters {
        let now = memory.counters
        defer { countedMemory = now }
        return now.subtracting(countedMemory)
    }

    /// A table that has room again is well: after a start, or a reload that raised its bound.
    mutating func noteRoomForKeys() {
        evictedCounts = clocks.map { _ in 0 }
        // Memory was made anew, or only remembered until now.
        countedMemory = memory.counters
        for table in Set(topicTables.values.joined()).sorted() {
            let declaration = decider.catalog.tables[table].declaration
            guard memory.keyCount(table: table) < declaration.rowKeysMax / 4 * 3 else { continue }
            facts.add(
                HealthFact(component: "row-memory", subject: declaration.name, isHealthy: true, detail: ""))
        }
    }

    /// The tables that a partition carries; known for every partition that was added.
    func tables(of partition: TopicPartition) -> [Int] { topicTables[partition.topic] ?? [] }

    /// Moves the clocks with the wall clock; leaders that answer are told to them once a second.
    mutating func advanceClocks(wall now: Timestamp) {
        if now.milliseconds(since: liveToldAt) >= 1000 {
            liveToldAt = now
            for partition in live {
                for table in tables(of: partition) { clocks[table].leaderAnswered(partition, wall: now) }
            }
            for table in clocks.indices { clocks[table].advance(wall: now) }
            reportLagging()
            return
        }
        for table in clocks.indices { clocks[table].advance(wall: now) }
    }

    /// A clock that stands because a leader is gone holds every timer of its table: an operator has to know.
    private mutating func reportLagging() {
        for (table, clock) in clocks.enumerated() {
            let name = tableNames[table]
            let partitions = clock.laggingPartitions
            guard partitions.isEmpty == lagging.contains(name) else { continue }
            if partitions.isEmpty { lagging.remove(name) } else { lagging.insert(name) }
            let list = partitions.prefix(5).map(\.description).joined(separator: ", ")
            let more = partitions.count > 5 ? " and \(partitions.count - 5) more" : ""
            facts.add(
                HealthFact(
                    component: "lagging", subject: name, isHealthy: partitions.isEmpty,
                    detail: partitions.isEmpty
                        ? "" : "no leader answers for \(list)\(more); timers of the table stand still"))
        }
    }

    /// Moves the clocks that waits are measured with; cheap where nothing waits.
    mutating func advanceWaitClocks(router: Timestamp) {
        for table in waitClocks.indices {
            if clocks[table].mode == .data {
                waitClocks[table].follow(router)
            } else if memory.waitingCount(table: table) > 0 {
                waitClocks[table].look(at: router, isAtEnd: isReadToEnd(table))
            } else {
                waitClocks[table].pause()
            }
        }
    }

    /// Whether no older row of a table can be on its way: every partition is at its end, and its leader says so.
    private func isReadToEnd(_ table: Int) -> Bool {
        guard isAssigned else { return false }
        return progress.allSatisfy { partition, progress in
            (progress.isAtEnd && live.contains(partition)) || !tables(of: partition).contains(table)
        }
    }

    /// Takes a partition into the clocks of its tables.
    mutating func add(_ partition: TopicPartition) {
        let tables = topicTables[partition.topic] ?? decider.catalog.tables(carriedBy: partition.topic)
        topicTables[partition.topic] = tables
        for table in tables { clocks[table].add(partition) }
        // Until it was read, a hold must not end: the partition may bring a row at or below the deleted version.
        if progress[partition] == nil { progress[partition] = PartitionProgress() }
    }

    /// The wall clock live; under `clock: data` the least of the table clocks that run.
    func routerClock(now: Timestamp) -> Timestamp {
        guard clockMode == .data else { return now }
        return clocks.map(\.now).filter { $0 > .distantPast }.min() ?? .distantPast
    }

    func context(now: Timestamp) -> DecisionContext {
        DecisionContext(
            now: now, routerClock: routerClock(now: now),
            tableClocks: clocks.map { $0.now == .distantPast ? nil : $0.now },
            versionFloors: versionFloors, isBootstrap: isBootstrap)
    }

    /// Per table the lowest newest version among its partitions that are not at their end.
    private var versionFloors: [Int64] {
        var floors = clocks.map { _ in Int64.max }
        for (partition, progress) in progress where !progress.isAtEnd {
            for table in tables(of: partition) {
                floors[table] = min(floors[table], progress.newestVersion(of: table))
            }
        }
        return floors
    }

    /// Forgets everything but what waits to be handled; the store holds the truth.
    mutating func dropOverlays(decider: D, configuration: WorkerConfiguration) {
        var fresh = WorkerState(decider: decider, configuration: configuration)
        fresh.generation = generation
        fresh.deferred = deferred
        fresh.facts.add(notedFacts.facts)
        fresh.wanted = wanted
        fresh.facts.add(facts.facts)
        fresh.obstacleNames = obstacleNames
        fresh.isStopping = isStopping
        self = fresh
    }

    mutating func takeDeferred() -> [Worker<D>.Item] {
        defer { deferred = [] }
        return deferred
    }

    /// Commands that will not be carried out are told so.
    mutating func answerWaiting(with error: WorkerError) {
        for item in takeDeferred() { item.refuse(with: error) }
    }

    mutating func reachedEnd(of partition: TopicPartition, offset: Int64, now: Timestamp) {
        guard next[partition] != nil else { return }
        passed[partition] = max(passed[partition] ?? 0, offset)
        live.insert(partition)
        if (next[partition] ?? 0) <= offset { progress[partition, default: PartitionProgress()].isAtEnd = true }
        for table in tables(of: partition) {
            clocks[table].partitionAtEnd(partition, wall: now)
        }
    }

    mutating func setLeader(of partition: TopicPartition, isLive: Bool, now: Timestamp) {
        if isLive { live.insert(partition) } else { live.remove(partition) }
        for table in tables(of: partition) {
            if isLive {
                clocks[table].leaderAnswered(partition, wall: now)
            } else {
                clocks[table].leaderLost(partition)
            }
        }
    }
}
