internal import Alerting
internal import Core
internal import RuleEngine
internal import Store

/// Turns transitions into outbox rows: who is told, in which lane, with which items. A synchronous value.
struct Announcer: Sendable {
    /// Whom a notification goes to.
    private struct Address: Hashable {
        var receiver: String
        var recipient: String?
        var rule: String
    }

    private struct Draft {
        var address: Address
        var items: [Notification.Item] = []
        var omittedCount = 0
        var reasons: [Notification.Reason] = []

        mutating func add(_ item: Notification.Item, reason: Notification.Reason) {
            if !reasons.contains(reason) { reasons.append(reason) }
            if items.count < Notification.itemsMax { items.append(item) } else { omittedCount += 1 }
        }
    }

    let profiles: [String: ReceiverProfile]
    let defaultReceiver: String
    let operatorReceiver: String
    private let composers: [String: NotificationComposer]

    init(receivers: ReceiverDirectory) {
        profiles = receivers.profiles
        defaultReceiver = receivers.defaultReceiver
        operatorReceiver = receivers.operatorReceiver
        composers = profiles.mapValues(NotificationComposer.init(profile:))
    }

    /// What came of announcing transitions.
    struct Announcement {
        var rows: [OutboxRecord] = []
        /// Whom each alert's episode is told to from now on.
        var told: [Fingerprint: [StoredAlert.Told]] = [:]
        /// Recipients from data that were refused or missing, and templates that failed.
        var problems: [HealthProblem] = []
    }

    struct HealthProblem: Sendable, Equatable {
        var component: String
        var subject: String
        var detail: String
    }

    /// Announces transitions that were decided together: one row per receiver, recipient and rule.
    ///
    /// - Parameters:
    ///   - told: whom the episode of an alert was told to so far.
    ///   - openCount: how many alerts of a rule are open now.
    ///   - isBootstrap: firing alerts are not told now; their rows end `suppressed(bootstrap)`.
    func announce(
        _ transitions: [Transition], rules: RuleDirectory, told: (Fingerprint) -> [StoredAlert.Told],
        openCount: (String) -> Int, isBootstrap: Bool, now: Timestamp
    ) -> Announcement {
        var result = Announcement()
        var drafts: [Draft] = []
        var places: [Address: Int] = [:]
        for transition in transitions {
            guard let reason = Announcer.reason(of: transition.kind) else { continue }
            let rule = rules.rule(transition.alert.rule) ?? .removed(transition.alert.rule)
            let fingerprint = transition.alert.fingerprint
            let known = result.told[fingerprint] ?? told(fingerprint)
            var toldNow = known
            let targets = targets(of: transition, rule: rule, known: known, &result.problems)
            if reason == .first || reason == .event { toldNow = [] }
            for target in targets {
                guard let composer = composers[target.receiver] else { continue }
                let address = Address(receiver: target.receiver, recipient: target.recipient, rule: rule.name)
                let place = places[address] ?? drafts.count
                if place == drafts.count {
                    drafts.append(Draft(address: address))
                    places[address] = place
                }
                let item = Announcer.item(of: transition, rule: rule, composer: composer)
                if let problem = item.templateProblem {
                    result.problems.append(HealthProblem(component: "template", subject: rule.name, detail: problem))
                }
                drafts[place].add(item, reason: reason)
                if reason != .resolved, !isBootstrap, !toldNow.contains(target) { toldNow.append(target) }
            }
            result.told[fingerprint] = reason == .event ? [] : toldNow
        }
        for draft in drafts {
            // Of a rule whose rows say who is told, a reader is told only of his own.
            let isPersonal = rules.rule(draft.address.rule)?.hasRecipient ?? false
            let own = draft.items.count { $0.state == .firing } + draft.omittedCount
            result.rows.append(
                row(
                    of: draft, openCount: isPersonal ? own : openCount(draft.address.rule), isBootstrap: isBootstrap,
                    now: now))
        }
        return result
    }

    /// An overflow alert stands on no row, so the rule's texts do not fit it.
    private static func item(
        of transition: Transition, rule: RuleDirectory.Entry, composer: NotificationComposer
    ) -> Notification.Item {
        guard OverflowAlert.isOverflow(transition.alert) else {
            return composer.item(of: transition, texts: rule.texts)
        }
        let texts = MessageTexts(description: rule.texts.description, summary: nil, facts: [], links: [])
        var item = composer.item(of: transition, texts: texts)
        item.title = "\(rule.name): too many open alerts; \(transition.reason)"
        return item
    }

