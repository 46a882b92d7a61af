import Core
import Testing

/// Goal: a link allows what it names until it expires, and nothing else whatever is done to it.
@Suite struct AcknowledgeLinkTests {
    private static let key = [UInt8](repeating: 9, count: 32)
    private static let now = Timestamp(milliseconds: 1_768_200_000_000)
    private static let link = AcknowledgeLink(
        incident: IncidentKey(
            fingerprint: Fingerprint(rule: "r", keyColumns: ["a"], keyTexts: ["1"]), episode: 3),
        receiver: "quality", recipient: "jo@example.com", expires: now.adding(.seconds(60)))

    @Test func `a token comes back as what it was`() throws {
        let token = AcknowledgeLinkTests.link.token(key: AcknowledgeLinkTests.key)
        #expect(token.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" })
        #expect(
            try AcknowledgeLink(token: token, key: AcknowledgeLinkTests.key, now: AcknowledgeLinkTests.now)
                == AcknowledgeLinkTests.link)
        #expect(AcknowledgeLinkTests.link.actor == "link to jo@example.com")
        #expect(AcknowledgeLinkTests.link.path(key: AcknowledgeLinkTests.key) == "/ack/" + token)
    }

    @Test func `any changed character, another key, or time makes it useless`() {
        let token = AcknowledgeLinkTests.link.token(key: AcknowledgeLinkTests.key)
        func problem(_ token: String, _ key: [UInt8], _ now: Timestamp) -> AcknowledgeLink.Problem? {
            do throws(AcknowledgeLink.Problem) {
                _ = try AcknowledgeLink(token: token, key: key, now: now)
                return nil
            } catch { return error }
        }
        for index in token.indices {
            var changed = token
            changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
            #expect(problem(changed, AcknowledgeLinkTests.key, AcknowledgeLinkTests.now) == .tampered)
        }
        #expect(problem(token, [1], AcknowledgeLinkTests.now) == .tampered)
        for text in ["", "A", "AAAA", "=", "é", String(repeating: "A", count: 100_000), token + "A"] {
            #expect(problem(text, AcknowledgeLinkTests.key, AcknowledgeLinkTests.now) == .tampered)
        }
        #expect(problem(token, AcknowledgeLinkTests.key, AcknowledgeLinkTests.link.expires) == .expired)
    }

    @Test func `base 64 for addresses holds every length`() {
        for count in 0..<40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 200) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
        #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
        for text in ["A", "AB", "ABCDE", "A+BC", "AB=="] { #expect(Base64URL.decode(text) == nil, "\(text)") }
    }
}
