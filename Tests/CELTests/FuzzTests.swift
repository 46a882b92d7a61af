import Core
import Testing

@testable import CEL

/// A small generator of random numbers with a seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct FuzzTests {
    static let seeds: [UInt64] = [1, 2, 3]
    static let fragments = [
        "after.rate", "before.count", "after.plant", "after.any", "after.price", "after.ok", "after.tags", "ts", "op",
        "1", "0", "-1", "2.5", "1u", "\"a\"", "'b'", "true", "null", "[1, 2]", "{\"a\": 1}", "b\"x\"", "changed",
        "duration(\"1h\")", "size(", "has(after.rate)", ".exists(x, x", ".map(x, x)", ".?count.orValue(0)", "(", ")",
        "[", "]",
        "{", "}", ",", ":", "?", ".", "!", "-", " + ", " - ", " * ", " / ", " % ", " == ", " != ", " < ", " >= ",
        " in ",
        " && ", " || ", " ", "\n", "\\", "\"", "`", "≥", "é", "\u{0}", "AND", "x", ".startsWith(\"P\")",
        ".matches(\"(a|b)*\")",
    ]

    @Test(arguments: seeds)
    func `random bytes and broken expressions never crash the compiler`(_ seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        let table = TestTable()
        for _ in 0..<1500 {
            let count = Int.random(in: 0...40, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            _ = table.compile(String(decoding: bytes, as: UTF8.self), expecting: nil)
        }
        let valid = (OutcomeTests.values + OutcomeTests.absorbing).map { Array($0.expression.unicodeScalars) }
        for _ in 0..<3000 {
            var scalars = valid.randomElement(using: &random) ?? []
            for _ in 0...Int.random(in: 0...3, using: &random) where !scalars.isEmpty {
                let place = Int.random(in: 0..<scalars.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: scalars.remove(at: place)
                case 1: scalars.insert(scalars.randomElement(using: &random) ?? "a", at: place)
                default: scalars[place] = UnicodeScalar(UInt8.random(in: 32...126, using: &random))
                }
            }
            check(String(String.UnicodeScalarView(scalars)), table)
        }
    }

    @Test(arguments: seeds)
    func `both evaluators agree on random expressions`(_ seed: UInt64) {
        print("seed \(seed)")
        var random = SeededGenerator(state: seed &* 7919)
        let table = TestTable()
        var programs = 0
        for _ in 0..<6000 {
            let count = Int.random(in: 1...9, using: &random)
            let text = (0..<count).map { _ in Self.fragments.randomElement(using: &random) ?? "" }.joined()
            if check(text, table) { programs += 1 }
        }
        for _ in 0..<3000 where check(expression(depth: 3, &random), table) { programs += 1 }
        #expect(programs > 250)
    }

    /// A random expression that is mostly well formed.
    private func expression(depth: Int, _ random: inout SeededGenerator) -> String {
        guard depth > 0 else { return Self.fragments[Int.random(in: 0..<17, using: &random)] }
        let left = expression(depth: depth - 1, &random)
        let right = expression(depth: depth - 1, &random)
        switch Int.random(in: 0...7, using: &random) {
        case 0: return "(\(left) && \(right))"
        case 1: return "(\(left) || \(right))"
        case 2: return "!(\(left))"
        case 3: return "(\(left) ? \(right) : \(left))"
        case 4: return "(\(left) in [\(right), 1, \"a\"])"
        case 5:
            let operation = ["+", "-", "*", "/", "%"].randomElement(using: &random) ?? "+"
            return "(\(left) \(operation) \(right))"
        default:
            let operation = ["==", "!=", "<", "<=", ">", ">="].randomElement(using: &random) ?? "=="
            return "(\(left) \(operation) \(right))"
        }
    }

    /// Compiles; where that works, evaluates on both paths, which must agree. Returns whether it compiled.
    @discardableResult
    private func check(_ text: String, _ table: TestTable) -> Bool {
        let result = table.compile(text, expecting: nil)
        guard let program = result.program else {
            #expect(!result.diagnostics.isEmpty, "no program and no reason: \(text)")
            return false
        }
        OutcomeTests.row.with { frame in
            var fast = 0
            var general = 0
            let outcome = word(program.evaluateCondition(frame, absorbed: &fast))
            let expected = word(program.evaluateGenerally(frame, absorbed: &general))
            if program.isFast, expected != "budget" {
                #expect(normal(outcome) == normal(expected), "\(text)")
                #expect(fast == general, "\(text)")
            }
        }
        return true
    }

    /// A value that is no boolean is an error either way, by another name.
    private func normal(_ word: String) -> String { word == "no condition" ? "overload" : word }
}
