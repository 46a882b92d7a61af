/// The functions an expression may call, by name; receivers are first parameters.
internal struct FunctionTable: Sendable {
    typealias Overload = Environment.Overload
    typealias Body = @Sendable (_ arguments: [Value], _ meter: inout Meter) throws(EvaluationError) -> Value

    enum Implementation: Sendable {
        case standard(Body)
        case environment(Environment.Function.Body)
    }

    struct Function: Sendable {
        var name: String
        var overloads: [Overload]
        var implementation: Implementation
    }

    private let added: [String: Function]

    init(adding functions: [Environment.Function]) {
        var added: [String: Function] = [:]
        for function in functions {
            added[function.name] = Function(
                name: function.name, overloads: function.overloads, implementation: .environment(function.body))
        }
        self.added = added
    }

    subscript(name: String) -> Function? { added[name] ?? FunctionTable.standard[name] }

    /// All names, for suggestions.
    var names: [String] { Array(added.keys) + Array(FunctionTable.standard.keys) }

    /// The standard functions and the extensions.
    static let standard: [String: Function] = {
        var table: [String: Function] = [:]
        for function in conversions + texts + times + collections + numbers + optionals + encoders + formatting {
            table[function.name] = function
        }
        return table
    }()

    // MARK: Declaring

    static func global(_ parameters: [CELType], _ result: CELType) -> Overload {
        Overload(parameters: parameters, result: result, isMember: false)
    }

    static func member(_ parameters: [CELType], _ result: CELType) -> Overload {
        Overload(parameters: parameters, result: result, isMember: true)
    }

    static func declare(_ name: String, _ overloads: [Overload], _ body: @escaping Body) -> Function {
        Function(name: name, overloads: overloads, implementation: .standard(body))
    }

    static func noOverload(_ name: String, _ arguments: [Value]) -> EvaluationError {
        let types = arguments.map(\.plainTypeName).joined(separator: ", ")
        return EvaluationError(.noSuchOverload, "\(name)() does not take (\(types))")
    }
}

/// Counts the steps of one evaluation, so that none runs long.
internal struct Meter {
    /// Steps of about a hundred nanoseconds; a loop turn is one, building a value one per 64 bytes.
    static let budget = 1_000_000

    var remaining = Meter.budget

    mutating func spend(_ steps: Int) throws(EvaluationError) {
        remaining -= steps
        guard remaining >= 0 else { throw EvaluationError(.budgetExceeded) }
    }

    /// Charges for reading or building so many bytes.
    mutating func spend(bytes count: Int) throws(EvaluationError) { try spend(1 + count / 64) }
}
