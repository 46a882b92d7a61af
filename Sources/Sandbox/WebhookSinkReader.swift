internal import Core
internal import Crypto
internal import Foundation

/// Why a strict webhook refuses a request.
struct WebhookSinkFault: Error {
    var status = 400
    var message: String
    init(_ message: String, status: Int = 400) {
        self.message = message
        self.status = status
    }
}

/// A key that a strict webhook accepts signatures of.
struct WebhookSinkKey: Sendable {
    private let key: SymmetricKey

    init?(_ text: String) {
        guard text.hasPrefix("whsec_"), let data = Data(base64Encoded: String(text.dropFirst(6))) else { return nil }
        key = SymmetricKey(data: data)
    }

    func hasSigned(_ content: [UInt8], _ signature: String) -> Bool {
        guard let code = Data(base64Encoded: signature) else { return false }
        return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: content, using: key)
    }
}

/// Reads a request as a careful receiver does.
enum WebhookSinkReader {
    /// How far the time of a signature may be off.
    private static let toleranceSeconds: Int64 = 300

    static func message(
        _ request: HTTPSinkRequest, keys: [WebhookSinkKey]
    ) throws(WebhookSinkFault) -> WebhookSinkMessage {
        try expect(request.method == "POST", "the method must be POST")
        let names = request.headers.map { $0.name.lowercased() }
        try expect(Set(names).count == names.count, "a header stands twice")
        let id = try verified(request, keys: keys)
        let body: JSON
        do { body = try JSON.parse(request.body) } catch { throw WebhookSinkFault("no JSON: \(error)") }
        let isPlain = request.header("content-type")?.lowercased().hasPrefix("application/json") == true
        let form: WebhookSinkMessage.Form
        if body["specversion"] != nil {
            let type = request.header("content-type")?.lowercased() ?? ""
            try expect(type.hasPrefix("application/cloudevents+json"), "a CloudEvent has a content type of its own")
            try checkCloudEvent(body, id: id)
            form = .cloudEvents
        } else {
            try expect(isPlain, "the content type must be application/json")
            if body["version"] != nil { try checkAlertmanager(body) } else { try checkGeneric(body) }
            form = body["version"] != nil ? .alertmanager : .generic
        }
        return WebhookSinkMessage(receivedAt: request.receivedAt, id: id, form: form, body: body)
    }

    private static func expect(_ holds: Bool, _ message: String) throws(WebhookSinkFault) {
        if !holds { throw WebhookSinkFault(message) }
    }

    // MARK: - Standard Webhooks

    private static func verified(
        _ request: HTTPSinkRequest, keys: [WebhookSinkKey]
    ) throws(WebhookSinkFault) -> String {
        guard let id = request.header("webhook-id"), !id.isEmpty, !id.contains(".") else {
            throw WebhookSinkFault("'webhook-id' is missing or holds a dot")
        }
        guard let text = request.header("webhook-timestamp"), let time = Int64(text) else {
            throw WebhookSinkFault("'webhook-timestamp' is missing or no number")
        }
        let now = request.receivedAt.milliseconds / 1000
        guard abs(now - time) <= toleranceSeconds else {
            throw WebhookSinkFault("'webhook-timestamp' is too far from now", status: 401)
        }
        guard !keys.isEmpty else { return id }
        let content = Array("\(id).\(text).".utf8) + request.body
        let signatures = (request.header("webhook-signature") ?? "").split(separator: " ")
        let isSigned = signatures.contains { signature in
            signature.hasPrefix("v1,") && keys.contains { $0.hasSigned(content, String(signature.dropFirst(3))) }
        }
        guard isSigned else { throw WebhookSinkFault("no signature of a known key", status: 401) }
        return id
    }

    // MARK: - Bodies

    private static func members(
        _ value: JSON?, _ names: Set<String>, _ what: String
    ) throws(WebhookSinkFault) -> JSON {
        guard let value, let members = value.members else { throw WebhookSinkFault("\(what) is no object") }
        let found = members.map(\.name)
        let missing = names.subtracting(found).sorted()
        try expect(missing.isEmpty, "\(what) lacks \(missing.joined(separator: ", "))")
        let extra = Set(found).subtracting(names).sorted()
        try expect(extra.isEmpty && found.count == names.count, "\(what) has more: \(extra.joined(separator: ", "))")
        return value
    }

    private static func texts(_ value: JSON?, _ what: String) throws(WebhookSinkFault) -> [String: String] {
        guard let members = value?.members else { throw WebhookSinkFault("\(what) is no object") }
        var texts: [String: String] = [:]
        for member in members {
            guard let text = member.value.stringValue else {
                throw WebhookSinkFault("\(what) holds another than texts")
            }
            try expect(texts.updateValue(text, forKey: member.name) == nil, "\(what) names \(member.name) twice")
        }
        return texts
    }

    private static func time(_ value: JSON?, _ what: String) throws(WebhookSinkFault) -> Timestamp {
        guard let time = value?.stringValue.flatMap({ Timestamp.parse($0, zoneRequired: true) }) else {
            throw WebhookSinkFault("\(what) is no time")
        }
        return time
    }

