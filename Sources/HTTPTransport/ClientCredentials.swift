public import Core

/// A token of an OAuth token endpoint.
public struct AccessToken: Sendable {
    public var value: Secret
    /// When it stops being accepted, as the endpoint said.
    public var expiresAt: Timestamp
}

/// Gets tokens from an OAuth token endpoint by client credentials.
///
/// Source: RFC 6749 section 4.4.
public struct ClientCredentials: Sendable {
    /// Why there is no token; holds no secret.
    public struct Failure: Error, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// How long the endpoint may take.
    public static let answerMax: Duration = .seconds(10)
    /// How long a token holds whose endpoint does not say.
    public static let lifeDefault: Duration = .seconds(300)
    /// Most characters of the endpoint's error code that are repeated.
    private static let codeMax = 100

    public let clientId: String
    private let endpoint: HTTPURL
    private let clientSecret: Secret
    private let scope: String?
    private let http: any HTTPSending
    private let clock: any WallClock

    /// Names endpoint and client; nothing is sent yet.
    public init(
        endpoint: HTTPURL, clientId: String, clientSecret: Secret, scope: String?, http: any HTTPSending,
        clock: any WallClock
    ) {
        self.endpoint = endpoint
        self.clientId = clientId
        self.clientSecret = clientSecret
        self.scope = scope
        self.http = http
        self.clock = clock
    }

    /// Asks for a new token.
    ///
    /// - Throws: ``Failure`` where there is no answer, or one without a token.
    public func token() async throws(Failure) -> AccessToken {
        var form = [
            ("grant_type", "client_credentials"), ("client_id", clientId), ("client_secret", clientSecret.reveal()),
        ]
        if let scope { form.append(("scope", scope)) }
        let body = form.map { "\($0.0)=\(ClientCredentials.encoded($0.1))" }.joined(separator: "&")
        let asked = clock.now()
        let request = HTTPRequest(
            method: "POST", url: endpoint,
            headers: [
                HTTPHeader("Content-Type", "application/x-www-form-urlencoded"),
                HTTPHeader("Accept", "application/json"),
            ], body: Array(body.utf8))
        switch await http.send(request, deadline: asked.adding(ClientCredentials.answerMax)) {
        case .response(let response): return try token(of: response, asked: asked)
        case .notWritten(let failure), .unanswered(let failure):
            throw Failure(description: redacted("the token endpoint gave no answer: \(failure.message)"))
        }
    }

    private func token(of response: HTTPResponse, asked: Timestamp) throws(Failure) -> AccessToken {
        let answer = try? JSON.parse(response.body)
        guard response.status == 200, response.isComplete, let text = answer?["access_token"]?.stringValue,
            !text.isEmpty
        else {
            // Of the answer only its error code is repeated; its other texts may say more than a log should hold.
            let code = answer?["error"]?.stringValue.map { String($0.prefix(ClientCredentials.codeMax)) }
            throw Failure(
                description: redacted("the token endpoint answered \(response.status): \(code ?? "no token in it")"))
        }
        let given = answer?["expires_in"]?.doubleValue ?? answer?["expires_in"]?.stringValue.flatMap(Double.init)
        let life = given.map { $0.isFinite ? min(max($0, 0), 1e9) : 0 }
        let milliseconds = life.map { Int64($0 * 1000) } ?? ClientCredentials.lifeDefault.wholeMilliseconds
        return AccessToken(value: Secret(text), expiresAt: asked.adding(milliseconds: milliseconds))
    }

    /// A text without the secret, as it is and as it was sent.
    private func redacted(_ text: String) -> String {
        Secret(ClientCredentials.encoded(clientSecret.reveal())).redacted(from: clientSecret.redacted(from: text))
    }

    /// Percent-encodes for a form: everything but unreserved characters.
    private static func encoded(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.append(byte)
            default: result += "%\(Hex.encode([byte]).uppercased())".utf8
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
