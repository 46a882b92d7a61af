/// Header fields on the wire: folded, encoded, and unable to end early.
///
/// Source: RFC 5322 section 2.2 (fields, folding), RFC 2047 (encoded words).
enum EmailHeader {
    /// A text without control characters (they become blanks) and without blanks at its ends or in rows.
    static func cleaned(_ text: String) -> String {
        if isClean(text) { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if scalar.isControl || scalar == "\u{2028}" || scalar == "\u{2029}" || scalar == " " {
                if let last = result.last, last != " " { result.append(" ") }
            } else if !(isBidiControl(scalar)) {
                result.append(scalar)
            }
        }
        if result.last == " " { result.removeLast() }
        return String(result)
    }

    /// Whether a text is printable ASCII with single blanks between words: then nothing has to be done.
    private static func isClean(_ text: String) -> Bool {
        var before: UInt8 = 0x20
        for byte in text.utf8 {
            guard (0x20..<0x7F).contains(byte), byte != 0x20 || before != 0x20 else { return false }
            before = byte
        }
        return before != 0x20
    }

    /// Characters that turn the order of letters around, so that a text is not read as it is written.
    private static func isBidiControl(_ scalar: Unicode.Scalar) -> Bool {
        (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
    }

    /// `Name: value` with CRLF; the value may be any text.
    static func unstructured(_ name: String, _ value: String) -> String {
        let text = cleaned(value)
        guard needsEncoding(text) else { return folded(name, text) }
        return "\(name): \(encodedWords(text, firstLineUsed: name.utf8.count + 2))\r\n"
    }

    /// `Name: value` with CRLF for a value of our own making: message ids, dates.
    static func folded(_ name: String, _ value: String) -> String {
        var result = "\(name):"
        var column = result.utf8.count
        for word in value.split(separator: " ") {
            if column + 1 + word.utf8.count > 78, column > name.utf8.count + 1 {
                result += "\r\n"
                column = 0
            }
            result += " \(word)"
            column += 1 + word.utf8.count
        }
        return result + "\r\n"
    }

    /// `Name: "Shown" <address>, …` with CRLF.
    static func mailboxes(_ name: String, _ mailboxes: [EmailMailbox]) -> String {
        var result = "\(name): "
        var column = result.utf8.count
        for (index, mailbox) in mailboxes.enumerated() {
            let address = "<\(mailbox.address)>"
            let shown = cleaned(mailbox.name ?? "")
            if index > 0 {
                result += ",\r\n "
                column = 1
            }
            guard !shown.isEmpty else {
                result += "\(mailbox.address)"
                continue
            }
            let phrase = phrase(shown, firstLineUsed: column)
            let lastLine =
                phrase.utf8.count
                - (phrase.utf8.lastIndex(of: 0x0A).map {
                    phrase.utf8.distance(from: phrase.utf8.startIndex, to: $0) + 1
                } ?? 0)
            let fits = lastLine + column + 1 + address.utf8.count <= 78
            result += phrase + (fits ? " " : "\r\n ") + address
        }
        return result + "\r\n"
    }

    private static func phrase(_ text: String, firstLineUsed: Int) -> String {
        if needsEncoding(text) || text.utf8.count > 60 { return encodedWords(text, firstLineUsed: firstLineUsed) }
        let isAtoms = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == 0x20 || byte == 0x2D
        }
        if isAtoms { return text }
        let escaped = text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
        return "\"\(escaped)\""
    }

    /// Not printable ASCII, something that would be taken for an encoded word, or a word too long to be folded.
    private static func needsEncoding(_ text: String) -> Bool {
        if !text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) || text.contains("=?") { return true }
        return text.split(separator: " ").contains { $0.utf8.count > 60 }
    }

    /// Encoded words of at most 75 characters, cut between characters, one a line.
    static func encodedWords(_ text: String, firstLineUsed: Int) -> String {
        let wrapped = "=?utf-8?q??=".utf8.count
        let usesBase64 = text.utf8.count { $0 >= 0x80 } * 3 > text.utf8.count
        var words: [String] = []
        var pending: [UInt8] = []
        var room = max(12, 76 - firstLineUsed - wrapped)
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            let size = usesBase64 ? (pending.count + bytes.count + 2) / 3 * 4 : qSize(pending) + qSize(bytes)
            if size > room, !pending.isEmpty {
                words.append(word(pending, usesBase64: usesBase64))
                pending = []
                room = 75 - wrapped
            }
            pending += bytes
        }
        if !pending.isEmpty { words.append(word(pending, usesBase64: usesBase64)) }
        return words.joined(separator: "\r\n ")
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x21, 0x2A, 0x2B, 0x2D, 0x2F: true
        default: false
        }
    }

    private static func qSize(_ bytes: [UInt8]) -> Int {
        bytes.reduce(0) { $0 + (isPlain($1) || $1 == 0x20 ? 1 : 3) }
    }

    private static func word(_ bytes: [UInt8], usesBase64: Bool) -> String {
        if usesBase64 { return "=?utf-8?b?\(EmailEncoding.base64(bytes))?=" }
        var text: [UInt8] = []
        for byte in bytes {
            if byte == 0x20 {
                text.append(0x5F)
            } else if isPlain(byte) {
                text.append(byte)
            } else {
                EmailEncoding.appendHex(byte, to: &text)
            }
        }
        return "=?utf-8?q?\(String(decoding: text, as: UTF8.self))?="
    }
}

extension Unicode.Scalar {
    /// Control characters (general category Cc), without asking the tables of Unicode.
    var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}
