internal import Crypto

/// The identity of an alert: SHA-256 over the length-prefixed rule name, key columns and key texts.
///
/// It does not depend on routes, receivers or the rule's conditions, so editing those never orphans an open incident.
@frozen
public struct Fingerprint: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The digest, four big-endian words.
    public let words: (UInt64, UInt64, UInt64, UInt64)

    /// Computes the fingerprint of a rule's key; a null key text differs from an empty one.
    public init(rule: String, keyColumns: [String], keyTexts: [String?]) {
        var hasher = SHA256()
        func add(_ text: String?) {
            var length = UInt32(text?.utf8.count ?? 0)
            if text == nil { length = .max }
            withUnsafeBytes(of: length.bigEndian) { hasher.update(bufferPointer: $0) }
            if var text { text.withUTF8 { hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) } }
        }
        add(rule)
        add(String(keyColumns.count))
        for column in keyColumns { add(column) }
        for text in keyTexts { add(text) }
        self.init(bytes: Array(hasher.finalize()))
    }

    /// Makes a fingerprint from 32 bytes; shorter input is padded with zeroes.
    public init(bytes: [UInt8]) {
        func word(_ index: Int) -> UInt64 {
            (0..<8).reduce(0) { sum, offset in
                let position = index * 8 + offset
                return sum << 8 | UInt64(position < bytes.count ? bytes[position] : 0)
            }
        }
        words = (word(0), word(1), word(2), word(3))
    }

    /// Parses 64 hexadecimal digits; nil for any other text.
    public init?(hex: String) {
        guard hex.utf8.count == 64, let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes: bytes)
    }

    /// The 32 bytes of the digest.
    public var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
    }

    /// The digest as 64 lower-case hexadecimal digits.
    public var description: String { Hex.encode(bytes) }

    public static func == (left: Fingerprint, right: Fingerprint) -> Bool { left.words == right.words }
    public static func < (left: Fingerprint, right: Fingerprint) -> Bool { left.words < right.words }
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// One firing of an alert: its fingerprint and the number of the episode, as sent to vendors as dedup key.
public struct IncidentKey: Sendable, Hashable, CustomStringConvertible {
    public var fingerprint: Fingerprint
    /// 1, 2, …: counts each time the alert starts firing.
    public var episode: UInt32

    /// Makes the incident key of an episode of an alert.
    public init(fingerprint: Fingerprint, episode: UInt32) {
        self.fingerprint = fingerprint
        self.episode = episode
    }

    /// `<64 hex digits>-<episode>`.
    public var description: String { "\(fingerprint)-\(episode)" }

    /// Parses the form of ``description``; nil for any other text.
    public init?(_ text: String) {
        guard let dash = text.lastIndex(of: "-"), let fingerprint = Fingerprint(hex: String(text[..<dash])),
            let episode = UInt32(text[text.index(after: dash)...])
        else { return nil }
        self.init(fingerprint: fingerprint, episode: episode)
    }
}

/// Hexadecimal text.
public enum Hex {
    /// Writes bytes as lower-case hexadecimal digits.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads hexadecimal digits of either case; nil for an odd count or any other character.
    public static func decode(_ text: String) -> [UInt8]? {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case 48...57: digit - 48
            case 65...70: digit - 55
            case 97...102: digit - 87
            default: nil
            }
        }
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}

/// Message digests over bytes.
public enum Digest {
    /// SHA-256 of bytes: 32 bytes.
    public static func sha256(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(data: Array(bytes))
        return Array(hasher.finalize())
    }

    /// HMAC with SHA-256: 32 bytes.
    public static func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}
