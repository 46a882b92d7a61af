internal import ConfigFiles
internal import Core

/// Finds routes that no alert reaches and matchers that say nothing.
struct RouteLint {
    private let reader: ConfigReader
    /// How many routes were looked at.
    private(set) var count = 0

    init(reader: ConfigReader) { self.reader = reader }

    /// What holds for every alert that comes to a list of routes, and who says so.
    private struct Given {
        var text: String
        var position: SourcePosition
    }

    mutating func check(_ drafts: [RouteDraft]) {
        var names: [String: SourcePosition] = [:]
        check(drafts, given: [], names: &names)
    }

    private mutating func check(_ drafts: [RouteDraft], given: [Given], names: inout [String: SourcePosition]) {
        var earlier = Siblings()
        for draft in drafts {
            count += 1
            checkName(draft, &names)
            let own = RouteTerms(draft.expression)
            checkReachable(draft, own, after: earlier)
            checkShadowed(draft, own, given)
            if !draft.continues, !draft.hasExpression || draft.expression != nil { earlier.add(draft, own) }
            let inner = given + own.texts.map { Given(text: $0, position: draft.expressionPosition) }
            check(draft.children, given: inner, names: &names)
        }
    }

    private func checkName(_ draft: RouteDraft, _ names: inout [String: SourcePosition]) {
        guard let name = draft.name else { return }
        guard let first = names[name.value] else {
            names[name.value] = name.position
            return
        }
        reader.report(
            Diagnostic(
                code: RoutingCode.name, message: "a route's name must be unique; found '\(name.value)' again",
                position: name.position, length: name.length, help: "rename one of them",
                notes: [.init(position: first, message: "'\(name.value)' is first used here")]))
    }

    private func checkReachable(_ draft: RouteDraft, _ own: RouteTerms, after earlier: Siblings) {
        guard !draft.hasExpression || draft.expression != nil, let other = earlier.first(covering: own) else { return }
        reader.report(
            Diagnostic(
                level: .warning, code: RoutingCode.unreachable,
                message: "no alert reaches this route: one before it takes "
                    + (RouteTerms(other.expression).texts.isEmpty ? "every alert" : "all of its alerts"),
                position: draft.position, help: "put it before the other, or write 'continue: true' there",
                notes: [.init(position: other.position, message: "this route is taken instead")]))
    }

    /// The routes before one, by one of their terms, so that many routes are checked in little time.
    private struct Siblings {
        private var byTerm: [String: [(draft: RouteDraft, terms: RouteTerms)]] = [:]
        private var first: RouteDraft?

        mutating func add(_ draft: RouteDraft, _ terms: RouteTerms) {
            if let term = terms.texts.min() {
                byTerm[term, default: []].append((draft, terms))
            } else if first == nil {
                first = draft
            }
        }

        /// A route that takes every alert that has the terms.
        func first(covering terms: RouteTerms) -> RouteDraft? {
            if let first { return first }
            for term in terms.texts.sorted() {
                for sibling in byTerm[term] ?? [] where sibling.terms.texts.isSubset(of: terms.texts) {
                    return sibling.draft
                }
            }
            return nil
        }
    }

    private func checkShadowed(_ draft: RouteDraft, _ own: RouteTerms, _ given: [Given]) {
        let inherited = Dictionary(given.map { ($0.text, $0.position) }, uniquingKeysWith: { first, _ in first })
        let all = own.texts.union(inherited.keys)
        if let (one, other) = RouteTerms.contradiction(in: all, touching: own.texts) {
            let place = inherited[one] ?? inherited[other]
            return reader.report(
                Diagnostic(
                    level: .warning, code: RoutingCode.shadowed,
                    message: "no alert reaches this route: \(one) and \(other) never hold together",
                    position: draft.expressionPosition,
                    notes: place.map { [.init(position: $0, message: "the other stands here")] } ?? []))
        }
        for text in own.texts.sorted() {
            guard let place = inherited[text] else { continue }
            reader.report(
                Diagnostic(
                    level: .warning, code: RoutingCode.shadowed, message: "\(text) always holds here",
                    position: draft.expressionPosition, help: "remove it",
                    notes: [.init(position: place, message: "a route around this one has it already")]))
        }
    }

