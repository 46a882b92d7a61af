import ArgumentParser
import Calendars
import Core

/// What questions to calendars, schedules, windows and time zones take, as information.
struct CalendarsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calendars", abstract: "Measures questions to calendars, on one thread.")

    @Option(help: "Questions of each kind.") var count = 100_000

    func run() async throws {
        let calendar = try CalendarsCommand.calendar()
        let schedule = Schedule(try CronExpression("0 7 * * 1-5"), zone: calendar.zone, on: (calendar, .working))
        let window = CivilWindow(
            zone: calendar.zone, times: [1320..<1440], weekdays: [.saturday], monthDays: [], months: [], years: [])
        BenchOutput.remark("calendars: nanoseconds a question, \(count) questions over a month, one thread")
        measure("local") { calendar.zone.local($0).milliseconds }
        measure("is_open") { calendar.isOpen(at: $0) ? 1 : 0 }
        measure("next_change") { calendar.nextChange(after: $0)?.milliseconds }
        measure("add_4_hours") { calendar.adding(workingMilliseconds: 14_400_000, to: $0)?.milliseconds }
        measure("schedule_next") { schedule.next(after: $0)?.milliseconds }
        measure("window_is_inside") { window.isInside(at: $0) ? 1 : 0 }
        measure("window_next_change") { window.nextChange(after: $0)?.milliseconds }
        measure("always_next_change") { WorkCalendar.always.nextChange(after: $0)?.milliseconds }
    }

    /// Two shifts a day and 400 holidays.
    private static func calendar() throws -> WorkCalendar {
        let shifts = [WorkCalendar.Shift(start: 360, end: 840), WorkCalendar.Shift(start: 840, end: 1320)]
        let holidays = (0..<400).map {
            WorkCalendar.Exception(date: CivilDate(days: 20_000 + $0 * 31), shifts: [], name: "x")
        }
        return WorkCalendar(
            zone: try ZoneDatabase.system.find("Europe/Berlin"),
            weekly: Dictionary(
                uniqueKeysWithValues: Weekday.allCases.prefix(5).map { ($0, shifts.compactMap { $0 }) }),
            exceptions: holidays, closures: [])
    }

    private func measure(_ name: String, _ question: (Timestamp) -> Int64?) {
        let start: Int64 = 1_790_000_000_000
        var sum: Int64 = 0
        let begin = ContinuousClock.now
        for index in 0..<count {
            sum &+= question(Timestamp(milliseconds: start + Int64(index % 2000) * 1_234_567)) ?? 0
        }
        let elapsed = (ContinuousClock.now - begin) / .nanoseconds(1)
        // The sum is used, so that nothing is left out as needless.
        BenchOutput.figure("calendars_\(name)_ns", sum == 1 ? .nan : elapsed / Double(max(1, count)), digits: 0)
    }
}
