internal import CRE2

/// A compiled regular expression with RE2's syntax: linear in the text, bounded in memory.
internal final class Regex: @unchecked Sendable {
    // SAFETY: RE2 objects are immutable after compilation and documented as safe for use from several threads.
    internal let handle: OpaquePointer

    struct Problem: Error {
        var message: String
    }

    /// Memory of one compiled pattern and its automata, in bytes.
    private static let memoryMax: Int64 = 1 << 20
    private static let patternBytesMax = 4096

    private init(handle: OpaquePointer) { self.handle = handle }

    deinit { ar_re2_free(handle) }

    static func compile(_ pattern: String) -> Result<Regex, Problem> {
        guard pattern.utf8.count <= patternBytesMax else {
            return .failure(Problem(message: "it is longer than \(patternBytesMax) bytes"))
        }
        var copy = pattern
        var message = [CChar](repeating: 0, count: 256)
        let handle = copy.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                ar_re2_compile(characters.baseAddress, characters.count, memoryMax, &message, message.count)
            }
        }
        guard let handle else {
            let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            return .failure(Problem(message: String(decoding: text, as: UTF8.self)))
        }
        return .success(Regex(handle: handle))
    }

    /// Whether it occurs in the text.
    func matches(_ text: String) -> Bool {
        var copy = text
        return copy.withUTF8 { Regex.matches(handle, UnsafeRawBufferPointer($0)) }
    }

    @inline(__always)
    static func matches(_ handle: OpaquePointer, _ text: UnsafeRawBufferPointer) -> Bool {
        ar_re2_matches(handle, text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count) != 0
    }
}
