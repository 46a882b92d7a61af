internal import Core

/// A compiled expression. Immutable; any number of tasks may evaluate it at once.
public final class Program: @unchecked Sendable {
    // SAFETY: every stored property is constant, and what the pointers name is written only while it is built.
    /// Its static type.
    public let type: CELType
    /// Set when the whole expression is one column: callers can print its original text.
    public let bareSlot: SlotReference?
    /// Whether conditions run on the allocation-free path.
    public var isFast: Bool { fast != nil }
    /// Owns what the pointers below name; these are kept here so that an evaluation retains nothing.
    private let fast: FastProgram?
    internal let fastNodes: UnsafePointer<FastNode>?
    internal let fastRegexes: UnsafePointer<OpaquePointer>?
    internal let fastRoot: Int32
    internal let fastUsesTexts: Bool
    internal let plan: Plan
    internal let source: SourceMap
    internal let localCount: Int
    internal let readsColumns: Bool

    internal init(plan: Plan, type: CELType, source: SourceMap, localCount: Int, readsColumns: Bool) {
        self.plan = plan
        self.type = type
        self.source = source
        self.localCount = localCount
        self.readsColumns = readsColumns
        let fast = type == .bool || type == .dyn ? FastBuilder.build(plan) : nil
        fastNodes = fast.map { UnsafePointer($0.nodes) }
        fastRegexes = fast.map { UnsafePointer($0.regexes) }
        fastRoot = fast?.root ?? 0
        fastUsesTexts = fast?.usesTexts ?? false
        self.fast = fast
        if case .slot(let slot) = plan { bareSlot = slot.slot } else { bareSlot = nil }
    }

    /// Evaluates a condition. Null, missing, unknown and NaN values that it used, and all errors, give `unknown`.
    ///
    /// - Parameter absorbed: raised by the number of errors that `||`, `&&`, `all` or `exists` absorbed.
    public func evaluateCondition(_ frame: borrowing EvaluationFrame, absorbed: inout Int) -> Outcome {
        guard let fastNodes, let fastRegexes else { return evaluateSlowly(frame, absorbed: &absorbed) }
        var evaluation = FastEvaluation(
            nodes: fastNodes, regexes: fastRegexes, spaces: frame.spaces,
            arena: fastUsesTexts ? frame.arena.bytes(offset: 0, count: 0).baseAddress : nil, rejectsNaN: readsColumns)
        let result = evaluation.condition(fastRoot)
        absorbed &+= evaluation.absorbed
        switch result {
        case FastEvaluation.isFalse: return .isFalse
        case FastEvaluation.isTrue: return .isTrue
        default: return failure(evaluation.problem, evaluation.problemNode, frame)
        }
    }

    private func failure(
        _ problem: FastProblem, _ node: Int32, _ frame: borrowing EvaluationFrame
    ) -> Outcome {
        // A text in a number column may be the text NaN, which the fast path did not look at.
        guard problem != .wrongType, let fast else {
            var counted = 0
            return evaluateSlowly(frame, absorbed: &counted)
        }
        return .unknown(fast.error(problem, at: node, source: source))
    }

    /// The same through the general evaluator, which the fast path must agree with.
    internal func evaluateGenerally(_ frame: borrowing EvaluationFrame, absorbed: inout Int) -> Outcome {
        evaluateSlowly(frame, absorbed: &absorbed)
    }

    /// Evaluates an expression of any type.
    ///
    /// An expression that is one column alone gives `null` for a null or missing column.
    /// - Throws: ``EvaluationError`` where the expression has no value.
    public func evaluate(_ frame: borrowing EvaluationFrame) throws(EvaluationError) -> Value {
        var interpreter = Interpreter(frame: copy frame, localCount: localCount, rejectsNaN: readsColumns)
        do throws(EvaluationError) {
            let value = try interpreter.value(plan)
            try interpreter.measure(value)
            return value
        } catch {
            if bareSlot != nil {
                switch error.kind {
                case .nullValue, .missing: return .null
                case .notANumber: return .double(.nan)
                default: break
                }
            }
            throw located(error)
        }
    }

    private func evaluateSlowly(_ frame: borrowing EvaluationFrame, absorbed: inout Int) -> Outcome {
        var interpreter = Interpreter(frame: copy frame, localCount: localCount, rejectsNaN: readsColumns)
        defer { absorbed += interpreter.absorbed }
        do throws(EvaluationError) {
            switch try interpreter.value(plan) {
            case .bool(let isTrue): return isTrue ? .isTrue : .isFalse
            case let other:
                let words = "a condition must be true or false, but this gave a \(other.plainTypeName)"
                return .unknown(EvaluationError(.notACondition, words))
            }
        } catch {
            return .unknown(located(error))
        }
    }

    private func located(_ error: EvaluationError) -> EvaluationError {
        var error = error
        if error.source == nil, error.location.length > 0 { error.source = source }
        return error
    }
}
