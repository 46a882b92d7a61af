import Core
import Foundation
import NIOPosix
import Sandbox
import Testing

@testable import HTTPTransport

// Goal: tokens come from the endpoint as it gives them, and whatever it answers, no secret shows. Method: the real
// transport against a scripted server; where time matters, a transport that answers at once.

@Suite(.timeLimit(.minutes(1))) struct ClientCredentialsTests {
    private static let secret = "s3cret+mark/9=&x"
    private static let sent = "s3cret%2Bmark%2F9%3D%26x"

    /// Stands still.
    private struct StoppedClock: WallClock {
        func now() -> Timestamp { Timestamp(milliseconds: 1_700_000_000_000) }
        func sleep(until deadline: Timestamp) async throws {}
    }

    /// Answers every request in the same way, and tells how long it was given.
    private struct Answering: HTTPSending {
        var result: HTTPResult
        func send(_ request: HTTPRequest, deadline: Timestamp) async -> HTTPResult {
            guard deadline == StoppedClock().now().adding(.seconds(10)) else {
                return .notWritten(HTTPFailure(message: "another deadline was expected", isTimeout: false))
            }
            return result
        }
    }

    private func credentials(_ http: any HTTPSending, _ address: String, scope: String? = nil) throws
        -> ClientCredentials
    {
        ClientCredentials(
            endpoint: try HTTPURL(address), clientId: "router", clientSecret: Secret(Self.secret), scope: scope,
            http: http, clock: StoppedClock())
    }

    private func answered(_ status: Int, _ body: String, isComplete: Bool = true) async throws -> AccessToken {
        let response = HTTPResponse(status: status, headers: [], body: Array(body.utf8), isComplete: isComplete)
        return try await credentials(Answering(result: .response(response)), "http://127.0.0.1:1/token").token()
    }

    private func failure(_ status: Int, _ body: String, isComplete: Bool = true) async -> String {
        do {
            let token = try await answered(status, body, isComplete: isComplete)
            return "a token until \(token.expiresAt)"
        } catch { return "\(error)" }
    }

    @Test func `the form carries the client, its secret and the scope, encoded, and the answer is the token`()
        async throws
    {
        let clock = SystemWallClock()
        let sink = try await HTTPSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: clock, certificate: nil,
            onHead: { _ in nil },
            script: { _ in
                .respond(
                    status: 200, headers: [("Content-Type", "application/json")],
                    body: Array(#"{"access_token":"t1","token_type":"Bearer","expires_in":120}"#.utf8))
            })
        let transport = try HTTPTransport(configuration: .standard, clock: clock)
        let credentials = ClientCredentials(
            endpoint: try HTTPURL(sink.address + "/oauth2/token"), clientId: "router é",
            clientSecret: Secret(Self.secret), scope: "kafka/.default", http: transport, clock: clock)
        let before = clock.now()
        let token = try await credentials.token()
        #expect(token.value.reveal() == "t1" && "\(token)".contains("t1") == false)
        #expect(token.expiresAt >= before.adding(.seconds(120)))
        #expect(token.expiresAt <= clock.now().adding(.seconds(120)))
        let request = try #require(sink.requests.first)
        #expect(request.method == "POST" && request.target == "/oauth2/token")
        #expect(request.header("content-type") == "application/x-www-form-urlencoded")
        #expect(
            String(decoding: request.body, as: UTF8.self)
                == "grant_type=client_credentials&client_id=router%20%C3%A9&client_secret=\(Self.sent)"
                + "&scope=kafka%2F.default")
        await transport.shutdown()
        await sink.stop()
    }

    @Test(arguments: [
        (#""expires_in":60"#, 60_000), (#""expires_in":"90""#, 90_000), (#""x":1"#, 300_000),
        (#""expires_in":-5"#, 0), (#""expires_in":1e400"#, 0), (#""expires_in":"soon""#, 300_000),
        (#""expires_in":1e300"#, 1_000_000_000_000),
    ])
    func `a life that is missing or nonsense is bounded`(member: String, milliseconds: Int64) async throws {
        let token = try await answered(200, #"{"access_token":"t",\#(member)}"#)
        #expect(token.expiresAt == StoppedClock().now().adding(milliseconds: milliseconds))
    }

    @Test func `an answer without a token says its status and code, and nothing else of it`() async throws {
        let refused = #"{"error":"invalid_client","error_description":"\#(Self.secret) is wrong"}"#
        #expect(await failure(401, refused) == "the token endpoint answered 401: invalid_client")
        #expect(await failure(500, "<html>oops</html>") == "the token endpoint answered 500: no token in it")
        #expect(await failure(200, "") == "the token endpoint answered 200: no token in it")
        #expect(await failure(200, #"{"access_token":""}"#) == "the token endpoint answered 200: no token in it")
        #expect(await failure(200, #"{"access_token":7}"#) == "the token endpoint answered 200: no token in it")
        #expect(await failure(200, #"["access_token"]"#) == "the token endpoint answered 200: no token in it")
        let half = await failure(200, #"{"access_token":"t"}"#, isComplete: false)
        #expect(half == "the token endpoint answered 200: no token in it", "half an answer is none")
        let long = await failure(400, #"{"error":"\#(String(repeating: "x", count: 5000))"}"#)
        #expect(long.utf8.count < 200)
    }

    @Test func `an endpoint that repeats the secret does not bring it into the error`() async throws {
        for echo in [Self.secret, Self.sent] {
            let text = await failure(401, #"{"error":"bad \#(echo) here"}"#)
            #expect(text == "the token endpoint answered 401: bad *** here")
        }
    }

    @Test func `no answer is an error that says why`() async throws {
        let silent = Answering(result: .unanswered(HTTPFailure(message: "no answer in time", isTimeout: true)))
        let error = await #expect(throws: ClientCredentials.Failure.self) {
            try await credentials(silent, "http://127.0.0.1:1/token").token()
        }
        #expect(error?.description == "the token endpoint gave no answer: no answer in time")
        let transport = try HTTPTransport(configuration: .standard, clock: StoppedClock())
        let sink = try await HTTPSink.start(
            port: 0, group: MultiThreadedEventLoopGroup.singleton, clock: StoppedClock(), certificate: nil,
            onHead: { _ in nil }, script: { _ in .raw(Array("garbage\r\n\r\n".utf8)) })
        let garbage = await #expect(throws: ClientCredentials.Failure.self) {
            try await credentials(transport, sink.address + "/token?tenant=\(Self.sent)").token()
        }
        #expect(garbage?.description.hasPrefix("the token endpoint gave no answer: ") == true)
        #expect(garbage?.description.contains("mark") == false)
        await sink.stop()
        await transport.shutdown()
    }
}
