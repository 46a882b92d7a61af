internal import CEL
internal import Core

/// What the functions of templates need to know: in which locale they write.
final class RenderContext: Sendable {
    /// Nil writes plainly: labels, which no person's locale may change.
    let locale: RenderLocale?
    init(locale: RenderLocale?) { self.locale = locale }
}

/// The functions that templates have beside those of CEL.
enum TemplateFunctions {
    /// Fraction digits that can be asked for.
    static let digitsMax = 20

    static let all: [Environment.Function] = [
        numeric("percent") { text, digits, locale in
            if let locale { return locale.percent(text, digits: digits) }
            return NumberLayout.format(text, shift: 2, digits: digits, table: nil).map { $0 + "%" }
        },
        numeric("number") { text, digits, locale in
            if let locale { return locale.number(text, digits: digits) }
            return NumberLayout.format(text, shift: 0, digits: digits, table: nil)
        },
        temporal("date") { time, locale in locale?.date(time) ?? String(time.description.prefix(10)) },
        temporal("time") { time, locale in locale?.time(time) ?? String(time.description.dropFirst(11)) },
        temporal("datetime") { time, locale in locale?.dateTime(time) ?? time.description },
    ]

    private static func numeric(
        _ name: String, _ write: @escaping @Sendable (String, Int?, RenderLocale?) -> String?
    ) -> Environment.Function {
        let types: [CELType] = [.double, .decimal, .int, .uint]
        let overloads = types.flatMap { type in
            [[type], [type, .int]].map { Environment.Overload(parameters: $0, result: .string, isMember: false) }
        }
        return Environment.Function(name: name, overloads: overloads) {
            (arguments: [Value], context: AnyObject?) throws(EvaluationError) -> Value in
            let digits = try digits(arguments.count > 1 ? arguments[1] : nil, name)
            let text = try numberText(arguments.first ?? .null, name)
            let locale = (context as? RenderContext)?.locale
            guard let output = write(text, digits, locale) else {
                throw EvaluationError(kind: .invalidArgument, message: "\(name) takes a number")
            }
            return .string(output)
        }
    }

    private static func temporal(
        _ name: String, _ write: @escaping @Sendable (Timestamp, RenderLocale?) -> String
    ) -> Environment.Function {
        let overloads = [CELType.timestamp, .string].map {
            Environment.Overload(parameters: [$0], result: .string, isMember: false)
        }
        return Environment.Function(name: name, overloads: overloads) {
            (arguments: [Value], context: AnyObject?) throws(EvaluationError) -> Value in
            let time = try time(arguments.first ?? .null, name)
            return .string(write(time, (context as? RenderContext)?.locale))
        }
    }

    static func numberText(_ value: Value, _ name: String) throws(EvaluationError) -> String {
        switch value {
        case .int(let value): return String(value)
        case .uint(let value): return String(value)
        // The shortest text that reads back as the same double: the text of the source, up to 15 digits.
        case .double(let value) where value.isFinite: return String(value)
        case .decimal(let text): return text
        case .string(let text) where DecimalText.parts(text) != nil: return text
        default:
            throw EvaluationError(kind: .noSuchOverload, message: "\(name) takes a number, not \(value.typeName)")
        }
    }

    static func digits(_ value: Value?, _ name: String) throws(EvaluationError) -> Int? {
        guard let value else { return nil }
        guard case .int(let digits) = value, digits >= 0, digits <= Int64(digitsMax) else {
            throw EvaluationError(
                kind: .invalidArgument, message: "\(name) takes 0 to \(digitsMax) fraction digits")
        }
        return Int(digits)
    }

    static func time(_ value: Value, _ name: String) throws(EvaluationError) -> Timestamp {
        switch value {
        case .timestamp(let time): return time.timestamp
        case .string(let text):
            guard let time = Timestamp.parse(text) else {
                throw EvaluationError(
                    kind: .invalidArgument, message: "\(name) takes a time such as 2026-01-12T05:27:49Z")
            }
            return time
        default:
            throw EvaluationError(kind: .noSuchOverload, message: "\(name) takes a time, not \(value.typeName)")
        }
    }
}
