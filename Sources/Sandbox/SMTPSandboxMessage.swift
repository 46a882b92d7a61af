internal import Foundation

/// A message that the sandbox took, and its parts as a mail program shows them.
public struct SMTPSandboxMessage: Sendable, Equatable {
    public var connection: Int
    /// 1 for the first message of its connection.
    public var number: Int
    /// Who had logged in.
    public var user: String?
    public var isEncrypted: Bool
    public var sender: String
    public var recipients: [String]
    /// The message as sent, with leading dots no longer doubled.
    public var bytes: [UInt8]

    /// Makes one, for bytes that came by another way.
    public init(
        connection: Int, number: Int, user: String?, isEncrypted: Bool, sender: String, recipients: [String],
        bytes: [UInt8]
    ) {
        self.connection = connection
        self.number = number
        self.user = user
        self.isEncrypted = isEncrypted
        self.sender = sender
        self.recipients = recipients
        self.bytes = bytes
    }

    /// Decoded header fields in order, folded lines joined.
    public var headers: [(name: String, value: String)] { SMTPSandboxMIME(bytes).headers }

    /// The first header of that name (any case), decoded.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    public var subject: String { header("Subject") ?? "" }
    /// The text/plain part, decoded.
    public var text: String? { SMTPSandboxMIME(bytes).part("text/plain") }
    /// The text/plain part line by line, without its line ends.
    ///
    /// A mail's lines end in CRLF, which is one character: cutting ``text`` at LF would find none.
    public var lines: [String] {
        (text ?? "").split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
    }
    /// The text/html part, decoded.
    public var html: String? { SMTPSandboxMIME(bytes).part("text/html") }
}

/// Reads a message the way a mail program does; shares no code with what writes messages.
struct SMTPSandboxMIME {
    let headers: [(name: String, value: String)]
    private let body: Substring
    private let children: [SMTPSandboxMIME]

    init(_ bytes: [UInt8]) {
        // Latin-1 keeps every byte as one scalar, so that cutting is safe before anything is decoded.
        self.init(String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) })), depth: 0)
    }

    private init(_ text: String, depth: Int) {
        let (head, body) = SMTPSandboxMIME.cut(text)
        headers = SMTPSandboxMIME.fields(head)
        self.body = body
        let type = headers.first { $0.name.lowercased() == "content-type" }?.value ?? "text/plain"
        guard depth < 8, type.lowercased().hasPrefix("multipart/"),
            let boundary = SMTPSandboxMIME.parameter("boundary", of: type)
        else {
            children = []
            return
        }
        let pieces = ("\r\n" + String(body)).components(separatedBy: "\r\n--\(boundary)")
        children = pieces.dropFirst().prefix { !$0.hasPrefix("--") }.map { piece in
            SMTPSandboxMIME(String(piece.drop { $0 == " " }.dropFirst(1)), depth: depth + 1)
        }
    }

    private static func cut(_ text: String) -> (Substring, Substring) {
        guard let range = text.range(of: "\r\n\r\n") else { return (text[...], "") }
        return (text[..<range.lowerBound], text[range.upperBound...])
    }

    private static func fields(_ head: Substring) -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        for line in head.components(separatedBy: "\r\n") {
            if let first = line.first, first == " " || first == "\t", !result.isEmpty {
                result[result.count - 1].value += line
            } else if let colon = line.firstIndex(of: ":") {
                let value = line[line.index(after: colon)...].drop { $0 == " " }
                result.append((String(line[..<colon]), String(value)))
            }
        }
        return result.map { ($0.name, decodedWords($0.value)) }
    }

    private static func parameter(_ name: String, of value: String) -> String? {
        for part in value.split(separator: ";").dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, pair[0].trimmingCharacters(in: .whitespaces).lowercased() == name else { continue }
            return pair[1].trimmingCharacters(in: .whitespaces).trimmingCharacters(in: ["\""])
        }
        return nil
    }

    /// The decoded text of the first part of that type.
    func part(_ type: String) -> String? {
        let own = headers.first { $0.name.lowercased() == "content-type" }?.value.lowercased() ?? "text/plain"
        if own.hasPrefix(type) { return String(decoding: decodedBody, as: UTF8.self) }
        for child in children { if let text = child.part(type) { return text } }
        return nil
    }

    private var decodedBody: [UInt8] {
        let bytes = body.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        switch headers.first(where: { $0.name.lowercased() == "content-transfer-encoding" })?.value.lowercased() {
        case "quoted-printable": return SMTPSandboxMIME.quotedPrintable(bytes)
        case "base64":
            return Data(base64Encoded: Data(bytes), options: .ignoreUnknownCharacters).map { [UInt8]($0) } ?? []
        default: return bytes
        }
    }

    private static func quotedPrintable(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x3D, index + 2 < bytes.count {
                if bytes[index + 1] == 0x0D, bytes[index + 2] == 0x0A {
                    index += 3
                    continue
                }
                if let value = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16) {
                    result.append(value)
                    index += 3
                    continue
                }
            }
            result.append(bytes[index])
            index += 1
        }
        return result
    }

    /// Decodes RFC 2047 words; white space between two of them is dropped.
    private static func decodedWords(_ value: String) -> String {
        var bytes: [UInt8] = []
        var rest = value[...]
        var wasWord = false
        while !rest.isEmpty {
            if let (decoded, after) = word(rest) {
                bytes.append(contentsOf: decoded)
                rest = after
                wasWord = true
                continue
            }
            let blanks = rest.prefix { $0 == " " || $0 == "\t" }
            if wasWord, !blanks.isEmpty, word(rest[blanks.endIndex...]) != nil {
                rest = rest[blanks.endIndex...]
                continue
            }
            bytes.append(contentsOf: rest.unicodeScalars.prefix(1).map { UInt8(truncatingIfNeeded: $0.value) })
            rest = rest.dropFirst()
            wasWord = false
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func word(_ text: Substring) -> ([UInt8], Substring)? {
        guard text.hasPrefix("=?") else { return nil }
        let parts = text.split(separator: "?", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 5, parts[4].hasPrefix("="), parts[1].lowercased() == "utf-8" else { return nil }
        let bytes = parts[3].unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        switch parts[2].lowercased() {
        case "q": return (quotedPrintable(bytes.map { $0 == 0x5F ? 0x20 : $0 }), parts[4].dropFirst())
        case "b":
            guard let data = Data(base64Encoded: String(parts[3])) else { return nil }
            return ([UInt8](data), parts[4].dropFirst())
        default: return nil
        }
    }
}

extension SMTPSandboxMessage {
    public static func == (left: SMTPSandboxMessage, right: SMTPSandboxMessage) -> Bool {
        left.connection == right.connection && left.number == right.number && left.user == right.user
            && left.isEncrypted == right.isEncrypted && left.sender == right.sender
            && left.recipients == right.recipients && left.bytes == right.bytes
    }
}
