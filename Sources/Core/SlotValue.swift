// HOT
/// Text of the rows of one batch: grown while decoding, reused for the next batch.
///
/// Slot values name their text by offset, so that a slot stays a trivial value.
public final class RowArena: @unchecked Sendable {
    // SAFETY: one batch is owned by one task at a time; the arena is written only while that task decodes.
    // The exclusivity checks would cost more than the reads: rules ask for texts once per evaluation.
    @usableFromInline
    @exclusivity(unchecked)
    internal var storage: UnsafeMutableRawPointer
    @usableFromInline
    @exclusivity(unchecked)
    internal var capacity: Int
    /// Bytes in use.
    @exclusivity(unchecked)
    public private(set) var count: Int = 0

    /// Makes an arena with room for `capacity` bytes before it grows.
    public init(capacity: Int = 1 << 16) {
        self.capacity = max(capacity, 64)
        storage = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { storage.deallocate() }

    /// Forgets all text; keeps the memory up to `keeping` bytes for the next batch.
    public func reset(keeping: Int = 1 << 22) {
        count = 0
        if capacity > keeping {
            storage.deallocate()
            capacity = keeping
            storage = .allocate(byteCount: capacity, alignment: 16)
        }
    }

    /// Makes room for `byteCount` more bytes and returns where they go; follow with ``commit(byteCount:)``.
    public func reserve(byteCount: Int) -> UnsafeMutableRawPointer {
        if count + byteCount > capacity {
            let larger = max(capacity * 2, count + byteCount)
            let fresh = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
            fresh.copyMemory(from: storage, byteCount: count)
            storage.deallocate()
            storage = fresh
            capacity = larger
        }
        return storage + count
    }

    /// Takes the first `byteCount` reserved bytes into use and returns their offset.
    @discardableResult
    public func commit(byteCount: Int) -> UInt32 {
        precondition(count + byteCount <= capacity, "commit exceeds the reserved bytes")
        let offset = count
        count += byteCount
        precondition(count <= Int(UInt32.max), "an arena holds at most 4 GiB; batches are bounded far below that")
        return UInt32(truncatingIfNeeded: offset)
    }

    /// Copies bytes in and returns their offset.
    public func append(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let target = reserve(byteCount: bytes.count)
        if let base = bytes.baseAddress { target.copyMemory(from: base, byteCount: bytes.count) }
        return commit(byteCount: bytes.count)
    }

    /// The bytes at an offset. Valid until the arena grows or is reset.
    @inlinable
    public func bytes(offset: UInt32, count: Int) -> UnsafeRawBufferPointer {
        precondition(Int(offset) + count <= self.capacity)
        return UnsafeRawBufferPointer(start: UnsafeRawPointer(storage) + Int(offset), count: count)
    }
}

/// The value of one column of one row: a trivial 16-byte value; texts lie in the ``RowArena`` of the batch.
///
/// Numbers carry both their binary value and their original text, so that keys, templates and writeback lose nothing.
@frozen
public struct SlotValue: Sendable {
    /// What a slot holds.
    @frozen
    public enum Kind: UInt8, Sendable {
        /// The column does not occur in the row.
        case missing = 0
        case null
        /// The source did not say (an unavailable TOAST value, a key-only `before`).
        case unknown
        case bool
        /// `bits` is the Int64; the text is the original number.
        case int
        /// `bits` is the UInt64; only for values above Int64's range.
        case uint
        /// `bits` is the bit pattern of the Double; NaN and infinities have kind `double` too.
        case double
        /// Exact decimal: only the text is exact; `bits` is the bit pattern of the nearest Double.
        case decimal
        /// `bits` is the byte count.
        case string
        /// `bits` is the byte count of the base64 text.
        case bytes
        /// `bits` is Unix milliseconds; the text is the original.
        case timestamp
        /// `bits` is the byte count of the JSON text.
        case list
        /// `bits` is the byte count of the JSON text.
        case object
    }

    public var kind: Kind
    public var flags: UInt8
    /// Byte count of a number's or timestamp's text; strings, lists and objects keep theirs in `bits`.
    public var shortTextCount: UInt16
    public var textOffset: UInt32
    public var bits: UInt64

    /// Makes a slot of raw parts; the factories below read better.
    @inlinable
    public init(kind: Kind, flags: UInt8 = 0, shortTextCount: UInt16 = 0, textOffset: UInt32 = 0, bits: UInt64 = 0) {
        self.kind = kind
        self.flags = flags
        self.shortTextCount = shortTextCount
        self.textOffset = textOffset
        self.bits = bits
    }

    public static let missing = SlotValue(kind: .missing)
    public static let null = SlotValue(kind: .null)
    public static let unknown = SlotValue(kind: .unknown)

    /// A boolean.
    @inlinable
    public static func bool(_ value: Bool) -> SlotValue { SlotValue(kind: .bool, bits: value ? 1 : 0) }

    /// The boolean of a slot of kind `bool`.
    @inlinable
    public var boolValue: Bool { bits != 0 }
    /// The integer of a slot of kind `int`.
    @inlinable
    public var intValue: Int64 { Int64(bitPattern: bits) }
    /// The number of a slot of kind `double` or `decimal`.
    @inlinable
    public var doubleValue: Double { Double(bitPattern: bits) }
    /// The time of a slot of kind `timestamp`.
    @inlinable
    public var timestampValue: Timestamp { Timestamp(milliseconds: Int64(bitPattern: bits)) }

    /// Whether the row gives a value: neither missing, null nor unknown.
    @inlinable
    public var hasValue: Bool { kind.rawValue > Kind.unknown.rawValue }

    /// Byte count of the text in the arena; 0 for kinds without text.
    @inlinable
    public var textCount: Int {
        switch kind {
        case .string, .bytes, .list, .object: Int(truncatingIfNeeded: bits)
        default: Int(shortTextCount)
        }
    }

    /// The original text of the value; empty for kinds without text.
    @inlinable
    public func text(in arena: RowArena) -> UnsafeRawBufferPointer { arena.bytes(offset: textOffset, count: textCount) }

    /// The value as text a person reads: `true`, the original number, the string; nil for missing, null and unknown.
    public func display(in arena: RowArena) -> String? {
        switch kind {
        case .missing, .null, .unknown: nil
        case .bool: boolValue ? "true" : "false"
        case .int where shortTextCount == 0: String(intValue)
        case .uint where shortTextCount == 0: String(bits)
        case .double where shortTextCount == 0: String(doubleValue)
        case .timestamp where shortTextCount == 0: timestampValue.description
        default: String(decoding: text(in: arena), as: UTF8.self)
        }
    }
}

/// A fast 64-bit hash of bytes for in-memory tables. Not stable across versions and never stored.
@frozen
public struct Hash64: Sendable {
    /// The hash so far.
    public var state: UInt64

    /// Starts a hash with a seed.
    @inlinable
    public init(seed: UInt64 = 0x9E37_79B9_7F4A_7C15) { state = seed }

    /// Mixes one word in.
    @inlinable
    public mutating func combine(_ word: UInt64) {
        let product = (state ^ word).multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        state = product.high ^ product.low ^ word
    }

    /// Mixes bytes in, length included.
    @inlinable
    public mutating func combine(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        let count = bytes.count
        while index + 8 <= count {
            combine(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        var tail = UInt64(truncatingIfNeeded: count) << 56
        var shift: UInt64 = 0
        while index < count {
            tail |= UInt64(bytes[index]) << shift
            shift += 8
            index += 1
        }
        combine(tail)
    }

    /// The hash of bytes.
    @inlinable
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hash64()
        hasher.combine(bytes)
        return hasher.state
    }
}