    private static func checkAlertmanager(_ body: JSON) throws(WebhookSinkFault) {
        _ = try members(
            body,
            [
                "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
                "commonAnnotations", "externalURL", "alerts",
            ], "the message")
        try expect(body["version"]?.stringValue == "4", "the version must be the text 4")
        try expect(body["groupKey"]?.stringValue?.isEmpty == false, "there is no group key")
        try expect(body["truncatedAlerts"]?.intValue.map { $0 >= 0 } == true, "'truncatedAlerts' is no count")
        try expect(body["receiver"]?.stringValue?.isEmpty == false, "there is no receiver")
        try expect(body["externalURL"]?.stringValue != nil, "'externalURL' is no text")
        guard let alerts = body["alerts"]?.elements else { throw WebhookSinkFault("there is no list of alerts") }
        let shared = try texts(body["commonLabels"], "'commonLabels'")
        let sharedAnnotations = try texts(body["commonAnnotations"], "'commonAnnotations'")
        let group = try texts(body["groupLabels"], "'groupLabels'")
        try expect(group.allSatisfy { shared[$0.key] == $0.value }, "a label of the group is not common")
        var states: Set<String> = []
        for alert in alerts {
            let (labels, annotations) = try checkAlert(alert)
            try expect(shared.allSatisfy { labels[$0.key] == $0.value }, "a common label is not common")
            try expect(
                sharedAnnotations.allSatisfy { annotations[$0.key] == $0.value }, "a common annotation is not common")
            states.insert(alert["status"]?.stringValue ?? "")
        }
        let expected = states == ["resolved"] ? "resolved" : "firing"
        try expect(body["status"]?.stringValue == expected, "the status does not fit the alerts")
    }

    private static func checkAlert(
        _ value: JSON
    ) throws(WebhookSinkFault) -> (labels: [String: String], annotations: [String: String]) {
        let alert = try members(
            value, ["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"], "an alert")
        let labels = try texts(alert["labels"], "'labels'")
        let annotations = try texts(alert["annotations"], "'annotations'")
        try expect(labels["alertname"]?.isEmpty == false, "an alert has no name")
        try expect(labels.allSatisfy { !$0.key.isEmpty && !$0.value.isEmpty }, "a label has no name or no value")
        let start = try time(alert["startsAt"], "'startsAt'")
        switch alert["status"]?.stringValue {
        case "firing":
            try expect(alert["endsAt"]?.stringValue == "0001-01-01T00:00:00Z", "a firing alert has an end")
        case "resolved":
            try expect(try time(alert["endsAt"], "'endsAt'") >= start, "an alert ends before it starts")
        default: throw WebhookSinkFault("the status of an alert is neither firing nor resolved")
        }
        let url = alert["generatorURL"]?.stringValue ?? "?"
        try expect(url.isEmpty || url.hasPrefix("https://") || url.hasPrefix("http://"), "'generatorURL' is no address")
        let digits = alert["fingerprint"]?.stringValue ?? ""
        try expect(digits.utf8.count == 16 && Hex.decode(digits) != nil, "a fingerprint is not 16 digits")
        return (labels, annotations)
    }

    private static func checkCloudEvent(_ body: JSON, id: String) throws(WebhookSinkFault) {
        try expect(body["specversion"]?.stringValue == "1.0", "the version of a CloudEvent must be 1.0")
        try expect(body["id"]?.stringValue == id, "the id of the event is not that of the message")
        try expect(body["source"]?.stringValue?.isEmpty == false, "a CloudEvent needs a source")
        try expect(body["datacontenttype"]?.stringValue == "application/json", "the data must be JSON")
        let names = Set((body.members ?? []).map(\.name))
        try expect(
            names.allSatisfy { $0.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0) } },
            "an attribute's name is none")
        try checkEnvelope(type: body["type"], time: body["time"], data: body["data"])
    }

    private static func checkGeneric(_ value: JSON) throws(WebhookSinkFault) {
        let body = try members(value, ["type", "timestamp", "data"], "the message")
        try checkEnvelope(type: body["type"], time: body["timestamp"], data: body["data"])
    }

    private static func checkEnvelope(type: JSON?, time: JSON?, data: JSON?) throws(WebhookSinkFault) {
        let types = ["alert.firing", "alert.resolved", "alert.event"]
        try expect(types.contains(type?.stringValue ?? ""), "the type is none that is known")
        _ = try WebhookSinkReader.time(time, "the time of the message")
        let data = try members(
            data,
            ["version", "receiver", "reason", "group", "severity", "open_count", "omitted_count", "alerts"], "'data'")
        try expect(data["version"]?.intValue == 1, "the version of the data must be 1")
        for alert in data["alerts"]?.elements ?? [.null] {
            _ = try members(
                alert,
                [
                    "incident_key", "fingerprint", "episode", "state", "severity", "previous_severity", "rule", "table",
                    "owner", "key", "labels", "title", "key_text", "description", "facts", "links", "fired_at",
                    "resolved_at", "reason", "is_overdue", "is_last_value_unknown",
                ], "an alert")
            _ = try texts(alert["key"], "'key'")
            _ = try texts(alert["labels"], "'labels'")
            for fact in alert["facts"]?.elements ?? [.null] { _ = try members(fact, ["name", "value"], "a fact") }
            for link in alert["links"]?.elements ?? [.null] { _ = try members(link, ["name", "url"], "a link") }
            try expect(
                ["firing", "resolved", "event"].contains(alert["state"]?.stringValue ?? ""), "the state is none")
        }
    }
}
