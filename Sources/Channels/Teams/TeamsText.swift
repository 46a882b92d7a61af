internal import Core

/// Texts from data, made safe to show: no control characters, no hidden changes of direction, no markup, no cut
/// characters.
enum TeamsText {
    /// The text on one line, at most `bytesMax` bytes of UTF-8, cut between characters with `…`.
    static func line(_ text: String, bytesMax: Int) -> String {
        cut(cleaned(text, keepsLines: false, bytesMax: bytesMax), bytesMax)
    }

    /// The text with its line breaks, at most `bytesMax` bytes.
    static func block(_ text: String, bytesMax: Int) -> String {
        cut(cleaned(text, keepsLines: true, bytesMax: bytesMax), bytesMax)
    }

    /// Reads only as far as it takes to know that the text must be cut.
    private static func cleaned(_ text: String, keepsLines: Bool, bytesMax: Int) -> String {
        var result = String.UnicodeScalarView()
        var wasBlank = true
        var byteCount = 0
        for scalar in text.unicodeScalars {
            byteCount += UTF8.width(scalar)
            if byteCount > bytesMax, String(result).utf8.count > bytesMax { break }
            switch scalar.value {
            case 0x0A where keepsLines:
                result.append(scalar)
                wasBlank = true
            case 0...0x20, 0x7F...0xA0, 0x2028, 0x2029:
                if !wasBlank { result.append(" ") }
                wasBlank = true
            // Marks that change the direction of what follows, and ones that show nothing.
            case 0x200B, 0x200E, 0x200F, 0x202A...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF0...0xFFFB, 0xE0000...0xE007F:
                continue
            default:
                result.append(scalar)
                wasBlank = false
            }
        }
        while let last = result.last, last == " " || last == "\n" { result.removeLast() }
        return String(result)
    }

    private static func cut(_ text: String, _ bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        let room = bytesMax - "…".utf8.count
        var result = ""
        var count = 0
        for character in text {
            count += character.utf8.count
            guard count <= room else { break }
            result.append(character)
        }
        return result + "…"
    }

    /// Whether markdown could read something into the text; such texts are shown where there is no markdown.
    static func couldBeMarkup(_ text: String) -> Bool {
        if text.utf8.contains(where: { active.contains($0) }) { return true }
        return text.split(separator: "\n", omittingEmptySubsequences: true).contains { line in
            let start = line.drop { $0 == " " }
            if start.first == "#" || start.first == "+" { return true }
            if start.hasPrefix("- ") { return true }
            let rest = start.drop { $0.isASCII && $0.isNumber }
            return rest.count < start.count && (rest.hasPrefix(". ") || rest.hasPrefix(") "))
        }
    }

    private static let active = Set("*_[]<>`~|\\&{}".utf8)

    /// The text without anything that markdown could read; for the one place that knows nothing else.
    static func withoutMarkup(_ text: String) -> String {
        String(decoding: text.utf8.map { active.contains($0) || $0 == UInt8(ascii: "#") ? 0x20 : $0 }, as: UTF8.self)
    }

    /// An address as it may stand behind a button: http or https, printable ASCII; nil for anything else.
    static func link(_ text: String) -> String? {
        let lowered = text.lowercased()
        guard lowered.hasPrefix("https://") || lowered.hasPrefix("http://"), text.utf8.count <= 2000 else { return nil }
        let rest = text.utf8.drop { $0 != UInt8(ascii: ":") }.dropFirst(3)
        guard let first = rest.first, first != UInt8(ascii: "/"), first != UInt8(ascii: "?"), first != UInt8(ascii: "#")
        else { return nil }
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0...0x20, 0x7F, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "\\"),
                UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "}"):
                return nil
            case 0x80...: result += "%\(Hex.encode([byte]).uppercased())".utf8
            default: result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
