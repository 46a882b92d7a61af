import Core
import Testing

@testable import Calendars

@Suite(.serialized) struct SpeedTests {
    @Test func `questions are answered in microseconds`() throws {
        // Prints what each question takes; a debug build is some ten times slower than a release build.
        let shift = try #require(WorkCalendar.Shift(start: 360, end: 840))
        let late = try #require(WorkCalendar.Shift(start: 840, end: 1320))
        let holidays = (0..<400).map {
            WorkCalendar.Exception(date: CivilDate(days: 20_000 + $0 * 31), shifts: [], name: "x")
        }
        let calendar = WorkCalendar(
            zone: try zone("Europe/Berlin"),
            weekly: Dictionary(uniqueKeysWithValues: Weekday.allCases.prefix(5).map { ($0, [shift, late]) }),
            exceptions: holidays, closures: [])
        let schedule = Schedule(try CronExpression("0 7 * * 1-5"), zone: calendar.zone, on: (calendar, .working))
        let window = CivilWindow(
            zone: calendar.zone, times: [1320..<1440], weekdays: [.saturday], monthDays: [], months: [], years: [])
        let start: Int64 = 1_790_000_000_000
        func measure(_ name: String, _ body: (Timestamp) -> Int64) {
            let clock = ContinuousClock()
            var sum: Int64 = 0
            let elapsed = clock.measure {
                for index in 0..<2000 { sum &+= body(Timestamp(milliseconds: start + Int64(index) * 1_234_567)) }
            }
            let nanoseconds =
                elapsed.components.attoseconds / 1_000_000_000 + elapsed.components.seconds * 1_000_000_000
            print("calendars: \(name) \(nanoseconds / 2000) ns (\(sum == 0 ? 0 : 1))")
        }
        measure("local") { calendar.zone.local($0).milliseconds }
        measure("isOpen") { calendar.isOpen(at: $0) ? 1 : 2 }
        measure("nextChange") { calendar.nextChange(after: $0)?.milliseconds ?? 0 }
        measure("adding 4 business hours") {
            calendar.adding(workingMilliseconds: 14_400_000, to: $0)?.milliseconds ?? 0
        }
        measure("schedule next") { schedule.next(after: $0)?.milliseconds ?? 0 }
        measure("window isInside") { window.isInside(at: $0) ? 1 : 2 }
        measure("window nextChange") { window.nextChange(after: $0)?.milliseconds ?? 0 }
        measure("always nextChange") { WorkCalendar.always.nextChange(after: $0)?.milliseconds ?? 1 }
    }
}
