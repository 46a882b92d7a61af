import Core
import Delivery
import HTTPTransport
import Testing

@testable import Channels

// Goal: each answer of a webhook has its recorded outcome, and no outcome shows the address. Method: one table.

@Suite struct TeamsAnswerTests {
    static let now = Timestamp(milliseconds: 1_700_000_000_000)
    static let address =
        "https://env.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/77aa/triggers/manual/"
        + "paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=Zm9vYmFyc2VjcmV0"

    enum Kind: String { case accepted, retryable, permanent, unauthorized, ambiguous }

    static func kind(_ outcome: AttemptOutcome) -> Kind {
        switch outcome {
        case .accepted: .accepted
        case .retryable: .retryable
        case .permanent: .permanent
        case .unauthorized: .unauthorized
        case .ambiguous: .ambiguous
        }
    }

    static func answer(_ status: Int, _ body: String = "", headers: [HTTPHeader] = []) -> HTTPResult {
        .response(HTTPResponse(status: status, headers: headers, body: Array(body.utf8), isComplete: true))
    }

    static let connector429 =
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId "
        + "tcid=0,server=DB3PEPF00000001"

    static let table: [(HTTPResult, Kind)] = [
        (answer(202), .accepted), (answer(200), .accepted), (answer(201), .accepted), (answer(204), .accepted),
        (answer(200, "1"), .accepted), (answer(200, "ok"), .accepted), (answer(200, #"{"id":1}"#), .accepted),
        (answer(200, #"{"error":null}"#), .accepted), (answer(202, "\u{0}\u{1}binary"), .accepted),
        (answer(200, connector429), .retryable),
        (answer(200, connector429.replacing("429", with: "413")), .permanent),
        (answer(200, connector429.replacing("429", with: "403")), .unauthorized),
        (answer(200, "Webhook message delivery failed with error: something"), .retryable),
        (answer(200, #"{"error":{"code":"BadCard","message":"no"}}"#), .permanent),
        (answer(301), .permanent), (answer(302), .permanent), (answer(307), .permanent),
        (answer(400, #"{"error":{"code":"InvalidRequest","message":"no"}}"#), .permanent),
        (answer(400, #"{"error":{"code":"MissingApiVersionParameter","message":"no"}}"#), .unauthorized),
        (answer(401, #"{"error":{"code":"DirectApiAuthorizationRequired","message":"no"}}"#), .unauthorized),
        (answer(401), .unauthorized), (answer(403), .unauthorized), (answer(404), .unauthorized),
        (answer(410), .unauthorized), (answer(402), .permanent), (answer(405), .permanent), (answer(406), .permanent),
        (answer(409), .permanent), (answer(411), .permanent), (answer(413), .permanent), (answer(414), .permanent),
        (answer(415), .permanent), (answer(422), .permanent), (answer(431), .permanent), (answer(451), .permanent),
        (answer(408), .retryable), (answer(412), .retryable), (answer(425), .retryable), (answer(429), .retryable),
        (answer(500), .retryable), (answer(502), .retryable), (answer(503), .retryable), (answer(504), .retryable),
        (answer(599), .retryable), (answer(400, "{\"error\": garbage"), .permanent), (answer(999), .permanent),
        (.response(HTTPResponse(status: 202, headers: [], body: [0xFF], isComplete: false)), .accepted),
        (.notWritten(HTTPFailure(message: "refused", isTimeout: false)), .retryable),
        (.notWritten(HTTPFailure(message: "connecting took too long", isTimeout: true)), .retryable),
        (.unanswered(HTTPFailure(message: "closed", isTimeout: false)), .ambiguous),
        (.unanswered(HTTPFailure(message: "no answer", isTimeout: true)), .ambiguous),
    ]

    @Test func `every answer has its outcome`() throws {
        let url = try HTTPURL(Self.address)
        for (result, kind) in Self.table {
            let report = TeamsAnswer.classify(result, url: url, now: Self.now)
            #expect(Self.kind(report.outcome) == kind, "\(result)")
        }
    }

    @Test func `a throttled answer waits as it is told, in either form`() throws {
        let url = try HTTPURL(Self.address)
        for (value, wait) in [
            ("17", Duration.seconds(17)), ("Tue, 14 Nov 2023 22:13:50 GMT", .seconds(30)), ("1.5", .milliseconds(1500)),
        ] {
            for status in [429, 503] {
                let report = TeamsAnswer.classify(
                    Self.answer(status, headers: [HTTPHeader("retry-after", value)]), url: url, now: Self.now)
                guard case .retryable(let after, _) = report.outcome else {
                    Issue.record("\(report)")
                    continue
                }
                #expect(after == wait && report.statusCode == status)
            }
        }
        let plain = TeamsAnswer.classify(Self.answer(429), url: url, now: Self.now)
        guard case .retryable(nil, _) = plain.outcome else {
            Issue.record("\(plain)")
            return
        }
    }

    @Test func `the run of the flow is the provider's id`() throws {
        let report = TeamsAnswer.classify(
            Self.answer(202, headers: [HTTPHeader("X-MS-Workflow-Run-Id", "0858")]), url: try HTTPURL(Self.address),
            now: Self.now)
        #expect(report.outcome == .accepted(providerId: "0858"))
    }

    @Test func `no outcome shows the address or more of an answer than needed`() throws {
        let url = try HTTPURL(Self.address)
        let echo =
            "cannot POST \(Self.address) (\(url.target)) sig Zm9vYmFyc2VjcmV0 " + String(repeating: "x", count: 5000)
        var results = [200, 400, 401, 404, 429, 500].map { Self.answer($0, echo) }
        results.append(Self.answer(400, JSON.object(["error": .object(["message": .string(echo)])]).description))
        results.append(.notWritten(HTTPFailure(message: echo, isTimeout: false)))
        results.append(.unanswered(HTTPFailure(message: echo, isTimeout: false)))
        for result in results {
            let report = TeamsAnswer.classify(result, url: url, now: Self.now)
            let text = "\(report.outcome) \(report.detail ?? "")"
            #expect(!text.contains("Zm9v") && !text.contains("workflows"), "\(text.prefix(300))")
            #expect((report.detail ?? "").utf8.count <= AttemptReport.detailBytesMax)
        }
    }
}
