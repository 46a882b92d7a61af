public import Core
internal import Synchronization

/// Decides who may do what; shared by all requests, changed by a reload.
public final class ConsoleAccess: Sendable {
    /// Why a request is refused.
    enum Denial: Error, Equatable {
        /// Nothing says who asks.
        case noToken
        case wrongToken
        /// Too many wrong tokens came from there; to be asked again in some seconds.
        case tooManyFailures(seconds: Int)
        case missingScope(AccessScope)
        /// A page of another site sent the request.
        case foreignOrigin
    }

    /// How long a login lasts.
    static let sessionLength: Duration = .seconds(12 * 3600)
    static let cookieName = "alert_router_session"

    private struct State {
        var settings: AccessSettings
        var limiter = FailureLimiter()
    }

    private let state: Mutex<State>
    private let sessionKey: [UInt8]
    private let formKey: [UInt8]
    private let clock: any WallClock
    private let failures: Counter

    /// Makes the judge.
    /// - Parameter key: 32 bytes or more that sign sessions and forms; the same over restarts, else logins end.
    public init(settings: AccessSettings, key: [UInt8], clock: any WallClock, metrics: MetricsRegistry) {
        state = Mutex(State(settings: settings))
        sessionKey = Digest.hmacSHA256(key: key, message: Array("console session".utf8))
        formKey = Digest.hmacSHA256(key: key, message: Array("console form".utf8))
        self.clock = clock
        failures = metrics.counter(
            "alert_router_http_refused_tokens_total", "Requests with a token or session that is not right.")
    }

    /// Takes over settings that were read anew; sessions of tokens that are gone end.
    public func replace(settings: AccessSettings) { state.withLock { $0.settings = settings } }

    var settings: AccessSettings { state.withLock { $0.settings } }

    // MARK: - Requests

    /// Who asks, when he may do it.
    /// - Parameter acceptsSession: whether a login of the page counts; the API takes tokens only.
    func identify(
        _ request: ConsoleRequest, scope: AccessScope, acceptsSession: Bool
    ) throws(Denial) -> ConsoleIdentity {
        let settings = settings
        let identity = try identity(of: request, settings, acceptsSession: acceptsSession)
        guard identity.scopes.contains(scope) else {
            // Somebody who may read without a token is asked for one before he may write.
            throw identity.name == ConsoleIdentity.loopbackName ? .noToken : .missingScope(scope)
        }
        if scope == .write, !isOwnOrigin(request) { throw .foreignOrigin }
        return identity
    }

    private func identity(
        of request: ConsoleRequest, _ settings: AccessSettings, acceptsSession: Bool
    ) throws(Denial) -> ConsoleIdentity {
        if let header = request.headers["authorization"] {
            let parts = header.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw refusal(of: request) }
            return try identity(token: String(parts[1]), of: request)
        }
        if acceptsSession, let cookie = request.cookie(ConsoleAccess.cookieName),
            let token = token(ofSession: cookie, settings)
        {
            return ConsoleIdentity(name: token.name, scopes: token.scopes, address: request.peer.address)
        }
        guard ConsoleAccess.isTrustedByPlace(request, settings) else { throw .noToken }
        return ConsoleIdentity(
            name: ConsoleIdentity.loopbackName, scopes: settings.loopback == .read ? [.read] : [.read, .write],
            address: request.peer.address)
    }

    /// Who presents a token.
    func identity(token presented: String, of request: ConsoleRequest) throws(Denial) -> ConsoleIdentity {
        guard let token = AccessToken.find(presented, in: settings.tokens) else { throw refusal(of: request) }
        return ConsoleIdentity(name: token.name, scopes: token.scopes, address: request.peer.address)
    }

    private func refusal(of request: ConsoleRequest) -> Denial {
        countFailure(of: request).map { .tooManyFailures(seconds: $0) } ?? .wrongToken
    }

    /// Counts a token or a link that is not ours.
    /// - Returns: seconds until more are answered as such; nil while they are.
    func countFailure(of request: ConsoleRequest) -> Int? {
        failures.add()
        let now = clock.now()
        return state.withLock { $0.limiter.fail(request.peer.network, now: now) }
    }

    /// Whether the request comes from this machine and not through a proxy or a page that renamed us.
    private static func isTrustedByPlace(_ request: ConsoleRequest, _ settings: AccessSettings) -> Bool {
        guard settings.loopback != .nothing, settings.isListeningOnLoopback, request.peer.isLoopback else {
            return false
        }
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"]
        where request.headers[name] != nil { return false }
        return AccessSettings.isLoopback(host: hostName(request.headers["host"] ?? ""))
    }

    private static func hostName(_ host: String) -> String {
        if host.hasPrefix("[") { return String(host.prefix { $0 != "]" }.dropFirst()) }
        return String(host.prefix { $0 != ":" })
    }

    /// Browsers name the page that sends a form or a script's request; others name none.
    func isOwnOrigin(_ request: ConsoleRequest) -> Bool {
        if let site = request.headers["sec-fetch-site"], site != "same-origin", site != "none" { return false }
        guard let origin = request.headers["origin"] else { return true }
        if let external = settings.externalURL, origin == ConsoleAccess.origin(of: external) { return true }
        guard let host = request.headers["host"] else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    private static func origin(of url: String) -> String {
        guard let scheme = url.firstRange(of: "://") else { return url }
        return String(url[..<scheme.upperBound] + url[scheme.upperBound...].prefix { $0 != "/" })
    }

    // MARK: - Sessions

    /// The cookie of a new login.
    func session(token presented: String) -> String? {
        guard let token = AccessToken.find(presented, in: settings.tokens) else { return nil }
        let expiry = clock.now().adding(ConsoleAccess.sessionLength).milliseconds / 1000
        let payload = "\(token.id)-\(expiry)"
        return payload + "-" + mac(sessionKey, payload)
    }

    private func token(ofSession cookie: String, _ settings: AccessSettings) -> AccessToken? {
        let parts = cookie.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, ConstantTime.areEqual(parts[2], mac(sessionKey, "\(parts[0])-\(parts[1])")),
            let expiry = Int64(parts[1]), clock.now().milliseconds / 1000 < expiry
        else { return nil }
        return settings.tokens.first { $0.id == parts[0] }
    }

    /// What every form of a page carries, so that no other site's page can send it.
    func formToken(_ request: ConsoleRequest) -> String {
        mac(formKey, request.cookie(ConsoleAccess.cookieName) ?? "none")
    }

    func isRight(formToken: String?, _ request: ConsoleRequest) -> Bool {
        formToken.map { ConstantTime.areEqual($0, self.formToken(request)) } ?? false
    }

    /// The `Set-Cookie` header of a login, or of its end where `value` is nil.
    func cookieHeader(_ value: String?) -> String {
        let settings = settings
        let isLocal = settings.isListeningOnLoopback && !(settings.externalURL?.hasPrefix("https:") ?? false)
        let age = value == nil ? 0 : ConsoleAccess.sessionLength.wholeMilliseconds / 1000
        return "\(ConsoleAccess.cookieName)=\(value ?? ""); Path=/; Max-Age=\(age); HttpOnly; SameSite=Lax"
            + (isLocal ? "" : "; Secure")
    }

    private func mac(_ key: [UInt8], _ text: String) -> String {
        Hex.encode(Digest.hmacSHA256(key: key, message: Array(text.utf8)))
    }
}
