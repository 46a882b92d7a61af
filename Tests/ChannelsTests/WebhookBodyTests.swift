import Alerting
import Core
import Testing

@testable import Channels

// Goal: bodies are exactly what they are documented to be, and stay so with hostile texts and many alerts. Method:
// whole bodies compared; reading what hostile notifications give.

@Suite struct WebhookBodyTests {
    private let first = String(repeating: "ab", count: 8)
    private let fingerprint = String(repeating: "ab", count: 32)

    private func text(_ notification: Notification, _ options: WebhookBodyOptions) -> String {
        String(decoding: WebhookBody.message(for: notification, id: "id-1", options: options), as: UTF8.self)
    }

    @Test func `the body for Alertmanager's receivers is its own, member by member`() {
        let notification = WebhookSample.notification(
            [WebhookSample.item(4), WebhookSample.item(5, state: .resolved)], omittedCount: 2)
        let annotations =
            #""Batch":"B-2041","Inspected":"1,250","description":"A line produces more defects than its control limit "#
            + #"allows.","reason":"condition holds","runbook_url":"https://wiki.example.com/quality/4","#
            + #""summary":"Line 4: 6.3 % defects""#
        func labels(_ line: Int?) -> String {
            #"{"alertname":"line-defect-rate","# + (line.map { "\"line\":\"\($0)\"," } ?? "")
                + #""owner":"quality-engineering","plant":"P1","severity":"critical","table":"gld_fact_quality","#
                + #""team":"quality"}"#
        }
        let expected =
            #"{"receiver":"hook","status":"firing","alerts":["#
            + #"{"status":"firing","labels":\#(labels(4)),"annotations":{\#(annotations)},"#
            + #""startsAt":"2026-01-12T05:27:49.985Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","#
            + #""fingerprint":"\#(first)"},"#
            + #"{"status":"resolved","labels":\#(labels(5)),"annotations":{\#(annotations)},"#
            + #""startsAt":"2026-01-12T05:27:49.985Z","endsAt":"2026-01-12T05:31:40.000Z","generatorURL":"","#
            + #""fingerprint":"\#(first)"}],"#
            + #""groupLabels":{"alertname":"line-defect-rate"},"commonLabels":\#(labels(nil)),"#
            + #""commonAnnotations":{\#(annotations)},"externalURL":"https://router.example.com","version":"4","#
            + #""groupKey":"line-defect-rate","truncatedAlerts":2}"#
        let options = WebhookSample.options(.alertmanager, externalURL: "https://router.example.com")
        #expect(text(notification, options) == expected)
    }

    @Test func `the generic body is what its page says, member by member`() {
        var item = WebhookSample.item(4)
        item.previousSeverity = .warning
        item.isOverdue = true
        let expected =
            #"{"type":"alert.firing","timestamp":"2026-01-12T05:27:49.985Z","data":{"version":1,"receiver":"hook","#
            + #""reason":"first","group":"line-defect-rate","severity":"critical","open_count":1,"omitted_count":3,"#
            + #""alerts":[{"incident_key":"\#(fingerprint)-4","fingerprint":"\#(fingerprint)","episode":4,"#
            + #""state":"firing","severity":"critical","previous_severity":"warning","rule":"line-defect-rate","#
            + #""table":"gld_fact_quality","owner":"quality-engineering","key":{"line":"4","plant":"P1"},"#
            + #""labels":{"team":"quality"},"title":"Line 4: 6.3 % defects","key_text":"plant=P1, line=4","#
            + #""description":"A line produces more defects than its control limit allows.","#
            + #""facts":[{"name":"Batch","value":"B-2041"},{"name":"Inspected","value":"1,250"}],"#
            + #""links":[{"name":"Runbook","url":"https://wiki.example.com/quality/4"}],"#
            + #""fired_at":"2026-01-12T05:27:49.985Z","resolved_at":null,"reason":"condition holds","#
            + #""is_overdue":true,"is_last_value_unknown":false}]}}"#
        let notification = WebhookSample.notification([item], omittedCount: 3)
        #expect(text(notification, WebhookSample.options(.generic)) == expected)
    }

    @Test func `the type says whether anything is still firing`() throws {
        let states: [([Notification.Item.State], String)] = [
            ([.firing], "alert.firing"), ([.firing, .resolved], "alert.firing"), ([.resolved], "alert.resolved"),
            ([.resolved, .resolved], "alert.resolved"), ([.event], "alert.event"), ([.event, .firing], "alert.firing"),
            ([], "alert.firing"),
        ]
        for (states, type) in states {
            let items = states.enumerated().map { WebhookSample.item($0.offset + 1, state: $0.element) }
            let body = try JSON.parse(text(WebhookSample.notification(items), WebhookSample.options(.generic)))
            #expect(body["type"]?.stringValue == type, "\(states)")
            let other = try JSON.parse(text(WebhookSample.notification(items), WebhookSample.options(.alertmanager)))
            #expect(other["status"]?.stringValue == (type == "alert.resolved" ? "resolved" : "firing"))
        }
    }

    @Test func `a CloudEvent carries the id of the message and the same data`() throws {
        let notification = WebhookSample.notification([WebhookSample.item()])
        let event = try JSON.parse(text(notification, WebhookSample.options(.cloudEvents)))
        let generic = try JSON.parse(text(notification, WebhookSample.options(.generic)))
        #expect(event["id"]?.stringValue == "id-1" && event["specversion"]?.stringValue == "1.0")
        #expect(event["source"]?.stringValue == "/alert-router/receivers/hook")
        #expect(event["subject"]?.stringValue == fingerprint + "-1")
        #expect(event["data"] == generic["data"] && event["type"] == generic["type"])
        #expect(event["time"] == generic["timestamp"])
        var odd = notification
        odd.receiver = "chat room ü/1"
        let source = try JSON.parse(text(odd, WebhookSample.options(.cloudEvents)))["source"]?.stringValue
        #expect(source == "/alert-router/receivers/chat%20room%20%C3%BC%2F1")
    }

