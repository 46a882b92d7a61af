internal import Core

/// Where a request comes from.
struct ConsolePeer: Sendable, Hashable {
    /// The address without its port, as audits name it.
    var address: String
    var isLoopback: Bool

    /// What failures are counted under: an IPv4 address, or the /64 network of an IPv6 address.
    var network: String {
        guard address.contains(":"), !isLoopback else { return address }
        let groups = address.split(separator: ":", omittingEmptySubsequences: false)
        return groups.prefix(4).joined(separator: ":") + "::/64"
    }
}

/// A request as the console sees it: decoded, bounded, free of the server's types.
struct ConsoleRequest: Sendable {
    enum Method: String, Sendable { case get = "GET", head = "HEAD", post = "POST", delete = "DELETE", other = "" }

    struct Parameter: Sendable, Equatable {
        var name: String
        var value: String
    }

    /// Why a body could not be had.
    enum BodyError: Error, Equatable { case tooLarge, tooSlow, broken }

    /// Query parameters and fields of a form; more are an error.
    static let parametersMax = 200

    var method: Method
    /// The path's segments, percent-decoded; none for `/`.
    var path: [String]
    var query: [Parameter]
    /// Names in lower case. Of a repeated header the values are joined by `, `.
    var headers: [String: String]
    var peer: ConsolePeer
    /// Reads the body, up to a number of bytes.
    var readBody: @Sendable (_ bytesMax: Int) async throws -> [UInt8]

    /// The first query parameter of that name.
    func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
    /// All query parameters of that name.
    func parameters(_ name: String) -> [String] { query.filter { $0.name == name }.map(\.value) }

    /// The value of a cookie.
    func cookie(_ name: String) -> String? {
        for pair in (headers["cookie"] ?? "").split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0].drop(while: { $0 == " " }) == name { return String(parts[1]) }
        }
        return nil
    }

    /// Whether the body is a form as browsers send it.
    var isForm: Bool { mediaType == "application/x-www-form-urlencoded" }
    /// Whether the body is JSON.
    var isJSON: Bool { mediaType == "application/json" }

    private var mediaType: String {
        let value = headers["content-type"] ?? ""
        return value.prefix { $0 != ";" }.split(separator: " ").joined().lowercased()
    }
}

extension ConsoleRequest {
    /// Splits a request target into decoded path segments and query parameters; nil where it is malformed.
    static func split(target: String) -> (path: [String], query: [Parameter])? {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let rawPath = parts.first, rawPath.hasPrefix("/") else { return nil }
        var path: [String] = []
        for segment in rawPath.split(separator: "/") {
            guard let text = percentDecoded(segment, isForm: false), text != "..", text != "." else { return nil }
            path.append(text)
        }
        guard let query = parameters(parts.count == 2 ? parts[1] : "") else { return nil }
        return (path, query)
    }

    /// Reads `a=b&c=d`; nil where it is malformed or too long.
    static func parameters(_ text: Substring) -> [Parameter]? {
        let pairs = text.split(separator: "&")
        guard pairs.count <= parametersMax else { return nil }
        var parameters: [Parameter] = []
        for pair in pairs {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = percentDecoded(parts[0], isForm: true),
                let value = percentDecoded(parts.count == 2 ? parts[1] : "", isForm: true)
            else { return nil }
            parameters.append(Parameter(name: name, value: value))
        }
        return parameters
    }

    /// Replaces `%41` and, in forms, `+`; nil for a broken escape, invalid UTF-8 and NUL.
    static func percentDecoded(_ text: Substring, isForm: Bool) -> String? {
        var bytes: [UInt8] = []
        var source = text.utf8.makeIterator()
        while let byte = source.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = source.next(), let low = source.next(),
                    let value = Hex.decode(String(decoding: [high, low], as: UTF8.self))?.first
                else { return nil }
                bytes.append(value)
            case UInt8(ascii: "+") where isForm: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Escapes a text as one path segment or one query value.
    static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The answer to a request.
struct ConsoleResponse: Sendable {
    var status: Int
    var contentType: String
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]

    init(_ status: Int, _ contentType: String, _ body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// Plain text.
    static func text(_ status: Int, _ text: String) -> ConsoleResponse {
        ConsoleResponse(status, "text/plain; charset=utf-8", Array(text.utf8))
    }

    /// JSON and a line end.
    static func json(_ status: Int, _ value: JSON) -> ConsoleResponse {
        ConsoleResponse(status, "application/json", value.bytes + [0x0A])
    }

    /// Another page to be read by GET.
    static func seeOther(_ location: String) -> ConsoleResponse {
        var response = ConsoleResponse.text(303, "see \(location)\n")
        response.headers.append(("location", location))
        return response
    }
}
