internal import Core

extension Checker {
    mutating func unary(_ node: Int, _ operation: Operator, _ operand: Int) -> CELType {
        let type = check(operand)
        if type.isDynamic { return operation == .not ? .bool : .dyn }
        if operation == .not {
            if type == .bool { return .bool }
            return mismatch(
                .operandMismatch, "`!` takes true or false, not \(described(operand))", at: node,
                help: type.isNumeric ? "compare it, as in \(shown(operand) ?? "x") == 0" : nil)
        }
        switch type {
        case .int, .double, .decimal, .duration: return type
        case .uint: return mismatch(.operandMismatch, "an unsigned number has no negative", at: node, help: "use int()")
        default: return mismatch(.operandMismatch, "`-` takes a number, not \(described(operand))", at: node)
        }
    }

    mutating func binary(_ node: Int, _ operation: Operator, _ left: Int, _ right: Int) -> CELType {
        let leftType = check(left)
        let rightType = check(right)
        if let type = enumerated(operation, left, right) { return type }
        switch operation {
        case .index, .optionalIndex: return index(node, left, right, isOptional: operation == .optionalIndex)
        case .in: return membership(node, left, right)
        case .equal, .notEqual: return equality(node, operation, left, right)
        case .less, .lessEqual, .greater, .greaterEqual: return ordering(node, operation, left, right)
        default: return arithmetic(node, operation, left, right, leftType, rightType)
        }
    }

    private func isNullable(_ node: Int) -> Bool {
        if checked.types[node].isDynamic { return true }
        switch checked.names[node] {
        case .slot, .dynamic, .local: return true
        default: return false
        }
    }

    private mutating func equality(_ node: Int, _ operation: Operator, _ left: Int, _ right: Int) -> CELType {
        let (leftType, rightType) = (checked.types[left], checked.types[right])
        if leftType == .null, isNullable(right) { return .bool }
        if rightType == .null, isNullable(left) { return .bool }
        if TypeRelations.areComparable(leftType, rightType) {
            warnIntegerDivision(left, right)
            return .bool
        }
        let outcome = operation == .equal ? "false" : "true"
        return mismatch(
            .impossibleComparison,
            "\(described(left)) can never equal \(described(right)): `\(operation.shown)` would always be \(outcome)",
            at: node, help: comparisonHelp(left, right)) == .error ? .error : .bool
    }

    private mutating func ordering(_ node: Int, _ operation: Operator, _ left: Int, _ right: Int) -> CELType {
        let (leftType, rightType) = (checked.types[left], checked.types[right])
        if leftType == .null || rightType == .null {
            return mismatch(
                .impossibleComparison, "null is neither smaller nor larger than anything", at: node,
                help: "test with == null or has()")
        }
        let isOrdered = TypeRelations.isOrdered(leftType) && TypeRelations.isOrdered(rightType)
        if isOrdered, TypeRelations.areComparable(leftType, rightType) {
            warnIntegerDivision(left, right)
            return .bool
        }
        let help: String?
        if case .binary(let inner, _, _) = tree[left].kind, inner.isOrdering {
            help = "comparisons do not chain: write low < x && x < high"
        } else {
            help = comparisonHelp(left, right)
        }
        return mismatch(
            .impossibleComparison, "`\(operation.shown)` cannot compare \(described(left)) with \(described(right))",
            at: node, help: help)
    }

    /// What to write instead of a comparison of different types.
    func comparisonHelp(_ left: Int, _ right: Int) -> String? {
        if let help = literalHelp(left, right) ?? literalHelp(right, left) { return help }
        for (node, other) in [(left, right), (right, left)] {
            let (type, otherType) = (checked.types[node], checked.types[other])
            let name = shown(other) ?? "x"
            if type.isNumeric, otherType == .string { return "convert the text: double(\(name))" }
            if type.isNumeric, otherType == .timestamp { return "int(\(name)) gives seconds since 1970" }
            if case .list = otherType { return "use `in` to look into a list, or size() to count" }
        }
        return nil
    }

    /// What is wrong with a literal that is compared with another type.
    private func literalHelp(_ node: Int, _ other: Int) -> String? {
        let otherType = checked.types[other]
        let name = shown(other) ?? "x"
        switch tree[node].kind {
        case .literal(.string(let text)):
            if otherType.isNumeric, Double(text) != nil { return "write \(text) without quotes" }
            if otherType == .bool, text == "true" || text == "false" { return "write \(text) without quotes" }
            if otherType == .timestamp { return "write timestamp(\"\(text)\")" }
            if otherType == .duration { return "write duration(\"\(text)\")" }
            return otherType.isNumeric ? "\(name) is a number" : nil
        case .literal(let value) where value.isNumber && otherType == .string:
            if case .literal = tree[other].kind { return nil }
            return "write \"\(value.display)\" in quotes, or compare double(\(name))"
        default: return nil
        }
    }

    /// `count / 2 > 1.5`: the division has dropped the fraction before the comparison sees it.
    private mutating func warnIntegerDivision(_ left: Int, _ right: Int) {
        for (node, other) in [(left, right), (right, left)] where checked.types[other] == .double {
            guard case .binary(.divide, let first, let second) = tree[node].kind, checked.types[node] == .int else {
                continue
            }
            report(
                .integerDivision, "dividing two integers drops the fraction", at: node,
                help: "write double(\(shown(first) ?? "…")) / \(realText(second))", level: .warning)
        }
    }

    private func realText(_ node: Int) -> String {
        if case .literal(.int(let value)) = tree[node].kind { return "\(value).0" }
        return shown(node).map { "double(\($0))" } ?? "double(…)"
    }

