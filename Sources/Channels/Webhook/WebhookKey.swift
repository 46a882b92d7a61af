internal import Core
internal import Foundation

/// A key that requests are signed with. Never shows itself.
///
/// Source: Standard Webhooks 1.0.0, "Signature scheme".
struct WebhookKey: Sendable, Equatable, CustomStringConvertible {
    /// How many bytes a key has.
    static let byteCounts = 24...64
    static let prefix = "whsec_"

    private let bytes: [UInt8]
    /// The key as written, without its prefix.
    let text: Secret

    var description: String { "***" }

    /// Reads `whsec_` and base64; nil for anything else.
    init?(_ secret: Secret) {
        let whole = secret.reveal()
        let encoded =
            whole.hasPrefix(WebhookKey.prefix) ? String(whole.dropFirst(WebhookKey.prefix.utf8.count)) : whole
        let padding = String(repeating: "=", count: (4 - encoded.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: encoded + padding), WebhookKey.byteCounts.contains(data.count) else {
            return nil
        }
        bytes = [UInt8](data)
        text = Secret(encoded)
    }

    /// `v1,` and the HMAC of id, time and body.
    ///
    /// - Parameter time: seconds since 1970.
    func signature(id: String, time: Int64, body: [UInt8]) -> String {
        let code = Digest.hmacSHA256(key: bytes, message: Array("\(id).\(time).".utf8) + body)
        return "v1,\(Data(code).base64EncodedString())"
    }
}
