import Core
import Testing

@testable import Calendars

private func parse(_ events: String) throws -> (holidays: HolidayFile?, diagnostics: [Diagnostic]) {
    let text =
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + events.split(separator: "\n").joined(separator: "\r\n")
        + "\r\nEND:VCALENDAR\r\n"
    return HolidayFile.parse(
        Array(text.utf8), file: "holidays.ics", zone: try zone("Europe/Berlin"), zones: .system)
}

private func event(_ lines: String) -> String { "BEGIN:VEVENT\n\(lines)\nEND:VEVENT" }

private func dates(_ lines: String, years: ClosedRange<Int>) throws -> [String] {
    let (holidays, diagnostics) = try parse(event(lines))
    #expect(diagnostics.isEmpty, "\(diagnostics.map(\.message))")
    return (holidays?.days ?? []).map(\.date).filter { years.contains($0.parts.year) }.sorted().map(\.description)
}

@Suite struct HolidayFileTests {
    @Test func `whole days, periods and names are read`() throws {
        let (read, diagnostics) = try parse(
            """
            BEGIN:VTIMEZONE
            TZID:Europe/Berlin
            BEGIN:STANDARD
            DTSTART:16010101T000000
            RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
            END:STANDARD
            END:VTIMEZONE
            BEGIN:VEVENT
            UID:1
            DTSTART;VALUE=DATE:20260101
            DTEND;VALUE=DATE:20260102
            SUMMARY;LANGUAGE=de:Neujahr\\, der erste
              Tag
            TRANSP:TRANSPARENT
            BEGIN:VALARM
            DTSTART:broken
            END:VALARM
            END:VEVENT
            BEGIN:VEVENT
            DTSTART;VALUE=DATE:20261224
            DURATION:P3D
            SUMMARY:Weihnachten
            END:VEVENT
            BEGIN:VEVENT
            DTSTART;VALUE=DATE:20260606
            STATUS:CANCELLED
            END:VEVENT
            """)
        let holidays = try #require(read, "\(diagnostics.map(\.message))")
        #expect(holidays.days.map(\.date.description) == ["2026-01-01", "2026-12-24", "2026-12-25", "2026-12-26"])
        #expect(holidays.days[0].name == "Neujahr, der erste Tag")
        #expect(holidays.closures.isEmpty)
    }

    @Test func `times close the calendar in their zone`() throws {
        let (read, diagnostics) = try parse(
            event("DTSTART;TZID=\"America/New_York\":20260703T120000\nDTEND;TZID=America/New_York:20260703T170000")
                + "\n"
                + event("DTSTART:20260101T100000Z\nDURATION:PT1H30M") + "\n"
                + event("DTSTART:20260201T080000\nDTEND:20260201T090000\nRRULE:FREQ=DAILY;COUNT=2") + "\n"
                + event("DTSTART:20260301T080000"))
        let holidays = try #require(read, "\(diagnostics.map(\.message))")
        let expected = [
            ("2026-07-03T16:00:00Z", "2026-07-03T21:00:00Z"), ("2026-01-01T10:00:00Z", "2026-01-01T11:30:00Z"),
            ("2026-02-01T07:00:00Z", "2026-02-01T08:00:00Z"), ("2026-02-02T07:00:00Z", "2026-02-02T08:00:00Z"),
        ]
        let ranges = try expected.map { pair in
            let start = try utc(pair.0)
            return start..<(try utc(pair.1))
        }
        #expect(holidays.closures == ranges)
    }

