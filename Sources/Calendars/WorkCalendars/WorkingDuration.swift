public import ConfigFiles
public import Core

/// A duration that is elapsed time (`30m`) or working time of a calendar (`4 business_hours`).
public enum WorkingDuration: Sendable, Equatable {
    case elapsed(milliseconds: Int64)
    case working(milliseconds: Int64)

    /// Longest working time: a year of 24-hour days.
    private static let workingMax: Int64 = 366 * 86_400_000

    /// Reads `30m`, `4 business_hours`, `1 business_hour` or `90 business_minutes`; nil for another form.
    public init?(_ text: String) {
        if let duration = DurationText.parse(text) {
            self = .elapsed(milliseconds: duration.wholeMilliseconds)
            return
        }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, (1...6).contains(words[0].utf8.count),
            words[0].utf8.allSatisfy({ (48...57).contains($0) }), let number = Int64(words[0])
        else { return nil }
        let factor: Int64
        switch words[1] {
        case "business_hour", "business_hours": factor = 3_600_000
        case "business_minute", "business_minutes": factor = 60_000
        default: return nil
        }
        guard number * factor <= WorkingDuration.workingMax else { return nil }
        self = .working(milliseconds: number * factor)
    }

    /// Whether it needs a calendar.
    public var needsCalendar: Bool { if case .working = self { true } else { false } }

    /// The time at which it has passed since `time`; nil where a calendar's horizon comes before.
    ///
    /// Working time without a calendar is elapsed time.
    public func end(from time: Timestamp, calendar: WorkCalendar?) -> Timestamp? {
        switch self {
        case .elapsed(let milliseconds): return time.adding(milliseconds: milliseconds)
        case .working(let milliseconds):
            return (calendar ?? .always).adding(workingMilliseconds: milliseconds, to: time)
        }
    }

    /// The time from which on it lasts until `time`, for warnings before a deadline.
    ///
    /// Nil as for ``end(from:calendar:)``.
    public func start(until time: Timestamp, calendar: WorkCalendar?) -> Timestamp? {
        switch self {
        case .elapsed(let milliseconds): return time.adding(milliseconds: -milliseconds)
        case .working(let milliseconds):
            return (calendar ?? .always).adding(workingMilliseconds: -milliseconds, to: time)
        }
    }

    /// Reads a key of a file; nil where it is missing or wrong, which is reported.
    public static func read(_ key: String, _ about: String, in mapping: MappingReader) -> WorkingDuration? {
        let schema = SchemaNode.anyOf([.duration, .string])
        guard let node = mapping.node(key, about, schema: schema) else { return nil }
        if let text = node.scalar?.text, let duration = WorkingDuration(text) { return duration }
        mapping.report(
            CalendarCode.workingTime,
            "'\(key)' must be a duration such as '30m' or '4 business_hours'; found \(node.foundText)", at: key,
            help: node.scalar?.text.contains("business_day") == true
                ? "days of work differ in length; say it in business_hours"
                : "units are ms, s, m, h, d, w, business_minutes, business_hours")
        return nil
    }
}
