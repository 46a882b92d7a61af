internal import Calendars
internal import ConfigFiles
internal import Core

/// What the readers of routes look names up in.
struct RouteNames {
    var receivers: [String]
    var muteTimes: [String: MuteReference.Policy]
    var calendars: CalendarContext
    let notes = RoutingNotes()

    /// Reports names that are no receivers; gives those that are.
    func receivers(_ texts: [ConfigText], reader: ConfigReader) -> [String] {
        texts.compactMap { text in
            if receivers.contains(text.value) { return text.value }
            let nearest = Spelling.nearest(to: text.value, among: receivers)
            reader.report(
                RoutingCode.unknownReceiver, "'\(text.value)' is no receiver", at: text.node,
                help: nearest.map { "did you mean '\($0)'?" }
                    ?? "the receivers are " + receivers.sorted().joined(separator: ", "))
            return nil
        }
    }

    func muteTimes(_ texts: [ConfigText], reader: ConfigReader) -> [MuteReference] {
        texts.compactMap { text in
            if let policy = muteTimes[text.value] { return MuteReference(name: text.value, policy: policy) }
            let names = muteTimes.keys.sorted()
            let nearest = Spelling.nearest(to: text.value, among: names)
            reader.report(
                RoutingCode.unknownMuteTime, "'\(text.value)' is no mute time", at: text.node,
                help: nearest.map { "did you mean '\($0)'?" }
                    ?? (names.isEmpty
                        ? "declare it under 'mute_times'" : "declared are " + names.joined(separator: ", ")))
            return nil
        }
    }
}

/// What the readers of routes note for checks that come later.
final class RoutingNotes {
    /// The columns of rows that digests show.
    var digestColumns: [ConfigText] = []
}

/// The settings as one route writes them; what it leaves out it inherits.
struct GroupSettingsDraft {
    /// A part that can be switched off below a route that has it.
    enum Part<Value> {
        case inherited
        case none
        case some(Value)

        func applied(to parent: Value?) -> Value? {
            switch self {
            case .inherited: parent
            case .none: nil
            case .some(let value): value
            }
        }
    }

    private var grouping: GroupSettings.Grouping?
    private var wait: Duration?
    private var criticalWait: Duration?
    private var interval: Duration?
    private var repeatInterval: Duration?
    private var sendsResolved: Bool?
    private var muteTimes: [MuteReference]?
    private var storm: Part<GroupSettings.Storm>
    private var digest: Part<DigestSettings>
    private var escalations: [Escalation]?

    static let day = Duration.seconds(86_400)

    init(_ mapping: MappingReader, names: RouteNames) {
        grouping = GroupSettingsDraft.grouping(mapping)
        wait = GroupSettingsDraft.duration(
            mapping, "group_wait", "How long the first alert of a group waits for others; inherited, else 30s.",
            in: .zero...GroupSettingsDraft.day)
        criticalWait = GroupSettingsDraft.duration(
            mapping, "critical_wait", "The same for a group with a critical alert; inherited, else 0s.",
            in: .zero...GroupSettingsDraft.day)
        interval = GroupSettingsDraft.duration(
            mapping, "group_interval", "How long a group waits before it tells of changes; inherited, else 5m.",
            in: .zero...GroupSettingsDraft.day)
        repeatInterval = GroupSettingsDraft.duration(
            mapping, "repeat_interval", "After how long a group that still fires is told again; inherited, else 4h.",
            in: .seconds(60)...(GroupSettingsDraft.day * 366))
        sendsResolved = mapping.bool("send_resolved", "Whether the end of an alert is told; inherited, else true.")
        let texts = mapping.texts("mute_times", "Names of mute times; inherited.")
        muteTimes = mapping.has("mute_times") ? names.muteTimes(texts, reader: mapping.reader) : nil
        storm = GroupSettingsDraft.storm(mapping)
        digest = GroupSettingsDraft.digest(mapping, names)
        let escalations = mapping.mappings("escalate", "Who is told of an alert that stays open; inherited.") {
            Escalation($0, names: names)
        }
        self.escalations = mapping.has("escalate") ? escalations : nil
        checkIntervals(mapping)
    }

    func applied(to parent: GroupSettings) -> GroupSettings {
        GroupSettings(
            grouping: grouping ?? parent.grouping, wait: wait ?? parent.wait,
            interval: interval ?? parent.interval, repeatInterval: repeatInterval ?? parent.repeatInterval,
            criticalWait: criticalWait ?? parent.criticalWait, storm: storm.applied(to: parent.storm),
            muteTimes: muteTimes ?? parent.muteTimes, digest: digest.applied(to: parent.digest),
            escalations: escalations ?? parent.escalations, sendsResolved: sendsResolved ?? parent.sendsResolved)
    }

    private func checkIntervals(_ mapping: MappingReader) {
        guard !mapping.isDescribing, let interval, let repeatInterval, repeatInterval < interval else { return }
        mapping.report(
            RoutingCode.settings, "'repeat_interval' must not be shorter than 'group_interval'", at: "repeat_interval",
            help: "a group is told again at most once per 'group_interval'")
    }

    private static func duration(
        _ mapping: MappingReader, _ key: String, _ about: String, in range: ClosedRange<Duration>
    ) -> Duration? {
        guard let duration = mapping.duration(key, about) else { return nil }
        guard range.contains(duration) else {
            mapping.report(
                RoutingCode.settings,
                "'\(key)' must be a duration from \(DurationText.format(range.lowerBound)) to "
                    + DurationText.format(range.upperBound), at: key)
            return nil
        }
        return duration
    }

