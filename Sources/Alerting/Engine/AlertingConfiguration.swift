internal import Core

/// What the engine needs to know of a rule.
public struct RuleProfile: Sendable, Equatable {
    /// The receivers the rule names; empty: the routes decide.
    public var notify: [String]
    /// The rule says who is told, by data.
    public var hasRecipient: Bool
    /// The rule judges facts about the router itself.
    public var isAboutRouter: Bool

    /// Describes a rule.
    public init(notify: [String], hasRecipient: Bool, isAboutRouter: Bool) {
        self.notify = notify
        self.hasRecipient = hasRecipient
        self.isAboutRouter = isAboutRouter
    }
}

/// What is configured of alerting: replaced at a reload.
public struct AlertingConfiguration: Sendable {
    public var policy: RoutingPolicy
    public var profiles: [String: ReceiverProfile]
    /// Told about the router itself.
    public var operatorReceiver: String
    public var rules: [String: RuleProfile]

    /// Gathers what is configured.
    public init(
        policy: RoutingPolicy, profiles: [String: ReceiverProfile], operatorReceiver: String,
        rules: [String: RuleProfile]
    ) {
        self.policy = policy
        self.profiles = profiles
        self.operatorReceiver = operatorReceiver
        self.rules = rules
    }
}
