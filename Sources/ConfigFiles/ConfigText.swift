public import Core

/// A text of a configuration file that knows where each of its scalars stands, for expressions and templates.
public struct ConfigText: Sendable {
    public let value: String
    /// The scalar the text was read from.
    public let node: ConfigNode

    init(value: String, node: ConfigNode) {
        self.value = value
        self.node = node
    }

    /// The file, as diagnostics show it.
    public var file: String { node.source.file }
    /// Where the scalar starts (the quote of a quoted one, the `|` of a block).
    public var position: SourcePosition { node.position }
    /// How many scalars of the first line the scalar covers.
    public var length: Int { node.length }

    /// Maps the text to the file: exact for plain, quoted, literal and folded scalars.
    public var segments: [SourceSegment] {
        guard let scalar = node.scalar, scalar.text == value else { return [fallback] }
        let places = ScalarWalker.places(of: scalar, at: node)
        guard let places else { return [fallback] }
        return ScalarWalker.segments(value: value, places: places, empty: fallback)
    }

    /// The file's line and column of the start of each line of the text.
    public var lineStarts: [(line: Int, column: Int)] {
        let map = segments
        let count = 1 + value.unicodeScalars.count { $0 == "\n" }
        return (1...count).map { SourceSegment.place(line: $0, column: 1, in: map) }
    }

    /// Where a place of the text (1-based line and column in scalars) stands in the file.
    public func position(line: Int, column: Int) -> SourcePosition {
        let place = SourceSegment.place(line: line, column: column, in: segments)
        return node.source.position(line: place.line, column: place.column)
    }

    private var fallback: SourceSegment {
        SourceSegment(textLine: 1, textColumn: 1, line: node.line, column: node.column)
    }
}
