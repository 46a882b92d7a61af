import Core
import Foundation
import Testing

@testable import Console

/// Goal: the API answers as Alertmanager's openapi says, field by field, over a real loopback connection.
@Suite(.timeLimit(.minutes(1))) struct AlertmanagerAPITests {
    @Test func `an alert has every field of gettableAlert`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { state in
                var alert = ConsoleAlert.sample(1)
                alert.silencedBy = ["00000000-0000-4000-8000-000000000009"]
                state.alerts = [alert]
            }
            let answer = try await world.get("/api/v2/alerts")
            #expect(answer.header("content-type") == "application/json")
            let json = try JSON.parse(answer.body)
            #expect(
                json.description
                    == """
                    [{"annotations":{"Batch":"B1","description":"Too many defects.","summary":"Line L1 is bad"},\
                    "endsAt":"2026-01-12T06:45:00.000Z","fingerprint":"00000001aaaaaaaa",\
                    "receivers":[{"name":"quality"}],"startsAt":"2026-01-12T06:23:20.000Z",\
                    "status":{"inhibitedBy":[],"mutedBy":[],"silencedBy":["00000000-0000-4000-8000-000000000009"],\
                    "state":"suppressed"},"updatedAt":"2026-01-12T06:31:40.000Z",\
                    "generatorURL":"http://127.0.0.1/alerts/\(ConsoleAlert.sample(1).id)",\
                    "labels":{"alertname":"rate","severity":"warning","team":"quality"}}]
                    """)
        }
    }

    @Test(arguments: [
        ("", ["1", "2", "3", "4"]),
        ("?active=false", ["2", "3"]),
        ("?silenced=false", ["1", "3", "4"]),
        ("?inhibited=false", ["1", "2", "4"]),
        ("?silenced=false&inhibited=false&active=true&unprocessed=false", ["1", "4"]),
        ("?filter=team%3D%22planning%22", ["4"]),
        ("?filter=team%3D~%22plan.%2A%22", ["4"]),
        ("?filter=team!%3Dplanning&filter=severity%3Dcritical", ["3"]),
        ("?filter=%7Bteam%3D%22planning%22%2Calertname%3D%22rate%22%7D", ["4"]),
        ("?filter=nothere%3D%22%22", ["1", "2", "3", "4"]),
        ("?receiver=plan", []), ("?receiver=plan.%2A", ["4"]),
    ])
    func `alerts are filtered`(query: String, expected: [String]) async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { state in
                state.alerts = [
                    .sample(4, labels: ["team": "planning"], receivers: ["planners"]), .sample(1), .sample(2),
                    .sample(3, severity: .critical),
                ]
                state.alerts[2].silencedBy = ["s"]
                state.alerts[3].inhibitedBy = ["i"]
            }
            let json = try await world.json("/api/v2/alerts" + query)
            let found = (json.elements ?? []).compactMap { $0["fingerprint"]?.stringValue }
            #expect(found == expected.map { "0000000\($0)aaaaaaaa" })
        }
    }

    @Test(arguments: [
        "filter=team", "filter=%3Dx", "filter=team%3D%22x", "filter=team%3D~%28", "active=yes", "receiver=%28",
        "filter=team%3D%22a%22b",
    ])
    func `a wrong question is refused in words`(query: String) async throws {
        try await ConsoleWorld.run { world async throws in
            let answer = try await world.get("/api/v2/alerts?" + query)
            #expect(answer.status == 400)
            #expect(try JSON.parse(answer.body).stringValue?.isEmpty == false)
        }
    }

    @Test func `groups are sorted, each with its receiver`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { state in
                state.alerts = [.sample(2, receivers: ["quality", "planners"]), .sample(1)]
            }
            let groups = try #require(try await world.json("/api/v2/alerts/groups").elements)
            #expect(groups.map { $0["receiver"]?["name"]?.stringValue } == ["planners", "quality"])
            #expect(groups.map { $0["labels"]?["alertname"]?.stringValue } == ["rate", "rate"])
            #expect(groups.map { $0["alerts"]?.elements?.count } == [1, 2])
            let one = try await world.json("/api/v2/alerts/groups?receiver=planners").elements
            #expect(one?.count == 1)
        }
    }

    @Test func `status and receivers`() async throws {
        try await ConsoleWorld.run { world async throws in
            let status = try await world.json("/api/v2/status")
            #expect(status["versionInfo"]?["version"] == .string("9.9.9"))
            for name in ["branch", "buildDate", "buildUser", "goVersion", "revision"] {
                #expect(status["versionInfo"]?[name]?.stringValue != nil)
            }
            #expect(status["cluster"]?["status"] == .string("disabled"))
            #expect(status["uptime"] == .string("2026-01-12T06:40:00.000Z"))
            #expect(status["config"]?["original"]?.stringValue?.contains("quality") == true)
            #expect(
                try await world.json("/api/v2/receivers").description
                    == #"[{"name":"planners"},{"name":"quality"}]"#)
        }
    }

    private static func silence(
        id: String = "", _ starts: String = "2026-01-12T06:40:00.000Z", _ ends: String = "2026-01-12T08:40:00Z",
        value: String = "quality", comment: String = "c"
    ) -> String {
        """
        {"id":"\(id)","matchers":[{"name":"team","value":"\(value)","isRegex":false}],"startsAt":"\(starts)",\
        "endsAt":"\(ends)","createdBy":"ann","comment":"\(comment)"}
        """
    }

    @Test func `a silence is made, read, changed and ended`() async throws {
        try await ConsoleWorld.run { world async throws in
            func put(_ body: String) async throws -> String {
                let answer = try await world.post("/api/v2/silences", body)
                #expect(answer.status == 200, "\(answer.body)")
                return try JSON.parse(answer.body)["silenceID"]?.stringValue ?? ""
            }
            let first = try await put(AlertmanagerAPITests.silence())
            let read = try await world.json("/api/v2/silence/\(first)")
            #expect(
                read.description == """
                    {"id":"\(first)","status":{"state":"active"},"updatedAt":"2026-01-12T06:40:00.000Z","comment":"c",\
                    "createdBy":"ann","endsAt":"2026-01-12T08:40:00.000Z",\
                    "matchers":[{"isEqual":true,"isRegex":false,"name":"team","value":"quality"}],\
                    "startsAt":"2026-01-12T06:40:00.000Z"}
                    """)
            // Words and the end may change; what is silenced may not, without being another silence.
            let later = AlertmanagerAPITests.silence(id: first, "2026-01-12T06:40:00Z", "2026-01-12T09:40:00Z")
            #expect(try await put(later) == first)
            let second = try await put(AlertmanagerAPITests.silence(id: first, value: "planning"))
            #expect(second != first)
            #expect(try await world.json("/api/v2/silence/\(first)")["status"]?["state"] == .string("expired"))
            let states = try await world.json("/api/v2/silences").elements?.map { $0["status"]?["state"]?.stringValue }
            #expect(states == ["active", "expired"])
            #expect(try await world.json("/api/v2/silences?filter=team%3Dplanning").elements?.count == 1)
            let authorization = ["authorization: Bearer \(ConsoleWorld.writeToken)"]
            #expect(try await world.send("DELETE", "/api/v2/silence/\(second)", authorization).status == 200)
            #expect(try await world.send("DELETE", "/api/v2/silence/\(second)", authorization).status == 400)
            #expect(
                world.alerting.audit == [
                    "put \(first) by Jo Doe from api 127.0.0.1", "put \(first) by Jo Doe from api 127.0.0.1",
                    "put \(second) by Jo Doe from api 127.0.0.1", "expire \(first) by Jo Doe from api 127.0.0.1",
                    "expire \(second) by Jo Doe from api 127.0.0.1",
                ])
        }
    }

    @Test(
        arguments: [
            (silence("2026-01-12T09:40:00Z"), 400), (silence("2026-01-11T06:40:00Z", "2026-01-12T06:40:00Z"), 400),
            (silence(id: "00000000-0000-4000-8000-00000000000f"), 404), (silence(value: ""), 400),
            (silence("yesterday"), 400), (silence(comment: String(repeating: "x", count: 5000)), 400),
            ("{}", 400), ("[]", 400), ("nonsense", 400), ("", 400),
            (#"{"matchers":[],"startsAt":"2026-01-12T06:40:00Z","endsAt":"2026-01-12T08:40:00Z"}"#, 400),
            (#"{"matchers":[{"name":"a"}],"startsAt":"2026-01-12T06:40:00Z","endsAt":"2026-01-12T08:40:00Z"}"#, 400),
            (String(repeating: "[", count: 1000), 400),
        ] as [(String, Int)])
    func `a wrong silence is refused in words`(body: String, status: Int) async throws {
        try await ConsoleWorld.run { world async throws in
            let answer = try await world.post("/api/v2/silences", body)
            #expect(answer.status == status)
            #expect(try JSON.parse(answer.body).stringValue?.isEmpty == false)
            #expect(world.alerting.audit.isEmpty)
        }
    }

    @Test func `a silence by expression is one matcher named __cel__`() async throws {
        try await ConsoleWorld.run { world async throws in
            let body = """
                {"matchers":[{"name":"__cel__","value":"severity == 'critical'","isRegex":false}],\
                "startsAt":"2026-01-12T06:40:00Z","endsAt":"2026-01-12T08:40:00Z","createdBy":"a","comment":"b"}
                """
            #expect(try await world.post("/api/v2/silences", body).status == 200)
            #expect(world.alerting.storedSilences.first?.matchers.first?.name == ConsoleMatcher.expressionName)
        }
    }

    @Test func `a silence of a file is changed in its file only`() async throws {
        try await ConsoleWorld.run { world async throws in
            let id = "00000000-0000-4000-8000-00000000000a"
            world.alerting.change { state in
                var silence = ConsoleSilence(
                    id: id, matchers: [], startsAt: world.clock.now(), endsAt: world.clock.now().adding(.seconds(60)),
                    author: "a", comment: "b", updatedAt: world.clock.now())
                silence.isFromFile = true
                state.silences = [silence]
            }
            #expect(try await world.post("/api/v2/silences", AlertmanagerAPITests.silence(id: id)).status == 400)
            let authorization = ["authorization: Bearer \(ConsoleWorld.writeToken)"]
            #expect(try await world.send("DELETE", "/api/v2/silence/\(id)", authorization).status == 400)
        }
    }

    @Test func `alerts are pushed, and the wrong ones among them are named`() async throws {
        try await ConsoleWorld.run { world async throws in
            let body = """
                [{"labels":{"alertname":"up","empty":""},"annotations":{"summary":"s"},\
                "startsAt":"2026-01-12T06:40:00+01:00","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/g"},\
                {"labels":{}},{"labels":{"a-b":"x"}},\
                {"labels":{"a":"x"},"startsAt":"2026-01-12T06:40:00Z","endsAt":"2026-01-12T05:40:00Z"}]
                """
            let answer = try await world.post("/api/v2/alerts", body)
            #expect(answer.status == 400)
            #expect(answer.body.contains("a-b"))
            let pushed = world.alerting.pushed
            #expect(
                pushed == [
                    ConsolePushedAlert(
                        labels: ["alertname": "up"], annotations: ["summary": "s"],
                        startsAt: Timestamp.parse("2026-01-12T05:40:00Z"), endsAt: nil, generatorURL: "http://p/g")
                ])
            #expect(world.alerting.audit == ["push 1 by Jo Doe from api 127.0.0.1"])
            #expect(try await world.post("/api/v2/alerts", #"[{"labels":{"a":"b"}}]"#).status == 200)
        }
    }

    @Test func `JSON only, so that no page of another site can send it`() async throws {
        try await ConsoleWorld.run(ConsoleWorld.settings(.readAndWrite)) { world async throws in
            let body = #"[{"labels":{"a":"b"}}]"#
            #expect(
                try await world.send("POST", "/api/v2/alerts", ["content-type: text/plain"], body: body).status == 400)
            #expect(
                try await world.send("POST", "/api/v2/alerts", ["content-type: application/json"], body: body).status
                    == 200)
            #expect(world.alerting.audit == ["push 1 by somebody on this machine from api 127.0.0.1"])
        }
    }

    @Test func `what the service cannot do now is 503`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { $0.failure = .unavailable("the store's disk is full") }
            let answer = try await world.post("/api/v2/alerts", #"[{"labels":{"a":"b"}}]"#)
            #expect(answer.status == 503)
            #expect(answer.header("retry-after") == "5")
        }
    }

    @Test(arguments: [
        ("GET", "/api/v2/nothing", 404), ("PUT", "/api/v2/alerts", 404), ("GET", "/api/v1/alerts", 404),
        ("GET", "/api/v2/silence/unknown", 404), ("GET", "/api/v2/alerts?a=%zz", 400), ("GET", "/api/v2/%ff", 400),
        ("GET", "/api/v2/alerts?a=%00", 400), ("HEAD", "/api/v2/status", 200),
        ("GET", "/api/v2/alerts?\(String(repeating: "a&", count: 300))", 400),
        ("GET", "/api/v2/alerts?\(Array(repeating: "filter=a%3Db", count: 65).joined(separator: "&"))", 400),
    ])
    func `what is not offered is refused`(method: String, path: String, status: Int) async throws {
        try await ConsoleWorld.run { world async throws in
            let answer = try await world.send(method, path)
            #expect(answer.status == status)
            if method == "HEAD" { #expect(answer.body.isEmpty) }
        }
    }

    @Test func `bodies and heads are bounded in bytes and time`() async throws {
        var quick = ConsoleConfiguration.loopback
        quick.requestTimeout = .milliseconds(300)
        try await ConsoleWorld.run(configuration: quick) { world async throws in
            let authorization = ["authorization: Bearer \(ConsoleWorld.writeToken)", "content-type: application/json"]
            let large = String(repeating: " ", count: AlertmanagerAPI.bodyBytesMax + 1)
            #expect(try await world.send("POST", "/api/v2/alerts", authorization, body: large).status == 413)
            let slow = authorization + ["content-length: 10"]
            #expect(try await world.send("POST", "/api/v2/alerts", slow).status == 408)
            let long = ["x: \(String(repeating: "a", count: 20_000))"]
            #expect(try await world.send("GET", "/healthz", long).status >= 400)
            let many = (0..<100).map { "x\($0): a" }
            #expect(try await world.send("GET", "/healthz", many).status >= 400)
            // Half a head and then silence: the connection is closed without an answer.
            await #expect(throws: Loopback.Failure.self) {
                try await Loopback.exchange("GET /healthz HTTP/1.1\r\nhost:", port: world.port)
            }
            #expect(try await world.get("/healthz").status == 200)
        }
    }
}

