internal import Core

/// Reads the fields of a cron expression.
struct CronParser {
    struct Field: Equatable {
        var bits: UInt64
        /// Whether it begins with `*`.
        var isStar: Bool
    }

    private struct Kind {
        var name: String
        var range: ClosedRange<Int>
        /// Names from `nameStart` on.
        var names: [String]
        var nameStart: Int
    }

    private struct Word {
        var scalars: [Unicode.Scalar]
        /// 1-based.
        var column: Int
        var text: String { String(String.UnicodeScalarView(scalars)) }
    }

    private static let kinds = [
        Kind(name: "minute", range: 0...59, names: [], nameStart: 0),
        Kind(name: "hour", range: 0...23, names: [], nameStart: 0),
        Kind(name: "day of the month", range: 1...31, names: [], nameStart: 0),
        Kind(
            name: "month", range: 1...12,
            names: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], nameStart: 1),
        Kind(
            name: "weekday", range: 0...7, names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], nameStart: 0),
    ]
    private static let macros = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]
    private static let lengthMax = 400

    private let text: String
    private var words: [Word] = []

    init(_ text: String) { self.text = text }

    func failure(_ message: String, field: Int, help: String?) -> CronExpression.Failure {
        guard field < words.count else {
            return CronExpression.Failure(
                message: message, column: 1, length: max(1, text.unicodeScalars.count), help: help)
        }
        let word = words[field]
        return CronExpression.Failure(
            message: message, column: word.column, length: max(1, word.scalars.count), help: help)
    }

    private func failure(_ message: String, _ word: Word, help: String? = nil) -> CronExpression.Failure {
        CronExpression.Failure(message: message, column: word.column, length: max(1, word.scalars.count), help: help)
    }

    mutating func fields() throws(CronExpression.Failure) -> [Field] {
        guard text.unicodeScalars.count <= CronParser.lengthMax else {
            throw CronExpression.Failure(
                message: "a schedule may have at most \(CronParser.lengthMax) characters", column: 1, length: 1,
                help: nil)
        }
        words = CronParser.words(text)
        var source = text
        if words.count == 1, words[0].scalars.first == "@" {
            let name = words[0].text.lowercased()
            guard let meant = CronParser.macros[name] else {
                let nearest = Spelling.nearest(to: name, among: CronParser.macros.keys.sorted())
                throw failure(
                    "a schedule of one word is one of @hourly, @daily, @weekly, @monthly, @yearly; found "
                        + "'\(words[0].text)'", words[0], help: nearest.map { "did you mean '\($0)'?" })
            }
            source = meant
        }
        let fieldWords = source == text ? words : CronParser.words(source)
        guard fieldWords.count == 5 else { throw wrongCount(fieldWords) }
        var fields: [Field] = []
        for (word, kind) in zip(fieldWords, CronParser.kinds) { fields.append(try field(word, kind)) }
        return fields
    }

    private func wrongCount(_ words: [Word]) -> CronExpression.Failure {
        var help = "write minute, hour, day of the month, month, weekday, such as '0 7 * * MON-FRI'"
        if words.count == 6 { help = "seconds and years are not part of it; " + help }
        return CronExpression.Failure(
            message: "a schedule has five fields; found \(words.count)", column: words.first?.column ?? 1,
            length: max(1, (words.last.map { $0.column + $0.scalars.count } ?? 1) - (words.first?.column ?? 1)),
            help: help)
    }

    private static func words(_ text: String) -> [Word] {
        var words: [Word] = []
        var isInWord = false
        for (index, scalar) in text.unicodeScalars.enumerated() {
            guard scalar != " ", scalar != "\t", scalar != "\n" else {
                isInWord = false
                continue
            }
            if isInWord {
                words[words.count - 1].scalars.append(scalar)
            } else {
                words.append(Word(scalars: [scalar], column: index + 1))
                isInWord = true
            }
        }
        return words
    }

    private static func split(_ word: Word, at separator: Unicode.Scalar) -> [Word] {
        var parts = [Word(scalars: [], column: word.column)]
        for (index, scalar) in word.scalars.enumerated() {
            if scalar == separator {
                parts.append(Word(scalars: [], column: word.column + index + 1))
            } else {
                parts[parts.count - 1].scalars.append(scalar)
            }
        }
        return parts
    }

    private func field(_ word: Word, _ kind: Kind) throws(CronExpression.Failure) -> Field {
        var bits: UInt64 = 0
        for element in CronParser.split(word, at: ",") {
            guard !element.scalars.isEmpty else {
                throw failure("a list in the field '\(kind.name)' has a value on each side of ','", word)
            }
            bits |= try self.element(element, kind)
        }
        return Field(bits: bits, isStar: word.scalars.first == "*")
    }

    private func element(_ word: Word, _ kind: Kind) throws(CronExpression.Failure) -> UInt64 {
        let parts = CronParser.split(word, at: "/")
        guard parts.count <= 2 else { throw failure("a step has one '/'; found '\(word.text)'", word) }
        var range = kind.range
        if parts[0].text == "*" {
            // Sunday once.
            if kind.range.upperBound == 7 { range = 0...6 }
        } else {
            range = try self.range(parts[0], kind, hasStep: parts.count == 2)
        }
        var step = 1
        if parts.count == 2 {
            let limit = kind.range.upperBound - kind.range.lowerBound
            guard let number = CronParser.number(parts[1]), (1...limit).contains(number) else {
                throw failure(
                    "a step of the field '\(kind.name)' must be from 1 to \(limit); found '\(parts[1].text)'", parts[1])
            }
            step = number
        }
        var bits: UInt64 = 0
        for value in stride(from: range.lowerBound, through: range.upperBound, by: step) { bits |= 1 << UInt64(value) }
        return bits
    }

    private func range(_ word: Word, _ kind: Kind, hasStep: Bool) throws(CronExpression.Failure) -> ClosedRange<Int> {
        let ends = CronParser.split(word, at: "-")
        guard ends.count <= 2 else { throw failure("a range has two ends; found '\(word.text)'", word) }
        let low = try value(ends[0], kind)
        guard ends.count == 2 else {
            // `5/10`: from 5 on.
            return low...(hasStep ? max(low, kind.range.upperBound == 7 ? 6 : kind.range.upperBound) : low)
        }
        var high = try value(ends[1], kind)
        // `SAT-SUN`, `5-0`.
        if kind.range.upperBound == 7, high == 0, low > 0 { high = 7 }
        guard low <= high else {
            let rest = kind.names.isEmpty ? "\(kind.range.lowerBound)" : kind.names[0]
            let end = kind.names.last ?? "\(kind.range.upperBound)"
            throw failure(
                "a range goes upwards; found '\(word.text)'", word,
                help: "write '\(ends[0].text)-\(end),\(rest)-\(ends[1].text)'")
        }
        return low...high
    }

    private func value(_ word: Word, _ kind: Kind) throws(CronExpression.Failure) -> Int {
        let text = word.text
        if let number = CronParser.number(word) {
            guard kind.range.contains(number) else {
                throw failure(
                    "the field '\(kind.name)' must be from \(kind.range.lowerBound) to \(kind.range.upperBound); found "
                        + "'\(text)'", word)
            }
            return number
        }
        if let index = kind.names.firstIndex(of: text.uppercased()) { return index + kind.nameStart }
        var help: String?
        if text == "?" {
            help = "write '*'"
        } else if !kind.names.isEmpty {
            let short = kind.names.first { text.count > 3 && text.uppercased().hasPrefix($0) }
            help = (short ?? Spelling.nearest(to: text.uppercased(), among: kind.names)).map { "did you mean '\($0)'?" }
        }
        let expected = kind.names.isEmpty ? "a number" : "a number or a name such as \(kind.names[1])"
        throw failure(
            "the field '\(kind.name)' must be \(expected); found \(text.isEmpty ? "nothing" : "'\(text.prefix(40))'")",
            word, help: help)
    }

    private static func number(_ word: Word) -> Int? {
        guard (1...4).contains(word.scalars.count), word.scalars.allSatisfy({ (48...57).contains($0.value) }) else {
            return nil
        }
        return Int(word.text)
    }
}
