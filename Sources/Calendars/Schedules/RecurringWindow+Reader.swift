public import ConfigFiles
internal import Core

extension RecurringWindow {
    private static let durationMax: Int64 = 366 * 86_400_000

    /// Reads a list of windows under a key; nil where it is missing, empty or wrong, which is reported.
    ///
    /// Each element is one of three: Alertmanager's `times`, `weekdays`, `days_of_month`, `months`, `years` with
    /// `location`; a `schedule` with a `duration`; a `calendar` with `while`.
    public static func read(
        _ key: String, _ about: String, in mapping: MappingReader, context: CalendarContext
    ) -> RecurringWindow? {
        let parts = mapping.mappings(key, about) { part($0, context) }
        let known = parts.compactMap { $0 }
        guard !known.isEmpty, known.count == parts.count else { return nil }
        return RecurringWindow(parts: known)
    }

    private static func part(_ mapping: MappingReader, _ context: CalendarContext) -> Part? {
        let civil = CivilWindowReader(mapping)
        let window = civil.read(zones: context.zones)
        let schedule = Schedule.read(in: mapping, context: context)
        let duration = mapping.duration("duration", "How long the window is open from each time of the schedule on.")
        let state = mapping.choice(
            "while", "Inside while the calendar is open or while it is closed.",
            among: [("open", true), ("closed", false)], defaultName: nil)
        guard !mapping.isDescribing else { return nil }
        if mapping.has("schedule") {
            let isAlone = !reportForeign(CivilWindowReader.keys + ["while"], beside: "schedule", mapping)
            guard let duration else {
                if !mapping.has("duration") {
                    mapping.report(
                        CalendarCode.window, "'schedule' must have a 'duration' beside it", atKey: "schedule")
                }
                return nil
            }
            let milliseconds = duration.wholeMilliseconds
            guard (60_000...durationMax).contains(milliseconds) else {
                mapping.report(CalendarCode.window, "'duration' must be from 1m to 366d", at: "duration")
                return nil
            }
            return isAlone ? schedule.map { .schedule($0, milliseconds: milliseconds) } : nil
        }
        if mapping.has("calendar") {
            let isAlone = !reportForeign(
                CivilWindowReader.keys + ["duration", "on", "timezone"], beside: "calendar", mapping)
            guard let state else {
                if !mapping.has("while") {
                    mapping.report(
                        CalendarCode.window, "'calendar' must have 'while: open' or 'while: closed' beside it",
                        atKey: "calendar")
                }
                return nil
            }
            let calendar = mapping.text("calendar", "").flatMap { context.calendars[$0.value] }
            return isAlone ? calendar.map { .calendar($0, isOpen: state) } : nil
        }
        guard !reportForeign(["duration", "on", "while", "timezone"], beside: nil, mapping) else { return nil }
        guard CivilWindowReader.keys.contains(where: mapping.has) else {
            mapping.report(
                CalendarCode.window,
                "a window must have times, weekdays, days, months or years, a schedule, or a calendar", at: nil)
            return nil
        }
        return window.map { .civil($0) }
    }

    /// - Returns: whether there was one.
    private static func reportForeign(_ keys: [String], beside key: String?, _ mapping: MappingReader) -> Bool {
        let found = keys.filter(mapping.has)
        for foreign in found {
            let reason = key.map { "may not stand beside '\($0)'" } ?? "has no meaning here"
            mapping.report(
                CalendarCode.window, "'\(foreign)' \(reason)", atKey: foreign,
                help: foreign == "timezone" && key == nil ? "write 'location'" : nil)
        }
        return !found.isEmpty
    }
}

/// Reads the parts of a window that are those of Alertmanager's time intervals.
private struct CivilWindowReader {
    static let keys = ["times", "weekdays", "days_of_month", "months", "years", "location"]
    private static let monthNames = [
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
        "december",
    ]

    let mapping: MappingReader

    init(_ mapping: MappingReader) { self.mapping = mapping }

