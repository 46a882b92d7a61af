/// Reads the files of the time zone database (TZif, versions 1 to 4).
///
/// Source: RFC 8536 and RFC 9636. Files with leap seconds (the `right` folder) are refused: our times have none.
enum ZoneFile {
    /// Bytes a file may have; the largest of the database has some 4,000.
    static let byteCountMax = 1 << 18

    /// Why a file cannot be used.
    enum Failure: Error, Equatable {
        case notAZoneFile
        case truncated
        case leapSeconds
        case malformed(String)
    }

    private struct Header {
        var version: UInt8
        var utCount = 0
        var standardCount = 0
        var leapCount = 0
        var timeCount = 0
        var typeCount = 0
        var characterCount = 0

        func byteCount(timeSize: Int) -> Int {
            timeCount * timeSize + timeCount + typeCount * 6 + characterCount + leapCount * (timeSize + 4)
                + standardCount + utCount
        }
    }

    /// Times outside of this are of no use and would overflow as milliseconds.
    private static let secondsMax: Int64 = 1 << 50

    /// Reads a file's bytes.
    static func table(_ bytes: [UInt8]) throws(Failure) -> ZoneTable {
        var reader = Reader(bytes: bytes)
        let first = try header(&reader)
        guard first.version >= UInt8(ascii: "2") else {
            return try body(&reader, first, timeSize: 4, footer: nil)
        }
        try reader.skip(first.byteCount(timeSize: 4))
        let second = try header(&reader)
        var end = reader
        try end.skip(second.byteCount(timeSize: 8))
        guard try end.byte() == 0x0A else { throw .malformed("no rule follows the transitions") }
        var text: [UInt8] = []
        while case let byte = try end.byte(), byte != 0x0A { text.append(byte) }
        guard !text.isEmpty else { return try body(&reader, second, timeSize: 8, footer: nil) }
        guard let footer = ZoneFooter(text) else {
            throw .malformed("the rule '\(String(decoding: text.prefix(80), as: UTF8.self))' cannot be read")
        }
        return try body(&reader, second, timeSize: 8, footer: footer)
    }

    private static func header(_ reader: inout Reader) throws(Failure) -> Header {
        guard reader.matches([0x54, 0x5A, 0x69, 0x66]) else { throw .notAZoneFile }
        try reader.skip(4)
        var header = Header(version: try reader.byte())
        try reader.skip(15)
        header.utCount = try reader.count()
        header.standardCount = try reader.count()
        header.leapCount = try reader.count()
        header.timeCount = try reader.count()
        header.typeCount = try reader.count()
        header.characterCount = try reader.count()
        guard header.typeCount >= 1, header.typeCount <= 256 else { throw .malformed("the file has no offset") }
        guard header.leapCount == 0 else { throw .leapSeconds }
        return header
    }

    private static func body(
        _ reader: inout Reader, _ header: Header, timeSize: Int, footer: ZoneFooter?
    ) throws(Failure) -> ZoneTable {
        var times: [Int64] = []
        for _ in 0..<header.timeCount { times.append(try reader.integer(timeSize)) }
        var indices: [Int] = []
        for _ in 0..<header.timeCount { indices.append(Int(try reader.byte())) }
        var offsets: [Int64] = []
        for _ in 0..<header.typeCount {
            let seconds = try reader.integer(4)
            guard abs(seconds) <= 26 * 3600 else { throw .malformed("an offset is more than 26 hours") }
            offsets.append(seconds * 1000)
            try reader.skip(2)
        }
        var transitions: [(start: Int64, offset: Int64)] = []
        for (time, index) in zip(times, indices) {
            guard index < offsets.count else { throw .malformed("a transition names an offset that is not there") }
            let bounded = min(max(time, -secondsMax), secondsMax) * 1000
            if let last = transitions.last, last.start > bounded {
                throw .malformed("transitions are not in order")
            }
            transitions.append((bounded, offsets[index]))
        }
        if footer != nil, let last = transitions.last, last.start > 250_000_000_000_000 {
            throw .malformed("a transition lies beyond the year 9000")
        }
        return ZoneTable(first: offsets[0], transitions: transitions, footer: footer)
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        func matches(_ expected: [UInt8]) -> Bool { bytes[index...].starts(with: expected) }

        mutating func skip(_ count: Int) throws(Failure) {
            guard count >= 0, count <= bytes.count - index else { throw .truncated }
            index += count
        }

        mutating func byte() throws(Failure) -> UInt8 {
            guard index < bytes.count else { throw .truncated }
            index += 1
            return bytes[index - 1]
        }

        /// A count, which cannot be larger than the file.
        mutating func count() throws(Failure) -> Int {
            let value = try integer(4)
            guard value >= 0, value <= bytes.count else { throw .truncated }
            return Int(value)
        }

        /// A signed big-endian integer of 4 or 8 bytes.
        mutating func integer(_ size: Int) throws(Failure) -> Int64 {
            guard size <= bytes.count - index else { throw .truncated }
            var value: UInt64 = 0
            for byte in bytes[index..<(index + size)] { value = value << 8 | UInt64(byte) }
            index += size
            return size == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
        }
    }
}
