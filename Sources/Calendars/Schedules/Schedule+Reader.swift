public import ConfigFiles
internal import Core

/// What the readers of schedules and windows look names up in.
public struct CalendarContext: Sendable {
    public var zones: ZoneDatabase
    public var calendars: CalendarSet

    /// Names the zones and calendars.
    public init(zones: ZoneDatabase, calendars: CalendarSet) {
        self.zones = zones
        self.calendars = calendars
    }
}

extension TimeZoneRules {
    /// Reads a key that names a zone; nil where it is missing or wrong, which is reported.
    public static func read(
        _ key: String, _ about: String, in mapping: MappingReader, zones: ZoneDatabase, isRequired: Bool
    ) -> TimeZoneRules? {
        guard let name = isRequired ? mapping.requiredText(key, about) : mapping.text(key, about) else { return nil }
        do {
            return try zones.find(name.value)
        } catch {
            mapping.reader.report(CalendarCode.timeZone, error.message, at: name.node, help: error.help)
            return nil
        }
    }
}

extension CronExpression {
    /// Reads an expression of a file; nil where it is wrong, which is reported at its place.
    public static func read(_ text: ConfigText, reader: ConfigReader) -> CronExpression? {
        do {
            return try CronExpression(text.value)
        } catch {
            reader.report(
                Diagnostic(
                    code: CalendarCode.cron, message: error.message,
                    position: text.position(line: 1, column: error.column), length: error.length, help: error.help))
            return nil
        }
    }
}

extension Schedule {
    /// Reads the keys `schedule`, `timezone`, `calendar` and `on` of a mapping; nil where there is no schedule or it is
    /// wrong, which is reported.
    ///
    /// The zone is that of the calendar, else UTC, where `timezone` is not given; with a calendar, its working days
    /// count where `on` is not given.
    public static func read(in mapping: MappingReader, context: CalendarContext) -> Schedule? {
        let text = mapping.text(
            "schedule", "When: minute, hour, day of the month, month, weekday, such as '0 7 * * MON-FRI'.")
        let zone = TimeZoneRules.read(
            "timezone", "The schedule's time zone; default: the calendar's, else UTC.", in: mapping,
            zones: context.zones,
            isRequired: false)
        let name = mapping.text("calendar", "The calendar that limits the schedule.")
        let days = mapping.choice(
            "on", "Which of the times count; default with a calendar: working_days.", of: Days.self)
        let calendar = name.flatMap { context.calendars.find($0, reader: mapping.reader) }
        if days != nil, days != .every, name == nil {
            mapping.report(
                CalendarCode.unknownCalendar, "'on' must have a 'calendar' beside it", atKey: "on",
                help: context.calendars.names.first.map { "write 'calendar: \($0)'" })
        }
        guard let text, let cron = CronExpression.read(text, reader: mapping.reader) else { return nil }
        if (name != nil) != (calendar != nil) { return nil }
        if mapping.has("timezone"), zone == nil { return nil }
        return Schedule(
            cron, zone: zone ?? calendar?.zone ?? .utc, on: calendar.map { ($0, days ?? .working) })
    }
}
