public import Core

/// The clock of one table, driven by the commit times of its rows (docs/change-events.md). A pure value.
///
/// It is the minimum over the table's partitions of (newest commit time − `maxDelay`) and never goes back. A partition
/// at its end whose leader is live counts as the wall clock − `maxDelay`; one that is not known to be live holds the
/// clock where it is.
public struct TableClock: Sendable, Equatable {
    /// What moves the clock where no rows come.
    public enum Mode: UInt8, Sendable {
        /// The wall clock, for partitions at their end.
        case wall
        /// Rows and ticks only (`clock: data`); the newest commit time of the table stands for the wall clock.
        case data
    }

    private struct Partition: Sendable, Equatable {
        var newest: Timestamp = .distantPast
        /// The latest time this partition has ever stood for.
        var reached: Timestamp = .distantPast
        var isAtEnd = false
        var isBrokerUp = true
        /// When the leader last answered, by the wall clock.
        var lastAnswer: Timestamp = .distantPast

        mutating func observe(_ time: Timestamp) {
            newest.advance(to: time)
            isAtEnd = false
        }
    }

    /// The partitions in an array beside their places: the value is worked out over all of them with every batch, and
    /// a dictionary would be copied for that.
    private struct Partitions: Sendable, Equatable {
        private(set) var names: ContiguousArray<TopicPartition> = []
        var all: ContiguousArray<Partition> = []
        private var places: [TopicPartition: Int] = [:]

        func place(of name: TopicPartition) -> Int? { places[name] }

        /// The place of a partition, which is added where it is new.
        mutating func placeAdding(_ name: TopicPartition) -> Int {
            if let place = places[name] { return place }
            places[name] = all.count
            names.append(name)
            all.append(Partition())
            return all.count - 1
        }

        mutating func remove(_ name: TopicPartition) {
            guard let place = places.removeValue(forKey: name) else { return }
            names.remove(at: place)
            all.remove(at: place)
            for later in place..<names.count { places[names[later]] = later }
        }
    }

    public let maxDelay: Duration
    public let mode: Mode
    private var partitions = Partitions()
    private var wall: Timestamp = .distantPast
    private var current: Timestamp
    private var explicit: Timestamp = .distantPast
    /// The newest commit time of an earlier run.
    private var storedNewest: Timestamp = .distantPast

    /// Makes a clock that starts at a stored value; `nil` for a table never read before.
    public init(maxDelay: Duration, mode: Mode, stored: Timestamp?) {
        self.maxDelay = maxDelay
        self.mode = mode
        current = stored ?? .distantPast
    }

    /// The same clock with another delay, after an edit of the table's declaration; it never goes back.
    public func with(maxDelay: Duration) -> TableClock {
        guard maxDelay != self.maxDelay else { return self }
        var clock = TableClock(maxDelay: maxDelay, mode: mode, stored: current)
        clock.partitions = partitions
        clock.wall = wall
        clock.explicit = explicit
        clock.storedNewest = storedNewest
        return clock
    }

    /// The time up to which all rows have been read; ``Timestamp/distantPast`` before the first.
    ///
    /// It is stored with the offsets.
    public var now: Timestamp { current }

    /// The newest commit time of any row.
    public var newestCommit: Timestamp { max(storedNewest, partitions.all.map(\.newest).max() ?? .distantPast) }

    /// Takes over the newest commit time of rows read before a restart: under `clock: data` it is the wall clock.
    public mutating func restore(newestCommit: Timestamp) { storedNewest.advance(to: newestCommit) }

    /// Whether some partition holds the clock: read to its end, but its leader is not known to be live.
    public var isLagging: Bool {
        mode == .wall && partitions.all.contains { $0.isAtEnd && !isLive($0) }
    }

    /// The partitions that hold a lagging clock, sorted.
    public var laggingPartitions: [TopicPartition] {
        guard mode == .wall else { return [] }
        return zip(partitions.names, partitions.all).filter { $1.isAtEnd && !isLive($1) }.map(\.0).sorted()
    }

    // MARK: - What happened

    /// Adds a partition of the table: until rows or its end come, it holds the clock.
    public mutating func add(_ partition: TopicPartition) {
        _ = partitions.placeAdding(partition)
    }

