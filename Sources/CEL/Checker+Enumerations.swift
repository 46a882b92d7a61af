internal import Core

/// Comparisons with a value of an enumeration: its names, written as texts, become their numbers when compiled.
///
/// So `severity >= "error"` compares by rank, never by letters, and a misspelt name is an error.
extension Checker {
    private func enumeration(_ node: Int) -> (type: CELType, names: [String])? {
        guard case .message(let name) = checked.types[node], let names = environment.enumerations[name] else {
            return nil
        }
        return (checked.types[node], names)
    }

    /// The type of a comparison with a value of an enumeration; nil where neither side is one.
    mutating func enumerated(_ operation: Operator, _ left: Int, _ right: Int) -> CELType? {
        switch operation {
        case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual:
            for (value, other) in [(left, right), (right, left)] {
                guard let enumeration = enumeration(value) else { continue }
                if checked.types[other] == enumeration.type { return .bool }
                return number(other, enumeration.names, beside: value) ? .bool : .error
            }
            return nil
        case .in:
            guard let enumeration = enumeration(left), case .list(let elements, _) = tree[right].kind else {
                return nil
            }
            var isRight = true
            for element in elements where !number(element, enumeration.names, beside: left) { isRight = false }
            return isRight ? .bool : .error
        default: return nil
        }
    }

    /// Replaces a literal name by its number; reports what is no name.
    private mutating func number(_ node: Int, _ names: [String], beside value: Int) -> Bool {
        let quoted = names.map { "\"\($0)\"" }.joined(separator: ", ")
        guard case .literal(.string(let text)) = tree[node].kind else {
            if checked.types[node] == .error { return false }
            report(
                .noName, "\(shown(value) ?? "this") compares with one of its names only, not with \(described(node))",
                at: node, help: "write one of \(quoted)")
            return false
        }
        guard let number = names.firstIndex(of: text) else {
            report(
                .noName, "\(shown(value) ?? "this") is never \"\(text)\"", at: node,
                help: Spelling.nearest(to: text, among: names).map { "did you mean \"\($0)\"?" }
                    ?? "write one of \(quoted)")
            return false
        }
        checked.tree.nodes[node].kind = .literal(.int(Int64(number)))
        checked.types[node] = .int
        return true
    }
}
