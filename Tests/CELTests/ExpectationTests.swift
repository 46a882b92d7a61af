import Core
import Foundation
import Testing

@testable import CEL

/// Expressions with their expected fate at cel-go's parser and checker, beside the conformance suite.
@Suite struct ExpectationTests {
    static let folder = ConformanceTests.folder.deletingLastPathComponent().appendingPathComponent("extra")
    static let isThere = FileManager.default.fileExists(atPath: folder.appendingPathComponent("parser.jsonl").path)

    static func rows(_ name: String) throws -> [JSON] {
        let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
        return try text.split(separator: "\n").map { try JSON.parse(String($0)) }
    }

    @Test(.enabled(if: isThere, "the parser's expectations are not there"))
    func `the parser accepts and rejects what it should`() throws {
        var counts = (accepted: 0, rejected: 0, skipped: 0)
        for row in try Self.rows("parser.jsonl") {
            let expression = row["expr"]?.stringValue ?? ""
            let (tree, diagnostics) = Parser.parse(expression, map: SourceMap(file: "p"))
            guard let error = row["error"]?.stringValue else {
                #expect(tree != nil, "\(expression): \(diagnostics.map(\.message))")
                counts.accepted += 1
                continue
            }
            // Syntax that is switched off there, and limits that are lower.
            let isOwn = ["unsupported syntax", "recursion limit", "recursion depth", "__result__"].contains {
                error.contains($0) || expression.contains($0)
            }
            if isOwn {
                counts.skipped += 1
                continue
            }
            #expect(tree == nil, "\(expression) should be refused: \(error)")
            counts.rejected += 1
        }
        print("parser: accepted \(counts.accepted), rejected \(counts.rejected), skipped \(counts.skipped)")
        #expect(counts.accepted >= 100 && counts.rejected >= 50)
    }

    @Test(.enabled(if: isThere, "the checker's expectations are not there"))
    func `the checker finds types and mistakes as it should`() throws {
        var counts = (typed: 0, refused: 0, skipped: 0)
        for row in try Self.rows("checker.jsonl") {
            let expression = row["expr"]?.stringValue ?? ""
            let variables = (row["variables"]?.elements ?? []).map {
                ($0["name"]?.stringValue ?? "", Self.type($0["type"]?.stringValue ?? ""))
            }
            let isPlain =
                (row["functions"]?.elements ?? []).isEmpty && !expression.contains("TestAllTypes")
                && !variables.contains { $0.1 == nil } && row["std"]?.boolValue != false
            guard isPlain else {
                counts.skipped += 1
                continue
            }
            let types = variables.map { $0.1 ?? .dyn }
            let names = variables.map { $0.0 }
            var environment = Environment(resolve: { path in
                names.firstIndex(of: path.joined(separator: ".")).map { .dynamic($0, types[$0]) } ?? .none
            })
            environment.container = row["container"]?.stringValue ?? ""
            environment.validatesLiterals = false
            let result = CEL.compile(expression, at: SourceMap(file: "c"), in: environment, expecting: nil)
            if row["error"] != nil {
                // Numbers of different types may be ordered here, and the element type of `[]` is not inferred.
                let isOurs = expression.contains("1 <= 1.0") || expression.contains("[].map(x, [].map(y")
                if !isOurs { #expect(result.program == nil, "\(expression)") }
                counts.refused += 1
            } else if result.program != nil {
                counts.typed += 1
            } else {
                print("checker: \(expression): \(result.diagnostics.map(\.message))")
            }
        }
        print("checker: typed \(counts.typed), refused \(counts.refused), skipped \(counts.skipped)")
        #expect(counts.typed >= 40)
    }

    /// A type from its text, where it is one of the plain ones.
    static func type(_ text: String) -> CELType? {
        if text.hasPrefix("list("), text.hasSuffix(")") {
            return type(String(text.dropFirst(5).dropLast())).map { .list($0) }
        }
        switch text {
        case "int": return .int
        case "uint": return .uint
        case "double": return .double
        case "bool": return .bool
        case "string": return .string
        case "bytes": return .bytes
        case "dyn": return .dyn
        case "null_type": return .null
        default: return nil
        }
    }
}