    private mutating func membership(_ node: Int, _ left: Int, _ right: Int) -> CELType {
        let type = checked.types[left]
        switch checked.types[right] {
        case .dyn, .error: return .bool
        case .list(let element):
            if TypeRelations.areComparable(type, element) { return .bool }
            return mismatch(
                .impossibleComparison, "\(described(left)) can never be in a list of \(element)", at: node,
                help: type == .string && element.isNumeric
                    ? "write the numbers in quotes"
                    : type.isNumeric && element == .string
                        ? "write the elements without quotes" : nil)
        case .map(let key, _):
            if TypeRelations.areComparable(type, key) { return .bool }
            return mismatch(
                .impossibleComparison, "\(described(left)) can never be a key of a map with \(key) keys", at: node)
        case .string:
            return mismatch(
                .operandMismatch, "`in` looks into a list or a map, not into a text", at: node,
                help:
                    "use \(shown(right) ?? "text").contains(\(shown(left) ?? "…")), or a list: [\(shown(right) ?? "…")]"
            )
        case let other: return mismatch(.operandMismatch, "`in` looks into a list or a map, not \(other)", at: node)
        }
    }

    private mutating func index(_ node: Int, _ left: Int, _ right: Int, isOptional: Bool) -> CELType {
        var container = checked.types[left]
        var isWrapped = isOptional
        if case .optional(let inner) = container {
            container = inner
            isWrapped = true
        }
        let key = checked.types[right]
        let element: CELType
        switch container {
        case .dyn, .error, .message: element = .dyn
        case .list(let type):
            if !(key == .int || key == .uint || key == .double || key.isDynamic) {
                return mismatch(.operandMismatch, "an index of a list is an int, not \(key)", at: right)
            }
            element = type
        case .map(let keyType, let type):
            if !TypeRelations.areComparable(keyType, key) {
                return mismatch(.operandMismatch, "a key of this map is \(keyType), not \(key)", at: right)
            }
            element = type
        default:
            return mismatch(
                .operandMismatch, "\(described(left)) has no elements", at: node,
                help: container == .string ? "use .charAt(0) or .substring(0, 1)" : nil)
        }
        if !isWrapped { return element }
        if case .optional = element { return element }
        return .optional(element)
    }

    // MARK: Arithmetic

    private mutating func arithmetic(
        _ node: Int, _ operation: Operator, _ left: Int, _ right: Int, _ leftType: CELType, _ rightType: CELType
    ) -> CELType {
        if leftType == .error || rightType == .error { return .error }
        if leftType == .dyn || rightType == .dyn { return dynamicArithmetic(node, operation, left, right) }
        if let result = Checker.result(operation, leftType, rightType) { return result }
        return mismatch(
            .operandMismatch, "`\(operation.shown)` does not take \(described(left)) and \(described(right))", at: node,
            help: arithmeticHelp(operation, left, right))
    }

    /// The result type of an arithmetic operator on two known types; nil where there is none.
    static func result(_ operation: Operator, _ left: CELType, _ right: CELType) -> CELType? {
        if left.isNumeric, right.isNumeric {
            if operation == .modulo { return left == right && (left == .int || left == .uint) ? left : nil }
            if left == .decimal || right == .decimal { return operation == .divide ? nil : .decimal }
            return left == right ? left : nil
        }
        switch (operation, left, right) {
        case (.add, .string, .string), (.add, .bytes, .bytes): return left
        case (.add, .list(let first), .list(let second)): return .list(TypeRelations.join(first, second))
        case (.add, .timestamp, .duration), (.add, .duration, .timestamp), (.subtract, .timestamp, .duration):
            return .timestamp
        case (.add, .duration, .duration), (.subtract, .duration, .duration), (.subtract, .timestamp, .timestamp):
            return .duration
        default: return nil
        }
    }

    private mutating func dynamicArithmetic(
        _ node: Int, _ operation: Operator, _ left: Int, _ right: Int
    ) -> CELType {
        for (node, other) in [(left, right), (right, left)] {
            // The numbers of an undeclared column are doubles.
            guard case .slot = checked.names[node], checked.types[node] == .dyn else { continue }
            guard checked.types[other] == .int || checked.types[other] == .uint else { continue }
            let name = shown(node) ?? "the column"
            return mismatch(
                .operandMismatch, "\(name) has no declared type, so its numbers are doubles, but this is an integer",
                at: other,
                help: operation == .modulo
                    ? "write int(\(name)) % …" : "write \(realText(other)), or declare the column in tables.yaml")
        }
        let known = checked.types[left] == .dyn ? checked.types[right] : checked.types[left]
        switch known {
        case .int, .uint, .double, .decimal, .string, .bytes: return known
        default: return .dyn
        }
    }

    private func arithmeticHelp(_ operation: Operator, _ left: Int, _ right: Int) -> String? {
        let (leftType, rightType) = (checked.types[left], checked.types[right])
        if operation == .divide, leftType == .decimal || rightType == .decimal {
            return "a decimal has no exact quotient; write double(\(shown(left) ?? "…")) / \(realText(right))"
        }
        if operation == .modulo { return "`%` takes two integers; convert with int()" }
        for (node, other) in [(left, right), (right, left)] {
            let (type, otherType) = (checked.types[node], checked.types[other])
            if otherType == .double, type == .int || type == .uint { return "write \(realText(node))" }
            if otherType == .string, type.isNumeric, operation == .add {
                return "write string(\(shown(node) ?? "…")) to put it into a text"
            }
            if otherType == .timestamp || otherType == .duration, type.isNumeric {
                return "write a duration, as in duration(\"10m\")"
            }
            if otherType == .uint, type == .int, case .literal(.int(let value)) = tree[node].kind, value >= 0 {
                return "write \(value)u"
            }
        }
        if leftType == .timestamp, rightType == .timestamp { return "subtract them to get a duration" }
        return nil
    }
}
