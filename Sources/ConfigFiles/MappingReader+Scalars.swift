public import Core

// MARK: - Texts

extension MappingReader {
    /// A text.
    public func string(_ key: String, _ about: String) -> String? {
        value(key, about, .string).flatMap { text(key, $0)?.value }
    }

    /// A text, or the default.
    public func string(_ key: String, _ about: String, default fallback: String) -> String {
        value(key, about, .string, defaultValue: .string(fallback)).flatMap { text(key, $0)?.value } ?? fallback
    }

    /// A text that must be there; an empty one is reported too.
    public func requiredString(_ key: String, _ about: String) -> String { requiredText(key, about)?.value ?? "" }

    /// A text with its place.
    public func text(_ key: String, _ about: String) -> ConfigText? {
        value(key, about, .string).flatMap { text(key, $0) }
    }

    /// A text with its place that must be there; an empty one is reported too.
    public func requiredText(_ key: String, _ about: String) -> ConfigText? {
        guard let node = value(key, about, .string, isRequired: true), let text = text(key, node) else { return nil }
        guard !text.value.isEmpty else {
            outOfRange(key, "a text that is not empty", node)
            return nil
        }
        return text
    }

    /// An expression: a text, or a plain number or boolean, which are expressions too.
    public func expression(_ key: String, _ about: String) -> ConfigText? {
        value(key, about, .expression).flatMap { expression(key, $0) }
    }

    /// An expression that must be there.
    public func requiredExpression(_ key: String, _ about: String) -> ConfigText? {
        value(key, about, .expression, isRequired: true).flatMap { expression(key, $0) }
    }

    /// A text with `{{ }}` placeholders; references to secrets mean nothing in it and are not looked for.
    public func template(_ key: String, _ about: String) -> ConfigText? {
        value(key, about, .template).flatMap { text(key, $0, takesReferences: true) }
    }

    func expression(_ key: String, _ node: ConfigNode) -> ConfigText? {
        guard let scalar = node.scalar, scalar.kind != .null, let text = node.text else {
            wrongType(key, "an expression such as 'after.quantity > 10'", node, help: node.typeHelp)
            return nil
        }
        return text
    }

    /// A text, with the traps of YAML named.
    func text(_ key: String, _ node: ConfigNode, takesReferences: Bool = false) -> ConfigText? {
        guard let scalar = node.scalar, let text = node.text else {
            wrongType(key, "a text", node, help: node.typeHelp)
            return nil
        }
        let quoted = "write \"\(scalar.text)\" in quotes"
        switch scalar.kind {
        case .string: break
        case .null: return reportText(key, node, help: quoted)
        case .bool: return reportText(key, node, " (a boolean)", help: quoted)
        case .integer: return reportText(key, node, " (a number)", help: quoted)
        case .float: return reportText(key, node, " (a number)", help: quoted)
        case .ambiguousBool(let value):
            return reportText(key, node, ", which YAML readers may take for \(value)", help: quoted)
        case .ambiguousNumber:
            return reportText(key, node, ", which YAML readers may take for another number", help: quoted)
        }
        if !takesReferences, scalar.text.contains("${env:") || scalar.text.contains("${file:") {
            reader.report(ConfigCode.secret, "'\(key)' takes no references to secrets", at: node)
        }
        return text
    }

    private func reportText(_ key: String, _ node: ConfigNode, _ why: String = "", help: String) -> ConfigText? {
        reader.report(
            ConfigCode.wrongType, "'\(key)' must be a text; found \(node.foundText)\(why)", at: node, help: help)
        return nil
    }
}

// MARK: - Booleans and numbers

extension MappingReader {
    /// `true` or `false`.
    public func bool(_ key: String, _ about: String) -> Bool? {
        value(key, about, .boolean).flatMap { bool(key, $0) }
    }

    /// `true` or `false`, or the default.
    public func bool(_ key: String, _ about: String, default fallback: Bool) -> Bool {
        value(key, about, .boolean, defaultValue: .bool(fallback)).flatMap { bool(key, $0) } ?? fallback
    }

