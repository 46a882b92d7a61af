internal import CEL
internal import ChangeEvents
internal import Synchronization

/// The scalars beside the row images, in this order in their space.
public enum RuleScalar: Int, Sendable, CaseIterable {
    /// `insert`, `update`, `delete` or `snapshot`.
    case op = 0
    case table
    case version
    /// The commit time.
    case ts

    /// The name in expressions.
    public var name: String {
        switch self {
        case .op: "op"
        case .table: "table"
        case .version: "version"
        case .ts: "ts"
        }
    }

    var type: CELType {
        switch self {
        case .op, .table: .string
        case .version: .int
        case .ts: .timestamp
        }
    }
}

/// The names that the expressions of one table's rules may use. Hands out slots as columns are named.
final class RuleScope: Sendable {
    static let beforeSpace: UInt8 = 0
    static let afterSpace: UInt8 = 1
    static let scalarSpace: UInt8 = 2
    /// Index of the dynamic value `changed`.
    static let changedIndex = 0

    let declaration: TableDeclaration
    private let layoutBox: Mutex<ColumnLayout>
    private let parents: Set<String>

    init(declaration: TableDeclaration) {
        self.declaration = declaration
        layoutBox = Mutex(ColumnLayout(declaration: declaration))
        var parents: Set<String> = []
        for path in declaration.columns.keys {
            var rest = Substring(path)
            while let dot = rest.lastIndex(of: ".") {
                rest = rest[..<dot]
                parents.insert(String(rest))
            }
        }
        self.parents = parents
    }

    var layout: ColumnLayout { layoutBox.withLock { $0 } }

    func slot(for path: String) -> Int { layoutBox.withLock { $0.slot(for: path) } }

    /// Names for expressions of rules and, without `changed`, of templates.
    func environment(isTemplate: Bool) -> Environment {
        var names = ["before", "after"] + RuleScalar.allCases.map(\.name)
        if !isTemplate { names.append("changed") }
        return Environment(resolve: { [self] in resolve($0, isTemplate: isTemplate) }, rootNames: names)
    }

    private func resolve(_ path: [String], isTemplate: Bool) -> Environment.Resolution {
        switch path[0] {
        case "before", "after":
            let space = path[0] == "before" ? RuleScope.beforeSpace : RuleScope.afterSpace
            guard path.count > 1 else { return .record(space: space) }
            return column(path.dropFirst().joined(separator: "."), depth: path.count - 1, space: space)
        case "changed" where path.count == 1 && !isTemplate:
            // Which columns changed can only be told of those that are extracted: all that are declared.
            for name in declaration.columns.keys.sorted() { _ = slot(for: name) }
            return .dynamic(RuleScope.changedIndex, .list(.string))
        default:
            guard path.count == 1, let scalar = RuleScalar.allCases.first(where: { $0.name == path[0] }) else {
                return .none
            }
            return .slot(SlotReference(space: RuleScope.scalarSpace, index: UInt16(scalar.rawValue)), scalar.type)
        }
    }

    private func column(_ path: String, depth: Int, space: UInt8) -> Environment.Resolution {
        func slotted(_ type: CELType) -> Environment.Resolution {
            .slot(SlotReference(space: space, index: UInt16(truncatingIfNeeded: slot(for: path))), type)
        }
        if let type = declaration.columns[path] { return slotted(RuleScope.type(of: type)) }
        if parents.contains(path) { return slotted(.dyn) }
        if declaration.columns.isEmpty { return slotted(.dyn) }
        if depth == 1 { return .unknownColumn(candidates: declaration.columns.keys.filter { !$0.contains(".") }) }
        // A field of a struct: of one whose fields are declared it must be one of them; of any other object it may be.
        let parent = String(path[..<(path.lastIndex(of: ".") ?? path.endIndex)])
        if parents.contains(parent) {
            return .unknownColumn(candidates: declaration.columns.keys.filter { $0.hasPrefix(parent + ".") })
        }
        return nearestDeclared(path) == .object ? slotted(.dyn) : .none
    }

    private func nearestDeclared(_ path: String) -> ColumnType? {
        var rest = Substring(path)
        while let dot = rest.lastIndex(of: ".") {
            rest = rest[..<dot]
            if let type = declaration.columns[String(rest)] { return type }
        }
        return nil
    }

    static func type(of type: ColumnType) -> CELType {
        switch type {
        case .bool: .bool
        case .int: .int
        case .double: .double
        case .decimal: .decimal
        case .string: .string
        case .bytes: .bytes
        case .timestamp: .timestamp
        case .date: .timestamp
        case .list: .list(.dyn)
        case .object: .map(.string, .dyn)
        }
    }
}
