import Core
import Testing

@testable import Calendars

@Suite(.serialized) struct ScheduleTests {
    private func times(
        _ cron: String, _ name: String, from: String, count: Int, on calendar: (WorkCalendar, Schedule.Days)? = nil
    ) throws -> [String] {
        let schedule = Schedule(try CronExpression(cron), zone: try zone(name), on: calendar.map { ($0.0, $0.1) })
        var now = try utc(from)
        var times: [String] = []
        while times.count < count, let next = schedule.next(after: now) {
            times.append(String(next.description.dropLast(8)))
            now = next
        }
        return times
    }

    @Test func `a fixed time that is skipped happens once, at the end of the gap`() throws {
        #expect(
            try times("30 2 * * *", "Europe/Berlin", from: "2026-03-27T12:00:00Z", count: 3)
                == ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"])
        #expect(
            try times("0,15,30 2 * * *", "Europe/Berlin", from: "2026-03-28T12:00:00Z", count: 3)
                == ["2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T00:15"])
        #expect(
            try times("0 0 * * *", "America/Sao_Paulo", from: "2018-11-03T12:00:00Z", count: 2)
                == ["2018-11-04T03:00", "2018-11-05T02:00"])
        #expect(
            try times("15 2 * * *", "Australia/Lord_Howe", from: "2026-10-03T12:00:00Z", count: 2)
                == ["2026-10-03T15:30", "2026-10-04T15:15"])
        #expect(
            try times("0 9 30 12 *", "Pacific/Apia", from: "2011-12-01T00:00:00Z", count: 2)
                == ["2011-12-30T10:00", "2012-12-29T19:00"])
    }

    @Test func `a fixed time that occurs twice happens the first time`() throws {
        #expect(
            try times("30 2 * * *", "Europe/Berlin", from: "2026-10-24T12:00:00Z", count: 2)
                == ["2026-10-25T00:30", "2026-10-26T01:30"])
        let schedule = Schedule(try CronExpression("30 2 * * *"), zone: try zone("Europe/Berlin"), on: nil)
        // Asked between the two.
        #expect(try schedule.next(after: utc("2026-10-25T01:00:00Z")) == utc("2026-10-26T01:30:00Z"))
    }

    @Test func `a schedule with a star follows elapsed time`() throws {
        #expect(
            try times("*/30 * * * *", "Europe/Berlin", from: "2026-10-24T23:40:00Z", count: 6)
                == [
                    "2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00",
                    "2026-10-25T02:30",
                ])
        #expect(
            try times("0 * * * *", "Europe/Berlin", from: "2026-03-29T00:00:00Z", count: 3)
                == ["2026-03-29T01:00", "2026-03-29T02:00", "2026-03-29T03:00"])
        #expect(
            try times("30 * * * *", "Australia/Lord_Howe", from: "2026-04-04T14:00:00Z", count: 3)
                == ["2026-04-04T14:30", "2026-04-04T15:00", "2026-04-04T16:00"])
    }

    @Test func `days of the month and weekdays follow cron`() throws {
        #expect(
            try times("0 0 13 * FRI", "UTC", from: "2026-02-01T00:00:00Z", count: 4)
                == ["2026-02-06T00:00", "2026-02-13T00:00", "2026-02-20T00:00", "2026-02-27T00:00"])
        #expect(
            try times("0 0 */2 * MON", "UTC", from: "2026-06-01T00:00:00Z", count: 2)
                == ["2026-06-15T00:00", "2026-06-29T00:00"])
        #expect(try times("0 0 29 2 *", "UTC", from: "2026-01-01T00:00:00Z", count: 1) == ["2028-02-29T00:00"])
        #expect(try times("0 0 29 2 *", "UTC", from: "2096-03-01T00:00:00Z", count: 1) == ["2104-02-29T00:00"])
        let sundays = try times("0 0 * * 0", "UTC", from: "2026-06-01T00:00:00Z", count: 3)
        #expect(sundays == ["2026-06-07T00:00", "2026-06-14T00:00", "2026-06-21T00:00"])
        for same in ["0 0 * * 7", "0 0 * * SUN", "0 0 * * sun", "@weekly", "0 0 * * 7-7"] {
            #expect(try times(same, "UTC", from: "2026-06-01T00:00:00Z", count: 3) == sundays, "\(same)")
        }
        #expect(
            try times("5/20 8-10/2 * JAN,jul SAT-SUN", "UTC", from: "2026-07-03T00:00:00Z", count: 4)
                == ["2026-07-04T08:05", "2026-07-04T08:25", "2026-07-04T08:45", "2026-07-04T10:05"])
        #expect(try times("0 9 * * 5-0", "UTC", from: "2026-06-01T00:00:00Z", count: 4).last == "2026-06-12T09:00")
    }

    @Test func `a calendar limits the days or the hours`() throws {
        let day = try #require(WorkCalendar.Shift(start: 480, end: 960))
        let holiday = WorkCalendar.Exception(
            date: try #require(CivilDate.parse("2026-01-06")), shifts: [], name: "Epiphany")
        let plant = WorkCalendar(
            zone: try zone("Europe/Berlin"), weekly: [.monday: [day], .tuesday: [day], .wednesday: [day]],
            exceptions: [holiday], closures: [])
        let from = "2026-01-04T12:00:00Z"
        #expect(
            try times("0 7 * * *", "Europe/Berlin", from: from, count: 3, on: (plant, .working))
                == ["2026-01-05T06:00", "2026-01-07T06:00", "2026-01-12T06:00"])
        #expect(
            try times("0 7 * * *", "Europe/Berlin", from: from, count: 3, on: (plant, .free))
                == ["2026-01-06T06:00", "2026-01-08T06:00", "2026-01-09T06:00"])
        #expect(
            try times("0 */4 * * *", "Europe/Berlin", from: from, count: 4, on: (plant, .open))
                == ["2026-01-05T07:00", "2026-01-05T11:00", "2026-01-07T07:00", "2026-01-07T11:00"])
        #expect(try times("0 7 * * SUN", "Europe/Berlin", from: from, count: 1, on: (plant, .working)).isEmpty)
        #expect(try times("0 3 * * *", "Europe/Berlin", from: from, count: 1, on: (plant, .open)).isEmpty)
    }

    @Test func `what is wrong is named with its place and what to write`() {
        let cases: [(text: String, column: Int, message: String, help: String?)] = [
            ("0 7 * *", 1, "five fields; found 4", "write minute, hour"),
            ("0 0 7 * * 1", 1, "five fields; found 6", "seconds and years"),
            ("", 1, "five fields; found 0", "write minute"),
            ("60 7 * * *", 1, "'minute' must be from 0 to 59; found '60'", nil),
            ("0 24 * * *", 3, "'hour' must be from 0 to 23; found '24'", nil),
            ("0 7 0 * *", 5, "'day of the month' must be from 1 to 31", nil),
            ("0 7 * 13 *", 7, "'month' must be from 1 to 12", nil),
            ("0 7 * * 8", 9, "'weekday' must be from 0 to 7", nil),
            ("0 7 * * MONDAY", 9, "found 'MONDAY'", "did you mean 'MON'?"),
            ("0 7 * JNA *", 7, "found 'JNA'", "did you mean 'JAN'?"),
            ("0  7 * * MON,WDE", 14, "found 'WDE'", "did you mean 'WED'?"),
            ("0 7 ? * *", 5, "found '?'", "write '*'"),
            ("*/90 * * * *", 3, "a step of the field 'minute' must be from 1 to 59", nil),
            ("*/0 * * * *", 3, "must be from 1 to 59; found '0'", nil),
            ("0 22-6 * * *", 3, "a range goes upwards", "write '22-23,0-6'"),
            ("0 7 * * FRI-MON", 9, "a range goes upwards", "write 'FRI-SAT,SUN-MON'"),
            ("1,,2 * * * *", 1, "a value on each side of ','", nil),
            ("1- * * * *", 3, "found nothing", nil),
            ("0 0 31 2,4 *", 5, "must exist in one of its months", nil),
            ("@dayly", 1, "found '@dayly'", "did you mean '@daily'?"),
            ("0 7 * * 1-2-3", 9, "a range has two ends", nil),
            ("0 7 * * */2/3", 9, "a step has one '/'", nil),
            ("0 7 L * *", 5, "must be a number; found 'L'", nil),
        ]
        for (text, column, message, help) in cases {
            do {
                _ = try CronExpression(text)
                Issue.record("'\(text)' was read")
            } catch {
                #expect(error.message.contains(message), "'\(text)': \(error.message)")
                #expect(error.column == column, "'\(text)': column \(error.column)")
                if let help { #expect(error.help?.contains(help) == true, "'\(text)': \(error.help ?? "")") }
            }
        }
    }

    @Test func `garbage is an error, never a crash`() {
        var generator = Seeded(99)
        let alphabet = Array("0123456789*/,-? MONJAN@L#\u{00E9}\t ")
        for _ in 0..<5000 {
            let length = Int.random(in: 0...30, using: &generator)
            let text = String((0..<length).compactMap { _ in alphabet.randomElement(using: &generator) })
            if let cron = try? CronExpression(text) {
                _ = Schedule(cron, zone: .utc, on: nil).next(after: Timestamp(milliseconds: 1_790_000_000_000))
            }
        }
    }

    @Test(arguments: [
        "Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Casablanca", "Pacific/Chatham",
    ])
    func `two years of seeded schedules are those of a scan of every minute`(name: String) throws {
        // Method: fields are made together with the sets they mean; the C library reads the clock at every minute.
        let seed: UInt64 = 1000 + UInt64(name.utf8.count)
        var generator = Seeded(seed)
        let start: Int64 = 1_735_689_600
        let scan = MinuteScan(zone: name, from: start, days: 730)
        let rules = try zone(name)
        let jumps = scan.jumps.map { $0 - 200 }
        for _ in 0..<40 {
            let made = MadeCron(&generator)
            let expected = made.indices(scan)
            let schedule = Schedule(try CronExpression(made.text), zone: rules, on: nil)
            var begins = [0]
            for _ in 0..<4 { begins.append(Int.random(in: 0..<scan.local.count, using: &generator)) }
            begins += jumps
            for begin in begins {
                var now = scan.time(begin)
                var position = expected.partition(after: begin)
                for _ in 0..<25 where position < expected.count {
                    let next = schedule.next(after: now)
                    guard next == scan.time(expected[position]) else {
                        Issue.record(
                            """
                            \(name), seed \(seed), '\(made.text)': after \(now) \(String(describing: next)) instead of \
                            \(scan.time(expected[position]))
                            """)
                        return
                    }
                    now = scan.time(expected[position])
                    position += 1
                }
            }
        }
    }
}

