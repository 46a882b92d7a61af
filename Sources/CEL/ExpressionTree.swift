/// An operator with one or two operands.
internal enum Operator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case modulo = "%"
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessEqual = "<="
    case greater = ">"
    case greaterEqual = ">="
    case `in` = "in"
    case not = "!"
    case negate = "-_"
    case index = "[]"
    case optionalIndex = "[?]"

    var isArithmetic: Bool {
        switch self {
        case .add, .subtract, .multiply, .divide, .modulo: true
        default: false
        }
    }

    var isOrdering: Bool {
        switch self {
        case .less, .lessEqual, .greater, .greaterEqual: true
        default: false
        }
    }

    /// As an author writes it.
    var shown: String { self == .negate ? "-" : rawValue }
}

/// What a macro over a list or map does.
internal enum ComprehensionKind: Sendable {
    case all
    case exists
    case existsOne
    case map
    case filter
    case transformList
    case transformMap
    case transformMapEntry
}

/// A parsed expression: nodes in one array that name their children by index, so that copies and walks are cheap.
internal struct ExpressionTree: Sendable {
    /// What a node is; `Int`s are indices of child nodes.
    enum Kind: Sendable {
        case literal(Value)
        /// A name; with a leading dot it is looked up from the root only.
        case identifier(String)
        case select(Int, field: String, isOptional: Bool)
        /// `has(operand.field)`.
        case presence(Int, field: String)
        case unary(Operator, Int)
        case binary(Operator, Int, Int)
        /// A chain of `&&` or `||`.
        case logical(isAnd: Bool, [Int])
        case conditional(Int, Int, Int)
        case call(String, [Int])
        case memberCall(String, Int, [Int])
        case list([Int], optionals: [Bool])
        case map([Entry])
        case message(String, [FieldEntry])
        case comprehension(Comprehension)
        /// `cel.bind(name, value, body)`.
        case binding(String, Int, Int)
        /// `value.optMap(name, body)` and `value.optFlatMap(name, body)`.
        case optionalMap(String, Int, Int, isFlat: Bool)
        /// A place where parsing failed.
        case broken
    }

    struct Entry: Sendable {
        var key: Int
        var value: Int
        var isOptional: Bool
    }

    struct FieldEntry: Sendable {
        var name: String
        var value: Int
        var isOptional: Bool
    }

    struct Comprehension: Sendable {
        var kind: ComprehensionKind
        var range: Int
        var variable: String
        var secondVariable: String?
        /// The condition of `all`, `exists`, `existsOne`, `filter`, or the optional filter of the others.
        var predicate: Int?
        var transform: Int?
    }

    struct Node: Sendable {
        var kind: Kind
        var location: Location
        var depth: Int32
    }

    var nodes: [Node] = []
    var root: Int = 0

    subscript(index: Int) -> Node { nodes[index] }
}
