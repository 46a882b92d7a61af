internal import ConfigFiles
internal import Core
internal import Foundation

// MARK: - The declaration of a calendar

extension WorkCalendar {
    /// Reads one calendar; nil where its zone or hours cannot be used, which is reported.
    init?(_ mapping: MappingReader, zones: ZoneDatabase) {
        let zone = TimeZoneRules.read(
            "timezone", "The time zone of all its times, such as Europe/Berlin.", in: mapping, zones: zones,
            isRequired: true)
        let weekly = WorkCalendar.weeklyHours(mapping)
        var days = DayCollector(mapping: mapping, zone: zone ?? .utc, zones: zones)
        days.readHolidays()
        days.readExtra(weekly: weekly)
        days.readShutdowns()
        guard let zone else { return nil }
        self.init(zone: zone, weekly: weekly, exceptions: days.exceptions, closures: days.closures)
    }

    private static func weeklyHours(_ mapping: MappingReader) -> [Weekday: [Shift]] {
        let node = mapping.requiredNode(
            "hours",
            "Working hours by weekday (monday) or weekdays (monday-friday): 08:00-17:00, several in a list; an end "
                + "at or before its start is on the next day.",
            schema: .map(.oneOrMany(.string)))
        guard let node else { return [:] }
        guard let entries = node.entries else {
            mapping.report(
                CalendarCode.hours, "'hours' must be a mapping of weekdays to hours; found \(node.foundText)",
                at: "hours",
                help: "write 'monday-friday: 08:00-17:00'")
            return [:]
        }
        var weekly: [Weekday: [Shift]] = [:]
        for entry in entries {
            let days = weekdays(entry.key)
            guard !days.isEmpty else {
                let nearest = Spelling.nearest(to: entry.key, among: Weekday.allCases.map(\.name))
                mapping.reader.report(
                    CalendarCode.hours,
                    "a day of 'hours' must be a weekday such as 'monday' or 'monday-friday'; found '\(entry.key)'",
                    at: entry.keyNode, help: nearest.map { "did you mean '\($0)'?" })
                continue
            }
            let shifts = shifts(entry.value, reader: mapping.reader)
            for day in days {
                if weekly[day] != nil {
                    mapping.reader.report(
                        CalendarCode.contradiction, "the hours of \(day.name) are given twice", at: entry.keyNode)
                }
                weekly[day] = shifts
            }
        }
        return weekly
    }

    /// `monday`, `mon-fri`, `sat-mon`, `monday,wednesday`; empty for another form.
    static func weekdays(_ text: String) -> [Weekday] {
        var days: [Weekday] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { name in
                Weekday(name: name.drop { $0 == " " })
            }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else { return [] }
            var day = first.rawValue
            days.append(first)
            while day != last.rawValue {
                day = day % 7 + 1
                if let next = Weekday(rawValue: day) { days.append(next) }
            }
        }
        return days
    }

    /// Hours as a text or a list of texts; overlapping ones are reported.
    static func shifts(_ node: ConfigNode, reader: ConfigReader) -> [Shift] {
        var shifts: [Shift] = []
        for element in node.elements ?? [node] {
            guard let text = element.scalar?.text, let shift = shift(text) else {
                reader.report(
                    CalendarCode.hours, "working hours have the form 08:00-17:00; found \(element.foundText)",
                    at: element,
                    help: "an end at or before its start is on the next day; a whole day is 00:00-24:00")
                continue
            }
            if let other = shifts.first(where: { shift.start < $0.end && $0.start < shift.end }) {
                reader.report(
                    CalendarCode.contradiction,
                    "hours of one day may not overlap; found '\(text)' beside '\(format(other))'", at: element)
                continue
            }
            shifts.append(shift)
        }
        return shifts
    }

    private static func format(_ shift: Shift) -> String {
        func clock(_ minutes: Int) -> String {
            let digits = String(10_000 + minutes / 60 * 100 + minutes % 60).dropFirst()
            return digits.prefix(2) + ":" + digits.suffix(2)
        }
        return clock(shift.start) + "-" + clock(shift.end > 1440 ? shift.end - 1440 : shift.end)
    }

    private static func shift(_ text: String) -> Shift? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let start = minutes(ends[0]), let end = minutes(ends[1]), start < 1440 else {
            return nil
        }
        return Shift(start: start, end: end > start ? end : end + 1440)
    }

    /// `08:00`, up to `24:00`; blanks around it are dropped.
    static func minutes(_ text: some StringProtocol) -> Int? {
        let parts = text.trimmingCharacters(in: .whitespaces).split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...2).contains(parts[0].utf8.count), parts[1].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }), let hour = Int(parts[0]),
            let minute = Int(parts[1]), minute <= 59, hour <= 23 || (hour == 24 && minute == 0)
        else { return nil }
        return hour * 60 + minute
    }
}

