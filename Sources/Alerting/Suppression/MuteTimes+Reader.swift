internal import Calendars
internal import ConfigFiles
internal import Core

extension MuteTimes {
    static let countMax = 1_000

    /// Reads the key `mute_times` of the configuration.
    static func read(in mapping: MappingReader, context: CalendarContext) -> MuteTimes {
        var names: [String: SourcePosition] = [:]
        var entries: [String: Entry] = [:]
        let read = mapping.namedMappings("mute_times", "Times in which routes that name them send nothing.") {
            name, entry in
            let policy = entry.choice(
                "policy", "What becomes of messages in it: dropped, or told in one message afterwards.",
                default: MuteReference.Policy.drop)
            let window = RecurringWindow.read(
                "windows", "When it is; inside where any of them is.", in: entry, context: context)
            return RoutingWindow.named(name, window, in: entry, known: &names).map { ($0, policy, window) }
        }
        for case let (name, policy, window)? in read {
            entries[name] = window.map { Entry(window: $0, policy: policy) }
        }
        if read.count > countMax {
            mapping.report(RoutingCode.tooMany, "there are at most \(countMax) mute times", atKey: "mute_times")
        }
        return MuteTimes(entries: entries)
    }

    /// The policies of those that are declared, by name, also where their windows are wrong.
    static func policies(_ mapping: MappingReader, known: MuteTimes) -> [String: MuteReference.Policy] {
        var policies = known.entries.mapValues(\.policy)
        for entry in mapping.node?["mute_times"]?.entries ?? [] where policies[entry.key] == nil {
            policies[entry.key] = .drop
        }
        return policies
    }
}

extension MaintenanceWindows {
    static let countMax = 1_000

    /// Reads the key `maintenance` of the configuration.
    static func read(in mapping: MappingReader, context: CalendarContext) -> MaintenanceWindows {
        var names: [String: SourcePosition] = [:]
        let entries = mapping.mappings("maintenance", "Times of planned work, in which alerts are suppressed.") {
            entry in
            let name = RoutingName.read(in: entry, "The window's name, as explanations show it.", known: &names)
            let expression = MatchExpression.readRequired(in: entry)
            let window = RecurringWindow.read(
                "windows", "When it is; inside where any of them is.", in: entry, context: context)
            let comment = entry.string("comment", "Why.", default: "")
            RoutingWindow.checkPresent(window, in: entry)
            guard let name, let expression, let window else { return nil as Entry? }
            return Entry(
                name: name, expression: expression, window: window, comment: comment, position: entry.node?.position)
        }
        if entries.count > countMax {
            mapping.report(RoutingCode.tooMany, "there are at most \(countMax) windows", atKey: "maintenance")
        }
        return MaintenanceWindows(entries: entries.compactMap { $0 })
    }
}

/// What mute times and maintenance windows share.
private enum RoutingWindow {
    static func checkPresent(_ window: RecurringWindow?, in mapping: MappingReader) {
        guard window == nil, !mapping.isDescribing else { return }
        let isEmpty = mapping.node?["windows"]?.elements?.isEmpty ?? !mapping.has("windows")
        if isEmpty { mapping.report(RoutingCode.settings, "'windows' is required here and not empty", at: nil) }
    }

    static func named(
        _ name: ConfigText?, _ window: RecurringWindow?, in mapping: MappingReader,
        known: inout [String: SourcePosition]
    ) -> String? {
        checkPresent(window, in: mapping)
        return name.flatMap { RoutingName.check($0, reader: mapping.reader, known: &known) }
    }
}
