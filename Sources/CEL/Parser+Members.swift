internal import Core

extension Parser {
    static let reserved: Set<String> = [
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
        "namespace", "return", "var", "void", "while",
    ]

    mutating func member(signedFrom sign: Location?) -> Int {
        var operand = primary(signedFrom: sign)
        while !hasFailed {
            switch current.kind {
            case .dot, .questionDot: operand = selection(of: operand)
            case .leftBracket: operand = subscripted(operand)
            case .leftBrace:
                guard let name = messageName(operand) else { return operand }
                operand = message(name, at: tree.nodes[operand].location)
            default: return operand
            }
        }
        return operand
    }

    /// The dotted name that a chain of identifiers spells; nil for anything else.
    private func messageName(_ node: Int) -> String? {
        switch tree.nodes[node].kind {
        case .identifier(let name): name
        case .select(let operand, let field, false): messageName(operand).map { "\($0).\(field)" }
        default: nil
        }
    }

    private mutating func selection(of operand: Int) -> Int {
        _ = take()
        let isOptional = takeIf(.question)
        let token = current
        guard token.kind == .identifier || token.kind == .escapedIdentifier else {
            let isWord = [.in, .true, .false, .null].contains(token.kind)
            fail(
                .syntax, "expected a field name after the dot, found \(token.shown)", at: token.location,
                help: isWord ? "write `\(token.text)` in backticks, or [\"\(token.text)\"]" : nil)
            return operand
        }
        _ = take()
        let location = tree.nodes[operand].location.through(token.location)
        guard token.kind == .identifier, !isOptional, current.kind == .leftParenthesis else {
            return add(
                .select(operand, field: token.text, isOptional: isOptional), at: location, children: operand)
        }
        let (arguments, end) = callArguments()
        let whole = location.through(end)
        if let expanded = memberMacro(token, target: operand, arguments: arguments, at: whole) { return expanded }
        return add(
            .memberCall(token.text, operand, arguments), at: whole, children: [operand] + arguments)
    }

    private mutating func subscripted(_ operand: Int) -> Int {
        _ = take()
        let isOptional = takeIf(.question)
        let index = expression()
        let end = current.location
        guard expect(.rightBracket, "`]`") else { return operand }
        let location = tree.nodes[operand].location.through(end)
        return add(
            .binary(isOptional ? .optionalIndex : .index, operand, index), at: location, children: operand, index)
    }

    private mutating func callArguments() -> (arguments: [Int], end: Location) {
        _ = take()
        var arguments: [Int] = []
        while !hasFailed, current.kind != .rightParenthesis {
            arguments.append(expression())
            guard takeIf(.comma) else { break }
            if current.kind == .rightParenthesis { fail(.syntax, "an argument is missing", at: current.location) }
        }
        let end = current.location
        _ = expect(.rightParenthesis, arguments.isEmpty ? "`)`" : "`,` or `)`")
        return (arguments, end)
    }

    private mutating func primary(signedFrom sign: Location?) -> Int {
        let token = current
        let place = sign.map { $0.through(token.location) } ?? token.location
        switch token.kind {
        case .int, .uint, .double:
            _ = take()
            return number(token, isNegative: sign != nil, at: place)
        case .string: return literal(.string(take().text), at: place)
        case .bytes: return literal(.bytes(take().bytes), at: place)
        case .true, .false, .null:
            _ = take()
            return literal(token.kind == .null ? .null : .bool(token.kind == .true), at: place)
        case .identifier: return name(token)
        case .dot:
            _ = take()
            guard current.kind == .identifier else {
                fail(.syntax, "expected a name after the dot, found \(current.shown)", at: current.location)
                return broken(at: place)
            }
            var rooted = current
            rooted.text = "." + rooted.text
            rooted.location = place.through(rooted.location)
            return name(rooted)
        case .leftParenthesis:
            _ = take()
            let inner = expression()
            let end = current.location
            guard expect(.rightParenthesis, "`)`") else { return inner }
            tree.nodes[inner].location = place.through(end)
            return inner
        case .leftBracket: return list(at: place)
        case .leftBrace: return mapLiteral(at: place)
        default:
            _ = missingOperand(token)
            return broken(at: place)
        }
    }

