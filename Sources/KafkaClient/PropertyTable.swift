internal import CRdKafka
internal import Glibc

// SAFETY: the text buffer of `open_memstream` belongs to this file, is read after the stream is closed, and freed once.

/// The properties that the loaded librdkafka knows, with the kind of client each is for.
struct PropertyTable: Sendable {
    enum Use: Sendable { case both, consumer, producer }

    private var uses: [String: Use] = [:]

    /// The table of the loaded library.
    static let shared = PropertyTable(text: libraryText())

    /// Reads the table that `rd_kafka_conf_properties_show` writes: name, C/P, range, …
    init(text: String) {
        for line in text.split(separator: "\n") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count >= 5 else { continue }
            let name = PropertyTable.trimmed(cells[0])
            switch PropertyTable.trimmed(cells[1]) {
            case "*": uses[name] = .both
            case "C": uses[name] = .consumer
            case "P": uses[name] = .producer
            default: continue
            }
        }
    }

    var names: [String] { uses.keys.sorted() }

    subscript(name: String) -> Use? { uses[name] }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static func libraryText() -> String {
        var buffer: UnsafeMutablePointer<CChar>?
        var count = 0
        guard let stream = open_memstream(&buffer, &count) else { return "" }
        rd_kafka_conf_properties_show(stream)
        fclose(stream)
        defer { free(buffer) }
        guard let buffer else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: buffer, count: count), as: UTF8.self)
    }
}