extension MinuteScan {
    /// Minutes at which the clock does not show the minute after the one before.
    fileprivate var jumps: [Int] {
        var jumps: [Int] = []
        for index in 1..<local.count where local[index] != local[index - 1] + 1 { jumps.append(index) }
        return jumps
    }
}

extension [Int] {
    /// How many elements are at most `value`; the array ascends.
    fileprivate func partition(after value: Int) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A cron expression made together with what it means.
private struct MadeCron {
    var text: String
    private var minutes: Set<Int>
    private var hours: Set<Int>
    private var monthDays: Set<Int>
    private var months: Set<Int>
    private var weekdays: Set<Int>
    private var stars: [Bool]

    init(_ generator: inout Seeded) {
        let ranges = [0...59, 0...23, 1...31, 1...12, 0...6]
        var texts: [String] = []
        var sets: [Set<Int>] = []
        stars = []
        for (index, range) in ranges.enumerated() {
            let isStar = Int.random(in: 0...9, using: &generator) < [2, 3, 6, 7, 6][index]
            let made = isStar ? MadeCron.star(range, &generator) : MadeCron.list(range, index, &generator)
            texts.append(made.text)
            sets.append(made.set)
            stars.append(isStar)
        }
        text = texts.joined(separator: " ")
        minutes = sets[0]
        hours = sets[1]
        monthDays = sets[2]
        months = sets[3]
        weekdays = sets[4]
    }

