internal import Core

extension Checker {
    /// The chain of names that a node spells, first name first; nil when it is something else.
    private func path(_ node: Int) -> [String]? {
        switch tree[node].kind {
        case .identifier(let name): return [name]
        case .select(let operand, let field, false): return path(operand).map { $0 + [field] }
        default: return nil
        }
    }

    mutating func nameOrSelect(_ node: Int) -> CELType {
        if let path = path(node), !isLocal(path[0]) { return chain(node, path) }
        switch tree[node].kind {
        case .identifier(let name):
            guard let scope = scopes.last(where: { $0.name == name }) else { return .error }
            checked.names[node] = .local(scope.index)
            return scope.type
        case .select(let operand, let field, let isOptional):
            if isOptional, let slot = optionalColumn(node, operand, field) { return slot }
            return self.field(field, of: check(operand), isOptional: isOptional, node, operand)
        default: return .error
        }
    }

    private func isLocal(_ name: String) -> Bool { scopes.contains { $0.name == name } }

    /// Finds the longest part of a chain that has a meaning; what follows it are selects.
    private mutating func chain(_ node: Int, _ path: [String]) -> CELType {
        let (resolution, length, unknown) = resolve(path)
        // The node that spells the part found.
        var part = node
        for _ in length..<path.count {
            guard case .select(let operand, _, _) = tree[part].kind else { break }
            part = operand
        }
        let type: CELType
        switch resolution {
        case .slot where unknown != nil && environment.isChecked:
            // A field that the declared struct does not have.
            return unknown.map { unknownColumn(path, $0, node) } ?? .error
        case .slot(let slot, let slotType):
            checked.names[part] = .slot(slot, slotType)
            type = slotType
        case .dynamic(let index, let dynamicType):
            checked.names[part] = .dynamic(index)
            type = dynamicType
        case .record(let space):
            checked.names[part] = .record(space: space)
            if let unknown, environment.isChecked {
                return unknownColumn(path, unknown, node)
            }
            type = mismatch(
                .recordUse, "\(path[0]) is the whole row; name a column of it", at: part,
                help: "write \(path[0]).column")
        case .unknownColumn, .none:
            if let unknown, environment.isChecked { return unknownColumn(path, unknown, node) }
            return undeclared(node, path)
        }
        if length > 0 { record(Array(path.prefix(length)), resolution, part) }
        checked.types[part] = type
        return selects(from: part, type, to: node)
    }

    private mutating func record(_ path: [String], _ resolution: Environment.Resolution, _ node: Int) {
        let reference = Reference(path: path, resolution: resolution)
        checked.paths[node] = path
        if !references.contains(reference) { references.append(reference) }
    }

    /// The types of the selects above a resolved part of a chain, up to its top.
    private mutating func selects(from part: Int, _ type: CELType, to node: Int) -> CELType {
        guard part != node, case .select(let operand, let field, let isOptional) = tree[node].kind else { return type }
        let inner = selects(from: part, type, to: operand)
        checked.types[operand] = inner
        return self.field(field, of: inner, isOptional: isOptional, node, operand)
    }

    private func resolve(
        _ path: [String]
    ) -> (Environment.Resolution, length: Int, unknown: (candidates: [String], length: Int)?) {
        var path = path
        var containers = [""]
        if path[0].hasPrefix(".") {
            path[0].removeFirst()
        } else if !environment.container.isEmpty {
            containers = Checker.prefixes(of: environment.container)
        }
        var unknown: (candidates: [String], length: Int)?
        for length in stride(from: path.count, to: 0, by: -1) {
            let names = Array(path.prefix(length))
            for container in containers {
                let full = container.isEmpty ? names : container.split(separator: ".").map(String.init) + names
                switch environment.resolve(full) {
                case .none: continue
                case .unknownColumn(let candidates):
                    // The shortest chain that is a column of the table is the one to correct.
                    unknown = (candidates, length)
                case let resolution: return (resolution, length, unknown)
                }
            }
        }
        return (.none, 0, unknown)
    }

    static func prefixes(of container: String) -> [String] {
        var names = container.split(separator: ".")
        var prefixes: [String] = []
        while !names.isEmpty {
            prefixes.append(names.joined(separator: "."))
            names.removeLast()
        }
        return prefixes + [""]
    }

    private mutating func unknownColumn(
        _ path: [String], _ unknown: (candidates: [String], length: Int), _ node: Int
    ) -> CELType {
        let length = unknown.length
        let name = path[1..<max(length, 2)].joined(separator: ".")
        let nearest = Spelling.nearest(to: name, among: unknown.candidates)
        var place = tree[node].location
        // Underline the column alone.
        let skipped = path[0].unicodeScalars.count + 1
        if Int(place.length) == path.joined(separator: ".").unicodeScalars.count {
            place.column += Int32(skipped)
            place.length = Int32(name.unicodeScalars.count)
        }
        var help = nearest.map { "did you mean '\($0)'?" }
        if help == nil, !unknown.candidates.isEmpty {
            help =
                "the columns are " + unknown.candidates.sorted().prefix(12).joined(separator: ", ")
                + (unknown.candidates.count > 12 ? ", …" : "")
        }
        report(.unknownColumn, "the table has no column '\(name)'", at: place, help: help)
        return .error
    }

