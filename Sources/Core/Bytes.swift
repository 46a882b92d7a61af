/// Writes the compact binary form of stored values: little-endian words, LEB128 counts, length-prefixed text.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// Starts an empty text.
    public init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// Writes one byte.
    public mutating func byte(_ value: UInt8) { bytes.append(value) }
    /// Writes a boolean as one byte.
    public mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Writes a count as LEB128.
    public mutating func count(_ value: Int) { unsigned(UInt64(value)) }

    /// Writes an unsigned integer as LEB128.
    public mutating func unsigned(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Writes a signed integer as zigzag LEB128.
    public mutating func signed(_ value: Int64) { unsigned(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    /// Writes eight bytes, little-endian.
    public mutating func word(_ value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Writes a length-prefixed text.
    public mutating func text(_ value: String) {
        count(value.utf8.count)
        bytes.append(contentsOf: value.utf8)
    }

    /// Writes length-prefixed bytes.
    public mutating func blob(_ value: some Collection<UInt8>) {
        count(value.count)
        bytes.append(contentsOf: value)
    }

    /// Writes an optional value, a byte before it saying whether it is there.
    public mutating func optional<Value>(_ value: Value?, _ write: (inout ByteWriter, Value) -> Void) {
        bool(value != nil)
        if let value { write(&self, value) }
    }
}

/// Why stored bytes cannot be read.
public struct ByteReadError: Error, Equatable, CustomStringConvertible {
    public var message: String
    public var byteOffset: Int
    public var description: String { "\(message) at byte \(byteOffset)" }

    /// Says what is wrong where.
    public init(message: String, byteOffset: Int) {
        self.message = message
        self.byteOffset = byteOffset
    }
}

/// Reads what ``ByteWriter`` wrote; damaged input is an error, never a crash.
public struct ByteReader {
    private let bytes: [UInt8]
    private var index = 0

    /// Starts at the first byte.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Whether everything was read.
    public var isAtEnd: Bool { index == bytes.count }

    private func failure(_ message: String) -> ByteReadError { ByteReadError(message: message, byteOffset: index) }

    /// Reads one byte.
    public mutating func byte() throws(ByteReadError) -> UInt8 {
        guard index < bytes.count else { throw failure("unexpected end") }
        index += 1
        return bytes[index - 1]
    }

    /// Reads a boolean; anything but 0 and 1 is an error.
    public mutating func bool() throws(ByteReadError) -> Bool {
        let value = try byte()
        guard value <= 1 else { throw failure("expected a boolean") }
        return value == 1
    }

    /// Reads an unsigned LEB128 integer.
    public mutating func unsigned() throws(ByteReadError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || (shift == 63 && next <= 1) else { throw failure("integer too long") }
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    /// Reads a zigzag LEB128 integer.
    public mutating func signed() throws(ByteReadError) -> Int64 {
        let value = try unsigned()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// Reads a count; more than the bytes that remain is an error, so that damage cannot make us allocate.
    public mutating func count() throws(ByteReadError) -> Int {
        let value = try unsigned()
        guard value <= UInt64(bytes.count - index) else { throw failure("count beyond the end") }
        return Int(value)
    }

    /// Reads eight bytes, little-endian.
    public mutating func word() throws(ByteReadError) -> UInt64 {
        guard bytes.count - index >= 8 else { throw failure("unexpected end") }
        var value: UInt64 = 0
        for offset in 0..<8 { value |= UInt64(bytes[index + offset]) << UInt64(8 * offset) }
        index += 8
        return value
    }

    /// Reads length-prefixed bytes.
    public mutating func blob() throws(ByteReadError) -> [UInt8] {
        let length = try count()
        index += length
        return Array(bytes[index - length..<index])
    }

    /// Reads a length-prefixed text; invalid UTF-8 is an error.
    public mutating func text() throws(ByteReadError) -> String {
        let length = try count()
        guard let value = String(validating: bytes[index..<index + length], as: UTF8.self) else {
            throw failure("invalid UTF-8")
        }
        index += length
        return value
    }

    /// Reads an optional value.
    public mutating func optional<Value>(
        _ read: (inout ByteReader) throws(ByteReadError) -> Value
    ) throws(ByteReadError) -> Value? {
        try bool() ? try read(&self) : nil
    }
}