    /// Tells once, per receiver, what was open when the router first caught up.
    func announceOpen(_ alerts: [Alert], rules: RuleDirectory, now: Timestamp) -> [OutboxRecord] {
        var drafts: [Draft] = []
        var places: [Address: Int] = [:]
        var problems: [HealthProblem] = []
        for alert in alerts {
            guard let rule = rules.rule(alert.rule) else { continue }
            let asFiring = Transition(
                kind: .firing, alert: alert, previousSeverity: nil, at: alert.changedAt,
                reason: "open before the router started", cause: alert.cause)
            for target in targets(of: asFiring, rule: rule, known: [], &problems) {
                guard let composer = composers[target.receiver] else { continue }
                let address = Address(receiver: target.receiver, recipient: target.recipient, rule: "")
                let place = places[address] ?? drafts.count
                if place == drafts.count {
                    drafts.append(Draft(address: address))
                    places[address] = place
                }
                drafts[place].add(composer.item(of: asFiring, texts: rule.texts), reason: .alreadyOpen)
            }
        }
        return drafts.map { draft in
            row(of: draft, openCount: draft.items.count + draft.omittedCount, isBootstrap: false, now: now)
        }
    }

    private func targets(
        of transition: Transition, rule: RuleDirectory.Entry, known: [StoredAlert.Told],
        _ problems: inout [HealthProblem]
    ) -> [StoredAlert.Told] {
        // A resolve goes wherever the firing was told, whatever the rule says now.
        if transition.kind == .resolved { return known }
        var targets: [StoredAlert.Told] = []
        let fallback = rule.isAboutRouter ? operatorReceiver : defaultReceiver
        for receiver in rule.notify.isEmpty ? [fallback] : rule.notify {
            guard let profile = profiles[receiver] else { continue }
            let resolution = profile.resolve(
                recipient: transition.alert.recipient, isRecipientExpected: rule.hasRecipient)
            if let refusal = resolution.refusal {
                problems.append(
                    HealthProblem(
                        component: "recipient", subject: rule.name,
                        detail: "\(refusal); the fallback of receiver '\(receiver)' is told"))
            }
            for address in resolution.addresses {
                let target = StoredAlert.Told(receiver: receiver, recipient: address)
                if !targets.contains(target) { targets.append(target) }
            }
        }
        return targets
    }

    private static func reason(of kind: Transition.Kind) -> Notification.Reason? {
        switch kind {
        case .pending, .pendingEnded: nil
        case .firing: .first
        case .severityRaised: .severityRaised
        case .severityLowered: .severityLowered
        case .resolved: .resolved
        case .event: .event
        }
    }

    private func row(of draft: Draft, openCount: Int, isBootstrap: Bool, now: Timestamp) -> OutboxRecord {
        let address = draft.address
        let profile = profiles[address.receiver]
        let group = address.rule.isEmpty ? "already open" : address.rule
        let reason = draft.reasons.count == 1 ? draft.reasons[0] : .merged
        let notification = Notification(
            receiver: address.receiver, recipient: address.recipient, reason: reason, groupKey: group, createdAt: now,
            openCount: openCount, locale: profile?.locale ?? "en_US", timeZone: profile?.timeZone ?? "UTC",
            items: draft.items, omittedCount: draft.omittedCount)
        let lane = [address.receiver, address.recipient ?? "", group].joined(separator: "\u{1F}")
        // Stable across restarts: the same decision always gives the same key.
        let identity = draft.items.map {
            "\($0.incidentKey)/\($0.state.rawValue)/\($0.severity)/\($0.resolvedAt?.milliseconds ?? 0)"
        }
        let key = Digest.sha256((lane + "\u{1F}" + identity.joined(separator: "\u{1F}")).utf8)
        let severity = notification.severity
        var row = OutboxRecord(
            receiver: address.receiver, lane: lane, kind: "notification",
            incidentKey: draft.items.count == 1 ? draft.items[0].incidentKey : group, rule: address.rule,
            severity: severity,
            priority: severity == .critical ? .critical : notification.isResolved ? .resolveOfSent : .normal,
            createdAt: now, idempotencyKey: Hex.encode(key.prefix(16)), payload: notification.bytes,
            recipient: address.recipient)
        if isBootstrap {
            row.state = .suppressed
            row.reason = "bootstrap"
            row.settledAt = now
        }
        return row
    }
}
