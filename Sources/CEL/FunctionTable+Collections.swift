extension FunctionTable {
    static var collections: [Function] {
        [
            declare(
                "size",
                [
                    global([.string], .int), global([.bytes], .int), global([.list(.parameter("A"))], .int),
                    global([.map(.parameter("A"), .parameter("B"))], .int), member([.string], .int),
                    member([.bytes], .int), member([.list(.parameter("A"))], .int),
                    member([.map(.parameter("A"), .parameter("B"))], .int),
                ]
            ) { arguments, meter throws(EvaluationError) in
                guard arguments.count == 1 else { throw noOverload("size", arguments) }
                switch arguments[0] {
                case .string(let text):
                    try meter.spend(bytes: text.utf8.count)
                    return .int(Int64(text.unicodeScalars.count))
                case .bytes(let bytes): return .int(Int64(bytes.count))
                case .list(let elements): return .int(Int64(elements.count))
                case .map(let map): return .int(Int64(map.count))
                default: throw noOverload("size", arguments)
                }
            }
        ]
    }

    static var optionals: [Function] {
        let wrapped = CELType.optional(.parameter("A"))
        return [
            declare("optional.of", [global([.parameter("A")], wrapped)]) { arguments, _ throws(EvaluationError) in
                guard arguments.count == 1 else { throw noOverload("optional.of", arguments) }
                return .optional(arguments[0])
            },
            declare("optional.none", [global([], wrapped)]) { _, _ throws(EvaluationError) in .optional(nil) },
            declare("optional.ofNonZeroValue", [global([.parameter("A")], wrapped)]) {
                arguments, _ throws(EvaluationError) in
                guard arguments.count == 1 else { throw noOverload("optional.ofNonZeroValue", arguments) }
                return .optional(isZero(arguments[0]) ? nil : arguments[0])
            },
            declare("hasValue", [member([wrapped], .bool)]) { arguments, _ throws(EvaluationError) in
                guard case .optional(let value)? = arguments.first else { throw noOverload("hasValue", arguments) }
                return .bool(value != nil)
            },
            declare("value", [member([wrapped], .parameter("A"))]) { arguments, _ throws(EvaluationError) in
                guard case .optional(let value)? = arguments.first else { throw noOverload("value", arguments) }
                guard let value else { throw EvaluationError(.invalidArgument, "the optional has no value") }
                return value
            },
            declare("or", [member([wrapped, wrapped], wrapped)]) { arguments, _ throws(EvaluationError) in
                guard arguments.count == 2, case .optional(let value) = arguments[0],
                    case .optional = arguments[1]
                else { throw noOverload("or", arguments) }
                return value != nil ? arguments[0] : arguments[1]
            },
            declare("orValue", [member([wrapped, .parameter("A")], .parameter("A"))]) {
                arguments, _ throws(EvaluationError) in
                guard arguments.count == 2, case .optional(let value) = arguments[0] else {
                    throw noOverload("orValue", arguments)
                }
                return value ?? arguments[1]
            },
        ]
    }

    private static func isZero(_ value: Value) -> Bool {
        switch value {
        case .null: true
        case .bool(let value): !value
        case .int(let value): value == 0
        case .uint(let value): value == 0
        case .double(let value): value == 0
        case .decimal(let text): DecimalNumber.compare(text, "0") == 0
        case .string(let text): text.isEmpty
        case .bytes(let bytes): bytes.isEmpty
        case .duration(let value): value == 0
        case .timestamp(let time): time.seconds == 0 && time.nanoseconds == 0
        case .list(let elements): elements.isEmpty
        case .map(let map): map.count == 0
        case .type: false
        case .optional(let value): value == nil
        }
    }
}
