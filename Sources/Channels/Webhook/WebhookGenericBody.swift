internal import Alerting
internal import Core

/// Our own payload; `docs/channels/webhook.md` lists its members.
struct WebhookGenericBody {
    private let notification: Notification
    private let detail: WebhookBody.Detail

    init(_ notification: Notification, detail: WebhookBody.Detail) {
        self.notification = notification
        self.detail = detail
    }

    /// `alert.firing` where anything of it is firing.
    private var type: String {
        if notification.isResolved { return "alert.resolved" }
        let isEvent = !notification.items.isEmpty && notification.items.allSatisfy { $0.state == .event }
        return isEvent ? "alert.event" : "alert.firing"
    }

    var json: JSON {
        .object([
            "type": .string(type), "timestamp": .string(notification.createdAt.description), "data": data,
        ])
    }

    /// Source: CloudEvents 1.0, JSON format.
    func cloudEvent(id: String, externalURL: String) -> JSON {
        let single = notification.items.count == 1 ? notification.items.first?.incidentKey : nil
        let subject = text(single ?? notification.groupKey)
        let own = "/alert-router/receivers/" + WebhookGenericBody.encoded(notification.receiver)
        var members: [JSON.Member] = [
            .init("specversion", .string("1.0")), .init("id", .string(id)),
            .init("source", .string(externalURL.isEmpty ? own : externalURL)),
            .init("type", .string(type)),
        ]
        if !subject.isEmpty { members.append(.init("subject", .string(subject))) }
        members += [
            .init("time", .string(notification.createdAt.description)),
            .init("datacontenttype", .string("application/json")), .init("data", data),
        ]
        return .object(members)
    }

    private var data: JSON {
        .object([
            "version": .integer(1), "receiver": .string(notification.receiver),
            "reason": .string(notification.reason.rawValue), "group": .string(label(notification.groupKey)),
            "severity": .string(notification.severity.description), "open_count": .integer(notification.openCount),
            "omitted_count": .integer(notification.omittedCount), "alerts": .array(notification.items.map(alert)),
        ])
    }

    private func alert(_ item: Notification.Item) -> JSON {
        func time(_ time: Timestamp?) -> JSON { .optional(time?.description) }
        return .object([
            "incident_key": .string(item.incidentKey), "fingerprint": .string(item.fingerprintText),
            "episode": IncidentKey(item.incidentKey).map { .integer($0.episode) } ?? .null,
            "state": .string(item.state.rawValue), "severity": .string(item.severity.description),
            "previous_severity": .optional(item.previousSeverity?.description), "rule": .string(label(item.rule)),
            "table": .string(label(item.table)), "owner": .string(label(item.owner)), "key": map(item.keyColumns),
            "labels": map(item.labels), "title": .string(text(item.title)), "key_text": .string(text(item.keyDisplay)),
            "description": detail.isBare ? .null : .optional(item.description.map(text)),
            "facts": pairs(item.facts, value: "value"), "links": pairs(item.links, value: "url"),
            "fired_at": time(item.firedAt), "resolved_at": time(item.resolvedAt), "reason": .string(text(item.reason)),
            "is_overdue": .bool(item.isOverdue), "is_last_value_unknown": .bool(item.isLastValueUnknown),
        ])
    }

    private func text(_ text: String) -> String { WebhookBody.cut(text, detail.textBytesMax) }
    private func label(_ text: String) -> String { WebhookBody.cut(text, detail.labelBytesMax) }

    private func map(_ pairs: [Notification.Item.Pair]) -> JSON {
        let texts = Dictionary(pairs.prefix(detail.pairsMax).map { (label($0.name), label($0.value)) }) { _, last in
            last
        }
        return .object(texts.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) })
    }

    private func pairs(_ pairs: [Notification.Item.Pair], value: String) -> JSON {
        guard !detail.isBare else { return .array([]) }
        return .array(
            pairs.prefix(detail.pairsMax).map {
                .object([
                    JSON.Member("name", .string(text($0.name))), JSON.Member(value, .string(text($0.value))),
                ])
            })
    }

    /// Percent-encodes everything but unreserved characters.
    private static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let isPlain =
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "-._~".utf8.contains(byte)
            result += isPlain ? String(UnicodeScalar(byte)) : "%" + Hex.encode([byte]).uppercased()
        }
        return result
    }
}
