public import CEL
public import Core

/// A text with `{{ expression }}` placeholders, checked when the rules are loaded.
///
/// Rendering never fails and is bounded: an expression that goes wrong leaves `?` and a problem to report, a null
/// leaves a dash, a value is cut at ``valueByteCountMax`` and the whole at ``outputByteCountMax`` bytes. A placeholder
/// that only names a column writes the column's original text.
public struct Template: Sendable {
    /// Bytes one placeholder may write.
    public static let valueByteCountMax = 4096
    /// Bytes a template may write.
    public static let outputByteCountMax = 16_384
    /// Placeholders a template may have.
    public static let placeholderCountMax = 100

    enum Part: Sendable {
        case text(String)
        case placeholder(Placeholder)
    }

    struct Placeholder: Sendable {
        /// As written, without blanks around it.
        var source: String
        var program: Program
        /// Set where the original text of one column is all that is written.
        var direct: DirectColumn?
    }

    /// A placeholder that is one column, or one formatting function of one column.
    struct DirectColumn: Sendable, Equatable {
        enum Form: Sendable, Equatable { case plain, percent(Int?), number(Int?) }
        var slot: SlotReference
        var form: Form
    }

    /// The text as written.
    public let source: String
    /// The names its expressions use.
    public let references: [Reference]
    let parts: [Part]
    /// Which column each slot that the expressions read is.
    let slots: [(slot: SlotReference, path: String)]

    /// The columns to store with an alert, by path such as `after.batch`, so that
    /// ``render(columns:alert:locale:)`` finds them.
    public var columnPaths: [String] { slots.map(\.path) }

    /// Whether the text has no placeholder.
    public var isPlain: Bool {
        parts.allSatisfy { part in if case .text = part { true } else { false } }
    }

    /// Compiles a template whose alert has no key columns of its own; see ``compile(_:at:in:variables:)``.
    public static func compile(
        _ text: String, at map: SourceMap, in environment: Environment
    ) -> (template: Template?, diagnostics: [Diagnostic], references: [Reference]) {
        compile(text, at: map, in: environment, variables: TemplateVariables(keyColumns: []))
    }

    /// Compiles a template: all its expressions are checked, all their diagnostics given at once.
    ///
    /// - Parameters:
    ///   - map: where the text stands in its file.
    ///   - environment: the names of the rule; those of ``TemplateVariables`` and the functions are added.
    /// - Returns: no template where there is an error.
    public static func compile(
        _ text: String, at map: SourceMap, in environment: Environment, variables: TemplateVariables
    ) -> (template: Template?, diagnostics: [Diagnostic], references: [Reference]) {
        let scanner = PlaceholderScanner(text)
        var diagnostics = scanner.problems.map { problem in
            Diagnostic(
                code: "T001", message: problem.message,
                position: map.position(line: problem.line, scalarColumn: problem.column), length: 2, help: problem.help)
        }
        let extended = variables.extending(environment)
        var parts: [Part] = []
        var references: [Reference] = []
        var count = 0
        for piece in scanner.pieces {
            switch piece {
            case .text(let text): parts.append(.text(text))
            case .expression(let source, let line, let column):
                count += 1
                guard count <= placeholderCountMax else { continue }
                guard source.contains(where: { !$0.isWhitespace }) else { continue }
                let place = map.starting(atLine: line, scalarColumn: column)
                let result = CEL.compile(source, at: place, in: extended, expecting: nil)
                diagnostics += result.diagnostics
                for reference in result.references where !references.contains(reference) {
                    references.append(reference)
                }
                guard let program = result.program else { continue }
                let trimmed = source.trimmed
                let direct = DirectColumn(source: trimmed, references: result.references)
                parts.append(.placeholder(Placeholder(source: trimmed, program: program, direct: direct)))
            }
        }
        if count > placeholderCountMax {
            diagnostics.append(
                Diagnostic(
                    code: "T002",
                    message: "a text may have at most \(placeholderCountMax) placeholders; found \(count)",
                    position: map.position(line: 0, scalarColumn: 0)))
        }
        guard !diagnostics.contains(where: { $0.level == .error }) else { return (nil, diagnostics, references) }
        return (Template(source: text, references: references, parts: parts), diagnostics, references)
    }

    private init(source: String, references: [Reference], parts: [Part]) {
        self.source = source
        self.references = references
        self.parts = parts
        slots = references.compactMap { reference in
            guard case .slot(let slot, _) = reference.resolution else { return nil }
            return (slot, reference.path.joined(separator: "."))
        }
    }
}

extension Template.DirectColumn {
    /// Recognises `after.x`, `percent(after.x)`, `percent(after.x, 1)` and the same with `number`.
    init?(source: String, references: [Reference]) {
        guard references.count == 1, case .slot(let slot, _) = references[0].resolution else { return nil }
        let path = references[0].path.joined(separator: ".")
        self.slot = slot
        guard source != path else {
            form = .plain
            return
        }
        for name in ["percent", "number"] where source.hasPrefix(name + "(") && source.hasSuffix(")") {
            let arguments = source.dropFirst(name.count + 1).dropLast()
                .split(separator: ",", omittingEmptySubsequences: false).map { String($0).trimmed }
            guard arguments.first == path, arguments.count <= 2 else { return nil }
            var digits: Int?
            if arguments.count == 2 {
                guard let count = Int(arguments[1]), (0...TemplateFunctions.digitsMax).contains(count) else {
                    return nil
                }
                digits = count
            }
            form = name == "percent" ? .percent(digits) : .number(digits)
            return
        }
        return nil
    }
}

extension String {
    var trimmed: String {
        var view = Substring(self)
        while let first = view.first, first.isWhitespace { view.removeFirst() }
        while let last = view.last, last.isWhitespace { view.removeLast() }
        return String(view)
    }
}
