import Core
import Testing

@testable import ConfigFiles

/// Goal: an expression's line and column lead to the right place of the file, for each way of writing a scalar.
/// Method: each file holds a `§` mark per mark in the value; the nth of the value must lead to the nth of the file.
@Suite struct ConfigTextTests {
    @Test(arguments: [
        "a: x §+ y\n",
        "a: 'it''s §x'\n",
        "a: \"tab\\t§x \\\"q\\\" \\u00e9 §y\\x41§\"\n",
        "a: &anchor §x\n",
        "a: !!str  '§x'\n",
        "a: plain §one\n  §two\n\n  §three\n",
        "a: 'single §one\n   §two\n\n\n  §three'\n",
        "a: \"double §one\n   §two \\\n   §three\n\n  §four\"\n",
        "a: |\n  §one\n    §two\n\n  §three\n",
        "a: |2\n    §one\n  §two\n",
        "a: |-\n\n\n  §one\n  §two\n# comment\nb: 1\n",
        "a: |+ # note\n  §one\n\n\nb: 1\n",
        "a: >\n  §one\n  §two\n\n  §three\n\n\n  §four\n    §more\n    §more\n\n  §back §x\n  §end\n",
        "a: >-\n  §one\n  §two\n",
        "- a: |\n    §one\n     §two\n  b: 2\n",
        "a:\n  |\n  §x\n",
        "a: §größer\n",
        "a: [§x, '§y']\n",
        "a: |\n  §no break at the end",
        "a: >\n\n  \n  §one\n   \n  §two\n",
    ])
    func `marks in the value lead to the marks in the file`(text: String) throws {
        let file = ConfigFile(text: text, file: "f.yaml")
        #expect(file.diagnostics.isEmpty)
        var values: [ConfigText] = []
        func walk(_ node: ConfigNode) {
            if let text = node.text { values.append(text) }
            for entry in node.entries ?? [] { walk(entry.value) }
            for element in node.elements ?? [] { walk(element) }
        }
        walk(try #require(file.root))
        var found: [String] = []
        for value in values where value.value.contains("§") {
            let lines = value.value.split(separator: "\n", omittingEmptySubsequences: false)
            for (lineIndex, line) in lines.enumerated() {
                for (column, scalar) in line.unicodeScalars.enumerated() where scalar == "§" {
                    let place = value.position(line: lineIndex + 1, column: column + 1)
                    found.append("\(place.line):\(place.column)")
                }
            }
        }
        var expected: [String] = []
        for line in 1...file.source.lineCount {
            for (column, scalar) in file.source.line(line).enumerated() where scalar == "§" {
                expected.append("\(line):\(column + 1)")
            }
        }
        #expect(found == expected)
    }

    @Test func `line starts of a literal block are its lines`() throws {
        let file = ConfigFile(text: "a:\n  b: |\n    x\n      y\n\n    z\n", file: "f.yaml")
        let text = try #require(file.root?["a"]?["b"]?.text)
        #expect(text.lineStarts.map { "\($0.line):\($0.column)" } == ["3:5", "4:5", "5:1", "6:5", "6:5"])
    }
}
