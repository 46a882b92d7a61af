import Core
import Testing

@testable import Calendars

@Suite(.serialized) struct RecurringWindowTests {
    private func civil(
        _ name: String, times: [Range<Int>] = [], weekdays: Set<Weekday> = [],
        monthDays: [CivilWindow.DayRange] = [], months: Set<Int> = [], years: [ClosedRange<Int>] = []
    ) throws -> CivilWindow {
        CivilWindow(
            zone: try zone(name), times: times, weekdays: weekdays, monthDays: monthDays, months: months, years: years)
    }

    @Test func `all kinds of parts must hold, one value of each is enough`() throws {
        let window = try civil(
            "Europe/Berlin", times: [480..<720, 780..<1020], weekdays: [.monday, .friday], months: [1, 2],
            years: [2026...2027])
        #expect(try window.isInside(at: utc("2026-01-05T07:00:00Z")))
        #expect(try !window.isInside(at: utc("2026-01-05T06:59:59Z")))
        #expect(try !window.isInside(at: utc("2026-01-05T11:00:00Z")))
        #expect(try window.isInside(at: utc("2026-01-05T12:00:00Z")))
        #expect(try !window.isInside(at: utc("2026-01-06T07:00:00Z")))
        #expect(try !window.isInside(at: utc("2026-03-02T07:00:00Z")))
        #expect(try !window.isInside(at: utc("2028-01-03T07:00:00Z")))
        #expect(try window.nextChange(after: utc("2026-01-05T07:00:00Z")) == utc("2026-01-05T11:00:00Z"))
        #expect(try window.nextChange(after: utc("2026-02-27T16:00:00Z")) == utc("2027-01-01T07:00:00Z"))
        #expect(try window.nextChange(after: utc("2027-12-31T16:00:00Z")) == nil)
    }

