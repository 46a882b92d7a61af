internal import Alerting
internal import Core
internal import RuleEngine
internal import Spine
internal import Store

/// Renders what the engine decided as outbox rows, in each receiver's locale and zone. A synchronous value.
struct MessageWriter: Sendable {
    /// What came of writing messages.
    struct Written {
        var rows: [OutboxRecord] = []
        /// Templates that failed.
        var problems: [HealthFact] = []
    }

    private let profiles: [String: ReceiverProfile]
    private let composers: [String: NotificationComposer]
    private let links: MessageLinks?

    init(receivers: ReceiverDirectory) {
        links = receivers.links
        profiles = receivers.profiles
        composers = profiles.mapValues(NotificationComposer.init(profile:))
    }

    func write(_ messages: [PlannedMessage], rules: RuleDirectory, now: Timestamp) -> Written {
        var written = Written()
        for message in messages {
            guard let profile = profiles[message.receiver], let composer = composers[message.receiver] else { continue }
            let rendered = message.items.map { item in
                let rule = rules.rule(item.alert.rule) ?? RuleDirectory.Entry(gone: item.alert)
                var rendered = MessageWriter.item(of: item, rule: rule, composer: composer)
                if let links, message.items.count <= MessageLinks.itemsMax {
                    rendered.links += links.links(
                        of: item.alert, receiver: message.receiver, recipient: message.recipient, now: now)
                }
                if let problem = rendered.templateProblem, !rule.isAboutRouter {
                    written.problems.append(
                        HealthFact(component: "template", subject: rule.name, isHealthy: false, detail: problem))
                }
                return (item: rendered, alert: item.alert)
            }
            let items = MessageWriter.arranged(rendered, message.digest, composer)
            var notification = Notification(
                receiver: message.receiver, recipient: message.recipient, reason: message.reason,
                groupKey: message.groupKey, createdAt: now, openCount: message.openCount, locale: profile.locale,
                timeZone: profile.timeZone, items: items, omittedCount: message.omittedCount,
                others: message.others.map { composer.other($0) })
            notification.counts = message.counts.map { .init($0.name, String($0.count)) }
            written.rows.append(row(of: message, notification, now: now))
        }
        return written
    }

    /// The items of a digest in its order, with its columns in place of the rules' facts.
    private static func arranged(
        _ items: [(item: Notification.Item, alert: Alert)], _ digest: DigestSettings?, _ composer: NotificationComposer
    ) -> [Notification.Item] {
        guard let digest else { return items.map(\.item) }
        return composer.sorted(items, by: digest.sort).map { one in
            guard !digest.columns.isEmpty, !OverflowAlert.isOverflow(one.alert) else { return one.item }
            var item = one.item
            item.facts = composer.columns(of: item, alert: one.alert, digest: digest)
            return item
        }
    }

    private static func item(
        of item: PlannedMessage.Item, rule: RuleDirectory.Entry,
        composer: NotificationComposer
    ) -> Notification.Item {
        if item.alert.rule == PushedAlerts.rule { return PushedAlerts.item(of: item, composer: composer) }
        guard OverflowAlert.isOverflow(item.alert) else {
            return composer.item(of: item, texts: rule.texts)
        }
        // An overflow alert stands on no row, so the rule's texts do not fit it.
        let texts = MessageTexts(description: rule.texts.description, summary: nil, facts: [], links: [])
        var rendered = composer.item(of: item, texts: texts)
        rendered.title = "\(rule.name): too many open alerts; \(item.cause)"
        return rendered
    }

    private func row(of message: PlannedMessage, _ notification: Notification, now: Timestamp) -> OutboxRecord {
        // Stable across restarts: the same decision always gives the same key, another decision another one.
        let key = Digest.sha256(message.key.utf8)
        let severity = notification.severity
        let isIncident = message.kind == .incident
        var row = OutboxRecord(
            receiver: message.receiver, lane: message.lane,
            kind: isIncident ? OutboxKind.incident : OutboxKind.notification,
            incidentKey: message.items.count == 1
                ? message.items[0].alert.incidentKey.description : message.groupKey,
            rule: message.rule, severity: severity,
            priority: severity == .critical ? .critical : notification.isResolved ? .resolveOfSent : .normal,
            createdAt: now, idempotencyKey: Hex.encode(key.prefix(16)), payload: notification.bytes,
            recipient: message.recipient)
        if let suppression = message.suppression {
            row.state = .suppressed
            row.reason = suppression
            row.settledAt = now
        }
        return row
    }
}
