internal import Core
internal import Yams

/// Turns a text into positioned nodes through Yams, within bounds, and its errors into diagnostics.
struct Composer {
    private let source: ConfigSource
    private(set) var diagnostics: [Diagnostic] = []
    private var nodeCount = 0
    private var isOverBudget = false

    /// Aliases (`*name`) in one file; above it the expansion is not tried.
    private static let aliasCountMax = 1000
    /// Aliases where mappings have collections as keys: Yams hashes such keys with all they hold, at worst some
    /// e^(30/e) = 60,000 nodes.
    private static let aliasCountMaxWithComplexKeys = 30

    init(source: ConfigSource) { self.source = source }

    mutating func compose() -> ConfigNode? {
        guard source.text.utf8.count <= ConfigFile.byteCountMax else {
            report(
                ConfigCode.tooLarge, "a configuration file may have at most \(ConfigFile.byteCountMax) bytes", 1, 1)
            return nil
        }
        guard checkScalars(), checkAliases() else { return nil }
        do {
            guard let node = try Yams.compose(yaml: source.text, .basic, .default, .utf8) else { return nil }
            let root = convert(node, depth: 0)
            return isOverBudget ? nil : root
        } catch let error as YamlError {
            report(error)
        } catch {
            report(ConfigCode.syntax, "the text is no YAML", 1, 1)
        }
        return nil
    }

    private mutating func report(
        _ code: String, _ message: String, _ line: Int, _ column: Int, length: Int = 1, help: String? = nil,
        notes: [Diagnostic.Note] = []
    ) {
        diagnostics.append(
            Diagnostic(
                code: code, message: message, position: source.position(line: line, column: column), length: length,
                help: help, notes: notes))
    }

    // MARK: - Checks before parsing

    /// Characters that YAML does not allow, and line separators that only some tools take for line breaks.
    private mutating func checkScalars() -> Bool {
        var line = 1
        var column = 1
        for scalar in source.text.unicodeScalars {
            switch scalar.value {
            case 0x0A:
                line += 1
                column = 0
            case 0x09, 0x20...0x7E, 0xA0...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD,
                0x10000...0x10FFFF:
                break
            default:
                let name = "U+" + String(scalar.value, radix: 16, uppercase: true).leftPadded(4)
                report(
                    ConfigCode.syntax, "YAML does not allow the character \(name) here", line, column,
                    help: "write it as an escape inside double quotes")
                return false
            }
            column += 1
        }
        return true
    }

    private mutating func checkAliases() -> Bool {
        var aliasCount = 0
        var hasComplexKeys = false
        /// The two scalars before, so that the `}}:` of a template is no key.
        var beforeLast: Unicode.Scalar = "\n"
        var previous: Unicode.Scalar = "\n"
        var isAtLineStart = true
        /// Whether the word being read, or the last one, begins with `*`.
        var isStarWord = false
        for scalar in source.text.unicodeScalars {
            let isBlank = scalar == " " || scalar == "\n" || scalar == "\t"
            let beginsWord = " \n\t[{,:-?".unicodeScalars.contains(previous)
            if previous == "*", isStarWord, !isBlank, scalar != "*" { aliasCount += 1 }
            if scalar == ":" {
                let endsCollection = previous == "]" || (previous == "}" && beforeLast != "}")
                if endsCollection || (isStarWord && previous == " ") { hasComplexKeys = true }
            } else if previous == "?", isAtLineStart, isBlank {
                hasComplexKeys = true
            }
            if !isBlank, beginsWord, scalar != ":" { isStarWord = scalar == "*" }
            if scalar == "\n" {
                isAtLineStart = true
            } else if !isBlank, scalar != "?", scalar != "-" {
                isAtLineStart = false
            }
            beforeLast = previous
            previous = scalar
        }
        let limit = hasComplexKeys ? Composer.aliasCountMaxWithComplexKeys : Composer.aliasCountMax
        guard aliasCount > limit else { return true }
        report(
            ConfigCode.tooLarge,
            "a file may use at most \(limit) aliases" + (hasComplexKeys ? " where keys are not plain texts" : "")
                + "; found \(aliasCount)", 1, 1)
        return false
    }

    // MARK: - Conversion