    @Test func `days of the month count from both ends`() throws {
        let last = try #require(CivilWindow.DayRange(first: -3, last: -1))
        let window = try civil("UTC", monthDays: [last])
        #expect(
            try window.isInside(at: utc("2026-02-26T00:00:00Z")) && !window.isInside(at: utc("2026-02-25T23:59:00Z")))
        #expect(try window.nextChange(after: utc("2026-02-26T00:00:00Z")) == utc("2026-03-01T00:00:00Z"))
        let middle = try #require(CivilWindow.DayRange(first: 29, last: -1))
        #expect(try !(civil("UTC", monthDays: [middle])).isInside(at: utc("2026-02-28T12:00:00Z")))
        #expect(try (civil("UTC", monthDays: [middle])).isInside(at: utc("2028-02-29T12:00:00Z")))
        let all = try #require(CivilWindow.DayRange(first: 1, last: 31))
        #expect(try (civil("UTC", monthDays: [all])).nextChange(after: utc("2026-02-28T12:00:00Z")) == nil)
        for (first, end) in [(0, 1), (1, 0), (5, 4), (-1, -2), (-1, 5), (32, 32), (31, -2)] {
            #expect(CivilWindow.DayRange(first: first, last: end) == nil, "\(first):\(end)")
        }
    }

    @Test(arguments: oddZones)
    func `civil windows change where a scan of every minute sees it`(name: String) throws {
        let seed: UInt64 = 500 + UInt64(name.utf8.count)
        var generator = Seeded(seed)
        for begin in try scanStarts(name) {
            let scan = MinuteScan(zone: name, from: begin, days: 25)
            for round in [0, 1, 2, 5] {
                var times: [Range<Int>] = []
                for _ in 0..<Int.random(in: 0...3, using: &generator) {
                    let from = [0, 60, 105, 120, 150, 600, 1380].randomElement(using: &generator) ?? 0
                    times.append(from..<min(1440, from + Int.random(in: 1...400, using: &generator)))
                }
                let days =
                    Bool.random(using: &generator)
                    ? Weekday.allCases.filter { _ in Bool.random(using: &generator) } : []
                let window = try civil(
                    name, times: times, weekdays: Set(days),
                    monthDays: round == 5
                        ? [try #require(.init(first: 2, last: 10)), try #require(.init(first: -4, last: -1))] : []
                )
                var isDay: [Int64: Bool] = [:]
                for day in Set(scan.local.map { $0 / 1440 }) {
                    let date = CivilDate(days: Int(day))
                    let (year, month, number) = date.parts
                    let isEarlyOrLate =
                        (2...10).contains(number) || number > CivilDate.dayCount(year: year, month: month) - 4
                    isDay[day] = (days.isEmpty || days.contains(date.weekday)) && (round != 5 || isEarlyOrLate)
                }
                let isMinute = (0..<1440).map { minute in times.isEmpty || times.contains { $0.contains(minute) } }
                var isInside = [Bool](repeating: false, count: scan.local.count)
                for (index, minute) in scan.local.enumerated() {
                    isInside[index] = isMinute[Int(minute % 1440)] && isDay[minute / 1440] == true
                }
                var now = scan.time(0)
                for index in 1..<isInside.count where isInside[index] != isInside[index - 1] {
                    let next = window.nextChange(after: now)
                    guard next == scan.time(index) else {
                        Issue.record("\(name), seed \(seed), \(window): after \(now) \(String(describing: next))")
                        return
                    }
                    now = scan.time(index)
                    #expect(window.isInside(at: now) == isInside[index])
                    #expect(window.isInside(at: now.adding(milliseconds: -1)) == isInside[index - 1])
                }
            }
        }
    }

    @Test func `a schedule with a duration is elapsed time`() throws {
        let schedule = Schedule(try CronExpression("0 1 * * SUN"), zone: try zone("Europe/Berlin"), on: nil)
        let window = RecurringWindow(parts: [.schedule(schedule, milliseconds: 4 * 3_600_000)])
        // The night of 25 hours: from one o'clock on, four hours, until four by the clock.
        #expect(try !window.isInside(at: utc("2026-10-24T22:59:59Z")))
        #expect(try window.isInside(at: utc("2026-10-24T23:00:00Z")))
        #expect(try window.isInside(at: utc("2026-10-25T02:59:59Z")))
        #expect(try !window.isInside(at: utc("2026-10-25T03:00:00Z")))
        #expect(try window.nextChange(after: utc("2026-10-24T12:00:00Z")) == utc("2026-10-24T23:00:00Z"))
        #expect(try window.nextChange(after: utc("2026-10-24T23:00:00Z")) == utc("2026-10-25T03:00:00Z"))
        // Openings that follow each other without a gap are one.
        let hourly = Schedule(try CronExpression("0 8-11 * * MON"), zone: .utc, on: nil)
        let chain = RecurringWindow(parts: [.schedule(hourly, milliseconds: 3_600_000)])
        #expect(try chain.nextChange(after: utc("2026-06-01T08:30:00Z")) == utc("2026-06-01T12:00:00Z"))
        #expect(try chain.isInside(at: utc("2026-06-01T11:59:59Z")) && !chain.isInside(at: utc("2026-06-01T12:00:00Z")))
        let always = Schedule(try CronExpression("* * * * *"), zone: .utc, on: nil)
        #expect(
            try RecurringWindow(parts: [.schedule(always, milliseconds: 60_000)]).nextChange(
                after: utc("2026-06-01T08:30:00Z"))
                == nil)
    }

    @Test func `parts are joined`() throws {
        let night = try civil("UTC", times: [1320..<1440])
        let morning = try civil("UTC", times: [0..<360])
        let shift = try #require(WorkCalendar.Shift(start: 360, end: 600))
        let calendar = WorkCalendar(zone: .utc, weekly: [.tuesday: [shift]], exceptions: [], closures: [])
        let window = RecurringWindow(parts: [.civil(night), .civil(morning), .calendar(calendar, isOpen: true)])
        #expect(try window.nextChange(after: utc("2026-06-01T12:00:00Z")) == utc("2026-06-01T22:00:00Z"))
        // Monday night into Tuesday's shift.
        #expect(try window.nextChange(after: utc("2026-06-01T22:00:00Z")) == utc("2026-06-02T10:00:00Z"))
        let closed = RecurringWindow(parts: [.calendar(calendar, isOpen: false)])
        #expect(
            try closed.isInside(at: utc("2026-06-02T05:59:00Z")) && !closed.isInside(at: utc("2026-06-02T06:00:00Z")))
        #expect(
            !RecurringWindow(parts: []).isInside(at: .epoch)
                && RecurringWindow(parts: []).nextChange(after: .epoch) == nil)
    }
}
