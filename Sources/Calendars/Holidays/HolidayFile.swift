public import Core

/// The days without work of an iCalendar file (`.ics`), as public offices and calendar programs publish them.
///
/// Events of whole days are holidays; events with times close the calendar for that time. Recurring events are laid out
/// up to the end of 2099. Bounded: ``byteCountMax``, ``eventCountMax``, ``dayCountMax``; garbage gives diagnostics.
public struct HolidayFile: Sendable, Equatable {
    /// Bytes a file may have.
    public static let byteCountMax = 1 << 20
    /// Events a file may have.
    public static let eventCountMax = 10_000
    /// Days and times of all events together; a hundred yearly holidays have some 10,000.
    public static let dayCountMax = 50_000

    /// One day without work.
    public struct Day: Sendable, Equatable {
        public var date: CivilDate
        public var name: String?
    }

    /// Whole days, in the order of the file.
    public internal(set) var days: [Day] = []
    /// Events with times.
    public internal(set) var closures: [Range<Timestamp>] = []

    /// The last day that recurring events reach: 2099-12-31.
    static let lastDay = CivilDate(days: 47_481)
    /// The first day that events may have: 1900-01-01.
    static let firstDay = CivilDate(days: -25_567)

    /// Reads a file's bytes; nil with at least one error where it cannot be used.
    ///
    /// - Parameters:
    ///   - file: its name, for diagnostics.
    ///   - zone: the zone of times that name none.
    ///   - zones: where the zones of times are looked up.
    public static func parse(
        _ bytes: [UInt8], file: String, zone: TimeZoneRules, zones: ZoneDatabase
    ) -> (holidays: HolidayFile?, diagnostics: [Diagnostic]) {
        var reader = HolidayReader(file: file, zone: zone, zones: zones)
        reader.read(bytes)
        return (reader.diagnostics.isEmpty ? reader.holidays : nil, reader.diagnostics)
    }
}

/// Reads the events of an iCalendar file.
struct HolidayReader {
    private let file: String
    let zone: TimeZoneRules
    let zones: ZoneDatabase
    var holidays = HolidayFile()
    private(set) var diagnostics: [Diagnostic] = []
    private var components: [String] = []
    private var properties: [HolidayLine] = []
    private var eventLine = 1
    private var eventCount = 0

    /// Diagnostics of one file; those of a file of another kind would be many.
    private static let diagnosticCountMax = 20
    private static let depthMax = 16

    init(file: String, zone: TimeZoneRules, zones: ZoneDatabase) {
        self.file = file
        self.zone = zone
        self.zones = zones
    }

    mutating func report(_ code: String, _ message: String, line: Int, help: String? = nil) {
        guard diagnostics.count < HolidayReader.diagnosticCountMax else { return }
        diagnostics.append(
            Diagnostic(
                code: code, message: message, position: SourcePosition(file: file, line: line, column: 1), help: help))
    }

    mutating func read(_ bytes: [UInt8]) {
        guard bytes.count <= HolidayFile.byteCountMax else {
            return report(
                CalendarCode.holidayFile, "a file of holidays may have at most \(HolidayFile.byteCountMax) bytes",
                line: 1)
        }
        var lastLine = 1
        for line in HolidayLine.lines(of: bytes) {
            guard diagnostics.count < HolidayReader.diagnosticCountMax else { return }
            switch line {
            case .success(let line):
                lastLine = line.number
                guard read(line) else { return }
            case .failure(let broken):
                lastLine = broken.number
                report(CalendarCode.holidayFile, "a line has the form NAME:value in UTF-8", line: broken.number)
                if components.isEmpty { return }
            }
        }
        if let open = components.last {
            report(CalendarCode.holidayFile, "'BEGIN:\(open)' must have its 'END:\(open)'", line: lastLine)
        } else if lastLine == 1 {
            report(CalendarCode.holidayFile, "a file of holidays begins with 'BEGIN:VCALENDAR'", line: 1)
        }
    }

