internal import Core

/// Cuts an expression into tokens; what is no token gets a diagnostic and is skipped.
internal struct Lexer {
    let bytes: [UInt8]
    let map: SourceMap
    var index = 0
    var line: Int32 = 0
    var column: Int32 = 0
    var diagnostics: [Diagnostic] = []

    init(_ source: String, map: SourceMap) {
        bytes = Array(source.utf8)
        self.map = map
    }

    static func tokens(of source: String, map: SourceMap) -> (tokens: [Token], diagnostics: [Diagnostic]) {
        var lexer = Lexer(source, map: map)
        var tokens: [Token] = []
        repeat {
            let token = lexer.next()
            if token.kind != .invalid { tokens.append(token) }
        } while tokens.last?.kind != .end
        return (tokens, lexer.diagnostics)
    }

    func peek(_ ahead: Int = 0) -> UInt8 { index + ahead < bytes.count ? bytes[index + ahead] : 0 }

    /// Steps over one byte, counting lines and scalars.
    mutating func advance() {
        guard index < bytes.count else { return }
        let byte = bytes[index]
        index += 1
        if byte == UInt8(ascii: "\n") {
            line += 1
            column = 0
        } else if index >= bytes.count || bytes[index] & 0xC0 != 0x80 {
            column += 1
        }
    }

    mutating func advance(by count: Int) {
        for _ in 0..<count { advance() }
    }

    var here: Location { Location(line: line, column: column, length: 1, offset: Int32(index)) }

    func location(from start: Location) -> Location {
        var location = start
        location.length = start.line == line ? max(1, column - start.column) : 1
        return location
    }

    func text(from offset: Int) -> String { String(decoding: bytes[offset..<index], as: UTF8.self) }

    mutating func report(_ code: DiagnosticCode, _ message: String, at location: Location, help: String? = nil) {
        // One broken expression never yields more than a page of messages.
        guard diagnostics.count < 20 else { return }
        diagnostics.append(
            Diagnostic(
                code: code.rawValue, message: message, position: map.position(location), length: Int(location.length),
                help: help))
    }

    mutating func skipBlanks() {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0C, 0x0D: advance()
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { advance() }
            default: return
            }
        }
    }

    mutating func next() -> Token {
        skipBlanks()
        let start = here
        guard index < bytes.count else {
            return Token(kind: .end, location: Location(line: line, column: column, length: 1, offset: Int32(index)))
        }
        let byte = bytes[index]
        if Lexer.isLetter(byte) { return word(start) }
        if Lexer.isDigit(byte) || (byte == UInt8(ascii: ".") && Lexer.isDigit(peek(1))) { return number(start) }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return literal(start, prefixCount: 0)
        case UInt8(ascii: "`"): return escapedName(start)
        default: return symbol(start)
        }
    }

    static func isLetter(_ byte: UInt8) -> Bool {
        (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")) || byte == UInt8(ascii: "_")
    }

    static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

    static func hexValue(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 48...57: UInt32(byte - 48)
        case 65...70: UInt32(byte - 55)
        case 97...102: UInt32(byte - 87)
        default: nil
        }
    }

    private mutating func word(_ start: Location) -> Token {
        let offset = index
        // A text may have the prefixes r, b and br.
        var prefixCount = 0
        if peek() | 0x20 == UInt8(ascii: "b") { prefixCount = 1 }
        if peek(prefixCount) | 0x20 == UInt8(ascii: "r") { prefixCount += 1 }
        let quote = peek(prefixCount)
        if prefixCount > 0, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            return literal(start, prefixCount: prefixCount)
        }
        while Lexer.isLetter(peek()) || Lexer.isDigit(peek()) { advance() }
        let text = text(from: offset)
        let kind: TokenKind =
            switch text {
            case "true": .true
            case "false": .false
            case "null": .null
            case "in": .in
            default: .identifier
            }
        return Token(kind: kind, location: location(from: start), text: text)
    }

    private mutating func escapedName(_ start: Location) -> Token {
        advance()
        let offset = index
        while index < bytes.count {
            let byte = bytes[index]
            let isAllowed =
                Lexer.isLetter(byte) || Lexer.isDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "/") || byte == UInt8(ascii: " ")
            guard isAllowed else { break }
            advance()
        }
        let text = text(from: offset)
        guard peek() == UInt8(ascii: "`"), !text.isEmpty else {
            report(
                .badLiteral,
                "a name in backticks holds letters, digits, `_ . - /` and blanks, and ends with a backtick",
                at: location(from: start))
            return Token(kind: .invalid, location: start)
        }
        advance()
        return Token(kind: .escapedIdentifier, location: location(from: start), text: text)
    }

    private mutating func number(_ start: Location) -> Token {
        let offset = index
        var kind = TokenKind.int
        if peek() == UInt8(ascii: "0"), peek(1) | 0x20 == UInt8(ascii: "x"), Lexer.hexValue(peek(2)) != nil {
            advance(by: 2)
            while Lexer.hexValue(peek()) != nil { advance() }
        } else {
            while Lexer.isDigit(peek()) { advance() }
            if peek() == UInt8(ascii: "."), Lexer.isDigit(peek(1)) {
                kind = .double
                advance()
                while Lexer.isDigit(peek()) { advance() }
            }
            if peek() | 0x20 == UInt8(ascii: "e") {
                let signCount = peek(1) == UInt8(ascii: "+") || peek(1) == UInt8(ascii: "-") ? 1 : 0
                if Lexer.isDigit(peek(1 + signCount)) {
                    kind = .double
                    advance(by: 1 + signCount)
                    while Lexer.isDigit(peek()) { advance() }
                }
            }
        }
        let text = text(from: offset)
        if kind == .int, peek() | 0x20 == UInt8(ascii: "u") {
            advance()
            kind = .uint
        }
        if Lexer.isLetter(peek()) {
            let unitStart = index
            while Lexer.isLetter(peek()) || Lexer.isDigit(peek()) { advance() }
            let unit = self.text(from: unitStart)
            let isTime = ["s", "m", "h", "ms"].contains(unit)
            report(
                .badLiteral, "`\(text)\(unit)` is no number", at: location(from: start),
                help: isTime ? "write a duration as duration(\"\(text)\(unit)\")" : nil)
        }
        return Token(kind: kind, location: location(from: start), text: text)
    }
}
