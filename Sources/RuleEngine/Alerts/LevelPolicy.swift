public import Core

/// What a condition says about a row, without the reason.
public enum Verdict: UInt8, Sendable {
    case no = 0
    case yes
    /// The third outcome: a value that the condition used is null, missing, NaN or unknown, or its evaluation failed.
    case unknown
}

/// The verdicts of a rule's levels over one row, by severity; levels that the rule does not declare say `no`.
public struct LevelVerdicts: Sendable, Equatable {
    private var values: (Verdict, Verdict, Verdict, Verdict)

    /// The same verdict for all levels.
    public init(all verdict: Verdict) { values = (verdict, verdict, verdict, verdict) }

    /// The verdict of one level.
    public subscript(severity: Severity) -> Verdict {
        get {
            switch severity {
            case .info: values.0
            case .warning: values.1
            case .error: values.2
            case .critical: values.3
            }
        }
        set {
            switch severity {
            case .info: values.0 = newValue
            case .warning: values.1 = newValue
            case .error: values.2 = newValue
            case .critical: values.3 = newValue
            }
        }
    }

    public static func == (left: LevelVerdicts, right: LevelVerdicts) -> Bool { left.values == right.values }
}

/// The memory and time of a rule, beside its conditions: what ``AlertStateMachine`` goes by. A trivial value.
public struct LevelPolicy: Sendable, Equatable {
    /// What kind of state the rule has.
    public enum Kind: UInt8, Sendable {
        /// Conditions with levels, `for` and `reset`.
        case levels
        /// A due time, `until`, `warn_before`.
        case deadline
        /// One notification per matching event.
        case event
    }

    /// What several rows with one key mean.
    public enum Across: UInt8, Sendable {
        /// The newest row speaks for the key.
        case latest
        /// The alert is open while any row breaches.
        case any
    }

    public var kind: Kind
    public var across: Across
    /// Declared levels: bit *n* for the severity with raw value *n*.
    public var levels: UInt8
    /// How long a level must hold before it is raised, in milliseconds.
    public var forMilliseconds: Int64
    /// How long a delete must stand before it resolves, in milliseconds.
    public var holdMilliseconds: Int64
    /// How long before the due time `warning` is raised, in milliseconds; 0: not at all.
    public var warnMilliseconds: Int64
    /// The severity at the due time.
    public var dueSeverity: Severity
    /// Breaching rows that are remembered (`across: any`).
    public var breachingRowsMax: Int

    /// Breaching rows that are remembered unless told otherwise: an alert then stores about 3 KB for them.
    public static let breachingRowsMaxDefault = 256

    /// A policy of levels with no `for`.
    public init(kind: Kind, levels: [Severity]) {
        self.kind = kind
        across = .latest
        self.levels = levels.reduce(0) { $0 | 1 << $1.rawValue }
        forMilliseconds = 0
        holdMilliseconds = 60_000
        warnMilliseconds = 0
        dueSeverity = .error
        breachingRowsMax = LevelPolicy.breachingRowsMaxDefault
    }

    /// Whether the rule declares a level.
    public func declares(_ severity: Severity) -> Bool { levels & (1 << severity.rawValue) != 0 }
}

/// What a row says about a due time.
public enum DueTime: Sendable, Equatable {
    case at(Timestamp)
    /// The column is null: there is no due time.
    case none
    /// The source did not say, or the expression failed.
    case unknown
}
