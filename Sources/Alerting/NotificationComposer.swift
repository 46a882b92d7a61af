public import Core
public import Templates

/// The texts of a rule, compiled: what a notification says of its alerts.
public struct MessageTexts: Sendable {
    /// A named text, such as a fact or a link.
    public struct Named: Sendable {
        public var name: String
        public var text: Template
        /// Names a text.
        public init(name: String, text: Template) {
            self.name = name
            self.text = text
        }
    }

    public var description: String?
    /// The title; without one the rule's name and the key stand for it.
    public var summary: Template?
    public var facts: [Named]
    public var links: [Named]

    /// Gathers the texts of a rule.
    public init(description: String?, summary: Template?, facts: [Named], links: [Named]) {
        self.description = description
        self.summary = summary
        self.facts = facts
        self.links = links
    }
}

/// Writes notification items: renders a rule's texts from the columns stored with the alert, in a receiver's locale.
public struct NotificationComposer: Sendable {
    private let profile: ReceiverProfile
    private let locale: RenderLocale

    /// Writes for one receiver.
    public init(profile: ReceiverProfile) {
        self.profile = profile
        locale = RenderLocale(locale: profile.locale, timeZone: profile.timeZone)
    }

    /// What a transition tells the receiver.
    ///
    /// A template that fails at run time gives its plain fallback; ``Notification/Item/templateProblem`` says why.
    public func item(of transition: Transition, texts: MessageTexts) -> Notification.Item {
        var item = item(of: transition.alert, texts: texts, reason: transition.reason)
        item.previousSeverity = transition.previousSeverity
        if transition.kind == .event { item.state = .event }
        return item
    }

    /// What an item of a planned message tells the receiver.
    public func item(of planned: PlannedMessage.Item, texts: MessageTexts) -> Notification.Item {
        var item = item(of: planned.alert, texts: texts, reason: planned.cause)
        switch planned.news {
        case .firing: item.state = .firing
        case .raised(let from), .lowered(let from):
            item.state = .firing
            item.previousSeverity = from
        case .resolved, .resolvedUnheard: item.state = .resolved
        case .event: item.state = .event
        case .open:
            item.state = .firing
            item.isToldBefore = true
        }
        return item
    }

    /// An open alert that is not news.
    public func other(_ alert: Alert) -> Notification.Other {
        Notification.Other(
            incidentKey: alert.incidentKey.description, rule: alert.rule, severity: alert.severity,
            keyDisplay: alert.keyDisplay)
    }

    /// The columns of a digest for one alert, as they are shown.
    /// - Parameter item: the alert with its rule's texts, rendered.
    public func columns(
        of item: Notification.Item, alert: Alert, digest: DigestSettings
    ) -> [Notification.Item.Pair] {
        digest.columns.map { Notification.Item.Pair($0.title, text(of: $0.source, item, alert)) }
    }

    /// The items in a digest's order: what is over stands last, texts that are empty behind others.
    public func sorted(
        _ items: [(item: Notification.Item, alert: Alert)], by keys: [DigestSettings.SortKey]
    ) -> [(item: Notification.Item, alert: Alert)] {
        guard !keys.isEmpty else { return items }
        let ranks = items.map { one in keys.map { rank(of: $0.source, one.item, one.alert) } }
        let order = items.indices.sorted { left, right in
            let isOver = (items[left].item.state == .resolved, items[right].item.state == .resolved)
            if isOver.0 != isOver.1 { return isOver.1 }
            for (index, key) in keys.enumerated() {
                let (one, two) = (ranks[left][index], ranks[right][index])
                if one == two { continue }
                if one == .empty || two == .empty { return two == .empty }
                return key.isDescending ? two.comesBefore(one) : one.comesBefore(two)
            }
            return left < right
        }
        return order.map { items[$0] }
    }

    /// What a digest sorts by: numbers before texts.
    private enum Rank: Equatable {
        case number(Double)
        case text(String)
        case empty

        func comesBefore(_ other: Rank) -> Bool {
            switch (self, other) {
            case (.number(let one), .number(let two)): one < two
            case (.text(let one), .text(let two)): one < two
            case (.number, _), (.text, .empty): true
            default: false
            }
        }
    }

    private func rank(of source: String, _ item: Notification.Item, _ alert: Alert) -> Rank {
        if source == "severity" { return .number(Double(alert.severity.rawValue)) }
        if source == "since" { return alert.firingSince.map { .number(Double($0.milliseconds)) } ?? .empty }
        let text = text(of: source, item, alert)
        guard !text.isEmpty else { return .empty }
        return Double(text).flatMap { $0.isFinite ? .number($0) : nil } ?? .text(text)
    }

    private func text(of source: String, _ item: Notification.Item, _ alert: Alert) -> String {
        switch source {
        case "severity": return alert.severity.description
        case "since": return alert.firingSince.map(locale.dateTime) ?? ""
        case "key": return alert.keyDisplay
        case "rule": return alert.rule
        case "table": return alert.table
        case "owner": return alert.owner
        case "recipient": return alert.recipient ?? ""
        case "summary": return item.title
        case "state": return item.state.rawValue
        case "reason": return item.reason
        default: break
        }
        if source.hasPrefix("key.") {
            let index = alert.keyColumns.firstIndex(of: String(source.dropFirst(4)))
            return index.flatMap { alert.keyTexts[$0] } ?? ""
        }
        if source.hasPrefix("labels.") { return alert.labels[String(source.dropFirst(7))] ?? "" }
        if source.hasPrefix("facts.") {
            let name = source.dropFirst(6)
            return item.facts.first { $0.name == name }?.value ?? ""
        }
        return alert.columns[source]?.text ?? ""
    }

    /// What is to be said of an alert as it is.
    public func item(of alert: Alert, texts: MessageTexts, reason: String) -> Notification.Item {
        var problem: String?
        func render(_ template: Template) -> String {
            let rendered = template.render(columns: alert.columns, alert: alert, locale: locale)
            if problem == nil { problem = rendered.problem }
            return rendered.text
        }
        let key = alert.keyDisplay
        let plain = key.isEmpty ? alert.rule : "\(alert.rule): \(key)"
        var item = Notification.Item(
            incidentKey: alert.incidentKey.description, rule: alert.rule, table: alert.table, owner: alert.owner,
            state: alert.state == .resolved ? .resolved : .firing, severity: alert.severity,
            title: texts.summary.map(render) ?? plain, keyDisplay: key, reason: reason)
        if item.title.allSatisfy(\.isWhitespace) { item.title = plain }
        item.description = texts.description
        item.keyColumns = zip(alert.keyColumns, alert.keyTexts).compactMap { column, text in
            text.map { .init(column, $0) }
        }
        item.facts = texts.facts.map { .init($0.name, render($0.text)) }
        item.links = texts.links.map { .init($0.name, render($0.text)) }
        item.labels = alert.labels.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) }
        item.firedAt = alert.firingSince
        item.resolvedAt = alert.resolvedAt
        item.firedText = alert.firingSince.map(locale.dateTime)
        item.resolvedText = alert.resolvedAt.map(locale.dateTime)
        item.isOverdue = alert.isOverdue
        item.isLastValueUnknown = alert.isLastValueUnknown
        item.templateProblem = problem
        return item
    }
}