    private mutating func missingOperand(_ token: Token) -> Bool {
        var help: String?
        if token.kind == .escapedIdentifier { help = "backticks are for fields only: after.`\(token.text)`" }
        if token.kind == .in { help = "write value in list" }
        fail(.syntax, "expected a value, found \(token.shown)", at: token.location, help: help)
        return false
    }

    private mutating func literal(_ value: Value, at place: Location) -> Int {
        if position < tokens.count, current.kind == .invalid { _ = take() }
        return add(.literal(value), at: place)
    }

    private mutating func name(_ token: Token) -> Int {
        _ = take()
        let plain = token.text.hasPrefix(".") ? String(token.text.dropFirst()) : token.text
        if Parser.reserved.contains(plain) {
            let help = plain == "if" || plain == "else" ? "write condition ? value : otherwise" : nil
            fail(.reservedWord, "`\(plain)` is a reserved word of CEL", at: token.location, help: help)
            return broken(at: token.location)
        }
        guard current.kind == .leftParenthesis else { return add(.identifier(token.text), at: token.location) }
        let (arguments, end) = callArguments()
        let whole = token.location.through(end)
        if let expanded = globalMacro(token, arguments: arguments, at: whole) { return expanded }
        return add(.call(token.text, arguments), at: whole, children: arguments)
    }

    private mutating func number(_ token: Token, isNegative: Bool, at place: Location) -> Int {
        let isHexadecimal = token.text.hasPrefix("0x") || token.text.hasPrefix("0X")
        let digits = isHexadecimal ? String(token.text.dropFirst(2)) : token.text
        let radix = isHexadecimal ? 16 : 10
        let signed = (isNegative ? "-" : "") + digits
        switch token.kind {
        case .int:
            if let value = Int64(signed, radix: radix) { return literal(.int(value), at: place) }
            let fitsUnsigned = !isNegative && UInt64(digits, radix: radix) != nil
            report(
                .badLiteral, "the number is out of the range of int", at: place,
                help: fitsUnsigned ? "write \(token.text)u for an unsigned number" : nil)
        case .uint:
            if let value = UInt64(digits, radix: radix) { return literal(.uint(value), at: place) }
            report(.badLiteral, "the number is out of the range of uint", at: place)
        default:
            if let value = Double(signed), value.isFinite { return literal(.double(value), at: place) }
            report(.badLiteral, "the number is out of the range of double", at: place)
        }
        return broken(at: place)
    }

    private mutating func list(at start: Location) -> Int {
        _ = take()
        var elements: [Int] = []
        var optionals: [Bool] = []
        while !hasFailed, current.kind != .rightBracket {
            optionals.append(takeIf(.question))
            elements.append(expression())
            guard takeIf(.comma) else { break }
        }
        let end = current.location
        guard expect(.rightBracket, "`,` or `]`") else { return broken(at: start) }
        return add(.list(elements, optionals: optionals), at: start.through(end), children: elements)
    }

    private mutating func mapLiteral(at start: Location) -> Int {
        _ = take()
        var entries: [ExpressionTree.Entry] = []
        while !hasFailed, current.kind != .rightBrace {
            let isOptional = takeIf(.question)
            let key = expression()
            guard expect(.colon, "`:` between key and value") else { return broken(at: start) }
            entries.append(ExpressionTree.Entry(key: key, value: expression(), isOptional: isOptional))
            guard takeIf(.comma) else { break }
        }
        let end = current.location
        guard expect(.rightBrace, "`,` or `}`") else { return broken(at: start) }
        return add(.map(entries), at: start.through(end), children: entries.flatMap { [$0.key, $0.value] })
    }

    private mutating func message(_ name: String, at start: Location) -> Int {
        _ = take()
        var fields: [ExpressionTree.FieldEntry] = []
        while !hasFailed, current.kind != .rightBrace {
            let isOptional = takeIf(.question)
            guard current.kind == .identifier || current.kind == .escapedIdentifier else {
                fail(.syntax, "expected a field name, found \(current.shown)", at: current.location)
                return broken(at: start)
            }
            let field = take().text
            guard expect(.colon, "`:` between field and value") else { return broken(at: start) }
            fields.append(ExpressionTree.FieldEntry(name: field, value: expression(), isOptional: isOptional))
            guard takeIf(.comma) else { break }
        }
        let end = current.location
        guard expect(.rightBrace, "`,` or `}`") else { return broken(at: start) }
        return add(.message(name, fields), at: start.through(end), children: fields.map(\.value))
    }
}