    private mutating func convert(_ node: Node, depth: Int) -> ConfigNode {
        let line = node.mark?.line ?? 1
        let column = node.mark?.column ?? 1
        nodeCount += 1
        let empty = ConfigNode(
            source: source, line: line, column: column, content: .scalar(ConfigScalar(text: "", style: .plain)))
        guard !isOverBudget else { return empty }
        guard depth <= ConfigFile.depthMax else {
            isOverBudget = true
            report(ConfigCode.tooLarge, "a file may nest at most \(ConfigFile.depthMax) levels", line, column)
            return empty
        }
        guard nodeCount <= ConfigFile.nodeCountMax else {
            isOverBudget = true
            report(
                ConfigCode.tooLarge,
                "a file may have at most \(ConfigFile.nodeCountMax) values with its aliases expanded", line, column)
            return empty
        }
        let content: ConfigNode.Content
        switch node {
        case .scalar(let scalar): content = .scalar(convert(scalar, line: line, column: column))
        case .sequence(let sequence):
            checkTag(sequence.tag, line: line, column: column)
            content = .sequence(sequence.map { convert($0, depth: depth + 1) })
        case .mapping(let mapping):
            checkTag(mapping.tag, line: line, column: column)
            content = .mapping(convert(mapping, depth: depth))
        case .alias: return empty
        }
        return ConfigNode(source: source, line: line, column: column, content: content)
    }

    private mutating func convert(_ scalar: Node.Scalar, line: Int, column: Int) -> ConfigScalar {
        let style: ConfigScalar.Style =
            switch scalar.style {
            case .singleQuoted: .singleQuoted
            case .doubleQuoted: .doubleQuoted
            case .literal: .literal
            case .folded: .folded
            case .any, .plain: .plain
            }
        // `!!str 5` is a text, as if it were quoted.
        if style == .plain, scalar.tag.rawValue == Tag.Name.str.rawValue {
            return ConfigScalar(text: scalar.string, style: style, kind: .string)
        }
        checkTag(scalar.tag, line: line, column: column)
        return ConfigScalar(text: scalar.string, style: style)
    }

    private mutating func checkTag(_ tag: Tag, line: Int, column: Int) {
        let name = tag.rawValue
        guard !name.isEmpty, !name.hasPrefix("tag:yaml.org,2002:") || name.hasSuffix(":binary") else { return }
        report(
            ConfigCode.unsupported, "a value may not have a tag; found '\(name)'", line, column, length: name.count,
            help: "put the text in quotes: a text that begins with '!' is taken for a tag")
    }

    private mutating func convert(_ mapping: Node.Mapping, depth: Int) -> [ConfigEntry] {
        var entries: [ConfigEntry] = []
        var merged: [ConfigEntry] = []
        var seen: [String: ConfigNode] = [:]
        for (key, value) in mapping {
            let keyNode = convert(key, depth: depth + 1)
            guard !isOverBudget else { return entries }
            guard let scalar = keyNode.scalar else {
                reportComplexKey(keyNode)
                continue
            }
            let valueNode = convert(value, depth: depth + 1)
            guard !isOverBudget else { return entries }
            if scalar.text == "<<", scalar.style == .plain {
                for entry in mergeEntries(valueNode) where !merged.contains(where: { $0.key == entry.key }) {
                    merged.append(entry)
                }
                continue
            }
            if let first = seen[scalar.text] {
                reportDuplicate(scalar.text, at: keyNode, first: first)
                continue
            }
            seen[scalar.text] = keyNode
            entries.append(ConfigEntry(key: scalar.text, keyNode: keyNode, value: valueNode))
        }
        return entries + merged.filter { seen[$0.key] == nil }
    }

    private mutating func reportComplexKey(_ key: ConfigNode) {
        let line = source.line(key.line)
        let isTemplate = line.dropFirst(max(0, key.column - 2)).starts(with: "{{".unicodeScalars)
        report(
            ConfigCode.unsupported, "a key must be a text; found a collection", key.line, key.column,
            help: isTemplate ? "put the text in quotes: one that begins with '{{' is taken for a mapping" : nil)
    }

    private mutating func mergeEntries(_ node: ConfigNode) -> [ConfigEntry] {
        if let entries = node.entries { return entries }
        if let elements = node.elements, elements.allSatisfy({ $0.entries != nil }) {
            return elements.flatMap { $0.entries ?? [] }
        }
        report(ConfigCode.wrongType, "'<<' must name a mapping or a list of mappings", node.line, node.column)
        return []
    }

    private mutating func reportDuplicate(_ key: String, at node: ConfigNode, first: ConfigNode) {
        report(
            ConfigCode.duplicateKey, "a key may occur once in a mapping; found '\(key)' again", node.line, node.column,
            length: node.length, notes: [.init(position: first.position, message: "'\(key)' is first given here")])
    }
}

extension ConfigScalar {
    init(text: String, style: Style, kind: Kind) {
        self.text = text
        self.style = style
        self.kind = kind
    }
}

extension String {
    func leftPadded(_ width: Int) -> String { String(repeating: "0", count: max(0, width - count)) + self }
}

// MARK: - Errors of the YAML parser

