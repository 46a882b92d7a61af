/// A JSON value that loses nothing: numbers keep their text, objects their order and repeated names.
///
/// For control data (headers, control socket, vendor answers, lists and objects inside rows); the data plane goes
/// through simdjson.
public enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    /// The number's text, valid JSON.
    case number(String)
    case string(String)
    case array([JSON])
    case object([Member])

    /// One member of an object.
    public struct Member: Sendable, Equatable {
        public var name: String
        public var value: JSON
        /// Makes a member.
        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// Why a text is no JSON, and at which byte.
    public struct ParseError: Error, Equatable, CustomStringConvertible {
        public var message: String
        public var byteOffset: Int
        public var description: String { "\(message) at byte \(byteOffset)" }
    }

    /// An object from a literal list of members.
    public static func object(_ members: KeyValuePairs<String, JSON>) -> JSON {
        .object(members.map { Member($0.key, $0.value) })
    }

    /// An integer.
    public static func integer(_ value: some BinaryInteger) -> JSON { .number(String(value)) }

    /// A number; NaN and infinities, which JSON cannot write, become strings as Spark writes them.
    public static func double(_ value: Double) -> JSON {
        if value.isNaN { return .string("NaN") }
        if value.isInfinite { return .string(value < 0 ? "-Infinity" : "Infinity") }
        return .number(String(value))
    }

    /// A string, or null.
    public static func optional(_ text: String?) -> JSON { text.map { .string($0) } ?? .null }

    /// The first member of that name; nil for none or where the value is no object.
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The element at an index; nil where there is none.
    public subscript(index: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// The text of a string; nil for anything else.
    public var stringValue: String? { if case .string(let text) = self { text } else { nil } }
    /// The integer of a number; nil for anything else or where it has a fraction or does not fit.
    public var intValue: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }
    /// The nearest double of a number; nil for anything else.
    public var doubleValue: Double? { if case .number(let text) = self { Double(text) } else { nil } }
    /// The boolean; nil for anything else.
    public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The elements of an array; nil for anything else.
    public var elements: [JSON]? { if case .array(let elements) = self { elements } else { nil } }
    /// The members of an object; nil for anything else.
    public var members: [Member]? { if case .object(let members) = self { members } else { nil } }
}

// MARK: - Writing

extension JSON: CustomStringConvertible {
    /// The value as JSON text on one line, without blanks.
    public var description: String { String(decoding: bytes, as: UTF8.self) }

    /// The value as UTF-8 JSON text on one line, without blanks.
    public var bytes: [UInt8] {
        var output: [UInt8] = []
        write(to: &output)
        return output
    }