    private func bool(_ key: String, _ node: ConfigNode) -> Bool? {
        switch node.scalar?.kind {
        case .bool(let value): return value
        case .ambiguousBool(let value): wrongType(key, "true or false", node, help: "write \(value)")
        case .string where node.scalar?.text == "true" || node.scalar?.text == "false":
            wrongType(key, "true or false", node, help: "remove the quotes")
        default: wrongType(key, "true or false", node)
        }
        return nil
    }

    /// A whole number within a range.
    public func int(_ key: String, _ about: String, in range: ClosedRange<Int>) -> Int? {
        value(key, about, .integer(range)).flatMap { int(key, $0, range) }
    }

    /// A whole number within a range, or the default.
    public func int(_ key: String, _ about: String, in range: ClosedRange<Int>, default fallback: Int) -> Int {
        value(key, about, .integer(range), defaultValue: .integer(fallback)).flatMap { int(key, $0, range) } ?? fallback
    }

    /// A whole number within a range that must be there.
    public func requiredInt(_ key: String, _ about: String, in range: ClosedRange<Int>) -> Int {
        value(key, about, .integer(range), isRequired: true).flatMap { int(key, $0, range) } ?? range.lowerBound
    }

    private func int(_ key: String, _ node: ConfigNode, _ range: ClosedRange<Int>) -> Int? {
        let expected = "a whole number" + MappingReader.rangeText(range)
        guard let scalar = node.scalar, scalar.kind == .integer else {
            wrongType(key, expected, node, help: MappingReader.numberHelp(node.scalar))
            return nil
        }
        guard let number = Int(scalar.text), range.contains(number) else {
            outOfRange(key, expected, node)
            return nil
        }
        return number
    }

    private static func rangeText(_ range: ClosedRange<Int>) -> String {
        switch (range.lowerBound == .min, range.upperBound == .max) {
        case (true, true): ""
        case (false, true): " of at least \(range.lowerBound)"
        case (true, false): " of at most \(range.upperBound)"
        case (false, false): " from \(range.lowerBound) to \(range.upperBound)"
        }
    }

    private static func numberHelp(_ scalar: ConfigScalar?) -> String? {
        guard let scalar else { return nil }
        switch scalar.kind {
        case .string:
            return ConfigScalar(text: scalar.text, style: .plain).kind == .integer ? "remove the quotes" : nil
        case .ambiguousNumber:
            if scalar.text.contains("_") {
                return "write \(scalar.text.filter { $0 != "_" })"
            }
            let digits = scalar.text.drop { $0 == "0" }
            return digits.allSatisfy(\.isNumber) && !digits.isEmpty
                ? "write \(digits): YAML readers may take '\(scalar.text)' for an octal number"
                : "write it in decimal digits"
        case .float:
            guard let canonical = DecimalText.canonical(scalar.text), Int(canonical) != nil else { return nil }
            return "write \(canonical)"
        case .null, .bool, .integer, .ambiguousBool: return nil
        }
    }

    /// A number within a range.
    public func number(_ key: String, _ about: String, in range: ClosedRange<Double>) -> Double? {
        value(key, about, .number(range)).flatMap { number(key, $0, range) }
    }

    /// A number within a range, or the default.
    public func number(_ key: String, _ about: String, in range: ClosedRange<Double>, default fallback: Double)
        -> Double
    {
        value(key, about, .number(range), defaultValue: .double(fallback)).flatMap { number(key, $0, range) }
            ?? fallback
    }

    private func number(_ key: String, _ node: ConfigNode, _ range: ClosedRange<Double>) -> Double? {
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let scalar = node.scalar, scalar.kind == .integer || scalar.kind == .float,
            let number = Double(scalar.text)
        else {
            wrongType(key, expected, node, help: MappingReader.numberHelp(node.scalar))
            return nil
        }
        guard range.contains(number) else {
            outOfRange(key, expected, node)
            return nil
        }
        return number
    }
}

// MARK: - Durations, sizes, choices

extension MappingReader {
    /// A duration such as `5m`.
    public func duration(_ key: String, _ about: String) -> Duration? {
        value(key, about, .duration).flatMap { duration(key, $0) }
    }

    /// A duration such as `5m`, or the default.
    public func duration(_ key: String, _ about: String, default fallback: Duration) -> Duration {
        value(key, about, .duration, defaultValue: .string(DurationText.format(fallback)))
            .flatMap { duration(key, $0) } ?? fallback
    }