    @Test func `a group by labels names its labels, and a value cannot pretend to be one`() throws {
        var item = WebhookSample.item()
        item.labels.append(.init("note", ", team=\"other\""))
        let groups: [(String, [String])] = [
            (#"{team="quality", plant="P1"}"#, ["plant", "team"]), (#"{note=", team=\"quality\""}"#, []), ("{}", []),
            (#"{team="other"}"#, []), ("already open", []), (#"{am="quality"}"#, []),
        ]
        for (group, names) in groups {
            let notification = WebhookSample.notification([item], group: group)
            let body = try JSON.parse(text(notification, WebhookSample.options(.alertmanager)))
            #expect(body["groupLabels"]?.members?.map(\.name) == names, "\(group)")
            #expect(body["groupKey"]?.stringValue == group)
        }
    }

    @Test func `the link back is a real address or none`() throws {
        let links: [([Notification.Item.Pair], String)] = [
            ([.init("Runbook", "https://a.example")], ""),
            ([.init("Plant", "https://b.example/ü")], "https://b.example/%C3%BC"),
            (
                [.init("Plant", "https://b.example"), .init("source", "http://c.example/g?x=1")],
                "http://c.example/g?x=1"
            ),
            ([.init("Source", "javascript:alert(1)")], ""), ([], ""),
        ]
        for (links, url) in links {
            var item = WebhookSample.item()
            item.links = links
            let body = try JSON.parse(
                text(WebhookSample.notification([item]), WebhookSample.options(.alertmanager)))
            #expect(body["alerts"]?[0]?["generatorURL"]?.stringValue == url)
        }
    }

    @Test func `more alerts than fit are counted`() throws {
        let many = WebhookSample.notification((1...100).map { WebhookSample.item($0) }, omittedCount: 40)
        let body = try JSON.parse(text(many, WebhookSample.options(.alertmanager, alertsMax: 30)))
        #expect(body["alerts"]?.elements?.count == 30 && body["truncatedAlerts"]?.intValue == 110)
        let generic = try JSON.parse(text(many, WebhookSample.options(.generic, alertsMax: 1)))
        #expect(generic["data"]?["alerts"]?.elements?.count == 1)
        #expect(generic["data"]?["omitted_count"]?.intValue == 139)
    }

    @Test func `hostile texts change no member, and no budget is broken`() throws {
        let control = String(repeating: "\u{1}", count: 100_000)
        for text in TeamsCardTests.hostile + [control, "\u{FEFF}{{ .Alerts }}", "\r\nX: y"] {
            let notification = WebhookSample.hostile(text)
            for format in WebhookFormat.allCases {
                let options = WebhookSample.options(format, bytesMax: WebhookBodyOptions.bytesLeast)
                let bytes = WebhookBody.message(for: notification, id: "i", options: options)
                #expect(bytes.count <= options.bytesMax, "\(format) \(text.prefix(20))")
                let body = try JSON.parse(bytes)
                let alerts = body["alerts"] ?? body["data"]?["alerts"]
                let shown = try #require(alerts?.elements?.count)
                let left = body["truncatedAlerts"]?.intValue ?? body["data"]?["omitted_count"]?.intValue
                #expect(shown >= 1 && shown + Int(left ?? -1) == 3)
                #expect(alerts?[0]?["severity"]?.stringValue ?? "error" == "error")
                let own = alerts?[0]?["labels"]?["severity"]?.stringValue
                if format == .alertmanager { #expect(own == "error", "the severity is the router's") }
            }
            let short = try JSON.parse(self.text(notification, WebhookSample.options(.generic)))
            if text.utf8.count < 100 { #expect(short["data"]?["alerts"]?[0]?["title"]?.stringValue == text) }
        }
    }

    @Test func `an alert that fills the budget alone is told without its facts`() throws {
        var item = WebhookSample.item()
        item.facts = (0..<300).map {
            .init("\($0)" + String(repeating: "\u{1}", count: 300), String(repeating: "\u{2}", count: 300))
        }
        item.labels += (0..<60).map { .init("label\($0)", String(repeating: "\u{3}", count: 1000)) }
        for format in WebhookFormat.allCases {
            let options = WebhookSample.options(format, bytesMax: WebhookBodyOptions.bytesLeast)
            let bytes = WebhookBody.message(
                for: WebhookSample.notification([item, item]), id: "i", options: options)
            #expect(bytes.count <= options.bytesMax)
            let body = try JSON.parse(bytes)
            let alert = try #require((body["alerts"] ?? body["data"]?["alerts"])?[0])
            let title = alert["title"] ?? alert["annotations"]?["summary"]
            #expect(title?.stringValue == "Line 4: 6.3 % defects")
            let name = alert["rule"] ?? alert["labels"]?["alertname"]
            #expect(name?.stringValue == "line-defect-rate")
        }
    }

    @Test func `texts are cut between characters and never grow`() {
        #expect(WebhookBody.cut("abc", 3) == "abc")
        #expect(WebhookBody.cut("abcdef", 5) == "ab…")
        #expect(WebhookBody.cut("äöü", 5) == "ä…")
        #expect(WebhookBody.cut(String(repeating: "e\u{301}", count: 1000), 128).utf8.count <= 128)
    }
}
