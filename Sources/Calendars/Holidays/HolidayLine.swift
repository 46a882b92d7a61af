/// One unfolded line of an iCalendar file: `NAME;PARAMETER=value:VALUE`.
///
/// Source: RFC 5545 section 3.1.
struct HolidayLine: Equatable {
    /// In upper case.
    var name: String
    /// Names in upper case; values without their quotes.
    var parameters: [String: String]
    var value: String
    /// 1-based line of the file on which it begins.
    var number: Int

    /// Splits a file into unfolded lines; a line that is none gives its number instead.
    static func lines(of bytes: [UInt8]) -> [Result<HolidayLine, Broken>] {
        var unfolded: [(bytes: [UInt8], number: Int)] = []
        var number = 0
        for raw in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            number += 1
            var line = raw
            while line.last == 0x0D { line.removeLast() }
            if number == 1, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
            guard let first = line.first else { continue }
            if first == 0x20 || first == 0x09, !unfolded.isEmpty {
                unfolded[unfolded.count - 1].bytes += line.dropFirst()
            } else {
                unfolded.append((Array(line), number))
            }
        }
        return unfolded.map { line in
            guard let text = String(validating: line.bytes, as: UTF8.self),
                let parsed = HolidayLine(text, number: line.number)
            else { return .failure(Broken(number: line.number)) }
            return .success(parsed)
        }
    }

    /// A line that has no name and value.
    struct Broken: Error, Equatable { var number: Int }

    init?(_ text: String, number: Int) {
        self.number = number
        var parts: [Substring] = []
        var isQuoted = false
        var start = text.startIndex
        var index = text.startIndex
        let utf8 = text.utf8
        parameters = [:]
        search: while index < utf8.endIndex {
            switch utf8[index] {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: ":") where !isQuoted: break search
            case UInt8(ascii: ";") where !isQuoted:
                parts.append(text[start..<index])
                start = utf8.index(after: index)
            default: break
            }
            index = utf8.index(after: index)
        }
        guard index < utf8.endIndex else { return nil }
        parts.append(text[start..<index])
        value = String(text[utf8.index(after: index)...])
        name = parts[0].uppercased()
        guard !name.isEmpty, name.utf8.allSatisfy({ (48...57).contains($0) || (65...90).contains($0) || $0 == 45 })
        else { return nil }
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: "=") else { return nil }
            var text = part[part.index(after: equals)...]
            if text.hasPrefix("\""), text.hasSuffix("\""), text.utf8.count >= 2 { text = text.dropFirst().dropLast() }
            parameters[part[..<equals].uppercased()] = String(text)
        }
    }

    /// The value as a text, with its escapes taken away and control characters as blanks, cut at 200 characters.
    var text: String {
        var result = ""
        var isEscaped = false
        for character in value {
            if isEscaped {
                result.append(character == "n" || character == "N" ? " " : character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                let isControl = character.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
                result.append(isControl ? " " : character)
            }
            if result.count >= 200 { break }
        }
        return result
    }
}