    private static func star(_ range: ClosedRange<Int>, _ generator: inout Seeded) -> (text: String, set: Set<Int>) {
        guard Int.random(in: 0...2, using: &generator) == 0 else { return ("*", Set(range)) }
        let step = Int.random(in: 1...3, using: &generator)
        return ("*/\(step)", Set(stride(from: range.lowerBound, through: range.upperBound, by: step)))
    }

    private static func list(
        _ range: ClosedRange<Int>, _ index: Int, _ generator: inout Seeded
    ) -> (text: String, set: Set<Int>) {
        var texts: [String] = []
        var set: Set<Int> = []
        for _ in 0...Int.random(in: 0...2, using: &generator) {
            // Often an hour at which the clocks are set.
            let low =
                index == 1 && Bool.random(using: &generator)
                ? Int.random(in: 0...3, using: &generator) : Int.random(in: range, using: &generator)
            switch Int.random(in: 0...3, using: &generator) {
            case 0:
                // Up to 28, so that a month has the day.
                let high = Int.random(in: low...range.upperBound, using: &generator)
                texts.append("\(low)-\(high)")
                set.formUnion(low...high)
            case 1:
                let high = Int.random(in: low...range.upperBound, using: &generator)
                let step = Int.random(in: 1...4, using: &generator)
                texts.append("\(low)-\(high)/\(step)")
                set.formUnion(stride(from: low, through: high, by: step))
            case 2 where index == 4:
                texts.append(["SUN", "Mon", "tue", "WED", "THU", "FRI", "sat"][low])
                set.insert(low)
            default:
                texts.append(index == 2 ? "\(min(low, 28))" : index == 4 && low == 0 ? "7" : "\(low)")
                set.insert(index == 2 ? min(low, 28) : low)
            }
        }
        if index == 2 {
            texts.append("7")
            set.insert(7)
        }
        return (texts.joined(separator: ","), set)
    }

