internal import ChangeEvents
internal import Core
internal import Logging
internal import Synchronization

/// Something that keeps a worker from consuming.
public struct WorkerObstacle: Sendable, Equatable {
    /// What is concerned: `worker`, `kafka`, `partitions` or `store`.
    public var name: String
    /// What is the matter, for people.
    public var message: String
}

/// What a worker's loop shows of itself, so that others can tell whether it consumes. A pure value.
struct WorkerPulse: Sendable {
    /// A loop that did not turn for so long hangs: it wakes every ``Worker/turnInterval`` when nothing happens, and no
    /// batch takes more than a fraction of a second.
    static let turnMax: Duration = .seconds(30)
    /// Leaders move within seconds; one that is away for longer is a trouble, however late rows may be.
    static let patienceMax: Duration = .seconds(60)
    /// Partitions that a message names.
    private static let namesMax = 5

    private(set) var isStarted = false
    private var turnedAt: Timestamp = .distantPast
    /// When the store last answered, or had nothing to answer.
    private var storeAnsweredAt: Timestamp = .distantPast
    private var storeAnswerCount = 0
    /// Per partition that is read, how long its leader may be away.
    private var patience: [TopicPartition: Duration] = [:]
    /// Partitions without a leader that answers, and since when.
    private var leaderless: [TopicPartition: Timestamp] = [:]
    private var outOfRange: Set<TopicPartition> = []

    /// Reading begins; leaders count as away from now on until they answer.
    mutating func start(_ partitions: [TopicPartition: Duration], at now: Timestamp) {
        self = WorkerPulse()
        isStarted = true
        turnedAt = now
        storeAnsweredAt = now
        watch(partitions, at: now)
    }

    /// Nothing is read before the next start.
    mutating func end() { self = WorkerPulse() }

    /// These partitions are read from now on, those before too.
    mutating func watch(_ partitions: [TopicPartition: Duration], at now: Timestamp) {
        for (partition, duration) in partitions {
            if patience.updateValue(duration, forKey: partition) == nil { leaderless[partition] = now }
        }
    }

    mutating func setLeader(of partition: TopicPartition, isLive: Bool, at now: Timestamp) {
        guard patience[partition] != nil else { return }
        if isLive {
            leaderless[partition] = nil
        } else if leaderless[partition] == nil {
            leaderless[partition] = now
        }
    }

    /// Messages came: while a backlog is read, leaders that wait for room answer nothing, and are not away.
    mutating func read(_ partitions: [TopicPartition], at now: Timestamp) {
        guard !leaderless.isEmpty else { return }
        for partition in partitions where leaderless[partition] != nil { leaderless[partition] = now }
    }

    mutating func standsStill(_ partition: TopicPartition) { outOfRange.insert(partition) }

    /// The loop turned.
    mutating func turn(at now: Timestamp) { turnedAt = now }

    /// The loop saw how many units the store has not answered, and how many it ever did.
    mutating func look(at now: Timestamp, unitsInFlight: Int, storeAnswers: Int) {
        guard unitsInFlight == 0 || storeAnswers != storeAnswerCount else { return }
        storeAnswerCount = storeAnswers
        storeAnsweredAt = now
    }

    /// What keeps the worker from consuming at a time; nothing where it consumes.
    func obstacles(at now: Timestamp) -> [WorkerObstacle] {
        guard isStarted else {
            return [WorkerObstacle(name: "worker", message: "starting, or waiting for Kafka or the store")]
        }
        var found: [WorkerObstacle] = []
        func seconds(since time: Timestamp) -> Int64 { now.milliseconds(since: time) / 1000 }
        let silentMax = WorkerPulse.turnMax.wholeMilliseconds
        if now.milliseconds(since: turnedAt) > silentMax {
            found.append(
                WorkerObstacle(name: "worker", message: "its loop has stood for \(seconds(since: turnedAt)) s"))
        }
        if now.milliseconds(since: storeAnsweredAt) > silentMax {
            found.append(
                WorkerObstacle(
                    name: "store", message: "it has not answered for \(seconds(since: storeAnsweredAt)) s"))
        }
        let away = leaderless.filter {
            now.milliseconds(since: $0.value) > (patience[$0.key] ?? .zero).wholeMilliseconds
        }
        if let first = away.values.min() {
            let all = away.count == patience.count ? "any partition" : WorkerPulse.names(of: away.keys)
            found.append(
                WorkerObstacle(
                    name: "kafka", message: "no leader has answered for \(seconds(since: first)) s for \(all)"))
        }
        if !outOfRange.isEmpty {
            let names = WorkerPulse.names(of: outOfRange)
            found.append(
                WorkerObstacle(name: "partitions", message: "Kafka does not have the next offset any more of \(names)"))
        }
        return found
    }

    private static func names(of partitions: some Collection<TopicPartition>) -> String {
        let list = partitions.sorted().prefix(namesMax).map(\.description).joined(separator: ", ")
        return partitions.count > namesMax ? "\(list) and \(partitions.count - namesMax) more" : list
    }
}

extension Worker {
    func setLeader(of partition: TopicPartition, isLive: Bool, _ state: inout WorkerState<D>) {
        let now = clock.now()
        state.setLeader(of: partition, isLive: isLive, now: now)
        pulse.withLock { $0.setLeader(of: partition, isLive: isLive, at: now) }
    }

    /// The loop turned; tells the log when it stops consuming, and when it consumes again.
    func turned(_ state: inout WorkerState<D>) {
        let now = clock.now()
        let (units, answers) = state.inFlight.counts
        let obstacles = pulse.withLock { pulse in
            pulse.turn(at: now)
            pulse.look(at: now, unitsInFlight: units, storeAnswers: answers)
            return pulse.obstacles(at: now)
        }
        guard obstacles.map(\.name) != state.obstacleNames else { return }
        state.obstacleNames = obstacles.map(\.name)
        if obstacles.isEmpty {
            logger.notice("consuming again")
        } else {
            let reasons = obstacles.map { "\($0.name): \($0.message)" }.joined(separator: "; ")
            logger.warning("not consuming", metadata: ["reason": "\(reasons)"])
        }
    }

    /// Per partition that is read, how long its leader may be away: as long as rows of its tables may be late, and
    /// not longer than a minute, whatever they say.
    func patience(_ state: WorkerState<D>) -> [TopicPartition: Duration] {
        var result: [TopicPartition: Duration] = [:]
        for partition in state.next.keys {
            let delays = state.tables(of: partition).map { state.clocks[$0].maxDelay }
            result[partition] = min(delays.max() ?? WorkerPulse.patienceMax, WorkerPulse.patienceMax)
        }
        return result
    }
}
