internal import CEL
public import ConfigFiles
internal import Core

extension MatchExpression {
    /// Reads the keys `match` (a CEL expression) and `matchers` (a text or list of texts) of a mapping.
    ///
    /// - Returns: nil where neither is there, or what is there is wrong, which is reported.
    public static func read(in mapping: MappingReader) -> MatchExpression? {
        let text = mapping.expression(
            "match", "Which alerts: a CEL expression over severity, labels, rule, table, key, owner.")
        let texts = mapping.texts("matchers", "Which alerts: matchers that must all hold, such as team=\"quality\".")
        guard !mapping.isDescribing else { return nil }
        guard !(mapping.has("match") && mapping.has("matchers")) else {
            mapping.report(
                RoutingCode.expression, "'matchers' may not stand beside 'match'", atKey: "matchers",
                help: "keep one of them; in CEL a matcher team=\"x\" is labels.team == \"x\"")
            return nil
        }
        if let text { return condition(text, reader: mapping.reader).map { .cel($0) } }
        return texts.isEmpty ? nil : matchers(texts, reader: mapping.reader).map { .labels($0) }
    }

    /// As ``read(in:)``, but one of the keys must be there.
    public static func readRequired(in mapping: MappingReader) -> MatchExpression? {
        let expression = read(in: mapping)
        if !mapping.isDescribing, !mapping.has("match"), !mapping.has("matchers") {
            mapping.report(
                RoutingCode.expression, "'match' or 'matchers' is required here", at: nil,
                help: "match: 'true' means every alert")
        }
        return expression
    }

    private static func condition(_ text: ConfigText, reader: ConfigReader) -> CompiledCondition? {
        let map = SourceMap(file: text.file, segments: text.segments)
        let (condition, diagnostics) = CompiledCondition.compile(text.value, at: map)
        for diagnostic in diagnostics { reader.report(diagnostic) }
        return condition
    }

    private static func matchers(_ texts: [ConfigText], reader: ConfigReader) -> [LabelMatcher]? {
        var matchers: [LabelMatcher] = []
        var isRight = true
        for text in texts {
            do throws(MatcherSyntaxProblem) {
                matchers += try LabelMatcher.parse(text.value)
            } catch {
                isRight = false
                reader.report(
                    Diagnostic(
                        code: RoutingCode.matcher, message: error.message,
                        position: text.position(line: 1, column: error.column), length: error.length,
                        help: error.help))
            }
        }
        return isRight ? matchers : nil
    }
}
