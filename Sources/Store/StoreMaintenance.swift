/// How long things are kept.
public struct RetentionPolicy: Sendable, Equatable {
    /// Transitions, settled outbox rows, closed alerts and settled dead letters.
    public var history: Duration
    /// Attempts.
    public var attempts: Duration
    /// Who changed what.
    public var audit: Duration
    /// Answered limiter slots; longer than any window.
    public var limiterSlots: Duration
    /// Pair runs; longer than the time between two checkpoints.
    public var pairRuns: Duration
    /// Rows removed by one job at most, so that no job holds the writer for long.
    public var sliceCount: Int

    /// History 90 days, attempts 30 days, audit three years.
    public static let standard = RetentionPolicy(
        history: .seconds(90 * 86_400), attempts: .seconds(30 * 86_400), limiterSlots: .seconds(8 * 86_400),
        pairRuns: .seconds(8 * 86_400), sliceCount: 500, audit: .seconds(3 * 366 * 86_400))

    /// Sets every period.
    public init(
        history: Duration, attempts: Duration, limiterSlots: Duration, pairRuns: Duration, sliceCount: Int,
        audit: Duration
    ) {
        self.history = history
        self.attempts = attempts
        self.limiterSlots = limiterSlots
        self.pairRuns = pairRuns
        self.sliceCount = sliceCount
        self.audit = audit
    }
}

/// The sizes of a store's files, in bytes.
public struct StoreSize: Sendable, Equatable {
    public var databaseBytes: Int64
    public var walBytes: Int64
}

/// What `store check` found.
public struct StoreCheck: Sendable, Equatable {
    /// One sentence per problem; empty where the store is sound. At most 200.
    public var problems: [String]
    /// What was looked at, by name, with how many rows.
    public var counts: [(name: String, count: Int64)]

    public static func == (left: StoreCheck, right: StoreCheck) -> Bool {
        left.problems == right.problems && left.counts.elementsEqual(right.counts) { $0 == $1 }
    }
}
