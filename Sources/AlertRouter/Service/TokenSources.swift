import ConfigFiles
import Core
import HTTPTransport
import KafkaClient

/// Where the Kafka client's tokens come from, by the configuration.
enum TokenSources {
    static func make(
        _ loaded: LoadedConfiguration, transport: any HTTPSending, clock: any WallClock
    ) throws -> (any TokenSource)? {
        guard let oauth = loaded.configuration?.kafka.oauth else { return nil }
        if let file = oauth.tokenFile {
            return FileTokenSource(path: LoadedConfiguration.resolve(file, in: loaded.folder))
        }
        guard let endpoint = oauth.endpoint, let clientId = oauth.clientId, let secret = oauth.clientSecret else {
            return nil
        }
        do {
            return ClientCredentials(
                endpoint: try HTTPURL(endpoint), clientId: clientId,
                clientSecret: try secret.resolve(loaded.resolver), scope: oauth.scope, transport: transport,
                clock: clock)
        } catch {
            throw CommandFailure(.inputIsWrong, "kafka.oauth: \(error)")
        }
    }
}

/// Gets tokens from an OAuth token endpoint by client credentials.
///
/// Source: RFC 6749 section 4.4.
struct ClientCredentials: TokenSource {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// How long the endpoint may take.
    private static let answerMax: Duration = .seconds(10)

    let endpoint: HTTPURL
    let clientId: String
    let clientSecret: Secret
    let scope: String?
    let transport: any HTTPSending
    let clock: any WallClock

    func token() async throws -> OAuthToken {
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
        let result = await transport.send(request, deadline: asked.adding(ClientCredentials.answerMax))
        guard case .response(let response) = result else {
            throw Failure(description: "the token endpoint gave no answer")
        }
        guard response.status == 200, let answer = try? JSON.parse(response.body),
            let text = answer["access_token"]?.stringValue
        else {
            // The answer's error code is no secret; its other texts are left out.
            let code = (try? JSON.parse(response.body))?["error"]?.stringValue ?? "no token in the answer"
            throw Failure(description: "the token endpoint answered \(response.status): \(code)")
        }
        if let token = OAuthToken(jsonWebToken: text) { return token }
        let given = answer["expires_in"]?.doubleValue ?? 300
        let seconds = given.isFinite ? min(max(given, 0), 1e9) : 300
        return OAuthToken(
            value: Secret(text), expiresAt: asked.adding(milliseconds: Int64(seconds * 1000)), principal: clientId)
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
