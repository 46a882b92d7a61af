internal import Core

/// Walks the source of a YAML scalar beside its value and notes where each scalar of the value stands.
///
/// The result is compared with the value that the YAML parser gave, so a wrong walk is never used.
struct ScalarWalker {
    struct Place: Equatable {
        var line: Int
        var column: Int
    }

    private let source: ConfigSource
    private let wanted: Int
    private var line: Int
    /// 0-based index into `scalars`.
    private var index: Int
    private var scalars: [Unicode.Scalar]
    private var value: [Unicode.Scalar] = []
    private var places: [Place] = []

    private init(source: ConfigSource, line: Int, column: Int, wanted: Int) {
        self.source = source
        self.wanted = wanted
        self.line = line
        index = column - 1
        scalars = source.line(line)
    }

    /// The places of all scalars of the value; nil where the walk did not give the value.
    static func places(of scalar: ConfigScalar, at node: ConfigNode) -> [Place]? {
        let expected = Array(scalar.text.unicodeScalars)
        var walker = ScalarWalker(source: node.source, line: node.line, column: node.column, wanted: expected.count)
        walker.skipProperties()
        switch scalar.style {
        case .plain: walker.walkFlow(quote: nil)
        case .singleQuoted: walker.walkFlow(quote: "'")
        case .doubleQuoted: walker.walkFlow(quote: "\"")
        case .literal: walker.walkBlock(folded: false, expected: expected)
        case .folded: walker.walkBlock(folded: true, expected: expected)
        }
        return walker.value == expected ? walker.places : nil
    }

    /// Joins places that follow each other into segments.
    static func segments(value: String, places: [Place], empty: SourceSegment) -> [SourceSegment] {
        var segments: [SourceSegment] = []
        var textLine = 1
        var textColumn = 1
        var next: Place?
        for (scalar, place) in zip(value.unicodeScalars, places) {
            if place != next || textColumn == 1 {
                segments.append(
                    SourceSegment(
                        textLine: textLine, textColumn: textColumn, line: place.line, column: place.column))
            }
            next = Place(line: place.line, column: place.column + 1)
            if scalar == "\n" {
                textLine += 1
                textColumn = 1
                next = nil
            } else {
                textColumn += 1
            }
        }
        return segments.isEmpty ? [empty] : segments
    }

    // MARK: - Steps

