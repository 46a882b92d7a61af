extension Interpreter {
    mutating func operation(_ plan: Plan) throws(EvaluationError) -> Value {
        switch plan {
        case .not(let operand, let location):
            guard case .bool(let isTrue) = try value(operand) else {
                throw EvaluationError(.noSuchOverload, "`!` takes true or false", at: location)
            }
            return .bool(!isTrue)
        case .negate(let operand, let location): return try negated(try value(operand), location)
        case .arithmetic(let operation, let left, let right, let location):
            let first = try value(left)
            let second = try value(right)
            return try arithmetic(operation, first, second, location)
        case .equality(let isEqual, let left, let right, _):
            let first = try value(left)
            let second = try value(right)
            try rejectNaNText(first, second, left, right)
            return .bool(try isSame(first, second) == isEqual)
        case .ordering(let operation, let left, let right, let location):
            let first = try value(left)
            let second = try value(right)
            try rejectNaNText(first, second, left, right)
            return .bool(try ordered(operation, first, second, location))
        case .membership(let element, let container, let location):
            let wanted = try value(element)
            switch try value(container) {
            case .list(let elements):
                for candidate in elements {
                    if try isSame(wanted, candidate) { return .bool(true) }
                    try rejectNaNText(wanted, candidate, element, nil)
                }
                return .bool(false)
            case .map(let map): return .bool(map[wanted] != nil)
            case let other:
                throw EvaluationError(
                    .noSuchOverload, "`in` looks into a list or a map, not a \(other.plainTypeName)", at: location)
            }
        default: return .null
        }
    }

    /// An undeclared column may hold the text that stands for NaN in JSON: compared with a number it is NaN.
    private func rejectNaNText(_ left: Value, _ right: Value, _ first: Plan, _ second: Plan?) throws(EvaluationError) {
        for (value, other, plan) in [(left, right, Optional(first)), (right, left, second)] {
            guard case .slot(let slot)? = plan, case .string("NaN") = value, other.isNumber else { continue }
            throw EvaluationError(.notANumber(column: slot.column), at: slot.location)
        }
    }

    /// Equality that pays for every element: lists that share their elements can be huge when walked.
    private mutating func isSame(_ left: Value, _ right: Value) throws(EvaluationError) -> Bool {
        switch (left, right) {
        case (.list(let left), .list(let right)):
            try meter.spend(1)
            guard left.count == right.count else { return false }
            for (left, right) in zip(left, right) {
                guard try isSame(left, right) else { return false }
            }
            return true
        case (.map(let left), .map(let right)):
            try meter.spend(1)
            guard left.count == right.count else { return false }
            for entry in left.entries {
                guard let other = right[entry.key.value], try isSame(entry.value, other) else { return false }
            }
            return true
        case (.optional(let left?), .optional(let right?)): return try isSame(left, right)
        default:
            try charge(left, right)
            return left == right
        }
    }

    private mutating func charge(_ left: Value, _ right: Value) throws(EvaluationError) {
        guard case .string(let left) = left, case .string(let right) = right else { return try meter.spend(1) }
        try meter.spend(bytes: min(left.utf8.count, right.utf8.count))
    }

    /// Pays for every part of a result, so that whoever prints it has a bounded text.
    mutating func measure(_ value: Value) throws(EvaluationError) {
        switch value {
        case .list(let elements):
            try meter.spend(1)
            for element in elements { try measure(element) }
        case .map(let map):
            try meter.spend(1)
            for entry in map.entries { try measure(entry.value) }
        case .optional(let wrapped?): try measure(wrapped)
        case .string(let text): try meter.spend(bytes: text.utf8.count)
        case .bytes(let bytes): try meter.spend(bytes: bytes.count)
        default: try meter.spend(1)
        }
    }

    private mutating func ordered(
        _ operation: Operator, _ left: Value, _ right: Value, _ location: Location
    ) throws(EvaluationError) -> Bool {
        try charge(left, right)
        switch Value.compare(left, right) {
        case .incomparable:
            let words = "`\(operation.shown)` cannot compare \(left.plainTypeName) with \(right.plainTypeName)"
            throw EvaluationError(.noSuchOverload, words, at: location)
        case .unordered: return false
        case .order(let order):
            switch operation {
            case .less: return order < 0
            case .lessEqual: return order <= 0
            case .greater: return order > 0
            default: return order >= 0
            }
        }
    }

    private func negated(_ value: Value, _ location: Location) throws(EvaluationError) -> Value {
        switch value {
        case .int(let number):
            guard number != .min else { throw EvaluationError(.overflow, at: location) }
            return .int(-number)
        case .double(let number): return .double(-number)
        case .decimal(let text): return .decimal(DecimalNumber.subtract("0", text) ?? text)
        case .duration(let nanoseconds):
            guard nanoseconds != .min else { throw EvaluationError(.overflow, at: location) }
            return .duration(-nanoseconds)
        default:
            throw EvaluationError(.noSuchOverload, "`-` does not take a \(value.plainTypeName)", at: location)
        }
    }

    // MARK: Arithmetic

    private mutating func arithmetic(
        _ operation: Operator, _ left: Value, _ right: Value, _ location: Location
    ) throws(EvaluationError) -> Value {
        switch (left, right) {
        case (.int(let left), .int(let right)): return .int(try Interpreter.integer(operation, left, right, location))
        case (.uint(let left), .uint(let right)):
            return .uint(try Interpreter.integer(operation, left, right, location))
        case (.double(let left), .double(let right)):
            let result: Double
            switch operation {
            case .add: result = left + right
            case .subtract: result = left - right
            case .multiply: result = left * right
            case .divide: result = left / right
            default: throw EvaluationError(.noSuchOverload, "`%` takes two integers", at: location)
            }
            if rejectsNaN, result.isNaN { throw EvaluationError(.notANumber(column: nil), at: location) }
            return .double(result)
        case (.decimal, _), (_, .decimal): return try decimal(operation, left, right, location)
        default: return try joined(operation, left, right, location)
        }
    }

    private static func integer<Number: FixedWidthInteger>(
        _ operation: Operator, _ left: Number, _ right: Number, _ location: Location
    ) throws(EvaluationError) -> Number {
        let (result, overflow): (Number, Bool)
        switch operation {
        case .add: (result, overflow) = left.addingReportingOverflow(right)
        case .subtract: (result, overflow) = left.subtractingReportingOverflow(right)
        case .multiply: (result, overflow) = left.multipliedReportingOverflow(by: right)
        default:
            guard right != 0 else { throw EvaluationError(.divideByZero, at: location) }
            (result, overflow) =
                operation == .divide
                ? left.dividedReportingOverflow(by: right) : left.remainderReportingOverflow(dividingBy: right)
        }
        if overflow { throw EvaluationError(.overflow, at: location) }
        return result
    }

    private mutating func decimal(
        _ operation: Operator, _ left: Value, _ right: Value, _ location: Location
    ) throws(EvaluationError) -> Value {
        guard let first = left.decimalText, let second = right.decimalText else {
            return try joined(operation, left, right, location)
        }
        try meter.spend(bytes: first.utf8.count * (operation == .multiply ? second.utf8.count : 1))
        let result: String?
        switch operation {
        case .add: result = DecimalNumber.add(first, second)
        case .subtract: result = DecimalNumber.subtract(first, second)
        case .multiply: result = DecimalNumber.multiply(first, second)
        default:
            throw EvaluationError(
                .noSuchOverload, "a decimal has no `\(operation.shown)`; convert it with double()", at: location)
        }
        guard let result else { throw EvaluationError(.overflow, at: location) }
        return .decimal(result)
    }

    /// Arithmetic of texts, bytes, lists, times and durations.
    private mutating func joined(
        _ operation: Operator, _ left: Value, _ right: Value, _ location: Location
    ) throws(EvaluationError) -> Value {
        switch (operation, left, right) {
        case (.add, .string(let left), .string(let right)):
            try meter.spend(bytes: left.utf8.count + right.utf8.count)
            return .string(left + right)
        case (.add, .bytes(let left), .bytes(let right)):
            try meter.spend(bytes: left.count + right.count)
            return .bytes(left + right)
        case (.add, .list(let left), .list(let right)):
            try meter.spend(1 + (left.count + right.count) / 4)
            return .list(left + right)
        case (.add, .timestamp(let time), .duration(let delta)), (.add, .duration(let delta), .timestamp(let time)):
            guard let sum = time.adding(nanoseconds: delta) else { throw EvaluationError(.overflow, at: location) }
            return .timestamp(sum)
        case (.subtract, .timestamp(let time), .duration(let delta)):
            guard delta != .min, let difference = time.adding(nanoseconds: -delta) else {
                throw EvaluationError(.overflow, at: location)
            }
            return .timestamp(difference)
        case (.subtract, .timestamp(let left), .timestamp(let right)):
            guard let difference = left.nanoseconds(since: right) else {
                throw EvaluationError(.overflow, at: location)
            }
            return .duration(difference)
        case (.add, .duration(let left), .duration(let right)), (.subtract, .duration(let left), .duration(let right)):
            return .duration(try Interpreter.integer(operation, left, right, location))
        default:
            let words = "`\(operation.shown)` does not take \(left.plainTypeName) and \(right.plainTypeName)"
            throw EvaluationError(.noSuchOverload, words, at: location)
        }
    }
}
