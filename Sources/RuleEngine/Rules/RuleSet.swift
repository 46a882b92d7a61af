public import ChangeEvents
public import ConfigFiles
public import Core

/// What the loader knows beside the rule files.
public struct RuleLoadOptions: Sendable {
    /// The receivers that `notify` may name; nil: they are not checked.
    public var receivers: [String]?
    /// Most rules that are loaded.
    public var rulesMax: Int
    /// Columns such as `after.on_hand` that every rule whose table has them keeps with its alerts, for digests.
    public var digestColumns: [String]

    /// Makes options.
    public init(receivers: [String]?, rulesMax: Int) {
        self.receivers = receivers
        self.rulesMax = rulesMax
        digestColumns = []
    }

    /// Receivers unchecked, at most 10,000 rules.
    public static let standard = RuleLoadOptions(receivers: nil, rulesMax: 10_000)
}

/// All rules of a folder, compiled and checked against the declared tables. Immutable.
public struct RuleSet: Sendable {
    /// The tables with the columns that rules read.
    public var catalog: TableCatalog
    /// Sorted by name.
    public var rules: [Rule]

    /// The rule of a name.
    public func rule(named name: String) -> Rule? { rules.first { $0.name == name } }

    /// Loads every `*.yaml` directly in a folder: `tables.yaml` declares the tables, the others hold rules.
    ///
    /// - Returns: the rules, or nil where anything is an error; all diagnostics, by file, line and column.
    public static func load(
        directory path: String, options: RuleLoadOptions
    ) -> (rules: RuleSet?, diagnostics: [Diagnostic]) {
        let (files, diagnostics) = ConfigFile.loadDirectory(path: path)
        let (rules, found) = load(files: files, options: options)
        let all = (diagnostics + found).sorted { $0.position < $1.position }
        return (all.contains { $0.level == .error } ? nil : rules, all)
    }

    /// Loads rule files; the one named `tables.yaml` declares the tables.
    ///
    /// - Returns: the rules, or nil where anything is an error; all diagnostics, by file, line and column.
    public static func load(
        files: [ConfigFile], options: RuleLoadOptions
    ) -> (rules: RuleSet?, diagnostics: [Diagnostic]) {
        var loader = RuleLoader(options: options)
        return loader.load(files)
    }

    /// The JSON Schema of rule files.
    public static var schema: ConfigSchema {
        ConfigSchema.describing(title: "AlertRouter rules") { RuleFileDraft($0) }
    }
}

/// Loads the files of a rule set.
struct RuleLoader {
    private let options: RuleLoadOptions
    private let reader = ConfigReader()
    private var scopes: [RuleScope] = []
    private var places: [String: SourcePosition] = [:]
    private var rules: [Rule] = []

    init(options: RuleLoadOptions) { self.options = options }

    mutating func load(_ files: [ConfigFile]) -> (rules: RuleSet?, diagnostics: [Diagnostic]) {
        let isTables = { (file: ConfigFile) in file.file.split(separator: "/").last == "tables.yaml" }
        var hasTables = false
        for file in files where isTables(file) {
            hasTables = true
            loadTables(file)
        }
        let ruleFiles = files.filter { !isTables($0) }
        if !hasTables, let first = ruleFiles.first {
            reader.report(
                Diagnostic(
                    code: RuleCode.noTables,
                    message: "the tables must be declared in a file 'tables.yaml' beside the rules",
                    position: SourcePosition(file: first.file, line: 1, column: 1)))
        }
        for file in ruleFiles { loadRules(file, tablesKnown: hasTables) }
        guard !reader.hasErrors else { return (nil, reader.sortedDiagnostics) }
        rules.sort { $0.name < $1.name }
        return (RuleSet(catalog: catalog(), rules: rules), reader.sortedDiagnostics)
    }

    private mutating func loadTables(_ file: ConfigFile) {
        let tables = reader.mapping(of: file, TableDeclarations.init)
        for declaration in tables?.tables ?? [] { scopes.append(RuleScope(declaration: declaration)) }
    }

    private func catalog() -> TableCatalog {
        let tables = scopes.indices.map { index in
            TableCatalog.Table(
                declaration: scopes[index].declaration, layout: scopes[index].layout,
                readsBefore: rules.contains { $0.tableIndex == index && $0.readsBefore })
        }
        return TableCatalog(tables: tables)
    }

    private mutating func loadRules(_ file: ConfigFile, tablesKnown: Bool) {
        guard let draft = reader.mapping(of: file, RuleFileDraft.init) else { return }
        for rule in draft.rules {
            checkName(rule)
            guard let table = rule.table ?? draft.table else {
                if let name = rule.name {
                    reader.report(
                        RuleCode.noTable, "a rule needs a 'table', its own or the file's", at: name.node,
                        help: "add table: at the top of the file")
                }
                continue
            }
            guard let index = scopes.firstIndex(where: { $0.declaration.name == table.value }) else {
                if tablesKnown, !scopes.isEmpty { reportUnknown(table) }
                continue
            }
            var compiler = RuleCompiler(reader: reader, scope: scopes[index], tableIndex: index, options: options)
            guard let compiled = compiler.compile(rule, owner: draft.owner ?? "") else { continue }
            checkLayout(scopes[index], rule)
            rules.append(compiled)
        }
    }

    private func reportUnknown(_ table: ConfigText) {
        let names = scopes.map(\.declaration.name)
        let nearest = Spelling.nearest(to: table.value, among: names)
        reader.report(
            RuleCode.unknownTable, "'table' must name a table of tables.yaml; found '\(table.value)'", at: table.node,
            help: nearest.map { "did you mean '\($0)'?" } ?? "the tables are " + names.sorted().joined(separator: ", "))
    }

    private mutating func checkName(_ rule: RuleDraft) {
        guard let name = rule.name else { return }
        if let first = places[name.value] {
            reader.report(
                Diagnostic(
                    code: RuleCode.duplicateName, message: "a rule's name must be unique; found '\(name.value)' again",
                    position: name.position, length: name.length, help: "rename one of them",
                    notes: [.init(position: first, message: "'\(name.value)' is first used here")]))
        } else {
            places[name.value] = name.position
        }
        let isWellFormed =
            name.value.utf8.count <= 128
            && name.value.unicodeScalars.allSatisfy {
                $0 == "-" || $0 == "_" || $0 == "." || $0.properties.isAlphabetic || ("0"..."9").contains($0)
            }
        if !isWellFormed {
            reader.report(
                RuleCode.badName,
                "a rule's name has letters, digits, '-', '_' and '.' only, at most 128 bytes; "
                    + "found \(name.node.foundText)",
                at: name.node)
        }
        if places.count == options.rulesMax + 1 {
            reader.report(RuleCode.tooMany, "at most \(options.rulesMax) rules are loaded", at: name.node)
        }
    }

    private func checkLayout(_ scope: RuleScope, _ rule: RuleDraft) {
        guard scope.layout.isFull, let name = rule.name else { return }
        reader.report(
            RuleCode.tooMany,
            "the rules of '\(scope.declaration.name)' read more than \(ColumnLayout.columnsMax - 1) columns",
            at: name.node)
    }
}
