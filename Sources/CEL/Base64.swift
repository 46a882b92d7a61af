internal import Foundation

/// Base64 as it stands in slots of bytes.
internal enum Base64 {
    static func decode(_ text: String) -> Value? {
        var padded = text
        while padded.utf8.count % 4 != 0 { padded += "=" }
        return Data(base64Encoded: padded).map { .bytes(Array($0)) }
    }

    static func encode(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
}
