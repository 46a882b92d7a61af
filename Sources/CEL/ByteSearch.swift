internal import CRE2

/// Searching in bytes.
internal enum ByteSearch {
    /// Whether `part` occurs in `text`; glibc's two-way search is linear.
    @inline(__always)
    static func contains(_ text: UnsafeRawBufferPointer, _ part: UnsafeRawBufferPointer) -> Bool {
        guard let needle = part.baseAddress, part.count > 0 else { return true }
        guard let haystack = text.baseAddress, text.count >= part.count else { return false }
        return ar_contains(haystack, text.count, needle, part.count) != 0
    }
}
