internal import Core

/// Parses the whole grammar of CEL by recursive descent, bounded in depth and size.
internal struct Parser {
    /// Nested brackets, and levels of the tree: enough for what people write, far from what a stack holds.
    static let depthMax = 128
    /// Bytes of one expression.
    static let sizeMax = 64 * 1024

    var tokens: [Token]
    var position = 0
    var nesting = 0
    let map: SourceMap
    var tree = ExpressionTree()
    var diagnostics: [Diagnostic]
    /// After a syntax error nothing more is reported but what the lexer found.
    var hasFailed = false

    static func parse(_ source: String, map: SourceMap) -> (tree: ExpressionTree?, diagnostics: [Diagnostic]) {
        guard source.utf8.count <= sizeMax else {
            let message = "the expression is longer than \(sizeMax) bytes"
            let start = map.position(Location())
            return (nil, [Diagnostic(code: DiagnosticCode.tooComplex.rawValue, message: message, position: start)])
        }
        let (tokens, found) = Lexer.tokens(of: source, map: map)
        var parser = Parser(tokens: tokens, map: map, diagnostics: found)
        parser.tree.nodes.reserveCapacity(tokens.count)
        if parser.current.kind == .end {
            if found.isEmpty {
                parser.fail(.syntax, "the expression is empty", at: parser.current.location)
            }
            return (nil, parser.diagnostics)
        }
        let root = parser.expression()
        if !parser.hasFailed, parser.current.kind != .end { parser.unexpectedEnd() }
        parser.tree.root = root
        let hasErrors = parser.diagnostics.contains { $0.level == .error }
        return (hasErrors ? nil : parser.tree, parser.diagnostics)
    }

    init(tokens: [Token], map: SourceMap, diagnostics: [Diagnostic]) {
        self.tokens = tokens
        self.map = map
        self.diagnostics = diagnostics
    }

    var current: Token { tokens[position] }

    mutating func take() -> Token {
        let token = tokens[position]
        if position < tokens.count - 1 { position += 1 }
        return token
    }

    mutating func takeIf(_ kind: TokenKind) -> Bool {
        guard current.kind == kind else { return false }
        _ = take()
        return true
    }

    // MARK: Nodes and messages

    mutating func report(_ code: DiagnosticCode, _ message: String, at location: Location, help: String? = nil) {
        guard !hasFailed, diagnostics.count < 20 else { return }
        diagnostics.append(
            Diagnostic(
                code: code.rawValue, message: message, position: map.position(location), length: Int(location.length),
                help: help))
    }

    /// Reports an error after which parsing makes no sense: the rest is skipped.
    mutating func fail(_ code: DiagnosticCode, _ message: String, at location: Location, help: String? = nil) {
        // A character or text that the lexer could not read is the better message.
        let lexical = [DiagnosticCode.badCharacter.rawValue, DiagnosticCode.badLiteral.rawValue]
        let isConsequence = code == .syntax && diagnostics.contains { lexical.contains($0.code) }
        if !isConsequence { report(code, message, at: location, help: help) }
        hasFailed = true
        position = tokens.count - 1
    }

    mutating func add(_ kind: ExpressionTree.Kind, at location: Location, children: Int...) -> Int {
        add(kind, at: location, children: children)
    }

    mutating func add(_ kind: ExpressionTree.Kind, at location: Location, children: [Int]) -> Int {
        var depth: Int32 = 0
        for child in children { depth = max(depth, tree.nodes[child].depth) }
        if depth + 1 > Parser.depthMax, !hasFailed {
            fail(
                .tooComplex, "the expression has more than \(Parser.depthMax) levels", at: location,
                help: "split it into named variables")
        }
        tree.nodes.append(ExpressionTree.Node(kind: kind, location: location, depth: depth + 1))
        return tree.nodes.count - 1
    }

    mutating func broken(at location: Location) -> Int { add(.broken, at: location) }

    /// From the start of one node to the end of another.
    func span(_ first: Int, _ last: Int) -> Location {
        tree.nodes[first].location.through(tree.nodes[last].location)
    }

    // MARK: Expressions

    mutating func expression() -> Int {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Parser.depthMax else {
            fail(
                .tooComplex, "the expression is nested more than \(Parser.depthMax) deep", at: current.location,
                help: "split it into named variables")
            return broken(at: current.location)
        }
        let condition = logical(isAnd: false)
        guard takeIf(.question) else { return condition }
        let whenTrue = logical(isAnd: false)
        guard expect(.colon, "`:` and what to take when the condition is false") else { return condition }
        let whenFalse = expression()
        return add(
            .conditional(condition, whenTrue, whenFalse), at: span(condition, whenFalse),
            children: condition, whenTrue, whenFalse)
    }

