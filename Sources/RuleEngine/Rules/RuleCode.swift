/// The codes of this module's diagnostics; docs/diagnostics.md explains each.
enum RuleCode {
    static let noTable = "R001"
    static let unknownTable = "R002"
    static let duplicateName = "R003"
    static let badName = "R004"
    static let unknownKeyColumn = "R005"
    static let noKey = "R006"
    static let noCondition = "R007"
    /// A field that another field excludes or that has no meaning without another.
    static let contradiction = "R008"
    /// `kind: event` with something that needs a state.
    static let eventWithState = "R009"
    /// A rule that reads `before` or `changed` and has no state.
    static let transitionWithState = "R010"
    /// A level that can never be told from another.
    static let unreachableLevel = "R011"
    /// A reset that holds while its level holds.
    static let resetOverlapsWhen = "R012"
    static let badDeadline = "R013"
    static let badRecipient = "R014"
    static let notYetSupported = "R015"
    static let unknownReceiver = "R016"
    static let tooMany = "R017"
    static let noTables = "R018"
    /// A condition that says the same for every row.
    static let constantCondition = "R019"
}
