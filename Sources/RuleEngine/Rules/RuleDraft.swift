internal import ConfigFiles
internal import Core

/// One rule as written, before it is compiled: what ``MappingReader`` decodes, and what JSON Schema describes.
struct RuleDraft {
    /// A severity of the mapping form.
    struct Level {
        var severity: Severity
        var when: ConfigText?
        var reset: ConfigText?
        var position: SourcePosition
    }

    /// How a rule is meant.
    enum Kind: String, CaseIterable { case alert, event }

    var mapping: MappingReader
    var name: ConfigText?
    var description: String?
    var table: ConfigText?
    var owner: String?
    var key: [ConfigText]
    var kind: Kind?
    var when: ConfigText?
    var reset: ConfigText?
    /// The severity of the short form.
    var severity: Severity?
    var levels: [Level]?
    var `for`: Duration?
    var deadline: ConfigText?
    var until: ConfigText?
    var warnBefore: Duration?
    var across: Across?
    var late: Late?
    var hold: Duration?
    var onError: Rule.OnError
    var alertsMax: Int
    var notify: [ConfigText]
    var recipient: ConfigText?
    var labels: [(key: ConfigText, value: ConfigText)]
    var summary: ConfigText?
    var facts: [(key: ConfigText, value: ConfigText)]
    var links: [(key: ConfigText, value: ConfigText)]

    enum Across: String, CaseIterable { case latest, any }
    enum Late: String, CaseIterable { case drop, accept }

    /// Constructs that rule files will have, so that an author is not told that they are misspelt.
    static let later = [
        "windows", "variables", "absent_for", "forget_after", "keep_firing_for", "calendar", "n_of_m", "flapping",
        "mode",
    ]

    init(_ mapping: MappingReader) {
        self.mapping = mapping
        name = mapping.requiredText("name", "The rule's identity: alerts are remembered under it.")
        description = mapping.string("description", "What the alert means, in a sentence for those who get it.")
        table = mapping.text("table", "The table whose rows are judged; default: the file's `table`.")
        owner = mapping.string("owner", "Who answers for the rule; default: the file's `owner`.")
        key = mapping.texts("key", "The columns that tell the rule's alerts apart; default: the table's row key.")
        kind = mapping.choice(
            "kind", "`event`: one notification per matching event and no resolution; default `alert`.", of: Kind.self)
        when = mapping.expression("when", "The condition, in CEL, over `before`, `after`, `changed`, `op`, `ts`.")
        reset = mapping.expression("reset", "The alert stays open until this holds; default: until `when` is false.")
        (severity, levels) = RuleDraft.severity(mapping)
        `for` = mapping.duration("for", "How long the condition must hold before the alert fires.")
        deadline = mapping.expression("deadline", "The due time: the alert fires when it passes, with no event needed.")
        until = mapping.expression("until", "Ends the wait for the deadline and resolves the alert.")
        warnBefore = mapping.duration("warn_before", "How long before the deadline `warning` is raised.")
        across = mapping.choice(
            "across", "Several rows, one key: the newest row speaks (`latest`), or any that breaches.", of: Across.self)
        late = mapping.choice(
            "late", "What is done with a row older than the newest version of its row key; default: as the table says.",
            of: Late.self)
        hold = mapping.duration("hold", "How long a delete must stand before it resolves; default: as the table says.")
        onError = mapping.choice(
            "on_error", "What a null or missing value or an error in a condition does.", default: Rule.OnError.report)
        alertsMax = mapping.int(
            "alerts_max", "Most open alerts; above it new keys are only counted and one overflow alert fires.",
            in: 1...1_000_000, default: Rule.alertsMaxDefault)
        notify = mapping.texts("notify", "The receivers; default: the routes decide.")
        recipient = mapping.expression("recipient", "Who is told, by data: an expression that gives an address.")
        labels = mapping.templateMap("labels", "Names and values for routes and silences.")
        summary = mapping.template("summary", "The title of messages.")
        facts = mapping.templateMap("facts", "Names and values shown below the title.")
        links = mapping.templateMap("links", "Names and addresses of links.")
        for key in RuleDraft.later where mapping.has(key) {
            _ = mapping.node(key, "Not available yet.", schema: .anything)
            mapping.report(
                RuleCode.notYetSupported, "'\(key)' is not available in this version", atKey: key,
                help: "remove it, or keep the rule in a file outside the rules folder until it is")
        }
    }

    private static func severity(_ mapping: MappingReader) -> (Severity?, [Level]?) {
        let names = Severity.allCases.map(\.description)
        let described = ConfigSchema.describing(title: "severity") { levels($0) }
        let node = mapping.node(
            "severity", "One severity for `when`, or levels with a `when` and `reset` each; default `warning`.",
            schema: .anyOf([.choice(names), described.root]))
        guard let node else { return (nil, nil) }
        if node.scalar != nil { return (mapping.severity("severity", ""), nil) }
        return (nil, mapping.reader.mapping(node, what: "'severity'", levels) ?? [])
    }

    private static func levels(_ mapping: MappingReader) -> [Level] {
        Severity.allCases.compactMap { severity in
            mapping.mapping(severity.description, "The level `\(severity)`.") { level in
                Level(
                    severity: severity,
                    when: level.requiredExpression("when", "The condition of the level."),
                    reset: level.expression(
                        "reset", "The level stays until this holds; default: until `when` is false."),
                    position: mapping.position(ofKey: severity.description))
            }
        }
    }
}

/// One rule file as written.
struct RuleFileDraft {
    var table: ConfigText?
    var owner: String?
    var rules: [RuleDraft]

    init(_ mapping: MappingReader) {
        table = mapping.text("table", "The table of the rules that name none.")
        owner = mapping.string("owner", "Who answers for the rules that name no owner.")
        rules = mapping.mappings("rules", "The rules.", definition: nil, RuleDraft.init)
    }
}
