import Core
import Foundation

/// What commands print: results to standard output, complaints to standard error.
enum Output {
    /// Writes a line to standard output.
    static func line(_ text: String = "") { write(text + "\n", to: .standardOutput) }
    /// Writes text as it is to standard output.
    static func text(_ text: String) { write(text, to: .standardOutput) }
    /// Writes bytes as they are to standard output.
    static func bytes(_ bytes: [UInt8]) { try? FileHandle.standardOutput.write(contentsOf: Data(bytes)) }
    /// Writes a line to standard error.
    static func error(_ text: String) { write(text + "\n", to: .standardError) }

    private static func write(_ text: String, to handle: FileHandle) {
        // A closed pipe is not our error to report; SIGPIPE is ignored at start.
        try? handle.write(contentsOf: Data(text.utf8))
    }

    /// Whether standard output is a terminal.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Writes rows as a table with aligned columns; the last column is as long as it is.
    static func table(_ header: [String], _ rows: [[String]]) {
        var widths = header.map(\.count)
        for row in rows {
            for (index, cell) in row.enumerated() where index < widths.count {
                widths[index] = max(widths[index], cell.count)
            }
        }
        for row in [header] + rows {
            var text = ""
            for (index, cell) in row.enumerated() {
                text +=
                    index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count + 2)
            }
            line(text)
        }
    }
}
