internal import CEL
internal import ChangeEvents
internal import ConfigFiles
internal import Core
internal import Templates

/// Turns a rule as written into a compiled rule; reports everything that is wrong with it.
struct RuleCompiler {
    /// What an expression reads, beside `after`.
    struct Reads {
        var before = false
        var changed = false
        var scalars = false
        var anything = false

        init() {}

        init(_ references: [Reference]) {
            for reference in references {
                anything = true
                switch reference.resolution {
                case .slot(let slot, _):
                    before = before || slot.space == RuleScope.beforeSpace
                    scalars = scalars || slot.space == RuleScope.scalarSpace
                case .dynamic: changed = true
                case .record(let space): before = before || space == RuleScope.beforeSpace
                case .unknownColumn, .none: break
                }
            }
        }

        mutating func formUnion(_ other: Reads) {
            before = before || other.before
            changed = changed || other.changed
            scalars = scalars || other.scalars
            anything = anything || other.anything
        }
    }

    let reader: ConfigReader
    let scope: RuleScope
    let tableIndex: Int
    let options: RuleLoadOptions
    var reads = Reads()
    var textColumns: [Rule.TextColumn] = []
    var hash = RuleHash()
    private var templateKey: [String] = []
    private var textsReadBefore = false

    init(reader: ConfigReader, scope: RuleScope, tableIndex: Int, options: RuleLoadOptions) {
        self.reader = reader
        self.scope = scope
        self.tableIndex = tableIndex
        self.options = options
    }

    /// Compiles a rule; nil where it is not usable. Wrong parts are reported even then.
    mutating func compile(_ draft: RuleDraft, owner: String) -> Rule? {
        let errorCount = reader.errorCount
        let key = keyColumns(draft)
        templateKey = key
        checkContradictions(draft)
        let levels = levels(draft)
        let deadline = draft.deadline.flatMap { self.deadline($0) }
        let until = draft.until.flatMap { condition($0, field: "until") }
        let conditionReads = reads
        let policy = policy(draft, reads: conditionReads)
        let recipient = draft.recipient.flatMap { self.recipient($0) }
        let labels = templates(draft.labels)
        let summary = draft.summary.flatMap { template($0) }
        let facts = templates(draft.facts)
        let links = templates(draft.links)
        for path in options.digestColumns { keep(digestColumn: path) }
        checkReceivers(draft)
        addToHash(draft, key: key)
        guard reader.errorCount == errorCount, let name = draft.name else { return nil }
        return Rule(
            name: name.value, table: scope.declaration.name, tableIndex: tableIndex, owner: draft.owner ?? owner,
            description: draft.description, position: name.position, hash: hash.hex, keyColumns: key,
            keySlots: key.map { scope.slot(for: $0) }, isKeyedByRow: Set(key) == Set(scope.declaration.rowKey),
            policy: policy, onError: draft.onError,
            acceptsLate: draft.late.map { $0 == .accept } ?? scope.declaration.lateAccept, alertsMax: draft.alertsMax,
            levels: levels.reversed(), deadline: deadline, until: until, notify: draft.notify.map(\.value),
            recipient: recipient, labels: labels, summary: summary, facts: facts, links: links,
            textColumns: textColumns, readsBefore: conditionReads.before || conditionReads.changed || textsReadBefore,
            readsChanged: conditionReads.changed, readsScalars: reads.scalars)
    }

    // MARK: - Parts

    private func keyColumns(_ draft: RuleDraft) -> [String] {
        let declaration = scope.declaration
        guard !draft.key.isEmpty else {
            if declaration.rowKey.isEmpty, let name = draft.name {
                reader.report(
                    RuleCode.noKey, "a rule needs a 'key' where its table declares no row key", at: name.node,
                    help: "name the columns that tell the alerts apart: key: [plant, line]")
            }
            return declaration.rowKey
        }
        for column in draft.key where !declaration.columns.isEmpty && !declaration.declares(column.value) {
            let nearest = Spelling.nearest(to: column.value, among: declaration.columns.keys)
            reader.report(
                RuleCode.unknownKeyColumn,
                "'key' must name columns of '\(declaration.name)'; found '\(column.value)'", at: column.node,
                help: nearest.map { "did you mean '\($0)'?" }
                    ?? "the columns are " + declaration.columns.keys.sorted().joined(separator: ", "))
        }
        return draft.key.map(\.value)
    }

    private mutating func levels(_ draft: RuleDraft) -> [Rule.Level] {
        if let levels = draft.levels {
            let compiled = levels.compactMap { level in
                self.level(level.severity, when: level.when, reset: level.reset)
            }
            checkLimits(levels)
            return compiled
        }
        guard draft.when != nil else { return [] }
        let severity = draft.severity ?? .warning
        let level = RuleDraft.Level(
            severity: severity, when: draft.when, reset: draft.reset, position: draft.mapping.position(ofKey: "when"))
        checkLimits([level])
        return [self.level(severity, when: draft.when, reset: draft.reset)].compactMap { $0 }
    }