/// Collects what differs from the week in a calendar's declaration.
private struct DayCollector {
    let mapping: MappingReader
    let zone: TimeZoneRules
    let zones: ZoneDatabase
    var exceptions: [WorkCalendar.Exception] = []
    var closures: [Range<Timestamp>] = []

    private static let spanDaysMax = 400

    private var reader: ConfigReader { mapping.reader }

    /// A date or a period of dates with a name.
    private struct Period {
        var first: CivilDate
        var last: CivilDate
        var name: String?
    }

    mutating func readHolidays() {
        var listed: [WorkCalendar.Exception] = []
        var files: [ConfigText] = []
        let elements = mapping.elements(
            "holidays",
            "Days without work: dates, periods with names, files in iCalendar form.",
            text: { text in
                self.date(text).map { ([Period(first: $0, last: $0, name: nil)], nil as ConfigText?) }
            },
            mapping: { element in
                let date = element.text("date", "The day.")
                let first = element.text("from", "The first day of a period.")
                let last = element.text("to", "Its last day.")
                let name = element.string("name", "What is shown.")
                let file = element.text("ics", "A file of events in iCalendar form, beside this one.")
                element.exclusive(["date", "from", "ics"])
                return (self.period(element, date: date, from: first, to: last, name: name, file: file), file)
            })
        for (periods, file) in elements {
            for period in periods {
                for day in period.first.days...period.last.days {
                    listed.append(.init(date: CivilDate(days: day), shifts: [], name: period.name))
                }
            }
            if let file { files.append(file) }
        }
        for file in files { readFile(file) }
        // A name in the list is the author's own, so it stands above that of a file.
        exceptions += listed
    }

    private func period(
        _ element: MappingReader, date: ConfigText?, from: ConfigText?, to: ConfigText?, name: String?,
        file: ConfigText?
    ) -> [Period] {
        guard !element.isDescribing, file == nil else { return [] }
        guard from == nil && to == nil || date == nil else { return [] }
        if let date { return self.date(date).map { [Period(first: $0, last: $0, name: name)] } ?? [] }
        guard let from, let to else {
            element.report(
                CalendarCode.date, "an element must have a 'date', 'from' and 'to', or 'ics'", at: nil)
            return []
        }
        guard let first = self.date(from), let last = self.date(to) else { return [] }
        guard first <= last, last.days - first.days <= DayCollector.spanDaysMax else {
            element.report(
                CalendarCode.date,
                "a period must end on or after its first day and within \(DayCollector.spanDaysMax) days",
                at: "to")
            return []
        }
        return [Period(first: first, last: last, name: name)]
    }