    @Test func `yearly rules`() throws {
        #expect(
            try dates("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY", years: 2026...2027) == [
                "2026-05-01", "2027-05-01",
            ])
        #expect(
            try dates("DTSTART;VALUE=DATE:20200229\nRRULE:FREQ=YEARLY", years: 2021...2028) == [
                "2024-02-29", "2028-02-29",
            ])
        // Thanksgiving; the last Monday of May; the day before Labour Day.
        #expect(
            try dates("DTSTART;VALUE=DATE:20201126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", years: 2026...2027)
                == ["2026-11-26", "2027-11-25"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20200525\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO", years: 2026...2027)
                == ["2026-05-25", "2027-05-31"])
        #expect(
            try dates(
                "DTSTART;VALUE=DATE:20201118\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=WE;BYMONTHDAY=16,17,18,19,20,21,22",
                years: 2025...2026) == ["2025-11-19", "2026-11-18"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=YEARLY;INTERVAL=3", years: 2020...2030)
                == ["2020-01-01", "2023-01-01", "2026-01-01", "2029-01-01"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=YEARLY;COUNT=3", years: 2000...2099)
                == ["2020-01-01", "2021-01-01", "2022-01-01"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=YEARLY;UNTIL=20220101", years: 2000...2099)
                == ["2020-01-01", "2021-01-01", "2022-01-01"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20201231\nRRULE:FREQ=YEARLY;BYMONTHDAY=-1;BYMONTH=2,12", years: 2023...2024)
                == ["2023-02-28", "2023-12-31", "2024-02-29", "2024-12-31"])
        // The first Monday and the last Friday of the year.
        #expect(
            try dates("DTSTART;VALUE=DATE:20250106\nRRULE:FREQ=YEARLY;BYDAY=1MO,-1FR", years: 2026...2026)
                == ["2026-01-05", "2026-12-25"])
        #expect(
            try dates(
                "DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20270101,20280101",
                years: 2026...2029)
                == ["2026-01-01", "2029-01-01"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20260403\nRDATE;VALUE=DATE:20270326,20280414", years: 2026...2029)
                == ["2026-04-03", "2027-03-26", "2028-04-14"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY", years: 2098...2200) == [
                "2098-05-01", "2099-05-01",
            ])
    }

    @Test func `daily, weekly and monthly rules`() throws {
        #expect(
            try dates("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;INTERVAL=2;COUNT=3", years: 2026...2026)
                == ["2026-01-05", "2026-01-07", "2026-01-09"])
        #expect(
            try dates(
                "DTSTART;VALUE=DATE:20260106\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;UNTIL=20260131",
                years: 2026...2026)
                == ["2026-01-06", "2026-01-11", "2026-01-20", "2026-01-25"])
        // The same with weeks that begin on Sunday (the example of RFC 5545).
        #expect(
            try dates(
                "DTSTART;VALUE=DATE:19970805\nRRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
                years: 1997...1997)
                == ["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"])
        #expect(
            try dates("DTSTART;VALUE=DATE:20260131\nRRULE:FREQ=MONTHLY;COUNT=3", years: 2026...2026)
                == ["2026-01-31", "2026-03-31", "2026-05-31"])
        #expect(
            try dates(
                "DTSTART;VALUE=DATE:20260109\nRRULE:FREQ=MONTHLY;BYDAY=2FR;INTERVAL=2;COUNT=3", years: 2026...2026)
                == ["2026-01-09", "2026-03-13", "2026-05-08"])
        #expect(
            try dates(
                "DTSTART;VALUE=DATE:20260213\nRRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", years: 2026...2026)
                == ["2026-02-13", "2026-03-13", "2026-11-13"])
    }

    @Test func `what is wrong or not supported is named with its line`() throws {
        let cases: [(lines: String, line: Int, code: String, message: String)] = [
            ("SUMMARY:x", 3, "K005", "must have a DTSTART"),
            ("DTSTART:2026", 4, "K003", "DTSTART must be a date"),
            ("DTSTART:20260230", 4, "K003", "DTSTART must be a date"),
            ("DTSTART:18000101", 4, "K003", "1900 to 2099"),
            ("DTSTART;TZID=W. Europe Standard Time:20260101T000000", 4, "K001", "a time zone must have a name"),
            ("DTSTART:20260105\nDTEND:20260104", 5, "K005", "must end after its start"),
            ("DTSTART:20260105\nDTEND:20260106T000000", 5, "K005", "both be dates or both times"),
            ("DTSTART:20260105\nDTEND:20280104", 5, "K005", "within a year"),
            ("DTSTART:20260105\nDURATION:PT5H", 5, "K005", "DURATION"),
            ("DTSTART:20260105\nRRULE:FREQ=HOURLY", 5, "K006", "found 'HOURLY'"),
            ("DTSTART:20260105\nRRULE:FREQ=YEARLY;BYSETPOS=1", 5, "K006", "'BYSETPOS' is not supported"),
            ("DTSTART:20260105\nRRULE:FREQ=YEARLY;BYWEEKNO=1", 5, "K006", "'BYWEEKNO' is not supported"),
            ("DTSTART:20260105\nRRULE:INTERVAL=1", 5, "K005", "must have a FREQ"),
            ("DTSTART:20260105\nRRULE:FREQ=YEARLY;BYMONTH=13", 5, "K005", "BYMONTH must be from 1 to 12"),
            ("DTSTART:20260105\nRRULE:FREQ=YEARLY;BYDAY=XX", 5, "K005", "BYDAY must name weekdays"),
            ("DTSTART:20260105\nRRULE:FREQ=WEEKLY;BYDAY=1MO", 5, "K005", "BYDAY may have numbers"),
            ("DTSTART:20260105\nRRULE:FREQ=YEARLY;INTERVAL=0", 5, "K005", "INTERVAL must be from"),
            ("DTSTART:20260105\nRRULE:FREQ=DAILY;UNTIL=tomorrow", 5, "K003", "UNTIL must be"),
            ("DTSTART:20260105\nRECURRENCE-ID:20260105", 5, "K006", "RECURRENCE-ID"),
            ("DTSTART:20260105\nno property", 5, "K005", "NAME:value"),
            ("DTSTART:19000101\nDTEND:19001201\nRRULE:FREQ=DAILY", 3, "K005", "at most 50000 days"),
        ]
        for (lines, line, code, message) in cases {
            let (holidays, diagnostics) = try parse(event(lines))
            #expect(holidays == nil, "\(lines)")
            let first = try #require(diagnostics.first, "\(lines)")
            #expect(first.position.line == line && first.code == code, "\(lines): \(first.position) \(first.code)")
            #expect(first.message.contains(message), "\(lines): \(first.message)")
        }
        for text in ["", "\r\n", "<html></html>", "BEGIN:VCALENDAR", "BEGIN:VCARD\nEND:VCARD", "END:VCALENDAR", "A:B"] {
            let (holidays, diagnostics) = HolidayFile.parse(Array(text.utf8), file: "x", zone: .utc, zones: .system)
            #expect(holidays == nil && !diagnostics.isEmpty, "\(text)")
        }
        let large = [UInt8](repeating: 0x41, count: HolidayFile.byteCountMax + 1)
        #expect(HolidayFile.parse(large, file: "x", zone: .utc, zones: .system).holidays == nil)
    }

    @Test func `garbage is an error, never a crash`() throws {
        // Method: a good file with bytes changed, cut and lines swapped.
        let seed: UInt64 = 5545
        var generator = Seeded(seed)
        let good = Array(
            """
            BEGIN:VCALENDAR
            BEGIN:VEVENT
            DTSTART;TZID=Europe/Berlin:20260101T100000
            DTEND:20260102T100000Z
            RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=20;INTERVAL=2
            EXDATE:20280101T100000
            SUMMARY:a\\,b
             c
            END:VEVENT
            BEGIN:VEVENT
            DTSTART;VALUE=DATE:20260228
            DURATION:P1W2D
            RRULE:FREQ=WEEKLY;UNTIL=20300101;WKST=SU;BYMONTH=2
            END:VEVENT
            END:VCALENDAR
            """.utf8)
        let tokens = [
            "FREQ=DAILY", "99999999", ";;", ":", "P9999999W", "-53SU", "BEGIN:VEVENT\n", "\u{FEFF}", "\"", "BYDAY=",
            "\r",
            "00000000", "20991231", "COUNT=100000", "YEARLY", "INTERVAL=1000",
        ].map { Array($0.utf8) }
        var usable = 0
        for _ in 0..<1500 {
            var bytes = good
            for _ in 0...Int.random(in: 0...4, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0...3, using: &generator) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.insert(contentsOf: tokens.randomElement(using: &generator) ?? [], at: index)
                case 2: bytes.removeSubrange(index..<min(bytes.count, index + 3))
                default: bytes[index] = UInt8.random(in: 48...57, using: &generator)
                }
            }
            let (holidays, diagnostics) = HolidayFile.parse(bytes, file: "x", zone: .utc, zones: .system)
            #expect((holidays == nil) == !diagnostics.isEmpty)
            usable += holidays == nil ? 0 : 1
        }
        #expect(usable > 20 && usable < 1400, "seed \(seed): \(usable) of 1500 changed files can still be used")
    }
}
