extension FunctionTable {
    static var numbers: [Function] {
        let number = CELType.parameter("N")
        var functions: [Function] = []
        // Authors write min(a, b) and abs(x); CEL's extension calls them math.least and math.abs.
        for name in ["math.greatest", "max", "math.least", "min"] {
            let wantsLargest = name == "max" || name == "math.greatest"
            var overloads = [global([.list(number)], .dyn)]
            for count in 1...6 { overloads.append(global(Array(repeating: .dyn, count: count), .dyn)) }
            overloads =
                [.int, .uint, .double, .decimal].flatMap { (type: CELType) in
                    [global([.list(type)], type)] + (1...6).map { global(Array(repeating: type, count: $0), type) }
                } + overloads
            functions.append(
                declare(name, overloads) { arguments, meter throws(EvaluationError) in
                    try extreme(name, arguments, wantsLargest, &meter)
                })
        }
        for name in ["abs", "sign", "ceil", "floor", "round", "trunc"] {
            for full in ["math.\(name)"] + (name == "sign" || name == "trunc" ? [] : [name]) {
                let integral = ["abs", "sign"].contains(name) || !full.hasPrefix("math.")
                functions.append(
                    declare(
                        full,
                        [global([.double], .double)]
                            + (integral ? [global([.int], .int), global([.uint], .uint)] : [])
                    ) { arguments, _ throws(EvaluationError) in try rounded(name, full, arguments, integral) })
            }
        }
        for name in ["isNaN", "isInf", "isFinite"] {
            functions.append(
                declare("math.\(name)", [global([.double], .bool)]) { arguments, _ throws(EvaluationError) in
                    guard case .double(let value)? = arguments.first, arguments.count == 1 else {
                        throw noOverload("math.\(name)", arguments)
                    }
                    return .bool(name == "isNaN" ? value.isNaN : name == "isInf" ? value.isInfinite : value.isFinite)
                })
        }
        return functions + bits
    }

    private static func extreme(
        _ name: String, _ arguments: [Value], _ wantsLargest: Bool, _ meter: inout Meter
    ) throws(EvaluationError) -> Value {
        var candidates = arguments
        if arguments.count == 1, case .list(let elements) = arguments[0] { candidates = elements }
        guard var best = candidates.first, best.isNumber else { throw noOverload(name, arguments) }
        try meter.spend(candidates.count)
        for candidate in candidates.dropFirst() {
            guard candidate.isNumber else { throw noOverload(name, arguments) }
            let order = Value.compareNumbers(candidate, best) ?? 0
            if wantsLargest ? order > 0 : order < 0 { best = candidate }
        }
        return best
    }

    private static func rounded(
        _ name: String, _ full: String, _ arguments: [Value], _ takesIntegers: Bool
    ) throws(EvaluationError) -> Value {
        guard arguments.count == 1 else { throw noOverload(full, arguments) }
        switch arguments[0] {
        case .double(let value):
            switch name {
            case "abs": return .double(value.magnitude)
            case "sign": return .double(value.isNaN ? value : value > 0 ? 1 : value < 0 ? -1 : 0)
            case "ceil": return .double(value.rounded(.up))
            case "floor": return .double(value.rounded(.down))
            case "round": return .double(value.rounded(.toNearestOrAwayFromZero))
            default: return .double(value.rounded(.towardZero))
            }
        case .int(let value) where takesIntegers:
            if name == "sign" { return .int(value.signum()) }
            guard name == "abs" else { return arguments[0] }
            guard value != .min else { throw EvaluationError(.overflow) }
            return .int(abs(value))
        case .uint(let value) where takesIntegers: return name == "sign" ? .uint(value == 0 ? 0 : 1) : arguments[0]
        default: throw noOverload(full, arguments)
        }
    }

    private static var bits: [Function] {
        let binary = [global([.int, .int], .int), global([.uint, .uint], .uint)]
        return [
            declare("math.bitAnd", binary) { arguments, _ throws(EvaluationError) in
                try bitwise("math.bitAnd", arguments, &)
            },
            declare("math.bitOr", binary) { arguments, _ throws(EvaluationError) in
                try bitwise("math.bitOr", arguments, |)
            },
            declare("math.bitXor", binary) { arguments, _ throws(EvaluationError) in
                try bitwise("math.bitXor", arguments, ^)
            },
            declare("math.bitNot", [global([.int], .int), global([.uint], .uint)]) {
                arguments, _ throws(EvaluationError) in
                switch arguments.first {
                case .int(let value)?: return .int(~value)
                case .uint(let value)?: return .uint(~value)
                default: throw noOverload("math.bitNot", arguments)
                }
            },
            declare("math.bitShiftLeft", [global([.int, .int], .int), global([.uint, .int], .uint)]) {
                arguments, _ throws(EvaluationError) in try shifted("math.bitShiftLeft", arguments, isLeft: true)
            },
            declare("math.bitShiftRight", [global([.int, .int], .int), global([.uint, .int], .uint)]) {
                arguments, _ throws(EvaluationError) in try shifted("math.bitShiftRight", arguments, isLeft: false)
            },
        ]
    }

    private static func bitwise(
        _ name: String, _ arguments: [Value], _ operation: (UInt64, UInt64) -> UInt64
    ) throws(EvaluationError) -> Value {
        guard arguments.count == 2 else { throw noOverload(name, arguments) }
        switch (arguments[0], arguments[1]) {
        case (.int(let left), .int(let right)):
            return .int(Int64(bitPattern: operation(UInt64(bitPattern: left), UInt64(bitPattern: right))))
        case (.uint(let left), .uint(let right)): return .uint(operation(left, right))
        default: throw noOverload(name, arguments)
        }
    }

    private static func shifted(
        _ name: String, _ arguments: [Value], isLeft: Bool
    ) throws(EvaluationError) -> Value {
        guard arguments.count == 2, case .int(let count) = arguments[1] else { throw noOverload(name, arguments) }
        guard count >= 0 else { throw EvaluationError(.invalidArgument, "\(name)() takes no negative shift") }
        func shift(_ bits: UInt64) -> UInt64 { count > 63 ? 0 : isLeft ? bits << UInt64(count) : bits >> UInt64(count) }
        switch arguments[0] {
        case .int(let value): return .int(Int64(bitPattern: shift(UInt64(bitPattern: value))))
        case .uint(let value): return .uint(shift(value))
        default: throw noOverload(name, arguments)
        }
    }
}
