public import ConfigFiles
public import Core
internal import Foundation

/// The working calendars of the configuration, by name.
///
/// ```yaml
/// calendars:
///   plant-de:
///     timezone: Europe/Berlin
///     hours:
///       monday-friday: [06:00-14:00, 14:00-22:00]
///       saturday: 22:00-06:00
///     holidays:
///       - 2026-12-25
///       - {date: 2026-05-01, name: Tag der Arbeit}
///       - {ics: holidays-nw.ics}
///     shutdowns:
///       - {from: 2026-08-03, to: 2026-08-21, name: summer}
///     extra:
///       - {date: 2026-10-03, hours: 08:00-12:00}
/// ```
public struct CalendarSet: Sendable, Equatable {
    /// The calendars by name.
    public private(set) var calendars: [String: WorkCalendar] = [:]
    /// Where each is declared.
    public private(set) var positions: [String: SourcePosition] = [:]

    /// Calendars that may be declared.
    public static let countMax = 1000

    /// Makes an empty set.
    public init() {}

    /// Names, sorted.
    public var names: [String] { calendars.keys.sorted() }

    /// The calendar of a name; nil for none.
    public subscript(name: String) -> WorkCalendar? { calendars[name] }

    /// Reads a file with the key `calendars`; what is wrong is reported to `reader`.
    public mutating func add(_ file: ConfigFile, zones: ZoneDatabase, reader: ConfigReader) {
        _ = reader.mapping(of: file) { self.add($0, zones: zones) }
    }

    /// Reads the key `calendars` of a mapping, such as the root of the configuration.
    ///
    /// Files of holidays lie beside the file that names them.
    public mutating func add(_ mapping: MappingReader, zones: ZoneDatabase) {
        let read = mapping.namedMappings("calendars", "Working calendars by name.") { name, calendar in
            (name, WorkCalendar(calendar, zones: zones))
        }
        for (name, calendar) in read {
            guard let name, let calendar else { continue }
            guard CalendarSet.isName(name.value) else {
                mapping.reader.report(
                    CalendarCode.name,
                    "a calendar's name has at most 64 letters, digits, '-', '_', '.'; found '\(name.value.prefix(64))'",
                    at: name.node)
                continue
            }
            if let first = positions[name.value] {
                mapping.reader.report(
                    Diagnostic(
                        code: CalendarCode.name, message: "the calendar '\(name.value)' is declared twice",
                        position: name.position, length: name.length,
                        notes: [.init(position: first, message: "it is first declared here")]))
                continue
            }
            guard calendars.count < CalendarSet.countMax else {
                return mapping.reader.report(
                    CalendarCode.name, "there may be at most \(CalendarSet.countMax) calendars", at: name.node)
            }
            calendars[name.value] = calendar
            positions[name.value] = name.position
        }
    }

    private static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || "-_.".utf8.contains(byte)
            }
    }

    /// The calendar that a text names; an unknown one is reported.
    public func find(_ name: ConfigText, reader: ConfigReader) -> WorkCalendar? {
        if let calendar = calendars[name.value] { return calendar }
        let nearest = Spelling.nearest(to: name.value, among: names)
        let known = names.prefix(20).joined(separator: ", ")
        reader.report(
            CalendarCode.unknownCalendar, "'\(name.value)' is no calendar", at: name.node,
            help: nearest.map { "did you mean '\($0)'?" }
                ?? (known.isEmpty ? "declare it under 'calendars'" : "declared are: \(known)"))
        return nil
    }

    /// The JSON Schema of a file of calendars.
    public static var schema: ConfigSchema {
        ConfigSchema.describing(title: "Working calendars of AlertRouter") { mapping in
            var set = CalendarSet()
            set.add(mapping, zones: .system)
        }
    }
}
