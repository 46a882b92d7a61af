internal import Core

extension Checker {
    mutating func call(_ node: Int, _ name: String, _ arguments: [Int]) -> CELType {
        var plain = name
        var containers = [""]
        if name.hasPrefix(".") {
            plain.removeFirst()
        } else if !environment.container.isEmpty {
            containers = Checker.prefixes(of: environment.container)
        }
        for container in containers {
            let full = container.isEmpty ? plain : "\(container).\(plain)"
            guard let function = table[full] else { continue }
            return resolve(node, function, arguments, isMember: false)
        }
        for argument in arguments { _ = check(argument) }
        guard environment.isChecked else { return .dyn }
        report(
            .unknownFunction, "there is no function \(plain)()", at: tree[node].location,
            help: unknownFunctionHelp(plain))
        return .error
    }

    mutating func memberCall(_ node: Int, _ name: String, _ target: Int, _ arguments: [Int]) -> CELType {
        // `math.greatest(1, 2)`: the receiver is a namespace unless it is a variable.
        if let namespace = namespace(target), let function = table["\(namespace).\(name)"] {
            return resolve(node, function, arguments, isMember: false)
        }
        guard let function = table[name] else {
            _ = check(target)
            for argument in arguments { _ = check(argument) }
            guard environment.isChecked else { return .dyn }
            if checked.types[target] == .error { return .error }
            report(
                .unknownFunction, "there is no function \(name)()", at: tree[node].location,
                help: unknownFunctionHelp(name))
            return .error
        }
        return resolve(node, function, [target] + arguments, isMember: true)
    }

    private func namespace(_ node: Int) -> String? {
        switch tree[node].kind {
        case .identifier(let name):
            if scopes.contains(where: { $0.name == name }) { return nil }
            return name.hasPrefix(".") ? String(name.dropFirst()) : name
        case .select(let operand, let field, false): return namespace(operand).map { "\($0).\(field)" }
        default: return nil
        }
    }

    private func unknownFunctionHelp(_ name: String) -> String? {
        let known = [
            "len": "size", "length": "size", "count": "size", "lower": "lowerAscii", "upper": "upperAscii",
            "toLowerCase": "lowerAscii", "toUpperCase": "upperAscii", "regex": "matches", "match": "matches",
            "includes": "contains", "any": "exists", "some": "exists", "every": "all", "str": "string",
            "float": "double", "number": "double", "integer": "int", "date": "timestamp",
        ]
        if name == "now" { return "a condition knows no present time; use `ts`, the time of the event" }
        if let meant = known[name] { return "use \(meant)()" }
        let macros = ["has", "all", "exists", "exists_one", "map", "filter"]
        if macros.contains(name) {
            return name == "has"
                ? "has() takes one field" : "write list.\(name)(x, …) with a variable and an expression"
        }
        return Spelling.nearest(to: name, among: table.names + macros).map { "did you mean \($0)()?" }
    }

    /// Chooses among the overloads by the types of the arguments.
    private mutating func resolve(
        _ node: Int, _ function: FunctionTable.Function, _ arguments: [Int], isMember: Bool
    ) -> CELType {
        checked.calls[node] = ResolvedCall(function: function, hasReceiver: isMember)
        var types: [CELType] = []
        for argument in arguments { types.append(check(argument)) }
        if types.contains(.error) { return .error }
        var result: CELType?
        for overload in function.overloads where overload.isMember == isMember {
            guard overload.parameters.count == types.count else { continue }
            var binding: [String: CELType] = [:]
            let fits = zip(overload.parameters, types).allSatisfy {
                TypeRelations.accepts($0, $1, binding: &binding)
            }
            guard fits else { continue }
            let type = TypeRelations.substitute(overload.result, binding)
            result = result.map { TypeRelations.join($0, type) } ?? type
            if !types.contains(.dyn) { break }
        }
        guard let result else { return noOverload(node, function, arguments, isMember: isMember) }
        if environment.isChecked, environment.validatesLiterals { checkLiterals(function.name, arguments) }
        return result
    }

    private mutating func noOverload(
        _ node: Int, _ function: FunctionTable.Function, _ arguments: [Int], isMember: Bool
    ) -> CELType {
        guard environment.isChecked else { return .dyn }
        let same = function.overloads.filter { $0.isMember == isMember }
        func form(_ overload: Environment.Overload) -> String {
            let parameters = overload.parameters.map(\.description)
            guard overload.isMember else { return "\(function.name)(\(parameters.joined(separator: ", ")))" }
            return "\(parameters[0]).\(function.name)(\(parameters.dropFirst().joined(separator: ", ")))"
        }
        let forms = (same.isEmpty ? function.overloads : same).prefix(6).map(form).joined(separator: " or ")
        let given = arguments.map { described($0) }.joined(separator: ", ")
        report(
            .argumentMismatch, "\(function.name)() does not take (\(given))", at: node, help: "it is \(forms)")
        return .error
    }

    // MARK: Literal arguments

    /// Finds literal arguments that fail whenever they are evaluated.
    private mutating func checkLiterals(_ name: String, _ arguments: [Int]) {
        guard let last = arguments.last, case .literal(.string(let text)) = tree[last].kind else { return }
        switch name {
        case "matches":
            guard arguments.count == 2 else { return }
            if case .failure(let problem) = Regex.compile(text) {
                report(.badArgument, "the regular expression is wrong: \(problem.message)", at: last)
            }
        case "duration" where NumberText.parseDuration(text) == nil:
            report(
                .badArgument, "\"\(text)\" is no duration", at: last,
                help: "write a number with a unit: 500ms, 30s, 10m, 1h30m; days as hours: 7d is 168h")
        case "timestamp" where PreciseTime.parse(text) == nil:
            report(
                .badArgument, "\"\(text)\" is no timestamp", at: last,
                help: "write it as 2026-01-31T06:00:00Z, with a zone")
        case _ where arguments.count == 2 && FunctionTable.zoned.contains(name) && CivilZone(text) == nil:
            report(
                .badArgument, "there is no time zone \"\(text)\"", at: last,
                help: "write a name such as \"Europe/Berlin\" or an offset such as \"+01:00\"")
        default: break
        }
    }
}
