import Core
import Foundation
import Testing

@testable import Console

/// Goal: pages show what they are given and nothing else, change only what their own forms ask for, and need no script.
@Suite(.timeLimit(.minutes(1))) struct PageTests {
    private static let form = "content-type: application/x-www-form-urlencoded"

    private static func logIn(_ world: ConsoleWorld, _ token: String = ConsoleWorld.writeToken) async throws -> String {
        let answer = try await world.send("POST", "/login", [form], body: "token=\(token)&next=%2Fsilences")
        #expect(answer.status == 303)
        #expect(answer.header("location") == "/silences")
        let cookie = try #require(answer.header("set-cookie"))
        return "cookie: " + cookie.prefix { $0 != ";" }
    }

    /// The token that a page's forms carry.
    private static func formToken(_ world: ConsoleWorld, _ path: String, _ cookie: String) async throws -> String {
        let page = try await world.get(path, [cookie]).body
        let start = try #require(page.range(of: "name=\"form\" value=\""))
        return String(page[start.upperBound...].prefix { $0 != "\"" })
    }

    private static let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\u{0}\u{1B}[31m"

    @Test func `hostile texts are text on every page`() async throws {
        try await ConsoleWorld.run { world async throws in
            let hostile = PageTests.hostile
            world.alerting.change { state in
                var alert = ConsoleAlert.sample(1, labels: [hostile: hostile])
                alert.title = hostile
                alert.about = hostile
                alert.key = hostile
                alert.rule = hostile
                alert.facts = [ConsolePair(hostile, hostile)]
                alert.links = [
                    ConsolePair(hostile, "javascript:alert(1)"), ConsolePair("b", "//evil.example/\(hostile)"),
                ]
                alert.mutedBy = [hostile]
                alert.acknowledgement = ConsoleAcknowledgement(by: hostile, comment: hostile, until: nil)
                state.alerts = [alert]
                state.entries = [.init(at: world.clock.now(), what: hostile, details: [hostile], isPart: true)]
                state.silences = [
                    ConsoleSilence(
                        id: hostile, matchers: [.init(name: hostile, value: hostile, isRegex: true, isEqual: false)],
                        startsAt: world.clock.now(), endsAt: world.clock.now().adding(.seconds(60)), author: hostile,
                        comment: hostile, updatedAt: world.clock.now())
                ]
                state.receivers = [
                    ConsoleReceiver(
                        name: hostile, channel: hostile, counts: [ConsolePair(hostile, hostile)], oldestWaiting: nil,
                        limiter: hostile, breaker: hostile)
                ]
                state.deadLetters = [
                    ConsoleDeadLetter(id: 1, kind: hostile, at: world.clock.now(), place: hostile, reason: hostile)
                ]
            }
            let cookie = try await PageTests.logIn(world)
            let encoded = ConsoleRequest.percentEncoded("<b>\"'&lt;")
            let paths = [
                "/?held=1", "/alerts/\(ConsoleAlert.sample(1).id)", "/silences?matchers=\(encoded)", "/receivers",
                "/dead-letters", "/?filter=\(encoded)", "/login?next=\(encoded)",
            ]
            for path in paths {
                let answer = try await world.get(path, [cookie])
                #expect([200, 400].contains(answer.status), "\(path)")
                for markup in ["<script", "<img", "<b>\"", "href=\"javascript", "href=\"//", "\u{0}", "\u{1B}"] {
                    #expect(!answer.body.contains(markup), "\(markup) in \(path)")
                }
                let policy = try #require(answer.header("content-security-policy"))
                #expect(policy.hasPrefix("default-src 'none'; style-src 'sha256-"))
                #expect(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"))
                #expect(answer.header("x-content-type-options") == "nosniff")
                #expect(answer.header("referrer-policy") == "no-referrer")
                #expect(answer.header("cache-control") == "no-store")
                #expect(answer.body.contains("name=\"viewport\""))
            }
            let life = try await world.get(paths[1], [cookie]).body
            #expect(life.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;&lt;img"))
        }
    }

    @Test func `the policy's digest is that of the style as it is sent`() async throws {
        try await ConsoleWorld.run { world async throws in
            let answer = try await world.get("/")
            let start = try #require(answer.body.range(of: "<style>"))
            let end = try #require(answer.body.range(of: "</style>"))
            let digest = Data(Digest.sha256(answer.body[start.upperBound..<end.lowerBound].utf8)).base64EncodedString()
            #expect(answer.header("content-security-policy")?.contains("'sha256-\(digest)'") == true)
        }
    }

    @Test func `alerts are filtered and sorted, and held ones shown when asked for`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { state in
                state.alerts = [.sample(1), .sample(2, severity: .critical), .sample(3)]
                state.alerts[2].silencedBy = ["s"]
            }
            let all = try await world.get("/").body
            #expect(all.contains("2 open alerts") && !all.contains("Line L3"))
            let places = ["Line L2", "Line L1"].compactMap { all.range(of: $0)?.lowerBound }
            #expect(places.count == 2 && places[0] < places[1])
            #expect(try await world.get("/?held=1").body.contains("Line L3"))
            let critical = try await world.get("/?severity=critical&filter=team%3D%22quality%22").body
            #expect(critical.contains("Line L2") && !critical.contains("Line L1"))
            let wrong = try await world.get("/?filter=team")
            #expect(wrong.status == 400 && wrong.body.contains("bad matcher format: team"))
        }
    }

    @Test func `a login sets a cookie that scripts and other sites do not get`() async throws {
        try await ConsoleWorld.run { world async throws in
            let wrong = try await world.send("POST", "/login", [PageTests.form], body: "token=wrong")
            #expect(wrong.status == 401 && wrong.header("set-cookie") == nil)
            let answer = try await world.send(
                "POST", "/login", [PageTests.form], body: "token=\(ConsoleWorld.writeToken)&next=https%3A%2F%2Fevil")
            let cookie = try #require(answer.header("set-cookie"))
            #expect(cookie.hasSuffix("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"))
            #expect(!cookie.contains(ConsoleWorld.writeToken))
            #expect(answer.header("location") == "/")
            let foreign = try await world.send(
                "POST", "/login", [PageTests.form, "origin: https://evil.example"],
                body: "token=\(ConsoleWorld.writeToken)")
            #expect(foreign.status == 403)
        }
        for settings in [
            ConsoleWorld.settings(isLoopback: false), ConsoleWorld.settings(externalURL: "https://alerts.example.com"),
        ] {
            try await ConsoleWorld.run(settings) { world async throws in
                let answer = try await world.send(
                    "POST", "/login",
                    [PageTests.form, "origin: https://alerts.example.com"].prefix(
                        settings.externalURL == nil ? 1 : 2
                    ).map { $0 }, body: "token=\(ConsoleWorld.readToken)")
                #expect(answer.header("set-cookie")?.hasSuffix("; HttpOnly; SameSite=Lax; Secure") == true)
            }
        }
    }

    @Test func `sessions end, and changed ones are none`() async throws {
        try await ConsoleWorld.run(ConsoleWorld.settings(.nothing)) { world async throws in
            let cookie = try await PageTests.logIn(world)
            #expect(try await world.get("/", [cookie]).status == 200)
            let last = cookie.last == "0" ? "1" : "0"
            #expect(try await world.get("/", [cookie.dropLast() + last]).status == 303)
            #expect(try await world.get("/api/v2/alerts", [cookie]).status == 401)
            let token = try await PageTests.formToken(world, "/", cookie)
            let out = try await world.send("POST", "/logout", [PageTests.form, cookie], body: "form=\(token)")
            #expect(out.status == 303 && out.header("set-cookie")?.contains("Max-Age=0") == true)
            world.clock.set(world.clock.now().adding(ConsoleAccess.sessionLength))
            #expect(try await world.get("/", [cookie]).status == 303)
        }
    }

    @Test func `forms change things with a session that may, and with the form's own token`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { $0.alerts = [.sample(1)] }
            let id = ConsoleAlert.sample(1).id
            let path = "/alerts/\(id)/acknowledge"
            // Nobody known.
            #expect(
                try await world.send("POST", path, [PageTests.form], body: "hours=4").header("location")
                    == "/login?next=%2F")
            let cookie = try await PageTests.logIn(world)
            let token = try await PageTests.formToken(world, "/alerts/\(id)", cookie)
            func post(_ path: String, _ body: String, _ more: [String] = []) async throws -> Int {
                try await world.send("POST", path, [PageTests.form, cookie] + more, body: body).status
            }
            #expect(try await post(path, "hours=4") == 403)
            #expect(try await post(path, "hours=4&form=\(String(repeating: "0", count: 64))") == 403)
            #expect(try await post(path, "hours=4&form=\(token)", ["origin: https://evil.example"]) == 403)
            #expect(try await post(path, "hours=5&form=\(token)") == 400)
            #expect(world.alerting.audit.isEmpty)
            #expect(try await post(path, "hours=4&comment=on+it&form=\(token)") == 303)
            #expect(try await post("/alerts/\(id)/unacknowledge", "form=\(token)") == 303)
            #expect(try await post("/alerts/zz/acknowledge", "hours=4&form=\(token)") == 404)
            let silence = "matchers=team%3Dquality&hours=1&form=\(token)"
            #expect(try await post("/silences", silence) == 400)
            #expect(try await post("/silences", silence + "&comment=planned") == 303)
            let made = try #require(world.alerting.storedSilences.first)
            #expect(made.author == "Jo Doe" && made.comment == "planned")
            #expect(try await post("/silences/\(made.id)/expire", "form=\(token)") == 303)
            #expect(
                world.alerting.audit == [
                    "acknowledge 00000001 until 2026-01-12T10:40:00.000Z 'on it' by Jo Doe from page 127.0.0.1",
                    "unacknowledge 00000001 by Jo Doe from page 127.0.0.1",
                    "put \(made.id) by Jo Doe from page 127.0.0.1",
                    "expire \(made.id) by Jo Doe from page 127.0.0.1",
                ])
        }
    }

    @Test func `who may read only sees no forms and sends none`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { $0.alerts = [.sample(1)] }
            let cookie = try await PageTests.logIn(world, ConsoleWorld.readToken)
            let page = try await world.get("/alerts/\(ConsoleAlert.sample(1).id)", [cookie]).body
            #expect(!page.contains("/acknowledge"))
            let token = try await PageTests.formToken(world, "/", cookie)
            let answer = try await world.send(
                "POST", "/silences", [PageTests.form, cookie], body: "form=\(token)&matchers=a%3Db&comment=c&hours=1")
            #expect(answer.status == 403 && world.alerting.audit.isEmpty)
        }
    }

    @Test(arguments: ["/alerts/zz", "/alerts/\(String(repeating: "0", count: 64))", "/nothing", "/alerts/a/b"])
    func `what is not there says so`(path: String) async throws {
        try await ConsoleWorld.run { world async throws in #expect(try await world.get(path).status == 404) }
    }
}

