internal import Alerting
internal import Core

/// The words around what the rules say, in the receiver's language; English where there is none.
struct EmailPhrases {
    var key: String
    var severity: String
    var rule: String
    var table: String
    var owner: String
    var since: String
    var fired: String
    var resolved: String
    var reason: String
    var labels: String
    var links: String
    var state: String
    var alert: String
    var overdue: String
    var lastValueUnknown: String
    var templateProblem: String
    var meantFor: String
    var wasLevel: String
    var stillOpen: String
    var footer: String
    var severities: [String]
    var firingWord: String
    var resolvedWord: String
    var eventWord: String

    static func of(locale: String) -> EmailPhrases {
        locale.lowercased().hasPrefix("de") ? german : english
    }

    static let english = EmailPhrases(
        key: "Key", severity: "Severity", rule: "Rule", table: "Table", owner: "Owner", since: "Since", fired: "Fired",
        resolved: "Resolved", reason: "Reason", labels: "Labels", links: "Links", state: "State", alert: "Alert",
        overdue: "already overdue when first seen",
        lastValueUnknown: "the last value was unknown when this alert fired",
        templateProblem: "The rule's text could not be rendered", meantFor: "This message was meant for",
        wasLevel: "was", stillOpen: "still open", footer: "Sent by AlertRouter",
        severities: ["info", "warning", "error", "critical"],
        firingWord: "firing", resolvedWord: "resolved", eventWord: "event")

    static let german = EmailPhrases(
        key: "Schlüssel", severity: "Schweregrad", rule: "Regel", table: "Tabelle", owner: "Zuständig", since: "Seit",
        fired: "Ausgelöst", resolved: "Behoben", reason: "Grund", labels: "Merkmale", links: "Verweise",
        state: "Zustand", alert: "Alarm", overdue: "beim ersten Sehen schon überfällig",
        lastValueUnknown: "der letzte Wert war unbekannt, als dieser Alarm auslöste",
        templateProblem: "Der Text der Regel konnte nicht erstellt werden",
        meantFor: "Diese Nachricht war bestimmt für", wasLevel: "vorher", stillOpen: "weiterhin offen",
        footer: "Gesendet von AlertRouter",
        severities: ["Information", "Warnung", "Fehler", "kritisch"], firingWord: "aktiv", resolvedWord: "behoben",
        eventWord: "Ereignis")

    private var isGerman: Bool { footer == EmailPhrases.german.footer }

    func name(of severity: Severity) -> String { severities[Int(severity.rawValue)] }

    func name(of state: Notification.Item.State) -> String {
        switch state {
        case .firing: firingWord
        case .resolved: resolvedWord
        case .event: eventWord
        }
    }

    func more(_ count: Int) -> String { isGerman ? "und \(count) weitere" : "and \(count) more" }

    func open(_ count: Int) -> String {
        if isGerman {
            return count == 1 ? "1 Alarm dieser Gruppe ist offen" : "\(count) Alarme dieser Gruppe sind offen"
        }
        return count == 1 ? "1 alert of this group is open" : "\(count) alerts of this group are open"
    }

    func alerts(_ count: Int) -> String {
        if isGerman { return count == 1 ? "1 Alarm" : "\(count) Alarme" }
        return count == 1 ? "1 alert" : "\(count) alerts"
    }

    func alreadyOpen(_ count: Int) -> String {
        isGerman ? "\(alerts(count)) beim Start schon offen" : "\(alerts(count)) already open at the start"
    }
}
