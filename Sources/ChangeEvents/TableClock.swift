public import Core

/// The clock of one table, driven by the commit times of its rows (DESIGN 3, "Time"). A pure value.
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
        /// The highest value this partition has ever stood for.
        var reached: Timestamp = .distantPast
        var isAtEnd = false
        var isBrokerUp = false
        var lastAnswer: Timestamp = .distantPast
    }

    public let maxDelay: Duration
    public let mode: Mode
    private var partitions: [TopicPartition: Partition] = [:]
    private var wall: Timestamp = .distantPast
    private var current: Timestamp

    /// Makes a clock that starts at a stored value; `nil` for a table never read before.
    public init(maxDelay: Duration, mode: Mode, stored: Timestamp?) {
        self.maxDelay = maxDelay
        self.mode = mode
        current = stored ?? .distantPast
    }

    /// The time all rows up to which have been read; ``Timestamp/distantPast`` before the first.
    public var now: Timestamp { current }
}
