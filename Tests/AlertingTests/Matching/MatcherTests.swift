import Core
import Testing

@testable import Alerting

@Suite struct MatcherTests {
    private func parse(_ text: String) throws -> [LabelMatcher] { try LabelMatcher.parse(text) }

    private func problem(_ text: String) -> MatcherSyntaxProblem? {
        do throws(MatcherSyntaxProblem) {
            _ = try LabelMatcher.parse(text)
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        ("team=\"quality\"", ["team=\"quality\""]),
        (
            "{team=\"quality\", plant=~\"Plant (1|2)\", line!=\"L2\", unit!~\"k.*\"}",
            ["team=\"quality\"", "plant=~\"Plant (1|2)\"", "line!=\"L2\"", "unit!~\"k.*\""]
        ),
        ("team=quality", ["team=\"quality\""]),
        ("  team = quality ,severity=~error|critical,", ["team=\"quality\"", "severity=~\"error|critical\""]),
        ("\"Größe\"=\"10 µm\"", ["\"Größe\"=\"10 µm\""]),
        ("Größe=10µm", ["\"Größe\"=\"10µm\""]),
        ("\"a b\"!=\"\"", ["\"a b\"!=\"\""]),
        ("a=\"x\\\"y\\\\z\\n\\u00e9\\x41\\101\"", ["a=\"x\\\"y\\\\z\\néAA\""]),
        ("a=\"b, c=d}\"", ["a=\"b, c=d}\""]),
        ("a=\"\\xc3\\xa9\"", ["a=\"é\""]),
        ("{}", []),
        ("{ }", []),
        ("a:b=c", ["a:b=\"c\""]),
    ])
    func `Alertmanager's grammar is read`(text: String, expected: [String]) throws {
        #expect(try parse(text).map(\.description) == expected)
    }

    @Test(arguments: [
        ("", 1), ("   ", 1), ("team", 5), ("team=", 6), ("=x", 1), ("team==x", 5), ("team=\"x", 6),
        ("team=\"x\" b=\"y\"", 10),
        ("{team=x", 8), ("team=x}", 7), ("team~x", 5), ("team!x", 5), ("a=\"\\q\"", 4), ("a=\"\\x4\"", 4), ("a=b c", 5),
        ("a=\"x\ny\"", 3), ("a=~\"(\"", 4), ("a=~\"a)|(b\"", 4), ("\"\"=x", 1), ("a='x'", 3), ("a=\"\\xff\"", 3),
        ("a=\"\\ud800\"", 4), ("a=\"\\u+041\"", 4), (",", 1), ("a=b,,c=d", 5), ("{a=b}{c=d}", 6),
    ])
    func `a mistake is named at its column`(text: String, column: Int) {
        let found = problem(text)
        #expect(found != nil, "\(text) was read")
        #expect(found?.column == column, "\(text): \(found?.description ?? "")")
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a matcher written out reads back as itself`(seed: UInt64) throws {
        var generator = Generator(state: seed)
        let pool = Array("ab=~!{},\"'\\\n\t\u{1}é🙂 %`|".unicodeScalars)
        for _ in 0..<2000 {
            func text() -> String {
                var view = String.UnicodeScalarView()
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    view.append(pool.randomElement(using: &generator) ?? "a")
                }
                return String(view)
            }
            let matcher = try LabelMatcher(
                name: text(), value: text(), isRegex: false, isEqual: Bool.random(using: &generator))
            #expect(try LabelMatcher.parse(matcher.description) == [matcher])
        }
    }

    @Test func `noise never crashes the reader and its problems lie inside the text`() {
        var generator = Generator(state: 20_260_112)
        let pool = Array("team=~!{},\"'\\xu0\n é🙂|()[*".unicodeScalars)
        for _ in 0..<20_000 {
            var view = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0...12, using: &generator) {
                view.append(pool.randomElement(using: &generator) ?? "a")
            }
            let text = String(view)
            guard let found = problem(text) else { continue }
            #expect(found.column >= 1 && found.column <= view.count + 1 && found.length >= 1, "\(text)")
        }
    }

    @Test func `a huge text or list is refused`() {
        #expect(problem(String(repeating: "a", count: 20_000)) != nil)
        #expect(problem(Array(repeating: "a=b", count: 101).joined(separator: ",")) != nil)
        #expect(problem("a=~\"" + String(repeating: "(a{1,1000}){1,1000}", count: 3) + "\"") != nil)
    }

    @Test func `a missing label is the empty text and a regular expression is anchored`() throws {
        func holds(_ text: String, _ labels: [String: String]) throws -> Bool {
            try parse(text).allSatisfy { $0.matches(labels) }
        }
        #expect(try holds("a=\"\"", [:]))
        #expect(try holds("a!=\"x\"", [:]))
        #expect(try !holds("a=\"x\"", [:]))
        #expect(try holds("a=~\"x|\"", [:]))
        #expect(try holds("a=~\"x|\"", ["a": "x"]))
        #expect(try !holds("a=~\"x|\"", ["a": "y"]))
        #expect(try holds("a=~\".*\"", [:]))
        #expect(try !holds("a!~\".*\"", [:]))
        #expect(try !holds("a=~\"x\"", ["a": "xy"]))
        #expect(try !holds("a=~\"x.\"", ["a": "xyz"]))
        #expect(try holds("a=~\"x.\"", ["a": "xy"]))
        #expect(try !holds("a=~\"x.|y\"", ["a": "yy"]))
        #expect(try holds("a=~\"(?i)ABC\"", ["a": "abc"]))
        #expect(try !holds("a=~\"x\"", ["a": "x\n"]))
        #expect(try holds("a!~\"x.\"", ["a": "x"]))
    }
}

/// SplitMix64, for tests that must repeat.
struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
