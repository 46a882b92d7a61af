import ConfigFiles
import Console
import Core

/// The server's part of the configuration: where it listens, and who may do what.
struct HTTPConfiguration {
    /// One person or service and its token.
    struct Token {
        var name: String
        var token: SecretText?
        /// SHA-256 of the token, in hexadecimal digits, instead of the token itself.
        var digest: ConfigText?
        var scopes: Set<AccessScope>
    }

    var host = "127.0.0.1"
    var port = 9464
    var isEnabled = true
    /// `external_url` of the configuration's root.
    var externalURL: ConfigText?
    var tokens: [Token] = []
    var isLoopbackReadFree = true
    var isLoopbackWriteFree = false
    var areMetricsPublic = false

    /// What holds where nothing is said: this machine may read.
    static let standard = HTTPConfiguration()

    private init() {}

    init(_ mapping: MappingReader) {
        host = mapping.string("host", "Address to listen on.", default: "127.0.0.1")
        port = mapping.int("port", "Port to listen on; 0 takes a free one.", in: 0...65_535, default: 9464)
        isEnabled = mapping.bool("enabled", "Whether there is a server at all.", default: true)
        tokens = mapping.mappings("tokens", "Bearer tokens of persons and services.", Token.init)
        isLoopbackReadFree = mapping.bool(
            "loopback_without_token", "Whether this machine may read without a token; only where 'host' is loopback.",
            default: true)
        isLoopbackWriteFree = mapping.bool(
            "loopback_writes_without_token", "Whether this machine may also change things without a token.",
            default: false)
        areMetricsPublic = mapping.bool(
            "metrics_public", "Whether /metrics and /readyz answer anybody who reaches the port.", default: false)
        guard !mapping.isDescribing else { return }
        if !NetworkAddress.isHost(host) {
            mapping.report(
                ProgramCode.address, "'host' must be an address of this machine or its name; found '\(host)'",
                at: "host",
                help: host.contains(":") ? "the port goes into 'port', a scheme nowhere" : nil)
        }
        var seen: Set<String> = []
        for token in tokens where !token.name.isEmpty && !seen.insert(token.name).inserted {
            mapping.report(ProgramCode.outOfRange, "two tokens are named '\(token.name)'", at: "tokens")
        }
    }

    /// Where people reach the page.
    static func externalURL(_ mapping: MappingReader) -> ConfigText? {
        let url = mapping.text(
            "external_url", "Where people reach the page, such as https://alerts.example.com; links point there.")
        guard let url, !mapping.isDescribing, !isAddress(url.value) else { return url }
        mapping.report(
            ProgramCode.address, "'external_url' must be http:// or https:// with a host; found '\(url.value)'",
            at: "external_url")
        return nil
    }

    private static func isAddress(_ text: String) -> Bool {
        let scheme = ["http://", "https://"].first { text.hasPrefix($0) }
        guard let scheme, !text.contains(where: \.isWhitespace), !text.contains("?"), !text.contains("#") else {
            return false
        }
        let host = text.dropFirst(scheme.count).prefix { $0 != "/" }
        return !host.isEmpty && NetworkAddress.isBroker(String(host))
    }

    /// The page's address without a slash at its end; nil where none is configured.
    var pageAddress: String? {
        externalURL.map { url in url.value.hasSuffix("/") ? String(url.value.dropLast()) : url.value }
    }

    /// Who may do what, with the tokens resolved.
    /// - Throws: ``SecretError``, or ``CommandFailure`` for a token that could be guessed.
    func access(_ resolver: SecretResolver) throws -> AccessSettings {
        let isLoopback = AccessSettings.isLoopback(host: host)
        return AccessSettings(
            tokens: try tokens.map { try $0.resolve(resolver) }, isListeningOnLoopback: isLoopback,
            loopback: !isLoopbackReadFree ? .nothing : isLoopbackWriteFree ? .readAndWrite : .read,
            areMetricsPublic: areMetricsPublic, externalURL: pageAddress)
    }
}

extension HTTPConfiguration.Token {
    init(_ mapping: MappingReader) {
        name = mapping.requiredString("name", "Who it belongs to; audits name it.")
        token = mapping.secret("token", "The token, at least 16 characters.")
        digest = mapping.text("token_sha256", "SHA-256 of the token in hexadecimal digits, instead of the token.")
        let names = mapping.texts("scopes", "What it allows: read, write. Without it: read.")
        scopes = names.isEmpty ? [.read] : Set(names.compactMap { AccessScope(rawValue: $0.value) })
        guard !mapping.isDescribing else { return }
        for name in names where AccessScope(rawValue: name.value) == nil {
            mapping.report(
                ProgramCode.outOfRange, "a scope must be read or write; found '\(name.value)'", at: "scopes")
        }
        mapping.exclusive(["token", "token_sha256"])
        if token == nil, digest == nil, !mapping.has("token") {
            mapping.report(
                ProgramCode.missingKey, "a token needs 'token' or 'token_sha256'", at: nil,
                help: "make one with 'openssl rand -hex 24' and refer to it as ${env:NAME} or ${file:path}")
        }
        if let digest, Hex.decode(digest.value)?.count != 32 {
            mapping.report(
                ProgramCode.outOfRange, "'token_sha256' must be 64 hexadecimal digits", at: "token_sha256",
                help: "printf %s TOKEN | sha256sum")
        }
    }

    /// The token with its secret looked up.
    func resolve(_ resolver: SecretResolver) throws -> AccessToken {
        if let bytes = digest.flatMap({ Hex.decode($0.value) }) {
            return AccessToken(name: name, digest: bytes, scopes: scopes)
        }
        let secret = try token?.resolve(resolver) ?? Secret("")
        guard secret.reveal().count >= AccessToken.charactersMin else {
            throw CommandFailure(
                .inputIsWrong,
                "the token of '\(name)' must have at least \(AccessToken.charactersMin) characters, "
                    + "else it could be guessed"
            )
        }
        return AccessToken(name: name, token: secret, scopes: scopes)
    }
}
