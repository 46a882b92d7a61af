public import NIOCore

/// One message and its envelope, ready for the wire.
public struct SMTPMessage: Sendable {
    /// The envelope sender, which gets delivery notices; empty for none.
    public var sender: String
    public var recipients: [String]
    public var content: SMTPContent
    /// Headers carry raw UTF-8 (a non-ASCII address), which needs SMTPUTF8.
    public var hasUTF8Headers: Bool

    /// Makes a message.
    public init(sender: String, recipients: [String], content: SMTPContent, hasUTF8Headers: Bool) {
        self.sender = sender
        self.recipients = recipients
        self.content = content
        self.hasUTF8Headers = hasUTF8Headers
    }
}

/// The content of a message as the DATA command carries it: CRLF line ends, leading dots doubled, final dot.
public struct SMTPContent: Sendable {
    /// Why a content cannot be sent by any server.
    public enum Flaw: Error, Equatable {
        case containsNUL
        /// A line of more than 998 octets.
        case lineTooLong
    }

    /// The bytes for the wire, `CRLF . CRLF` included.
    public let encoded: ByteBuffer
    /// Octets with CRLF line ends, before dots were doubled: what SIZE declares.
    public let octetCount: Int
    /// Whether a byte above 127 occurs.
    public let isEightBit: Bool

    /// Encodes a message; a CR or LF alone becomes CRLF, and a missing last line end is added.
    ///
    /// - Throws: ``Flaw`` for a NUL and for a line of more than 998 octets.
    public init(_ message: [UInt8]) throws(Flaw) {
        var encoder = Encoder(buffer: ByteBuffer())
        encoder.buffer.reserveCapacity(message.count + message.count / 32 + 64)
        let flaw: Flaw? = message.withUnsafeBytes { bytes in
            do throws(Flaw) {
                try encoder.encode(bytes)
                return nil
            } catch {
                return error
            }
        }
        if let flaw { throw flaw }
        encoded = encoder.buffer
        octetCount = encoder.octetCount
        isEightBit = encoder.bits >= 0x80
    }

    /// Source: RFC 5321 sections 2.3.8 (line ends), 4.5.2 (dots), 4.5.3.1.6 (line length).
    private struct Encoder {
        var buffer: ByteBuffer
        var octetCount = 0
        var bits: UInt8 = 0

        mutating func encode(_ bytes: UnsafeRawBufferPointer) throws(Flaw) {
            var start = 0
            var index = 0
            while index < bytes.count {
                let byte = bytes[index]
                bits |= byte
                if byte == 0x0A || byte == 0x0D {
                    try line(bytes, start..<index)
                    index += byte == 0x0D && index + 1 < bytes.count && bytes[index + 1] == 0x0A ? 2 : 1
                    start = index
                    continue
                }
                guard byte != 0 else { throw .containsNUL }
                index += 1
            }
            if start < bytes.count { try line(bytes, start..<bytes.count) }
            buffer.writeBytes([0x2E, 0x0D, 0x0A])
        }

        private mutating func line(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws(Flaw) {
            guard range.count <= 998 else { throw .lineTooLong }
            if !range.isEmpty, bytes[range.lowerBound] == 0x2E { buffer.writeInteger(UInt8(0x2E)) }
            buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[range]))
            buffer.writeInteger(UInt16(0x0D0A))
            octetCount += range.count + 2
        }
    }
}
