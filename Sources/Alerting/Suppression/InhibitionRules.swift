public import Core

/// While an alert of one kind fires, nobody is told of alerts of another kind with equal labels.
public struct InhibitionRule: Sendable {
    public var name: String
    /// The alerts that inhibit.
    public var source: MatchExpression
    /// The alerts that are inhibited.
    public var target: MatchExpression
    /// Labels whose values must be equal at both; a label that both lack is equal.
    public var equal: [String]
    public var position: SourcePosition?

    /// States a rule.
    public init(
        name: String, source: MatchExpression, target: MatchExpression, equal: [String], position: SourcePosition?
    ) {
        self.name = name
        self.source = source
        self.target = target
        self.equal = equal
        self.position = position
    }
}

/// An alert that inhibits another, by a rule.
public struct Inhibitor: Sendable, Hashable {
    public var rule: String
    public var source: Fingerprint

    /// States what inhibits.
    public init(rule: String, source: Fingerprint) {
        self.rule = rule
        self.source = source
    }
}

/// All inhibition rules. What they say depends on the set of firing alerts alone, never on their order.
public struct InhibitionRules: Sendable {
    public var rules: [InhibitionRule]

    /// Makes the rules.
    public init(rules: [InhibitionRule]) { self.rules = rules }

    /// No rules.
    public static let none = InhibitionRules(rules: [])

    /// What inhibits an alert, among all that fire; for one question. For many ask an ``InhibitionIndex``.
    public func inhibitors(of subject: AlertSubject, among firing: some Sequence<AlertSubject>) -> [Inhibitor] {
        guard !rules.isEmpty else { return [] }
        var index = InhibitionIndex(rules: self)
        for source in firing { index.insert(source) }
        return index.inhibitors(of: subject)
    }
}

/// The firing alerts that may inhibit others, by rule and equal labels; kept up to date alert by alert.
///
/// An alert never inhibits itself. Where an alert is both a source and a target of a rule, sources that are also
/// targets of it do not inhibit it, so that two such alerts never silence each other. A suppressed alert still
/// inhibits.
public struct InhibitionIndex: Sendable {
    private struct Key: Hashable {
        var rule: Int
        var values: [String]
    }

    /// A source, and whether it is a target of the rule too.
    private struct Source {
        var fingerprint: Fingerprint
        var isTarget: Bool
    }

    public let rules: InhibitionRules
    private var sources: [Key: [Source]] = [:]
    /// Where each source stands, so that it can be taken out however its labels have changed.
    private var places: [Fingerprint: [Key]] = [:]

    /// Starts with no alert.
    public init(rules: InhibitionRules) { self.rules = rules }

    /// Adds a firing alert, or takes its new labels and severity.
    public mutating func insert(_ subject: AlertSubject) {
        guard !rules.rules.isEmpty else { return }
        remove(subject.fingerprint)
        var keys: [Key] = []
        for (number, rule) in rules.rules.enumerated() where rule.source.matches(subject) {
            let key = Key(rule: number, values: rule.equal.map { subject.label($0) })
            let isTarget = rule.target.matches(subject)
            sources[key, default: []].append(Source(fingerprint: subject.fingerprint, isTarget: isTarget))
            keys.append(key)
        }
        if !keys.isEmpty { places[subject.fingerprint] = keys }
    }

    /// Takes out an alert that no longer fires.
    public mutating func remove(_ fingerprint: Fingerprint) {
        for key in places.removeValue(forKey: fingerprint) ?? [] {
            sources[key]?.removeAll { $0.fingerprint == fingerprint }
            if sources[key]?.isEmpty == true { sources[key] = nil }
        }
    }

    /// What inhibits an alert; by rule one source, the one with the smallest fingerprint.
    public func inhibitors(of subject: AlertSubject) -> [Inhibitor] {
        guard !places.isEmpty else { return [] }
        var found: [Inhibitor] = []
        for (number, rule) in rules.rules.enumerated() {
            let key = Key(rule: number, values: rule.equal.map { subject.label($0) })
            guard let candidates = sources[key], rule.target.matches(subject) else { continue }
            let isSource = rule.source.matches(subject)
            let source = candidates.lazy
                .filter { $0.fingerprint != subject.fingerprint && !(isSource && $0.isTarget) }
                .map(\.fingerprint).min()
            if let source { found.append(Inhibitor(rule: rule.name, source: source)) }
        }
        return found
    }
}
