internal import Glibc

/// Reads whole small files.
enum FileBytes {
    /// Reads a file.
    ///
    /// - Throws: ``KafkaError/Code/unreadableFile`` where it cannot be opened or read, or is larger than allowed.
    static func read(path: String, byteCountMax: Int) throws(KafkaError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure(path) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count >= 0 else { throw failure(path) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= byteCountMax else {
                throw KafkaError(.unreadableFile, "'\(path)' is larger than \(byteCountMax) bytes")
            }
        }
    }

    static func failure(_ path: String) -> KafkaError {
        KafkaError(.unreadableFile, "cannot read '\(path)': \(String(cString: strerror(errno)))")
    }
}