    private var isDone: Bool { value.count >= wanted }
    private var isAtLineEnd: Bool { index >= scalars.count }
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || scalar == "\t" }

    private mutating func emit(_ scalar: Unicode.Scalar, line: Int, column: Int) {
        guard !isDone else { return }
        value.append(scalar)
        places.append(Place(line: line, column: column))
    }

    private mutating func advanceLine() -> Bool {
        guard line < source.lineCount else { return false }
        line += 1
        scalars = source.line(line)
        index = 0
        return true
    }

    private mutating func skipBlanks() {
        while index < scalars.count, ScalarWalker.isBlank(scalars[index]) { index += 1 }
    }

    /// An anchor or a tag may stand before the scalar.
    private mutating func skipProperties() {
        while index < scalars.count, scalars[index] == "&" || scalars[index] == "!" {
            while index < scalars.count, !ScalarWalker.isBlank(scalars[index]) { index += 1 }
            skipBlanks()
            while isAtLineEnd, advanceLine() { skipBlanks() }
        }
    }

    // MARK: - Plain and quoted scalars

    private mutating func walkFlow(quote: Unicode.Scalar?) {
        if let quote {
            guard index < scalars.count, scalars[index] == quote else { return }
            index += 1
        }
        while !isDone {
            if scalars[min(index, scalars.count)...].allSatisfy(ScalarWalker.isBlank) {
                guard foldFlowBreak() else { return }
            } else if scalars[index] == "\\", quote == "\"" {
                guard walkEscape() else { return }
            } else if let quote, scalars[index] == quote {
                guard quote == "'", index + 1 < scalars.count, scalars[index + 1] == quote else { return }
                emit(quote, line: line, column: index + 1)
                index += 2
            } else {
                emit(scalars[index], line: line, column: index + 1)
                index += 1
            }
        }
    }

    /// At the end of a line of a plain or quoted scalar: one break is a blank, n breaks are n - 1 breaks.
    private mutating func foldFlowBreak() -> Bool {
        var breaks: [Place] = []
        repeat {
            breaks.append(Place(line: line, column: index + 1))
            guard advanceLine() else { return false }
            skipBlanks()
        } while isAtLineEnd
        if breaks.count == 1 {
            emit(" ", line: breaks[0].line, column: breaks[0].column)
        } else {
            for place in breaks.dropLast() { emit("\n", line: place.line, column: place.column) }
        }
        return true
    }

    private mutating func walkEscape() -> Bool {
        let start = index
        index += 1
        guard index < scalars.count else {
            // A backslash before the break joins the lines without a blank; empty lines between them stay breaks.
            guard advanceLine() else { return false }
            skipBlanks()
            while isAtLineEnd {
                emit("\n", line: line, column: 1)
                guard advanceLine() else { return false }
                skipBlanks()
            }
            return true
        }
        let letter = scalars[index]
        index += 1
        let digitCount: Int
        switch letter {
        case "x": digitCount = 2
        case "u": digitCount = 4
        case "U": digitCount = 8
        default:
            guard let scalar = ScalarWalker.escapes[letter] else { return false }
            emit(scalar, line: line, column: start + 1)
            return true
        }
        guard index + digitCount <= scalars.count else { return false }
        let digits = String(String.UnicodeScalarView(scalars[index..<index + digitCount]))
        guard let number = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(number) else { return false }
        index += digitCount
        emit(scalar, line: line, column: start + 1)
        return true
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "0": "\0", "a": "\u{07}", "b": "\u{08}", "t": "\t", "\t": "\t", "n": "\n", "v": "\u{0B}", "f": "\u{0C}",
        "r": "\r", "e": "\u{1B}", " ": " ", "\"": "\"", "/": "/", "\\": "\\", "N": "\u{85}", "_": "\u{A0}",
        "L": "\u{2028}", "P": "\u{2029}", "'": "'",
    ]

    // MARK: - Block scalars

    private mutating func walkBlock(folded: Bool, expected: [Unicode.Scalar]) {
        guard index < scalars.count, scalars[index] == (folded ? ">" : "|"), advanceLine() else { return }
        let indent = blockIndent(expected: expected)
        // Empty lines at the start are breaks.
        while !isDone, scalars.count <= indent, scalars.allSatisfy({ $0 == " " }) {
            emit("\n", line: line, column: scalars.count + 1)
            guard advanceLine() else { return }
        }
        while !isDone {
            index = indent
            let isMoreIndented = index < scalars.count && ScalarWalker.isBlank(scalars[index])
            while index < scalars.count {
                emit(scalars[index], line: line, column: index + 1)
                index += 1
            }
            guard !isDone, walkBlockBreaks(folded: folded, indent: indent, isMoreIndented: isMoreIndented) else {
                return
            }
        }
    }

    /// The breaks between two lines of text, as literal or folded scalars keep them.
    private mutating func walkBlockBreaks(folded: Bool, indent: Int, isMoreIndented: Bool) -> Bool {
        var breaks = [Place(line: line, column: scalars.count + 1)]
        var isAtEnd = !advanceLine()
        while !isAtEnd, scalars.count <= indent, scalars.allSatisfy({ $0 == " " }) {
            breaks.append(Place(line: line, column: scalars.count + 1))
            isAtEnd = !advanceLine()
        }
        let isFinal = isAtEnd || scalars.prefix(indent).contains { $0 != " " } || scalars.count <= indent
        let nextIsMoreIndented = !isFinal && ScalarWalker.isBlank(scalars[indent])
        if !folded || isFinal || isMoreIndented || nextIsMoreIndented {
            for place in breaks { emit("\n", line: place.line, column: place.column) }
        } else if breaks.count == 1 {
            emit(" ", line: breaks[0].line, column: breaks[0].column)
        } else {
            for place in breaks.dropFirst() { emit("\n", line: place.line, column: place.column) }
        }
        return !isFinal
    }

    /// Blanks before the block's text: what its first line with text has more in the file than in the value.
    private func blockIndent(expected: [Unicode.Scalar]) -> Int {
        var number = line
        while number <= source.lineCount {
            let scalars = source.line(number)
            let blanks = scalars.prefix { $0 == " " }.count
            if blanks < scalars.count {
                let first = expected.split(separator: "\n").first { $0.contains { $0 != " " } } ?? []
                return max(0, blanks - first.prefix { $0 == " " }.count)
            }
            number += 1
        }
        return 0
    }
}