/// Goal: a link in a message acknowledges what it names, once somebody has said yes; nothing else does.
@Suite(.timeLimit(.minutes(1))) struct AcknowledgePageTests {
    private static let form = "content-type: application/x-www-form-urlencoded"

    private static func link(
        _ world: ConsoleWorld, episode: UInt32 = 1, expiresIn: Duration = .seconds(3600), recipient: String? = nil
    ) throws -> String {
        let fingerprint = try #require(Fingerprint(hex: ConsoleAlert.sample(1).id))
        return AcknowledgeLink(
            incident: IncidentKey(fingerprint: fingerprint, episode: episode), receiver: "quality",
            recipient: recipient, expires: world.clock.now().adding(expiresIn)
        ).path(key: ConsoleWorld.key)
    }

    @Test func `looking asks, sending acts and is audited as the link's recipient`() async throws {
        try await ConsoleWorld.run(ConsoleWorld.settings(.nothing, isLoopback: false)) { world async throws in
            world.alerting.change { $0.alerts = [.sample(1)] }
            let path = try AcknowledgePageTests.link(world, recipient: "jo@example.com")
            for method in ["GET", "HEAD", "GET"] { #expect(try await world.send(method, path).status == 200) }
            let page = try await world.get(path).body
            #expect(page.contains("Line L1 is bad") && page.contains("method=\"post\""))
            #expect(world.alerting.audit.isEmpty)
            let done = try await world.send(
                "POST", path, [AcknowledgePageTests.form], body: "hours=8&comment=coming")
            #expect(done.status == 200 && done.body.contains("No reminders are sent until 2026-01-12 14:40:00 UTC"))
            #expect(
                world.alerting.audit == [
                    "acknowledge 00000001 until 2026-01-12T14:40:00.000Z 'coming' by link to jo@example.com "
                        + "from link 127.0.0.1"
                ])
        }
    }

    @Test func `links that are of no use say why and change nothing`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { $0.alerts = [.sample(1)] }
            let right = try AcknowledgePageTests.link(world)
            let cases = [
                (try AcknowledgePageTests.link(world, expiresIn: .zero), 410, "expired"),
                (try AcknowledgePageTests.link(world, episode: 2), 410, "over"),
                (String(right.dropLast(2)), 404, "no link of ours"), (right + "AA", 404, "no link of ours"),
                ("/ack/AAAA", 404, "no link of ours"), ("/ack/" + String(repeating: "A", count: 5000), 404, "no link"),
            ]
            for (path, status, words) in cases {
                for method in ["GET", "POST"] {
                    let answer = try await world.send(
                        method, path, [AcknowledgePageTests.form], body: method == "POST" ? "hours=4" : nil)
                    #expect(answer.status == status && answer.body.contains(words), "\(method) \(path.prefix(60))")
                }
            }
            world.alerting.change { $0.alerts[0].state = "resolved" }
            #expect(try await world.get(right).status == 410)
            world.alerting.change { $0.alerts = [] }
            #expect(try await world.send("POST", right, [AcknowledgePageTests.form], body: "hours=4").status == 410)
            #expect(world.alerting.audit.isEmpty)
        }
    }

    @Test func `guessing links is limited`() async throws {
        try await ConsoleWorld.run { world async throws in
            for _ in 0..<10 { #expect(try await world.get("/ack/AAAA").status == 404) }
            #expect(try await world.get("/ack/AAAA").status == 429)
        }
    }
}
