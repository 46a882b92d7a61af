public import Core

/// Why the transport's configuration cannot be used.
public struct HTTPTransportError: Error, Equatable, CustomStringConvertible {
    public var message: String
    public var description: String { message }
    /// Makes an error.
    public init(message: String) { self.message = message }
}

/// A forward proxy, from `http_proxy`.
public struct HTTPProxy: Sendable, Equatable {
    public var host: String
    public var port: Int
    public var userName: String?
    public var password: Secret?

    /// Reads `http://host:port` or `http://user:password@host:port`.
    ///
    /// - Throws: ``HTTPTransportError`` for `https://` proxies, which are not supported, and for anything else.
    public init(_ text: String) throws(HTTPTransportError) {
        var rest = Substring(text)
        guard !text.lowercased().hasPrefix("https://") else {
            throw HTTPTransportError(message: "a proxy spoken to over TLS ('https://') is not supported; use 'http://'")
        }
        guard text.lowercased().hasPrefix("http://") else {
            throw HTTPTransportError(message: "a proxy must start with 'http://'")
        }
        rest = rest.dropFirst(7)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        if let at = rest.lastIndex(of: "@") {
            let credentials = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = HTTPProxy.decoded(credentials.first ?? "") else {
                throw HTTPTransportError(message: "the proxy's user name is not percent-encoded correctly")
            }
            userName = name
            if credentials.count == 2 {
                guard let word = HTTPProxy.decoded(credentials[1]) else {
                    throw HTTPTransportError(message: "the proxy's password is not percent-encoded correctly")
                }
                password = Secret(word)
            }
            rest = rest[rest.index(after: at)...]
        }
        do throws(HTTPURLError) {
            let url = try HTTPURL("http://" + rest)
            guard url.target == "/" else { throw HTTPURLError(message: "a proxy has no path") }
            host = url.host
            port = rest.last == "]" || !rest.contains(":") ? 8080 : url.port
        } catch {
            throw HTTPTransportError(message: "proxy: \(error.message)")
        }
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = iterator.next(), let low = iterator.next(),
                let value = Hex.decode(String(decoding: [high, low], as: UTF8.self))
            else { return nil }
            bytes += value
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// Hosts that are reached without the proxy, from `no_proxy`: names, `.domain` suffixes, addresses, `*`.
public struct NoProxyList: Sendable, Equatable {
    private var entries: [String]

    /// Reads a comma-separated list.
    public init(_ text: String) {
        entries = text.split { $0 == "," || $0 == " " }.map { $0.lowercased() }
    }

    /// Whether the host is reached directly. An entry `example.com` covers the host and all names below it; a port in
    /// an entry must match.
    public func covers(host: String, port: Int) -> Bool {
        entries.contains { entry in
            if entry == "*" { return true }
            var name = Substring(entry)
            if let colon = name.lastIndex(of: ":"), name.firstIndex(of: ":") == colon {
                guard Int(name[name.index(after: colon)...]) == port else { return false }
                name = name[..<colon]
            }
            if name.hasPrefix("*.") { name = name.dropFirst() }
            if name.hasPrefix("[") { name = name.dropFirst().prefix { $0 != "]" } }
            let bare = name.hasPrefix(".") ? name.dropFirst() : name
            return host == bare || host.hasSuffix("." + bare)
        }
    }
}

/// How the transport connects.
public struct HTTPTransportConfiguration: Sendable {
    /// Time for DNS, TCP and TLS together.
    public var connectTimeout: Duration
    /// Longest silence while an answer is awaited or read.
    public var readTimeout: Duration
    /// Most bytes of an answer's body that are kept; reading stops there.
    public var responseBytesMax: Int
    /// How long an unused connection is kept. Short, as a server that closes it at the wrong moment makes a request
    /// ambiguous.
    public var idleTimeout: Duration
    /// Most connections to one host.
    public var connectionsPerHostMax: Int
    /// File of PEM certificates to trust besides the system's.
    public var certificateAuthorityFile: String?
    /// PEM files of the client's certificate chain and its key.
    public var clientCertificate: (chainFile: String, keyFile: String)?
    public var proxy: HTTPProxy?
    public var noProxy: NoProxyList

    /// Makes a configuration.
    public init(
        connectTimeout: Duration, readTimeout: Duration, responseBytesMax: Int, idleTimeout: Duration,
        connectionsPerHostMax: Int, certificateAuthorityFile: String?,
        clientCertificate: (chainFile: String, keyFile: String)?, proxy: HTTPProxy?, noProxy: NoProxyList
    ) {
        self.connectTimeout = connectTimeout
        self.readTimeout = readTimeout
        self.responseBytesMax = responseBytesMax
        self.idleTimeout = idleTimeout
        self.connectionsPerHostMax = connectionsPerHostMax
        self.certificateAuthorityFile = certificateAuthorityFile
        self.clientCertificate = clientCertificate
        self.proxy = proxy
        self.noProxy = noProxy
    }

    /// 5 s to connect, 20 s of silence, 64 KiB of answer, 15 s idle, 8 connections a host, the system's certificates,
    /// no proxy.
    public static var standard: HTTPTransportConfiguration {
        HTTPTransportConfiguration(
            connectTimeout: .seconds(5), readTimeout: .seconds(20), responseBytesMax: 65_536, idleTimeout: .seconds(15),
            connectionsPerHostMax: 8, certificateAuthorityFile: nil, clientCertificate: nil, proxy: nil,
            noProxy: NoProxyList(""))
    }
}
