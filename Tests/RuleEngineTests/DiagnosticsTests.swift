import ConfigFiles
import Core
import Foundation
import RuleEngine
import Testing

/// Goal: every mistake of an author gets its own message, at its place, with what to do. Method: the wrong rule files
/// of rules/tests/diagnostics.golden and the exact text that an author sees; RULES_GOLDEN=write writes it anew.
@Suite struct DiagnosticsTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var text: String
        var expected: String
        var testDescription: String { name }
    }

    private static let path = Places.root.path + "/rules/tests/diagnostics.golden"

    static func cases() throws -> [Case] {
        try String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "### ").dropFirst().map { block in
            let parts = block.components(separatedBy: "\n---\n")
            let lines = parts[0].split(separator: "\n", maxSplits: 1)
            return Case(name: String(lines[0]), text: lines[1] + "\n", expected: parts[1])
        }
    }

    private static func found(_ text: String) -> String {
        let files = [
            ConfigFile(text: Harness.tables, file: "rules/tables.yaml"), ConfigFile(text: text, file: "rules/r.yaml"),
        ]
        let options = RuleLoadOptions(receivers: ["quality", "planners"], rulesMax: 10)
        return RuleSet.load(files: files, options: options).diagnostics
            .map { $0.rendered(source: text) + "\n" }.joined()
    }

    @Test func `each wrong rule file gives exactly its message`() throws {
        let cases = try DiagnosticsTests.cases()
        #expect(cases.count >= 40)
        if ProcessInfo.processInfo.environment["RULES_GOLDEN"] == "write" {
            let text = cases.map { "### \($0.name)\n\($0.text)---\n\(DiagnosticsTests.found($0.text))" }.joined()
            try text.write(toFile: DiagnosticsTests.path, atomically: true, encoding: .utf8)
        }
        for wrong in cases { #expect(DiagnosticsTests.found(wrong.text) == wrong.expected, "\(wrong.name)") }
    }

    @Test func `no broken rule file crashes the loader`() throws {
        // Method: the wrong and the shipped files with characters removed, repeated and replaced; the seed is printed.
        let seed: UInt64 = 20_260_112
        var random = Seeded(state: seed)
        var texts = try DiagnosticsTests.cases().map(\.text)
        for name in ["quality", "inventory", "sla", "customer"] {
            texts.append(try String(contentsOfFile: "\(Places.root.path)/rules/\(name).yaml", encoding: .utf8))
        }
        let pieces = [
            "{{", "}}", "\"", "'", ":", "- ", "[", "}", "\n", "\t", "after.", "before", "(", "&&", "é", "|", ">",
        ]
        for _ in 0..<200 {
            var scalars = Array((texts.randomElement(using: &random) ?? "").unicodeScalars)
            for _ in 0..<Int.random(in: 1...4, using: &random) where !scalars.isEmpty {
                let start = Int.random(in: 0..<scalars.count, using: &random)
                let end = min(scalars.count, start + Int.random(in: 0...6, using: &random))
                let piece = Array((pieces.randomElement(using: &random) ?? "").unicodeScalars)
                scalars.replaceSubrange(start..<end, with: piece)
            }
            let text = String(String.UnicodeScalarView(scalars))
            for diagnostic in RuleSet.load(
                files: [
                    ConfigFile(text: Harness.tables, file: "rules/tables.yaml"),
                    ConfigFile(text: text, file: "rules/r.yaml"),
                ], options: .standard
            ).diagnostics {
                #expect(diagnostic.position.line >= 1 && diagnostic.position.column >= 1, "seed \(seed)")
                #expect(!diagnostic.rendered(source: text).isEmpty)
            }
        }
    }

    @Test func `blanks and texts do not change a rule's hash, what decides does`() throws {
        func hash(_ fields: String) throws -> String {
            try #require(try Harness.load(Harness.rule(fields)).rules.first).hash
        }
        let base = try hash("when: after.status == \"a  b\"   &&  after.x > 3")
        #expect(try hash("when: after.status == \"a  b\" && after.x > 3\nsummary: hello") == base)
        #expect(try hash("when: after.status == \"a b\" && after.x > 3") != base)
        #expect(try hash("when: after.status == \"a  b\" && after.x > 3\nfor: 5m") != base)
        #expect(try hash("when: after.status == \"a  b\" && after.x > 3\nkey: [line]") != base)
    }
}
