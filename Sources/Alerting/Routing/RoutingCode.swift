/// The codes of this module's diagnostics; docs/routing.md explains each.
enum RoutingCode {
    /// A receiver that is not configured.
    static let unknownReceiver = "N001"
    /// A text that is no matcher.
    static let matcher = "N002"
    /// `match` and `matchers` together, or none where one is needed.
    static let expression = "N003"
    /// A route that no alert reaches.
    static let unreachable = "N004"
    /// A receiver that nothing names.
    static let unusedReceiver = "N005"
    /// A matcher that always holds where it stands, or never.
    static let shadowed = "N006"
    /// A mute time that is not declared.
    static let unknownMuteTime = "N007"
    /// A name that is used twice or is no name.
    static let name = "N008"
    /// A silence of a file that cannot be one.
    static let silence = "N009"
    /// Settings of a group, a digest or an escalation that contradict each other.
    static let settings = "N010"
    /// More routes, rules, windows or silences than are read.
    static let tooMany = "N011"
}
