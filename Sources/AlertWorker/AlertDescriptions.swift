public import Alerting
public import Core
public import RuleEngine

/// What is to be said of alerts to readers of the API and the page: English, in UTC.
public struct AlertDescriptions: Sendable {
    private let directory: RuleDirectory
    private let receivers: ReceiverDirectory
    private let composer: NotificationComposer

    /// Takes the texts of the rules that are loaded.
    public init(rules: RuleSet, receivers: ReceiverDirectory) {
        directory = RuleDirectory(rules: rules)
        self.receivers = receivers
        composer = NotificationComposer(
            profile: ReceiverProfile(
                name: "console", channel: "console", locale: "en_GB", timeZone: "UTC", addressing: .fixed))
    }

    /// Title, facts and links of an alert. Of a rule that is gone there is only what the alert itself says.
    public func item(of alert: Alert) -> Notification.Item {
        if alert.rule == AlertSubject.pushedRule {
            return PushedAlerts.item(of: .init(alert: alert, news: .open, cause: ""), composer: composer)
        }
        let entry = directory.rule(alert.rule) ?? RuleDirectory.Entry(gone: alert)
        return composer.item(of: alert, texts: entry.texts, reason: "")
    }

    /// The groups that tell of an alert: receiver, and the labels that the alerts of the group have in common.
    ///
    /// The routes say it as they are now; a receiver that was told before they were edited is there too.
    public func groups(of stored: StoredAlert) -> [(receiver: String, labels: [String: String])] {
        let subject = AlertSubject(stored.alert)
        let notify = directory.rule(stored.alert.rule)?.notify ?? []
        var groups = receivers.policy.routes.matches(subject, notify: notify).map { match in
            (receiver: match.receiver, labels: AlertDescriptions.labels(subject, match.settings.grouping))
        }
        for told in stored.told where !groups.contains(where: { $0.receiver == told.receiver }) {
            groups.append((told.receiver, AlertDescriptions.labels(subject, .rule)))
        }
        return groups
    }

    private static func labels(_ subject: AlertSubject, _ grouping: GroupSettings.Grouping) -> [String: String] {
        switch grouping {
        case .rule: subject.labelSet.filter { $0.key == "alertname" }
        case .labels(let names): subject.labelSet.filter { names.contains($0.key) }
        case .each: subject.labelSet
        }
    }
}
