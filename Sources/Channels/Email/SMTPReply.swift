internal import NIOCore

/// An enhanced status code such as `5.7.8`.
///
/// Source: RFC 3463 (classes, subjects, details), RFC 2034 (where it stands in a reply).
public struct SMTPEnhancedStatus: Sendable, Hashable, CustomStringConvertible {
    /// 2 success, 4 transient, 5 permanent.
    public var statusClass: Int
    public var subject: Int
    public var detail: Int

    /// Makes a status from its three numbers.
    public init(_ statusClass: Int, _ subject: Int, _ detail: Int) {
        self.statusClass = statusClass
        self.subject = subject
        self.detail = detail
    }

    public var description: String { "\(statusClass).\(subject).\(detail)" }

    /// Reads the status at the start of a reply's text; nil where none stands there or its class contradicts the code.
    static func parse(_ text: some StringProtocol, replyCode: Int) -> SMTPEnhancedStatus? {
        let word = text.utf8.prefix { $0 > 0x20 }
        guard (5...9).contains(word.count) else { return nil }
        var numbers: [Int] = []
        for part in word.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard (1...3).contains(part.count), part.allSatisfy({ (48...57).contains($0) }) else { return nil }
            numbers.append(part.reduce(0) { $0 * 10 + Int($1) - 48 })
        }
        guard numbers.count == 3, numbers[0] == replyCode / 100, [2, 4, 5].contains(numbers[0]) else { return nil }
        return SMTPEnhancedStatus(numbers[0], numbers[1], numbers[2])
    }
}

/// One reply of a server: its code and its text, several lines joined by line feeds.
public struct SMTPReply: Sendable, Equatable {
    /// 200 to 599.
    public var code: Int
    /// The text without the codes; control characters are blanks, at most ``SMTPReplyParser/textBytesMax`` bytes.
    public var text: String

    /// Makes a reply.
    public init(code: Int, text: String) {
        self.code = code
        self.text = text
    }

    /// The enhanced status code that the text begins with, if any.
    public var enhanced: SMTPEnhancedStatus? { SMTPEnhancedStatus.parse(text, replyCode: code) }

    /// 2 success, 3 go on, 4 transient, 5 permanent: the only part of a code that decides.
    var kind: Int { code / 100 }

    /// Code and text on one line, cut to a length fit for a reason.
    public var summary: String {
        let line = text.split(separator: "\n").joined(separator: " ")
        return "\(code) \(line.prefix(300))"
    }
}

/// Why a server's bytes are no SMTP reply.
struct SMTPReplyError: Error, Equatable {
    var message: String
}

/// Turns a server's bytes into replies; everything it holds is bounded.
///
/// A reply line is three digits (first 2 to 5, second 0 to 5) and a blank, a hyphen or the end. Lines end in CRLF; a
/// lone LF is accepted, since no decision hangs on it. Anything else is an error, after which the connection is
/// useless. Where the lines of a reply carry different codes the last one counts.
///
/// Source: RFC 5321 section 4.2 (form), 4.5.3.1.5 (512 octets, which extensions and real servers exceed).
struct SMTPReplyParser {
    static let lineBytesMax = 4096
    static let linesMax = 200
    /// Enough for any list of EHLO keywords; what is beyond is dropped.
    static let textBytesMax = 16_384

    private var line: [UInt8] = []
    private var text: [UInt8] = []
    private var lineCount = 0

    /// Whether a part of a reply has been taken in that is not complete yet.
    var isInsideReply: Bool { !line.isEmpty || lineCount > 0 }

    /// The next complete reply; nil when more bytes are needed. What is read is consumed from `input`.
    mutating func next(_ input: inout ByteBuffer) throws(SMTPReplyError) -> SMTPReply? {
        while input.readableBytes > 0 {
            let view = input.readableBytesView
            let end = view.firstIndex(of: 0x0A)
            let count = end.map { $0 - view.startIndex + 1 } ?? view.count
            guard line.count + count <= SMTPReplyParser.lineBytesMax else {
                throw SMTPReplyError(message: "reply line longer than \(SMTPReplyParser.lineBytesMax) bytes")
            }
            line.append(contentsOf: view.prefix(count))
            input.moveReaderIndex(forwardBy: count)
            guard end != nil else { return nil }
            if let reply = try takeLine() { return reply }
        }
        return nil
    }

    private mutating func takeLine() throws(SMTPReplyError) -> SMTPReply? {
        line.removeLast()
        if line.last == 0x0D { line.removeLast() }
        guard line.count >= 3, (0x32...0x35).contains(line[0]), (0x30...0x35).contains(line[1]),
            (0x30...0x39).contains(line[2]), line.count == 3 || line[3] == 0x20 || line[3] == 0x2D
        else { throw SMTPReplyError(message: "the server's answer is no SMTP reply: '\(shown)'") }
        lineCount += 1
        guard lineCount <= SMTPReplyParser.linesMax else {
            throw SMTPReplyError(message: "reply of more than \(SMTPReplyParser.linesMax) lines")
        }
        let code = line[0..<3].reduce(0) { $0 * 10 + Int($1) - 48 }
        let isLast = line.count == 3 || line[3] == 0x20
        if lineCount > 1, text.count < SMTPReplyParser.textBytesMax { text.append(0x0A) }
        for byte in line.dropFirst(4).prefix(max(0, SMTPReplyParser.textBytesMax - text.count)) {
            text.append(byte < 0x20 || byte == 0x7F ? 0x20 : byte)
        }
        line.removeAll(keepingCapacity: true)
        guard isLast else { return nil }
        let reply = SMTPReply(code: code, text: String(decoding: text, as: UTF8.self))
        text.removeAll(keepingCapacity: true)
        lineCount = 0
        return reply
    }

    private var shown: String {
        String(decoding: line.prefix(60).map { $0 < 0x20 || $0 > 0x7E ? 0x3F : $0 }, as: UTF8.self)
    }
}
