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
        let entry = directory.rule(alert.rule) ?? RuleDirectory.Entry(gone: alert)
        return composer.item(of: alert, texts: entry.texts, reason: "")
    }

    /// The receivers that are told of an alert: those that were, else those its rule names.
    public func receivers(of stored: StoredAlert) -> [String] {
        let told = Set(stored.told.map(\.receiver)).sorted()
        guard told.isEmpty else { return told }
        guard let rule = directory.rule(stored.alert.rule) else { return [] }
        if !rule.notify.isEmpty { return rule.notify.sorted() }
        return [rule.isAboutRouter ? receivers.operatorReceiver : receivers.defaultReceiver]
    }
}
