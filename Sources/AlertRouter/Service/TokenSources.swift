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
            return FileTokenSource(path: LoadedConfiguration.resolve(file.value, in: loaded.folder))
        }
        guard let endpoint = oauth.endpoint, let clientId = oauth.clientId, let secret = oauth.clientSecret else {
            return nil
        }
        do {
            return EndpointTokenSource(
                credentials: ClientCredentials(
                    endpoint: try HTTPURL(endpoint.value), clientId: clientId,
                    clientSecret: try secret.resolve(loaded.resolver), scope: oauth.scope, http: transport,
                    clock: clock))
        } catch {
            throw CommandFailure(.inputIsWrong, "kafka.oauth: \(error)")
        }
    }
}

/// Gets the client's tokens from an OAuth token endpoint.
struct EndpointTokenSource: TokenSource {
    let credentials: ClientCredentials

    func token() async throws -> OAuthToken {
        let token = try await credentials.token()
        // A JSON Web Token says itself how long it holds.
        return OAuthToken(jsonWebToken: token.value.reveal())
            ?? OAuthToken(value: token.value, expiresAt: token.expiresAt, principal: credentials.clientId)
    }
}
