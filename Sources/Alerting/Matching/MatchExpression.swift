public import CEL
public import Core

/// Which alerts are meant: label matchers that must all hold, or one CEL expression.
public enum MatchExpression: Sendable, Equatable, CustomStringConvertible {
    case labels([LabelMatcher])
    case cel(CompiledCondition)

    /// Every alert.
    public static let everything = MatchExpression.labels([])

    /// The name of the matcher by which the API shows a CEL expression.
    public static let celMatcherName = "__cel__"

    /// Whether the alert is meant. A CEL expression that has no value for it, as after an error, does not match.
    public func matches(_ subject: AlertSubject) -> Bool {
        switch self {
        case .labels(let matchers): matchers.allSatisfy { $0.matches(subject.labelSet) }
        case .cel(let condition): condition.evaluate(subject) == .isTrue
        }
    }

    /// The matchers as the API shows them: a CEL expression as `__cel__="…"`.
    public var matchers: [LabelMatcher] {
        switch self {
        case .labels(let matchers): matchers
        case .cel(let condition): [LabelMatcher(MatchExpression.celMatcherName, equals: condition.text)]
        }
    }

    /// Reads what the API was given: one matcher `__cel__` is a CEL expression.
    ///
    /// - Throws: the first diagnostic's words where the expression is wrong.
    public init(matchers: [LabelMatcher]) throws(LabelMatcher.Problem) {
        guard let cel = matchers.first(where: { $0.name == MatchExpression.celMatcherName }) else {
            self = .labels(matchers)
            return
        }
        guard matchers.count == 1, !cel.isRegex, cel.isEqual else {
            throw LabelMatcher.Problem(message: "a matcher __cel__ stands alone and is written with '='")
        }
        let (condition, diagnostics) = CompiledCondition.compile(cel.value, at: SourceMap(file: "__cel__"))
        guard let condition else {
            throw LabelMatcher.Problem(message: diagnostics.first.map { "\($0.position): \($0.message)" } ?? "no CEL")
        }
        self = .cel(condition)
    }

    /// `team="quality", severity=~"error|critical"`, or the CEL expression.
    public var description: String {
        switch self {
        case .labels(let matchers): matchers.map(\.description).joined(separator: ", ")
        case .cel(let condition): condition.text
        }
    }
}

/// A CEL condition over an alert: `severity`, `labels`, `rule`, `table`, `key`, `owner`.
public struct CompiledCondition: Sendable, Equatable {
    public let text: String
    private let program: Program
    private let names: [SubjectScope.Name]

    /// Compiles a condition.
    ///
    /// - Parameter map: where its lines stand in their file; diagnostics point there.
    /// - Returns: nil where a diagnostic is an error.
    public static func compile(
        _ text: String, at map: SourceMap
    ) -> (condition: CompiledCondition?, diagnostics: [Diagnostic]) {
        let scope = SubjectScope()
        let result = CEL.compile(text, at: map, in: scope.environment, expecting: .bool)
        let condition = result.program.map { CompiledCondition(text: text, program: $0, names: scope.named) }
        return (condition, result.diagnostics)
    }

    /// What the condition says of an alert; `unknown` where its evaluation goes wrong.
    public func evaluate(_ subject: AlertSubject) -> Outcome {
        var absorbed = 0
        let names = names
        let frame = EvaluationFrame(
            spaces: (nil, nil, nil, nil), arena: SubjectScope.emptyArena,
            dynamic: { names.indices.contains($0) ? SubjectScope.value(names[$0], of: subject) : nil })
        return program.evaluateCondition(frame, absorbed: &absorbed)
    }

    public static func == (left: CompiledCondition, right: CompiledCondition) -> Bool { left.text == right.text }
}
