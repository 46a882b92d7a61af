/// Questions about two types.
internal enum TypeRelations {
    /// Whether a value of one type can stand where the other is wanted; binds type parameters of the wanted one.
    static func accepts(_ wanted: CELType, _ given: CELType, binding: inout [String: CELType]) -> Bool {
        switch (wanted, given) {
        case (.parameter(let name), _):
            guard let bound = binding[name], !bound.isDynamic else {
                binding[name] = given
                return true
            }
            if given.isDynamic { return true }
            var none: [String: CELType] = [:]
            if accepts(bound, given, binding: &none) { return true }
            guard accepts(given, bound, binding: &none) else { return false }
            binding[name] = given
            return true
        case (.dyn, _), (.error, _), (_, .dyn), (_, .error): return true
        case (.list(let wanted), .list(let given)): return accepts(wanted, given, binding: &binding)
        case (.optional(let wanted), .optional(let given)): return accepts(wanted, given, binding: &binding)
        case (.map(let wantedKey, let wantedValue), .map(let key, let value)):
            return accepts(wantedKey, key, binding: &binding) && accepts(wantedValue, value, binding: &binding)
        case (.message, .null), (.timestamp, .null), (.duration, .null): return true
        default: return wanted == given
        }
    }

    static func substitute(_ type: CELType, _ binding: [String: CELType]) -> CELType {
        switch type {
        case .parameter(let name): binding[name] ?? .dyn
        case .list(let element): .list(substitute(element, binding))
        case .optional(let wrapped): .optional(substitute(wrapped, binding))
        case .map(let key, let value): .map(substitute(key, binding), substitute(value, binding))
        default: type
        }
    }

    /// The type of either of two values: the common one, else dyn.
    static func join(_ left: CELType, _ right: CELType) -> CELType {
        if left == right { return left }
        if left == .error { return right }
        if right == .error { return left }
        switch (left, right) {
        case (.list(let left), .list(let right)): return .list(join(left, right))
        case (.optional(let left), .optional(let right)): return .optional(join(left, right))
        case (.map(let leftKey, let leftValue), .map(let rightKey, let rightValue)):
            return .map(join(leftKey, rightKey), join(leftValue, rightValue))
        case (.null, .message), (.null, .timestamp), (.null, .duration): return right
        case (.message, .null), (.timestamp, .null), (.duration, .null): return left
        default: return .dyn
        }
    }

    /// Whether `==` between the two can ever be true.
    static func areComparable(_ left: CELType, _ right: CELType) -> Bool {
        if left.isDynamic || right.isDynamic || left == right { return true }
        if left.isNumeric, right.isNumeric { return true }
        switch (left, right) {
        case (.list(let left), .list(let right)), (.optional(let left), .optional(let right)):
            return areComparable(left, right)
        case (.map(let leftKey, let leftValue), .map(let rightKey, let rightValue)):
            return areComparable(leftKey, rightKey) && areComparable(leftValue, rightValue)
        case (.null, .message), (.message, .null), (.null, .timestamp), (.timestamp, .null), (.null, .duration),
            (.duration, .null):
            return true
        default: return false
        }
    }

    static func isOrdered(_ type: CELType) -> Bool {
        switch type {
        case .dyn, .error, .bool, .int, .uint, .double, .decimal, .string, .bytes, .timestamp, .duration: true
        default: false
        }
    }

    static func isKey(_ type: CELType) -> Bool {
        switch type {
        case .dyn, .error, .bool, .int, .uint, .string, .parameter: true
        default: false
        }
    }

    /// The CEL names that stand for types.
    static func typeNamed(_ name: String) -> String? {
        switch name {
        case "int", "uint", "double", "bool", "string", "bytes", "list", "map", "type", "null_type", "decimal",
            "google.protobuf.Timestamp", "google.protobuf.Duration", "optional_type":
            name
        default: nil
        }
    }
}
