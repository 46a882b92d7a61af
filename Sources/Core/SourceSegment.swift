/// A run of a text that stands unbroken in a file: where it starts in the text and where in the file.
///
/// The segments of a text, in order, map each of its scalars to the file, also inside folded and quoted YAML scalars.
/// All numbers are 1-based; columns count Unicode scalars.
public struct SourceSegment: Sendable, Hashable {
    public var textLine: Int
    public var textColumn: Int
    public var line: Int
    public var column: Int

    /// Says that the text's `textLine:textColumn` stands at the file's `line:column`.
    public init(textLine: Int, textColumn: Int, line: Int, column: Int) {
        self.textLine = textLine
        self.textColumn = textColumn
        self.line = line
        self.column = column
    }

    /// The file's line and column of a place in the text, by the last segment at or before it.
    public static func place(line: Int, column: Int, in segments: [SourceSegment]) -> (line: Int, column: Int) {
        let segment = segments.last { ($0.textLine, $0.textColumn) <= (line, column) } ?? segments.first
        guard let segment else { return (line, column) }
        let offset = segment.textLine == line ? column - segment.textColumn : 0
        return (segment.line, segment.column + max(0, offset))
    }
}
