internal import Core
internal import Foundation
internal import GRDB
internal import Synchronization

/// One thread that runs jobs in the order of their submission, several in one transaction.
final class GroupWriter: Sendable {
    struct Job: Sendable {
        var byteCount: Int
        var chain: WriteChain?
        var body: @Sendable (SQLiteTransaction) throws -> Void
        var completion: @Sendable (Result<Void, any Error>) -> Void
    }

    private struct Queue {
        var jobs: [Job] = []
        var head = 0
        var byteCount = 0
        var isClosing = false
        var isFinished = false
        var count: Int { jobs.count - head }

        mutating func pop() -> Job? {
            guard head < jobs.count else { return nil }
            let job = jobs[head]
            jobs[head].body = { _ in }
            jobs[head].completion = { _ in }
            head += 1
            byteCount -= job.byteCount
            if head == jobs.count || head >= 1024 {
                jobs.removeFirst(head)
                head = 0
            }
            return job
        }
    }

    private let pool: DatabasePool
    private let limits: StoreLimits
    private let metrics: StoreMetrics
    /// Signalled at every change of the queue that a thread may wait for.
    private let condition = NSCondition()
    private let queue = Mutex(Queue())

    init(pool: DatabasePool, limits: StoreLimits, metrics: StoreMetrics) {
        self.pool = pool
        self.limits = limits
        self.metrics = metrics
        let thread = Thread { [self] in serve() }
        thread.name = "store-writer"
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Adds a job; where the queue is full or closed, completes it with that error at once.
    func submit(_ job: Job) {
        condition.lock()
        let refusal = queue.withLock { queue -> StoreError? in
            if let reason = self.refusal(of: job, queue) { return reason }
            queue.jobs.append(job)
            queue.byteCount += job.byteCount
            return nil
        }
        // Broken under the lock: a job of the same chain submitted after this one must find it broken.
        if refusal == nil { condition.signal() } else { job.chain?.breakChain() }
        condition.unlock()
        if let refusal {
            metrics.refusedJobs.add()
            job.completion(.failure(refusal))
        }
    }

    private func refusal(of job: Job, _ queue: Queue) -> StoreError? {
        if queue.isClosing { return StoreError(.closed, "The store is closed.", systemCode: nil) }
        let isTooMuch = queue.count > 0 && queue.byteCount + job.byteCount > limits.queuedBytesMax
        guard queue.count >= limits.queuedJobsMax || isTooMuch else { return nil }
        return StoreError(
            .queueFull, "\(queue.count) jobs with \(queue.byteCount) bytes wait to be written.", systemCode: nil)
    }

    /// Lets the queued jobs finish, then ends the thread. Blocks until then.
    func close() {
        condition.lock()
        queue.withLock { $0.isClosing = true }
        condition.broadcast()
        while !queue.withLock({ $0.isFinished }) { condition.wait() }
        condition.unlock()
    }

    private func waitForJobs() -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while queue.withLock({ $0.count == 0 && !$0.isClosing }) { condition.wait() }
        return queue.withLock { $0.count > 0 }
    }

    private func pop() -> Job? { queue.withLock { $0.pop() } }

    private func serve() {
        while waitForJobs() {
            let outcomes = pool.writeWithoutTransaction { runGroup($0) }
            for (job, outcome) in outcomes { job.completion(outcome) }
        }
        condition.lock()
        queue.withLock { $0.isFinished = true }
        condition.broadcast()
        condition.unlock()
    }

    private typealias Outcomes = [(job: Job, result: Result<Void, any Error>)]

    /// Runs jobs in one transaction until the queue is empty or the group is full, and commits.
    private func runGroup(_ database: Database) -> Outcomes {
        var outcomes: Outcomes = []
        let clock = ContinuousClock()
        let started = clock.now
        do {
            try StoreError.translated { try database.cachedStatement(sql: "BEGIN IMMEDIATE").execute() }
            try runJobs(database, started: started, outcomes: &outcomes)
            try StoreError.translated { try database.cachedStatement(sql: "COMMIT").execute() }
        } catch {
            fail(&outcomes, with: error, database)
        }
        metrics.groups.add()
        metrics.jobs.add(outcomes.count)
        metrics.commitSeconds.observe((clock.now - started) / .seconds(1))
        return outcomes
    }