/// Goal: matchers are read as Alertmanager reads them.
@Suite struct MatcherTextTests {
    @Test(arguments: [
        (#"a="b""#, "a", "b", false, true), ("a=b", "a", "b", false, true), ("a!=b", "a", "b", false, false),
        (#" a =~ "b.*" "#, "a", "b.*", true, true), ("a!~b", "a", "b", true, false), ("a=", "a", "", false, true),
        (#"a="x\"y\\z\nw\d""#, "a", "x\"y\\z\nw\\d", false, true), ("a=b c", "a", "b c", false, true),
        ("a=b,c", "a", "b,c", false, true), (#""a b"="c""#, "a b", "c", false, true),
    ])
    func `one`(text: String, name: String, value: String, isRegex: Bool, isEqual: Bool) throws {
        #expect(
            try ConsoleMatcher.parse(text)
                == ConsoleMatcher(name: name, value: value, isRegex: isRegex, isEqual: isEqual))
    }

    @Test(arguments: ["", "a", "=b", "1a=b", "a==\"", #"a="b"c"#, #"a="b"#, "a=b\"c", "a!b", "{a=b}"])
    func `none`(text: String) {
        #expect(throws: ConsoleMatcher.Problem.self) { try ConsoleMatcher.parse(text) }
    }

    @Test func `lists, in braces or not`() throws {
        for text in [#"{a="b", c=~"d,}e"}"#, #"a="b",c=~"d,}e""#, #"{a=b,c=~"d,}e",}"#] {
            let matchers = try ConsoleMatcher.parseList(text)
            #expect(matchers.map(\.text) == [#"a="b""#, #"c=~"d,}e""#], "\(text)")
        }
        #expect(try ConsoleMatcher.parseList(" ").isEmpty)
        #expect(try ConsoleMatcher.parseList("{}").isEmpty)
        for text in ["{a=b", "a=b}", "{a=b}}", ",", "a=b,,"] {
            #expect(throws: ConsoleMatcher.Problem.self, "\(text)") { try ConsoleMatcher.parseList(text) }
        }
    }
}
