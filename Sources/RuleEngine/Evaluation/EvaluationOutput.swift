public import Core

/// Evaluations of one rule that came to the same error: kept in the evaluation log.
public struct EvaluationReport: Sendable, Equatable {
    public var rule: String
    public var table: String
    /// Which field of the rule: `when`, `reset`, `until`, `deadline`, `recipient`, a label.
    public var field: String
    /// Why, lower case, without values of the row.
    public var reason: String
    /// Where in the rule file, if known.
    public var position: SourcePosition?
    /// How many rows since the last output.
    public var count: Int
    /// The key of one of the rows.
    public var sampleRowKey: String
    public var sampleCause: EventPosition
    /// Commit time of the first of the rows.
    public var at: Timestamp
}

/// Exact numbers of what was evaluated, by rule.
public struct RuleCounters: Sendable, Equatable {
    /// Rows judged.
    public var judged = 0
    /// Rows with the third outcome.
    public var errors = 0
    /// Errors that `||` and `&&` absorbed.
    public var absorbed = 0
    /// Rows that were not the newest of their key (`across: latest`).
    public var outOfOrder = 0
    /// New keys above `alerts_max`: counted, nothing else.
    public var overflowed = 0
    /// Rows whose key columns are not known, such as a tombstone without the row.
    public var keyUnknown = 0
    /// Rows of a rule that reads `before` where there is none (an insert).
    public var withoutBefore = 0

    /// Starts at nothing.
    public init() {}
}

/// What evaluation came to: transitions in order, alerts to be stored, alerts to be removed, errors.
public struct EvaluationOutput: Sendable {
    /// Reports that one output holds; further rules' errors are only counted.
    public static let reportsMax = 500

    public var transitions: [Transition] = []
    public var errors: [EvaluationReport] = []
    /// Reports that did not fit.
    public var reportsDropped = 0
    private var states: [Alert?] = []
    private var fingerprints: [Fingerprint] = []
    private var places: [Fingerprint: Int] = [:]

    /// Starts empty.
    public init() {}

    /// Alerts to be stored, each once, as they are after everything in this output.
    public var changed: [Alert] { states.compactMap { $0 } }

    /// Alerts to be removed from the store: they never fired and are no longer pending.
    public var removed: [Fingerprint] {
        states.indices.compactMap { states[$0] == nil ? fingerprints[$0] : nil }
    }

    /// Whether there is nothing to store.
    public var isEmpty: Bool { transitions.isEmpty && errors.isEmpty && states.isEmpty }

    mutating func set(_ alert: Alert?, of fingerprint: Fingerprint) {
        if let place = places[fingerprint] {
            states[place] = alert
        } else {
            places[fingerprint] = states.count
            fingerprints.append(fingerprint)
            states.append(alert)
        }
    }
}
