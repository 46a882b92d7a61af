public import Core

/// A place in an expression: 0-based line and column, in Unicode scalars, with a length.
internal struct Location: Sendable, Hashable {
    var line: Int32 = 0
    var column: Int32 = 0
    var length: Int32 = 0
    /// UTF-8 offset of its start; where texts span several lines this orders them.
    var offset: Int32 = 0

    /// From the start of this place to the end of the other, if both are on one line; else this place.
    func through(_ end: Location) -> Location {
        guard end.line == line, end.column + end.length > column else { return self }
        var joined = self
        joined.length = end.column + end.length - column
        return joined
    }
}

/// Maps lines and columns of an expression to positions in the file that holds it.
///
/// A block scalar of YAML keeps its lines, each with the column where its text starts; copies share their storage.
public struct SourceMap: Sendable, Equatable {
    private final class Storage: Sendable {
        let file: String
        let lines: [(line: Int, column: Int)]
        /// Used instead of the lines when there are any.
        let segments: [SourceSegment]
        init(file: String, lines: [(line: Int, column: Int)], segments: [SourceSegment] = []) {
            self.file = file
            self.lines = lines
            self.segments = segments
        }
    }
    private let storage: Storage

    /// Says where each line of an expression starts in its file.
    ///
    /// - Parameter lines: 1-based line and column of the first scalar of each line of the expression, in order. An
    ///   expression with more lines than given continues line by line at the last column.
    public init(file: String, lines: [(line: Int, column: Int)]) {
        storage = Storage(file: file, lines: lines)
    }

    /// Says where each run of an expression stands in its file: also right inside folded and quoted scalars.
    public init(file: String, segments: [SourceSegment]) {
        storage = Storage(file: file, lines: [], segments: segments)
    }

    /// An expression that is a file of its own.
    public init(file: String) {
        storage = Storage(file: file, lines: [(1, 1)])
    }

    /// The file's name.
    public var file: String { storage.file }

    /// The position in the file of a 0-based line and scalar column of the expression.
    public func position(line: Int, scalarColumn: Int) -> SourcePosition {
        guard storage.segments.isEmpty else {
            let place = SourceSegment.place(line: line + 1, column: scalarColumn + 1, in: storage.segments)
            return SourcePosition(file: file, line: place.line, column: place.column)
        }
        let lines = storage.lines
        guard let last = lines.last else { return SourcePosition(file: file, line: line + 1, column: scalarColumn + 1) }
        guard line >= lines.count else {
            let start = lines[max(0, line)]
            return SourcePosition(file: file, line: start.line, column: start.column + scalarColumn)
        }
        return SourcePosition(
            file: file, line: last.line + line - (lines.count - 1), column: last.column + scalarColumn)
    }

    /// The map of what follows a 0-based line and scalar column of this text, such as an expression inside a template.
    public func starting(atLine line: Int, scalarColumn: Int) -> SourceMap {
        let start = position(line: line, scalarColumn: scalarColumn)
        guard storage.segments.isEmpty else {
            let first = SourceSegment(textLine: 1, textColumn: 1, line: start.line, column: start.column)
            let rest = storage.segments.filter { ($0.textLine, $0.textColumn) > (line + 1, scalarColumn + 1) }
            let moved = rest.map { segment in
                SourceSegment(
                    textLine: segment.textLine - line,
                    textColumn: segment.textColumn - (segment.textLine == line + 1 ? scalarColumn : 0),
                    line: segment.line, column: segment.column)
            }
            return SourceMap(file: file, segments: [first] + moved)
        }
        return SourceMap(file: file, lines: [(start.line, start.column)] + storage.lines.dropFirst(line + 1))
    }

    internal func position(_ location: Location) -> SourcePosition {
        position(line: Int(location.line), scalarColumn: Int(location.column))
    }

    public static func == (left: SourceMap, right: SourceMap) -> Bool {
        left.storage === right.storage
            || (left.file == right.file && left.storage.segments == right.storage.segments
                && left.storage.lines.elementsEqual(right.storage.lines) {
                    $0.line == $1.line && $0.column == $1.column
                })
    }
}
