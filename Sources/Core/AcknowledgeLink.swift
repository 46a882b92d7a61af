/// What a link in a message allows: to acknowledge one episode of one alert, for the receiver that was told of it.
///
/// It is signed, so nobody can make one for another alert, and expires. Whoever holds it can use it.
public struct AcknowledgeLink: Sendable, Equatable {
    /// How long a link can be used after the message was written.
    public static let lifetime: Duration = .seconds(3 * 86_400)
    /// Characters of a token; longer ones are refused unread.
    public static let tokenCharactersMax = 2048

    /// Why a token is of no use.
    public enum Problem: Error, Equatable, Sendable {
        /// It is not one of ours, or was changed on its way.
        case tampered
        case expired
    }

    public var incident: IncidentKey
    public var receiver: String
    /// Whom the message went to, where its receiver's address comes from data.
    public var recipient: String?
    public var expires: Timestamp

    /// Describes a link.
    public init(incident: IncidentKey, receiver: String, recipient: String?, expires: Timestamp) {
        self.incident = incident
        self.receiver = receiver
        self.recipient = recipient
        self.expires = expires
    }

    /// Who acts when the link is used, as audits name it.
    public var actor: String { "link to \(recipient ?? receiver)" }

    /// The signed text, made of letters, digits, `-` and `_`.
    /// - Parameter key: the router's signing key, 32 bytes or more.
    public func token(key: [UInt8]) -> String {
        var writer = ByteWriter(reserving: 120)
        writer.byte(1)
        writer.blob(incident.fingerprint.bytes)
        writer.unsigned(UInt64(incident.episode))
        writer.text(receiver)
        writer.optional(recipient) { $0.text($1) }
        writer.signed(expires.milliseconds)
        return Base64URL.encode(writer.bytes + AcknowledgeLink.mac(writer.bytes, key))
    }

    /// The path of the page that asks before it acts.
    public func path(key: [UInt8]) -> String { "/ack/" + token(key: key) }

    /// Reads a token.
    public init(token: String, key: [UInt8], now: Timestamp) throws(Problem) {
        guard token.utf8.count <= AcknowledgeLink.tokenCharactersMax, let bytes = Base64URL.decode(token),
            bytes.count > 32
        else { throw .tampered }
        let payload = Array(bytes.dropLast(32))
        var difference: UInt8 = 0
        for (left, right) in zip(bytes.suffix(32), AcknowledgeLink.mac(payload, key)) { difference |= left ^ right }
        guard difference == 0 else { throw .tampered }
        do { self = try AcknowledgeLink(payload: payload) } catch { throw .tampered }
        guard now < expires else { throw .expired }
    }

    private init(payload: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(payload)
        guard try reader.byte() == 1 else { throw ByteReadError(message: "unknown version", byteOffset: 0) }
        let fingerprint = Fingerprint(bytes: try reader.blob())
        let episode = UInt32(truncatingIfNeeded: try reader.unsigned())
        let receiver = try reader.text()
        let recipient = try reader.optional { reader throws(ByteReadError) in try reader.text() }
        self.init(
            incident: IncidentKey(fingerprint: fingerprint, episode: episode), receiver: receiver,
            recipient: recipient, expires: Timestamp(milliseconds: try reader.signed()))
    }

    private static func mac(_ payload: [UInt8], _ key: [UInt8]) -> [UInt8] {
        let own = Digest.hmacSHA256(key: key, message: Array("acknowledge link".utf8))
        return Digest.hmacSHA256(key: own, message: payload)
    }
}

/// Base 64 with the alphabet for URLs, without padding (RFC 4648 section 5).
public enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// Writes bytes.
    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << UInt32(16 - 8 * $1.offset) }
            for index in 0...group.count { text.append(alphabet[Int(word >> UInt32(18 - 6 * index) & 63)]) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads what ``encode(_:)`` wrote; nil for any other text, unused bits that are set included.
    public static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var word: UInt32 = 0
        var bits: UInt32 = 0
        for character in text.utf8 {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            word = word << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> bits))
                word &= (1 << bits) - 1
            }
        }
        return bits < 6 && word == 0 ? bytes : nil
    }
}
