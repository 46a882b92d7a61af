public import Core

/// The tree of routes: who is told of an alert, and how.
///
/// Every alert enters at the root. It goes into the first child that matches it, and into further ones while those
/// before say `continue`; where no child matches, the node itself decides. Settings are inherited when the tree is
/// loaded.
public struct RouteTree: Sendable {
    /// One route.
    public struct Node: Sendable {
        /// Nil at the root, which takes every alert.
        public var expression: MatchExpression?
        /// Resolved: its own, or those of its parent.
        public var receivers: [String]
        public var settings: GroupSettings
        public var continues: Bool
        public var children: [Node]
        /// Where it stands; nil for a tree that no file describes.
        public var position: SourcePosition?
        /// The route's name, where it has one.
        public var name: String?

        /// Describes a route; see ``RouteTree``.
        public init(
            expression: MatchExpression?, receivers: [String], settings: GroupSettings, continues: Bool,
            children: [Node], position: SourcePosition?, name: String?
        ) {
            self.expression = expression
            self.receivers = receivers
            self.settings = settings
            self.continues = continues
            self.children = children
            self.position = position
            self.name = name
        }

        /// The step as a path shows it: `alert-router.yaml:31: team="quality"`.
        public var step: String {
            let text = name ?? expression?.description ?? "all alerts"
            return position.map { "\($0.file):\($0.line): \(text)" } ?? text
        }
    }

    /// The built-in table of facts about the router itself.
    public static let operatorTable = "router_health"

    public var root: Node
    /// Told of alerts about the router itself, whatever the routes say; nil: they are routed as others.
    public var operatorReceiver: String?

    /// Makes a tree of resolved nodes.
    public init(root: Node) { self.root = root }

    /// The tree where no routes are configured: everything goes to one receiver, every rule is a group.
    public static func single(receiver: String) -> RouteTree {
        RouteTree(
            root: Node(
                expression: nil, receivers: [receiver], settings: .standard, continues: false, children: [],
                position: nil, name: "default_receiver"))
    }

    /// Who is told of an alert, through which path; each receiver once, by the first path that leads to it.
    ///
    /// - Parameter notify: the receivers that the alert's rule names; they override the tree, with the root's settings.
    public func matches(_ subject: AlertSubject, notify: [String]) -> [RouteMatch] {
        if subject.table == RouteTree.operatorTable, let operatorReceiver {
            return aboutRouter(notify: notify, operatorReceiver: operatorReceiver)
        }
        guard notify.isEmpty else {
            let path = ["rule \(subject.rule): notify"]
            return RouteTree.once(
                notify.map { RouteMatch(receiver: $0, path: path, settings: root.settings) })
        }
        var found: [RouteMatch] = []
        RouteTree.collect(root, subject, path: [root.step], into: &found)
        return RouteTree.once(found)
    }

    /// Who is told of an alert about the router itself: at once, and again as often as the root's settings say.
    ///
    /// - Parameter notify: the receivers that the alert's rule names; they come before the operator.
    public func aboutRouter(notify: [String], operatorReceiver: String) -> [RouteMatch] {
        var settings = GroupSettings.immediate
        settings.repeatInterval = root.settings.repeatInterval
        let receivers = notify.isEmpty ? [operatorReceiver] : notify
        return RouteTree.once(receivers.map { RouteMatch(receiver: $0, path: ["operator"], settings: settings) })
    }

    private static func collect(
        _ node: Node, _ subject: AlertSubject, path: [String], into found: inout [RouteMatch]
    ) {
        var wasTaken = false
        for child in node.children where child.expression?.matches(subject) ?? true {
            wasTaken = true
            collect(child, subject, path: path + [child.step], into: &found)
            if !child.continues { break }
        }
        guard !wasTaken else { return }
        found += node.receivers.map { RouteMatch(receiver: $0, path: path, settings: node.settings) }
    }

    private static func once(_ matches: [RouteMatch]) -> [RouteMatch] {
        var seen: Set<String> = []
        return matches.filter { seen.insert($0.receiver).inserted }
    }
}

/// One receiver that is told of an alert.
public struct RouteMatch: Sendable, Equatable {
    public var receiver: String
    /// The steps from the root, such as `alert-router.yaml:31: team="quality"`.
    public var path: [String]
    public var settings: GroupSettings

    /// States who is told through which path.
    public init(receiver: String, path: [String], settings: GroupSettings) {
        self.receiver = receiver
        self.path = path
        self.settings = settings
    }
}
