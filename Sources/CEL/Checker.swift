internal import Core

/// Gives every node its type and every name its meaning, and says what is wrong in words an author can act on.
internal struct Checker {
    let environment: Environment
    let table: FunctionTable
    let map: SourceMap
    var checked: CheckedExpression
    var diagnostics: [Diagnostic] = []
    var references: [Reference] = []
    var scopes: [(name: String, type: CELType, index: Int)] = []

    var tree: ExpressionTree { checked.tree }

    init(tree: ExpressionTree, environment: Environment, map: SourceMap) {
        self.environment = environment
        self.map = map
        table = FunctionTable(adding: environment.functions)
        checked = CheckedExpression(tree: tree, types: Array(repeating: .dyn, count: tree.nodes.count))
    }

    /// Checks the whole expression against the wanted type and returns its own.
    mutating func check(expecting wanted: CELType?) -> CELType {
        let type = check(tree.root)
        if environment.isChecked, let wanted { expect(type, wanted) }
        return type
    }

    // MARK: Messages

    mutating func report(
        _ code: DiagnosticCode, _ message: String, at node: Int, help: String? = nil, level: Diagnostic.Level = .error
    ) {
        report(code, message, at: tree[node].location, help: help, level: level)
    }

    mutating func report(
        _ code: DiagnosticCode, _ message: String, at location: Location, help: String? = nil,
        level: Diagnostic.Level = .error
    ) {
        guard diagnostics.count < 20 else { return }
        diagnostics.append(
            Diagnostic(
                level: level, code: code.rawValue, message: message, position: map.position(location),
                length: Int(location.length), help: help))
    }

    /// Reports what only a checked expression is told; the node gets the type `error` then.
    mutating func mismatch(_ code: DiagnosticCode, _ message: String, at node: Int, help: String? = nil) -> CELType {
        guard environment.isChecked else { return .dyn }
        report(code, message, at: node, help: help)
        return .error
    }

    private mutating func expect(_ type: CELType, _ wanted: CELType) {
        var binding: [String: CELType] = [:]
        guard !TypeRelations.accepts(wanted, type, binding: &binding) else { return }
        let root = tree.root
        guard wanted == .bool else {
            report(.wrongResult, "this is of type \(type), but \(wanted) is wanted", at: root)
            return
        }
        var help: String?
        if type.isNumeric { help = "compare it, as in \(shown(root) ?? "after.count") > 0" }
        if type == .string { help = "compare it, as in \(shown(root) ?? "after.status") == \"text\"" }
        if case .list = type { help = "ask for its size, as in size(list) > 0" }
        report(.notABoolean, "a condition must be true or false, but this is of type \(type)", at: root, help: help)
    }

    /// A short text for a node, where it has one: a name or a literal.
    func shown(_ node: Int) -> String? {
        switch tree[node].kind {
        case .identifier(let name): return name
        case .select(let operand, let field, let isOptional):
            return shown(operand).map { "\($0).\(isOptional ? "?" : "")\(field)" }
        case .literal(.string(let text)): return text.utf8.count <= 40 ? "\"\(text)\"" : nil
        case .literal(let value): return value.display
        default: return nil
        }
    }

    func described(_ node: Int) -> String {
        let type = checked.types[node]
        return shown(node).map { "\($0) (\(type))" } ?? "\(type)"
    }

    // MARK: Nodes

    mutating func check(_ node: Int) -> CELType {
        let type = typeOf(node)
        checked.types[node] = type
        return type
    }

    private mutating func typeOf(_ node: Int) -> CELType {
        switch tree[node].kind {
        case .literal(let value): return Checker.type(of: value)
        case .identifier, .select: return nameOrSelect(node)
        case .presence(let operand, let field): return presence(node, operand, field)
        case .unary(let operation, let operand): return unary(node, operation, operand)
        case .binary(let operation, let left, let right): return binary(node, operation, left, right)
        case .logical(let isAnd, let terms):
            for term in terms { condition(term, of: isAnd ? "&&" : "||") }
            return .bool
        case .conditional(let condition, let whenTrue, let whenFalse):
            self.condition(condition, of: "?:")
            let first = check(whenTrue)
            let second = check(whenFalse)
            return branches(node, first, second)
        case .call(let name, let arguments): return call(node, name, arguments)
        case .memberCall(let name, let target, let arguments): return memberCall(node, name, target, arguments)
        case .list(let elements, let optionals): return list(elements, optionals)
        case .map(let entries): return mapLiteral(entries)
        case .message(let name, let fields):
            for field in fields { _ = check(field.value) }
            return mismatch(
                .unknownName, "there is no message type \(name)", at: node,
                help: "write a map: {\"field\": value}")
        case .comprehension(let comprehension): return self.comprehension(node, comprehension)
        case .binding(let name, let value, let body): return binding(node, name, value, body)
        case .optionalMap(let name, let target, let body, let isFlat):
            return optionalMap(node, name, target, body, isFlat)
        case .broken: return .error
        }
    }

    static func type(of value: Value) -> CELType {
        switch value {
        case .null: .null
        case .bool: .bool
        case .int: .int
        case .uint: .uint
        case .double: .double
        case .decimal: .decimal
        case .string: .string
        case .bytes: .bytes
        case .timestamp: .timestamp
        case .duration: .duration
        case .type: .type
        case .list, .map, .optional: .dyn
        }
    }

