public import Alerting
internal import Core

/// What a webhook's body looks like.
public enum WebhookFormat: String, Sendable, CaseIterable {
    /// Our own JSON, in the envelope that Standard Webhooks recommends.
    case generic
    /// That of Alertmanager's webhook, version 4.
    case alertmanager
    /// Our own JSON as the data of a CloudEvent, in structured mode.
    case cloudEvents = "cloudevents"

    var contentType: String {
        switch self {
        case .generic, .alertmanager: "application/json"
        case .cloudEvents: "application/cloudevents+json; charset=utf-8"
        }
    }
}

/// How bodies of webhooks are laid out.
public struct WebhookBodyOptions: Sendable, Equatable {
    public var format: WebhookFormat
    /// Most alerts in one message.
    public var alertsMax: Int
    /// Most bytes of a message.
    public var bytesMax: Int
    /// The router's own address, as messages name it; empty for none.
    public var externalURL: String

    /// One alert with its texts cut fits into it, whatever they hold.
    public static let bytesLeast = 256 << 10
    public static let bytesMost = 8 << 20

    /// Makes options.
    public init(format: WebhookFormat, alertsMax: Int, bytesMax: Int, externalURL: String) {
        self.format = format
        self.alertsMax = max(1, alertsMax)
        self.bytesMax = max(WebhookBodyOptions.bytesLeast, bytesMax)
        self.externalURL = externalURL
    }
}

/// Lays a notification out as JSON; pure.
///
/// Texts stand as they are; JSON knows no markup. What does not fit is left out in a fixed order: long texts are cut
/// (labels last), then alerts are left out and counted, then facts, links and descriptions.
public enum WebhookBody {
    /// How much is told of each alert.
    struct Detail {
        var textBytesMax: Int
        var labelBytesMax: Int
        var isBare = false

        /// Most labels, facts or links of one alert.
        var pairsMax: Int { isBare ? 32 : 200 }

        static let steps = [
            Detail(textBytesMax: 16_384, labelBytesMax: 16_384), Detail(textBytesMax: 2048, labelBytesMax: 4096),
            Detail(textBytesMax: 256, labelBytesMax: 1024),
        ]
        static let least = Detail(textBytesMax: 128, labelBytesMax: 256, isBare: true)
    }

    /// The body, at most as many bytes as the options allow.
    ///
    /// - Parameter id: what the message is known by, the same at every attempt.
    public static func message(for notification: Notification, id: String, options: WebhookBodyOptions) -> [UInt8] {
        let count = min(notification.items.count, options.alertsMax)
        func fitting(_ count: Int, _ detail: Detail) -> [UInt8]? {
            let bytes = render(notification, id: id, count: count, detail: detail, options: options)
            return bytes.count <= options.bytesMax ? bytes : nil
        }
        for detail in Detail.steps {
            if let bytes = fitting(count, detail) { return bytes }
        }
        for detail in [Detail.steps[Detail.steps.count - 1], Detail.least] {
            var fewer = count
            while fewer > 1 {
                fewer /= 2
                if let bytes = fitting(fewer, detail) { return bytes }
            }
        }
        return render(notification, id: id, count: min(count, 1), detail: .least, options: options)
    }

    private static func render(
        _ notification: Notification, id: String, count: Int, detail: Detail, options: WebhookBodyOptions
    ) -> [UInt8] {
        var kept = notification
        kept.items = Array(notification.items.prefix(count))
        kept.omittedCount += notification.items.count - count
        switch options.format {
        case .alertmanager:
            return WebhookAlertmanagerBody(kept, detail: detail, externalURL: options.externalURL).json.bytes
        case .generic: return WebhookGenericBody(kept, detail: detail).json.bytes
        case .cloudEvents:
            return WebhookGenericBody(kept, detail: detail).cloudEvent(id: id, externalURL: options.externalURL).bytes
        }
    }

    /// A text of at most so many bytes, cut between characters.
    static func cut(_ text: String, _ bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        var result = ""
        var count = "…".utf8.count
        // A character of any length stands for one scalar at least, so no more than the bound is ever looked at.
        for scalar in text.unicodeScalars {
            count += UTF8.width(scalar)
            guard count <= bytesMax else { break }
            result.unicodeScalars.append(scalar)
        }
        return result + "…"
    }
}

extension Notification.Item {
    /// What matchers, routes and the API see of the alert.
    var labelSet: [String: String] {
        AlertSubject(
            rule: rule, table: table, owner: owner, severity: severity,
            labels: Dictionary(labels.map { ($0.name, $0.value) }) { _, last in last },
            keyColumns: keyColumns.map(\.name), keyTexts: keyColumns.map(\.value), recipient: nil
        ).labelSet
    }

    /// The 64 digits of the alert's fingerprint; the whole key where it is no incident key.
    var fingerprintText: String {
        IncidentKey(incidentKey).map { "\($0.fingerprint)" } ?? incidentKey
    }
}
