public import Core

/// What one store keeps at most. Each bound has a purpose; operators change none of them lightly.
public struct StoreLimits: Sendable, Equatable {
    /// Dead letters whose bytes are kept.
    public var deadLetterCountMax: Int64
    /// Bytes of dead letters that are kept.
    public var deadLetterBytesMax: Int64
    /// Dead letters of which at least the position is kept; the oldest go first.
    public var deadLetterPositionsMax: Int64
    /// Different reasons kept per rule in the evaluation log; the rest is counted as `other`.
    public var errorReasonsPerRuleMax: Int
    /// Lines of the evaluation log.
    public var errorReasonsMax: Int
    /// Runs of the program that are remembered.
    public var runsMax: Int
    /// Characters of a reason, a detail or a row key; the rest is cut off.
    public var textCharactersMax: Int
    /// Jobs that may wait for the writer.
    public var queuedJobsMax: Int
    /// Bytes of jobs that may wait for the writer, as their submitters estimate them.
    public var queuedBytesMax: Int
    /// A group of jobs closes at this many bytes.
    public var groupBytesMax: Int
    /// A group of jobs closes after this time.
    public var groupDurationMax: Duration

    /// The bounds of the product: 100,000 dead letters or 1 GiB, groups of 5 ms or 16 MiB.
    public static let standard = StoreLimits(
        deadLetterCountMax: 100_000, deadLetterBytesMax: 1 << 30, deadLetterPositionsMax: 1_000_000,
        errorReasonsPerRuleMax: 100, errorReasonsMax: 10_000, runsMax: 10_000, textCharactersMax: 2000,
        queuedJobsMax: 8192, queuedBytesMax: 128 << 20, groupBytesMax: 16 << 20, groupDurationMax: .milliseconds(5))

    /// Sets every bound.
    public init(
        deadLetterCountMax: Int64, deadLetterBytesMax: Int64, deadLetterPositionsMax: Int64,
        errorReasonsPerRuleMax: Int, errorReasonsMax: Int, runsMax: Int, textCharactersMax: Int, queuedJobsMax: Int,
        queuedBytesMax: Int, groupBytesMax: Int, groupDurationMax: Duration
    ) {
        self.deadLetterCountMax = deadLetterCountMax
        self.deadLetterBytesMax = deadLetterBytesMax
        self.deadLetterPositionsMax = deadLetterPositionsMax
        self.errorReasonsPerRuleMax = errorReasonsPerRuleMax
        self.errorReasonsMax = errorReasonsMax
        self.runsMax = runsMax
        self.textCharactersMax = textCharactersMax
        self.queuedJobsMax = queuedJobsMax
        self.queuedBytesMax = queuedBytesMax
        self.groupBytesMax = groupBytesMax
        self.groupDurationMax = groupDurationMax
    }
}

/// How to open a store.
public struct StoreOptions: Sendable {
    public var location: StoreLocation
    public var limits: StoreLimits
    /// The time of the start: runs and freed leases carry it.
    public var now: Timestamp
    public var metrics: MetricsRegistry

    /// Describes a store to open.
    public init(location: StoreLocation, limits: StoreLimits, now: Timestamp, metrics: MetricsRegistry) {
        self.location = location
        self.limits = limits
        self.now = now
        self.metrics = metrics
    }
}

/// Keys of the small free table that the store itself sets.
public enum StoreMetaKey {
    /// Time (milliseconds as text) at which a backup was restored; the next start bootstraps and then removes it.
    public static let restoredAt = "store.restored_at"
    /// Time (milliseconds as text) at which the database was made.
    public static let createdAt = "store.created_at"
    /// How many dead letters were forgotten altogether because of the bound on positions.
    public static let deadLettersForgotten = "store.dead_letters_forgotten"
}
