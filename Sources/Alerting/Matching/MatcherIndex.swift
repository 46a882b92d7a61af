/// Finds the few of many match expressions that may match an alert, by the texts they want of a label.
struct MatcherIndex<ID: Hashable & Sendable>: Sendable {
    private struct Bucket: Hashable {
        var name: String
        var text: String
    }

    private var buckets: [Bucket: [ID]] = [:]
    /// How many expressions stand under each label.
    private var names: [String: Int] = [:]
    /// Those that name no text, in the order in which they came.
    private var others: [ID] = []

    /// Adds an expression.
    mutating func insert(_ id: ID, _ expression: MatchExpression) {
        guard let (name, texts) = MatcherIndex.key(of: expression) else {
            others.append(id)
            return
        }
        for text in texts { buckets[Bucket(name: name, text: text), default: []].append(id) }
        names[name, default: 0] += 1
    }

    /// Removes an expression that was added under this id.
    mutating func remove(_ id: ID, _ expression: MatchExpression) {
        guard let (name, texts) = MatcherIndex.key(of: expression) else {
            others.removeAll { $0 == id }
            return
        }
        for text in texts {
            let bucket = Bucket(name: name, text: text)
            buckets[bucket]?.removeAll { $0 == id }
            if buckets[bucket]?.isEmpty == true { buckets[bucket] = nil }
        }
        names[name, default: 1] -= 1
        if names[name] == 0 { names[name] = nil }
    }

    /// Calls the body with every expression that may match, each once.
    func forEachCandidate(_ subject: AlertSubject, _ body: (ID) -> Void) {
        for name in names.keys {
            for id in buckets[Bucket(name: name, text: subject.label(name))] ?? [] { body(id) }
        }
        for id in others { body(id) }
    }

    /// The label and the texts under which an expression stands: those of the matcher with the fewest texts.
    ///
    /// Labels that many alerts share (`severity`, `team`) come after those that tell alerts apart.
    private static func key(of expression: MatchExpression) -> (name: String, texts: [String])? {
        guard case .labels(let matchers) = expression else { return nil }
        let wide: Set<String> = ["severity", "owner", "team", "table", "alertname"]
        let candidates = matchers.compactMap { matcher in matcher.texts.map { (name: matcher.name, texts: $0) } }
        return candidates.min {
            (wide.contains($0.name) ? 1 : 0, $0.texts.count, $0.name)
                < (wide.contains($1.name) ? 1 : 0, $1.texts.count, $1.name)
        }
    }
}
