internal import Core

extension Lexer {
    mutating func symbol(_ start: Location) -> Token {
        let byte = peek()
        let second = peek(1)
        func is2(_ first: Character, _ next: Character) -> Bool {
            byte == first.asciiValue && second == next.asciiValue
        }
        if is2("=", "="), peek(2) == UInt8(ascii: "=") {
            return mistake(start, 3, .equal, .wrongOperator, "`===` is no operator of CEL", "use == to compare")
        }
        if is2("!", "="), peek(2) == UInt8(ascii: "=") {
            return mistake(start, 3, .notEqual, .wrongOperator, "`!==` is no operator of CEL", "use != to compare")
        }
        if is2("=", "=") { return take(start, 2, .equal) }
        if is2("!", "=") { return take(start, 2, .notEqual) }
        if is2("<", "=") { return take(start, 2, .lessEqual) }
        if is2(">", "=") { return take(start, 2, .greaterEqual) }
        if is2("&", "&") { return take(start, 2, .and) }
        if is2("|", "|") { return take(start, 2, .or) }
        if is2("<", ">") {
            return mistake(
                start, 2, .notEqual, .wrongOperator, "`<>` is no operator of CEL", "use != for \"not equal\"")
        }
        if is2("=", "<") {
            return mistake(start, 2, .lessEqual, .wrongOperator, "`=<` is no operator of CEL", "use <=")
        }
        if is2("=", ">") {
            return mistake(start, 2, .greaterEqual, .wrongOperator, "`=>` is no operator of CEL", "use >=")
        }
        if let kind = Lexer.single(byte) { return take(start, 1, kind) }
        switch byte {
        case UInt8(ascii: "="):
            return mistake(start, 1, .equal, .assignment, "`=` does not compare", "use == to compare")
        case UInt8(ascii: "&"):
            return mistake(start, 1, .and, .singleLogical, "`&` is no operator of CEL", "use && for \"and\"")
        case UInt8(ascii: "|"):
            return mistake(start, 1, .or, .singleLogical, "`|` is no operator of CEL", "use || for \"or\"")
        default: return stranger(start)
        }
    }

    private static func single(_ byte: UInt8) -> TokenKind? {
        switch byte {
        case UInt8(ascii: "."): .dot
        case UInt8(ascii: "["): .leftBracket
        case UInt8(ascii: "]"): .rightBracket
        case UInt8(ascii: "("): .leftParenthesis
        case UInt8(ascii: ")"): .rightParenthesis
        case UInt8(ascii: "{"): .leftBrace
        case UInt8(ascii: "}"): .rightBrace
        case UInt8(ascii: ","): .comma
        case UInt8(ascii: ":"): .colon
        case UInt8(ascii: "?"): .question
        case UInt8(ascii: "+"): .plus
        case UInt8(ascii: "-"): .minus
        case UInt8(ascii: "*"): .star
        case UInt8(ascii: "/"): .slash
        case UInt8(ascii: "%"): .percent
        case UInt8(ascii: "!"): .not
        case UInt8(ascii: "<"): .less
        case UInt8(ascii: ">"): .greater
        default: nil
        }
    }

    private mutating func take(_ start: Location, _ count: Int, _ kind: TokenKind) -> Token {
        let offset = index
        advance(by: count)
        return Token(kind: kind, location: location(from: start), text: text(from: offset))
    }

    /// Reports an operator that CEL does not have and goes on as if the right one stood there.
    private mutating func mistake(
        _ start: Location, _ count: Int, _ kind: TokenKind, _ code: DiagnosticCode, _ message: String, _ help: String
    ) -> Token {
        let token = take(start, count, kind)
        report(code, message, at: token.location, help: help)
        return token
    }

    /// A character that begins no token.
    private mutating func stranger(_ start: Location) -> Token {
        let offset = index
        repeat { advance() } while index < bytes.count && bytes[index] & 0xC0 == 0x80
        let character = text(from: offset)
        let place = location(from: start)
        switch character {
        case "≤": return replaced(place, .lessEqual, character, "use <=")
        case "≥": return replaced(place, .greaterEqual, character, "use >=")
        case "≠": return replaced(place, .notEqual, character, "use !=")
        case "×": return replaced(place, .star, character, "use * to multiply")
        case "÷": return replaced(place, .slash, character, "use / to divide")
        case "−", "–": return replaced(place, .minus, character, "use the plain minus sign -")
        case "“", "”", "„", "‘", "’", "«", "»":
            report(
                .badCharacter, "`\(character)` does not quote a text", at: place, help: "use straight quotes: \"text\"")
        case "\u{A0}", "\u{202F}", "\u{FEFF}", "\u{200B}":
            report(.badCharacter, "an invisible character stands here", at: place, help: "replace it by a plain blank")
        case "#":
            report(.badCharacter, "`#` begins nothing in CEL", at: place, help: "comments begin with //")
        case ";":
            report(
                .badCharacter, "`;` has no meaning in CEL", at: place, help: "an expression ends where its text ends")
        default:
            report(.badCharacter, "`\(Lexer.visible(character))` has no meaning in CEL", at: place)
        }
        return Token(kind: .invalid, location: place)
    }

    private mutating func replaced(
        _ place: Location, _ kind: TokenKind, _ character: String, _ help: String
    ) -> Token {
        report(.wrongOperator, "`\(character)` is no operator of CEL", at: place, help: help)
        return Token(kind: kind, location: place, text: character)
    }

    private static func visible(_ character: String) -> String {
        guard let scalar = character.unicodeScalars.first, scalar.value < 0x20 || scalar.value == 0x7F else {
            return character
        }
        return "U+" + String(repeating: "0", count: scalar.value < 16 ? 3 : 2)
            + String(scalar.value, radix: 16, uppercase: true)
    }
}
