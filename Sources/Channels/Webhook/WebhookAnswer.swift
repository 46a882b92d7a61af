internal import Core
internal import Delivery
internal import HTTPTransport

/// What a webhook's answer means; pure.
enum WebhookAnswer {
    static func classify(_ result: HTTPResult, target: WebhookTarget, now: Timestamp) -> AttemptReport {
        switch result {
        case .notWritten(let failure):
            let reason = target.line(failure.message, isCut: false, bytesMax: AttemptReport.detailBytesMax)
            return AttemptReport(outcome: .retryable(after: nil, reason: reason), statusCode: nil, detail: nil)
        case .unanswered(let failure):
            let reason = target.line(failure.message, isCut: false, bytesMax: AttemptReport.detailBytesMax)
            return AttemptReport(outcome: .ambiguous(reason: reason), statusCode: nil, detail: nil)
        case .response(let response):
            return classify(response, target: target, now: now)
        }
    }

    private static func classify(_ response: HTTPResponse, target: WebhookTarget, now: Timestamp) -> AttemptReport {
        let detail = target.line(
            String(decoding: response.body, as: UTF8.self), isCut: !response.isComplete,
            bytesMax: AttemptReport.detailBytesMax)
        let status = response.status
        let after = RetryAfter.parse(response.header("retry-after"), date: response.header("date"), now: now)
        let reason = "HTTP \(status): \(meaning(of: status))" + (detail.isEmpty ? "" : " (\(detail))")
        let outcome: AttemptOutcome =
            switch status {
            case 200..<300: .accepted(providerId: nil)
            case 401, 403, 407: .unauthorized(reason: reason)
            case 408, 425, 429, 500..<600: .retryable(after: after, reason: reason)
            default: .permanent(reason: reason)
            }
        return AttemptReport(outcome: outcome, statusCode: status, detail: detail.isEmpty ? nil : detail)
    }

    private static func meaning(of status: Int) -> String {
        switch status {
        case 300..<400: "a redirect, which is not followed"
        case 401, 403: "the address, a header or the signature is not accepted"
        case 404: "there is nothing at the address"
        case 407: "the proxy wants credentials"
        case 408: "the receiver waited too long for the request"
        case 410: "the receiver is gone for good"
        case 413: "the message is too large"
        case 429: "too many requests"
        case 500..<600: "the receiver failed"
        default: "the request was refused"
        }
    }
}
