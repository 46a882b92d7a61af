import Foundation

/// Whether texts have the form of addresses; nothing is looked up.
enum NetworkAddress {
    /// An IPv4 or IPv6 address, or a host name.
    static func isHost(_ text: String) -> Bool {
        if isNumeric(text) { return true }
        // What looks like a number must be one: '300.1.1.1' is no name.
        guard text.utf8.count <= 253, !text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) else {
            return false
        }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy { byte in
                    byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || (48...57).contains(byte)
                        || (65...90).contains(byte) || (97...122).contains(byte)
                }
        }
    }

    /// `host`, `host:port` or `[address]:port`, with a protocol before it as librdkafka allows.
    static func isBroker(_ text: String) -> Bool {
        var rest = Substring(text)
        if let scheme = rest.firstRange(of: "://") {
            let names = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
            guard names.contains(rest[..<scheme.lowerBound].lowercased()) else { return false }
            rest = rest[scheme.upperBound...]
        }
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
            return isNumeric(String(rest[rest.index(after: rest.startIndex)..<end]))
                && isPort(rest[rest.index(after: end)...])
        }
        let colon = rest.firstIndex(of: ":") ?? rest.endIndex
        return isHost(String(rest[..<colon])) && isPort(rest[colon...])
    }

    /// Nothing, or a colon and a number.
    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty || (text.hasPrefix(":") && Int(text.dropFirst()).map { (1...65_535).contains($0) } ?? false)
    }

    private static func isNumeric(_ text: String) -> Bool {
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1
    }
}