extension Composer {
    private mutating func report(_ error: YamlError) {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            reportSyntax(problem, context: context, mark: mark)
        case .reader(let problem, _, _, _): report(ConfigCode.syntax, "the text is no YAML: \(problem)", 1, 1)
        case .duplicatedKeysInMapping(let names, let context): reportDuplicates(names, first: context.mark)
        case .memory: report(ConfigCode.tooLarge, "the file needs more memory than there is", 1, 1)
        case .no, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            report(ConfigCode.syntax, "the text is no YAML", 1, 1)
        }
    }

    private mutating func reportSyntax(_ problem: String, context: YamlError.Context?, mark: Mark) {
        // Yams places a second document, and errors after the end, beyond the text at times.
        let line = min(max(mark.line, 1), source.lineCount)
        let scalars = source.line(line)
        let found = mark.column >= 1 && mark.column <= scalars.count ? scalars[mark.column - 1] : nil
        var notes: [Diagnostic.Note] = []
        if let context, context.mark.line >= 1, context.mark.line != line {
            notes = [
                .init(
                    position: source.position(line: context.mark.line, column: max(1, context.mark.column)),
                    message: context.text.trimmed)
            ]
        }
        if problem.hasPrefix("Maximum nesting level") {
            report(
                ConfigCode.tooLarge, "a file may nest at most \(ConfigFile.depthMax) levels", line, mark.column)
            return
        }
        if problem == "but found another document" {
            report(ConfigCode.syntax, "a file holds one document; found another", line, max(1, mark.column))
            return
        }
        report(
            ConfigCode.syntax, "the text is no YAML: \(problem)", line, max(1, mark.column),
            help: Composer.help(problem: problem, found: found, line: scalars, source: source, mark: mark),
            notes: notes)
    }

    private static func help(
        problem: String, found: Unicode.Scalar?, line: [Unicode.Scalar], source: ConfigSource, mark: Mark
    ) -> String? {
        let text = String(String.UnicodeScalarView(line))
        if found == "\t" || text.hasPrefix("\t") || problem.contains("tab") { return "indent with blanks, not tabs" }
        if let found, "@`%".unicodeScalars.contains(found), problem.contains("cannot start any token") {
            return "put the text in quotes: one that begins with '\(found)' is reserved"
        }
        if problem.contains("mapping values are not allowed") {
            return "put the text in quotes, or write it as a block after '|': it holds ': '"
        }
        if problem.contains("undefined alias") {
            return "put the text in quotes: one that begins with '*' is taken for an alias"
        }
        if problem.contains("did not find expected key") || problem.contains("expected <block end>") {
            let before = source.line(mark.line).prefix(max(0, mark.column - 1))
            if before.contains("\"") || before.contains("'") {
                return "a text that begins with a quote ends at the next one; write it as a block after '|'"
            }
            return "check the indentation of this line and of the one above it"
        }
        return nil
    }

    /// Yams stops at the first mapping with keys given twice and tells where one of them stands first; the second place
    /// is looked up in the text.
    private mutating func reportDuplicates(_ names: [String], first: Mark) {
        for name in names {
            let places = keyPlaces(of: name, near: first)
            guard let second = places.dropFirst().first else {
                report(
                    ConfigCode.duplicateKey, "a key may occur once in a mapping; found '\(name)' again", first.line,
                    max(1, first.column), length: name.unicodeScalars.count)
                continue
            }
            let note = Diagnostic.Note(
                position: source.position(line: places[0].line, column: places[0].column),
                message: "'\(name)' is first given here")
            report(
                ConfigCode.duplicateKey, "a key may occur once in a mapping; found '\(name)' again", second.line,
                second.column, length: name.unicodeScalars.count, notes: [note])
        }
    }

    /// Lines of the same block that begin with the key, in the column of the first.
    private func keyPlaces(of name: String, near first: Mark) -> [(line: Int, column: Int)] {
        let column = max(1, first.column)
        var places: [(line: Int, column: Int)] = []
        let key = Array(name.unicodeScalars)
        func hasKey(_ number: Int) -> Bool {
            var rest = source.line(number).dropFirst(column - 1)
            if let quote = rest.first, quote == "'" || quote == "\"" { rest = rest.dropFirst() }
            guard rest.starts(with: key) else { return false }
            rest = rest.dropFirst(key.count)
            if let quote = rest.first, quote == "'" || quote == "\"" { rest = rest.dropFirst() }
            return rest.first { $0 != " " } == ":"
        }
        if let start = (1...max(1, first.line)).reversed().first(where: { hasKey($0) }) {
            places.append((start, column))
        }
        var number = first.line + 1
        while number <= source.lineCount, places.count < 2 {
            let line = source.line(number)
            let indent = line.prefix { $0 == " " }.count
            if indent < line.count, line[indent] != "#", indent < column - 1 { break }
            if indent == column - 1, hasKey(number) { places.append((number, column)) }
            number += 1
        }
        return places
    }
}

extension String {
    fileprivate var trimmed: String {
        var view = Substring(self)
        while let last = view.last, last.isWhitespace { view.removeLast() }
        return String(view)
    }
}
