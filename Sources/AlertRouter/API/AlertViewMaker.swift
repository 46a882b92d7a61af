import AlertWorker
import Alerting
import Console
import Core
import Store

/// What holds alerts back, and who has acknowledged them, as the store keeps it.
struct AlertHolds: Sendable {
    private var statuses: [String: AlertStatus] = [:]

    /// Reads those of all alerts.
    init(reader: any StoreReader) throws {
        try reader.forEachState(kind: StateChange.Kind.status.rawValue) { record in
            statuses[record.key] = try AlertStatus(bytes: record.bytes)
        }
    }

    /// Reads that of one alert.
    init(reader: any StoreReader, of id: Fingerprint) throws {
        if let record = try reader.state(kind: StateChange.Kind.status.rawValue, key: id.description) {
            statuses[record.key] = try AlertStatus(bytes: record.bytes)
        }
    }

    func apply(to view: inout ConsoleAlert, _ alert: Alert) {
        guard !statuses.isEmpty, let status = statuses[view.id], status.episode == alert.episode else { return }
        view.silencedBy = status.silencedBy
        // Alerts are named to readers by the first 16 digits, as everywhere in the API.
        view.inhibitedBy = status.inhibitedBy.map { String($0.prefix(16)) }
        view.mutedBy = status.mutedBy + status.maintainedBy
        view.acknowledgement = status.acknowledgement.map {
            ConsoleAcknowledgement(by: $0.by, comment: $0.comment, until: $0.until)
        }
    }
}

/// Makes the console's view of an alert.
struct AlertViewMaker: Sendable {
    let current: StoreViews.Current

    /// What filters look at, without the texts: those cost more.
    func bare(_ stored: StoredAlert, holds: AlertHolds) -> ConsoleAlert {
        let alert = stored.alert
        let labels = AlertSubject(alert).labelSet
        var view = ConsoleAlert(
            id: alert.fingerprint.description, rule: alert.rule, table: alert.table, owner: alert.owner,
            key: alert.keyDisplay, severity: alert.severity, state: "\(alert.state)", episode: alert.episode,
            labels: labels, title: alert.rule,
            startsAt: alert.firingSince ?? alert.pendingSince ?? alert.changedAt, updatedAt: alert.changedAt)
        view.endsAt = alert.resolvedAt
        view.generatorURL = current.pageAddress.map { "\($0)/alerts/\(view.id)" } ?? ""
        if alert.rule == AlertSubject.pushedRule {
            if alert.state == .firing { view.endsAt = alert.dueAt }
            if let url = alert.columns["generator_url"]?.text { view.generatorURL = url }
        }
        view.groups = current.descriptions.groups(of: stored).map { .init(receiver: $0.receiver, labels: $0.labels) }
        holds.apply(to: &view, alert)
        return view
    }

    /// Adds the texts.
    func describe(_ view: inout ConsoleAlert, _ alert: Alert) {
        let item = current.descriptions.item(of: alert)
        view.title = item.title
        view.about = item.description
        view.facts = item.facts.map { ConsolePair($0.name, $0.value) }
        if alert.rule == AlertSubject.pushedRule {
            view.facts = alert.columns.sorted { $0.key < $1.key }.compactMap { name, column in
                name.hasPrefix("annotations.") ? ConsolePair(String(name.dropFirst(12)), column.text) : nil
            }
        }
        view.links = item.links.map { ConsolePair($0.name, $0.value) }
    }

    func view(_ stored: StoredAlert, holds: AlertHolds) -> ConsoleAlert {
        var view = bare(stored, holds: holds)
        describe(&view, stored.alert)
        return view
    }
}

extension ConsoleSilence {
    init(_ silence: Silence) {
        self.init(
            id: silence.id,
            matchers: silence.expression.matchers.map {
                ConsoleMatcher(name: $0.name, value: $0.value, isRegex: $0.isRegex, isEqual: $0.isEqual)
            }, startsAt: silence.startsAt, endsAt: silence.endsAt, author: silence.author, comment: silence.comment,
            updatedAt: silence.updatedAt)
        isUntilResolved = silence.untilResolved
        if case .file = silence.source { isFromFile = true }
    }

    /// The silence as alerting keeps it.
    /// - Throws: ``ConsoleFailure/invalid(_:)`` for a matcher or an expression that cannot be compiled.
    func stored(source: Silence.Source, now: Timestamp) throws(ConsoleFailure) -> Silence {
        do throws(LabelMatcher.Problem) {
            var compiled: [LabelMatcher] = []
            for matcher in matchers {
                compiled.append(
                    try LabelMatcher(
                        name: matcher.name, value: matcher.value, isRegex: matcher.isRegex, isEqual: matcher.isEqual))
            }
            return Silence(
                id: id, expression: try MatchExpression(matchers: compiled), startsAt: startsAt, endsAt: endsAt,
                author: author, comment: comment, untilResolved: isUntilResolved, source: source, createdAt: now,
                updatedAt: now)
        } catch { throw ConsoleFailure.invalid(error.message) }
    }
}
