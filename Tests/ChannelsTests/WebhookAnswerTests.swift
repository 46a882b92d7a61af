import ConfigFiles
import Core
import Delivery
import HTTPTransport
import Testing

@testable import Channels

// Goal: each answer of a webhook has its recorded outcome, and no outcome shows a secret. Method: one table.

@Suite struct WebhookAnswerTests {
    static let now = Timestamp(milliseconds: 1_700_000_000_000)
    static let values = [
        "URL": "https://hooks.example.com/alerts/p4th-t0ken?sig=Zm9vYmFyc2VjcmV0", "TOKEN": "t0ken-of-the-header",
        "KEY": "whsec_" + "c2lnbmluZy1rZXktb2YtdGhlLXRlc3Qh",
    ]

    static func target() throws -> WebhookTarget {
        let yaml = """
            url: ${env:URL}
            headers: {Authorization: "Bearer ${env:TOKEN}"}
            secret: ${env:KEY}
            """
        let (configuration, problems) = WebhookSample.configuration(yaml)
        try #require(problems == [])
        return try WebhookTarget(try #require(configuration), resolver: WebhookSample.resolver(values))
    }

    typealias Kind = TeamsAnswerTests.Kind

    static func answer(_ status: Int, _ body: String = "", headers: [HTTPHeader] = []) -> HTTPResult {
        TeamsAnswerTests.answer(status, body, headers: headers)
    }

    static let table: [(HTTPResult, Kind)] = [
        (answer(200), .accepted), (answer(200, "ok"), .accepted), (answer(201), .accepted), (answer(202), .accepted),
        (answer(204), .accepted), (answer(299), .accepted), (answer(200, "\u{0}binary"), .accepted),
        (answer(200, #"{"error":"no"}"#), .accepted), (answer(100), .permanent), (answer(199), .permanent),
        (answer(300), .permanent), (answer(301), .permanent), (answer(302), .permanent), (answer(304), .permanent),
        (answer(307), .permanent), (answer(308), .permanent), (answer(400), .permanent), (answer(402), .permanent),
        (answer(404), .permanent), (answer(405), .permanent), (answer(406), .permanent), (answer(409), .permanent),
        (answer(410), .permanent), (answer(411), .permanent), (answer(412), .permanent), (answer(413), .permanent),
        (answer(415), .permanent), (answer(422), .permanent), (answer(431), .permanent), (answer(451), .permanent),
        (answer(401), .unauthorized), (answer(403), .unauthorized), (answer(407), .unauthorized),
        (answer(408), .retryable), (answer(425), .retryable), (answer(429), .retryable), (answer(500), .retryable),
        (answer(501), .retryable), (answer(502), .retryable), (answer(503), .retryable), (answer(504), .retryable),
        (answer(599), .retryable), (answer(600), .permanent), (answer(999), .permanent),
        (.response(HTTPResponse(status: 200, headers: [], body: [0xFF], isComplete: false)), .accepted),
        (.response(HTTPResponse(status: 500, headers: [], body: [], isComplete: false)), .retryable),
        (.notWritten(HTTPFailure(message: "refused", isTimeout: false)), .retryable),
        (.notWritten(HTTPFailure(message: "connecting took too long", isTimeout: true)), .retryable),
        (.unanswered(HTTPFailure(message: "closed", isTimeout: false)), .ambiguous),
        (.unanswered(HTTPFailure(message: "no answer", isTimeout: true)), .ambiguous),
    ]

    @Test func `every answer has its outcome`() throws {
        let target = try Self.target()
        for (result, kind) in Self.table {
            let report = WebhookAnswer.classify(result, target: target, now: Self.now)
            #expect(TeamsAnswerTests.kind(report.outcome) == kind, "\(result)")
            if case .response(let response) = result { #expect(report.statusCode == response.status) }
        }
    }

    @Test func `an answer that may be repeated waits as it is told, in either form`() throws {
        let target = try Self.target()
        for (value, wait) in [
            ("17", Duration.seconds(17)), ("Tue, 14 Nov 2023 22:13:50 GMT", .seconds(30)), ("1.5", .milliseconds(1500)),
            ("soon", nil),
        ] {
            for status in [408, 425, 429, 500, 503] {
                let report = WebhookAnswer.classify(
                    Self.answer(status, headers: [HTTPHeader("Retry-After", value)]), target: target, now: Self.now)
                guard case .retryable(let after, _) = report.outcome else {
                    Issue.record("\(report)")
                    continue
                }
                #expect(after == wait, "\(status) \(value)")
            }
        }
    }

    @Test func `no outcome shows a secret, whole or in pieces, or more of an answer than needed`() throws {
        let target = try Self.target()
        let url = try #require(Self.values["URL"])
        let echo =
            "cannot POST \(url) with Bearer t0ken-of-the-header, token t0ken-of-the-header, query sig=Zm9vYmFyc2VjcmV0,"
            + " path /alerts/p4th-t0ken?sig=Zm9vYmFyc2VjcmV0, key whsec_c2lnbmluZy1rZXktb2YtdGhlLXRlc3Qh or "
            + "c2lnbmluZy1rZXktb2YtdGhlLXRlc3Qh\r\n\u{1B}[2J" + String(repeating: "x", count: 5000)
        var results = [200, 302, 400, 401, 404, 410, 429, 500].map { Self.answer($0, echo) }
        results.append(.notWritten(HTTPFailure(message: echo, isTimeout: false)))
        results.append(.unanswered(HTTPFailure(message: echo, isTimeout: false)))
        // An answer that was cut in the middle of a secret.
        for length in 1..<url.utf8.count {
            let body = Array((String(repeating: url + " ", count: 80) + url.prefix(length)).utf8)
            results.append(.response(HTTPResponse(status: 500, headers: [], body: body, isComplete: false)))
        }
        for result in results {
            let report = WebhookAnswer.classify(result, target: target, now: Self.now)
            let text = "\(report.outcome) \(report.detail ?? "")"
            for piece in ["t0ken", "Zm9v", "c2ln"] { #expect(!text.contains(piece), "\(text.prefix(300))") }
            #expect(!(report.detail ?? "").unicodeScalars.contains { $0.value < 0x20 })
            #expect((report.detail ?? "").utf8.count <= AttemptReport.detailBytesMax)
        }
    }
}
