internal import Core

extension Lexer {
    /// A text or bytes literal; `prefixCount` letters stand before its quote.
    mutating func literal(_ start: Location, prefixCount: Int) -> Token {
        let prefix = bytes[index..<index + prefixCount].map { $0 | 0x20 }
        let isRaw = prefix.contains(UInt8(ascii: "r"))
        let isBytes = prefix.contains(UInt8(ascii: "b"))
        advance(by: prefixCount)
        let quote = peek()
        let isTriple = peek(1) == quote && peek(2) == quote
        advance(by: isTriple ? 3 : 1)
        var content: [UInt8] = []
        var isBroken = false
        while true {
            guard index < bytes.count else { return unterminated(start) }
            let byte = bytes[index]
            if byte == quote, !isTriple || (peek(1) == quote && peek(2) == quote) {
                advance(by: isTriple ? 3 : 1)
                break
            }
            if !isTriple, byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") { return unterminated(start) }
            if byte == UInt8(ascii: "\\"), !isRaw {
                if !escape(isBytes: isBytes, into: &content) { isBroken = true }
            } else {
                content.append(byte)
                advance()
            }
        }
        let place = location(from: start)
        if isBytes { return Token(kind: .bytes, location: place, bytes: isBroken ? [] : content) }
        return Token(kind: .string, location: place, text: isBroken ? "" : String(decoding: content, as: UTF8.self))
    }

    private mutating func unterminated(_ start: Location) -> Token {
        report(
            .badLiteral, "the text has no closing quote", at: location(from: start),
            help: "close it on the same line, or use three quotes for several lines")
        return Token(kind: .string, location: location(from: start))
    }

    /// Decodes one escape sequence; false where it is none.
    private mutating func escape(isBytes: Bool, into content: inout [UInt8]) -> Bool {
        let start = here
        advance()
        let letter = peek()
        if let plain = Lexer.plainEscape(letter) {
            content.append(plain)
            advance()
            return true
        }
        switch letter {
        case UInt8(ascii: "x"), UInt8(ascii: "X"): return coded(start, digits: 2, radixBits: 4, isBytes, &content)
        case UInt8(ascii: "u") where !isBytes: return coded(start, digits: 4, radixBits: 4, isBytes, &content)
        case UInt8(ascii: "U") where !isBytes: return coded(start, digits: 8, radixBits: 4, isBytes, &content)
        case 48...51:
            index -= 1
            column -= 1
            return coded(start, digits: 3, radixBits: 3, isBytes, &content)
        default:
            let shown =
                index < bytes.count && letter < 0x80 && letter >= 0x20
                ? "\\" + String(UnicodeScalar(letter)) : "\\"
            report(
                .badLiteral, "`\(shown)` is no escape sequence\(isBytes ? " of bytes" : "")", at: location(from: start),
                help: "write \\\\ for a backslash, or put r before the quote: r\"\\d+\"")
            // A quote that is not escaped must still end the text.
            if letter != UInt8(ascii: "\n"), letter != UInt8(ascii: "\r"), letter < 0x80 { advance() }
            return false
        }
    }

    private static func plainEscape(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "a"): 0x07
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "v"): 0x0B
        case UInt8(ascii: "\\"), UInt8(ascii: "?"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"): letter
        default: nil
        }
    }

    /// A code point or byte in hexadecimal or octal digits; stands on the letter before the digits.
    private mutating func coded(
        _ start: Location, digits: Int, radixBits: UInt32, _ isBytes: Bool, _ content: inout [UInt8]
    ) -> Bool {
        advance()
        var code: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = Lexer.hexValue(peek()), digit < (1 << radixBits) else {
                report(.badLiteral, "the escape sequence needs \(digits) digits", at: location(from: start))
                return false
            }
            code = code << radixBits | digit
            advance()
        }
        if isBytes {
            content.append(UInt8(truncatingIfNeeded: code))
            return true
        }
        guard let scalar = UnicodeScalar(code) else {
            report(.badLiteral, "the escape sequence names no Unicode character", at: location(from: start))
            return false
        }
        content.append(contentsOf: Array(String(Character(scalar)).utf8))
        return true
    }
}
