public import Core

/// What a token allows.
public enum AccessScope: String, Sendable, CaseIterable {
    case read, write
}

/// A bearer token of a named person or service. Only its digest is kept.
public struct AccessToken: Sendable, Equatable {
    /// Characters that a token has at least: with fewer it could be guessed.
    public static let charactersMin = 16

    /// Who acts; shown in audits.
    public var name: String
    /// SHA-256 of the token: 32 bytes.
    public var digest: [UInt8]
    public var scopes: Set<AccessScope>

    /// Names whom a token belongs to, by the digest of the token.
    public init(name: String, digest: [UInt8], scopes: Set<AccessScope>) {
        self.name = name
        self.digest = digest
        self.scopes = scopes
    }

    /// Names whom a token belongs to.
    public init(name: String, token: Secret, scopes: Set<AccessScope>) {
        self.init(name: name, digest: Digest.sha256(token.reveal().utf8), scopes: scopes)
    }

    /// Names the token in a session, without giving it away.
    var id: String { Hex.encode(Digest.sha256(digest).prefix(8)) }
}

extension AccessToken {
    /// The token whose digest is that of a text; takes the same time whichever it is, and when there is none.
    static func find(_ presented: String, in tokens: [AccessToken]) -> AccessToken? {
        let digest = Digest.sha256(presented.utf8)
        var found: AccessToken?
        for token in tokens where ConstantTime.areEqual(token.digest, digest) { found = token }
        return found
    }
}

/// Comparisons whose time tells nothing of the values.
enum ConstantTime {
    /// Whether bytes are the same; only a difference in length shows in the time.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }

    static func areEqual(_ left: String, _ right: String) -> Bool { areEqual(Array(left.utf8), Array(right.utf8)) }
}

/// Who may do what from where.
public struct AccessSettings: Sendable {
    /// What somebody on this machine may do without a token.
    public enum Loopback: Sendable { case nothing, read, readAndWrite }

    public var tokens: [AccessToken]
    /// Whether the server listens on a loopback address; elsewhere nobody is trusted by where he comes from.
    public var isListeningOnLoopback: Bool
    public var loopback: Loopback
    /// `/metrics` and `/readyz` answer without a token.
    public var areMetricsPublic: Bool
    /// Where people reach the console, such as `https://alerts.example.com`; nil where only this machine does.
    public var externalURL: String?

    /// Describes who may do what.
    public init(
        tokens: [AccessToken], isListeningOnLoopback: Bool, loopback: Loopback, areMetricsPublic: Bool,
        externalURL: String?
    ) {
        self.tokens = tokens
        self.isListeningOnLoopback = isListeningOnLoopback
        self.loopback = loopback
        self.areMetricsPublic = areMetricsPublic
        self.externalURL = externalURL
    }

    /// Without tokens: this machine may read.
    public static let loopbackReads = AccessSettings(
        tokens: [], isListeningOnLoopback: true, loopback: .read, areMetricsPublic: false, externalURL: nil)

    /// Whether an address to listen on is a loopback address.
    public static func isLoopback(host: String) -> Bool {
        host == "localhost" || host == "::1" || host == "[::1]" || isLoopbackIPv4(host)
    }

    private static func isLoopbackIPv4(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// Who made a request.
public struct ConsoleIdentity: Sendable, Equatable {
    /// The name of a token, or that of somebody on this machine.
    public var name: String
    public var scopes: Set<AccessScope>
    /// The address the request came from.
    public var address: String

    static let loopbackName = "somebody on this machine"
}
