internal import Core

extension Parser {
    /// `has(a.b)`.
    mutating func globalMacro(_ token: Token, arguments: [Int], at place: Location) -> Int? {
        guard token.text == "has", arguments.count == 1 else { return nil }
        guard case .select(let operand, let field, _) = tree.nodes[arguments[0]].kind else {
            if hasFailed { return nil }
            report(
                .badMacro, "has() takes a field, as in has(after.plant)", at: tree.nodes[arguments[0]].location)
            return broken(at: place)
        }
        return add(.presence(operand, field: field), at: place, children: operand)
    }

    mutating func memberMacro(_ token: Token, target: Int, arguments: [Int], at place: Location) -> Int? {
        if hasFailed { return nil }
        switch (token.text, arguments.count) {
        case ("all", 2), ("all", 3): return comprehension(.all, target, arguments, token, place)
        case ("exists", 2), ("exists", 3): return comprehension(.exists, target, arguments, token, place)
        case ("exists_one", 2), ("existsOne", 2), ("existsOne", 3):
            return comprehension(.existsOne, target, arguments, token, place)
        case ("filter", 2): return comprehension(.filter, target, arguments, token, place)
        case ("map", 2), ("map", 3): return transform(.map, target, arguments, variableCount: 1, token, place)
        case ("transformList", 3), ("transformList", 4):
            return transform(.transformList, target, arguments, variableCount: 2, token, place)
        case ("transformMap", 3), ("transformMap", 4):
            return transform(.transformMap, target, arguments, variableCount: 2, token, place)
        case ("transformMapEntry", 3), ("transformMapEntry", 4):
            return transform(.transformMapEntry, target, arguments, variableCount: 2, token, place)
        case ("bind", 3):
            guard case .identifier("cel") = tree.nodes[target].kind else { return nil }
            guard let name = variable(arguments[0], of: "cel.bind") else { return broken(at: place) }
            return add(
                .binding(name, arguments[1], arguments[2]), at: place, children: arguments[1], arguments[2])
        case ("optMap", 2), ("optFlatMap", 2):
            guard let name = variable(arguments[0], of: token.text) else { return broken(at: place) }
            return add(
                .optionalMap(name, target, arguments[1], isFlat: token.text == "optFlatMap"), at: place,
                children: target, arguments[1])
        default: return nil
        }
    }

    private mutating func variable(_ argument: Int, of macro: String) -> String? {
        guard case .identifier(let name) = tree.nodes[argument].kind, !name.hasPrefix("."), name != "__result__" else {
            report(
                .badMacro, "\(macro)() takes the name of a variable first, as in list.\(macro)(x, x > 0)",
                at: tree.nodes[argument].location)
            return nil
        }
        return name
    }

    /// The variables of a macro, which must differ.
    private mutating func variables(_ arguments: ArraySlice<Int>, of macro: String) -> [String]? {
        var names: [String] = []
        for argument in arguments {
            guard let name = variable(argument, of: macro) else { return nil }
            if names.contains(name) {
                report(.badMacro, "the variables of \(macro)() need different names", at: tree.nodes[argument].location)
                return nil
            }
            names.append(name)
        }
        return names
    }

    private mutating func comprehension(
        _ kind: ComprehensionKind, _ target: Int, _ arguments: [Int], _ token: Token, _ place: Location
    ) -> Int {
        guard let names = variables(arguments.dropLast(), of: token.text), let predicate = arguments.last else {
            return broken(at: place)
        }
        let node = ExpressionTree.Comprehension(
            kind: kind, range: target, variable: names[0], secondVariable: names.count > 1 ? names[1] : nil,
            predicate: predicate, transform: nil)
        return add(.comprehension(node), at: place, children: target, predicate)
    }

    private mutating func transform(
        _ kind: ComprehensionKind, _ target: Int, _ arguments: [Int], variableCount: Int, _ token: Token,
        _ place: Location
    ) -> Int {
        guard let names = variables(arguments.prefix(variableCount), of: token.text),
            let transform = arguments.last
        else { return broken(at: place) }
        let predicate = arguments.count == variableCount + 2 ? arguments[variableCount] : nil
        let node = ExpressionTree.Comprehension(
            kind: kind, range: target, variable: names[0], secondVariable: names.count > 1 ? names[1] : nil,
            predicate: predicate, transform: transform)
        return add(
            .comprehension(node), at: place, children: [target, transform] + (predicate.map { [$0] } ?? []))
    }
}
