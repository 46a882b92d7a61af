internal import Alerting
internal import Core
internal import RuleEngine
internal import Spine
internal import Store

/// Turns transitions into outbox rows: who is told, in which lane, with which items. A synchronous value.
struct Announcer: Sendable {
    /// Whom a notification goes to.
    private struct Address: Hashable {
        var receiver: String
        var recipient: String?
        var rule: String
        /// Fired while bootstrapping: the row is kept for the record and never sent.
        var isSuppressed = false
    }

    private struct Draft {
        var address: Address
        var items: [Notification.Item] = []
        /// What makes each change one of its own, left out ones included: the key of the row is made of them.
        var marks: [String] = []
        var omittedCount = 0
        var reasons: [Notification.Reason] = []

        mutating func add(_ item: Notification.Item, of transition: Transition, reason: Notification.Reason) {
            let cause = transition.cause.map { "\($0.topic)/\($0.partition)/\($0.offset)/\($0.version)" } ?? ""
            marks.append("\(item.incidentKey)/\(reason.rawValue)/\(transition.at.milliseconds)/\(cause)")
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
        var problems: [HealthFact] = []

        /// Notes a problem of a rule; what goes wrong in telling of problems is no further problem.
        mutating func add(problem: String, component: String, rule: RuleDirectory.Entry) {
            guard !rule.isAboutRouter else { return }
            problems.append(
                HealthFact(component: component, subject: rule.name, isHealthy: false, detail: problem))
        }
    }

    /// Announces transitions that were decided together: one row per receiver, recipient and rule.
    ///
    /// - Parameters:
    ///   - told: whom the episode of an alert was told to so far.
    ///   - openCount: how many alerts of a rule are open now.
    ///   - isBootstrap: alerts that fire now are not told; their rows end `suppressed(bootstrap)`. News of alerts that
    ///     fired before, such as their end, is told: a store restored from a backup knows such alerts.
    func announce(
        _ transitions: [Transition], rules: RuleDirectory, told: (Fingerprint) -> [StoredAlert.Told],
        openCount: (String) -> Int, isBootstrap: Bool, now: Timestamp
    ) -> Announcement {
        var result = Announcement()
        var drafts: [Draft] = []
        var places: [Address: Int] = [:]
        for transition in transitions {
            // Of a rule that is gone only the end of its alerts is told, in plain words.
            let gone = transition.kind == .resolved ? RuleDirectory.Entry(gone: transition.alert) : nil
            guard let reason = Announcer.reason(of: transition.kind),
                let rule = rules.rule(transition.alert.rule) ?? gone
            else { continue }
            let isSuppressed = isBootstrap && (transition.alert.isBootstrap || reason == .first || reason == .event)
            let fingerprint = transition.alert.fingerprint
            let known = result.told[fingerprint] ?? told(fingerprint)
            var toldNow = known
            let targets = targets(of: transition, rule: rule, known: known, &result)
            if reason == .first || reason == .event { toldNow = [] }
            for target in targets {
                guard let composer = composers[target.receiver] else { continue }
                let address = Address(
                    receiver: target.receiver, recipient: target.recipient, rule: rule.name,
                    isSuppressed: isSuppressed)
                let place = places[address] ?? drafts.count
                if place == drafts.count {
                    drafts.append(Draft(address: address))
                    places[address] = place
                }
                let item = Announcer.item(of: transition, rule: rule, composer: composer)
                if let problem = item.templateProblem {
                    result.add(problem: problem, component: "template", rule: rule)
                }
                drafts[place].add(item, of: transition, reason: reason)
                if reason != .resolved, !isSuppressed, !toldNow.contains(target) { toldNow.append(target) }
            }
            // With its end an episode is told; whoever is told of the next is told anew.
            result.told[fingerprint] = reason == .event || reason == .resolved ? [] : toldNow
        }
        for draft in drafts {
            // Of a rule whose rows say who is told, a reader is told only of his own.
            let isPersonal = rules.rule(draft.address.rule)?.hasRecipient ?? false
            let own = draft.items.count { $0.state == .firing } + draft.omittedCount
            result.rows.append(
                row(
                    of: draft, openCount: isPersonal ? own : openCount(draft.address.rule), now: now))
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
    func announceOpen(_ alerts: [Alert], rules: RuleDirectory, now: Timestamp) -> Announcement {
        var result = Announcement()
        var drafts: [Draft] = []
        var places: [Address: Int] = [:]
        for alert in alerts {
            guard let rule = rules.rule(alert.rule) else { continue }
            let asFiring = Transition(
                kind: .firing, alert: alert, previousSeverity: nil, at: alert.changedAt,
                reason: "open before the router started", cause: alert.cause)
            for target in targets(of: asFiring, rule: rule, known: [], &result) {
                guard let composer = composers[target.receiver] else { continue }
                let address = Address(receiver: target.receiver, recipient: target.recipient, rule: "")
                let place = places[address] ?? drafts.count
                if place == drafts.count {
                    drafts.append(Draft(address: address))
                    places[address] = place
                }
                let item = composer.item(of: asFiring, texts: rule.texts)
                if let problem = item.templateProblem {
                    result.add(problem: problem, component: "template", rule: rule)
                }
                drafts[place].add(item, of: asFiring, reason: .alreadyOpen)
            }
        }
        result.rows = drafts.map { draft in
            row(of: draft, openCount: draft.items.count + draft.omittedCount, now: now)
        }
        return result
    }

    private func targets(
        of transition: Transition, rule: RuleDirectory.Entry, known: [StoredAlert.Told],
        _ result: inout Announcement
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
                result.add(
                    problem: "\(refusal); the fallback of receiver '\(receiver)' is told", component: "recipient",
                    rule: rule)
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

    private func row(of draft: Draft, openCount: Int, now: Timestamp) -> OutboxRecord {
        let address = draft.address
        let profile = profiles[address.receiver]
        let group = address.rule.isEmpty ? "already open" : address.rule
        let reason = draft.reasons.count == 1 ? draft.reasons[0] : .merged
        let notification = Notification(
            receiver: address.receiver, recipient: address.recipient, reason: reason, groupKey: group, createdAt: now,
            openCount: openCount, locale: profile?.locale ?? "en_US", timeZone: profile?.timeZone ?? "UTC",
            items: draft.items, omittedCount: draft.omittedCount)
        let lane = [address.receiver, address.recipient ?? "", group].joined(separator: "\u{1F}")
        // Stable across restarts: the same decision always gives the same key, another decision another one.
        let key = Digest.sha256((lane + "\u{1F}" + draft.marks.joined(separator: "\u{1F}")).utf8)
        let severity = notification.severity
        var row = OutboxRecord(
            receiver: address.receiver, lane: lane, kind: OutboxKind.notification,
            incidentKey: draft.items.count == 1 ? draft.items[0].incidentKey : group, rule: address.rule,
            severity: severity,
            priority: severity == .critical ? .critical : notification.isResolved ? .resolveOfSent : .normal,
            createdAt: now, idempotencyKey: Hex.encode(key.prefix(16)), payload: notification.bytes,
            recipient: address.recipient)
        if address.isSuppressed {
            row.state = .suppressed
            row.reason = "bootstrap"
            row.settledAt = now
        }
        return row
    }
}
