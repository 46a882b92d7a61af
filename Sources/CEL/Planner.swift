/// Turns a checked expression into a plan.
internal struct Planner {
    let checked: CheckedExpression
    let source: SourceMap

    func plan() -> Plan { plan(checked.tree.root) }

    private func plan(_ node: Int, isExact: Bool = false) -> Plan {
        let location = checked.tree[node].location
        switch checked.tree[node].kind {
        case .literal(let value): return .constant(value)
        case .identifier, .select: return name(node, isExact: isExact)
        case .presence(let operand, let field):
            if let slot = slot(node, isExact: true) { return .slotPresence(slot) }
            return .presence(plan(operand), field: field, location)
        case .unary(.not, let operand): return .not(plan(operand), location)
        case .unary(_, let operand): return .negate(plan(operand), location)
        case .binary(let operation, let left, let right): return binary(node, operation, left, right)
        case .logical(let isAnd, let terms): return .logical(isAnd: isAnd, terms.map { plan($0) }, location)
        case .conditional(let condition, let whenTrue, let whenFalse):
            return .conditional(plan(condition), plan(whenTrue), plan(whenFalse), location)
        case .call(let name, let arguments): return call(node, name, arguments)
        case .memberCall(let name, let target, let arguments): return call(node, name, [target] + arguments)
        case .list(let elements, let optionals):
            return fold(.list(elements.map { plan($0) }, optionals: optionals, location))
        case .map(let entries):
            return .map(
                entries.map { Plan.MapEntry(key: plan($0.key), value: plan($0.value), isOptional: $0.isOptional) },
                location)
        case .comprehension(let comprehension): return loop(node, comprehension)
        case .binding(_, let value, let body): return .binding(checked.locals[node] ?? 0, plan(value), plan(body))
        case .optionalMap(_, let target, let body, let isFlat):
            return .optionalMap(checked.locals[node] ?? 0, plan(target), plan(body), isFlat: isFlat, location)
        case .message(let name, _):
            return .failure(EvaluationError(.undeclared, "there is no message type \(name)", at: location, in: source))
        case .broken: return .failure(EvaluationError(.undeclared, nil, at: location, in: source))
        }
    }

    private func slot(_ node: Int, isExact: Bool) -> SlotPlan? {
        guard case .slot(let slot, let type)? = checked.names[node] else { return nil }
        let path = checked.paths[node] ?? []
        return SlotPlan(
            slot: slot, type: type, column: path.joined(separator: "."), isExact: isExact,
            location: checked.tree[node].location)
    }

    private func name(_ node: Int, isExact: Bool) -> Plan {
        let location = checked.tree[node].location
        guard let resolved = checked.names[node] else {
            guard case .select(let operand, let field, let isOptional) = checked.tree[node].kind else {
                return .failure(EvaluationError(.undeclared, nil, at: location, in: source))
            }
            return .select(plan(operand), field: field, isOptional: isOptional, location)
        }
        let path = (checked.paths[node] ?? []).joined(separator: ".")
        switch resolved {
        case .local(let index): return .local(index)
        case .slot:
            guard let slot = slot(node, isExact: isExact) else { break }
            if case .select(_, _, true) = checked.tree[node].kind { return .slotOptional(slot) }
            return .slot(slot)
        case .dynamic(let index): return .dynamic(index, name: path, location)
        case .type(let name): return .constant(.type(name))
        case .record:
            return .failure(EvaluationError(.undeclared, "\(path) is the whole row", at: location, in: source))
        case .undeclared:
            return .failure(EvaluationError(.undeclared, "there is no '\(path)' here", at: location, in: source))
        }
        return .failure(EvaluationError(.undeclared, nil, at: location, in: source))
    }

    private func isNull(_ node: Int) -> Bool {
        if case .literal(.null) = checked.tree[node].kind { return true }
        return false
    }

    private func binary(_ node: Int, _ operation: Operator, _ left: Int, _ right: Int) -> Plan {
        let location = checked.tree[node].location
        switch operation {
        case .equal, .notEqual:
            let isEqual = operation == .equal
            for (side, other) in [(left, right), (right, left)] where isNull(other) {
                if case .slot(let slot) = plan(side, isExact: true) { return .slotIsNull(slot, isEqual: isEqual) }
            }
            return .equality(
                isEqual: isEqual, plan(left, isExact: true), plan(right, isExact: true), location)
        case .less, .lessEqual, .greater, .greaterEqual:
            return .ordering(operation, plan(left, isExact: true), plan(right, isExact: true), location)
        case .in: return .membership(plan(left, isExact: true), plan(right), location)
        case .index, .optionalIndex:
            return .index(plan(left), plan(right, isExact: true), isOptional: operation == .optionalIndex, location)
        default: return .arithmetic(operation, plan(left), plan(right), location)
        }
    }

    /// Functions for which an integer of an undeclared column stays one.
    private static let exactFunctions: Set<String> = ["string", "int", "uint", "decimal"]

    private func call(_ node: Int, _ name: String, _ arguments: [Int]) -> Plan {
        let location = checked.tree[node].location
        guard let call = checked.calls[node] else {
            return .failure(
                EvaluationError(.undeclared, "there is no function \(name)()", at: location, in: source))
        }
        var operands = arguments
        if case .memberCall = checked.tree[node].kind, !call.hasReceiver { operands.removeFirst() }
        let isExact = Planner.exactFunctions.contains(call.function.name)
        let plans = operands.map { plan($0, isExact: isExact) }
        if call.function.name == "matches", plans.count == 2, case .constant(.string(let pattern)) = plans[1],
            case .success(let regex) = Regex.compile(pattern)
        {
            return .matches(plans[0], regex, location)
        }
        return fold(.call(call.function, plans, location))
    }

    private func loop(_ node: Int, _ comprehension: ExpressionTree.Comprehension) -> Plan {
        .comprehension(
            Plan.Loop(
                kind: comprehension.kind, range: plan(comprehension.range), local: checked.locals[node] ?? 0,
                hasTwoVariables: comprehension.secondVariable != nil,
                predicate: comprehension.predicate.map { plan($0) },
                transform: comprehension.transform.map { plan($0) }),
            checked.tree[node].location)
    }

    // MARK: Folding

    /// Computes a standard function of constants now; one that fails stays, to fail with its position.
    private func fold(_ plan: Plan) -> Plan {
        switch plan {
        case .call(let function, let arguments, _):
            guard case .standard(let body) = function.implementation else { return plan }
            var values: [Value] = []
            for argument in arguments {
                guard case .constant(let value) = argument else { return plan }
                values.append(value)
            }
            var meter = Meter()
            meter.remaining = 10_000
            guard let value = try? body(values, &meter) else { return plan }
            return .constant(value)
        case .list(let elements, let optionals, _):
            guard !optionals.contains(true) else { return plan }
            var values: [Value] = []
            for element in elements {
                guard case .constant(let value) = element else { return plan }
                values.append(value)
            }
            return .constant(.list(values))
        default: return plan
        }
    }
}
