import Core
import Testing

@testable import CEL

/// The third outcome: a value that a condition used is null, missing, NaN or unknown, or its evaluation went wrong.
@Suite struct OutcomeTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var expression: String
        var expected: String
        var absorbed: Int
        var testDescription: String { expression }

        init(_ expression: String, _ expected: String, absorbed: Int = 0) {
            self.expression = expression
            self.expected = expected
            self.absorbed = absorbed
        }
    }

    static let row = TestRow(
        after: [
            "rate": .double(0.03), "count": .int(7), "total": .uint(.max), "price": .decimal("10.50"),
            "plant": .string("Plant 1"), "ok": .bool(true), "due_at": .timestamp("2026-01-12T05:00:00Z"),
            "any": .int(2), "spec.target": .null, "tags": .list("[\"a\",\"b\"]"), "spec": .object("{\"a\":{\"b\":1}}"),
            "temp-1": .int(20),
        ],
        before: [
            "rate": .double(.nan), "count": .null, "total": .unknown, "plant": .string("Plant 2"),
            "any": .string("NaN"), "ok": .null,
        ])

    static let values: [Case] = [
        Case("after.rate > 0.02", "true"),
        Case("0.02 < after.rate", "true"),
        Case("after.rate > 0", "true"),
        Case("after.rate <= 0.02", "false"),
        Case("after.rate == 0.03", "true"),
        Case("after.rate != 0.03", "false"),
        Case("after.count >= 7 && after.count < 8", "true"),
        Case("after.count > 6.5", "true"),
        Case("after.count == 7u", "true"),
        Case("after.total > 9223372036854775807", "true"),
        Case("after.total == 18446744073709551615u", "true"),
        Case("-1 < after.total", "true"),
        Case("after.price == 10.5", "true"),
        Case("after.price > 10.4999999999999999999", "false"),
        Case("after.price > 10.49", "true"),
        Case("after.price * 2 == 21", "true"),
        Case("after.price - 0.1 == 10.4", "true"),
        Case("after.price + after.price == decimal(\"21.00\")", "true"),
        Case("after.plant == \"Plant 1\"", "true"),
        Case("after.plant != \"Plant 1\"", "false"),
        Case("'Plant 1' == after.plant", "true"),
        Case("after.plant < \"Plant 10\"", "true"),
        Case("after.plant != before.plant", "true"),
        Case("after.plant in [\"Plant 2\", \"Plant 1\"]", "true"),
        Case("after.count in [1, 7.0]", "true"),
        Case("after.count in []", "false"),
        Case(
            "after.plant.startsWith(\"Plant\") && after.plant.endsWith(\"1\")", "true"),
        Case("after.plant.contains(\"nt \")", "true"),
        Case("after.plant.matches(\"^Plant [0-9]$\")", "true"),
        Case("after.plant.matches(\"^[0-9]\")", "false"),
        Case("size(after.plant) == 7", "true"),
        Case("after.plant.size() > 7", "false"),
        Case("after.ok", "true"),
        Case("!after.ok", "false"),
        Case("after.ok == true ? after.rate > 0.02 : false", "true"),
        Case("after.due_at < ts", "true"),
        Case("ts - after.due_at == duration(\"1h\")", "true"),
        Case("after.due_at + duration(\"2h\") > ts", "true"),
        Case("after.due_at == timestamp(\"2026-01-12T05:00:00Z\")", "true"),
        Case("after.due_at.getHours() == 5", "true"),
        Case("after.due_at.getHours(\"Europe/Berlin\") == 6", "true"),
        Case("after.any * 0.5 == 1.0", "true"),
        Case("after.any == 2", "true"),
        Case("double(after.count) / 2.0 == 3.5", "true"),
        Case("abs(0.0 - after.rate) > 0.02", "true"),
        Case("round(after.rate * 100.0) == 3.0", "true"),
        Case("op == \"update\"", "true"),
        Case("\"rate\" in changed", "true"),
        Case("after.`temp-1` == 20.0", "true"),
        Case("after.tags.exists(t, t == \"b\")", "true"),
        Case("size(after.tags) == 2", "true"),
        Case("after.spec.a.b == 1.0", "true"),
        Case("true || after.rate > 1.0", "true"),
    ]

    static let lacking: [Case] = [
        Case("before.count > 3", "null before.count"),
        Case("before.count == 3", "null before.count"),
        Case("before.count != 3", "null before.count"),
        Case("before.count in [3]", "null before.count"),
        Case("before.price > 3", "missing before.price"),
        Case("before.price == 3", "missing before.price"),
        Case("before.total < 3u", "unknown before.total"),
        Case("before.rate > 0.02", "nan before.rate"),
        Case("before.rate <= 0.02", "nan before.rate"),
        Case("before.rate == 0.02", "nan before.rate"),
        Case("before.rate != 0.02", "nan before.rate"),
        Case("before.rate + 1.0 > 0.02", "nan before.rate"),
        Case("before.any > 0.5", "nan before.any"),
        Case("0.5 >= before.any", "nan before.any"),
        Case("before.any in [0.5, 1]", "nan before.any"),
        Case("before.any in [\"a\", \"NaN\"]", "true"),
        Case("before.any > true", "overload"),
        Case("before.any == 0.5", "nan before.any"),
        Case("before.any != 0.5", "nan before.any"),
        Case("before.any == \"NaN\"", "true"),
        Case("before.ok", "null before.ok"),
        Case("!before.ok", "null before.ok"),
        Case("before.count > 3 ? true : false", "null before.count"),
        Case("after.spec.target > 1.0", "null after.spec.target"),
        Case("after.count / 0 == 1", "zero"),
        Case("after.count % 0 == 1", "zero"),
        Case("after.count * 9223372036854775807 > 0", "overflow"),
        Case("-(after.count - 7 - 9223372036854775807 - 1) > 0", "overflow"),
        Case("(after.rate - after.rate) / (after.rate - after.rate) > 0.02", "nan -"),
        Case("after.rate / (after.rate - after.rate) > 0.02", "true"),
        Case("after.tags[5] == \"a\"", "index"),
        Case("after.spec.x == 1.0", "key"),
    ]

    static let presence: [Case] = [
        Case("has(after.rate)", "true"),
        Case("has(before.rate)", "true"),
        Case("has(before.count)", "false"),
        Case("has(before.price)", "false"),
        Case("has(before.total)", "unknown before.total"),
        Case("before.count == null", "true"),
        Case("before.count != null", "false"),
        Case("null == before.price", "true"),
        Case("after.count == null", "false"),
        Case("after.count != null", "true"),
        Case("before.rate == null", "false"),
        Case("before.total == null", "unknown before.total"),
        Case("before.any != null", "true"),
        Case("has(before.count) && before.count > 3", "false"),
        Case("before.?count.orValue(0) > 3", "false"),
        Case("after.?count.orValue(0) > 3", "true"),
        Case("before.?total.orValue(0u) > 3u", "unknown before.total"),
        Case("before.?count.hasValue()", "false"),
        Case("has(after.spec.a)", "true"),
        Case("has(after.spec.z)", "false"),
    ]

    static let absorbing: [Case] = [
        Case("before.count > 3 || after.rate > 0.02", "true", absorbed: 1),
        Case("after.rate > 0.02 || before.count > 3", "true"),
        Case("before.count > 3 || before.price > 3 || after.rate > 0.02", "true", absorbed: 2),
        Case("before.count > 3 || after.rate > 0.5", "null before.count"),
        Case("after.rate > 0.5 || before.count > 3", "null before.count"),
        Case("before.count > 3 && after.rate > 0.5", "false", absorbed: 1),
        Case("before.count > 3 && after.rate > 0.02", "null before.count"),
        Case("before.price > 3 && before.count > 3", "missing before.price"),
        Case("!(before.count > 3 && after.rate > 0.5)", "true", absorbed: 1),
        Case("[0, 1].exists(x, 1 / x == 1)", "true", absorbed: 1),
        Case("[0, 2].exists(x, 1 / x == 1)", "zero"),
        Case("[0, 2].all(x, 1 / x == 1)", "false", absorbed: 1),
        Case("[0, 1].exists_one(x, 1 / x == 1)", "zero"),
    ]

    @Test(arguments: values + lacking + presence + absorbing)
    func `a condition has the outcome of the table on both paths`(_ test: Case) throws {
        let result = TestTable().compile(test.expression)
        let program = try #require(result.program, "\(result.diagnostics.map(\.message))")
        Self.row.with { frame in
            var absorbed = 0
            #expect(word(program.evaluateCondition(frame, absorbed: &absorbed)) == test.expected)
            #expect(absorbed == test.absorbed)
            var generalAbsorbed = 0
            #expect(word(program.evaluateGenerally(frame, absorbed: &generalAbsorbed)) == test.expected)
            #expect(generalAbsorbed == test.absorbed)
        }
    }

    @Test(arguments: [
        "after.rate > 0.02 && before.rate <= 0.02 && after.plant == \"Plant 1\"", "has(after.rate)",
        "after.count == null", "after.plant in [\"a\", \"b\"]", "after.plant.startsWith(\"P\") || !after.ok",
        "after.price > 10.5", "after.due_at < ts - duration(\"1h\")", "after.any > 3", "after.count % 2 == 1",
        "after.?rate.orValue(0.0) > 1.0", "after.plant.matches(\"a+\")", "size(after.plant) > 3",
    ])
    func `conditions over numbers, booleans, texts and times take the fast path`(_ expression: String) throws {
        #expect(try #require(TestTable().compile(expression).program).isFast)
    }

    @Test func `an image that is not known makes every use of it unknown`() throws {
        var row = Self.row
        row.before = nil
        for expression in ["before.rate > 1.0", "has(before.rate)", "before.rate == null", "before.plant == \"a\""] {
            let program = try #require(TestTable().compile(expression).program)
            row.with { frame in
                var absorbed = 0
                #expect(word(program.evaluateCondition(frame, absorbed: &absorbed)).hasPrefix("unknown before."))
                #expect(word(program.evaluateGenerally(frame, absorbed: &absorbed)).hasPrefix("unknown before."))
            }
        }
    }

    @Test func `a value of another type than declared is an error and not false`() throws {
        let row = TestRow(after: [
            "rate": .string("high"), "count": .double(2.5), "plant": .int(3), "ok": .string("yes"),
            "due_at": .string("2026-01-12T05:00:00Z"), "any": .object("{}"), "total": .int(-1),
        ])
        let table: [(String, String)] = [
            ("after.rate > 1.0", "type after.rate"), ("after.count == 2", "type after.count"),
            ("after.plant == \"3\"", "type after.plant"), ("after.ok", "type after.ok"),
            ("after.due_at < ts", "true"), ("after.any == 3", "false"), ("after.any < 3", "overload"),
            ("after.total == 1u", "type after.total"),
        ]
        for (expression, expected) in table {
            let program = try #require(TestTable().compile(expression).program)
            row.with { frame in
                var absorbed = 0
                #expect(word(program.evaluateCondition(frame, absorbed: &absorbed)) == expected, "\(expression)")
                #expect(word(program.evaluateGenerally(frame, absorbed: &absorbed)) == expected, "\(expression)")
            }
        }
    }

    @Test func `the text NaN in a declared number column is NaN and not a wrong type`() throws {
        let row = TestRow(after: ["rate": .string("NaN")])
        let program = try #require(TestTable().compile("after.rate > 1.0").program)
        row.with { frame in
            var absorbed = 0
            #expect(word(program.evaluateCondition(frame, absorbed: &absorbed)) == "nan after.rate")
            #expect(word(program.evaluateGenerally(frame, absorbed: &absorbed)) == "nan after.rate")
        }
    }

    @Test func `an error names its place in the file`() throws {
        let program = try #require(TestTable().compile("after.ok && before.count > 3").program)
        Self.row.with { frame in
            var absorbed = 0
            guard case .unknown(let error) = program.evaluateCondition(frame, absorbed: &absorbed) else {
                Issue.record("no error")
                return
            }
            #expect(error.description == "rule.yaml:10:19: before.count is null")
            #expect(error.column == "before.count")
        }
    }

    @Test func `a bare column evaluates to null where it has no value`() throws {
        let program = try #require(TestTable().compile("before.count", expecting: nil).program)
        #expect(program.bareSlot == SlotReference(space: 0, index: 1))
        try Self.row.with { frame in
            let value = try program.evaluate(frame)
            #expect(value == .null)
        }
    }

    @Test func `a loop that takes too long ends with an error`() throws {
        let list = "[" + (0..<100).map(String.init).joined(separator: ",") + "]"
        let expression = "\(list).all(a, \(list).all(b, \(list).all(c, \(list).all(d, a + b + c + d >= 0))))"
        let program = try #require(TestTable().compile(expression).program)
        Self.row.with { frame in
            var absorbed = 0
            #expect(word(program.evaluateCondition(frame, absorbed: &absorbed)) == "budget")
        }
    }

    @Test func `values that share their parts are paid for as often as they are walked`() throws {
        var doubled = "cel.bind(a0, [1], "
        for level in 1...40 { doubled += "cel.bind(a\(level), [a\(level - 1), a\(level - 1)], " }
        let closing = String(repeating: ")", count: 41)
        let compared = try #require(TestTable().compile("\(doubled)a40 == a40 && [a40] == [a40]\(closing)").program)
        let built = try #require(TestTable().compile("\(doubled)a40\(closing)", expecting: nil).program)
        Self.row.with { frame in
            var absorbed = 0
            #expect(word(compared.evaluateCondition(frame, absorbed: &absorbed)) == "budget")
            #expect(throws: EvaluationError.self) { _ = try built.evaluate(frame) }
        }
    }

    @Test func `functions of the environment get their arguments and the context`() throws {
        final class Locale: Sendable {
            let mark = ","
        }
        var environment = TestTable().environment
        environment.functions = [
            Environment.Function(
                name: "percent",
                overloads: [Environment.Overload(parameters: [.double, .int], result: .string, isMember: false)]
            ) { arguments, context throws(EvaluationError) in
                guard case .double(let value) = arguments[0], let locale = context as? Locale else {
                    throw EvaluationError(kind: .invalidArgument, message: "percent() takes a number")
                }
                return .string("\(Int(value * 100))\(locale.mark)")
            }
        ]
        let program = try #require(
            CEL.compile("percent(after.rate, 1)", at: SourceMap(file: "t"), in: environment, expecting: .string).program
        )
        try Self.row.with { frame in
            var frame = copy frame
            frame.context = Locale()
            let value = try program.evaluate(frame)
            #expect(value == .string("3,"))
        }
    }
}