    /// Appends the value as JSON text.
    public func write(to output: inout [UInt8]) {
        switch self {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .number(let text): output += text.utf8
        case .string(let text): JSON.writeString(text, to: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                element.write(to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                JSON.writeString(member.name, to: &output)
                output.append(UInt8(ascii: ":"))
                member.value.write(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Appends a text as a JSON string, quotes included.
    public static func writeString(_ text: String, to output: inout [UInt8]) {
        let hex = Array("0123456789abcdef".utf8)
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): output += "\\\"".utf8
            case UInt8(ascii: "\\"): output += "\\\\".utf8
            case 0x0A: output += "\\n".utf8
            case 0x0D: output += "\\r".utf8
            case 0x09: output += "\\t".utf8
            case 0..<0x20, 0x7F: output += "\\u00".utf8 + [hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}

// MARK: - Reading

extension JSON {
    /// Parses one JSON value that fills the whole text.
    ///
    /// - Parameter depthMax: nesting above it is an error, so hostile input cannot exhaust the stack.
    /// - Throws: ``ParseError`` for anything RFC 8259 does not allow, invalid UTF-8 and lone surrogates included.
    public static func parse(_ bytes: some Sequence<UInt8>, depthMax: Int = 128) throws(ParseError) -> JSON {
        var parser = Parser(bytes: Array(bytes), depthMax: depthMax)
        return try parser.parseDocument()
    }

    /// Parses one JSON value that fills the whole text; see ``parse(_:depthMax:)``.
    public static func parse(_ text: String, depthMax: Int = 128) throws(ParseError) -> JSON {
        try parse(text.utf8, depthMax: depthMax)
    }

    private struct Parser {
        let bytes: [UInt8]
        let depthMax: Int
        var index = 0

        init(bytes: [UInt8], depthMax: Int) {
            self.bytes = bytes
            self.depthMax = depthMax
        }

        func failure(_ message: String) -> ParseError { ParseError(message: message, byteOffset: index) }

        mutating func skipBlanks() {
            while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
        }

        mutating func parseDocument() throws(ParseError) -> JSON {
            let value = try parseValue(depth: 0)
            skipBlanks()
            guard index == bytes.count else { throw failure("unexpected text after the value") }
            return value
        }

        mutating func parseValue(depth: Int) throws(ParseError) -> JSON {
            guard depth <= depthMax else { throw failure("nested deeper than \(depthMax) levels") }
            skipBlanks()
            guard index < bytes.count else { throw failure("unexpected end of the text") }
            switch bytes[index] {
            case UInt8(ascii: "{"): return try parseObject(depth: depth)
            case UInt8(ascii: "["): return try parseArray(depth: depth)
            case UInt8(ascii: "\""): return .string(try parseString())
            case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
            case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
            case UInt8(ascii: "n"): return try parseWord("null", .null)
            default: return .number(try parseNumber())
            }
        }

        mutating func parseWord(_ word: String, _ value: JSON) throws(ParseError) -> JSON {
            guard bytes[index...].starts(with: word.utf8) else { throw failure("expected a JSON value") }
            index += word.utf8.count
            return value
        }

        mutating func parseArray(depth: Int) throws(ParseError) -> JSON {
            index += 1
            var elements: [JSON] = []
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array([]) }
            while true {
                elements.append(try parseValue(depth: depth + 1))
                skipBlanks()
                if take(UInt8(ascii: "]")) { return .array(elements) }
                guard take(UInt8(ascii: ",")) else { throw failure("expected ',' or ']' in an array") }
            }
        }

        mutating func parseObject(depth: Int) throws(ParseError) -> JSON {
            index += 1
            var members: [Member] = []
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object([]) }
            while true {
                skipBlanks()
                guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
                    throw failure("expected a member name in quotes")
                }
                let name = try parseString()
                skipBlanks()
                guard take(UInt8(ascii: ":")) else { throw failure("expected ':' after a member name") }
                members.append(Member(name, try parseValue(depth: depth + 1)))
                skipBlanks()
                if take(UInt8(ascii: "}")) { return .object(members) }
                guard take(UInt8(ascii: ",")) else { throw failure("expected ',' or '}' in an object") }
            }
        }

        mutating func take(_ byte: UInt8) -> Bool {
            guard index < bytes.count, bytes[index] == byte else { return false }
            index += 1
            return true
        }

        mutating func takeDigits() -> Int {
            let start = index
            while index < bytes.count, (48...57).contains(bytes[index]) { index += 1 }
            return index - start
        }

        mutating func parseNumber() throws(ParseError) -> String {
            let start = index
            _ = take(UInt8(ascii: "-"))
            let leading = index
            let digitCount = takeDigits()
            guard digitCount > 0 else { throw failure("expected a JSON value") }
            guard digitCount == 1 || bytes[leading] != 48 else { throw failure("a number may not start with '0'") }
            if take(UInt8(ascii: ".")), takeDigits() == 0 { throw failure("expected digits after '.'") }
            if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
                if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
                guard takeDigits() > 0 else { throw failure("expected digits in the exponent") }
            }
            return String(decoding: bytes[start..<index], as: UTF8.self)
        }

        mutating func parseString() throws(ParseError) -> String {
            index += 1
            var text: [UInt8] = []
            while index < bytes.count {
                let byte = bytes[index]
                switch byte {
                case UInt8(ascii: "\""):
                    index += 1
                    guard let string = String(validating: text, as: UTF8.self) else { throw failure("invalid UTF-8") }
                    return string
                case UInt8(ascii: "\\"):
                    index += 1
                    try parseEscape(into: &text)
                case 0..<0x20: throw failure("control character in a string")
                default:
                    text.append(byte)
                    index += 1
                }
            }
            throw failure("string without an end")
        }

        mutating func parseEscape(into text: inout [UInt8]) throws(ParseError) {
            guard index < bytes.count else { throw failure("string without an end") }
            let escape = bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"): text += String(try parseUnicodeEscape()).utf8
            default: throw failure("unknown escape in a string")
            }
        }

        mutating func parseUnicodeEscape() throws(ParseError) -> Unicode.Scalar {
            let first = try parseHexWord()
            if let scalar = Unicode.Scalar(first) { return scalar }
            guard (0xD800..<0xDC00).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
                throw failure("lone surrogate in a string")
            }
            let second = try parseHexWord()
            guard (0xDC00..<0xE000).contains(second),
                let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
            else { throw failure("lone surrogate in a string") }
            return scalar
        }

        mutating func parseHexWord() throws(ParseError) -> UInt32 {
            guard index + 4 <= bytes.count,
                let word = Hex.decode(String(decoding: bytes[index..<index + 4], as: UTF8.self))
            else { throw failure("expected four hexadecimal digits") }
            index += 4
            return UInt32(word[0]) << 8 | UInt32(word[1])
        }
    }
}
