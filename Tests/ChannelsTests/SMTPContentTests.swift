import NIOCore
import Testing

@testable import Channels

/// The form of a message behind DATA: line ends, doubled dots, the final dot.
@Suite struct SMTPContentTests {
    @Test(arguments: [
        ("", ".\r\n"), (".", "..\r\n.\r\n"), ("..", "...\r\n.\r\n"), ("a", "a\r\n.\r\n"), ("a\r\n", "a\r\n.\r\n"),
        ("a\nb", "a\r\nb\r\n.\r\n"), ("a\rb", "a\r\nb\r\n.\r\n"), ("a\r\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"),
        ("\n.\n", "\r\n..\r\n.\r\n"), ("\r.\r", "\r\n..\r\n.\r\n"), ("a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"),
        ("x.y\r\n.z", "x.y\r\n..z\r\n.\r\n"), ("\n\r", "\r\n\r\n.\r\n"),
    ])
    func `lines end in CRLF and leading dots are doubled`(message: String, wire: String) throws {
        let content = try SMTPContent(Array(message.utf8))
        #expect(String(buffer: content.encoded) == wire)
        let undotted = wire.dropLast(1).split(separator: "\r\n", omittingEmptySubsequences: false).dropLast()
        #expect(content.octetCount == undotted.reduce(0) { $0 + $1.utf8.count + 2 - ($1.hasPrefix(".") ? 1 : 0) })
    }

    @Test func `no message can end itself early`() throws {
        // Every mixture of CR, LF, dot and a letter up to length 7: the terminator stands at the end only.
        let letters = Array("\r\n.x".utf8)
        for length in 0...7 {
            for number in 0..<(1 << (2 * length)) {
                let message = (0..<length).map { letters[(number >> (2 * $0)) & 3] }
                let wire = Array("\r\n".utf8) + Array(buffer: try SMTPContent(message).encoded)
                let ends = wire.indices.filter { wire[$0...].starts(with: Array("\r\n.\r\n".utf8)) }
                #expect(ends == [wire.count - 5], "\(message)")
            }
        }
    }

    @Test func `a line of 998 octets passes, one more and a NUL do not`() throws {
        let line = [UInt8](repeating: 0x61, count: 998)
        #expect(try SMTPContent(line).octetCount == 1000)
        #expect(throws: SMTPContent.Flaw.lineTooLong) { try SMTPContent(line + [0x61]) }
        #expect(throws: SMTPContent.Flaw.containsNUL) { try SMTPContent([0x61, 0x00]) }
    }

    @Test func `bytes above 127 are noticed`() throws {
        #expect(try SMTPContent(Array("ä".utf8)).isEightBit)
        #expect(try !SMTPContent(Array("a".utf8)).isEightBit)
    }
}

extension Array where Element == UInt8 {
    init(buffer: ByteBuffer) { self = Array(buffer.readableBytesView) }
}
