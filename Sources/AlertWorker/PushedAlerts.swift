internal import Alerting
public import Core
internal import Templates

/// An alert that was pushed through the API, as Prometheus sends it: again and again while it lasts.
public struct PushedAlert: Sendable, Equatable {
    public var labels: [String: String]
    public var annotations: [String: String]
    public var startsAt: Timestamp?
    /// When it is over unless it is pushed again; nil: five minutes after it was pushed.
    public var endsAt: Timestamp?
    public var generatorURL: String?

    /// States what was pushed.
    public init(
        labels: [String: String], annotations: [String: String], startsAt: Timestamp?, endsAt: Timestamp?,
        generatorURL: String?
    ) {
        self.labels = labels
        self.annotations = annotations
        self.startsAt = startsAt
        self.endsAt = endsAt
        self.generatorURL = generatorURL
    }
}

/// The open alerts that were pushed: what says that they are over is time. A synchronous value.
struct PushedAlerts: Sendable {
    static let rule = AlertSubject.pushedRule
    /// How long an alert lasts that says no end.
    static let timeout: Duration = .seconds(300)
    /// An end that moves is written at most this often.
    private static let writeInterval: Duration = .seconds(60)

    /// Alerts whose episode numbers are kept after they ended; others go on above the highest that was forgotten.
    private static let episodesMax = 200_000

    /// What a change came to.
    struct Output {
        var transitions: [Transition] = []
        /// Alerts to be stored, as they are now.
        var changed: [Alert] = []
    }

    private struct Entry {
        var alert: Alert
        var endsAt: Timestamp
        var writtenEnd: Timestamp
        /// When the queue looks at it: not after it ends.
        var queuedAt: Timestamp
    }

    /// When the queue looks at an alert.
    private struct End: Comparable {
        var time: Timestamp
        var fingerprint: Fingerprint

        static func < (left: End, right: End) -> Bool {
            (left.time, left.fingerprint) < (right.time, right.fingerprint)
        }
    }

    private var entries: [Fingerprint: Entry] = [:]
    private var episodes: [Fingerprint: UInt32] = [:]
    private var episodeFloor: UInt32 = 0
    private var queue = MinHeap<End>()
    /// Nothing ends before every sender had a chance to push again after a start.
    private var isFresh = true

    func alert(_ fingerprint: Fingerprint) -> Alert? { entries[fingerprint]?.alert }
    var open: [Alert] { entries.values.map(\.alert).sorted { $0.fingerprint < $1.fingerprint } }

    /// Takes over what is stored: open alerts, and the episode numbers of all others.
    mutating func restore(open alerts: [Alert], episodes numbers: [Fingerprint: UInt32]) {
        episodes = numbers
        forgetEpisodes()
        for alert in alerts {
            let end = alert.dueAt ?? .distantPast
            entries[alert.fingerprint] = Entry(alert: alert, endsAt: end, writtenEnd: end, queuedAt: .distantFuture)
            episodes[alert.fingerprint] = alert.episode
        }
    }

    /// Sees to it that the queue looks at an alert when it ends, or before. An end that moves on costs nothing: the
    /// queue looks again when it gets there.
    private mutating func watch(_ fingerprint: Fingerprint) {
        guard let entry = entries[fingerprint], entry.endsAt < entry.queuedAt else { return }
        entries[fingerprint]?.queuedAt = entry.endsAt
        queue.push(End(time: entry.endsAt, fingerprint: fingerprint))
        guard queue.count > 2 * entries.count + 1024 else { return }
        let current = entries
        queue.removeAll { current[$0.fingerprint]?.queuedAt != $0.time }
    }

    private mutating func forgetEpisodes() {
        guard episodes.count > max(PushedAlerts.episodesMax, 2 * entries.count) else { return }
        episodeFloor = max(episodeFloor, episodes.values.max() ?? 0)
        episodes = episodes.filter { entries[$0.key] != nil }
    }

    /// After a start no alert ends before one full timeout.
    private mutating func beginIfFresh(_ now: Timestamp) {
        guard isFresh else { return }
        isFresh = false
        let earliest = now.adding(PushedAlerts.timeout)
        for fingerprint in entries.keys {
            guard let end = entries[fingerprint]?.endsAt else { continue }
            entries[fingerprint]?.endsAt = max(end, earliest)
            watch(fingerprint)
        }
    }

    /// When it has to look next; nil where nothing is open.
    mutating func nextTimer() -> Timestamp? {
        if isFresh { return entries.isEmpty ? nil : .distantPast }
        while let first = queue.first, entries[first.fingerprint]?.queuedAt != first.time { queue.pop() }
        return queue.first?.time
    }

