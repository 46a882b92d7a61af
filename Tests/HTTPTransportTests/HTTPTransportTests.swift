import Core
import NIOPosix
import Sandbox
import Synchronization
import Testing

@testable import HTTPTransport

// Goal: each way a request can end is told apart: answered, nothing written, written and not answered. Method: a server
// on loopback that is scripted to behave so.

@Suite(.timeLimit(.minutes(1))) struct HTTPTransportTests {
    static let clock = SystemWallClock()
    static let group = MultiThreadedEventLoopGroup.singleton

    func sink(
        onHead: @escaping HTTPSink.HeadScript = { _ in nil }, _ script: @escaping HTTPSink.Script
    ) async throws -> HTTPSink {
        try await HTTPSink.start(
            port: 0, group: Self.group, clock: Self.clock, certificate: nil, onHead: onHead, script: script)
    }

    func send(
        _ address: String, body: String = "{}", timeout: Int64 = 20_000,
        _ change: (inout HTTPTransportConfiguration) -> Void = { _ in }
    ) async throws -> HTTPResult {
        var configuration = HTTPTransportConfiguration.standard
        change(&configuration)
        let transport = try HTTPTransport(configuration: configuration, clock: Self.clock)
        let request = HTTPRequest(
            method: "POST", url: try HTTPURL(address), headers: [HTTPHeader("Content-Type", "application/json")],
            body: Array(body.utf8))
        let result = await transport.send(request, deadline: Self.clock.now().adding(milliseconds: timeout))
        await transport.shutdown()
        return result
    }

    @Test func `the request line carries the address byte for byte`() async throws {
        let sink = try await sink { _ in .accepted }
        let target = "/a%2Fb/%7e~x//y?sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=Zm9v-_%3D.secret&e=&a=b+c"
        let result = try await send(sink.address + target, body: #"{"a":1}"#)
        #expect(sink.requests.map(\.target) == [target])
        #expect(sink.requests[0].body == Array(#"{"a":1}"#.utf8))
        guard case .response(let response) = result else { return unexpected(result) }
        #expect(response.status == 202 && response.isComplete && response.body.isEmpty)
        await sink.stop()
    }

    @Test func `an answer has its headers and its body, up to the cap`() async throws {
        let sink = try await sink { _ in
            .respond(status: 429, headers: [("Retry-After", "7")], body: Array(repeating: 65, count: 5000))
        }
        let whole = try await send(sink.address + "/x")
        guard case .response(let response) = whole else { return unexpected(whole) }
        #expect(response.header("retry-after") == "7" && response.body.count == 5000)
        let cut = try await send(sink.address + "/x") { $0.responseBytesMax = 1000 }
        guard case .response(let response) = cut else { return unexpected(cut) }
        #expect(response.status == 429 && response.body.count == 1000 && !response.isComplete)
        await sink.stop()
    }

    @Test func `a redirect is an answer and is not followed`() async throws {
        let sink = try await sink { _ in .respond(status: 307, headers: [("Location", "/elsewhere")], body: []) }
        let result = try await send(sink.address + "/x")
        guard case .response(let response) = result else { return unexpected(result) }
        #expect(response.status == 307)
        #expect(sink.requestCount == 1)
        await sink.stop()
    }

    @Test func `nobody listening means that nothing was written`() async throws {
        let sink = try await sink { _ in .accepted }
        let address = sink.address + "/secret-path?sig=very-secret"
        await sink.stop()
        let result = try await send(address)
        guard case .notWritten(let failure) = result else { return unexpected(result) }
        #expect(!failure.message.contains("secret") && !failure.isTimeout)
    }

    @Test func `an unknown host means that nothing was written`() async throws {
        let result = try await send("http://no-such-host.invalid/secret?sig=very-secret")
        guard case .notWritten(let failure) = result else { return unexpected(result) }
        #expect(!failure.message.contains("secret"))
    }

    @Test func `a connection closed at the head, or after the body, is written and not answered`() async throws {
        let before = try await sink(onHead: { _ in .closeBeforeBody }) { _ in .accepted }
        let large = String(repeating: "x", count: 300_000)
        let first = try await send(before.address + "/secret?sig=very-secret", body: large)
        guard case .unanswered(let failure) = first else { return unexpected(first) }
        #expect(!failure.message.contains("secret"))
        let after = try await sink { _ in .closeAfterBody }
        let second = try await send(after.address + "/x")
        guard case .unanswered = second else { return unexpected(second) }
        #expect(after.requestCount == 1)
        await before.stop()
        await after.stop()
    }

    @Test func `silence until the deadline is written and not answered`() async throws {
        let sink = try await sink { _ in .silence }
        let result = try await send(sink.address + "/x", timeout: 200)
        guard case .unanswered(let failure) = result else { return unexpected(result) }
        #expect(failure.isTimeout)
        await sink.stop()
    }

    @Test func `a passed deadline writes nothing`() async throws {
        let sink = try await sink { _ in .accepted }
        let result = try await send(sink.address + "/x", timeout: 0)
        guard case .notWritten(let failure) = result else { return unexpected(result) }
        #expect(failure.isTimeout && sink.requestCount == 0)
        await sink.stop()
    }

    @Test func `garbage in place of an answer is no answer`() async throws {
        let sink = try await sink { _ in .raw(Array("\u{1}\u{2}garbage without any HTTP\r\n\r\n".utf8)) }
        let result = try await send(sink.address + "/x")
        guard case .unanswered = result else { return unexpected(result) }
        await sink.stop()
    }

    @Test func `a head with half a body is an answer`() async throws {
        let sink = try await sink { _ in .raw(Array("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nhalf".utf8)) }
        let result = try await send(sink.address + "/x")
        guard case .response(let response) = result else { return unexpected(result) }
        #expect(response.status == 503 && !response.isComplete)
        await sink.stop()
    }

    @Test func `requests share a pooled connection`() async throws {
        let sink = try await sink { _ in .accepted }
        var configuration = HTTPTransportConfiguration.standard
        // On a busy machine the next request may come after the usual 15 s.
        configuration.idleTimeout = .seconds(3600)
        let transport = try HTTPTransport(configuration: configuration, clock: Self.clock)
        let request = HTTPRequest(method: "POST", url: try HTTPURL(sink.address + "/x"), headers: [], body: [1])
        for _ in 0..<20 {
            _ = await transport.send(request, deadline: Self.clock.now().adding(milliseconds: 20_000))
        }
        // An answer is handed over a moment before its connection is back in the pool, so the next may open a second.
        #expect(sink.requestCount == 20 && (1...2).contains(sink.connectionCount))
        await transport.shutdown()
        await sink.stop()
    }

    @Test func `a header with a line break is refused before anything is written`() async throws {
        let sink = try await sink { _ in .accepted }
        let transport = try HTTPTransport(configuration: .standard, clock: Self.clock)
        let request = HTTPRequest(
            method: "POST", url: try HTTPURL(sink.address + "/x"), headers: [HTTPHeader("X-A", "b\r\nX-C: d")], body: []
        )
        let result = await transport.send(request, deadline: Self.clock.now().adding(milliseconds: 20_000))
        guard case .notWritten = result else { return unexpected(result) }
        #expect(sink.requestCount == 0)
        await transport.shutdown()
        await sink.stop()
    }

    @Test func `a proxy is asked for a tunnel, except for hosts that go directly`() async throws {
        let proxy = try await sink { _ in .respond(status: 407, headers: [], body: []) }
        let target = try await sink { _ in .accepted }
        let through = try await send(target.address + "/x") {
            $0.proxy = try? HTTPProxy("http://user:word@127.0.0.1:\(proxy.port)")
        }
        guard case .notWritten(let failure) = through else { return unexpected(through) }
        #expect(target.requestCount == 0 && !failure.message.contains("word"))
        #expect(proxy.requests.first?.method == "CONNECT")
        #expect(proxy.requests.first?.header("proxy-authorization") == "Basic dXNlcjp3b3Jk")
        let around = try await send(target.address + "/x") {
            $0.proxy = try? HTTPProxy("http://127.0.0.1:\(proxy.port)")
            $0.noProxy = NoProxyList("127.0.0.1")
        }
        guard case .response(let response) = around else { return unexpected(around) }
        #expect(response.status == 202 && target.requestCount == 1)
        await proxy.stop()
        await target.stop()
    }

    @Test func `a certificate file that is missing is an error at load`() {
        var configuration = HTTPTransportConfiguration.standard
        configuration.certificateAuthorityFile = "/nonexistent/ca.pem"
        #expect(throws: HTTPTransportError.self) {
            try HTTPTransport(configuration: configuration, clock: Self.clock)
        }
    }
}

private func unexpected(_ result: HTTPResult) { Issue.record("unexpected: \(result)") }
