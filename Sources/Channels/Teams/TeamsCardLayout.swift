internal import Alerting
internal import Core

/// One layout of one notification, at one level of detail.
struct TeamsCardLayout {
    let notification: Notification
    let detail: TeamsCard.Detail
    private let phrases: TeamsPhrases

    init(notification: Notification, detail: TeamsCard.Detail) {
        self.notification = notification
        self.detail = detail
        phrases = TeamsPhrases.of(locale: notification.locale)
    }

    func card(itemCount: Int, isFullWidth: Bool) -> JSON {
        let items = Array(notification.items.prefix(itemCount))
        let isSingle = notification.items.count == 1 && notification.omittedCount == 0
        var body: [JSON] = [header(isSingle: isSingle)]
        if let counts { body.append(line([run(counts)], spacing: "Medium")) }
        var usedIds: Set<String> = []
        for item in items {
            let id = TeamsText.line(item.incidentKey, bytesMax: 200)
            body.append(container(for: item, id: usedIds.insert(id).inserted ? id : nil, isSingle: isSingle))
        }
        let restCount = notification.items.count - items.count + notification.omittedCount
        if restCount > 0 { body.append(line([run(phrases.more(restCount), weight: "Bolder")], spacing: "Medium")) }
        if !isSingle, notification.openCount > 0 {
            body.append(line([run(phrases.open(notification.openCount), isSubtle: true)], spacing: "Medium"))
        }
        var members: [JSON.Member] = [
            .init("$schema", .string("http://adaptivecards.io/schemas/adaptive-card.json")),
            .init("type", .string("AdaptiveCard")),
            .init("version", .string("1.4")),
            .init("fallbackText", .string(fallbackText)),
            .init("body", .array(body)),
        ]
        let actions = actions(items)
        if !actions.isEmpty { members.append(.init("actions", .array(actions))) }
        if isFullWidth { members.append(.init("msteams", .object(["width": .string("Full")]))) }
        return .object(members)
    }

    // MARK: Header

    /// What most alerts of a storm have in common.
    private var counts: String? {
        guard !notification.counts.isEmpty else { return nil }
        let texts = notification.counts.map { "\(TeamsText.line($0.name, bytesMax: 100)): \($0.value)" }
        return texts.joined(separator: " · ")
    }

    private var title: String {
        let items = notification.items
        if items.count == 1, notification.omittedCount == 0, let item = items.first { return item.title }
        let count = items.count + notification.omittedCount
        if notification.reason == .alreadyOpen { return phrases.alreadyOpen(count) }
        let rules = Set(items.map(\.rule))
        let rule = rules.count == 1 ? rules.first : nil
        return rule.map { "\(phrases.alerts(count)) · \($0)" } ?? phrases.alerts(count)
    }

    private var word: String {
        if notification.items.count == 1, let item = notification.items.first { return phrases.word(for: item) }
        return notification.isResolved ? phrases.resolved : phrases.name(of: openSeverity)
    }

    /// The highest severity of what is not over.
    private var openSeverity: Severity {
        notification.items.filter { $0.state != .resolved }.map(\.severity).max() ?? notification.severity
    }

    private var fallbackText: String {
        TeamsText.withoutMarkup(
            "\(word): \(TeamsText.line(title, bytesMax: min(detail.titleBytesMax, 300)))")
    }

    private func header(isSingle: Bool) -> JSON {
        let style = notification.isResolved ? "good" : TeamsCardLayout.style(of: openSeverity)
        let color = notification.isResolved ? "Good" : TeamsCardLayout.color(of: openSeverity)
        return .object([
            "type": .string("Container"), "style": .string(style), "bleed": .bool(true),
            "items": .array([
                line([run(word, weight: "Bolder", color: color)], spacing: nil),
                line(
                    [run(TeamsText.line(title, bytesMax: detail.titleBytesMax), weight: "Bolder", size: "Medium")],
                    spacing: "Small"),
            ]),
        ])
    }

    private static func style(of severity: Severity) -> String {
        switch severity {
        case .critical, .error: "attention"
        case .warning: "warning"
        case .info: "accent"
        }
    }

    private static func color(of severity: Severity) -> String {
        switch severity {
        case .critical, .error: "Attention"
        case .warning: "Warning"
        case .info: "Accent"
        }
    }

    // MARK: Items

