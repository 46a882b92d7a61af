public import Calendars
public import ConfigFiles
internal import Core

/// Reads everything about routes from the configuration.
public struct RoutingReader {
    /// What was read; wrong parts are left out and reported.
    public private(set) var policy: RoutingPolicy
    /// The calendars of the configuration.
    public private(set) var calendars: CalendarSet

    private let notes: RoutingNotes

    /// Reads the keys `calendars`, `mute_times`, `maintenance`, `inhibit`, `routes`, `route_defaults` and `silences` of
    /// the configuration's root.
    public init(
        _ mapping: MappingReader, receivers: [String], defaultReceiver: String, operatorReceiver: String,
        zones: ZoneDatabase
    ) {
        calendars = CalendarSet()
        calendars.add(mapping, zones: zones)
        let context = CalendarContext(zones: zones, calendars: calendars)
        let muteTimes = MuteTimes.read(in: mapping, context: context)
        let names = RouteNames(
            receivers: receivers, muteTimes: MuteTimes.policies(mapping, known: muteTimes), calendars: context)
        notes = names.notes
        var routes = RouteTree.read(in: mapping, names: names, defaultReceiver: defaultReceiver)
        routes.operatorReceiver = operatorReceiver
        policy = RoutingPolicy(
            routes: routes, muteTimes: muteTimes,
            maintenance: MaintenanceWindows.read(in: mapping, context: context),
            inhibition: InhibitionRules.read(in: mapping), silences: [],
            silenceLimits: mapping.mapping("silences", "Bounds of silences.", SilenceLimits.init) ?? .standard,
            externalURL: nil)
    }

    /// Warns of columns in digests that no table has.
    ///
    /// - Parameter declares: whether any table has a column of that name.
    public func reportUnknownColumns(reader: ConfigReader, declares: (String) -> Bool) {
        for text in notes.digestColumns {
            let path = text.value.drop { $0 == "-" }
            guard !declares(String(path.dropFirst("after.".count))) else { continue }
            reader.report(
                Diagnostic(
                    level: .warning, code: RoutingCode.settings, message: "no table has the column of '\(path)'",
                    position: text.position, length: text.length))
        }
    }

    /// Warns of receivers that nothing is ever told to.
    ///
    /// - Parameter used: those that rules name in `notify`, and whatever else is told something.
    public static func reportUnused(
        _ declared: [ConfigText], policy: RoutingPolicy, used: Set<String>, reader: ConfigReader
    ) {
        RouteLint.unused(declared, used: used.union(policy.routes.receivers), reader: reader)
    }
}

extension SilenceLimits {
    init(_ mapping: MappingReader) {
        durationMax = mapping.duration(
            "max_duration", "The longest silence.", in: .seconds(60)...(.seconds(366 * 86_400)),
            default: SilenceLimits.standard.durationMax)
        countMax = mapping.int(
            "max_count", "Most silences at once.", in: 1...100_000, default: SilenceLimits.standard.countMax)
    }
}
