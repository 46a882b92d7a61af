internal import CRdKafka
public import Core

/// A bearer token for SASL OAUTHBEARER.
public struct OAuthToken: Sendable {
    public var value: Secret
    /// When the broker stops accepting it.
    public var expiresAt: Timestamp
    /// The principal that the token stands for; brokers mostly ignore it.
    public var principal: String
    /// SASL extensions, such as Confluent's `logicalCluster` and `identityPoolId`.
    public var extensions: [String: String]

    /// Makes a token.
    public init(value: Secret, expiresAt: Timestamp, principal: String, extensions: [String: String] = [:]) {
        self.value = value
        self.expiresAt = expiresAt
        self.principal = principal
        self.extensions = extensions
    }

    /// Makes a token from the text of a JSON Web Token, whose claims `exp` and `sub` say the rest.
    ///
    /// - Returns: nil where the text is no JSON Web Token with an expiry.
    public init?(jsonWebToken text: String, extensions: [String: String] = [:]) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64.decode(parts[1].utf8), let claims = try? JSON.parse(payload),
            let expiry = claims["exp"]?.doubleValue, expiry > 0, expiry < 1e11
        else { return nil }
        let principal = claims["sub"]?.stringValue ?? claims["appid"]?.stringValue ?? "alert-router"
        self.init(
            value: Secret(text), expiresAt: Timestamp(milliseconds: Int64(expiry * 1000)), principal: principal,
            extensions: extensions)
    }
}

/// Where a client gets its tokens; called before the first connection and at four fifths of each token's life.
public protocol TokenSource: Sendable {
    /// Gets a token that is valid now.
    ///
    /// - Throws: anything; the text is logged and must hold no secret. The client tries again after 10 s.
    func token() async throws -> OAuthToken
}

/// Reads the token from a file that something else keeps fresh, such as a projected service account token.
public struct FileTokenSource: TokenSource {
    /// The file's path; it is read anew for each token.
    public var path: String
    public var extensions: [String: String]

    /// Names the file.
    public init(path: String, extensions: [String: String] = [:]) {
        self.path = path
        self.extensions = extensions
    }

    /// Reads the file again.
    ///
    /// - Throws: when it cannot be read or holds no JSON web token.
    public func token() async throws -> OAuthToken {
        let bytes = try FileBytes.read(path: path, byteCountMax: 1 << 20)
        let text = String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace }.joined()
        guard let token = OAuthToken(jsonWebToken: text, extensions: extensions) else {
            throw KafkaError(.unreadableFile, "'\(path)' holds no JSON Web Token with an expiry")
        }
        return token
    }
}

/// Base64, standard and URL-safe, padded or not.
enum Base64 {
    /// Decodes a text; nil where a character or the length is wrong.
    static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var output: [UInt8] = []
        var bits: UInt32 = 0
        var bitCount = 0
        var paddingCount = 0
        for byte in text {
            let digit: UInt32
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = UInt32(byte) - 65
            case UInt8(ascii: "a")...UInt8(ascii: "z"): digit = UInt32(byte) - 71
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt32(byte) + 4
            case UInt8(ascii: "+"), UInt8(ascii: "-"): digit = 62
            case UInt8(ascii: "/"), UInt8(ascii: "_"): digit = 63
            case UInt8(ascii: "="):
                paddingCount += 1
                continue
            default: return nil
            }
            guard paddingCount == 0 else { return nil }
            bits = bits << 6 | digit
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
        }
        return bitCount == 6 || paddingCount > 2 ? nil : output
    }
}
