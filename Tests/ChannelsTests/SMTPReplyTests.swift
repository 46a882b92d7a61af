import NIOCore
import Testing

@testable import Channels

/// The reply parser: every form RFC 5321 allows, and what a broken or hostile server may send.
@Suite struct SMTPReplyTests {
    private func parse(_ text: String) throws -> [SMTPReply] {
        var parser = SMTPReplyParser()
        var buffer = ByteBuffer(string: text)
        var replies: [SMTPReply] = []
        while let reply = try parser.next(&buffer) { replies.append(reply) }
        return replies
    }

    @Test func `one line, several lines, a bare code and an empty text are replies`() throws {
        let replies = try parse("220 mx ready\r\n250-mx\r\n250-SIZE 10\r\n250 HELP\r\n354\r\n250 \r\n")
        #expect(replies.map(\.code) == [220, 250, 354, 250])
        #expect(replies[1].text == "mx\nSIZE 10\nHELP")
        #expect(replies[2].text == "")
    }

    @Test func `a reply cut at any byte is read once it is complete`() throws {
        let text = "250-first\r\n250 2.0.0 second\r\n"
        for cut in 0..<text.utf8.count {
            var parser = SMTPReplyParser()
            var first = ByteBuffer(bytes: Array(text.utf8.prefix(cut)))
            #expect(try parser.next(&first) == nil)
            #expect(first.readableBytes == 0)
            var second = ByteBuffer(bytes: Array(text.utf8.dropFirst(cut)))
            #expect(try parser.next(&second) == SMTPReply(code: 250, text: "first\n2.0.0 second"), "cut at \(cut)")
            #expect(!parser.isInsideReply)
        }
    }

    @Test func `where the codes of one reply differ the last one counts`() throws {
        #expect(try parse("250-fine\r\n550 but no\r\n").map(\.code) == [550])
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", "25 short\r\n", "2500 long\r\n", "150 first digit\r\n", "650 first digit\r\n",
        "269 second digit\r\n", "250_text\r\n", "\r\n", "\0\0\0\r\n", "+OK POP3\r\n", " 250 blank\r\n",
    ])
    func `what is no reply is an error`(text: String) {
        #expect(throws: SMTPReplyError.self) { try parse(text) }
    }

    @Test func `an endless line and an endless reply are errors, not memory`() {
        #expect(throws: SMTPReplyError.self) { try parse("250 " + String(repeating: "x", count: 5000)) }
        #expect(throws: SMTPReplyError.self) { try parse(String(repeating: "250-x\r\n", count: 201)) }
    }

    @Test func `control characters of a server do not reach a log`() throws {
        #expect(try parse("550 a\u{1B}[31m\u{0}b\rc\r\n")[0].summary == "550 a [31m b c")
    }

    @Test(arguments: [
        ("2.0.0 ok", 250, "2.0.0"), ("5.7.8", 535, "5.7.8"), ("4.2.2 full", 452, "4.2.2"),
        ("5.7.130 no", 550, "5.7.130"),
    ])
    func `enhanced codes are read`(text: String, code: Int, expected: String) {
        #expect(SMTPReply(code: code, text: text).enhanced?.description == expected)
    }

    @Test(arguments: [
        ("5.7.8 ok", 250), ("2.0 ok", 250), ("2.0.0.0 ok", 250), ("ok 2.0.0", 250), ("2.1234.0", 250), ("", 250),
        ("3.0.0", 354), ("2..0 x", 250),
    ])
    func `what only looks like an enhanced code is none`(text: String, code: Int) {
        #expect(SMTPReply(code: code, text: text).enhanced == nil)
    }

    @Test func `random bytes never crash the parser and never exceed its bounds`() {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = SplitMix(seed: seed)
        for _ in 0..<2000 {
            var parser = SMTPReplyParser()
            let alphabet = Array("250-354 \r\n\0é.".utf8)
            var buffer = ByteBuffer()
            for _ in 0..<Int.random(in: 0..<200, using: &random) {
                buffer.writeInteger(alphabet[Int.random(in: 0..<alphabet.count, using: &random)])
            }
            while let reply = (try? parser.next(&buffer)) ?? nil {
                #expect((200...599).contains(reply.code))
                #expect(reply.text.utf8.count <= 3 * SMTPReplyParser.textBytesMax)
            }
        }
    }
}

/// A small seeded generator.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
