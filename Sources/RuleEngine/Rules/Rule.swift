public import CEL
public import Core
public import Templates

/// A rule as loaded: compiled, checked against its table, immutable.
public struct Rule: Sendable {
    /// What a row does whose conditions have the third outcome. It is counted and reported in every case.
    public enum OnError: String, Sendable, CaseIterable {
        /// It changes no state.
        case report
        /// The condition counts as false.
        case `false`
        /// The condition counts as true.
        case fire
    }

    /// A level with its conditions.
    public struct Level: Sendable {
        public var severity: Severity
        public var when: Program
        /// The hysteresis of the level; nil: it ends when `when` is false.
        public var reset: Program?
    }

    /// A named template.
    public struct NamedTemplate: Sendable {
        public var name: String
        public var template: Template
    }

    /// A column whose text is stored with the alert, for templates.
    public struct TextColumn: Sendable, Equatable {
        /// As templates name it: `after.batch`, `op`.
        public var path: String
        public var slot: SlotReference
    }

    public var name: String
    public var table: String
    /// Index into ``TableCatalog/tables``.
    public var tableIndex: Int
    public var owner: String
    public var description: String?
    /// Where the rule stands in its file.
    public var position: SourcePosition
    /// Changes when anything changes that decides what the rule does with rows and time; texts do not count.
    public var hash: String
    public var keyColumns: [String]
    /// Slots of the key columns in the layout of the table.
    public var keySlots: [Int]
    /// Whether the key is the row key: then one row speaks for the alert.
    public var isKeyedByRow: Bool
    public var policy: LevelPolicy
    public var onError: OnError
    /// Rows older than the newest version of their row key are judged too.
    public var acceptsLate: Bool
    /// Most open alerts; above it new keys are only counted and one overflow alert fires.
    public var alertsMax: Int
    /// Highest severity first.
    public var levels: [Level]
    public var deadline: Program?
    public var until: Program?
    /// Receivers, in order; empty: the routes decide.
    public var notify: [String]
    public var recipient: Program?
    public var labels: [NamedTemplate]
    public var summary: Template?
    public var facts: [NamedTemplate]
    public var links: [NamedTemplate]
    public var textColumns: [TextColumn]
    /// Whether a condition or a text reads `before`, or a condition `changed`: then a postimage waits for its preimage.
    public var readsBefore: Bool
    public var readsChanged: Bool
    /// Whether it reads `op`, `table`, `version` or `ts`.
    public var readsScalars: Bool

    /// Open alerts a rule may have unless it says otherwise.
    public static let alertsMaxDefault = 10_000

    /// Whether an open alert of a rule of this name, as stored, goes on under this rule; else it is resolved.
    public func takesOver(_ alert: Alert) -> Bool {
        if OverflowAlert.isOverflow(alert) { return true }
        return table == alert.table && keyColumns == alert.keyColumns && policy.kind != .event
            && (!isKeyedByRow || alert.newestRow != nil)
    }

    /// The highest severity the rule can raise.
    public var severityMax: Severity {
        policy.kind == .deadline ? policy.dueSeverity : levels.map(\.severity).max() ?? .warning
    }
}

/// The one alert that tells of a rule with too many open alerts.
public enum OverflowAlert {
    /// The key column of overflow alerts.
    public static let keyColumn = "overflow"
    static let keyText = "alerts_max"
    static let fired = "alerts_max is reached: new keys are only counted"
    static let resolved = "there is room for new keys again"

    /// Whether an alert is the overflow alert of its rule; it has no columns of a row.
    public static func isOverflow(_ alert: Alert) -> Bool {
        alert.keyColumns == [keyColumn] && alert.keyTexts == [keyText]
    }
}
