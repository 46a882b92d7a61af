public import Core

/// What compiling an expression gave.
public struct CompileResult: Sendable {
    /// Nil when a diagnostic is an error.
    public var program: Program?
    public var diagnostics: [Diagnostic]
    /// The static type of the expression.
    public var type: CELType
    /// Every name that was resolved, once each, in the order of first use.
    public var references: [Reference]
}

/// The Common Expression Language: expressions without state or side effects, checked before they run.
public enum CEL {
    /// Parses, checks and plans an expression.
    ///
    /// - Parameter map: where the expression's lines stand in their file; diagnostics and errors point there.
    /// - Parameter expecting: the type wanted, `.bool` for a condition; nil for any.
    public static func compile(
        _ source: String, at map: SourceMap, in environment: Environment, expecting: CELType?
    ) -> CompileResult {
        let (tree, syntax) = Parser.parse(source, map: map)
        guard let tree else {
            let sorted = syntax.sorted { $0.position < $1.position }
            return CompileResult(program: nil, diagnostics: sorted, type: .error, references: [])
        }
        var checker = Checker(tree: tree, environment: environment, map: map)
        let type = checker.check(expecting: expecting)
        let diagnostics = (syntax + checker.diagnostics).sorted { $0.position < $1.position }
        guard !diagnostics.contains(where: { $0.level == .error }) else {
            return CompileResult(
                program: nil, diagnostics: diagnostics, type: type, references: checker.references)
        }
        let plan = Planner(checked: checker.checked, source: map).plan()
        let readsColumns = checker.references.contains {
            if case .slot = $0.resolution { true } else { false }
        }
        let program = Program(
            plan: plan, type: type, source: map, localCount: checker.checked.localCount, readsColumns: readsColumns)
        return CompileResult(
            program: program, diagnostics: diagnostics, type: type, references: checker.references)
    }
}
