public import CEL
internal import Core

/// The names that a template has beside those of its rule (`after.x`, `before.x`, `op`, `ts`, …):
///
/// | name | type | meaning |
/// |---|---|---|
/// | `key.x` | string | the original text of key column `x`; null when the row has none |
/// | `severity` | string | `info`, `warning`, `error`, `critical`: the level it fires at |
/// | `state` | string | `pending`, `firing`, `resolved` |
/// | `rule`, `table`, `owner` | string | as in the rule file |
/// | `episode` | int | 1, 2, …: how often the alert has fired |
/// | `fired_at` | timestamp | when it started firing; null before |
/// | `resolved_at` | timestamp | when it resolved; null before |
/// | `due_at` | timestamp | the due time of a deadline rule; else null |
///
/// Functions: `percent(x)`, `percent(x, digits)`, `number(x)`, `number(x, digits)`, `date(t)`, `time(t)`,
/// `datetime(t)`.
public struct TemplateVariables: Sendable {
    /// The columns of the rule's key, for `key.x`.
    public var keyColumns: [String]

    /// Says which columns the key has.
    public init(keyColumns: [String]) { self.keyColumns = keyColumns }

    /// Dynamic indexes from here on are this module's; those below stay the environment's.
    static let indexBase = 1 << 20
    private static let keyBase = indexBase + 100
    private static let names: [(name: String, type: CELType)] = [
        ("severity", .string), ("state", .string), ("rule", .string), ("table", .string), ("owner", .string),
        ("episode", .int), ("fired_at", .timestamp), ("resolved_at", .timestamp), ("due_at", .timestamp),
    ]

    /// The environment with these names, which come before its own, and with the functions of templates.
    public func extending(_ environment: Environment) -> Environment {
        let keyColumns = keyColumns
        let inner = environment.resolve
        var extended = environment
        extended.resolve = { path in
            if path.count == 1, let index = TemplateVariables.names.firstIndex(where: { $0.name == path[0] }) {
                return .dynamic(TemplateVariables.indexBase + index, TemplateVariables.names[index].type)
            }
            if path.first == "key", !keyColumns.isEmpty {
                guard path.count > 1 else { return .none }
                let name = path.dropFirst().joined(separator: ".")
                guard let index = keyColumns.firstIndex(of: name) else {
                    return .unknownColumn(candidates: keyColumns)
                }
                return .dynamic(TemplateVariables.keyBase + index, .string)
            }
            return inner(path)
        }
        extended.rootNames += ["key"] + TemplateVariables.names.map(\.name)
        extended.functions += TemplateFunctions.all
        return extended
    }

    /// The value of one of these names; nil for an index of the environment's own.
    static func value(_ index: Int, of alert: Alert) -> Value? {
        func time(_ time: Timestamp?) -> Value { time.map { .timestamp(PreciseTime($0)) } ?? .null }
        if index >= keyBase {
            let position = index - keyBase
            guard position < alert.keyTexts.count, let text = alert.keyTexts[position] else { return .null }
            return .string(text)
        }
        guard index >= indexBase, index - indexBase < names.count else { return nil }
        switch names[index - indexBase].name {
        case "severity": return .string(alert.severity.description)
        case "state": return .string(String(describing: alert.state))
        case "rule": return .string(alert.rule)
        case "table": return .string(alert.table)
        case "owner": return .string(alert.owner)
        case "episode": return .int(Int64(alert.episode))
        case "fired_at": return time(alert.firingSince)
        case "resolved_at": return time(alert.resolvedAt)
        case "due_at": return time(alert.dueAt)
        default: return nil
        }
    }
}
