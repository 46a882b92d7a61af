import ConfigFiles
import Core
import Foundation
import Testing

@testable import Calendars

private func load(_ text: String, file: String = "calendars.yaml") -> (set: CalendarSet, diagnostics: [Diagnostic]) {
    let reader = ConfigReader()
    var set = CalendarSet()
    set.add(ConfigFile(text: text, file: file), zones: .system, reader: reader)
    return (set, reader.sortedDiagnostics)
}

private let plant = """
    calendars:
      plant-de:
        timezone: Europe/Berlin
        hours:
          monday-thursday: [06:00-14:00, 14:00-22:00]
          fri: 06:00-14:00
          saturday: "22:00-06:00"
        holidays:
          - 2026-12-25
          - {date: 2026-05-01, name: Tag der Arbeit}
          - {from: 2026-12-30, to: 2027-01-01, name: Jahreswechsel}
        shutdowns:
          - {from: 2026-08-03, to: 2026-08-21, name: summer}
          - {from: 2026-09-07T12:00, to: 2026-09-07T18:00}
        extra:
          - {date: 2026-05-02, hours: [08:00-12:00], name: stocktaking}
          - 2026-12-25
    """

@Suite struct CalendarSetTests {
    @Test func `a declared calendar works as it says`() throws {
        let (set, diagnostics) = load(plant)
        #expect(diagnostics.isEmpty, "\(diagnostics.map { $0.rendered(source: nil) })")
        let calendar = try #require(set["plant-de"])
        func isOpen(_ text: String) throws -> Bool { calendar.isOpen(at: calendar.zone.first(try wall(text))) }
        #expect(try isOpen("2026-06-01T06:00") && isOpen("2026-06-01T14:00") && isOpen("2026-06-01T21:59"))
        #expect(try !isOpen("2026-06-01T05:59") && !isOpen("2026-06-01T22:00"))
        #expect(try isOpen("2026-06-05T13:59") && !isOpen("2026-06-05T14:00"))
        #expect(try isOpen("2026-06-06T22:00") && isOpen("2026-06-07T05:59") && !isOpen("2026-06-07T06:00"))
        #expect(try !isOpen("2026-05-01T10:00") && isOpen("2026-05-02T10:00") && !isOpen("2026-05-02T22:30"))
        #expect(try !isOpen("2026-12-31T10:00") && !isOpen("2027-01-01T10:00"))
        #expect(try !isOpen("2026-08-03T06:00") && !isOpen("2026-08-20T10:00") && isOpen("2026-08-24T06:00"))
        #expect(try isOpen("2026-09-07T11:59") && !isOpen("2026-09-07T12:00") && isOpen("2026-09-07T18:00"))
        // An extra day without hours has those of its weekday, here on a holiday.
        #expect(try isOpen("2026-12-25T13:00") && !isOpen("2026-12-25T14:00"))
        let named = try #require(CivilDate.parse("2026-12-31"))
        #expect(calendar.name(of: named) == "Jahreswechsel")
    }

    @Test func `everything that is wrong is reported at its place`() throws {
        let cases: [(text: String, line: Int, column: Int, code: String, message: String, help: String?)] = [
            ("timezone: Europe/Berln\nhours: {mon: 08:00-17:00}", 3, 15, "K001", "a time zone must", "'Europe/Berlin'"),
            ("hours: {mon: 08:00-17:00}", 3, 5, "Y011", "'timezone' is required", nil),
            ("timezone: UTC", 3, 5, "Y011", "'hours' is required", nil),
            ("timezone: UTC\nhours: {mondey: 08:00-17:00}", 4, 13, "K002", "found 'mondey'", "did you mean 'monday'?"),
            ("timezone: UTC\nhours: {mon: 8-17}", 4, 18, "K002", "the form 08:00-17:00; found '8-17'", nil),
            ("timezone: UTC\nhours: {mon: 08:00-25:00}", 4, 18, "K002", "the form 08:00-17:00", nil),
            ("timezone: UTC\nhours: {mon: [08:00-12:00, 11:00-13:00]}", 4, 32, "K004", "may not overlap", nil),
            (
                "timezone: UTC\nhours: {mon-fri: 08:00-12:00, wed: 09:00-10:00}", 4, 35, "K004",
                "wednesday are given twice", nil
            ),
            ("timezone: UTC\nhours: 08:00-17:00", 4, 12, "K002", "must be a mapping of weekdays", "monday-friday"),
            ("timezone: UTC\nhours: {}\nholidays: [2026-02-30]", 5, 16, "K003", "found '2026-02-30'", nil),
            ("timezone: UTC\nhours: {}\nholidays: 2026-02-03", 5, 15, "Y012", "'holidays' must be a list", nil),
            ("timezone: UTC\nhours: {}\nholidays: [{name: x}]", 5, 16, "K003", "must have a 'date'", nil),
            ("timezone: UTC\nhours: {}\nholidays: [{dat: 2026-01-01}]", 5, 16, "K003", "must have a 'date'", nil),
            (
                "timezone: UTC\nhours: {}\nholidays: [{from: 2026-01-02, to: 2026-01-01}]", 5, 39, "K003",
                "must end on or after", nil
            ),
            ("timezone: UTC\nhours: {}\nholidays: [{ics: none.ics}]", 5, 22, "K005", "does not exist", nil),
            (
                "timezone: UTC\nhours: {}\nextra: [2026-01-01]", 5, 13, "K002", "thursday must have 'hours'",
                "write {date:"
            ),
            (
                "timezone: UTC\nhours: {}\nshutdowns: [{from: 2026-01-02, to: 2026-01-01}]", 5, 40, "K003",
                "must end after", nil
            ),
            ("timezone: UTC\nhours: {}\nshutdowns: [{from: 2026-01-02T10}]", 5, 18, "Y011", "'to' is required", nil),
            ("timezone: UTC\nhours: {}\nholiday: [2026-01-01]", 5, 5, "Y010", "unknown key 'holiday'", "'holidays'"),
        ]
        for (text, line, column, code, message, help) in cases {
            let indented = text.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n")
            let (_, diagnostics) = load("calendars:\n  plant:\n" + indented)
            let found = diagnostics.contains { diagnostic in
                diagnostic.code == code && diagnostic.position.line == line && diagnostic.position.column == column
                    && diagnostic.message.contains(message)
                    && (help.map { diagnostic.help?.contains($0) == true } ?? true)
            }
            #expect(found, "\(text): \(diagnostics.map { $0.rendered(source: nil) })")
        }
    }

