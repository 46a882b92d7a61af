internal import Calendars
public import Core

/// How a receiver reads numbers and times: its locale and its time zone.
public struct RenderLocale: Sendable {
    /// The locale whose forms are used, such as `de_DE`.
    public var name: String { table.name }
    /// The time zone's name, such as `Europe/Berlin`.
    public var timeZone: String { zone.identifier }
    let table: LocaleTable
    private let zone: TimeZoneRules

    /// Makes the forms of a locale and zone.
    ///
    /// A locale without a form of its own takes that of its language (`de_AT` that of `de_DE`), an unknown one `en_US`;
    /// an unknown zone is UTC. Check both with ``problems(locale:timeZone:)`` where they are configured.
    public init(locale: String, timeZone: String) {
        table = LocaleTable.named(locale) ?? LocaleTable.all[0]
        zone = ZoneDatabase.system.zone(timeZone) ?? .utc
    }

    /// English in UTC.
    public static let plain = RenderLocale(locale: "en_US", timeZone: "UTC")

    /// The locales with a form of their own.
    public static var supportedLocales: [String] { LocaleTable.all.map(\.name) }

    /// What is wrong with a configured locale and zone, as a rule; empty when both are known.
    public static func problems(locale: String, timeZone: String) -> [String] {
        var problems: [String] = []
        if LocaleTable.named(locale) == nil {
            let known = supportedLocales.joined(separator: ", ")
            problems.append("a locale must be of one of the languages of \(known); found '\(locale)'")
        }
        do {
            _ = try ZoneDatabase.system.find(timeZone)
        } catch {
            problems.append(error.message)
        }
        return problems
    }

    // MARK: - Numbers

    /// A decimal text with grouping and the locale's decimal sign; rounded once, half away from zero.
    ///
    /// - Parameter digits: fraction digits, 0 to 20; nil for all there are.
    /// - Returns: nil where the text is no number.
    public func number(_ text: String, digits: Int?) -> String? {
        NumberLayout.format(text, shift: 0, digits: digits, table: table)
    }

    /// A ratio as percent: `0.0625` with one digit is `6.3%`; rounded once, half away from zero.
    ///
    /// - Parameter digits: fraction digits of the percentage, 0 to 20; nil for all there are.
    /// - Returns: nil where the text is no number.
    public func percent(_ text: String, digits: Int?) -> String? {
        NumberLayout.format(text, shift: 2, digits: digits, table: table).map { $0 + table.percentGap + "%" }
    }

    // MARK: - Times

    /// The date, in the zone.
    public func date(_ time: Timestamp) -> String {
        let civil = civil(time).time
        func padded(_ number: Int) -> String { String(number).leftPadded(2) }
        let year = String(civil.year).leftPadded(4)
        let month = civil.month - 1
        switch table.date {
        case .monthDayYear(let names): return "\(names[month]) \(civil.day), \(year)"
        case .dayMonthYear(let names, let joiner): return "\(civil.day)\(joiner)\(names[month])\(joiner)\(year)"
        case .dotted: return "\(padded(civil.day)).\(padded(civil.month)).\(year)"
        case .dottedLoose: return "\(civil.day). \(civil.month). \(year)"
        case .chinese: return "\(year)年\(civil.month)月\(civil.day)日"
        case .slashedYearFirst: return "\(year)/\(padded(civil.month))/\(padded(civil.day))"
        }
    }

    /// The time of day to the minute, with its zone: `06:27 UTC+1`.
    public func time(_ time: Timestamp) -> String {
        let (civil, offset) = civil(time)
        let minute = String(civil.minute).leftPadded(2)
        let clock: String
        switch table.time {
        case .twelveHours:
            clock = "\((civil.hour + 11) % 12 + 1):\(minute) \(civil.hour < 12 ? "AM" : "PM")"
        case .padded: clock = "\(String(civil.hour).leftPadded(2)):\(minute)"
        case .loose: clock = "\(civil.hour):\(minute)"
        }
        return clock + " " + RenderLocale.offsetName(offset)
    }

    /// Date and time of day, with the zone.
    public func dateTime(_ time: Timestamp) -> String { date(time) + " " + self.time(time) }

    private func civil(_ time: Timestamp) -> (time: Timestamp.CivilTime, offset: Int) {
        // Outside the years that can be written, where the civil time would not mean anything.
        let limit: Int64 = 200_000_000_000_000
        let bounded = Timestamp(milliseconds: min(max(time.milliseconds, -limit), limit))
        return (zone.local(bounded).civil, Int(zone.offset(at: bounded) / 1000))
    }

    /// `UTC`, `UTC+1`, `UTC-3:30`: the same in every language, and never two zones of one name.
    private static func offsetName(_ offset: Int) -> String {
        guard offset != 0 else { return "UTC" }
        let minutes = abs(offset) / 60
        let rest = minutes % 60 == 0 ? "" : ":" + String(minutes % 60).leftPadded(2)
        return "UTC\(offset < 0 ? "-" : "+")\(minutes / 60)\(rest)"
    }
}

extension String {
    func leftPadded(_ width: Int) -> String { String(repeating: "0", count: max(0, width - count)) + self }
}
