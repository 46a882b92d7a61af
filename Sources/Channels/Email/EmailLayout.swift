internal import Alerting
internal import Core

/// Lays a notification out as subject, text and HTML. Pure; both parts say the same.
struct EmailLayout {
    /// Most characters of a subject before it is encoded.
    static let subjectMax = 150
    /// Most characters of a title, and of any other value.
    static let titleMax = 500
    static let valueMax = 2000
    /// Items shown; the rest is counted. Mail programs cut messages above about 100 kB.
    static let itemsMax = 50
    static let htmlBytesMax = 90_000

    let notification: Notification
    /// Whom it was meant for, where it goes to the fallback address.
    let meantFor: String?
    let phrases: EmailPhrases

    init(_ notification: Notification, meantFor: String?) {
        self.notification = notification
        self.meantFor = meantFor
        phrases = .of(locale: notification.locale)
    }

    /// A text cut to a number of characters, with an ellipsis.
    static func cut(_ text: String, _ max: Int) -> String {
        // No text has more characters than bytes.
        text.utf8.count <= max || text.count <= max ? text : text.prefix(max - 1) + "…"
    }

    var itemCount: Int { notification.items.count + notification.omittedCount }

    // MARK: Subject

    /// `[CRITICAL] Line L3: 7.2% defects`; the state first, since phones show the beginning only.
    var subject: String {
        let first = notification.items.first
        let tag = "[\(tagText.uppercased())]"
        if notification.reason == .alreadyOpen { return cut("\(tag) \(phrases.alreadyOpen(itemCount))") }
        guard itemCount > 1, let first else { return cut("\(tag) \(first?.title ?? notification.groupKey)") }
        let firing = notification.items.count { $0.state == .firing }
        let resolved = notification.items.count { $0.state == .resolved }
        let isMixed = firing > 0 && resolved > 0
        let counted =
            isMixed
            ? "\(firing) \(phrases.firingWord), \(resolved) \(phrases.resolvedWord)" : phrases.alerts(itemCount)
        return cut("\(tag) \(counted): \(first.title)")
    }

    private func cut(_ text: String) -> String { EmailLayout.cut(EmailHeader.cleaned(text), EmailLayout.subjectMax) }

    private var tagText: String {
        if notification.isResolved { return phrases.resolvedWord }
        let open = notification.items.filter { $0.state != .resolved }.map(\.severity).max()
        return phrases.name(of: open ?? notification.severity)
    }

    /// The open severity that colours the message; nil when all is over.
    var openSeverity: Severity? {
        notification.isResolved ? nil : notification.items.filter { $0.state != .resolved }.map(\.severity).max()
    }

    /// What most alerts of a storm have in common.
    var counts: String? {
        guard !notification.counts.isEmpty else { return nil }
        let texts = notification.counts.map { "\(EmailLayout.oneLine(EmailLayout.cut($0.name, 100))): \($0.value)" }
        return texts.joined(separator: " · ")
    }

    // MARK: Parts of an item

    /// The rows of the table of one item: name and value.
    func rows(of item: Notification.Item) -> [Notification.Item.Pair] {
        var rows: [Notification.Item.Pair] = []
        func add(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            rows.append(.init(name, EmailLayout.cut(value, EmailLayout.valueMax)))
        }
        add(phrases.state, stateText(of: item))
        add(phrases.key, item.keyDisplay)
        for fact in item.facts { add(EmailLayout.cut(fact.name, 100), fact.value) }
        add(phrases.fired, item.firedText)
        add(phrases.resolved, item.resolvedText)
        add(phrases.reason, item.reason)
        add(phrases.rule, item.description.map { "\(item.rule): \($0)" } ?? item.rule)
        add(phrases.table, item.table)
        add(phrases.owner, item.owner)
        add(phrases.labels, item.labels.map { "\($0.name)=\($0.value)" }.joined(separator: ", "))
        return rows
    }

    func stateText(of item: Notification.Item) -> String {
        var text = "\(phrases.name(of: item.state)), \(phrases.name(of: item.severity))"
        if let previous = item.previousSeverity, previous != item.severity {
            text += " (\(phrases.wasLevel) \(phrases.name(of: previous)))"
        }
        return text
    }

    /// What qualifies an item: overdue, last value unknown, its text not rendered.
    func remarks(of item: Notification.Item) -> [String] {
        var remarks: [String] = []
        if item.isToldBefore { remarks.append(phrases.stillOpen) }
        if item.isOverdue { remarks.append(phrases.overdue) }
        if item.isLastValueUnknown { remarks.append(phrases.lastValueUnknown) }
        if let problem = item.templateProblem {
            remarks.append("\(phrases.templateProblem): \(EmailLayout.cut(problem, 300))")
        }
        return remarks
    }

    func title(of item: Notification.Item) -> String { EmailLayout.cut(item.title, EmailLayout.titleMax) }

    /// Links that a mail program may open; others are left out.
    func links(of item: Notification.Item) -> [Notification.Item.Pair] {
        item.links.filter { EmailLayout.isSafe(address: $0.value) }.prefix(10).map { $0 }
    }

    static func isSafe(address: String) -> Bool {
        let lower = address.lowercased()
        guard ["https://", "http://", "mailto:"].contains(where: { lower.hasPrefix($0) }) else { return false }
        return address.utf8.count <= 2000
            && address.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x3C && $0 != 0x3E }
    }

    // MARK: Text

    /// The plain part.
    var text: String { text(itemCountMax: EmailLayout.itemsMax) }

    func text(itemCountMax: Int) -> String {
        var text = ""
        if let meantFor { text += "\(phrases.meantFor) \(meantFor).\n\n" }
        if let counts { text += "\(counts)\n\n" }
        let shown = notification.items.prefix(itemCountMax)
        for (index, item) in shown.enumerated() {
            if index > 0 { text += "\n----------------------------------------\n\n" }
            append(item, to: &text)
        }
        let rest = itemCount - shown.count
        if rest > 0 { text += "\n\(phrases.more(rest))\n" }
        if itemCount != 1 || notification.openCount > 1 { text += "\n\(phrases.open(notification.openCount)).\n" }
        return text + "\n-- \n\(phrases.footer) · \(notification.receiver)\n"
    }

    private func append(_ item: Notification.Item, to text: inout String) {
        let tag = item.state == .resolved ? phrases.resolvedWord : phrases.name(of: item.severity)
        text += "[\(tag.uppercased())] \(EmailLayout.oneLine(title(of: item)))\n\n"
        let rows = rows(of: item)
        let width = min(24, rows.map(\.name.count).max() ?? 0)
        for row in rows {
            let name = EmailLayout.oneLine(row.name)
            let blanks = String(repeating: " ", count: max(1, width + 2 - name.count))
            text += "\(name):\(blanks)\(EmailLayout.indented(row.value, width + 3))\n"
        }
        for remark in remarks(of: item) { text += "! \(EmailLayout.oneLine(remark))\n" }
        let links = links(of: item)
        if !links.isEmpty { text += "\n" }
        for link in links { text += "\(EmailLayout.oneLine(link.name)): \(link.value)\n" }
    }

    static func oneLine(_ text: String) -> String { EmailHeader.cleaned(text) }

    private static func indented(_ text: String, _ width: Int) -> String {
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return oneLine(text) }
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.map { oneLine(String($0)) }
        return lines.joined(separator: "\n" + String(repeating: " ", count: width))
    }
}
