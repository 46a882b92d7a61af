import Core
import Foundation
import Testing

@testable import Channels

// Goal: signatures are those of Standard Webhooks. Method: HMAC by its definition, and the published vector.

@Suite struct WebhookSignatureTests {
    /// Source: RFC 2104.
    static func hmac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        let padded = key + Array(repeating: 0, count: 64 - key.count)
        let inner = Digest.sha256(padded.map { $0 ^ 0x36 } + message)
        return Digest.sha256(padded.map { $0 ^ 0x5C } + inner)
    }

    @Test(arguments: [24, 32, 63, 64]) func `a signature is the keyed digest of id, time and body`(count: Int) throws {
        let bytes = (0..<count).map { UInt8($0 * 11 & 0xFF) }
        let key = try #require(WebhookKey(Secret("whsec_" + Data(bytes).base64EncodedString())))
        for body in ["", "{}", "{\"a\":\"é\"}", String(repeating: "x", count: 5000)] {
            let expected = Self.hmac(bytes, Array("msg_1.1700000000.\(body)".utf8))
            let signature = key.signature(id: "msg_1", time: 1_700_000_000, body: Array(body.utf8))
            #expect(signature == "v1," + Data(expected).base64EncodedString())
        }
    }

    static let vectors = TeamsSchemaValidator.file.deletingLastPathComponent()
        .appendingPathComponent("channel-test-vectors.json")

    @Test(.enabled(if: FileManager.default.fileExists(atPath: vectors.path), "the vectors are not beside the package"))
    func `the published vectors come out`() throws {
        let json = try JSON.parse([UInt8](Data(contentsOf: Self.vectors)))
        let vectors = try #require(json["standardWebhooks"]?.elements)
        try #require(!vectors.isEmpty)
        for vector in vectors {
            let secret = try #require(vector["secret"]?.stringValue)
            let key = try #require(WebhookKey(Secret(secret)))
            let id = try #require(vector["id"]?.stringValue)
            let time = try #require(vector["timestamp"]?.stringValue.flatMap { Int64($0) })
            let body = try #require(vector["body"]?.stringValue)
            let signature = key.signature(id: id, time: time, body: Array(body.utf8))
            #expect(signature == vector["signature"]?.stringValue)
        }
    }

    @Test func `a key without prefix or padding is the same key`() throws {
        let full = try #require(WebhookKey(Secret(WebhookSample.key)))
        let bare = WebhookSample.key.dropFirst(6).filter { $0 != "=" }
        let signature = WebhookKey(Secret(String(bare)))?.signature(id: "a", time: 1, body: [])
        #expect(signature == full.signature(id: "a", time: 1, body: []))
    }

    @Test(arguments: [
        "", "whsec_", "whsec_AAAA", "whsec_not base64 at all!", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_" + Data(Array(repeating: UInt8(1), count: 23)).base64EncodedString(),
        "whsec_" + Data(Array(repeating: UInt8(1), count: 65)).base64EncodedString(),
    ])
    func `what is no key is none`(text: String) { #expect(WebhookKey(Secret(text)) == nil) }

    @Test func `a key does not show itself`() throws {
        let key = try #require(WebhookKey(Secret(WebhookSample.key)))
        let bare = String(WebhookSample.key.dropFirst(6).prefix(20))
        #expect(!"\(key)".contains(bare) && !String(reflecting: key).contains(bare))
    }
}
