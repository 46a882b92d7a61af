extension FunctionTable {
    static var encoders: [Function] {
        [
            declare("base64.encode", [global([.bytes], .string)]) { arguments, meter throws(EvaluationError) in
                guard case .bytes(let bytes)? = arguments.first, arguments.count == 1 else {
                    throw noOverload("base64.encode", arguments)
                }
                try meter.spend(bytes: bytes.count)
                return .string(Base64.encode(bytes))
            },
            declare("base64.decode", [global([.string], .bytes)]) { arguments, meter throws(EvaluationError) in
                guard case .string(let text)? = arguments.first, arguments.count == 1 else {
                    throw noOverload("base64.decode", arguments)
                }
                try meter.spend(bytes: text.utf8.count)
                guard let bytes = Base64.decode(text) else {
                    throw EvaluationError(.invalidArgument, "the text is no base64")
                }
                return bytes
            },
            declare("strings.quote", [global([.string], .string)]) { arguments, meter throws(EvaluationError) in
                guard case .string(let text)? = arguments.first, arguments.count == 1 else {
                    throw noOverload("strings.quote", arguments)
                }
                try meter.spend(bytes: text.utf8.count)
                return .string(quoted(text))
            },
        ]
    }

    /// The text as a literal in double quotes.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x07: result += "\\a"
            case 0x08: result += "\\b"
            case 0x09: result += "\\t"
            case 0x0A: result += "\\n"
            case 0x0B: result += "\\v"
            case 0x0C: result += "\\f"
            case 0x0D: result += "\\r"
            case 0x22: result += "\\\""
            case 0x5C: result += "\\\\"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
