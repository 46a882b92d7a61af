public import Core

/// A time zone: what its clocks show at a time, and when they show a given date and time of day.
///
/// Made by ``ZoneDatabase``. A value; a lookup is one binary search and allocates nothing.
public struct TimeZoneRules: Sendable, Equatable {
    /// The name in the IANA database, such as `Europe/Berlin`.
    public let identifier: String
    let table: ZoneTable

    init(identifier: String, table: ZoneTable) {
        self.identifier = identifier
        self.table = table
    }

    /// UTC, which needs no database.
    public static let utc = TimeZoneRules(identifier: "UTC", table: ZoneTable(offset: 0))

    /// Times are looked up within this many milliseconds around 1970; beyond it the offset at the limit holds.
    private static let limit: Int64 = 1 << 58

    static func bounded(_ milliseconds: Int64) -> Int64 { min(max(milliseconds, -limit), limit) }

    /// Milliseconds by which the zone's clocks are ahead of UTC at a time.
    public func offset(at time: Timestamp) -> Int64 {
        table.span(at: TimeZoneRules.bounded(time.milliseconds)).offset
    }

    /// What the zone's clocks show at a time.
    public func local(_ time: Timestamp) -> LocalTime {
        let bounded = TimeZoneRules.bounded(time.milliseconds)
        return LocalTime(milliseconds: bounded + table.span(at: bounded).offset)
    }

    /// The first time at which the zone's clocks show `local` or later.
    ///
    /// A time of day that occurs twice gives its first occurrence; one that is skipped gives the end of the gap. The
    /// result never falls as `local` rises.
    public func first(_ local: LocalTime) -> Timestamp {
        var mapper = LocalMapper(table)
        return Timestamp(milliseconds: mapper.first(TimeZoneRules.bounded(local.milliseconds)))
    }

    /// How often the zone's clocks show a date and time of day.
    public enum Occurrence: Sendable, Equatable {
        case once(Timestamp)
        /// The clocks are set back over it.
        case twice(first: Timestamp, second: Timestamp)
        /// The clocks are set forward over it, at this time.
        case never(gapEnd: Timestamp)
    }

    /// When the zone's clocks show a date and time of day.
    public func occurrence(of local: LocalTime) -> Occurrence {
        let first = first(local)
        let wanted = TimeZoneRules.bounded(local.milliseconds)
        var span = table.span(at: first.milliseconds)
        guard first.milliseconds + span.offset == wanted else { return .never(gapEnd: first) }
        // A clock is never set back by more than a day or so.
        while span.end < first.milliseconds + LocalMapper.reach {
            span = table.span(at: span.end)
            let again = wanted - span.offset
            if again >= span.start, again < span.end, again > first.milliseconds {
                return .twice(first: first, second: Timestamp(milliseconds: again))
            }
        }
        return .once(first)
    }

    /// The next time at which the offset changes; nil where it never does again.
    public func nextTransition(after time: Timestamp) -> Timestamp? {
        var span = table.span(at: TimeZoneRules.bounded(time.milliseconds))
        let offset = span.offset
        repeat {
            guard span.end < TimeZoneRules.limit else { return nil }
            span = table.span(at: span.end)
        } while span.offset == offset
        return Timestamp(milliseconds: span.start)
    }
}

/// Turns local times into times, remembering the stretch of one offset that the last one lay in.
struct LocalMapper {
    /// More than any two offsets, and any jump, differ: milliseconds.
    static let reach: Int64 = 2 * 86_400_000 + 4 * 3_600_000

    private let table: ZoneTable
    private var span: ZoneTable.Span

    init(_ table: ZoneTable) {
        self.table = table
        span = ZoneTable.Span(start: 0, end: 0, offset: 0)
    }

    /// The first time at which the clocks show `local` or later, as milliseconds.
    mutating func first(_ local: Int64) -> Int64 {
        // All times before this one show an earlier local time.
        let start = local - LocalMapper.reach
        if start < span.start || start >= span.end { span = table.span(at: start) }
        var current = span
        while true {
            let time = max(current.start, local - current.offset)
            if time < current.end { return time }
            current = table.span(at: current.end)
        }
    }
}