    /// - Throws: where the storage failed, so that the whole group fails.
    private func runJobs(
        _ database: Database, started: ContinuousClock.Instant, outcomes: inout Outcomes
    ) throws {
        var byteCount = 0
        while let job = pop() {
            byteCount += job.byteCount
            if let chain = job.chain, chain.isBroken {
                let broken = StoreError(
                    .chainBroken, "An earlier change failed that this one builds on.", systemCode: nil)
                outcomes.append((job, .failure(broken)))
                continue
            }
            // Until its savepoint is released the job counts as failed: whatever throws below takes it along.
            outcomes.append((job, .success(())))
            if let failure = try runJob(job, database) {
                job.chain?.breakChain()
                outcomes[outcomes.count - 1].result = .failure(failure)
            }
            if byteCount >= limits.groupBytesMax || ContinuousClock.now - started >= limits.groupDurationMax { return }
        }
    }

    /// Runs a job in a savepoint of its own.
    /// - Returns: the job's own failure, after which the group goes on.
    /// - Throws: where the storage failed.
    private func runJob(_ job: Job, _ database: Database) throws -> (any Error)? {
        try StoreError.translated { try database.cachedStatement(sql: "SAVEPOINT job").execute() }
        let transaction = SQLiteTransaction(database, limits: limits)
        do {
            try job.body(transaction)
            try transaction.finish()
        } catch {
            if let failure = transaction.storageFailure { throw failure }
            if let failure = error as? StoreError, failure.isStorageFailure { throw failure }
            try StoreError.translated {
                try database.cachedStatement(sql: "ROLLBACK TO job").execute()
                try database.cachedStatement(sql: "RELEASE job").execute()
            }
            return error
        }
        try StoreError.translated { try database.cachedStatement(sql: "RELEASE job").execute() }
        return nil
    }

    /// Nothing of the group was stored: nobody is told that it was.
    private func fail(_ outcomes: inout Outcomes, with error: any Error, _ database: Database) {
        if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
        metrics.storageFailures.add()
        if outcomes.isEmpty, let job = pop() { outcomes.append((job, .success(()))) }
        for index in outcomes.indices {
            outcomes[index].job.chain?.breakChain()
            if case .success = outcomes[index].result { outcomes[index].result = .failure(error) }
        }
    }
}

extension StoreError {
    static func translated<T>(_ body: () throws -> T) throws -> T {
        do {
            return try body()
        } catch {
            throw translating(error)
        }
    }
}

/// The store's metrics; made once at the start.
struct StoreMetrics: Sendable {
    let groups: Counter
    let jobs: Counter
    let refusedJobs: Counter
    let storageFailures: Counter
    let commitSeconds: Histogram
    let databaseBytes: Gauge
    let walBytes: Gauge

    init(_ registry: MetricsRegistry) {
        groups = registry.counter("alert_router_store_groups_total", "Transactions of the store's writer.")
        jobs = registry.counter("alert_router_store_jobs_total", "Jobs run by the store's writer.")
        refusedJobs = registry.counter(
            "alert_router_store_refused_jobs_total", "Jobs refused because too many waited.")
        storageFailures = registry.counter(
            "alert_router_store_failures_total", "Transactions that failed because the storage did.")
        commitSeconds = registry.histogram(
            "alert_router_store_commit_seconds", "Time of a transaction from begin to commit.",
            bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5])
        databaseBytes = registry.gauge("alert_router_store_bytes", "Size of the database file.")
        walBytes = registry.gauge("alert_router_store_wal_bytes", "Size of the write-ahead log.")
    }
}