    private func isDay(_ day: Int64) -> Bool {
        let civil = Timestamp(milliseconds: day * 86_400_000).civil
        // 1970-01-01 was a Thursday; Sunday is 0.
        let weekday = Int((day + 4) % 7)
        guard months.contains(civil.month) else { return false }
        let byMonth = monthDays.contains(civil.day)
        let byWeek = weekdays.contains(weekday)
        return stars[2] || stars[4] ? byMonth && byWeek : byMonth || byWeek
    }

    /// The minutes of a scan at which it happens.
    func indices(_ scan: MinuteScan) -> [Int] {
        let firstDay = scan.local[0] / 1440 - 2
        let isDue = (0..<740).map { isDay(firstDay + $0) }
        if stars[0] || stars[1] {
            var isTime = [Bool](repeating: false, count: 1440)
            for hour in hours { for minute in minutes { isTime[hour * 60 + minute] = true } }
            var found: [Int] = []
            scan.local.withUnsafeBufferPointer { local in
                var index = 0
                while index < local.count {
                    let minute = local[index]
                    if isTime[Int(minute % 1440)], isDue[Int(minute / 1440 - firstDay)] { found.append(index) }
                    index += 1
                }
            }
            return found
        }
        var indices: Set<Int> = []
        for day in (scan.local[0] / 1440)...(scan.local[scan.local.count - 1] / 1440) where isDay(day) {
            for hour in hours {
                for minute in minutes {
                    let index = scan.first(day * 1440 + Int64(hour * 60 + minute))
                    if index > 0, index < scan.local.count { indices.insert(index) }
                }
            }
        }
        return indices.sorted()
    }
}
