import Core
import Foundation
import Testing

@testable import CEL

/// What authors are told: code, place and suggestion.
@Suite struct DiagnosticTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var expression: String
        var code: String
        /// Column within the expression, from 1.
        var column: Int
        var help: String?
        var testDescription: String { expression }

        init(_ expression: String, _ code: String, _ column: Int, _ help: String?) {
            self.expression = expression
            self.code = code
            self.column = column
            self.help = help
        }
    }

    static let mistakes: [Case] = [
        Case("after.plant = \"A\"", "C004", 13, "use == to compare"),
        Case("after.ok AND after.ok", "C005", 10, "use && for \"and\""),
        Case("after.ok or after.ok", "C005", 10, "use || for \"or\""),
        Case("NOT after.ok", "C005", 1, "use ! for \"not\""),
        Case("after.ok & after.ok", "C006", 10, "use && for \"and\""),
        Case("after.ok | after.ok", "C006", 10, "use || for \"or\""),
        Case("after.count <> 3", "C007", 13, "use != for \"not equal\""),
        Case("after.count ≥ 3", "C007", 13, "use >="),
        Case("after.count === 3", "C007", 13, "use == to compare"),
        Case("after.plant == “A”", "C002", 16, "use straight quotes: \"text\""),
        Case("after.plant == \"A", "C003", 16, "close it on the same line, or use three quotes for several lines"),
        Case(
            "after.plant.matches(\"\\d+\")", "C003", 22,
            "write \\\\ for a backslash, or put r before the quote: r\"\\d+\""),
        Case("if after.ok", "C008", 1, "write condition ? value : otherwise"),
        Case("has(after)", "C009", 5, nil),
        Case("after.tags.exists(1, true)", "C009", 19, nil),
        Case("afer.ok", "C011", 1, "did you mean 'after'?"),
        Case("rate > 0.02", "C011", 1, "did you mean 'after.rate'?"),
        Case("True", "C011", 1, "write true in lower case"),
        Case("now - after.due_at > duration(\"1h\")", "C011", 1, nil),
        Case("after.ok && after.rte > 0.02", "C012", 19, "did you mean 'rate'?"),
        Case("after.plant == \"A\" && has(after.plnt)", "C012", 27, "did you mean 'plant'?"),
        Case("after.plant.startWith(\"A\")", "C013", 1, "did you mean startsWith()?"),
        Case("len(after.plant) > 3", "C013", 1, "use size()"),
        Case("after.plant.contains(3)", "C014", 1, nil),
        Case("!after.count", "C015", 1, "compare it, as in after.count == 0"),
        Case("after.count && after.ok", "C015", 1, "compare it, as in after.count == 1"),
        Case("after.rate * 2 > 1.0", "C015", 1, "write 2.0"),
        Case("after.any * 2 > 1.0", "C015", 13, "write 2.0, or declare the column in tables.yaml"),
        Case("after.price / 2 > 1", "C015", 1, "a decimal has no exact quotient; write double(after.price) / 2.0"),
        Case("after.plant + after.count == \"a\"", "C015", 1, "write string(after.count) to put it into a text"),
        Case("after.plant == 5", "C016", 1, "write \"5\" in quotes, or compare double(after.plant)"),
        Case("after.count > \"3\"", "C016", 1, "write 3 without quotes"),
        Case("after.ok == \"true\"", "C016", 1, "write true without quotes"),
        Case(
            "after.due_at < \"2026-01-31T06:00:00Z\"", "C016", 1, "write timestamp(\"2026-01-31T06:00:00Z\")"),
        Case("after.count in [\"1\", \"2\"]", "C016", 1, "write the elements without quotes"),
        Case("after.plant in \"abc\"", "C015", 1, "use \"abc\".contains(after.plant), or a list: [\"abc\"]"),
        Case("1 < after.count < 3", "C016", 1, "comparisons do not chain: write low < x && x < high"),
        Case("after.count < null", "C016", 1, "test with == null or has()"),
        Case("after.count", "C017", 1, "compare it, as in after.count > 0"),
        Case("after.plant", "C017", 1, "compare it, as in after.plant == \"text\""),
        Case("ts - after.due_at > duration(\"5 min\")", "C019", 30, nil),
        Case("after.plant.matches(\"[\")", "C019", 21, nil),
        Case("after.due_at > timestamp(\"2026-01-31\")", "C019", 26, "write it as 2026-01-31T06:00:00Z, with a zone"),
        Case("after.due_at.getHours(\"Europe/Berlino\") > 3", "C019", 23, nil),
        Case("{\"a\": 1, \"a\": 2}[\"a\"] == after.count", "C022", 10, nil),
        Case("after == null", "C020", 1, "write after.column"),
        Case("after.count.x > 3", "C021", 1, nil),
        Case("ts - after.due_at > 5m", "C003", 21, "write a duration as duration(\"5m\")"),
        Case("after.plant is null", "C001", 13, "use == to compare, also with null"),
        Case("after.ok &&", "C001", 12, nil),
        Case("(after.ok", "C001", 10, nil),
        Case("after.ok)", "C001", 9, "nothing opens it"),
        Case("", "C001", 1, nil),
        Case("   ", "C001", 4, nil),
        Case("99999999999999999999 > 1", "C003", 1, nil),
    ]

    @Test(arguments: mistakes)
    func `a mistake is named with its place and what to write instead`(_ test: Case) throws {
        let result = TestTable().compile(test.expression)
        #expect(result.program == nil)
        let first = try #require(result.diagnostics.first { $0.level == .error })
        #expect(first.code == test.code, "\(first.message)")
        #expect(first.position == SourcePosition(file: "rule.yaml", line: 10, column: 6 + test.column))
        if let help = test.help { #expect(first.help == help) }
    }

    @Test func `all mistakes are reported at once, in order`() {
        let result = TestTable().compile("after.rte > 1.0 AND after.plant = 3")
        #expect(result.diagnostics.map(\.code) == ["C005", "C004"])
        let checked = TestTable().compile("after.rte > 1.0 && after.plant == 3 && foo")
        #expect(checked.diagnostics.map(\.code) == ["C012", "C016", "C011"])
    }

    @Test func `positions follow the lines of a block scalar`() {
        let map = SourceMap(file: "r.yaml", lines: [(5, 9), (6, 9), (7, 11)])
        let result = CEL.compile(
            "after.ok\n&& after.ok\n&& after.plnt == \"ä\"", at: map, in: TestTable().environment, expecting: .bool)
        #expect(result.diagnostics.first?.position == SourcePosition(file: "r.yaml", line: 7, column: 20))
        #expect(result.diagnostics.first?.length == 4)
    }

    @Test func `dividing integers before comparing with a fraction is a warning`() throws {
        let result = TestTable().compile("after.count / 2 > 3.5")
        #expect(result.program != nil)
        #expect(result.diagnostics.map(\.code) == ["C030"])
        #expect(result.diagnostics.first?.help == "write double(after.count) / 2.0")
    }

    @Test func `references tell which columns an expression reads`() {
        let result = TestTable().compile(
            "after.rate > 1.0 && before.rate < 1.0 && has(after.plant) && after.rate < 9.0")
        #expect(
            result.references.map { $0.path.joined(separator: ".") } == ["after.rate", "before.rate", "after.plant"])
    }

    @Test func `nesting and length are bounded with a clear message`() {
        for expression in [
            String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000),
            String(repeating: "[", count: 5000), String(repeating: "!(", count: 5000),
            "1" + String(repeating: " + 1", count: 5000), "a" + String(repeating: ".b", count: 5000),
            "a" + String(repeating: "[0]", count: 5000), String(repeating: "true ? 1 : ", count: 5000) + "2",
            String(repeating: "{1: ", count: 5000), String(repeating: "a(", count: 5000),
            "\"" + String(repeating: "x", count: 70_000) + "\"",
        ] {
            let result = TestTable().compile(expression, expecting: nil)
            #expect(result.program == nil)
            #expect(result.diagnostics.contains { $0.code == "C010" }, "\(expression.prefix(20))")
        }
    }

    @Test func `the deepest expressions that are allowed fit two megabytes of stack`() {
        let depth = Parser.depthMax - 8
        let expressions = [
            String(repeating: "(", count: depth) + "1" + String(repeating: ")", count: depth),
            String(repeating: "!(", count: depth / 2) + "true" + String(repeating: ")", count: depth / 2),
            "1" + String(repeating: " + 1", count: depth),
            String(repeating: "true ? 1 : ", count: depth / 2) + "2",
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth),
            String(repeating: "size([", count: depth / 3) + String(repeating: "])", count: depth / 3),
            String(repeating: "[1].map(x, ", count: depth / 2) + "1" + String(repeating: ")", count: depth / 2),
            "after.any" + String(repeating: ".a", count: depth), "changed" + String(repeating: "[0]", count: depth),
            String(repeating: "after.ok && (true || ", count: depth / 4) + "true"
                + String(repeating: ")", count: depth / 4),
        ]
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            for expression in expressions {
                let result = TestTable().compile(expression, expecting: nil)
                OutcomeTests.row.with { frame in _ = try? result.program?.evaluate(frame) }
            }
            done.signal()
        }
        // A quarter of what a thread gets on Linux; frames of a debug build are several times those of a release.
        thread.stackSize = 2 << 20
        thread.start()
        done.wait()
    }

    @Test func `a chain of many terms is no nesting`() {
        let expression = Array(repeating: "after.ok", count: 2000).joined(separator: " && ")
        #expect(TestTable().compile(expression).program != nil)
    }

    @Test func `every code is documented`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/cel.md"), encoding: .utf8)
        for code in DiagnosticCode.allCases {
            #expect(page.contains("| \(code.rawValue) |"), "docs/cel.md does not explain \(code.rawValue)")
        }
    }
}
