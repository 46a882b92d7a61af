/// A type of the Common Expression Language, as the checker sees it.
public indirect enum CELType: Equatable, Hashable, Sendable {
    /// Known only when the expression runs.
    case dyn
    case null
    case bool
    case int
    case uint
    case double
    /// An exact decimal number: comparison, `+`, `-` and `*`.
    case decimal
    case string
    case bytes
    case timestamp
    case duration
    /// The type of a type, such as that of `int`.
    case type
    case list(CELType)
    case map(CELType, CELType)
    case optional(CELType)
    /// An opaque named type; values of it come from the environment only.
    case message(String)
    /// A type parameter in the signature of a function.
    case parameter(String)
    /// The type of an expression that has an error already; fits everywhere, so that one mistake gives one message.
    case error
}

extension CELType: CustomStringConvertible {
    /// The type as an author reads it: `list(string)`.
    public var description: String {
        switch self {
        case .dyn: "dyn"
        case .null: "null"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .decimal: "decimal"
        case .string: "string"
        case .bytes: "bytes"
        case .timestamp: "timestamp"
        case .duration: "duration"
        case .type: "type"
        case .list(let element): "list(\(element))"
        case .map(let key, let value): "map(\(key), \(value))"
        case .optional(let wrapped): "optional(\(wrapped))"
        case .message(let name): name
        case .parameter(let name): name
        case .error: "error"
        }
    }

    /// Whether it is int, uint, double or decimal.
    public var isNumeric: Bool {
        switch self {
        case .int, .uint, .double, .decimal: true
        default: false
        }
    }

    /// Whether nothing is known about it before the expression runs.
    internal var isDynamic: Bool { self == .dyn || self == .error }
}