    /// - Returns: false where reading on has no sense.
    private mutating func read(_ line: HolidayLine) -> Bool {
        switch line.name {
        case "BEGIN":
            let name = line.value.uppercased()
            if components.isEmpty, name != "VCALENDAR" {
                report(CalendarCode.holidayFile, "a file of holidays begins with 'BEGIN:VCALENDAR'", line: line.number)
                return false
            }
            guard components.count < HolidayReader.depthMax else {
                report(CalendarCode.holidayFile, "parts may nest at most 16 deep", line: line.number)
                return false
            }
            components.append(String(name.prefix(40)))
            if name == "VEVENT" {
                properties = []
                eventLine = line.number
                eventCount += 1
                guard eventCount <= HolidayFile.eventCountMax else {
                    report(
                        CalendarCode.holidayFile,
                        "a file of holidays may have at most \(HolidayFile.eventCountMax) events", line: line.number)
                    return false
                }
            }
        case "END":
            guard let open = components.popLast(), open == line.value.uppercased().prefix(40) else {
                report(
                    CalendarCode.holidayFile, "'END:\(line.value.prefix(40))' must end what was begun last",
                    line: line.number)
                return false
            }
            if open == "VEVENT" { readEvent() }
        default:
            guard let open = components.last else {
                report(CalendarCode.holidayFile, "a file of holidays begins with 'BEGIN:VCALENDAR'", line: line.number)
                return false
            }
            if open == "VEVENT" { properties.append(line) }
        }
        return true
    }

    private mutating func readEvent() {
        guard property("STATUS")?.value.uppercased() != "CANCELLED" else { return }
        if let moved = property("RECURRENCE-ID") {
            return report(
                CalendarCode.unsupported, "a moved occurrence (RECURRENCE-ID) is not supported", line: moved.number,
                help: "give the occurrence an event of its own and exclude it with EXDATE")
        }
        guard let startLine = property("DTSTART") else {
            return report(CalendarCode.holidayFile, "an event must have a DTSTART", line: eventLine)
        }
        guard let start = moment(startLine, startLine.value) else { return }
        guard let length = length(start) else { return }
        var starts = [start.local.date]
        if let line = property("RRULE") {
            guard let recurring = recurring(line, start: start) else { return }
            starts = recurring
        }
        var excluded: Set<CivilDate> = []
        for line in properties where line.name == "EXDATE" || line.name == "RDATE" {
            for text in line.value.split(separator: ",") {
                guard let moment = moment(line, String(text)) else { return }
                if line.name == "EXDATE" {
                    excluded.insert(moment.local.date)
                } else {
                    starts.append(moment.local.date)
                }
            }
        }
        append(starts.filter { !excluded.contains($0) }, start: start, length: length)
    }

    func property(_ name: String) -> HolidayLine? { properties.first { $0.name == name } }

    private mutating func append(_ dates: [CivilDate], start: Moment, length: Int64) {
        let name = property("SUMMARY")?.text
        let timeOfDay = start.local.milliseconds - LocalTime(date: start.local.date, minutes: 0).milliseconds
        for date in dates {
            if let zone = start.zone {
                let local = LocalTime(date: date, minutes: 0).milliseconds + timeOfDay
                let from = zone.first(LocalTime(milliseconds: local))
                let until = zone.first(LocalTime(milliseconds: local + length))
                if from < until { holidays.closures.append(from..<until) }
            } else {
                for offset in 0..<Int(length / 86_400_000) {
                    holidays.days.append(.init(date: date.adding(days: offset), name: name))
                }
            }
            guard holidays.days.count + holidays.closures.count <= HolidayFile.dayCountMax else {
                return report(
                    CalendarCode.holidayFile,
                    "the events of a file may have at most \(HolidayFile.dayCountMax) days together", line: eventLine,
                    help: "end its recurring events with UNTIL or COUNT")
            }
        }
    }
}
