/// A value of the Common Expression Language.
public enum Value: Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    /// An exact decimal number as text.
    case decimal(String)
    case string(String)
    case bytes([UInt8])
    case timestamp(PreciseTime)
    /// A span of time in nanoseconds (about ± 290 years).
    case duration(Int64)
    case list([Value])
    case map(ValueMap)
    /// A type, by its CEL name: `int`, `null_type`, `google.protobuf.Timestamp`.
    case type(String)
    indirect case optional(Value?)
}

extension Value {
    /// The CEL name of the value's type.
    public var typeName: String {
        switch self {
        case .null: "null_type"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .decimal: "decimal"
        case .string: "string"
        case .bytes: "bytes"
        case .timestamp: "google.protobuf.Timestamp"
        case .duration: "google.protobuf.Duration"
        case .list: "list"
        case .map: "map"
        case .type: "type"
        case .optional: "optional_type"
        }
    }

    /// The type's name as authors know it.
    internal var plainTypeName: String {
        switch self {
        case .null: "null"
        case .timestamp: "timestamp"
        case .duration: "duration"
        case .optional: "optional"
        default: typeName
        }
    }

    /// The value as text a person reads: strings as they are, numbers shortest, times as RFC 3339.
    public var display: String {
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .int(let value): return String(value)
        case .uint(let value): return String(value)
        case .double(let value): return NumberText.double(value)
        case .decimal(let text), .string(let text), .type(let text): return text
        case .bytes(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .timestamp(let time): return time.description
        case .duration(let nanoseconds): return NumberText.duration(nanoseconds)
        case .list(let elements): return "[" + elements.map(\.display).joined(separator: ", ") + "]"
        case .map(let map):
            return "{" + map.entries.map { "\($0.key.value.display): \($0.value.display)" }.joined(separator: ", ")
                + "}"
        case .optional(let value): return value.map { "optional.of(\($0.display))" } ?? "optional.none()"
        }
    }
}

// MARK: - Equality and order

extension Value: Equatable {
    /// CEL's `==`: numbers compare across their types, NaN equals nothing, other types never equal each other.
    public static func == (left: Value, right: Value) -> Bool {
        switch (left, right) {
        case (.null, .null): return true
        case (.bool(let left), .bool(let right)): return left == right
        case (.string(let left), .string(let right)), (.type(let left), .type(let right)):
            return sameText(left, right)
        case (.bytes(let left), .bytes(let right)): return left == right
        case (.timestamp(let left), .timestamp(let right)): return left == right
        case (.duration(let left), .duration(let right)): return left == right
        case (.list(let left), .list(let right)): return left == right
        case (.map(let left), .map(let right)): return left == right
        case (.optional(let left), .optional(let right)):
            guard let left, let right else { return left == nil && right == nil }
            return left == right
        default: return compareNumbers(left, right) == .some(0)
        }
    }

    /// Equality of texts by their bytes: CEL does not normalise.
    internal static func sameText(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }

    /// Negative, zero or positive for values that have an order; nil for those without, and for NaN.
    internal static func compare(_ left: Value, _ right: Value) -> Comparison {
        switch (left, right) {
        case (.bool(let left), .bool(let right)): return .order((left ? 1 : 0) - (right ? 1 : 0))
        case (.string(let left), .string(let right)):
            if sameText(left, right) { return .order(0) }
            return .order(left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1)
        case (.bytes(let left), .bytes(let right)):
            return .order(left == right ? 0 : left.lexicographicallyPrecedes(right) ? -1 : 1)
        case (.timestamp(let left), .timestamp(let right)): return .order(left == right ? 0 : left < right ? -1 : 1)
        case (.duration(let left), .duration(let right)): return .order(left == right ? 0 : left < right ? -1 : 1)
        default:
            guard left.isNumber, right.isNumber else { return .incomparable }
            return compareNumbers(left, right).map { .order($0) } ?? .unordered
        }
    }

    internal enum Comparison: Equatable {
        case order(Int)
        /// One side is NaN.
        case unordered
        /// These types have no order between them.
        case incomparable
    }

    internal var isNumber: Bool {
        switch self {
        case .int, .uint, .double, .decimal: true
        default: false
        }
    }

    /// Compares numbers of any types; nil where one is NaN or no number.
    internal static func compareNumbers(_ left: Value, _ right: Value) -> Int? {
        switch (left, right) {
        case (.int(let left), .int(let right)): return left == right ? 0 : left < right ? -1 : 1
        case (.uint(let left), .uint(let right)): return left == right ? 0 : left < right ? -1 : 1
        case (.double(let left), .double(let right)): return NumberOrder.compare(left, right)
        case (.int(let left), .uint(let right)): return NumberOrder.compare(left, right)
        case (.uint(let left), .int(let right)): return -NumberOrder.compare(right, left)
        case (.int(let left), .double(let right)): return NumberOrder.compare(left, right)
        case (.double(let left), .int(let right)): return NumberOrder.compare(right, left).map { -$0 }
        case (.uint(let left), .double(let right)): return NumberOrder.compare(left, right)
        case (.double(let left), .uint(let right)): return NumberOrder.compare(right, left).map { -$0 }
        case (.decimal, _), (_, .decimal):
            guard let left = left.decimalText, let right = right.decimalText else { return nil }
            return DecimalNumber.compare(left, right)
        default: return nil
        }
    }

    /// The number as decimal text; a double by its shortest text; nil for NaN, infinities and what is no number.
    internal var decimalText: String? {
        switch self {
        case .int(let value): String(value)
        case .uint(let value): String(value)
        case .double(let value): value.isFinite ? "\(value)" : value.isNaN ? nil : (value < 0 ? "-1e99999" : "1e99999")
        case .decimal(let text): text
        default: nil
        }
    }
}

/// Order between numbers of different types.
internal enum NumberOrder {
    @inline(__always)
    static func compare(_ left: Double, _ right: Double) -> Int? {
        left == right ? 0 : left < right ? -1 : left > right ? 1 : nil
    }

    @inline(__always)
    static func compare(_ left: Int64, _ right: UInt64) -> Int {
        if left < 0 { return -1 }
        let left = UInt64(left)
        return left == right ? 0 : left < right ? -1 : 1
    }

    /// As the conformance suite has it: an integer is compared with a double as the nearest double.
    @inline(__always)
    static func compare(_ left: Int64, _ right: Double) -> Int? { compare(Double(left), right) }

    @inline(__always)
    static func compare(_ left: UInt64, _ right: Double) -> Int? { compare(Double(left), right) }
}
