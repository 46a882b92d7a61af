import Core
import Testing

@testable import Calendars

private func shift(_ start: Int, _ end: Int) throws -> WorkCalendar.Shift {
    try #require(WorkCalendar.Shift(start: start * 60, end: end * 60))
}

/// Monday to Friday, 08:00 to 17:00.
private func office(_ name: String, exceptions: [WorkCalendar.Exception] = []) throws -> WorkCalendar {
    let day = try shift(8, 17)
    return WorkCalendar(
        zone: try zone(name),
        weekly: [.monday: [day], .tuesday: [day], .wednesday: [day], .thursday: [day], .friday: [day]],
        exceptions: exceptions, closures: [])
}

private let hour: Int64 = 3_600_000

@Suite(.serialized) struct WorkCalendarTests {
    @Test func `working time skips nights, weekends and holidays`() throws {
        let thursday = try #require(CivilDate.parse("2026-01-01"))
        let plant = try office("Europe/Berlin", exceptions: [.init(date: thursday, shifts: [], name: "New Year")])
        // Wednesday 16:00 local to Friday 09:00: one hour, nothing, one hour.
        #expect(try plant.workingTime(from: utc("2025-12-31T15:00:00Z"), to: utc("2026-01-02T08:00:00Z")) == 2 * hour)
        #expect(try plant.workingTime(from: utc("2026-01-02T08:00:00Z"), to: utc("2025-12-31T15:00:00Z")) == -2 * hour)
        // Four business hours from Friday 16:00 are due on Monday at 11:00.
        #expect(
            try plant.adding(workingMilliseconds: 4 * hour, to: utc("2026-01-02T15:00:00Z"))
                == utc("2026-01-05T10:00:00Z"))
        // Work that ends with the shift is due at its end.
        #expect(
            try plant.adding(workingMilliseconds: hour, to: utc("2026-01-02T15:00:00Z")) == utc("2026-01-02T16:00:00Z"))
        #expect(
            try plant.adding(workingMilliseconds: -4 * hour, to: utc("2026-01-05T10:00:00Z"))
                == utc("2026-01-02T15:00:00Z"))
        #expect(try !plant.isOpen(at: utc("2026-01-01T10:00:00Z")))
        #expect(try plant.nextOpening(after: utc("2025-12-31T15:00:00Z")) == utc("2026-01-02T07:00:00Z"))
        #expect(try plant.nextClosing(after: utc("2025-12-31T15:00:00Z")) == utc("2025-12-31T16:00:00Z"))
        #expect(try plant.nextClosing(after: utc("2025-12-31T16:00:00Z")) == utc("2026-01-02T16:00:00Z"))
        #expect(!plant.isWorkingDay(thursday) && plant.name(of: thursday) == "New Year")
    }

    @Test func `days of 23 and 25 hours have as many hours of work`() throws {
        let day = try shift(0, 24)
        let berlin = WorkCalendar(
            zone: try zone("Europe/Berlin"), weekly: [.sunday: [day], .saturday: [day]], exceptions: [], closures: [])
        let spring = try utc("2026-03-28T23:00:00Z")
        #expect(berlin.workingTime(from: spring, to: spring.adding(milliseconds: 40 * hour)) == 23 * hour)
        let autumn = try utc("2026-10-24T22:00:00Z")
        #expect(berlin.workingTime(from: autumn, to: autumn.adding(milliseconds: 40 * hour)) == 25 * hour)
        // A night shift of eight hours by the clock.
        let night = WorkCalendar(
            zone: try zone("Europe/Berlin"), weekly: [.saturday: [try shift(22, 30)]], exceptions: [], closures: [])
        #expect(try night.workingTime(from: utc("2026-03-28T00:00:00Z"), to: utc("2026-03-31T00:00:00Z")) == 7 * hour)
        #expect(try night.workingTime(from: utc("2026-10-24T00:00:00Z"), to: utc("2026-10-27T00:00:00Z")) == 9 * hour)
        // Ends inside the gap: at its end. Ends inside the hour that occurs twice: the first time.
        let early = WorkCalendar(
            zone: try zone("Europe/Berlin"), weekly: [.sunday: [try #require(.init(start: 0, end: 150))]],
            exceptions: [],
            closures: [])
        #expect(try early.nextClosing(after: spring) == utc("2026-03-29T01:00:00Z"))
        #expect(try early.nextClosing(after: autumn) == utc("2026-10-25T00:30:00Z"))
    }

    @Test func `the day that Samoa skipped has no work`() throws {
        let apia = try office("Pacific/Apia")
        // Friday 30 December 2011 did not exist there: Thursday's end is followed by Monday.
        #expect(try apia.nextOpening(after: utc("2011-12-29T20:00:00Z")) == utc("2012-01-01T18:00:00Z"))
        #expect(try apia.workingTime(from: utc("2011-12-29T10:00:00Z"), to: utc("2012-01-01T10:00:00Z")) == 9 * hour)
    }

    @Test func `closures cut every shift, and a holiday only those that begin on it`() throws {
        let sunday = try #require(CivilDate.parse("2026-06-07"))
        let calendar = WorkCalendar(
            zone: .utc, weekly: [.saturday: [try shift(22, 30)], .sunday: [try shift(22, 30)]],
            exceptions: [.init(date: sunday, shifts: [], name: nil)],
            closures: [try utc("2026-06-06T23:00:00Z")..<(try utc("2026-06-07T01:00:00Z"))])
        #expect(try calendar.isOpen(at: utc("2026-06-06T22:30:00Z")))
        #expect(try calendar.nextClosing(after: utc("2026-06-06T22:30:00Z")) == utc("2026-06-06T23:00:00Z"))
        #expect(try calendar.nextOpening(after: utc("2026-06-06T22:30:00Z")) == utc("2026-06-07T01:00:00Z"))
        #expect(try calendar.isOpen(at: utc("2026-06-07T05:59:00Z")))
        #expect(try !calendar.isOpen(at: utc("2026-06-07T23:00:00Z")))
        #expect(
            try calendar.workingTime(from: utc("2026-06-06T00:00:00Z"), to: utc("2026-06-09T00:00:00Z")) == 6 * hour)
    }

    @Test func `calendars without change end their search`() throws {
        let never = WorkCalendar(zone: .utc, weekly: [:], exceptions: [], closures: [])
        let now = try utc("2026-01-01T00:00:00Z")
        for calendar in [never, .always] {
            for time in [
                now, .distantPast, .distantFuture, Timestamp(milliseconds: .max), Timestamp(milliseconds: .min),
            ] {
                _ = calendar.isOpen(at: time)
                _ = calendar.nextOpening(after: time)
                _ = calendar.nextChange(after: time)
                _ = calendar.adding(workingMilliseconds: .max, to: time)
                _ = calendar.adding(workingMilliseconds: .min, to: time)
                _ = calendar.workingTime(from: .distantPast, to: time)
            }
        }
        #expect(never.nextOpening(after: now) == nil && never.adding(workingMilliseconds: 1, to: now) == nil)
        #expect(never.adding(workingMilliseconds: -1, to: now) == nil)
        #expect(WorkCalendar.always.isOpen(at: now) && WorkCalendar.always.nextChange(after: now) == nil)
        #expect(
            WorkCalendar.always.adding(workingMilliseconds: 90_061_001, to: now) == now.adding(milliseconds: 90_061_001)
        )
        #expect(
            WorkCalendar.always.adding(workingMilliseconds: -90_061_001, to: now)
                == now.adding(milliseconds: -90_061_001))
        // Only extra days, four years ahead: found by a jump.
        let day = try #require(CivilDate.parse("2030-01-05"))
        let rare = WorkCalendar(
            zone: .utc, weekly: [:], exceptions: [.init(date: day, shifts: [try shift(8, 9)], name: nil)], closures: [])
        #expect(try rare.nextOpening(after: now) == utc("2030-01-05T08:00:00Z"))
        #expect(try rare.nextOpening(after: utc("2024-01-01T00:00:00Z")) == nil)
    }

    @Test(arguments: oddZones)
    func `openings and closings are those of a scan of every minute`(name: String) throws {
        // Method: random calendars; the C library reads the clock at every minute of two periods that hold transitions.
        let seed: UInt64 = 40 + UInt64(name.utf8.count)
        var generator = Seeded(seed)
        for start in try scanStarts(name) {
            let scan = MinuteScan(zone: name, from: start, days: 25)
            for round in 0..<4 {
                let calendar = try randomCalendar(name, around: start, &generator)
                try compare(calendar, scan, "\(name), seed \(seed), round \(round), start \(start)")
            }
        }
    }

    private func randomCalendar(
        _ name: String, around start: Int64, _ generator: inout Seeded
    ) throws -> WorkCalendar {
        func shifts(_ generator: inout Seeded) throws -> [WorkCalendar.Shift] {
            var shifts: [WorkCalendar.Shift] = []
            var from = Int.random(in: 0...600, using: &generator)
            for _ in 0..<Int.random(in: 0...3, using: &generator) where from < 1440 {
                // Often exactly as long as to the next one's start.
                let length = [30, 60, 95, 480, 1440].randomElement(using: &generator) ?? 60
                shifts.append(try #require(WorkCalendar.Shift(start: from, end: from + length)))
                from += length + (Bool.random(using: &generator) ? 0 : Int.random(in: 1...300, using: &generator))
            }
            return shifts
        }
        var weekly: [Weekday: [WorkCalendar.Shift]] = [:]
        for day in Weekday.allCases { weekly[day] = try shifts(&generator) }
        var exceptions: [WorkCalendar.Exception] = []
        for _ in 0..<6 {
            let date = CivilDate(days: Int(start / 86_400) + Int.random(in: 0..<25, using: &generator))
            exceptions.append(
                .init(date: date, shifts: Bool.random(using: &generator) ? [] : try shifts(&generator), name: nil))
        }
        var closures: [Range<Timestamp>] = []
        for _ in 0..<3 {
            let from = (start + Int64.random(in: 0..<(25 * 1440), using: &generator) * 60) * 1000
            let length = Int64.random(in: 1...4000, using: &generator) * 60_000
            closures.append(Timestamp(milliseconds: from)..<Timestamp(milliseconds: from + length))
        }
        return WorkCalendar(zone: try zone(name), weekly: weekly, exceptions: exceptions, closures: closures)
    }

    private func compare(_ calendar: WorkCalendar, _ scan: MinuteScan, _ what: String) throws {
        var isOpen = [Bool](repeating: false, count: scan.local.count)
        let firstDay = Int(scan.local[0] / 1440) - 2
        for day in firstDay...(firstDay + 31) {
            for shift in calendar.shifts(on: CivilDate(days: day)) {
                let from = scan.first(Int64(day * 1440 + shift.start))
                let to = scan.first(Int64(day * 1440 + shift.end))
                if from < to { for index in from..<to { isOpen[index] = true } }
            }
        }
        for closure in calendar.closures {
            let from = max(0, Int((closure.lowerBound / 1000 - scan.start) / 60))
            let to = min(isOpen.count, Int((closure.upperBound / 1000 - scan.start) / 60))
            if from < to { for index in from..<to { isOpen[index] = false } }
        }
        // The first two days may miss shifts that began before the scan.
        let begin = 2 * 1440
        var changes: [Int] = []
        for index in (begin + 1)..<isOpen.count where isOpen[index] != isOpen[index - 1] { changes.append(index) }
        var now = scan.time(begin)
        #expect(calendar.isOpen(at: now) == isOpen[begin], "\(what): \(now)")
        for index in changes.prefix(300) {
            let next = calendar.nextChange(after: now)
            guard next == scan.time(index) else {
                Issue.record("\(what): after \(now) \(String(describing: next)) instead of \(scan.time(index))")
                return
            }
            now = scan.time(index)
            #expect(calendar.isOpen(at: now) == isOpen[index], "\(what): \(now)")
            #expect(calendar.isOpen(at: now.adding(milliseconds: -1)) == isOpen[index - 1], "\(what): before \(now)")
        }
        checkWorkingTime(calendar, scan, isOpen, begin, what)
    }

    private func checkWorkingTime(
        _ calendar: WorkCalendar, _ scan: MinuteScan, _ isOpen: [Bool], _ begin: Int, _ what: String
    ) {
        var generator = Seeded(UInt64(isOpen.count { $0 }))
        for _ in 0..<30 {
            let from = Int.random(in: begin..<(isOpen.count - 3000), using: &generator)
            let to = Int.random(in: from..<(isOpen.count - 2000), using: &generator)
            let expected = Int64(isOpen[from..<to].count { $0 }) * 60_000
            let time = calendar.workingTime(from: scan.time(from), to: scan.time(to))
            #expect(time == expected, "\(what): from \(scan.time(from)) to \(scan.time(to))")
            #expect(calendar.isOpen(at: scan.time(from)) == isOpen[from], "\(what): \(scan.time(from))")
            // Inside a stretch of work, the time that was worked leads back to where it was counted.
            if isOpen[to], to > 0, isOpen[to - 1], time > 0 {
                #expect(calendar.adding(workingMilliseconds: time, to: scan.time(from)) == scan.time(to), "\(what)")
            }
            if isOpen[from], to > from, isOpen[from + 1], time > 0 {
                #expect(calendar.adding(workingMilliseconds: -time, to: scan.time(to)) == scan.time(from), "\(what)")
            }
        }
    }

    @Test func `working durations are told from elapsed ones`() throws {
        #expect(WorkingDuration("30m") == .elapsed(milliseconds: 1_800_000))
        #expect(WorkingDuration("4 business_hours") == .working(milliseconds: 4 * hour))
        #expect(WorkingDuration("1 business_hour") == .working(milliseconds: hour))
        #expect(WorkingDuration("90 business_minutes") == .working(milliseconds: 90 * 60_000))
        for text in ["", "4", "business_hours", "4  business_hours", "-4 business_hours", "4 business_days", "4 hours"]
        {
            #expect(WorkingDuration(text) == nil, "\(text)")
        }
        #expect(WorkingDuration("999999 business_hours") == nil)
        let plant = try office("Europe/Berlin")
        let friday = try utc("2026-01-02T15:00:00Z")
        #expect(
            try WorkingDuration("4 business_hours")?.end(from: friday, calendar: plant) == utc("2026-01-05T10:00:00Z"))
        #expect(WorkingDuration("4h")?.end(from: friday, calendar: plant) == friday.adding(milliseconds: 4 * hour))
        #expect(
            try WorkingDuration("4 business_hours")?.start(until: utc("2026-01-05T10:00:00Z"), calendar: plant)
                == friday)
    }
}
