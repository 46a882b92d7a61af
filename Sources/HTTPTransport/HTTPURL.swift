internal import Core

/// Why a text cannot be used as the address of a destination. Never contains the text itself.
public struct HTTPURLError: Error, Equatable, CustomStringConvertible {
    public var message: String
    public var description: String { message }
}

/// An http or https address, kept byte for byte: signatures in queries break when an address is encoded again.
///
/// Addresses of webhooks are secrets, so the description shows the host and a short digest only.
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The whole address as given; a secret.
    public let text: String
    /// The host in lower case, without brackets.
    public let host: String
    /// The port given, else 80 or 443.
    public let port: Int
    /// Whether the scheme is https.
    public let isSecure: Bool
    /// Path and query as sent in the request line; a secret.
    public let target: String

    /// Most bytes of an address; signed addresses pass 255 easily.
    public static let bytesMax = 4096

    /// Reads an address.
    ///
    /// - Throws: ``HTTPURLError`` for another scheme, user information, a fragment, a blank, a control or a non-ASCII
    ///   character, a missing host, a bad port or more than ``bytesMax`` bytes.
    public init(_ text: String) throws(HTTPURLError) {
        guard text.utf8.count <= HTTPURL.bytesMax else {
            throw HTTPURLError(message: "a URL has at most \(HTTPURL.bytesMax) bytes")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"") })
        else {
            throw HTTPURLError(message: "a URL holds printable ASCII only; other characters must be percent-encoded")
        }
        let lowered = text.lowercased()
        if lowered.hasPrefix("https://") {
            isSecure = true
        } else if lowered.hasPrefix("http://") {
            isSecure = false
        } else {
            throw HTTPURLError(message: "a URL must start with 'https://' or 'http://'")
        }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<authorityEnd]
        guard !text.contains("#") else { throw HTTPURLError(message: "a URL of a destination has no fragment ('#')") }
        guard !authority.contains("@") else {
            throw HTTPURLError(message: "a URL carries no user name or password; use the fields for them")
        }
        let (host, port) = try HTTPURL.split(authority: authority)
        self.host = host.lowercased()
        self.port = port ?? (isSecure ? 443 : 80)
        let tail = rest[authorityEnd...]
        target = tail.isEmpty ? "/" : tail.hasPrefix("?") ? "/" + tail : String(tail)
        self.text = text
    }

    private static func split(authority: Substring) throws(HTTPURLError) -> (Substring, Int?) {
        var host = authority
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else {
                throw HTTPURLError(message: "']' is missing in the URL")
            }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { throw HTTPURLError(message: "unexpected text after ']'") }
            port = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
        }
        guard !host.isEmpty else { throw HTTPURLError(message: "the URL has no host") }
        guard let port, !port.isEmpty else { return (host, nil) }
        guard port.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(port), (1...65_535).contains(number)
        else {
            throw HTTPURLError(message: "a port is a number from 1 to 65535")
        }
        return (host, number)
    }

    /// `https://host:port/…` with eight digits of the address's SHA-256, to tell addresses apart without telling them.
    public var description: String {
        let shownPort = port == (isSecure ? 443 : 80) ? "" : ":\(port)"
        let digest = Hex.encode(Digest.sha256(text.utf8).prefix(4))
        return "\(isSecure ? "https" : "http")://\(host)\(shownPort)/… (sha256 \(digest))"
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// The text with the address, its path and query, and its query values replaced by `***`.
    public func redacted(from text: String) -> String {
        var result = Secret(self.text).redacted(from: text)
        if target.utf8.count > 1 { result = Secret(target).redacted(from: result) }
        if let mark = target.firstIndex(of: "?") {
            result = Secret(String(target[target.index(after: mark)...])).redacted(from: result)
            for pair in target[target.index(after: mark)...].split(separator: "&") {
                guard let equals = pair.firstIndex(of: "=") else { continue }
                let value = String(pair[pair.index(after: equals)...])
                if value.utf8.count >= 8 { result = Secret(value).redacted(from: result) }
            }
        }
        return result
    }
}