    /// A duration within a range, or the default.
    public func duration(
        _ key: String, _ about: String, in range: ClosedRange<Duration>, default fallback: Duration
    ) -> Duration {
        let node = value(key, about, .duration, defaultValue: .string(DurationText.format(fallback)))
        guard let node, let duration = duration(key, node) else { return fallback }
        guard range.contains(duration) else {
            let lower = DurationText.format(range.lowerBound)
            outOfRange(key, "a duration from \(lower) to \(DurationText.format(range.upperBound))", node)
            return fallback
        }
        return duration
    }

    /// A duration such as `5m` that must be there.
    public func requiredDuration(_ key: String, _ about: String) -> Duration {
        value(key, about, .duration, isRequired: true).flatMap { duration(key, $0) } ?? .zero
    }

    private func duration(_ key: String, _ node: ConfigNode) -> Duration? {
        if let scalar = node.scalar, let duration = DurationText.parse(scalar.text) { return duration }
        wrongType(
            key, "a duration such as '5m'", node, help: "units are ms, s, m, h, d, w; several may follow each other")
        return nil
    }

    /// A count of bytes such as `16MiB`, or the default.
    public func byteCount(_ key: String, _ about: String, default fallback: Int) -> Int {
        guard let node = value(key, about, .byteCount, defaultValue: .integer(fallback)) else { return fallback }
        if let text = node.scalar?.text {
            let digits = text.prefix { $0.isASCII && $0.isNumber }
            let units = ["": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
            if let number = Int(digits), let factor = units[String(text.dropFirst(digits.count))] {
                let (product, overflow) = number.multipliedReportingOverflow(by: factor)
                if !overflow { return product }
            }
        }
        wrongType(key, "a size such as '16MiB'", node, help: "units are B, KiB, MiB, GiB")
        return fallback
    }

    /// One of the cases of an enumeration, by its raw value.
    public func choice<Choice>(_ key: String, _ about: String, of type: Choice.Type) -> Choice?
    where Choice: CaseIterable & RawRepresentable, Choice.RawValue == String {
        choice(key, about, among: Choice.allCases.map { ($0.rawValue, $0) }, defaultName: nil)
    }

    /// One of the cases of an enumeration, by its raw value, or the default.
    public func choice<Choice>(_ key: String, _ about: String, default fallback: Choice) -> Choice
    where Choice: CaseIterable & RawRepresentable, Choice.RawValue == String {
        choice(key, about, among: Choice.allCases.map { ($0.rawValue, $0) }, defaultName: fallback.rawValue) ?? fallback
    }

    /// One of the values given, by its name.
    ///
    /// - Parameter defaultName: what the schema names as default; the caller applies it.
    public func choice<Choice>(
        _ key: String, _ about: String, among choices: [(name: String, value: Choice)], defaultName: String?
    ) -> Choice? {
        let schema = SchemaNode.choice(choices.map(\.name))
        guard let node = value(key, about, schema, defaultValue: defaultName.map { .string($0) }) else { return nil }
        return choice(key, node, among: choices)
    }

    /// One of the values given, by its name; must be there.
    public func requiredChoice<Choice>(
        _ key: String, _ about: String, among choices: [(name: String, value: Choice)]
    ) -> Choice? {
        value(key, about, .choice(choices.map(\.name)), isRequired: true).flatMap { choice(key, $0, among: choices) }
    }

    /// A severity by its name.
    public func severity(_ key: String, _ about: String) -> Severity? {
        choice(key, about, among: Severity.allCases.map { ($0.description, $0) }, defaultName: nil)
    }

    private func choice<Choice>(
        _ key: String, _ node: ConfigNode, among choices: [(name: String, value: Choice)]
    ) -> Choice? {
        if let text = node.scalar?.text, let match = choices.first(where: { $0.name == text }) { return match.value }
        let names = choices.map(\.name)
        let nearest = node.scalar.flatMap { Spelling.nearest(to: $0.text, among: names) }
        let list = names.map { "'\($0)'" }.joined(separator: ", ")
        outOfRange(key, "one of \(list)", node, help: nearest.map { "did you mean '\($0)'?" })
        return nil
    }
}
