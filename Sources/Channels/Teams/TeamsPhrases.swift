internal import Alerting
internal import Core

/// The words around what the rules say, in the receiver's language; English where there is none.
struct TeamsPhrases {
    var severities: [String]
    var resolved: String
    var event: String
    var key: String
    var rule: String
    var owner: String
    var overdue: String
    var lastValueUnknown: String
    var templateProblem: String
    var was: String
    var stillOpen: String
    private let isGerman: Bool

    static func of(locale: String) -> TeamsPhrases {
        locale.lowercased().hasPrefix("de") ? german : english
    }

    static let english = TeamsPhrases(
        severities: ["INFO", "WARNING", "ERROR", "CRITICAL"], resolved: "RESOLVED", event: "EVENT", key: "Key",
        rule: "Rule", owner: "Owner", overdue: "already overdue when first seen",
        lastValueUnknown: "the last value was unknown", templateProblem: "the rule's text could not be rendered",
        was: "was", stillOpen: "still open", isGerman: false)

    static let german = TeamsPhrases(
        severities: ["INFORMATION", "WARNUNG", "FEHLER", "KRITISCH"], resolved: "BEHOBEN", event: "EREIGNIS",
        key: "Schlüssel", rule: "Regel", owner: "Zuständig", overdue: "beim ersten Sehen schon überfällig",
        lastValueUnknown: "der letzte Wert war unbekannt",
        templateProblem: "der Text der Regel konnte nicht erstellt werden", was: "vorher", stillOpen: "weiterhin offen",
        isGerman: true)

    func name(of severity: Severity) -> String { severities[Int(severity.rawValue)] }

    func word(for item: Notification.Item) -> String {
        switch item.state {
        case .resolved: resolved
        case .event: "\(event) · \(name(of: item.severity))"
        case .firing: name(of: item.severity)
        }
    }

    /// `fired 10:02 UTC, resolved 10:04 UTC`.
    func times(_ item: Notification.Item) -> String {
        let fired = item.firedText.map { isGerman ? "ausgelöst \($0)" : "fired \($0)" }
        let over =
            item.state == .resolved ? item.resolvedText.map { isGerman ? "behoben \($0)" : "resolved \($0)" } : nil
        return [fired, over].compactMap { $0 }.joined(separator: ", ")
    }

    func alerts(_ count: Int) -> String {
        if isGerman { return count == 1 ? "1 Alarm" : "\(count) Alarme" }
        return count == 1 ? "1 alert" : "\(count) alerts"
    }

    func more(_ count: Int) -> String { isGerman ? "und \(count) weitere" : "and \(count) more" }

    func open(_ count: Int) -> String {
        if isGerman { return count == 1 ? "1 Alarm ist offen" : "\(count) Alarme sind offen" }
        return count == 1 ? "1 alert is open" : "\(count) alerts are open"
    }

    func alreadyOpen(_ count: Int) -> String {
        isGerman ? "\(alerts(count)) beim Start schon offen" : "\(alerts(count)) already open at the start"
    }
}
