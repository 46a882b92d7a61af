public import Core

/// What routes, silences, maintenance windows and inhibition see of an alert.
///
/// Its label set is computed once, when the subject is made, so that matching against many silences costs no more than
/// look-ups.
public struct AlertSubject: Sendable, Hashable {
    /// The rule of alerts that were pushed through the API.
    public static let pushedRule = "pushed"

    public let fingerprint: Fingerprint
    public let rule: String
    public let table: String
    public let owner: String
    public let severity: Severity
    /// The labels that the rule gave; for a pushed alert those it came with.
    public let labels: [String: String]
    public let keyColumns: [String]
    /// Original texts of the key columns; nil for null.
    public let keyTexts: [String?]
    /// Who is told, from the row.
    public let recipient: String?
    /// Labels, key columns, `alertname`, `severity`, `table` and `owner`: what matchers, `group_by` and the API see.
    ///
    /// A rule's own label wins over a key column of that name; `alertname` is the rule unless a label says otherwise;
    /// `severity`, `table` and `owner` are always the router's. A pushed alert keeps all labels it came with. A label
    /// without text is the same as none and is left out.
    public let labelSet: [String: String]

    /// Takes what is matched from an alert.
    public init(_ alert: Alert) {
        self.init(
            fingerprint: alert.fingerprint, rule: alert.rule, table: alert.table, owner: alert.owner,
            severity: alert.severity, labels: alert.labels, keyColumns: alert.keyColumns, keyTexts: alert.keyTexts,
            recipient: alert.recipient)
    }

    /// Describes an alert that need not exist, as `routes test` does.
    public init(
        rule: String, table: String, owner: String, severity: Severity, labels: [String: String],
        keyColumns: [String], keyTexts: [String?], recipient: String?
    ) {
        self.init(
            fingerprint: Fingerprint(rule: rule, keyColumns: keyColumns, keyTexts: keyTexts), rule: rule,
            table: table, owner: owner, severity: severity, labels: labels, keyColumns: keyColumns,
            keyTexts: keyTexts, recipient: recipient)
    }

    private init(
        fingerprint: Fingerprint, rule: String, table: String, owner: String, severity: Severity,
        labels: [String: String], keyColumns: [String], keyTexts: [String?], recipient: String?
    ) {
        self.fingerprint = fingerprint
        self.rule = rule
        self.table = table
        self.owner = owner
        self.severity = severity
        self.labels = labels
        self.keyColumns = keyColumns
        self.keyTexts = keyTexts
        self.recipient = recipient
        var set: [String: String] = [:]
        set.reserveCapacity(labels.count + keyColumns.count + 4)
        for (column, text) in zip(keyColumns, keyTexts) { set[column] = text }
        for (name, value) in labels { set[name] = value }
        if set["alertname"]?.isEmpty ?? true { set["alertname"] = rule }
        let own = [("severity", severity.description), ("table", table), ("owner", owner)]
        for (name, value) in own where rule != AlertSubject.pushedRule || set[name] == nil { set[name] = value }
        for (name, value) in set where value.isEmpty { set[name] = nil }
        labelSet = set
    }

    /// The text of a key column; the empty text for null and for a column that is not in the key.
    public func keyText(_ column: String) -> String {
        guard let index = keyColumns.firstIndex(of: column), index < keyTexts.count else { return "" }
        return keyTexts[index] ?? ""
    }

    /// The value of a label; the empty text for one that is not there.
    public func label(_ name: String) -> String { labelSet[name] ?? "" }
}
