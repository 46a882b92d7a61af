public import Calendars
public import ConfigFiles
internal import Core

/// Reads everything about routes from the configuration.
public struct RoutingReader {
    /// What was read; wrong parts are left out and reported.
    public private(set) var policy: RoutingPolicy
    /// The calendars of the configuration.
    public private(set) var calendars: CalendarSet

    /// Reads the keys `calendars`, `mute_times`, `maintenance`, `inhibit`, `routes`, `route_defaults`, `silences` and
    /// `external_url` of the configuration's root.
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
        var routes = RouteTree.read(in: mapping, names: names, defaultReceiver: defaultReceiver)
        routes.operatorReceiver = operatorReceiver
        policy = RoutingPolicy(
            routes: routes, muteTimes: muteTimes,
            maintenance: MaintenanceWindows.read(in: mapping, context: context),
            inhibition: InhibitionRules.read(in: mapping), silences: [],
            silenceLimits: mapping.mapping("silences", "Bounds of silences.", SilenceLimits.init) ?? .standard,
            externalURL: RoutingReader.externalURL(mapping))
    }

    private static func externalURL(_ mapping: MappingReader) -> String? {
        guard
            let text = mapping.text(
                "external_url",
                "Where people reach the router's page, for links in messages: https://alerts.example.com.")
        else { return nil }
        var url = text.value
        while url.hasSuffix("/") { url.removeLast() }
        let rest = ["https://", "http://"].compactMap { url.hasPrefix($0) ? url.dropFirst($0.count) : nil }.first
        let host = rest?.prefix { $0 != "/" } ?? ""
        let isPlain = url.unicodeScalars.allSatisfy {
            $0.value > 0x20 && $0.value < 0x7F && !"\"<>\\^`{|}?#".unicodeScalars.contains($0)
        }
        guard isPlain, !host.isEmpty, !host.contains("@"), url.utf8.count <= 1_000 else {
            mapping.report(
                RoutingCode.externalURL,
                "'external_url' must be an address with http:// or https://, a host and perhaps a path",
                at: "external_url",
                help: "write external_url: https://alerts.example.com")
            return nil
        }
        return url
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