    private mutating func readFile(_ name: ConfigText) {
        let folder = (name.file as NSString).deletingLastPathComponent
        let path = name.value.hasPrefix("/") || folder.isEmpty ? name.value : folder + "/" + name.value
        let bytes: [UInt8]
        do {
            bytes = try ConfigFile.bytes(path: path, countMax: HolidayFile.byteCountMax)
        } catch {
            return reader.report(CalendarCode.holidayFile, error.message, at: name.node, help: error.help)
        }
        let (holidays, diagnostics) = HolidayFile.parse(bytes, file: path, zone: zone, zones: zones)
        for diagnostic in diagnostics { reader.report(diagnostic) }
        guard let holidays else { return }
        exceptions += holidays.days.map { .init(date: $0.date, shifts: [], name: $0.name) }
        closures += holidays.closures
    }

    mutating func readExtra(weekly: [Weekday: [WorkCalendar.Shift]]) {
        let found: [WorkCalendar.Exception] = mapping.elements(
            "extra", "Days with work that the week or the holidays do not give.",
            text: { text in
                self.date(text).flatMap { self.extra($0, hours: nil, name: nil, at: text.node, weekly) }
            },
            mapping: { element in
                let date = element.requiredText("date", "The day.")
                let hours = element.node(
                    "hours", "Its working hours; default: those of its weekday.", schema: .oneOrMany(.string))
                let name = element.string("name", "What is shown.")
                guard let date, let day = self.date(date) else { return nil }
                return self.extra(day, hours: hours, name: name, at: date.node, weekly)
            })
        exceptions += found
    }

    private func extra(
        _ date: CivilDate, hours: ConfigNode?, name: String?, at node: ConfigNode,
        _ weekly: [Weekday: [WorkCalendar.Shift]]
    ) -> WorkCalendar.Exception? {
        let shifts = hours.map { WorkCalendar.shifts($0, reader: reader) } ?? weekly[date.weekday] ?? []
        if shifts.isEmpty, hours == nil {
            reader.report(
                CalendarCode.hours, "an extra day on a \(date.weekday.name) must have 'hours': the week has none",
                at: node, help: "write {date: \(date), hours: 08:00-17:00}")
            return nil
        }
        return .init(date: date, shifts: shifts, name: name)
    }

    mutating func readShutdowns() {
        let found: [Range<Timestamp>?] = mapping.mappings(
            "shutdowns", "Periods without work, whatever the hours and extra days say."
        ) { element in
            let first = element.requiredText("from", "The first day, or a date and time such as 2026-12-24T14:00.")
            let last = element.requiredText("to", "The last day, or the date and time of the end.")
            _ = element.string("name", "What is shown.")
            guard let first, let last, let start = self.local(first, isEnd: false),
                let end = self.local(last, isEnd: true)
            else { return nil }
            guard start < end else {
                element.report(CalendarCode.date, "a shutdown must end after its start", at: "to")
                return nil
            }
            return self.zone.first(start)..<self.zone.first(end)
        }
        closures += found.compactMap { $0 }
    }

    // MARK: - Dates

    private func date(_ text: ConfigText) -> CivilDate? {
        if let date = CivilDate.parse(text.value), isInRange(date) { return date }
        reader.report(
            CalendarCode.date,
            "a date has the form 2026-12-24 in the years 1900 to 2199; found '\(text.value.prefix(40))'",
            at: text.node)
        return nil
    }

    private func isInRange(_ date: CivilDate) -> Bool { WorkCalendar.dayRange.contains(date.days) }

    /// A date, whose end is its last moment, or a date and time.
    private func local(_ text: ConfigText, isEnd: Bool) -> LocalTime? {
        if let date = CivilDate.parse(text.value), isInRange(date) {
            return LocalTime(date: isEnd ? date.adding(days: 1) : date, minutes: 0)
        }
        if let local = LocalTime.parse(text.value), isInRange(local.date) { return local }
        reader.report(
            CalendarCode.date,
            "a date has the form 2026-12-24 or 2026-12-24T14:00, in the calendar's zone and the years 1900 to 2199; "
                + "found '\(text.value.prefix(40))'", at: text.node)
        return nil
    }
}
