internal import Alerting
internal import Core

/// The payload of Alertmanager's webhook, version 4.
///
/// Source: prometheus/alertmanager, documentation of `webhook_config`; the order of the members is that of its own
/// messages.
struct WebhookAlertmanagerBody {
    private struct AlertForm {
        var isResolved: Bool
        var labels: [String: String]
        var annotations: [String: String]
        var startsAt: String
        var endsAt: String
        var generatorURL: String
        var fingerprint: String
    }

    /// What Alertmanager writes where there is no end.
    private static let noTime = "0001-01-01T00:00:00Z"

    private let notification: Notification
    private let detail: WebhookBody.Detail
    private let externalURL: String

    init(_ notification: Notification, detail: WebhookBody.Detail, externalURL: String) {
        self.notification = notification
        self.detail = detail
        self.externalURL = externalURL
    }

    var json: JSON {
        let alerts = notification.items.map(form)
        let commonLabels = WebhookAlertmanagerBody.common(alerts.map(\.labels))
        return .object([
            "receiver": .string(notification.receiver),
            "status": .string(WebhookAlertmanagerBody.status(alerts.allSatisfy(\.isResolved) && !alerts.isEmpty)),
            "alerts": .array(alerts.map(json)),
            "groupLabels": map(groupLabels(commonLabels)),
            "commonLabels": map(commonLabels),
            "commonAnnotations": map(WebhookAlertmanagerBody.common(alerts.map(\.annotations))),
            "externalURL": .string(externalURL),
            "version": .string("4"),
            "groupKey": .string(WebhookBody.cut(notification.groupKey, detail.labelBytesMax)),
            "truncatedAlerts": .integer(notification.omittedCount),
        ])
    }

    private static func status(_ isResolved: Bool) -> String { isResolved ? "resolved" : "firing" }

    private func json(_ alert: AlertForm) -> JSON {
        .object([
            "status": .string(WebhookAlertmanagerBody.status(alert.isResolved)),
            "labels": map(alert.labels), "annotations": map(alert.annotations), "startsAt": .string(alert.startsAt),
            "endsAt": .string(alert.endsAt), "generatorURL": .string(alert.generatorURL),
            "fingerprint": .string(alert.fingerprint),
        ])
    }

    private func map(_ texts: [String: String]) -> JSON {
        .object(texts.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) })
    }

    private func form(of item: Notification.Item) -> AlertForm {
        let isResolved = item.state == .resolved
        let generator = generator(of: item)
        return AlertForm(
            isResolved: isResolved, labels: labels(of: item), annotations: annotations(of: item),
            startsAt: (item.firedAt ?? item.resolvedAt ?? notification.createdAt).description,
            endsAt: isResolved
                ? (item.resolvedAt ?? notification.createdAt).description : WebhookAlertmanagerBody.noTime,
            generatorURL: generator, fingerprint: String(item.fingerprintText.prefix(16)))
    }

    private func labels(of item: Notification.Item) -> [String: String] {
        // What tells alerts apart for any receiver stays, however many there are.
        let first = ["alertname", "severity", "table", "owner"]
        let all = item.labelSet.sorted {
            (first.contains($0.key) ? 0 : 1, $0.key) < (first.contains($1.key) ? 0 : 1, $1.key)
        }
        var labels: [String: String] = [:]
        for (name, value) in all.prefix(detail.pairsMax) {
            labels[WebhookBody.cut(name, detail.labelBytesMax)] = WebhookBody.cut(value, detail.labelBytesMax)
        }
        return labels
    }

    private func annotations(of item: Notification.Item) -> [String: String] {
        var annotations: [String: String] = [:]
        func add(_ name: String, _ value: String) {
            let name = WebhookBody.cut(name, detail.textBytesMax)
            guard !name.isEmpty, !value.isEmpty, annotations[name] == nil else { return }
            annotations[name] = WebhookBody.cut(value, detail.textBytesMax)
        }
        add("summary", item.title)
        add("reason", item.reason)
        guard !detail.isBare else { return annotations }
        add("description", item.description ?? "")
        for fact in item.facts.prefix(detail.pairsMax) { add(fact.name, fact.value) }
        for link in item.links.prefix(detail.pairsMax) where link.name.lowercased() != "source" {
            add(link.name.lowercased() == "runbook" ? "runbook_url" : link.name, link.value)
        }
        return annotations
    }

    /// The link named `Source`, else the first that is no runbook.
    private func generator(of item: Notification.Item) -> String {
        guard !detail.isBare else { return "" }
        let links = item.links.prefix(detail.pairsMax)
        let source =
            links.first { $0.name.lowercased() == "source" } ?? links.first { $0.name.lowercased() != "runbook" }
        return source.flatMap { TeamsText.link($0.value) } ?? ""
    }

    /// What all have.
    private static func common(_ all: [[String: String]]) -> [String: String] {
        guard var common = all.first else { return [:] }
        for texts in all.dropFirst() where !common.isEmpty { common = common.filter { texts[$0.key] == $0.value } }
        return common
    }

    /// The labels that the group is made by, as its key names them: a rule, or `{name="value", …}`.
    private func groupLabels(_ common: [String: String]) -> [String: String] {
        let key = notification.groupKey
        guard key.hasPrefix("{") else {
            let isRule = !notification.items.isEmpty && notification.items.allSatisfy { $0.rule == key }
            return isRule ? common.filter { $0.key == "alertname" } : [:]
        }
        let bytes = Array(key.utf8)
        return common.filter { name, value in
            let pair = Array("\(name)=\(JSON.string(value))".utf8)
            return WebhookAlertmanagerBody.holds(bytes, pair)
        }
    }

    /// Whether a group's key names a pair: at its begin, or after a comma.
    private static func holds(_ key: [UInt8], _ pair: [UInt8]) -> Bool {
        guard key.count > pair.count else { return false }
        for start in 1...(key.count - pair.count) where key[start] == pair[0] {
            let isFirst = start == 1
            let isBehindComma =
                start > 2 && key[start - 1] == UInt8(ascii: " ") && key[start - 2] == UInt8(ascii: ",")
            guard isFirst || isBehindComma else { continue }
            if key[start..<(start + pair.count)].elementsEqual(pair) { return true }
        }
        return false
    }
}