    private static func grouping(_ mapping: MappingReader) -> GroupSettings.Grouping? {
        let texts = mapping.texts(
            "group_by", "What makes alerts one group: rule, each (every alert alone), or labels; inherited, else rule.")
        guard !mapping.isDescribing, mapping.has("group_by"), let first = texts.first else { return nil }
        if texts.count == 1, first.value == "rule" { return .rule }
        if texts.count == 1, first.value == "each" || first.value == "..." { return .each }
        if let word = texts.first(where: { ["rule", "each", "..."].contains($0.value) }) {
            mapping.reader.report(
                RoutingCode.settings, "'\(word.value)' in 'group_by' stands alone", at: word.node,
                help: word.value == "rule" ? "write alertname beside other labels" : nil)
            return nil
        }
        guard texts.count <= 20 else {
            mapping.report(RoutingCode.settings, "'group_by' names at most 20 labels", at: "group_by")
            return nil
        }
        return .labels(texts.map(\.value))
    }

    /// A key that holds a mapping, or the word `none`.
    private static func part<Value>(
        _ mapping: MappingReader, _ key: String, _ about: String, _ read: (MappingReader) -> Value?
    ) -> Part<Value> {
        let none = { _ = mapping.choice(key, about, among: [("none", true)], defaultName: nil) }
        if mapping.isDescribing {
            mapping.describeVariant(none)
            mapping.describeVariant { _ = mapping.mapping(key, about, read) }
            return .inherited
        }
        guard mapping.has(key) else {
            none()
            return .inherited
        }
        if mapping.node?[key]?.scalar?.text == "none" {
            none()
            return .none
        }
        return (mapping.mapping(key, about, read) ?? nil).map { .some($0) } ?? .inherited
    }

    private static func storm(_ mapping: MappingReader) -> Part<GroupSettings.Storm> {
        part(mapping, "storm", "When new alerts become one summary; 'none' switches it off; inherited.") {
            GroupSettings.Storm(
                moreThan: $0.requiredInt("more_than", "More new alerts than this.", in: 1...1_000_000),
                within: duration(
                    $0, "within", "Within this time.", in: .seconds(1)...day) ?? .seconds(60))
        }
    }

    private static func digest(
        _ mapping: MappingReader, _ names: RouteNames
    ) -> Part<DigestSettings> {
        part(
            mapping, "digest",
            "One message by schedule with a table of what is open; 'none' switches it off; inherited."
        ) { DigestSettings($0, names: names) }
    }
}

extension Escalation {
    init(_ mapping: MappingReader, names: RouteNames) {
        after = mapping.requiredDuration("after", "Counted from the first message about the alert.")
        unless = mapping.choice("unless", "What makes it unnecessary beside the alert's end.", default: .acknowledged)
        let texts = mapping.requiredTexts("notify", "The receivers that are told.")
        notify = names.receivers(texts, reader: mapping.reader)
        guard !mapping.isDescribing, mapping.has("after") else { return }
        if !(Duration.seconds(10)...GroupSettingsDraft.day * 30).contains(after) {
            mapping.report(RoutingCode.settings, "'after' must be a duration from 10s to 30d", at: "after")
        }
    }
}

extension DigestSettings {
    /// Names that a column may show beside paths into the row, the key and the labels.
    static let plainSources = [
        "severity", "summary", "since", "rule", "table", "owner", "recipient", "state", "reason", "key",
    ]

    /// Nil without a schedule that is right; what is wrong is reported.
    init?(_ mapping: MappingReader, names: RouteNames) {
        let schedule = Schedule.read(in: mapping, context: names.calendars)
        if schedule == nil, !mapping.has("schedule") {
            mapping.report(
                RoutingCode.settings, "'schedule' is required in a digest", at: nil,
                help: "schedule: \"0 7 * * MON-FRI\" is 07:00 on working days")
        }
        split = mapping.choice("by", "One message for the receiver or one for each recipient.", default: .receiver)
        columns = mapping.textMap("columns", "The table: heading and what stands below it.").map { title, source in
            DigestSettings.check(source, source.value, in: mapping, names)
            return Column(title: title.value, source: source.value)
        }
        sort = mapping.texts("sort", "By what the table is sorted; '-' before it means descending.").map { text in
            let isDescending = text.value.hasPrefix("-")
            let source = isDescending ? String(text.value.dropFirst()) : text.value
            DigestSettings.check(text, source, in: mapping, names)
            return SortKey(source: source, isDescending: isDescending)
        }
        if columns.count > 20 {
            mapping.report(RoutingCode.settings, "a digest has at most 20 columns", at: "columns")
        }
        guard let schedule else { return nil }
        self.schedule = schedule
        calendarName = mapping.node?["calendar"]?.scalar?.text
    }

    private static func check(
        _ text: ConfigText, _ source: String, in mapping: MappingReader, _ names: RouteNames
    ) {
        let parts = source.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 1, plainSources.contains(source) { return }
        if parts.count > 1, ["after", "key", "labels", "facts"].contains(parts[0]),
            parts.allSatisfy({ !$0.isEmpty })
        {
            if parts[0] == "after" { names.notes.digestColumns.append(text) }
            return
        }
        mapping.reader.report(
            RoutingCode.settings, "'\(source)' is nothing that a digest can show", at: text.node,
            help: Spelling.nearest(to: source, among: plainSources).map { "did you mean '\($0)'?" }
                ?? "write after.column, key.column, labels.name, facts.name, or one of "
                + plainSources.sorted().joined(separator: ", "))
    }
}