    @Test func `names are unique over all files and unknown ones are reported`() throws {
        let reader = ConfigReader()
        var set = CalendarSet()
        set.add(ConfigFile(text: plant, file: "a.yaml"), zones: .system, reader: reader)
        set.add(
            ConfigFile(text: plant + "\n  bad name: {timezone: UTC, hours: {}}", file: "b.yaml"), zones: .system,
            reader: reader)
        #expect(reader.sortedDiagnostics.map(\.code) == ["K010", "K010"])
        #expect(reader.sortedDiagnostics.first?.notes.first?.position?.file == "a.yaml")
        let use = ConfigFile(text: "calendar: plant-dd", file: "c.yaml")
        let other = ConfigReader()
        _ = other.mapping(of: use) { mapping in
            mapping.text("calendar", "").flatMap { set.find($0, reader: other) }
        }
        #expect(other.diagnostics.first?.code == "K009" && other.diagnostics.first?.help == "did you mean 'plant-de'?")
    }

    @Test func `a file of holidays lies beside the file that names it`() throws {
        let folder = NSTemporaryDirectory() + "calendars-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let ics =
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20200501\nRRULE:FREQ=YEARLY\nSUMMARY:May Day\nEND:VEVENT\n"
            + "END:VCALENDAR\n"
        try ics.write(toFile: folder + "/days.ics", atomically: true, encoding: .utf8)
        try "BEGIN:VCALENDAR\nX\n".write(toFile: folder + "/broken.ics", atomically: true, encoding: .utf8)
        let text =
            "calendars: {p: {timezone: UTC, hours: {mon-sun: 08:00-17:00}, holidays: [{ics: days.ics}, 2026-05-04]}}"
        let (set, diagnostics) = load(text, file: folder + "/calendars.yaml")
        #expect(diagnostics.isEmpty)
        let calendar = try #require(set["p"])
        #expect(
            try !calendar.isOpen(at: utc("2031-05-01T10:00:00Z")) && calendar.isOpen(at: utc("2031-05-02T10:00:00Z")))
        let named = try #require(CivilDate.parse("2031-05-01"))
        #expect(calendar.name(of: named) == "May Day")
        let broken = load(
            text.replacingOccurrences(of: "days.ics", with: "broken.ics"), file: folder + "/calendars.yaml")
        #expect(broken.diagnostics.first?.position == SourcePosition(file: folder + "/broken.ics", line: 2, column: 1))
    }

    @Test func `schedules, windows and working durations are read from mappings`() throws {
        let context = CalendarContext(zones: .system, calendars: load(plant).set)
        func schedule(_ text: String) -> (Schedule?, [Diagnostic]) {
            let reader = ConfigReader()
            let read = reader.mapping(of: ConfigFile(text: text, file: "x.yaml")) {
                Schedule.read(in: $0, context: context)
            }
            return (read ?? nil, reader.sortedDiagnostics)
        }
        let digest = schedule("schedule: 0 7 * * 1-5\ncalendar: plant-de")
        #expect(digest.1.isEmpty && digest.0?.days == .working && digest.0?.zone.identifier == "Europe/Berlin")
        #expect(schedule("schedule: '@daily'\ntimezone: Asia/Tokyo").0?.zone.identifier == "Asia/Tokyo")
        let wrong = schedule("schedule: \"0 7 * * MON-FIR\"").1.first
        #expect(wrong?.code == "K007" && wrong?.position.column == 24 && wrong?.help == "did you mean 'FRI'?")
        #expect(schedule("schedule: 0 7 * * *\non: working_days").1.first?.code == "K009")
        #expect(schedule("schedule: 0 7 * * *\ncalendar: plant").1.first?.help == "declared are: plant-de")

        func window(_ text: String) -> (RecurringWindow?, [Diagnostic]) {
            let reader = ConfigReader()
            let read = reader.mapping(of: ConfigFile(text: "windows:\n  - " + text, file: "x.yaml")) {
                RecurringWindow.read("windows", "Windows.", in: $0, context: context)
            }
            return (read ?? nil, reader.sortedDiagnostics)
        }
        let civil = window(
            "{times: [{start_time: 09:00, end_time: '17:00'}], weekdays: ['monday:friday'], "
                + "days_of_month: [1, '-3:-1'], months: ['may:august', december, 2], years: ['2026:2028', 2030], "
                + "location: Europe/Berlin}"
        )
        #expect(civil.1.isEmpty, "\(civil.1.map(\.message))")
        guard case .civil(let read)? = civil.0?.parts.first else {
            Issue.record("no civil window")
            return
        }
        #expect(read.times == [540..<1020] && read.weekdays.count == 5 && read.months == [2, 5, 6, 7, 8, 12])
        #expect(
            read.years == [2026...2028, 2030...2030] && read.monthDays.count == 2
                && read.zone.identifier == "Europe/Berlin")
        #expect(window("{schedule: 0 22 * * SAT, duration: 4h, timezone: UTC}").0 != nil)
        #expect(window("{calendar: plant-de, while: closed}").0 != nil)
        for (text, message) in [
            ("{}", "a window must have"), ("{schedule: 0 22 * * SAT}", "'duration' beside it"),
            ("{schedule: 0 22 * * SAT, duration: 1s}", "from 1m to 366d"), ("{calendar: plant-de}", "'while: open'"),
            ("{calendar: plant-de, while: closed, times: []}", "'times' may not stand beside 'calendar'"),
            ("{times: [{start_time: '22:00', end_time: '06:00'}]}", "must be later"),
            ("{times: [{start_time: '9', end_time: '17:00'}]}", "has the form 08:00"),
            ("{weekdays: ['funday']}", "'weekdays' must hold"),
            ("{days_of_month: ['0:3']}", "'days_of_month' must hold"),
            ("{months: ['1:13']}", "'months' must hold"), ("{years: ['2028:2026']}", "'years' must hold"),
            ("{months: [5], location: Mars}", "a time zone must"),
            ("{months: [5], duration: 4h}", "has no meaning here"),
        ] {
            let (read, diagnostics) = window(text)
            #expect(
                read == nil && diagnostics.contains { $0.message.contains(message) },
                "\(text): \(diagnostics.map(\.message))")
        }

        let reader = ConfigReader()
        _ = reader.mapping(of: ConfigFile(text: "for: 4 business_days\nhold: 4 business_hours", file: "x.yaml")) {
            mapping in
            #expect(WorkingDuration.read("for", "", in: mapping) == nil)
            #expect(WorkingDuration.read("hold", "", in: mapping) == .working(milliseconds: 14_400_000))
        }
        #expect(reader.diagnostics.map(\.code) == ["K011"])
    }

    @Test func `no file crashes the reader`() {
        // Method: a good file with lines dropped, doubled, cut and changed.
        var generator = Seeded(77)
        let lines = plant.split(separator: "\n").map(String.init)
        let words = [
            "- ", "[]", "{}", "null", "2026-13-01", "99:99-00:00", "monday", ": ", "~", "9999-12-31", "08:00-08:00",
        ]
        for _ in 0..<600 {
            var changed = lines
            for _ in 0...Int.random(in: 0...4, using: &generator) where !changed.isEmpty {
                let index = Int.random(in: 0..<changed.count, using: &generator)
                switch Int.random(in: 0...3, using: &generator) {
                case 0: changed.remove(at: index)
                case 1: changed.insert(changed[index], at: index)
                case 2: changed[index] = String(changed[index].prefix(Int.random(in: 0...30, using: &generator)))
                default: changed[index] += words.randomElement(using: &generator) ?? ""
                }
            }
            let (set, _) = load(changed.joined(separator: "\n"))
            for name in set.names { _ = set[name]?.nextChange(after: Timestamp(milliseconds: 1_790_000_000_000)) }
        }
    }

    @Test func `the schema names every key and is the committed one`() throws {
        let paths = CalendarSet.schema.keyPaths
        for key in ["timezone", "hours", "holidays", "shutdowns", "extra"] {
            #expect(paths.contains("calendars.*." + key), "\(key)")
        }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let kept = try String(contentsOf: root.appendingPathComponent("schema/calendars.schema.json"), encoding: .utf8)
        #expect(CalendarSet.schema.text == kept, "run 'alert-router schema --folder schema'")
    }
}
