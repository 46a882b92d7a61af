public import Core

/// The text of one configuration file, line breaks as `\n`, for positions and for showing lines under diagnostics.
public final class ConfigSource: Sendable {
    /// The file's name as given, as diagnostics show it.
    public let file: String
    /// The whole text.
    public let text: String
    private let lineStarts: [String.Index]

    /// Keeps a text; `\r\n` and `\r` become `\n`, a byte order mark is dropped.
    public init(file: String, text: String) {
        self.file = file
        let scalars = text.unicodeScalars
        if scalars.contains("\r") || scalars.first == "\u{FEFF}" {
            var clean = String.UnicodeScalarView()
            var previous: Unicode.Scalar?
            for scalar in scalars {
                defer { previous = scalar }
                if scalar == "\u{FEFF}", previous == nil { continue }
                if scalar == "\n", previous == "\r" { continue }
                clean.append(scalar == "\r" ? "\n" : scalar)
            }
            self.text = String(clean)
        } else {
            self.text = text
        }
        var starts = [self.text.startIndex]
        var index = self.text.startIndex
        let utf8 = self.text.utf8
        while index < utf8.endIndex {
            let next = utf8.index(after: index)
            if utf8[index] == 0x0A { starts.append(next) }
            index = next
        }
        lineStarts = starts
    }

    /// How many lines the text has; at least 1.
    public var lineCount: Int { lineStarts.count }

    /// The scalars of a line (1-based), without its break; empty for a line that does not exist.
    public func line(_ number: Int) -> [Unicode.Scalar] {
        guard number >= 1, number <= lineStarts.count else { return [] }
        let start = lineStarts[number - 1]
        let end = number < lineStarts.count ? lineStarts[number] : text.endIndex
        var scalars = Array(text.unicodeScalars[start..<end])
        if scalars.last == "\n" { scalars.removeLast() }
        return scalars
    }

    /// A position in this file.
    public func position(line: Int, column: Int) -> SourcePosition {
        SourcePosition(file: file, line: line, column: column)
    }
}
