public import Alerting
internal import Core
internal import RuleEngine

/// The receivers of a configuration and which of them stand in where nobody is named.
public struct ReceiverDirectory: Sendable {
    public var profiles: [String: ReceiverProfile]
    /// Told where a rule names nobody.
    public var defaultReceiver: String
    /// Told about the router itself.
    public var operatorReceiver: String

    /// Routes, mute times, silences of files, inhibition.
    public var policy: RoutingPolicy
    /// What messages say of the page; nil where people do not reach it.
    public var links: MessageLinks?

    /// Gathers receivers; everything that no rule sends elsewhere goes to the default receiver.
    public init(profiles: [ReceiverProfile], defaultReceiver: String, operatorReceiver: String) {
        self.profiles = Dictionary(profiles.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.defaultReceiver = defaultReceiver
        self.operatorReceiver = operatorReceiver
        policy = .single(receiver: defaultReceiver)
    }
}

/// What announcing needs to know of each rule.
struct RuleDirectory: Sendable {
    struct Entry: Sendable {
        var name: String
        var notify: [String]
        /// The rule says who is told, by data.
        var hasRecipient: Bool
        /// The rule judges the built-in table of facts about the router itself.
        var isAboutRouter: Bool
        var texts: MessageTexts

        init(
            name: String, notify: [String], hasRecipient: Bool, isAboutRouter: Bool, texts: MessageTexts
        ) {
            self.name = name
            self.notify = notify
            self.hasRecipient = hasRecipient
            self.isAboutRouter = isAboutRouter
            self.texts = texts
        }

        /// Stands for the rule of an alert when that rule is not there any more.
        init(gone alert: Alert) {
            self.init(
                name: alert.rule, notify: [], hasRecipient: alert.recipient != nil,
                isAboutRouter: alert.table == HealthTable.name,
                texts: MessageTexts(description: nil, summary: nil, facts: [], links: []))
        }
    }

    private var entries: [String: Entry] = [:]

    init(rules: RuleSet) {
        for rule in rules.rules {
            entries[rule.name] = Entry(
                name: rule.name, notify: rule.notify, hasRecipient: rule.recipient != nil,
                isAboutRouter: rule.table == HealthTable.name,
                texts: MessageTexts(
                    description: rule.description, summary: rule.summary,
                    facts: rule.facts.map { .init(name: $0.name, text: $0.template) },
                    links: rule.links.map { .init(name: $0.name, text: $0.template) }))
        }
    }

    func rule(_ name: String) -> Entry? { entries[name] }

    /// What the engine needs to know of each rule.
    var profiles: [String: RuleProfile] {
        entries.mapValues {
            RuleProfile(notify: $0.notify, hasRecipient: $0.hasRecipient, isAboutRouter: $0.isAboutRouter)
        }
    }
}
