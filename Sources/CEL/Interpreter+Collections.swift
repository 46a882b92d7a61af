extension Interpreter {
    /// Selects, presence tests and indexing.
    mutating func element(_ plan: Plan) throws(EvaluationError) -> Value {
        switch plan {
        case .select(let operand, let field, let isOptional, let location):
            return try select(field, of: try value(operand), isOptional: isOptional, location)
        case .presence(let operand, let field, let location):
            var container = try value(operand)
            while case .optional(let wrapped) = container {
                guard let wrapped else { return .bool(false) }
                container = wrapped
            }
            guard case .map(let map) = container else {
                throw EvaluationError(
                    .noSuchOverload, "a \(container.plainTypeName) has no fields, so no '\(field)'", at: location)
            }
            return .bool(map[text: field] != nil)
        case .index(let operand, let key, let isOptional, let location):
            let container = try value(operand)
            return try index(container, try value(key), isOptional: isOptional, location)
        default: return .null
        }
    }

    private func select(
        _ field: String, of container: Value, isOptional: Bool, _ location: Location
    ) throws(EvaluationError) -> Value {
        if case .optional(let wrapped) = container {
            guard let wrapped else { return .optional(nil) }
            let found = try select(field, of: wrapped, isOptional: true, location)
            return found
        }
        guard case .map(let map) = container else {
            throw EvaluationError(
                .noSuchOverload, "a \(container.plainTypeName) has no fields, so no '\(field)'", at: location)
        }
        let found = map[text: field]
        if isOptional { return Interpreter.wrapped(found) }
        guard let found else { throw EvaluationError(.noSuchKey, "there is no key '\(field)'", at: location) }
        return found
    }

    private static func wrapped(_ value: Value?) -> Value {
        if case .optional? = value { return value ?? .optional(nil) }
        return .optional(value)
    }

    private func index(
        _ container: Value, _ key: Value, isOptional: Bool, _ location: Location
    ) throws(EvaluationError) -> Value {
        switch container {
        case .optional(let wrapped):
            guard let wrapped else { return .optional(nil) }
            return try index(wrapped, key, isOptional: true, location)
        case .map(let map):
            let found = map[key]
            if isOptional { return Interpreter.wrapped(found) }
            guard let found else {
                throw EvaluationError(.noSuchKey, "there is no key \(key.display)", at: location)
            }
            return found
        case .list(let elements):
            let position: Int?
            switch key {
            case .int(let value): position = Int(exactly: value)
            case .uint(let value): position = Int(exactly: value)
            case .double(let value): position = Int(exactly: value)
            default:
                throw EvaluationError(
                    .noSuchOverload, "an index of a list is an int, not a \(key.plainTypeName)", at: location)
            }
            let isInside = position.map { elements.indices.contains($0) } ?? false
            if isOptional { return .optional(isInside ? position.map { elements[$0] } : nil) }
            guard isInside, let position else {
                throw EvaluationError(
                    .indexOutOfRange, "the list of \(elements.count) has no element \(key.display)", at: location)
            }
            return elements[position]
        default:
            throw EvaluationError(.noSuchOverload, "a \(container.plainTypeName) has no elements", at: location)
        }
    }

    // MARK: Macros

    /// What one turn of a loop sees.
    private struct Turns {
        var first: [Value]
        var second: [Value]
    }

    mutating func comprehension(_ loop: Plan.Loop, _ location: Location) throws(EvaluationError) -> Value {
        let turns: Turns
        switch try value(loop.range) {
        case .list(let elements):
            turns =
                loop.hasTwoVariables
                ? Turns(first: elements.indices.map { .int(Int64($0)) }, second: elements)
                : Turns(first: elements, second: [])
        case .map(let map):
            turns = Turns(
                first: map.entries.map { $0.key.value },
                second: loop.hasTwoVariables ? map.entries.map { $0.value } : [])
        case let other:
            throw EvaluationError(
                .noSuchOverload, "`\(loop.kind)` goes through a list or a map, not a \(other.plainTypeName)",
                at: location)
        }
        switch loop.kind {
        case .all, .exists: return try quantified(loop, turns, location)
        case .existsOne:
            var count = 0
            for turn in turns.first.indices {
                bind(loop, turns, turn)
                if try test(loop.predicate, location) { count += 1 }
            }
            return .bool(count == 1)
        case .filter, .map, .transformList: return try collected(loop, turns, location)
        case .transformMap, .transformMapEntry: return try mapped(loop, turns, location)
        }
    }

    private mutating func bind(_ loop: Plan.Loop, _ turns: Turns, _ turn: Int) {
        locals[loop.local] = turns.first[turn]
        if loop.hasTwoVariables { locals[loop.local + 1] = turns.second[turn] }
    }

    private mutating func test(_ predicate: Plan?, _ location: Location) throws(EvaluationError) -> Bool {
        try meter.spend(1)
        guard let predicate else { return true }
        guard case .bool(let isTrue) = try value(predicate) else {
            throw EvaluationError(.noSuchOverload, "the condition of a macro is not true or false", at: location)
        }
        return isTrue
    }

    /// `all` and `exists` take one decisive element, whatever went wrong for others.
    private mutating func quantified(
        _ loop: Plan.Loop, _ turns: Turns, _ location: Location
    ) throws(EvaluationError) -> Value {
        let decisive = loop.kind == .exists
        var failure: EvaluationError?
        var failureCount = 0
        for turn in turns.first.indices {
            bind(loop, turns, turn)
            do throws(EvaluationError) {
                if try test(loop.predicate, location) == decisive {
                    absorbed += failureCount
                    return .bool(decisive)
                }
            } catch {
                if error.kind == .budgetExceeded { throw error }
                failureCount += 1
                if failure == nil { failure = error }
            }
        }
        if let failure { throw failure }
        return .bool(!decisive)
    }

    private mutating func collected(
        _ loop: Plan.Loop, _ turns: Turns, _ location: Location
    ) throws(EvaluationError) -> Value {
        var results: [Value] = []
        for turn in turns.first.indices {
            bind(loop, turns, turn)
            guard try test(loop.predicate, location) else { continue }
            if let transform = loop.transform {
                results.append(try value(transform))
            } else {
                results.append(turns.first[turn])
            }
        }
        return .list(results)
    }

    private mutating func mapped(
        _ loop: Plan.Loop, _ turns: Turns, _ location: Location
    ) throws(EvaluationError) -> Value {
        var result = ValueMap()
        for turn in turns.first.indices {
            bind(loop, turns, turn)
            guard try test(loop.predicate, location), let transform = loop.transform else { continue }
            let transformed = try value(transform)
            guard loop.kind == .transformMapEntry else {
                try insert(transformed, for: turns.first[turn], into: &result, location)
                continue
            }
            guard case .map(let entries) = transformed else {
                throw EvaluationError(.noSuchOverload, "transformMapEntry() wants a map", at: location)
            }
            for entry in entries.entries {
                try insert(entry.value, for: entry.key.value, into: &result, location)
            }
        }
        return .map(result)
    }
}
