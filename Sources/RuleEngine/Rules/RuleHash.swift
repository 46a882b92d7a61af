internal import Core

/// The hash of what decides: the same for two spellings of one rule.
struct RuleHash {
    private var text = ""

    /// Adds a field; a missing one is told from an empty one.
    mutating func add(_ name: String, _ value: String?) {
        text += "\(name)\(value.map { "=\($0.utf8.count):\($0)" } ?? "-");"
    }

    /// Adds an expression; blanks outside of strings do not count.
    mutating func add(_ name: String, expression: String?) { add(name, expression.map(RuleHash.normalised)) }

    /// 32 hexadecimal digits.
    var hex: String { Hex.encode(Digest.sha256(Array(text.utf8)).prefix(16)) }

    /// The expression with every run of blanks as one, except inside strings.
    static func normalised(_ expression: String) -> String {
        var result = String.UnicodeScalarView()
        var quote: Unicode.Scalar?
        var isEscaped = false
        var blank = false
        for scalar in expression.unicodeScalars {
            if let open = quote {
                result.append(scalar)
                if isEscaped {
                    isEscaped = false
                } else if scalar == "\\" {
                    isEscaped = true
                } else if scalar == open {
                    quote = nil
                }
                continue
            }
            if scalar == " " || scalar == "\n" || scalar == "\t" || scalar == "\r" {
                blank = true
                continue
            }
            if blank, !result.isEmpty { result.append(" ") }
            blank = false
            result.append(scalar)
            if scalar == "\"" || scalar == "'" { quote = scalar }
        }
        return String(result)
    }
}