    private mutating func level(_ severity: Severity, when: ConfigText?, reset: ConfigText?) -> Rule.Level? {
        hash.add("level", severity.description)
        hash.add("when", expression: when?.value)
        hash.add("reset", expression: reset?.value)
        let condition = when.flatMap { self.condition($0, field: "when") }
        let resetCondition = reset.flatMap { self.condition($0, field: "reset") }
        return condition.map { Rule.Level(severity: severity, when: $0, reset: resetCondition) }
    }

    private mutating func condition(_ text: ConfigText, field: String) -> Program? {
        let result = compile(text, expecting: .bool)
        let found = Reads(result.references)
        reads.formUnion(found)
        if result.program != nil, !found.anything {
            reader.report(
                Diagnostic(
                    level: .warning, code: RuleCode.constantCondition,
                    message: "'\(field)' reads no column: it says the same for every row", position: text.position,
                    length: text.length))
        }
        return result.program
    }

    private mutating func deadline(_ text: ConfigText) -> Program? {
        let result = compile(text, expecting: nil)
        reads.formUnion(Reads(result.references))
        guard result.program != nil else { return nil }
        guard [.timestamp, .dyn, .null].contains(result.type) else {
            reader.report(
                RuleCode.badDeadline, "'deadline' must be a timestamp; found \(result.type)", at: text.node,
                help: result.type == .string ? "declare the column as 'timestamp' in tables.yaml" : nil)
            return nil
        }
        return result.program
    }

    private mutating func recipient(_ text: ConfigText) -> Program? {
        let result = compile(text, expecting: nil)
        let found = Reads(result.references)
        guard result.program != nil else { return nil }
        guard [.string, .dyn, .null].contains(result.type) else {
            reader.report(
                RuleCode.badRecipient, "'recipient' must be a text such as an address; found \(result.type)",
                at: text.node)
            return nil
        }
        guard !found.before, !found.changed else {
            reader.report(
                RuleCode.badRecipient, "'recipient' may read only 'after'", at: text.node,
                help: "the recipient is asked for each row that may fire, and not each has a row before it")
            return nil
        }
        reads.scalars = reads.scalars || found.scalars
        return result.program
    }

    private func compile(_ text: ConfigText, expecting type: CELType?) -> CompileResult {
        let environment = scope.environment(isTemplate: false)
        let map = SourceMap(file: text.file, lines: text.lineStarts)
        let result = CEL.compile(text.value, at: map, in: environment, expecting: type)
        if !result.diagnostics.isEmpty {
            let exact = CEL.compile(text.value, at: text.ownMap, in: environment, expecting: type)
            for diagnostic in exact.diagnostics { reader.report(text.placed(diagnostic)) }
        }
        return result
    }

    private mutating func templates(_ entries: [(key: ConfigText, value: ConfigText)]) -> [Rule.NamedTemplate] {
        entries.compactMap { entry in
            template(entry.value).map { Rule.NamedTemplate(name: entry.key.value, template: $0) }
        }
    }

    /// Stores the text of a column with the alerts of this rule, where its table has the column.
    private mutating func keep(digestColumn path: String) {
        guard path.hasPrefix("after.") else { return }
        let name = String(path.dropFirst("after.".count))
        guard scope.declaration.columns.isEmpty || scope.declaration.declares(name) else { return }
        let index = UInt16(truncatingIfNeeded: scope.slot(for: name))
        let column = Rule.TextColumn(path: path, slot: SlotReference(space: RuleScope.afterSpace, index: index))
        if !textColumns.contains(column) { textColumns.append(column) }
    }

    private mutating func template(_ text: ConfigText) -> Template? {
        let environment = scope.environment(isTemplate: true)
        let variables = TemplateVariables(keyColumns: templateKey)
        let map = SourceMap(file: text.file, lines: text.lineStarts)
        let (template, diagnostics, references) = Template.compile(
            text.value, at: map, in: environment, variables: variables)
        if !diagnostics.isEmpty {
            let exact = Template.compile(text.value, at: text.ownMap, in: environment, variables: variables)
            for diagnostic in exact.diagnostics { reader.report(text.placed(diagnostic)) }
        }
        let found = Reads(references)
        reads.scalars = reads.scalars || found.scalars
        textsReadBefore = textsReadBefore || found.before
        for case (let path, .slot(let slot, _)) in references.map({ ($0.path, $0.resolution) }) {
            let column = Rule.TextColumn(path: path.joined(separator: "."), slot: slot)
            if !textColumns.contains(column) { textColumns.append(column) }
        }
        return template
    }
}

extension ConfigText {
    /// Positions within the text itself; ``placed(_:)`` takes them to the file.
    ///
    /// A map by lines is exact only where each line of the text is one of the file; folded and quoted texts are not so.
    fileprivate var ownMap: SourceMap {
        let count = 1 + value.unicodeScalars.count { $0 == "\n" }
        return SourceMap(file: file, lines: (1...count).map { ($0, 1) })
    }

    fileprivate func placed(_ diagnostic: Diagnostic) -> Diagnostic {
        func place(_ place: SourcePosition) -> SourcePosition { position(line: place.line, column: place.column) }
        var placed = diagnostic
        placed.position = place(diagnostic.position)
        placed.notes = diagnostic.notes.map { .init(position: $0.position.map(place), message: $0.message) }
        return placed
    }
}

extension ConfigReader {
    var errorCount: Int { diagnostics.count { $0.level == .error } }
}
