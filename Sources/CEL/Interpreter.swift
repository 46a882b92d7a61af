/// Walks a plan with full values. Total: bounded in depth by the parser and in steps by the meter.
internal struct Interpreter {
    let frame: EvaluationFrame
    var meter = Meter()
    var absorbed = 0
    var locals: [Value]
    /// Whether arithmetic that gives NaN is an error, as it is when columns are read.
    let rejectsNaN: Bool

    init(frame: EvaluationFrame, localCount: Int, rejectsNaN: Bool) {
        self.frame = frame
        self.rejectsNaN = rejectsNaN
        locals = Array(repeating: .null, count: localCount)
    }

    mutating func value(_ plan: Plan) throws(EvaluationError) -> Value {
        try meter.spend(1)
        switch plan {
        case .constant(let value): return value
        case .local(let index): return locals[index]
        case .slot(let slot): return try SlotReader.value(slot, frame)
        case .slotOptional, .slotPresence, .slotIsNull, .dynamic: return try input(plan)
        case .select, .presence, .index: return try element(plan)
        case .not, .negate, .arithmetic, .equality, .ordering, .membership: return try operation(plan)
        case .logical(let isAnd, let terms, let location): return try logical(isAnd, terms, location)
        case .conditional(let condition, let whenTrue, let whenFalse, let location):
            guard case .bool(let isTrue) = try value(condition) else {
                throw EvaluationError(.noSuchOverload, "the condition of `?:` is not true or false", at: location)
            }
            return try value(isTrue ? whenTrue : whenFalse)
        case .call(let function, let arguments, let location): return try call(function, arguments, location)
        case .matches(let text, let regex, let location):
            guard case .string(let text) = try value(text) else {
                throw EvaluationError(.noSuchOverload, "matches() takes a text", at: location)
            }
            try meter.spend(bytes: text.utf8.count)
            return .bool(regex.matches(text))
        case .list, .map: return try literal(plan)
        case .comprehension(let loop, let location): return try comprehension(loop, location)
        case .binding(let index, let bound, let body):
            locals[index] = try value(bound)
            return try value(body)
        case .optionalMap(let index, let target, let body, let isFlat, let location):
            return try optionalMap(index, target, body, isFlat, location)
        case .failure(let error): throw error
        }
    }

    // MARK: Inputs

    private func input(_ plan: Plan) throws(EvaluationError) -> Value {
        switch plan {
        case .slotOptional(let slot):
            guard try SlotReader.presence(slot, frame) else { return .optional(nil) }
            return .optional(try SlotReader.value(slot, frame))
        case .slotPresence(let slot): return .bool(try SlotReader.presence(slot, frame))
        case .slotIsNull(let slot, let isEqual): return .bool(try SlotReader.presence(slot, frame) != isEqual)
        case .dynamic(let index, let name, let location):
            guard let value = frame.dynamic?(index) else {
                throw EvaluationError(.unknownValue(column: name), at: location)
            }
            return value
        default: return .null
        }
    }

    // MARK: Logic

    private mutating func logical(
        _ isAnd: Bool, _ terms: [Plan], _ location: Location
    ) throws(EvaluationError) -> Value {
        var failure: EvaluationError?
        var failureCount = 0
        for term in terms {
            do throws(EvaluationError) {
                guard case .bool(let isTrue) = try value(term) else {
                    let words = "`\(isAnd ? "&&" : "||")` takes true or false"
                    throw EvaluationError(.noSuchOverload, words, at: location)
                }
                if isTrue != isAnd {
                    absorbed += failureCount
                    return .bool(isTrue)
                }
            } catch {
                if error.kind == .budgetExceeded { throw error }
                failureCount += 1
                if failure == nil { failure = error }
            }
        }
        if let failure { throw failure }
        return .bool(isAnd)
    }

    private mutating func call(
        _ function: FunctionTable.Function, _ arguments: [Plan], _ location: Location
    ) throws(EvaluationError) -> Value {
        var values: [Value] = []
        values.reserveCapacity(arguments.count)
        for argument in arguments { values.append(try value(argument)) }
        do throws(EvaluationError) {
            switch function.implementation {
            case .standard(let body): return try body(values, &meter)
            case .environment(let body):
                try meter.spend(10)
                return try body(values, frame.context)
            }
        } catch {
            throw error.placed(location)
        }
    }

    // MARK: Literals

    private mutating func literal(_ plan: Plan) throws(EvaluationError) -> Value {
        switch plan {
        case .list(let elements, let optionals, let location):
            var values: [Value] = []
            values.reserveCapacity(elements.count)
            for (element, isOptional) in zip(elements, optionals) {
                let element = try value(element)
                guard isOptional else {
                    values.append(element)
                    continue
                }
                guard case .optional(let wrapped) = element else {
                    throw EvaluationError(.noSuchOverload, "`?` takes an optional value", at: location)
                }
                if let wrapped { values.append(wrapped) }
            }
            return .list(values)
        case .map(let entries, let location):
            var map = ValueMap()
            for entry in entries {
                let key = try value(entry.key)
                var element: Value? = try value(entry.value)
                if entry.isOptional {
                    guard case .optional(let wrapped)? = element else {
                        throw EvaluationError(.noSuchOverload, "`?` takes an optional value", at: location)
                    }
                    element = wrapped
                }
                guard let element else { continue }
                try insert(element, for: key, into: &map, location)
            }
            return .map(map)
        default: return .null
        }
    }

    func insert(
        _ value: Value, for key: Value, into map: inout ValueMap, _ location: Location
    ) throws(EvaluationError) {
        var mapKey = ValueMap.Key(lookingUp: key)
        if case .double = key { mapKey = nil }
        guard let mapKey else {
            throw EvaluationError(.noSuchOverload, "a key of a map cannot be a \(key.plainTypeName)", at: location)
        }
        guard map.insert(value, for: mapKey) else {
            throw EvaluationError(.duplicateKey, "the map has the key \(key.display) twice", at: location)
        }
    }

    private mutating func optionalMap(
        _ index: Int, _ target: Plan, _ body: Plan, _ isFlat: Bool, _ location: Location
    ) throws(EvaluationError) -> Value {
        guard case .optional(let wrapped) = try value(target) else {
            throw EvaluationError(.noSuchOverload, "optMap() takes an optional value", at: location)
        }
        guard let wrapped else { return .optional(nil) }
        locals[index] = wrapped
        let result = try value(body)
        if !isFlat { return .optional(result) }
        guard case .optional = result else {
            throw EvaluationError(.noSuchOverload, "optFlatMap() wants an optional value", at: location)
        }
        return result
    }
}

extension EvaluationError {
    /// The error with a place, where it has none.
    internal func placed(_ location: Location) -> EvaluationError {
        guard self.location.length == 0 else { return self }
        var placed = self
        placed.location = location
        return placed
    }
}
