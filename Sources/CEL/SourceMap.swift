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
        init(file: String, lines: [(line: Int, column: Int)]) {
            self.file = file
            self.lines = lines
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

    /// An expression that is a file of its own.
    public init(file: String) {
        storage = Storage(file: file, lines: [(1, 1)])
    }

    /// The file's name.
    public var file: String { storage.file }

    /// The position in the file of a 0-based line and scalar column of the expression.
    public func position(line: Int, scalarColumn: Int) -> SourcePosition {
        let lines = storage.lines
        guard let last = lines.last else { return SourcePosition(file: file, line: line + 1, column: scalarColumn + 1) }
        guard line >= lines.count else {
            let start = lines[max(0, line)]
            return SourcePosition(file: file, line: start.line, column: start.column + scalarColumn)
        }
        return SourcePosition(
            file: file, line: last.line + line - (lines.count - 1), column: last.column + scalarColumn)
    }

    internal func position(_ location: Location) -> SourcePosition {
        position(line: Int(location.line), scalarColumn: Int(location.column))
    }

    public static func == (left: SourceMap, right: SourceMap) -> Bool {
        left.storage === right.storage
            || (left.file == right.file
                && left.storage.lines.elementsEqual(right.storage.lines) { $0.line == $1.line && $0.column == $1.column })
    }
}
