/// A position in a file: 1-based line and column (in Unicode scalars).
public struct SourcePosition: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    /// Names a position in a file.
    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    public static func < (left: SourcePosition, right: SourcePosition) -> Bool {
        (left.file, left.line, left.column) < (right.file, right.line, right.column)
    }

    /// `file:line:column`.
    public var description: String { "\(file):\(line):\(column)" }
}

/// What a rule author or operator got wrong, where, and what to do.
public struct Diagnostic: Sendable, Equatable {
    /// Whether the file can be used in spite of it.
    public enum Level: String, Sendable { case error, warning }

    /// Another place that explains the diagnostic.
    public struct Note: Sendable, Equatable {
        public var position: SourcePosition?
        public var message: String
        /// Makes a note.
        public init(position: SourcePosition?, message: String) {
            self.position = position
            self.message = message
        }
    }

    public var level: Level
    /// A stable code such as `R012`; each has a page in docs/diagnostics.md.
    public var code: String
    /// Lower case, no final period: a rule, not a complaint.
    public var message: String
    public var position: SourcePosition
    /// How many scalars the caret underlines; at least 1.
    public var length: Int
    /// The fix, where one can be suggested.
    public var help: String?
    public var notes: [Note]
    /// What stands at the position may be a secret: the line of the file is shown up to it only.
    public var isSourceSecret = false

    /// Makes a diagnostic.
    public init(
        level: Level = .error, code: String, message: String, position: SourcePosition, length: Int = 1,
        help: String? = nil, notes: [Note] = []
    ) {
        self.level = level
        self.code = code
        self.message = message
        self.position = position
        self.length = max(length, 1)
        self.help = help
        self.notes = notes
    }

    /// The diagnostic as an author reads it: position, line of the file, caret, help.
    ///
    /// - Parameter source: the whole text of the file; without it only the first line and the help are given.
    public func rendered(source: String?) -> String {
        var text = "\(position): \(level.rawValue)[\(code)]: \(message)"
        if let source, !source.isEmpty, let line = Diagnostic.line(position.line, of: source) {
            let number = String(position.line)
            let gutter = String(repeating: " ", count: max(0, 5 - number.count)) + number
            let scalars = Array(line.unicodeScalars)
            // A tab stays a tab, so that the caret stands below what it means at any tab width.
            let before = scalars.prefix(max(0, position.column - 1))
                .map { $0 == "\t" ? "\t" : " " }.joined()
            let room = max(1, scalars.count - position.column + 1)
            let marks = "^" + String(repeating: "~", count: max(0, min(length, room) - 1))
            let shown =
                isSourceSecret
                ? String(String.UnicodeScalarView(scalars.prefix(max(0, position.column - 1)))) + "(not shown)" : line
            text += "\n\(gutter) | \(shown)\n      | \(before)\(isSourceSecret ? "^" : marks)"
        }
        if let help { text += "\n  help: \(help)" }
        for note in notes {
            text += "\n  note: \(note.position.map { "\($0): " } ?? "")\(note.message)"
        }
        return text
    }

    private static func line(_ number: Int, of source: String) -> String? {
        var current = 1
        for line in source.split(separator: "\n", omittingEmptySubsequences: false) {
            if current == number { return line.hasSuffix("\r") ? String(line.dropLast()) : String(line) }
            current += 1
        }
        return nil
    }
}

/// Suggestions for misspelt names.
public enum Spelling {
    /// The candidate nearest to `name`, if it is near enough to be meant (edit distance up to a third of its length).
    public static func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
        let limit = max(1, max(name.count, 3) / 3)
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let distance = editDistance(name.lowercased(), candidate.lowercased(), limit: limit)
            guard distance <= limit else { continue }
            if best.map({ (distance, candidate) < ($0.distance, $0.candidate) }) ?? true {
                best = (candidate, distance)
            }
        }
        return best?.candidate
    }

    /// Edits (insert, delete, replace, swap of neighbours) from one text to the other; above `limit` it may stop early.
    public static func editDistance(_ left: String, _ right: String, limit: Int) -> Int {
        let from = Array(left.unicodeScalars)
        let to = Array(right.unicodeScalars)
        guard abs(from.count - to.count) <= limit else { return limit + 1 }
        var beforeLast: [Int] = []
        var last = Array(0...to.count)
        for row in 0..<from.count {
            var current = [row + 1]
            for column in 0..<to.count {
                let cost = from[row] == to[column] ? 0 : 1
                var value = min(last[column] + cost, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, from[row] == to[column - 1], from[row - 1] == to[column] {
                    value = min(value, beforeLast[column - 1] + 1)
                }
                current.append(value)
            }
            beforeLast = last
            last = current
        }
        return last[to.count]
    }
}