    private mutating func logical(isAnd: Bool) -> Int {
        let first = isAnd ? binary(minimum: 1) : logical(isAnd: true)
        guard isLogical(isAnd: isAnd) else { return first }
        var terms = [first]
        while isLogical(isAnd: isAnd) {
            let word = take()
            if word.kind == .identifier { reportWord(word, isAnd: isAnd) }
            terms.append(isAnd ? binary(minimum: 1) : logical(isAnd: true))
        }
        return add(.logical(isAnd: isAnd, terms), at: span(first, terms[terms.count - 1]), children: terms)
    }

    /// Whether `&&` or `||` follows, or a word that stands for it.
    private func isLogical(isAnd: Bool) -> Bool {
        if current.kind == (isAnd ? .and : .or) { return true }
        return current.kind == .identifier && current.text.lowercased() == (isAnd ? "and" : "or")
    }

    private mutating func reportWord(_ word: Token, isAnd: Bool) {
        report(
            .wordOperator, "`\(word.text)` is no operator of CEL", at: word.location,
            help: "use \(isAnd ? "&&" : "||") for \"\(word.text.lowercased())\"")
    }

    private static func binaryOperator(_ kind: TokenKind) -> (Operator, precedence: Int)? {
        switch kind {
        case .less: (.less, 1)
        case .lessEqual: (.lessEqual, 1)
        case .greater: (.greater, 1)
        case .greaterEqual: (.greaterEqual, 1)
        case .equal: (.equal, 1)
        case .notEqual: (.notEqual, 1)
        case .in: (.in, 1)
        case .plus: (.add, 2)
        case .minus: (.subtract, 2)
        case .star: (.multiply, 3)
        case .slash: (.divide, 3)
        case .percent: (.modulo, 3)
        default: nil
        }
    }

    private mutating func binary(minimum: Int) -> Int {
        var left = unary()
        while let (operation, precedence) = Parser.binaryOperator(current.kind), precedence >= minimum {
            _ = take()
            let right = binary(minimum: precedence + 1)
            left = add(.binary(operation, left, right), at: span(left, right), children: left, right)
            if hasFailed { return left }
        }
        return left
    }

    private mutating func unary() -> Int {
        let start = current
        switch start.kind {
        case .not, .minus:
            var count = 0
            while current.kind == start.kind {
                count += 1
                _ = take()
            }
            let isNumber = current.kind == .int || current.kind == .double
            let isSigned = start.kind == .minus && isNumber
            let operand = isSigned ? member(signedFrom: tokens[position - 1].location) : member(signedFrom: nil)
            if isSigned { count -= 1 }
            guard count % 2 == 1 else { return operand }
            let location = start.location.through(tree.nodes[operand].location)
            return add(.unary(start.kind == .not ? .not : .negate, operand), at: location, children: operand)
        case .identifier where start.text.lowercased() == "not" && startsOperand(after: position):
            report(
                .wordOperator, "`\(start.text)` is no operator of CEL", at: start.location, help: "use ! for \"not\"")
            _ = take()
            let operand = member(signedFrom: nil)
            return add(.unary(.not, operand), at: start.location, children: operand)
        default: return member(signedFrom: nil)
        }
    }

    /// Whether the token after a position can begin an operand, so that a name before it must be meant as an operator.
    private func startsOperand(after position: Int) -> Bool {
        guard position + 1 < tokens.count else { return false }
        switch tokens[position + 1].kind {
        case .identifier, .int, .uint, .double, .string, .bytes, .true, .false, .null: return true
        default: return false
        }
    }

    // MARK: Expectations

    mutating func expect(_ kind: TokenKind, _ what: String) -> Bool {
        if takeIf(kind) { return true }
        fail(.syntax, "expected \(what), found \(current.shown)", at: current.location)
        return false
    }

    /// What stands after a complete expression.
    private mutating func unexpectedEnd() {
        let token = current
        var help: String?
        switch (token.kind, token.text.lowercased()) {
        case (.identifier, "is"): help = "use == to compare, also with null"
        case (.identifier, "like"): help = "use .contains(\"…\"), .startsWith(\"…\") or .matches(\"…\")"
        case (.identifier, "between"): help = "write low <= x && x <= high"
        case (.identifier, "not"): help = "write !(x in [a, b])"
        case (.identifier, "then"), (.identifier, "if"): help = "write condition ? value : otherwise"
        case (.colon, _): help = "in a rule file, put the expression into quotes or a block (`when: >`)"
        case (.identifier, _), (.string, _), (.int, _), (.double, _):
            help = "an operator such as == or && is missing before it"
        case (.rightParenthesis, _), (.rightBracket, _), (.rightBrace, _): help = "nothing opens it"
        default: break
        }
        fail(.syntax, "expected an operator or the end, found \(token.shown)", at: token.location, help: help)
    }
}
