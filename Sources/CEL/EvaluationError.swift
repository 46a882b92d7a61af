public import Core

/// Why an expression gave no value: what the value lacked, or what went wrong, and where.
///
/// It is cheap to make and to copy: texts are put together only when somebody reads ``message``.
public struct EvaluationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What stood in the way.
    public enum Kind: Sendable, Equatable, Hashable {
        /// The column is null in this row.
        case nullValue(column: String)
        /// The row does not have the column.
        case missing(column: String)
        /// The column is NaN, or arithmetic over columns gave NaN (then there is no column).
        case notANumber(column: String?)
        /// The source did not say what the column holds, or the row image is not known.
        case unknownValue(column: String)
        /// The column holds a value that its declared type does not allow.
        case wrongType(column: String)
        /// An operator or function met values that it does not take.
        case noSuchOverload
        case noSuchKey
        case indexOutOfRange
        case divideByZero
        /// A number, time or duration left its range.
        case overflow
        /// A text could not be converted, or an argument is not allowed.
        case invalidArgument
        case duplicateKey
        /// A name that nothing was declared for (only where the checker was off).
        case undeclared
        /// The evaluation took more steps than its budget allows.
        case budgetExceeded
        /// A condition gave something other than true or false.
        case notACondition
    }

    public var kind: Kind
    internal var detail: String?
    internal var source: SourceMap?
    internal var location: Location

    /// Makes an error, for functions that an environment adds.
    public init(kind: Kind, message: String?) {
        self.kind = kind
        detail = message
        source = nil
        location = Location()
    }

    internal init(
        _ kind: Kind, _ detail: String? = nil, at location: Location = Location(), in source: SourceMap? = nil
    ) {
        self.kind = kind
        self.detail = detail
        self.location = location
        self.source = source
    }

    /// The column whose value was lacking, if it was one.
    public var column: String? {
        switch kind {
        case .nullValue(let column), .missing(let column), .unknownValue(let column), .wrongType(let column): column
        case .notANumber(let column): column
        default: nil
        }
    }

    /// The reason in words, lower case, with no position.
    public var message: String {
        if let detail { return detail }
        switch kind {
        case .nullValue(let column): return "\(column) is null"
        case .missing(let column): return "the row has no \(column)"
        case .notANumber(let column?): return "\(column) is not a number (NaN)"
        case .notANumber(nil): return "the result is not a number (NaN)"
        case .unknownValue(let column): return "the value of \(column) is unknown"
        case .wrongType(let column): return "\(column) has a value of another type than declared"
        case .noSuchOverload: return "no such overload"
        case .noSuchKey: return "no such key"
        case .indexOutOfRange: return "index out of range"
        case .divideByZero: return "division by zero"
        case .overflow: return "the result is out of range"
        case .invalidArgument: return "invalid argument"
        case .duplicateKey: return "the map has the same key twice"
        case .undeclared: return "undeclared name"
        case .budgetExceeded: return "the evaluation takes too many steps"
        case .notACondition: return "a condition must be true or false"
        }
    }

    /// Where in the rule file; nil for an error that a function of the environment made.
    public var position: SourcePosition? {
        guard let source, location.length > 0 else { return nil }
        return source.position(line: Int(location.line), scalarColumn: Int(location.column))
    }

    /// Position and message.
    public var description: String { position.map { "\($0): \(message)" } ?? message }

    /// Errors are equal when kind, words and place are.
    public static func == (left: EvaluationError, right: EvaluationError) -> Bool {
        left.kind == right.kind && left.message == right.message && left.position == right.position
    }
}

/// What a condition says about a row.
///
/// `unknown` is the third outcome: a value that the condition used is null, missing, NaN or unknown, or its evaluation
/// went wrong. It is neither true nor false and changes no state.
public enum Outcome: Sendable, Equatable {
    case isFalse
    case isTrue
    case unknown(EvaluationError)
}
