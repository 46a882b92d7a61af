/// The codes of this module's diagnostics; docs/calendars.md explains each.
enum CalendarCode {
    /// A time zone that does not exist.
    static let timeZone = "K001"
    /// Working hours that are none.
    static let hours = "K002"
    /// A date or date and time that is none.
    static let date = "K003"
    /// Dates that contradict each other.
    static let contradiction = "K004"
    /// A file of holidays that cannot be read.
    static let holidayFile = "K005"
    /// A part of a file of holidays that this version does not know.
    static let unsupported = "K006"
    /// A schedule that is no cron expression.
    static let cron = "K007"
    /// A part of a recurring window that is out of its range.
    static let window = "K008"
    /// A calendar that is not declared.
    static let unknownCalendar = "K009"
    /// A name that a calendar cannot have, or has already.
    static let name = "K010"
    /// A duration of working time that is none.
    static let workingTime = "K011"
}