    /// Takes the commit time of a row (the Kafka time where the row's own was too far ahead; the decoder sees to it).
    public mutating func observe(partition: TopicPartition, commitTime: Timestamp) {
        let place = partitions.placeAdding(partition)
        partitions.all[place].observe(commitTime)
        update()
    }

    /// Takes the newest commit time of each partition of a batch; `Int64.min` for partitions without a row of it.
    public mutating func observe(_ partitions: [TopicPartition], newest: ArraySlice<Int64>) {
        var hasRows = false
        for (partition, time) in zip(partitions, newest) where time != .min {
            hasRows = true
            let place = self.partitions.placeAdding(partition)
            self.partitions.all[place].observe(Timestamp(milliseconds: time))
        }
        if hasRows { update() }
    }

    /// Takes the commit times of a batch's events, one lookup per run of a partition.
    public mutating func observe(_ batch: ChangeBatch, table: Int) {
        guard let raw = batch.raw else { return }
        var newest = ContiguousArray<Timestamp?>(repeating: nil, count: raw.partitions.count)
        for event in batch.events where event.table == Int32(table) && event.partitionIndex >= 0 {
            let index = Int(event.partitionIndex)
            newest[index] = max(newest[index] ?? .distantPast, event.commitTime)
        }
        for (index, time) in newest.enumerated() {
            guard let time else { continue }
            let place = partitions.placeAdding(raw.partitions[index])
            partitions.all[place].observe(time)
        }
        update()
    }

    /// A partition was read to its end; its leader answered at `wall`.
    public mutating func partitionAtEnd(_ partition: TopicPartition, wall: Timestamp) {
        let place = partitions.placeAdding(partition)
        partitions.all[place].isAtEnd = true
        leaderAnswered(partition, wall: wall)
    }

    /// The leader of a partition answered a fetch, with rows or without.
    public mutating func leaderAnswered(_ partition: TopicPartition, wall: Timestamp) {
        if let place = partitions.place(of: partition) {
            partitions.all[place].lastAnswer.advance(to: wall)
            partitions.all[place].isBrokerUp = true
        }
        advance(wall: wall)
    }

    /// The leader of a partition is gone: the partition holds the clock until it answers again.
    public mutating func leaderLost(_ partition: TopicPartition) {
        if let place = partitions.place(of: partition) { partitions.all[place].isBrokerUp = false }
    }

    /// Forgets a partition that is no longer read.
    public mutating func remove(_ partition: TopicPartition) {
        partitions.remove(partition)
        update()
    }

    /// The wall clock moved: partitions at their end follow it. No effect under `clock: data`.
    public mutating func advance(wall: Timestamp) {
        self.wall.advance(to: wall)
        update()
    }

    /// Moves a clock of mode ``Mode/data`` by hand.
    public mutating func tick(to time: Timestamp) {
        explicit.advance(to: time)
        update()
    }

    // MARK: - The value

    private func reach(_ partition: inout Partition, newest: Timestamp, delay: Int64) {
        if partition.newest > .distantPast {
            partition.reached.advance(to: partition.newest.adding(milliseconds: -delay))
        }
        guard partition.isAtEnd else { return }
        switch mode {
        case .wall:
            if isLive(partition) { partition.reached.advance(to: wall.adding(milliseconds: -delay)) }
        case .data:
            if newest > .distantPast { partition.reached.advance(to: newest.adding(milliseconds: -delay)) }
        }
    }

    /// The leader is up and answered within a quarter of `maxDelay`; not knowing counts as no.
    private func isLive(_ partition: Partition) -> Bool {
        partition.isBrokerUp
            && wall.milliseconds(since: partition.lastAnswer) <= maxDelay.wholeMilliseconds / 4
    }

    private mutating func update() {
        let delay = maxDelay.wholeMilliseconds
        let newest = mode == .data ? newestCommit : .distantPast
        var lowest: Timestamp?
        for index in partitions.all.indices {
            reach(&partitions.all[index], newest: newest, delay: delay)
            let reached = partitions.all[index].reached
            lowest = min(lowest ?? reached, reached)
        }
        if let lowest { current.advance(to: lowest) }
        if mode == .data { current.advance(to: explicit) }
    }
}

extension Timestamp {
    /// Moves forward, never back.
    fileprivate mutating func advance(to later: Timestamp) { if later > self { self = later } }
}
