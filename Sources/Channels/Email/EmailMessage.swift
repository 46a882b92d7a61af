public import Core
internal import Crypto

/// One message as its author sees it; ``bytes`` is what is sent. Pure: the same values give the same bytes.
public struct EmailMessage: Sendable {
    public var from: EmailMailbox
    public var to: [EmailMailbox]
    public var subject: String
    public var date: Timestamp
    /// `<left@right>`.
    public var messageId: String
    /// The thread it belongs to: the first id is the one replied to.
    public var references: [String]
    /// `list-id.example.com`, with which mail programs sort.
    public var listId: String?
    /// Asks mail programs to mark the message.
    public var isUrgent: Bool
    /// Lines end in LF.
    public var text: String
    public var html: String

    /// Makes a message with the parts every message has.
    public init(
        from: EmailMailbox, to: [EmailMailbox], subject: String, date: Timestamp, messageId: String, text: String,
        html: String
    ) {
        self.from = from
        self.to = to
        self.subject = subject
        self.date = date
        self.messageId = messageId
        references = []
        isUrgent = false
        self.text = text
        self.html = html
    }

    /// An id that is the same whenever the same key is used: a message that is sent again can be recognised.
    ///
    /// - Parameter kind: what the id stands for, a word of letters.
    public static func messageId(kind: String, key: String, domain: String) -> String {
        let digest = SHA256.hash(data: Array("\(kind)\u{0}\(key)".utf8)).prefix(16)
        return "<\(kind).\(hex(digest))@\(domain)>"
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            text.append(hexDigits[Int(byte >> 4)])
            text.append(hexDigits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// Whether a header carries raw UTF-8, because an address is not ASCII.
    public var hasUTF8Headers: Bool { !from.address.isASCII || !to.allSatisfy(\.address.isASCII) }

    /// The message on the wire, except for doubled dots: CRLF line ends, 7-bit but for non-ASCII addresses.
    ///
    /// Source: RFC 5322 (fields), RFC 2046 section 5.1 (multipart/alternative, the best part last), RFC 3834
    /// (Auto-Submitted).
    public var bytes: [UInt8] {
        let seed = SHA256.hash(data: Array(messageId.utf8)).prefix(12)
        // `=_` can occur neither in quoted-printable nor in base64.
        let boundary = "=_" + EmailMessage.hex(seed)
        var output = Array(header(boundary: boundary).utf8)
        output.reserveCapacity(output.count + (text.utf8.count + html.utf8.count) * 5 / 4 + 1024)
        for (type, content) in [("text/plain", text), ("text/html", html)] {
            output += "--\(boundary)\r\n".utf8
            EmailMessage.append(part: type, content, to: &output)
            // The line end before a boundary belongs to the boundary, not to the part.
            output += "\r\n".utf8
        }
        output += "--\(boundary)--\r\n".utf8
        return output
    }

    private func header(boundary: String) -> String {
        var lines = EmailHeader.folded("Date", EmailMessage.dateText(date))
        lines += EmailHeader.mailboxes("From", [from])
        lines += to.isEmpty ? "To: undisclosed-recipients:;\r\n" : EmailHeader.mailboxes("To", to)
        lines += EmailHeader.folded("Message-ID", messageId)
        if let first = references.first {
            lines += EmailHeader.folded("In-Reply-To", first)
            lines += EmailHeader.folded("References", references.prefix(20).joined(separator: " "))
        }
        lines += EmailHeader.unstructured("Subject", subject)
        if let listId { lines += EmailHeader.folded("List-Id", "<\(listId)>") }
        if isUrgent { lines += "X-Priority: 1\r\nImportance: high\r\n" }
        lines += "MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
        lines += "Content-Type: multipart/alternative;\r\n boundary=\"\(boundary)\"\r\n\r\n"
        return lines
    }

    private static func append(part type: String, _ content: String, to output: inout [UInt8]) {
        let clean = lineEndsInLF(content)
        let others = clean.count { $0 >= 0x80 || $0 == 0x3D }
        // Above a sixth quoted-printable (three octets each) is larger than base64 (four for three).
        let usesBase64 = others * 6 > clean.count
        output += "Content-Type: \(type); charset=utf-8\r\n".utf8
        output += "Content-Transfer-Encoding: \(usesBase64 ? "base64" : "quoted-printable")\r\n\r\n".utf8
        output += usesBase64 ? EmailEncoding.base64Lines(withCRLF(clean)) : EmailEncoding.quotedPrintable(clean)
    }

    private static func lineEndsInLF(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.contains(0x0D) || bytes.contains(0) else { return bytes }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        for (index, byte) in bytes.enumerated() where byte != 0 {
            if byte == 0x0D {
                if index + 1 >= bytes.count || bytes[index + 1] != 0x0A { output.append(0x0A) }
            } else {
                output.append(byte)
            }
        }
        return output
    }

    /// The canonical form of a text, which base64 must carry. Source: RFC 2046 section 4.1.1.
    private static func withCRLF(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 32)
        for byte in bytes {
            if byte == 0x0A { output.append(0x0D) }
            output.append(byte)
        }
        return output
    }

    /// `Sun, 22 Nov 2026 18:45:00 +0000`: English names whatever the receiver's locale.
    static func dateText(_ time: Timestamp) -> String {
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let civil = time.civil
        let days = Timestamp.daysFromCivil(year: civil.year, month: civil.month, day: civil.day)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(weekdays[((days % 7) + 7) % 7]), \(two(civil.day)) \(months[civil.month - 1]) \(civil.year)"
        return "\(date) \(two(civil.hour)):\(two(civil.minute)):\(two(civil.second)) +0000"
    }
}