    /// Warns of receivers that nothing names.
    static func unused(_ declared: [ConfigText], used: Set<String>, reader: ConfigReader) {
        for name in declared where !used.contains(name.value) {
            reader.report(
                Diagnostic(
                    level: .warning, code: RoutingCode.unusedReceiver,
                    message: "nothing is ever told to the receiver '\(name.value)'", position: name.position,
                    length: name.length, help: "name it in a route or in a rule's 'notify', or remove it"))
        }
    }
}

/// The terms of an expression that must all hold, in one spelling for matchers and CEL: `team="x"`.
struct RouteTerms {
    var texts: Set<String>

    init(_ expression: MatchExpression?) {
        switch expression {
        case nil: texts = []
        case .labels(let matchers): texts = Set(matchers.map(\.description))
        case .cel(let condition):
            texts = Set(RouteTerms.conjuncts(condition.text).map(RouteTerms.spelling)).subtracting(["true"])
        }
    }

    /// Two terms that want different texts of one label, at least one of them among `touching`.
    static func contradiction(in terms: Set<String>, touching: Set<String>) -> (String, String)? {
        var wanted: [String: (term: String, value: String)] = [:]
        for term in terms.sorted() {
            guard let matcher = try? LabelMatcher.parseOne(term), !matcher.isRegex, matcher.isEqual else { continue }
            guard let other = wanted[matcher.name] else {
                wanted[matcher.name] = (term, matcher.value)
                continue
            }
            if other.value != matcher.value, touching.contains(term) || touching.contains(other.term) {
                return (other.term, term)
            }
        }
        return nil
    }

    /// The parts of a CEL text between `&&`; the whole text where it has an operator that binds less.
    static func conjuncts(_ text: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var depth = 0
        var quote: Character?
        var previous: Character?
        var isEscaped = false
        for character in text {
            if let open = quote {
                part.append(character)
                if isEscaped {
                    isEscaped = false
                } else if character == "\\" {
                    isEscaped = true
                } else if character == open {
                    quote = nil
                }
                continue
            }
            switch character {
            case "\"", "'": quote = character
            case "(", "[", "{": depth += 1
            case ")", "]", "}": depth -= 1
            case "?" where depth == 0: return [text]
            case "|" where depth == 0: return [text]
            case "&" where depth == 0 && previous == "&":
                part.removeLast()
                parts.append(part)
                part = ""
                previous = nil
                continue
            default: break
            }
            part.append(character)
            previous = character
        }
        return parts + [part]
    }

    /// `labels.team == "x"` and `severity == "error"` as the matchers that mean the same; other terms without blanks.
    private static func spelling(_ term: String) -> String {
        let trimmed = term.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let sides = trimmed.components(around: " == ")
        guard let (name, value) = sides else { return trimmed }
        let label: String
        if name.hasPrefix("labels."), name.dropFirst(7).allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) {
            label = String(name.dropFirst(7))
        } else if name == "severity" {
            label = name
        } else {
            return trimmed
        }
        guard value.count >= 2, value.first == "\"", value.last == "\"",
            !value.dropFirst().dropLast().contains(where: { $0 == "\"" || $0 == "\\" })
        else { return trimmed }
        return LabelMatcher(label, equals: String(value.dropFirst().dropLast())).description
    }
}

extension String {
    /// What stands before and after the only occurrence of a text.
    fileprivate func components(around separator: String) -> (String, String)? {
        guard let range = firstRange(of: separator) else { return nil }
        let rest = self[range.upperBound...]
        return (String(self[..<range.lowerBound]), String(rest))
    }
}
