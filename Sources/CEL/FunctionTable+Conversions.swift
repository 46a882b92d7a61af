extension FunctionTable {
    static var conversions: [Function] {
        [
            declare(
                "int",
                [
                    global([.int], .int), global([.uint], .int), global([.double], .int), global([.decimal], .int),
                    global([.string], .int), global([.timestamp], .int),
                ]
            ) { arguments, _ throws(EvaluationError) in try toInt(arguments) },
            declare(
                "uint",
                [
                    global([.uint], .uint), global([.int], .uint), global([.double], .uint), global([.decimal], .uint),
                    global([.string], .uint),
                ]
            ) { arguments, _ throws(EvaluationError) in try toUint(arguments) },
            declare(
                "double",
                [
                    global([.double], .double), global([.int], .double), global([.uint], .double),
                    global([.decimal], .double), global([.string], .double),
                ]
            ) { arguments, _ throws(EvaluationError) in try toDouble(arguments) },
            declare(
                "decimal",
                [
                    global([.decimal], .decimal), global([.int], .decimal), global([.uint], .decimal),
                    global([.double], .decimal), global([.string], .decimal),
                ]
            ) { arguments, _ throws(EvaluationError) in try toDecimal(arguments) },
            declare("bool", [global([.bool], .bool), global([.string], .bool)]) {
                arguments, _ throws(EvaluationError) in try toBool(arguments)
            },
            declare(
                "string",
                [
                    global([.string], .string), global([.bool], .string), global([.int], .string),
                    global([.uint], .string), global([.double], .string), global([.decimal], .string),
                    global([.bytes], .string), global([.timestamp], .string), global([.duration], .string),
                ]
            ) { arguments, meter throws(EvaluationError) in try toString(arguments, &meter) },
            declare("bytes", [global([.bytes], .bytes), global([.string], .bytes)]) {
                arguments, meter throws(EvaluationError) in
                switch arguments.first {
                case .bytes?: return arguments[0]
                case .string(let text)?:
                    try meter.spend(bytes: text.utf8.count)
                    return .bytes(Array(text.utf8))
                default: throw noOverload("bytes", arguments)
                }
            },
            declare(
                "timestamp",
                [
                    global([.timestamp], .timestamp), global([.string], .timestamp), global([.int], .timestamp),
                ]
            ) { arguments, _ throws(EvaluationError) in try toTimestamp(arguments) },
            declare(
                "duration",
                [
                    global([.duration], .duration), global([.string], .duration), global([.int], .duration),
                ]
            ) { arguments, _ throws(EvaluationError) in try toDuration(arguments) },
            declare("dyn", [global([.parameter("A")], .dyn)]) { arguments, _ throws(EvaluationError) in
                guard arguments.count == 1 else { throw noOverload("dyn", arguments) }
                return arguments[0]
            },
            declare("type", [global([.parameter("A")], .type)]) { arguments, _ throws(EvaluationError) in
                guard arguments.count == 1 else { throw noOverload("type", arguments) }
                return .type(arguments[0].typeName)
            },
        ]
    }

    private static func range(_ type: String, _ value: Value) -> EvaluationError {
        EvaluationError(.overflow, "\(value.display) is out of the range of \(type)")
    }

    private static func notA(_ type: String, _ text: String) -> EvaluationError {
        EvaluationError(.invalidArgument, "\"\(text.prefix(64))\" is no \(type)")
    }

    static func toInt(_ arguments: [Value]) throws(EvaluationError) -> Value {
        switch arguments.first {
        case .int?: return arguments[0]
        case .uint(let value)?:
            guard let result = Int64(exactly: value) else { throw range("int", arguments[0]) }
            return .int(result)
        case .double(let value)?:
            guard value > -0x1p63, value < 0x1p63 else { throw range("int", arguments[0]) }
            return .int(Int64(value))
        case .decimal(let text)?:
            let whole = text.contains("e") || text.contains("E") ? text : String(text.prefix { $0 != "." })
            guard let value = Int64(whole == "-" || whole.isEmpty ? "0" : whole) else {
                throw range("int", arguments[0])
            }
            return .int(value)
        case .string(let text)?:
            guard let value = Int64(text), text.first != "+" else { throw notA("int", text) }
            return .int(value)
        case .timestamp(let time)?: return .int(time.seconds)
        default: throw noOverload("int", arguments)
        }
    }

    private static func toUint(_ arguments: [Value]) throws(EvaluationError) -> Value {
        switch arguments.first {
        case .uint?: return arguments[0]
        case .int(let value)?:
            guard let result = UInt64(exactly: value) else { throw range("uint", arguments[0]) }
            return .uint(result)
        case .double(let value)?:
            guard value >= 0, value < 0x1p64 else { throw range("uint", arguments[0]) }
            return .uint(UInt64(value))
        case .decimal?:
            guard case .int(let value) = try toInt(arguments), value >= 0 else { throw range("uint", arguments[0]) }
            return .uint(UInt64(value))
        case .string(let text)?:
            guard let value = UInt64(text), text.first != "+" else { throw notA("uint", text) }
            return .uint(value)
        default: throw noOverload("uint", arguments)
        }
    }

    static func toDouble(_ arguments: [Value]) throws(EvaluationError) -> Value {
        switch arguments.first {
        case .double?: return arguments[0]
        case .int(let value)?: return .double(Double(value))
        case .uint(let value)?: return .double(Double(value))
        case .decimal(let text)?:
            guard let value = Double(text) else { throw notA("number", text) }
            return .double(value)
        case .string(let text)?:
            switch text {
            case "NaN": return .double(.nan)
            case "Infinity", "+Infinity", "Inf", "+Inf": return .double(.infinity)
            case "-Infinity", "-Inf": return .double(-.infinity)
            default:
                let isPlain = text.utf8.allSatisfy { byte in
                    (48...57).contains(byte) || byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
                        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
                }
                guard isPlain, let value = Double(text) else { throw notA("number", text) }
                return .double(value)
            }
        default: throw noOverload("double", arguments)
        }
    }

    private static func toDecimal(_ arguments: [Value]) throws(EvaluationError) -> Value {
        switch arguments.first {
        case .decimal?: return arguments[0]
        case .string(let text)?:
            guard text.utf8.count <= DecimalNumber.digitsMax, DecimalNumber.compare(text, "0") != nil else {
                throw notA("decimal", text)
            }
            return .decimal(text)
        case .double(let value)? where value.isFinite: return .decimal(NumberText.double(value))
        case .double?: throw range("decimal", arguments[0])
        case .int?, .uint?: return .decimal(arguments[0].display)
        default: throw noOverload("decimal", arguments)
        }
    }

    private static func toBool(_ arguments: [Value]) throws(EvaluationError) -> Value {
        switch arguments.first {
        case .bool?: return arguments[0]
        case .string(let text)?:
            switch text {
            case "true", "True", "TRUE", "t", "1": return .bool(true)
            case "false", "False", "FALSE", "f", "0": return .bool(false)
            default: throw notA("bool", text)
            }
        default: throw noOverload("bool", arguments)
        }
    }

    private static func toString(_ arguments: [Value], _ meter: inout Meter) throws(EvaluationError) -> Value {
        guard arguments.count == 1 else { throw noOverload("string", arguments) }
        switch arguments[0] {
        case .string: return arguments[0]
        case .bytes(let bytes):
            try meter.spend(bytes: bytes.count)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw EvaluationError(.invalidArgument, "the bytes are no valid UTF-8")
            }
            return .string(text)
        case .bool, .int, .uint, .double, .decimal, .timestamp, .duration: return .string(arguments[0].display)
        default: throw noOverload("string", arguments)
        }
    }

    static func toTimestamp(_ arguments: [Value]) throws(EvaluationError) -> Value {
        switch arguments.first {
        case .timestamp?: return arguments[0]
        case .int(let seconds)?:
            guard let time = PreciseTime(seconds: seconds, nanoseconds: 0) else {
                throw range("timestamp", arguments[0])
            }
            return .timestamp(time)
        case .string(let text)?:
            guard let time = PreciseTime.parse(text) else { throw notA("timestamp", text) }
            return .timestamp(time)
        default: throw noOverload("timestamp", arguments)
        }
    }

    static func toDuration(_ arguments: [Value]) throws(EvaluationError) -> Value {
        switch arguments.first {
        case .duration?: return arguments[0]
        case .int(let seconds)?:
            let (value, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
            if overflow { throw range("duration", arguments[0]) }
            return .duration(value)
        case .string(let text)?:
            guard let value = NumberText.parseDuration(text) else { throw notA("duration in range", text) }
            return .duration(value)
        default: throw noOverload("duration", arguments)
        }
    }
}
