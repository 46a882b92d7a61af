internal import Glibc

/// Reads the lines of a file to publish, one at a time, in memory bounded by the longest line.
public struct PublishLineReader: ~Copyable {
    /// Longest line that is read.
    public static let lineByteCountMax = 64 << 20

    /// The file's size in bytes; nil for a pipe.
    public let byteCount: Int?
    /// Bytes of the lines read so far, for a progress bar.
    public private(set) var readByteCount = 0
    /// The number of the line read last; 0 before the first.
    public private(set) var lineNumber = 0
    private let path: String
    private let file: Int32
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    /// Opens a file; `-` is the standard input.
    ///
    /// - Throws: ``KafkaError/Code/unreadableFile``.
    public init(path: String) throws(KafkaError) {
        let file = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileBytes.failure(path) }
        var status = stat()
        byteCount = fstat(file, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
        self.path = path
        self.file = file
    }

    deinit { close(file) }

    /// Reads the next line that is not blank; nil at the end.
    ///
    /// - Throws: ``KafkaError/Code/malformedLine`` (the next call goes on with the line after it) or
    ///   ``KafkaError/Code/unreadableFile``.
    public mutating func next() throws(KafkaError) -> PublishLine? {
        while let bytes = try nextLine() {
            lineNumber += 1
            readByteCount += bytes.count + 1
            if bytes.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) {
                return try PublishLine(bytes, line: lineNumber)
            }
        }
        return nil
    }

    private mutating func nextLine() throws(KafkaError) -> [UInt8]? {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0A) {
                defer { start = end + 1 }
                return Array(buffer[start..<end])
            }
            searched = buffer.count - start
            buffer.removeFirst(start)
            start = 0
            guard buffer.count <= PublishLineReader.lineByteCountMax else {
                throw KafkaError(.unreadableFile, "'\(path)': line \(lineNumber + 1) is too long")
            }
            if !isAtEnd { isAtEnd = try !fill() }
            if isAtEnd {
                defer { buffer = [] }
                return buffer.isEmpty ? nil : buffer
            }
        }
    }

    private mutating func fill() throws(KafkaError) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        let count = read(file, &chunk, chunk.count)
        guard count >= 0 else { throw FileBytes.failure(path) }
        buffer += chunk[..<count]
        return count > 0
    }
}
