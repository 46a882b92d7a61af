internal import Core
internal import Delivery
internal import HTTPTransport

/// What a Workflows webhook's answer means; pure.
///
/// Acceptance (202) means that the flow was started; whether a card appeared is known only to the flow's history.
enum TeamsAnswer {
    /// Error codes that mean that this address or its credentials will never work, whatever the status.
    static let addressCodes: Set<String> = [
        "DirectApiAuthorizationRequired", "MisMatchingOAuthClaims", "MissingApiVersionParameter",
        "WorkflowTriggerIsNotEnabled", "WorkflowNotFound",
    ]

    static func classify(_ result: HTTPResult, url: HTTPURL, now: Timestamp) -> AttemptReport {
        switch result {
        case .notWritten(let failure):
            return report(.retryable(after: nil, reason: url.redacted(from: failure.message)), nil, nil)
        case .unanswered(let failure):
            return report(.ambiguous(reason: url.redacted(from: failure.message)), nil, nil)
        case .response(let response):
            return classify(response, url: url, now: now)
        }
    }

    private static func report(_ outcome: AttemptOutcome, _ status: Int?, _ detail: String?) -> AttemptReport {
        AttemptReport(outcome: outcome, statusCode: status, detail: detail)
    }

    private static func classify(_ response: HTTPResponse, url: HTTPURL, now: Timestamp) -> AttemptReport {
        let text = String(decoding: response.body.prefix(2000), as: UTF8.self)
        let error = errorObject(response.body)
        let words = error.map { [$0.code, $0.message].filter { !$0.isEmpty }.joined(separator: ": ") } ?? text
        let detail = TeamsText.line(url.redacted(from: words), bytesMax: AttemptReport.detailBytesMax)
        var status = response.status
        if (200..<300).contains(status) {
            if let inner = connectorStatus(text) {
                // The old connectors reported failures inside a 200.
                status = inner
            } else if error == nil {
                let id = response.header("x-ms-workflow-run-id").map {
                    TeamsText.line(url.redacted(from: $0), bytesMax: 200)
                }
                return report(.accepted(providerId: id), response.status, detail.isEmpty ? nil : detail)
            } else {
                status = 400
            }
        }
        let after = RetryAfter.parse(response.header("retry-after"), date: response.header("date"), now: now)
        let outcome = outcome(
            of: status, code: error?.code ?? "", after: after, reason: reason(status, detail: detail))
        return report(outcome, response.status, detail.isEmpty ? nil : detail)
    }

    private static func outcome(of status: Int, code: String, after: Duration?, reason: String) -> AttemptOutcome {
        if addressCodes.contains(code) { return .unauthorized(reason: reason) }
        switch status {
        // The address is the credential: one that is gone or refused is an operator's matter, and no row's fault.
        case 401, 403, 404, 410: return .unauthorized(reason: reason)
        case 408, 412, 425, 429: return .retryable(after: after, reason: reason)
        case 500...599: return .retryable(after: after, reason: reason)
        default: return .permanent(reason: reason)
        }
    }

    private static func reason(_ status: Int, detail: String) -> String {
        let meaning: String
        switch status {
        case 300..<400: meaning = "a redirect, which is not followed"
        case 400: meaning = "the request was refused"
        case 401, 403: meaning = "the address or its permission is not accepted"
        case 404, 410: meaning = "the flow is deleted or switched off"
        case 413: meaning = "the message is too large"
        case 429: meaning = "too many requests"
        case 500..<600: meaning = "the service failed"
        default: meaning = "the request was refused"
        }
        return detail.isEmpty ? "HTTP \(status): \(meaning)" : "HTTP \(status): \(meaning) (\(detail))"
    }

    /// `{"error":{"code":…,"message":…}}`.
    private static func errorObject(_ body: [UInt8]) -> (code: String, message: String)? {
        guard body.first(where: { $0 > 0x20 }) == UInt8(ascii: "{"), let json = try? JSON.parse(body),
            let error = json["error"], error != .null
        else { return nil }
        return (error["code"]?.stringValue ?? error.stringValue ?? "", error["message"]?.stringValue ?? "")
    }

    /// The status inside `Webhook message delivery failed with error: … returned HTTP error 429 with ContextId …`.
    private static func connectorStatus(_ text: String) -> Int? {
        guard text.hasPrefix("Webhook message delivery failed") || text.contains("returned HTTP error ") else {
            return nil
        }
        guard let range = text.firstRange(of: "HTTP error ") else { return 500 }
        return Int(text[range.upperBound...].prefix { $0.isASCII && $0.isNumber }.prefix(3)) ?? 500
    }
}