    /// Nil where a part is wrong.
    func read(zones: ZoneDatabase) -> CivilWindow? {
        let times = mapping.mappings("times", "Times of the day; the end is not included.") { time($0) }
        let weekdays = values("weekdays", "Weekdays and ranges of them: monday:friday.", weekdays)
        let monthDays = values(
            "days_of_month", "Days and ranges of them: 1:5; -1 is the last day of the month.", monthDays)
        let months = values("months", "Months by name or number and ranges of them: may:august.", months)
        let years = values("years", "Years and ranges of them: 2026:2028.", years)
        let zone = TimeZoneRules.read(
            "location", "The time zone; default: UTC.", in: mapping, zones: zones, isRequired: false)
        guard let weekdays, let monthDays, let months, let years, !times.contains(where: { $0 == nil }),
            zone != nil || !mapping.has("location")
        else { return nil }
        return CivilWindow(
            zone: zone ?? .utc, times: times.compactMap { $0 }, weekdays: Set(weekdays.flatMap { $0 }),
            monthDays: monthDays, months: Set(months.flatMap { $0 }), years: years)
    }

    private func time(_ mapping: MappingReader) -> Range<Int>? {
        let start = mapping.requiredText("start_time", "From, such as 08:00.")
        let end = mapping.requiredText("end_time", "Until, such as 17:00, at most 24:00.")
        guard let start, let end else { return nil }
        guard let from = minutes(start), let to = minutes(end) else { return nil }
        guard from < to else {
            mapping.report(
                CalendarCode.window, "'end_time' must be later than 'start_time' on the same day", at: "end_time",
                help: "for a night write two: \(start.value) to 24:00 and 00:00 to \(end.value)")
            return nil
        }
        return from..<to
    }

    private func minutes(_ text: ConfigText) -> Int? {
        if let minutes = WorkCalendar.minutes(text.value) { return minutes }
        mapping.reader.report(
            CalendarCode.window, "a time of day has the form 08:00; found '\(text.value.prefix(40))'", at: text.node)
        return nil
    }

    /// A list of ranges; nil where one of them is wrong, which is reported.
    private func values<T>(_ key: String, _ about: String, _ parse: (String, String) -> T?) -> [T]? {
        guard let node = mapping.node(key, about, schema: .oneOrMany(.property)) else { return [] }
        var values: [T] = []
        for element in node.elements ?? [node] {
            let ends = element.scalar?.text.split(separator: ":", omittingEmptySubsequences: false).map { part in
                String(part).lowercased().filter { $0 != " " }
            }
            guard let ends, (1...2).contains(ends.count), let value = parse(ends[0], ends[ends.count - 1]) else {
                report(key, element, first: ends?.first)
                continue
            }
            values.append(value)
        }
        return values.count == (node.elements?.count ?? 1) ? values : nil
    }

    private func report(_ key: String, _ node: ConfigNode, first: String?) {
        let expected: String
        var names: [String] = []
        switch key {
        case "weekdays":
            expected = "weekdays such as monday or monday:friday"
            names = Weekday.allCases.map(\.name)
        case "days_of_month": expected = "days from 1 to 31, or -1 to -31 from the end, such as 1:5 or -3:-1"
        case "months":
            expected = "months such as may, 5 or may:august"
            names = CivilWindowReader.monthNames
        default: expected = "years such as 2026 or 2026:2028"
        }
        let nearest = first.flatMap { Spelling.nearest(to: $0, among: names) }
        mapping.reader.report(
            CalendarCode.window, "'\(key)' must hold \(expected); found \(node.foundText)", at: node,
            help: nearest.flatMap { $0 == first ? nil : "did you mean '\($0)'?" })
    }

    private func weekdays(_ first: String, _ last: String) -> [Weekday]? {
        guard Weekday(name: first) != nil, Weekday(name: last) != nil else { return nil }
        return WorkCalendar.weekdays(first + "-" + last)
    }

    private func number(_ text: String, in range: ClosedRange<Int>) -> Int? {
        guard (1...4).contains(text.utf8.count), let number = Int(text), range.contains(number) else { return nil }
        return number
    }

    private func monthDays(_ first: String, _ last: String) -> CivilWindow.DayRange? {
        guard let first = number(first, in: -31...31), let last = number(last, in: -31...31) else { return nil }
        return CivilWindow.DayRange(first: first, last: last)
    }

    private func months(_ first: String, _ last: String) -> [Int]? {
        func month(_ text: String) -> Int? {
            CivilWindowReader.monthNames.firstIndex { $0 == text || $0.prefix(3) == text }.map { $0 + 1 }
                ?? number(text, in: 1...12)
        }
        guard let first = month(first), let last = month(last) else { return nil }
        return first <= last ? Array(first...last) : Array(first...12) + Array(1...last)
    }

    private func years(_ first: String, _ last: String) -> ClosedRange<Int>? {
        guard let first = number(first, in: 1970...2199), let last = number(last, in: 1970...2199), first <= last else {
            return nil
        }
        return first...last
    }
}
