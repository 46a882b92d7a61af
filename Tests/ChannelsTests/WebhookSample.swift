import Alerting
import ConfigFiles
import Core
import Store

@testable import Channels

/// What the tests of webhooks share.
enum WebhookSample {
    static let key = "whsec_AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk="
    static let otherKey = "whsec_yMfGxcTDwsHAv769vLu6ubi3trW0s7Kx"

    static func configuration(_ yaml: String) -> (WebhookReceiverConfiguration?, [Diagnostic]) {
        let reader = ConfigReader()
        let configuration = reader.mapping(of: ConfigFile(text: yaml, file: "alert-router.yaml")) {
            WebhookReceiverConfiguration($0, name: "hook")
        }
        return (configuration, reader.sortedDiagnostics)
    }

    static func resolver(_ values: [String: String]) -> SecretResolver {
        SecretResolver(environment: { values[$0] }, readFile: { _ in [] })
    }

    static func options(
        _ format: WebhookFormat, alertsMax: Int = 100, bytesMax: Int = 1 << 20, externalURL: String = ""
    ) -> WebhookBodyOptions {
        WebhookBodyOptions(format: format, alertsMax: alertsMax, bytesMax: bytesMax, externalURL: externalURL)
    }

    static func item(
        _ number: Int = 1, state: Notification.Item.State = .firing, severity: Severity = .critical
    ) -> Notification.Item {
        var item = TeamsSample.item(number, state: state, severity: severity)
        item.keyColumns = [.init("plant", "P1"), .init("line", String(number))]
        item.labels = [.init("team", "quality")]
        item.firedAt = Timestamp(milliseconds: 1_768_195_669_985)
        if state == .resolved { item.resolvedAt = Timestamp(milliseconds: 1_768_195_900_000) }
        return item
    }

    static func notification(
        _ items: [Notification.Item], group: String = "line-defect-rate", omittedCount: Int = 0
    ) -> Notification {
        var notification = TeamsSample.notification(items, omittedCount: omittedCount)
        notification.receiver = "hook"
        notification.groupKey = group
        return notification
    }

    static func row(_ notification: Notification, key: String = "0123456789abcdef0123456789abcdef") -> OutboxRecord {
        OutboxRecord(
            receiver: "hook", lane: "l", kind: OutboxKind.notification, incidentKey: "k", rule: "r", severity: .error,
            priority: .normal, createdAt: .epoch, idempotencyKey: key, payload: notification.bytes, recipient: nil)
    }

    /// Every text of it hostile.
    static func hostile(_ text: String) -> Notification {
        var item = item(severity: .error)
        item.title = text
        item.keyDisplay = text
        item.description = text
        item.owner = text
        item.table = text
        item.reason = text
        item.facts = (0..<8).map { .init("\(text)\($0)", text) } + [.init(text, text), .init("summary", "other")]
        item.links = [.init(text, text), .init("Runbook", text), .init("", "https://ok.example")]
        item.labels = [.init("free", text), .init("severity", text)]
        item.keyColumns = [.init("column", text), .init("alertname", text)]
        return notification([item, item, Self.item(2)], group: text.isEmpty ? "g" : text)
    }
}