    private mutating func undeclared(_ node: Int, _ path: [String]) -> CELType {
        let name = path[0].hasPrefix(".") ? String(path[0].dropFirst()) : path[0]
        // The names of types are names too.
        for length in stride(from: path.count, to: 0, by: -1) {
            let joined = ([name] + path[1..<length]).joined(separator: ".")
            guard let type = TypeRelations.typeNamed(joined) else { continue }
            var part = node
            for _ in length..<path.count {
                guard case .select(let operand, _, _) = tree[part].kind else { break }
                part = operand
            }
            checked.names[part] = .type(type)
            checked.types[part] = .type
            return selects(from: part, .type, to: node)
        }
        checked.names[node] = .undeclared
        checked.paths[node] = path
        guard environment.isChecked else { return .dyn }
        var place = tree[node].location
        if place.length > Int32(path[0].unicodeScalars.count) { place.length = Int32(path[0].unicodeScalars.count) }
        report(.unknownName, "there is no '\(name)' here", at: place, help: unknownNameHelp(name))
        return .error
    }

    private func unknownNameHelp(_ name: String) -> String? {
        switch name.lowercased() {
        case "true", "false", "null": return "write \(name.lowercased()) in lower case"
        case "none", "nil", "undefined": return "write null"
        case "now": return "a condition knows no present time; use `ts`, the time of the event"
        default: break
        }
        // Most often the row was forgotten: `defect_rate` for `after.defect_rate`.
        let nearest = Spelling.nearest(to: name, among: environment.rootNames)
        for root in environment.rootNames {
            // What takes any name, such as `labels`, says nothing of this one.
            if name.count > 3, nearest != nil, isOpen(root) { continue }
            switch environment.resolve([root, name]) {
            case .slot, .dynamic: return "did you mean '\(root == "before" ? "after" : root).\(name)'?"
            default: continue
            }
        }
        if let nearest {
            return "did you mean '\(nearest)'?"
        }
        guard !environment.rootNames.isEmpty else { return nil }
        return "a text needs quotes: \"\(name)\"; the names are " + environment.rootNames.joined(separator: ", ")
    }

    /// Whether a root has fields of every name.
    private func isOpen(_ root: String) -> Bool {
        switch environment.resolve([root, "\u{0}"]) {
        case .slot, .dynamic: true
        case .record, .unknownColumn, .none: false
        }
    }

    // MARK: Fields and presence

    mutating func field(
        _ field: String, of type: CELType, isOptional: Bool, _ node: Int, _ operand: Int
    ) -> CELType {
        func wrapped(_ type: CELType) -> CELType {
            if !isOptional { return type }
            if case .optional = type { return type }
            return .optional(type)
        }
        switch type {
        case .dyn, .message: return wrapped(.dyn)
        case .error: return .error
        case .map(let key, let value):
            if key == .string || key.isDynamic { return wrapped(value) }
            return mismatch(.unknownField, "the keys of this map are \(key), not names", at: node)
        case .optional(let inner):
            let result = self.field(field, of: inner, isOptional: isOptional, node, operand)
            if case .optional = result { return result }
            return result == .error ? .error : .optional(result)
        default:
            return mismatch(
                .unknownField, "\(described(operand)) has no fields, so no '\(field)'", at: node,
                help: type == .timestamp || type == .duration ? "did you mean \(field)() with parentheses?" : nil)
        }
    }

    mutating func presence(_ node: Int, _ operand: Int, _ field: String) -> CELType {
        if let path = path(operand), !isLocal(path[0]) {
            let (resolution, length, unknown) = resolve(path + [field])
            if length == path.count + 1 {
                switch resolution {
                case .slot(let slot, let type):
                    checked.names[node] = .slot(slot, type)
                    record(path + [field], resolution, node)
                    return .bool
                default: break
                }
            } else if case .record = resolution, let unknown, environment.isChecked {
                _ = unknownColumn(path + [field], unknown, presencePlace(operand, field))
                return .bool
            }
        }
        _ = self.field(field, of: check(operand), isOptional: false, node, operand)
        return .bool
    }

    /// The node to underline for a field that `has` names: the operand, whose place is next to it.
    private func presencePlace(_ operand: Int, _ field: String) -> Int { operand }

    /// `after.?column`: the column as an optional.
    private mutating func optionalColumn(_ node: Int, _ operand: Int, _ field: String) -> CELType? {
        guard let path = path(operand), !isLocal(path[0]) else { return nil }
        let (resolution, length, unknown) = resolve(path + [field])
        if length == path.count + 1, case .slot(let slot, let type) = resolution {
            checked.names[node] = .slot(slot, type)
            record(path + [field], resolution, node)
            return .optional(type)
        }
        if case .record = resolution, let unknown, environment.isChecked {
            return unknownColumn(path + [field], unknown, node)
        }
        return nil
    }
}
