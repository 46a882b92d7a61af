internal import CEL
internal import Core
internal import Synchronization

/// The names of a condition over an alert; hands out an index for each label and key column as it is named.
///
/// | name | type | meaning |
/// |---|---|---|
/// | `severity` | an enumeration | compares with `"info"`, `"warning"`, `"error"`, `"critical"`, also by order |
/// | `labels`, `labels.x` | map, string | the label set of the alert; a label that is missing reads as the empty text |
/// | `key`, `key.x` | map, string | the key columns alone, in the same way |
/// | `rule`, `table`, `owner` | string | as in the rule file |
final class SubjectScope: Sendable {
    /// What a dynamic index stands for.
    enum Name: Sendable, Hashable {
        case severity, labels, key, rule, table, owner
        case label(String)
        case keyColumn(String)
    }

    private let names: Mutex<[Name]>
    static let emptyArena = RowArena()

    init() { names = Mutex([]) }

    /// What was named so far, by index.
    var named: [Name] { names.withLock { $0 } }

    static let rootNames = ["severity", "labels", "key", "rule", "table", "owner"]

    var environment: Environment {
        var environment = Environment(resolve: { [self] in resolve($0) }, rootNames: SubjectScope.rootNames)
        environment.enumerations = ["severity": Severity.allCases.map(\.description)]
        return environment
    }

    private func index(_ name: Name) -> Int {
        names.withLock { names in
            if let index = names.firstIndex(of: name) { return index }
            names.append(name)
            return names.count - 1
        }
    }

    private func resolve(_ path: [String]) -> Environment.Resolution {
        let map = CELType.map(.string, .string)
        switch (path[0], path.count) {
        case ("severity", 1): return .dynamic(index(.severity), .message("severity"))
        case ("rule", 1): return .dynamic(index(.rule), .string)
        case ("table", 1): return .dynamic(index(.table), .string)
        case ("owner", 1): return .dynamic(index(.owner), .string)
        case ("labels", 1): return .dynamic(index(.labels), map)
        case ("labels", 2): return .dynamic(index(.label(path[1])), .string)
        case ("key", 1): return .dynamic(index(.key), map)
        case ("key", 2): return .dynamic(index(.keyColumn(path[1])), .string)
        default: return .none
        }
    }

    static func value(_ name: Name, of subject: AlertSubject) -> Value {
        switch name {
        case .severity: .int(Int64(subject.severity.rawValue))
        case .rule: .string(subject.rule)
        case .table: .string(subject.table)
        case .owner: .string(subject.owner)
        case .label(let name): .string(subject.label(name))
        case .keyColumn(let name): .string(subject.keyText(name))
        case .labels:
            .map(ValueMap(texts: subject.labelSet.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        case .key:
            .map(
                ValueMap(
                    texts: zip(subject.keyColumns, subject.keyTexts).compactMap { name, text in
                        text.map { (name, .string($0)) }
                    }))
        }
    }
}
