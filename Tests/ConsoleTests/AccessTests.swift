import Core
import Foundation
import Testing

@testable import Console

/// Goal: who may do what from where. Method: a table of requests, asked of the router itself, so that requests can
/// come from any address.
@Suite(.timeLimit(.minutes(1))) struct AccessTests {
    private static let read = "Bearer \(ConsoleWorld.readToken)"
    private static let write = "Bearer \(ConsoleWorld.writeToken)"

    private static func router(_ settings: AccessSettings, clock: SetClock = SetClock()) -> ConsoleRouter {
        struct Ready: ConsoleBackend { func readiness() async -> Readiness { .ready } }
        let alerting = FakeAlerting(clock: clock)
        let metrics = MetricsRegistry()
        return ConsoleRouter(
            metrics: metrics, backend: Ready(),
            access: ConsoleAccess(settings: settings, key: ConsoleWorld.key, clock: clock, metrics: metrics),
            clock: clock,
            alerting: ConsoleAlerting(
                views: alerting, control: alerting, makeId: { "00000000-0000-4000-8000-000000000001" },
                linkKey: ConsoleWorld.key))
    }

    private static func request(
        _ method: ConsoleRequest.Method, _ target: String, from address: String = "127.0.0.1",
        _ headers: [String: String] = [:], body: String = ""
    ) throws -> ConsoleRequest {
        let (path, query) = try #require(ConsoleRequest.split(target: target))
        let own = ["host": "127.0.0.1:9464"].merging(headers) { $1 }
        return ConsoleRequest(
            method: method, path: path, query: query, headers: own,
            peer: ConsolePeer(address: address, isLoopback: AccessSettings.isLoopback(host: address)),
            readBody: { _ in Array(body.utf8) })
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var about: String
        var settings: AccessSettings = ConsoleWorld.settings()
        var method: ConsoleRequest.Method = .get
        var target = "/api/v2/alerts"
        var address = "127.0.0.1"
        var headers: [String: String] = [:]
        var status: Int
        var testDescription: String { about }
    }

    private static let remote = ConsoleWorld.settings(isLoopback: false)
    private static let silence = "/api/v2/silence/00000000-0000-4000-8000-000000000001"

    static let cases: [Case] = [
        Case(about: "this machine reads without a token", status: 200),
        Case(about: "IPv6 loopback too", address: "::1", headers: ["host": "[::1]:9464"], status: 200),
        Case(about: "but does not write", method: .delete, target: silence, status: 401),
        Case(
            about: "unless that is configured", settings: ConsoleWorld.settings(.readAndWrite), method: .delete,
            target: silence, status: 404),
        Case(
            about: "nothing without a token where so configured", settings: ConsoleWorld.settings(.nothing),
            status: 401),
        Case(
            about: "a proxy on this machine is another one", headers: ["x-forwarded-for": "10.0.0.1"], status: 401),
        Case(about: "nor is one that says so by Forwarded", headers: ["forwarded": "for=10.0.0.1"], status: 401),
        Case(about: "a page that renamed us reads nothing", headers: ["host": "evil.example:9464"], status: 401),
        Case(about: "another machine needs a token", address: "10.0.0.7", status: 401),
        Case(about: "loopback counts for nothing where the server listens elsewhere", settings: remote, status: 401),
        Case(
            about: "a token reads from anywhere", settings: remote, address: "10.0.0.7",
            headers: ["authorization": read], status: 200),
        Case(about: "a token that is not known", headers: ["authorization": "Bearer nonsense"], status: 401),
        Case(about: "a kind of credentials that is not taken", headers: ["authorization": "Basic eDp5"], status: 401),
        Case(about: "an empty token", headers: ["authorization": "Bearer"], status: 401),
        Case(
            about: "a token that may read only", method: .delete, target: silence, headers: ["authorization": read],
            status: 403),
        Case(
            about: "a token that may write", method: .delete, target: silence, headers: ["authorization": write],
            status: 404),
        Case(
            about: "not from a page of another site", method: .delete, target: silence,
            headers: ["authorization": write, "origin": "https://evil.example"], status: 403),
        Case(
            about: "nor as the browser calls it", method: .delete, target: silence,
            headers: ["authorization": write, "sec-fetch-site": "cross-site"], status: 403),
        Case(
            about: "but from our own", method: .delete, target: silence,
            headers: ["authorization": write, "origin": "http://127.0.0.1:9464"], status: 404),
        Case(about: "health answers anybody", settings: remote, target: "/healthz", address: "10.0.0.7", status: 200),
        Case(about: "metrics do not", settings: remote, target: "/metrics", address: "10.0.0.7", status: 401),
        Case(about: "nor readiness", settings: remote, target: "/readyz", address: "10.0.0.7", status: 401),
        Case(
            about: "unless they are public", settings: ConsoleWorld.settings(isLoopback: false, isPublic: true),
            target: "/metrics", address: "10.0.0.7", status: 200),
        Case(
            about: "metrics by token", settings: remote, target: "/metrics", address: "10.0.0.7",
            headers: ["authorization": read], status: 200),
        Case(
            about: "public metrics open nothing else",
            settings: ConsoleWorld.settings(isLoopback: false, isPublic: true),
            address: "10.0.0.7", status: 401),
        Case(about: "a page leads to the login", settings: remote, target: "/", address: "10.0.0.7", status: 303),
        Case(about: "every page", settings: remote, target: "/receivers", address: "10.0.0.7", status: 303),
        Case(about: "the login itself answers", settings: remote, target: "/login", address: "10.0.0.7", status: 200),
    ]

    @Test(arguments: cases) func `who may do what from where`(one: Case) async throws {
        let response = await AccessTests.router(one.settings).respond(
            try AccessTests.request(one.method, one.target, from: one.address, one.headers))
        #expect(response.status == one.status, "\(String(decoding: response.body, as: UTF8.self))")
        #expect(response.headers.contains { $0.name == "x-content-type-options" && $0.value == "nosniff" })
    }

    @Test func `wrong tokens are limited per network, and a right one still passes`() async throws {
        let clock = SetClock()
        let router = AccessTests.router(ConsoleWorld.settings(isLoopback: false), clock: clock)
        func ask(_ token: String, from address: String) async throws -> ConsoleResponse {
            await router.respond(
                try AccessTests.request(.get, "/api/v2/status", from: address, ["authorization": "Bearer \(token)"]))
        }
        for _ in 0..<10 { #expect(try await ask("guess", from: "2001:db8:1:2::5").status == 401) }
        let limited = try await ask("guess", from: "2001:db8:1:2::6")
        #expect(limited.status == 429)
        #expect(limited.headers.first { $0.name == "retry-after" }?.value == "60")
        #expect(try await ask("guess", from: "10.0.0.7").status == 401)
        #expect(try await ask(ConsoleWorld.readToken, from: "2001:db8:1:2::6").status == 200)
        clock.set(clock.now().adding(.seconds(60)))
        #expect(try await ask("guess", from: "2001:db8:1:2::6").status == 401)
        #expect(router.metrics.prometheusText().contains("alert_router_http_refused_tokens_total 13\n"))
    }

    @Test func `the limiter remembers a bounded number of networks`() {
        var limiter = FailureLimiter()
        for number in 0..<5000 { _ = limiter.fail("n\(number)", now: Timestamp(milliseconds: Int64(number))) }
        #expect(limiter.networkCount == FailureLimiter.networksMax)
    }

    @Test func `a reload changes tokens, and the sessions of those that are gone end`() async throws {
        let router = AccessTests.router(ConsoleWorld.settings(isLoopback: false))
        let session = try #require(router.access.session(token: ConsoleWorld.writeToken))
        let cookie = ["cookie": "a=b; \(ConsoleAccess.cookieName)=\(session)"]
        #expect(try await router.respond(AccessTests.request(.get, "/", from: "10.0.0.7", cookie)).status == 200)
        var changed = ConsoleWorld.settings(isLoopback: false)
        changed.tokens.removeLast()
        router.access.replace(settings: changed)
        #expect(try await router.respond(AccessTests.request(.get, "/", from: "10.0.0.7", cookie)).status == 303)
    }

    @Test func `a token may be given as its digest, and is kept as nothing else`() throws {
        let digest = try #require(Hex.decode("2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"))
        let token = AccessToken(name: "a", digest: digest, scopes: [.read])
        #expect(AccessToken.find("secret", in: [token]) == token)
        #expect(AccessToken.find("Secret", in: [token]) == nil)
        #expect(AccessToken(name: "a", token: Secret("secret"), scopes: [.read]) == token)
    }

    @Test(arguments: ["127.0.0.1", "127.9.9.9", "localhost", "::1"]) func `loopback`(host: String) {
        #expect(AccessSettings.isLoopback(host: host))
    }

    @Test(arguments: ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "127.0.0", "1270.0.0.1", ""])
    func `not loopback`(host: String) {
        #expect(!AccessSettings.isLoopback(host: host))
    }
}