    /// Ends what was not pushed again in time.
    mutating func advance(to now: Timestamp) -> Output {
        var output = Output()
        beginIfFresh(now)
        var over: [Fingerprint] = []
        while let first = queue.first, first.time <= now {
            queue.pop()
            guard let entry = entries[first.fingerprint], entry.queuedAt == first.time else { continue }
            entries[first.fingerprint]?.queuedAt = .distantFuture
            if entry.endsAt <= now { over.append(first.fingerprint) } else { watch(first.fingerprint) }
        }
        for fingerprint in over.sorted() {
            resolve(fingerprint, at: now, reason: "not pushed again in time", &output)
        }
        return output
    }

    mutating func push(_ alerts: [PushedAlert], now: Timestamp) -> Output {
        var output = Output()
        beginIfFresh(now)
        for alert in alerts { push(alert, now: now, &output) }
        return output
    }

    private mutating func push(_ pushed: PushedAlert, now: Timestamp, _ output: inout Output) {
        let labels = pushed.labels.filter { !$0.value.isEmpty }
        let names = labels.keys.sorted()
        guard !names.isEmpty else { return }
        var alert = Alert(
            rule: PushedAlerts.rule, table: "", owner: labels["owner"] ?? "", keyColumns: names,
            keyTexts: names.map { labels[$0] }, at: now)
        let fingerprint = alert.fingerprint
        let end = pushed.endsAt ?? now.adding(PushedAlerts.timeout)
        if end <= now {
            if entries[fingerprint] != nil {
                resolve(fingerprint, at: now, reason: "pushed as resolved", &output)
            }
            return
        }
        let known = entries[fingerprint]
        if let known { alert = known.alert }
        alert.columns = PushedAlerts.columns(of: pushed)
        alert.dueAt = end
        if let known {
            let isMoved =
                abs(end.milliseconds(since: known.writtenEnd))
                >= PushedAlerts.writeInterval.wholeMilliseconds
            let isWritten = isMoved || alert.columns != known.alert.columns
            entries[fingerprint] = Entry(
                alert: alert, endsAt: end, writtenEnd: isWritten ? end : known.writtenEnd, queuedAt: known.queuedAt)
            watch(fingerprint)
            if isWritten { output.changed.append(alert) }
            return
        }
        alert.state = .firing
        alert.severity = PushedAlerts.severity(labels["severity"])
        alert.labels = labels
        alert.firingSince = pushed.startsAt.map { min($0, now) } ?? now
        alert.episode = (episodes[fingerprint] ?? episodeFloor) + 1
        episodes[fingerprint] = alert.episode
        forgetEpisodes()
        entries[fingerprint] = Entry(alert: alert, endsAt: end, writtenEnd: end, queuedAt: .distantFuture)
        watch(fingerprint)
        output.changed.append(alert)
        output.transitions.append(
            Transition(kind: .firing, alert: alert, previousSeverity: nil, at: now, reason: "pushed", cause: nil))
    }

    private mutating func resolve(
        _ fingerprint: Fingerprint, at now: Timestamp, reason: String, _ output: inout Output
    ) {
        guard var alert = entries.removeValue(forKey: fingerprint)?.alert else { return }
        alert.state = .resolved
        alert.resolvedAt = now
        alert.changedAt = now
        output.changed.append(alert)
        output.transitions.append(
            Transition(kind: .resolved, alert: alert, previousSeverity: nil, at: now, reason: reason, cause: nil))
    }

    /// `critical`, `page`, `error`, `warning`, `info` and words that mean them.
    private static func severity(_ text: String?) -> Severity {
        guard let text = text?.lowercased() else { return .warning }
        switch text {
        case "page", "fatal", "emergency", "disaster": return .critical
        case "major", "high": return .error
        case "minor", "medium": return .warning
        case "none", "low", "debug", "notice", "information": return .info
        default: return Severity(name: text) ?? .warning
        }
    }

    private static func columns(of pushed: PushedAlert) -> [String: ColumnText] {
        var columns: [String: ColumnText] = [:]
        for (name, value) in pushed.annotations {
            columns["annotations.\(name)"] = ColumnText(kind: .string, text: value)
        }
        if let url = pushed.generatorURL, !url.isEmpty {
            columns["generator_url"] = ColumnText(kind: .string, text: url)
        }
        return columns
    }

    /// What a message says of a pushed alert: its annotations, as they came.
    static func item(of item: PlannedMessage.Item, composer: NotificationComposer) -> Notification.Item {
        let texts = MessageTexts(description: nil, summary: nil, facts: [], links: [])
        var rendered = composer.item(of: item, texts: texts)
        func text(_ name: String) -> String? {
            item.alert.columns[name].map(\.text).flatMap { $0.isEmpty ? nil : $0 }
        }
        let name = item.alert.labels["alertname"] ?? PushedAlerts.rule
        rendered.title = text("annotations.summary") ?? name
        rendered.description = text("annotations.description") ?? text("annotations.message")
        let links = [("Runbook", "annotations.runbook_url"), ("Source", "generator_url")]
        rendered.links = links.compactMap { title, key in text(key).map { Notification.Item.Pair(title, $0) } }
        return rendered
    }
}