    private mutating func condition(_ node: Int, of operation: String) {
        let type = check(node)
        guard environment.isChecked, type != .bool, !type.isDynamic else { return }
        var help: String?
        if type.isNumeric || type == .string {
            help = "compare it, as in \(shown(node) ?? "x") == \(type == .string ? "\"text\"" : "1")"
        }
        report(.operandMismatch, "`\(operation)` takes true or false, not \(described(node))", at: node, help: help)
    }

    private mutating func branches(_ node: Int, _ first: CELType, _ second: CELType) -> CELType {
        if first == second || first.isDynamic || second.isDynamic { return TypeRelations.join(first, second) }
        var binding: [String: CELType] = [:]
        if TypeRelations.accepts(first, second, binding: &binding) { return first }
        if TypeRelations.accepts(second, first, binding: &binding) { return second }
        if first.isNumeric, second.isNumeric || second == .null { return .dyn }
        return mismatch(
            .operandMismatch, "both results of `?:` must have one type, not \(first) and \(second)", at: node)
    }

    private mutating func list(_ elements: [Int], _ optionals: [Bool]) -> CELType {
        var joined: CELType?
        for (element, isOptional) in zip(elements, optionals) {
            var type = check(element)
            if isOptional { type = unwrapped(type, element) }
            joined = joined.map { TypeRelations.join($0, type) } ?? type
        }
        return .list(joined ?? .dyn)
    }

    private mutating func mapLiteral(_ entries: [ExpressionTree.Entry]) -> CELType {
        var key: CELType?
        var value: CELType?
        var literals: [Value] = []
        for entry in entries {
            let keyType = check(entry.key)
            if environment.validatesLiterals, case .literal(let literal) = tree[entry.key].kind {
                if literals.contains(literal) {
                    report(.duplicateKey, "the map has the key \(shown(entry.key) ?? "") twice", at: entry.key)
                }
                literals.append(literal)
            }
            if environment.isChecked, !TypeRelations.isKey(keyType) {
                report(.operandMismatch, "a key of a map is a bool, int, uint or string, not \(keyType)", at: entry.key)
            }
            var valueType = check(entry.value)
            if entry.isOptional { valueType = unwrapped(valueType, entry.value) }
            key = key.map { TypeRelations.join($0, keyType) } ?? keyType
            value = value.map { TypeRelations.join($0, valueType) } ?? valueType
        }
        return .map(key ?? .dyn, value ?? .dyn)
    }

    private mutating func unwrapped(_ type: CELType, _ node: Int) -> CELType {
        switch type {
        case .optional(let wrapped): return wrapped
        case .dyn, .error: return .dyn
        default: return mismatch(.operandMismatch, "`?` here takes an optional value, not \(type)", at: node)
        }
    }

    // MARK: Scopes

    mutating func withVariables(
        _ variables: [(name: String, type: CELType)], of node: Int, _ body: (inout Checker) -> CELType
    ) -> CELType {
        let base = scopes.count
        checked.locals[node] = base
        for (offset, variable) in variables.enumerated() {
            scopes.append((variable.name, variable.type, base + offset))
        }
        checked.localCount = max(checked.localCount, scopes.count)
        let type = body(&self)
        scopes.removeLast(variables.count)
        return type
    }

    private mutating func binding(_ node: Int, _ name: String, _ value: Int, _ body: Int) -> CELType {
        let type = check(value)
        return withVariables([(name, type)], of: node) { $0.check(body) }
    }

    private mutating func optionalMap(
        _ node: Int, _ name: String, _ target: Int, _ body: Int, _ isFlat: Bool
    ) -> CELType {
        let wrapped = unwrapped(check(target), target)
        let result = withVariables([(name, wrapped)], of: node) { $0.check(body) }
        if isFlat {
            if case .optional = result { return result }
            if result.isDynamic { return .dyn }
            return mismatch(.operandMismatch, "optFlatMap() wants an optional value, not \(result)", at: body)
        }
        return .optional(result)
    }

    private mutating func comprehension(_ node: Int, _ comprehension: ExpressionTree.Comprehension) -> CELType {
        let rangeType = check(comprehension.range)
        let (first, second) = variableTypes(rangeType, comprehension)
        var variables = [(comprehension.variable, first)]
        if let name = comprehension.secondVariable { variables.append((name, second)) }
        return withVariables(variables, of: node) { checker in
            if let predicate = comprehension.predicate { checker.condition(predicate, of: "\(comprehension.kind)") }
            let result = comprehension.transform.map { checker.check($0) } ?? .dyn
            switch comprehension.kind {
            case .all, .exists, .existsOne: return .bool
            case .filter: return .list(first)
            case .map, .transformList: return .list(result)
            case .transformMap: return .map(first, result)
            case .transformMapEntry: return result
            }
        }
    }

    private mutating func variableTypes(
        _ range: CELType, _ comprehension: ExpressionTree.Comprehension
    ) -> (CELType, CELType) {
        let hasTwo = comprehension.secondVariable != nil
        switch range {
        case .list(let element): return hasTwo ? (.int, element) : (element, .dyn)
        case .map(let key, let value): return (key, value)
        case .dyn, .error: return (.dyn, .dyn)
        default:
            _ = mismatch(
                .operandMismatch, "`\(comprehension.kind)` goes through a list or a map, not \(range)",
                at: comprehension.range)
            return (.error, .error)
        }
    }
}
