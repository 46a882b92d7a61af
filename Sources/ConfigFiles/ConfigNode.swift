public import Core

/// A node of a YAML document that knows where it stands in its file.
public struct ConfigNode: Sendable {
    /// What a node holds.
    public indirect enum Content: Sendable {
        case scalar(ConfigScalar)
        /// Entries in the order of the file; keys are unique, merge keys (`<<`) are resolved.
        case mapping([ConfigEntry])
        case sequence([ConfigNode])
    }

    /// The file the node stands in.
    public let source: ConfigSource
    /// 1-based.
    public let line: Int
    /// 1-based, in Unicode scalars.
    public let column: Int
    public let content: Content

    init(source: ConfigSource, line: Int, column: Int, content: Content) {
        self.source = source
        self.line = line
        self.column = column
        self.content = content
    }

    /// Where the node starts.
    public var position: SourcePosition { source.position(line: line, column: column) }

    /// How many scalars of its first line the node covers; 1 for block scalars, mappings and sequences.
    public var length: Int {
        guard case .scalar(let scalar) = content else { return 1 }
        switch scalar.style {
        case .plain: return max(1, scalar.text.unicodeScalars.prefix { $0 != "\n" }.count)
        case .literal, .folded: return 1
        case .singleQuoted, .doubleQuoted:
            let line = source.line(self.line)
            let quote: Unicode.Scalar = scalar.style == .singleQuoted ? "'" : "\""
            var index = column - 1
            guard index >= 0, index < line.count, line[index] == quote else { return 1 }
            index += 1
            while index < line.count {
                if line[index] == "\\", scalar.style == .doubleQuoted {
                    index += 1
                } else if line[index] == quote {
                    guard scalar.style == .singleQuoted, index + 1 < line.count, line[index + 1] == quote else { break }
                    index += 1
                }
                index += 1
            }
            return min(index, line.count - 1) - column + 2
        }
    }

    /// The scalar; nil for a mapping or sequence.
    public var scalar: ConfigScalar? { if case .scalar(let scalar) = content { scalar } else { nil } }
    /// The entries; nil for a scalar or sequence.
    public var entries: [ConfigEntry]? { if case .mapping(let entries) = content { entries } else { nil } }
    /// The elements; nil for a scalar or mapping.
    public var elements: [ConfigNode]? { if case .sequence(let elements) = content { elements } else { nil } }

    /// The value of a key; nil for none or where the node is no mapping.
    public subscript(key: String) -> ConfigNode? { entries?.first { $0.key == key }?.value }

    /// The scalar as a text with its place; nil for a mapping or sequence.
    public var text: ConfigText? { scalar.map { ConfigText(value: $0.text, node: self) } }
}

/// One key of a mapping and its value.
public struct ConfigEntry: Sendable {
    public let key: String
    /// The key's node, for its position.
    public let keyNode: ConfigNode
    public let value: ConfigNode
}

/// A scalar of a YAML document: its text, how it is written, and what YAML takes it for.
public struct ConfigScalar: Sendable, Equatable {
    /// How a scalar is written.
    public enum Style: Sendable { case plain, singleQuoted, doubleQuoted, literal, folded }

    /// What a scalar is taken for. Only plain scalars are anything but a string.
    public enum Kind: Sendable, Equatable {
        case string
        case null
        case bool(Bool)
        /// A whole number in decimal digits without leading zeroes.
        case integer
        /// A number with a point or exponent, an infinity or NaN.
        case float
        /// `yes`, `no`, `on`, `off`: booleans to some YAML readers, texts to others.
        case ambiguousBool(Bool)
        /// `010`, `0o10`, `0x1F`, `1_000`: numbers to some YAML readers only.
        case ambiguousNumber
    }

    public let text: String
    public let style: Style
    public let kind: Kind

    init(text: String, style: Style) {
        self.text = text
        self.style = style
        kind = style == .plain ? ConfigScalar.kind(of: text) : .string
    }

    private static func kind(of text: String) -> Kind {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case "yes", "Yes", "YES", "on", "On", "ON", "y", "Y": return .ambiguousBool(true)
        case "no", "No", "NO", "off", "Off", "OFF", "n", "N": return .ambiguousBool(false)
        case ".inf", "-.inf", "+.inf", ".Inf", "-.Inf", "+.Inf", ".nan", ".NaN", ".NAN": return .float
        default: break
        }
        var body = Substring(text)
        if let sign = body.first, sign == "-" || sign == "+" { body = body.dropFirst() }
        guard let first = body.first, first.isASCII, first.isNumber || first == "." else { return .string }
        if body.utf8.allSatisfy({ (48...57).contains($0) }) {
            return body.utf8.count > 1 && first == "0" ? .ambiguousNumber : .integer
        }
        if body.hasPrefix("0x") || body.hasPrefix("0o") || body.hasPrefix("0b") {
            let digits = body.dropFirst(2)
            return !digits.isEmpty && digits.allSatisfy(\.isHexDigit) ? .ambiguousNumber : .string
        }
        if body.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: "_") }) { return .ambiguousNumber }
        return DecimalText.parts(String(body)) == nil ? .string : .float
    }
}