    private func container(for item: Notification.Item, id: String?, isSingle: Bool) -> JSON {
        var elements: [JSON] = []
        if !isSingle {
            let color = item.state == .resolved ? "Good" : TeamsCardLayout.color(of: item.severity)
            elements.append(
                line(
                    [
                        run(phrases.word(for: item) + "  ", weight: "Bolder", color: color),
                        run(TeamsText.line(item.title, bytesMax: detail.titleBytesMax)),
                    ], spacing: nil))
        }
        let about = subtitle(item)
        if !about.isEmpty { elements.append(line([run(about, isSubtle: true)], spacing: isSingle ? nil : "None")) }
        if isSingle, detail.hasDescription, let description = item.description, !description.isEmpty {
            elements.append(
                line([run(TeamsText.block(description, bytesMax: detail.textBytesMax))], spacing: "Small"))
        }
        elements += facts(item, isSingle: isSingle)
        for note in notes(item) { elements.append(line([run(note, isItalic: true)], spacing: "Small")) }
        if elements.isEmpty { elements.append(line([run(TeamsText.line(item.rule, bytesMax: 120))], spacing: nil)) }
        var members: [JSON.Member] = [.init("type", .string("Container"))]
        if let id { members.append(.init("id", .string(id))) }
        if !isSingle { members.append(.init("separator", .bool(true))) }
        members.append(.init("items", .array(elements)))
        return .object(members)
    }

    /// Key and times.
    private func subtitle(_ item: Notification.Item) -> String {
        let texts = [item.keyDisplay, phrases.times(item)].map { TeamsText.line($0, bytesMax: detail.textBytesMax) }
        return texts.filter { !$0.isEmpty }.joined(separator: " · ")
    }

    private func notes(_ item: Notification.Item) -> [String] {
        var notes: [String] = []
        if item.state == .firing, let previous = item.previousSeverity {
            notes.append("\(phrases.was) \(phrases.name(of: previous))")
        }
        if item.isToldBefore { notes.append(phrases.stillOpen) }
        if item.isOverdue { notes.append(phrases.overdue) }
        if item.isLastValueUnknown { notes.append(phrases.lastValueUnknown) }
        if let problem = item.templateProblem {
            notes.append(phrases.templateProblem + ": " + TeamsText.line(problem, bytesMax: 160))
        }
        return notes
    }

    private func facts(_ item: Notification.Item, isSingle: Bool) -> [JSON] {
        var pairs = item.facts
        if isSingle, detail.factsMax > 5 {
            pairs.append(.init(phrases.rule, item.rule))
            if !item.owner.isEmpty { pairs.append(.init(phrases.owner, item.owner)) }
        }
        let shown = pairs.prefix(detail.factsMax).map { pair in
            (
                name: TeamsText.line(pair.name, bytesMax: min(120, detail.textBytesMax)),
                value: TeamsText.line(pair.value, bytesMax: detail.textBytesMax)
            )
        }
        guard !shown.isEmpty else { return [] }
        let hasMarkup = shown.contains { TeamsText.couldBeMarkup($0.name) || TeamsText.couldBeMarkup($0.value) }
        if hasMarkup || !isSingle {
            if isSingle {
                return shown.map { line([run($0.name + "  ", weight: "Bolder"), run($0.value)], spacing: "Small") }
            }
            let runs = shown.enumerated().flatMap { index, pair in
                [run((index > 0 ? " · " : "") + pair.name + " ", isSubtle: true), run(pair.value)]
            }
            return [line(runs, spacing: "None")]
        }
        let list = shown.map { JSON.object(["title": .string($0.name), "value": .string($0.value)]) }
        return [
            .object(["type": .string("FactSet"), "spacing": .string("Small"), "facts": .array(list)])
        ]
    }

    // MARK: Actions

    private func actions(_ items: [Notification.Item]) -> [JSON] {
        var seen: Set<String> = []
        var actions: [JSON] = []
        for link in items.flatMap(\.links) where actions.count < detail.linksMax {
            guard let url = TeamsText.link(link.value), url.utf8.count <= detail.linkBytesMax,
                seen.insert(url).inserted
            else { continue }
            let title = TeamsText.line(link.name, bytesMax: 80)
            actions.append(
                .object([
                    "type": .string("Action.OpenUrl"), "title": .string(title.isEmpty ? "Link" : title),
                    "url": .string(url),
                ]))
        }
        return actions
    }

    // MARK: Elements

    private func line(_ runs: [JSON], spacing: String?) -> JSON {
        var members: [JSON.Member] = [.init("type", .string("RichTextBlock"))]
        if let spacing { members.append(.init("spacing", .string(spacing))) }
        members.append(.init("inlines", .array(runs)))
        return .object(members)
    }

    private func run(
        _ text: String, weight: String? = nil, size: String? = nil, color: String? = nil, isSubtle: Bool = false,
        isItalic: Bool = false
    ) -> JSON {
        var members: [JSON.Member] = [
            .init("type", .string("TextRun")), .init("text", .string(text.isEmpty ? " " : text)),
        ]
        if let weight { members.append(.init("weight", .string(weight))) }
        if let size { members.append(.init("size", .string(size))) }
        if let color { members.append(.init("color", .string(color))) }
        if isSubtle { members.append(.init("isSubtle", .bool(true))) }
        if isItalic { members.append(.init("italic", .bool(true))) }
        return .object(members)
    }
}
