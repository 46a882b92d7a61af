internal import ConfigFiles
internal import Core

extension InhibitionRules {
    /// Most rules that are read.
    static let countMax = 1_000

    /// Reads the key `inhibit` of the configuration.
    static func read(in mapping: MappingReader) -> InhibitionRules {
        var names: [String: SourcePosition] = [:]
        let rules = mapping.mappings("inhibit", "While some alerts fire, others are not told.") { rule in
            InhibitionRule(rule, names: &names)
        }
        if rules.count > countMax {
            mapping.report(RoutingCode.tooMany, "there are at most \(countMax) rules of inhibition", atKey: "inhibit")
        }
        return InhibitionRules(rules: rules.compactMap { $0 })
    }
}

extension InhibitionRule {
    /// Nil where it is wrong, which is reported.
    fileprivate init?(_ mapping: MappingReader, names: inout [String: SourcePosition]) {
        let name = RoutingName.read(in: mapping, "The rule's name, as explanations show it.", known: &names)
        let source = mapping.requiredMapping("source", "The alerts that inhibit.") {
            MatchExpression.readRequired(in: $0)
        }
        let target = mapping.requiredMapping("target", "The alerts that are not told.") {
            MatchExpression.readRequired(in: $0)
        }
        let equal = mapping.strings("equal", "Labels whose values are equal at both.")
        guard let name, let source = source ?? nil, let target = target ?? nil else { return nil }
        self.init(name: name, source: source, target: target, equal: equal, position: mapping.node?.position)
    }
}

/// Names of what is declared in lists.
enum RoutingName {
    /// Reads a required key `name`; nil where it is missing, no name, or used before, which is reported.
    static func read(
        in mapping: MappingReader, _ about: String, known: inout [String: SourcePosition]
    ) -> String? {
        guard let name = mapping.requiredText("name", about) else { return nil }
        return check(name, reader: mapping.reader, known: &known)
    }

    /// Checks a name.
    static func check(_ name: ConfigText, reader: ConfigReader, known: inout [String: SourcePosition]) -> String? {
        guard name.value.utf8.count <= 128, !name.value.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
            reader.report(RoutingCode.name, "a name has at most 128 bytes, on one line", at: name.node)
            return nil
        }
        if let first = known[name.value] {
            reader.report(
                Diagnostic(
                    code: RoutingCode.name, message: "a name must be unique here; found '\(name.value)' again",
                    position: name.position, length: name.length, help: "rename one of them",
                    notes: [.init(position: first, message: "'\(name.value)' is first used here")]))
            return nil
        }
        known[name.value] = name.position
        return name.value
    }
}
