internal import ConfigFiles
internal import Core

/// A route as written.
struct RouteDraft {
    var expression: MatchExpression?
    /// Whether it has `match` or `matchers`, also where they are wrong.
    var hasExpression: Bool
    var receivers: [String]
    var hasReceivers: Bool
    var continues: Bool
    var settings: GroupSettingsDraft
    var children: [RouteDraft]
    var name: ConfigText?
    var position: SourcePosition
    /// Where the expression stands, for lint.
    var expressionPosition: SourcePosition

    init(_ mapping: MappingReader, names: RouteNames) {
        name = mapping.text("name", "A name for this route, in paths and lists.")
        expression = MatchExpression.read(in: mapping)
        hasExpression = mapping.has("match") || mapping.has("matchers")
        let texts = mapping.texts("receiver", "Whom its alerts are told to: a receiver or several; inherited.")
        receivers = names.receivers(texts, reader: mapping.reader)
        hasReceivers = mapping.has("receiver")
        continues = mapping.bool("continue", "Whether routes after this one are looked at too.", default: false)
        settings = GroupSettingsDraft(mapping, names: names)
        children = mapping.mappings(
            "routes", "Routes within this one; the first that matches is taken.", definition: "route"
        ) {
            RouteDraft($0, names: names)
        }
        position = mapping.node?.position ?? SourcePosition(file: "", line: 1, column: 1)
        expressionPosition =
            mapping.has("match")
            ? mapping.position(of: "match") : mapping.has("matchers") ? mapping.position(of: "matchers") : position
    }
}

extension RouteTree {
    /// Most routes that are read.
    static let countMax = 5_000

    /// Reads the keys `routes` and `route_defaults` of the configuration.
    ///
    /// - Returns: the tree; its root takes every alert and tells `defaultReceiver`.
    static func read(in mapping: MappingReader, names: RouteNames, defaultReceiver: String) -> RouteTree {
        let defaults =
            mapping.mapping("route_defaults", "Settings that routes inherit.") {
                GroupSettingsDraft($0, names: names).applied(to: .standard)
            } ?? .standard
        let drafts = mapping.mappings(
            "routes", "Who is told of which alerts; the first that matches is taken, else default_receiver.",
            definition: "route"
        ) { RouteDraft($0, names: names) }
        var root = Node(
            expression: nil, receivers: [defaultReceiver], settings: defaults, continues: false, children: [],
            position: nil, name: "default_receiver")
        if mapping.has("default_receiver") { root.position = mapping.position(ofKey: "default_receiver") }
        root.children = nodes(drafts, parent: root)
        if !mapping.isDescribing {
            var lint = RouteLint(reader: mapping.reader)
            lint.check(drafts)
            if lint.count > countMax {
                mapping.report(RoutingCode.tooMany, "there are at most \(countMax) routes", atKey: "routes")
            }
        }
        return RouteTree(root: root)
    }

    private static func nodes(_ drafts: [RouteDraft], parent: Node) -> [Node] {
        drafts.map { draft in
            var node = Node(
                // A wrong expression is reported; until it is right it matches nothing.
                expression: draft.expression ?? (draft.hasExpression ? .nothing : nil),
                receivers: draft.hasReceivers ? draft.receivers : parent.receivers,
                settings: draft.settings.applied(to: parent.settings), continues: draft.continues, children: [],
                position: draft.position, name: draft.name?.value)
            node.children = nodes(draft.children, parent: node)
            return node
        }
    }

    /// How many routes there are below the root.
    public var count: Int {
        func count(_ node: Node) -> Int { node.children.reduce(node.children.count) { $0 + count($1) } }
        return count(root)
    }

    /// All receivers that the tree tells of something, escalations included.
    public var receivers: Set<String> {
        var found: Set<String> = []
        func visit(_ node: Node) {
            found.formUnion(node.receivers)
            for escalation in node.settings.escalations { found.formUnion(escalation.notify) }
            for child in node.children { visit(child) }
        }
        visit(root)
        return found
    }

    /// The columns of rows that digests show, such as `after.on_hand`, sorted: rules keep them with their alerts.
    public var digestColumns: [String] {
        var found: Set<String> = []
        func visit(_ node: Node) {
            if let digest = node.settings.digest {
                let sources = digest.columns.map(\.source) + digest.sort.map(\.source)
                found.formUnion(sources.filter { $0.hasPrefix("after.") })
            }
            for child in node.children { visit(child) }
        }
        visit(root)
        return found.sorted()
    }
}

extension MatchExpression {
    /// No alert: a label that every alert has, without text.
    static let nothing = MatchExpression.labels([LabelMatcher("alertname", equals: "")])
}
