import Core
import Testing

@testable import ConfigFiles

/// Decodes with one body and gives what was found as `line:column code message | help`.
func problems(_ text: String, _ body: (MappingReader) -> Void) -> [String] {
    let reader = ConfigReader()
    _ = reader.mapping(of: ConfigFile(text: text, file: "f.yaml"), body)
    return reader.sortedDiagnostics.map { found in
        "\(found.position.line):\(found.position.column) \(found.code) \(found.message)"
            + (found.help.map { " | \($0)" } ?? "")
    }
}

@Suite struct ConfigFileTests {
    private func diagnostics(_ text: String) -> [Diagnostic] { ConfigFile(text: text, file: "f.yaml").diagnostics }

    @Test func `nodes know their line and column in scalars`() throws {
        let file = ConfigFile(text: "größe: 1\nrules:\n  - name: \"a\"\n    key: [x, 'ÿ y']\n", file: "f.yaml")
        let root = try #require(file.root)
        let rule = try #require(root["rules"]?.elements?.first)
        #expect(root["größe"]?.position == SourcePosition(file: "f.yaml", line: 1, column: 8))
        #expect(rule["name"]?.position.description == "f.yaml:3:11")
        #expect(rule["name"]?.length == 3)
        let key = try #require(rule["key"]?.elements)
        #expect(key.map(\.column) == [11, 14])
        #expect(key[1].length == 5)
    }

    @Test func `a byte order mark and carriage returns do not move positions`() throws {
        let file = ConfigFile(text: "\u{FEFF}a: 1\r\nb: x\r\n", file: "f.yaml")
        #expect(file.root?["b"]?.position.description == "f.yaml:2:4")
        #expect(file.source.text == "a: 1\nb: x\n")
        let shown = Diagnostic(code: "T", message: "m", position: file.source.position(line: 2, column: 4))
        #expect(shown.rendered(source: file.source.text).contains("2 | b: x\n"))
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", "3:1 a key may occur once in a mapping; found 'a' again", "1:1"),
        ("x:\n  - k: 1\n    'k': 2\n", "3:5 a key may occur once in a mapping; found 'k' again", "2:5"),
    ])
    func `a key given twice is an error at its second place`(text: String, expected: String, first: String) {
        let found = diagnostics(text)
        #expect(found.map { "\($0.position.line):\($0.position.column) \($0.message)" } == [expected])
        #expect(found.first?.notes.first?.position.map { "\($0.line):\($0.column)" } == first)
    }

    @Test(arguments: [
        ("a: b: c\n", 1, "in quotes"),
        ("a:\n\t- b\n", 2, "not tabs"),
        ("a: @b\n", 1, "begins with '@'"),
        ("a: *b\n", 1, "begins with '*'"),
        ("a: \"x\" == after.y\n", 1, "block after '|'"),
        ("a: !has(x)\n", 1, "begins with '!'"),
        ("a: {{ x }}\n", 1, "begins with '{{'"),
    ])
    func `a trap of YAML is named`(text: String, line: Int, help: String) {
        let found = diagnostics(text)
        #expect(found.count >= 1)
        #expect(found.first?.position.line == line)
        #expect(found.first?.help?.contains(help) == true, "\(found)")
    }

    @Test func `a second document is refused`() {
        #expect(diagnostics("a: 1\n---\nb: 2\n").map(\.message) == ["a file holds one document; found another"])
    }

    @Test func `bad characters are found at their place`() {
        let found = diagnostics("a: 1\nb: x\u{07}y\n")
        #expect(found.map(\.position.description) == ["f.yaml:2:5"])
        #expect(found.first?.message.contains("U+0007") == true)
    }

    @Test func `aliases work and merge keys fill in`() throws {
        let text = "base: &b {for: 5m, key: [x]}\none:\n  <<: *b\n  for: 1m\ntwo: *b\n"
        let file = ConfigFile(text: text, file: "f.yaml")
        #expect(file.diagnostics.isEmpty)
        #expect(file.root?["one"]?["for"]?.scalar?.text == "1m")
        #expect(file.root?["one"]?["key"]?.elements?.count == 1)
        #expect(file.root?["two"]?["for"]?.scalar?.text == "5m")
    }

    @Test(.timeLimit(.minutes(1))) func `a billion laughs is refused quickly`() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let uses = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(uses)]\n"
        }
        let file = ConfigFile(text: text, file: "f.yaml")
        #expect(file.root == nil)
        #expect(file.diagnostics.map(\.code) == ["Y004"])
    }

    @Test func `many aliases beside expressions and templates are taken`() {
        var text = "d: &defaults {for: 5m}\n"
        for index in 0..<200 {
            text += "r\(index):\n  <<: *defaults\n  when: \"x * y > 1 ? a : b\"\n  s: \"{{ after.x }}: {{ a *b }}\"\n"
        }
        let file = ConfigFile(text: text, file: "f.yaml")
        #expect(file.diagnostics.isEmpty)
        #expect(file.root?["r199"]?["for"]?.scalar?.text == "5m")
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["? *a9\n: 1\n", "*a9 : 1\n", "[*a9]: 1\n", "{a: *a9}: 1\n"])
    func `aliases as keys do not multiply`(key: String) {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let uses = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(uses)]\n"
        }
        #expect(ConfigFile(text: text + key, file: "f.yaml").diagnostics.map(\.code) == ["Y004"])
    }

    @Test func `deep nesting is refused`() {
        for text in [String(repeating: "[", count: 100_000), String(repeating: "- ", count: 2000) + "x"] {
            #expect(diagnostics(text).map(\.code) == ["Y004"], "\(text.prefix(3))")
        }
        let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
        #expect(diagnostics(deep).map(\.code) == ["Y004"])
    }

    @Test func `a file above the size limit is refused`() {
        let text = "a: " + String(repeating: "x", count: ConfigFile.byteCountMax)
        #expect(diagnostics(text).map(\.code) == ["Y004"])
    }

    @Test func `an empty file has no root and no problem`() {
        for text in ["", "# only a comment\n", "\n\n"] {
            let file = ConfigFile(text: text, file: "f.yaml")
            #expect(file.root == nil)
            #expect(file.diagnostics.isEmpty)
        }
    }

    @Test func `random bytes and mutations never crash`() {
        let seed: UInt64 = 20_260_101
        print("seed \(seed)")
        var state = seed
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let base =
            "table: x\nrules:\n  - name: &a \"b\"\n    when: |\n      a > 1\n    f: >-\n      x\n      y\n    k: *a\n"
        for _ in 0..<2000 {
            var bytes = Array(base.utf8)
            for _ in 0...next(6) {
                let noise = Array(" \n\t:-?*&!|>'\"{}[],#%@`ab1\\".utf8)
                let index = next(bytes.count)
                switch next(3) {
                case 0: bytes[index] = noise[next(noise.count)]
                case 1: bytes.insert(noise[next(noise.count)], at: index)
                default: bytes.remove(at: index)
                }
            }
            let file = ConfigFile(text: String(decoding: bytes, as: UTF8.self), file: "f.yaml")
            func walk(_ node: ConfigNode) {
                _ = node.length
                _ = node.text?.segments
                for entry in node.entries ?? [] { walk(entry.value) }
                for element in node.elements ?? [] { walk(element) }
            }
            if let root = file.root { walk(root) }
            for found in file.diagnostics { _ = found.rendered(source: file.source.text) }
        }
    }

    @Test func `a folder is read in order, without subfolders and hidden files`() throws {
        let folder = try TemporaryFolder()
        for name in ["b.yaml", "a.yaml", ".c.yaml", "d.yml", "e.txt"] { try folder.write(name, "x: 1\n") }
        try folder.write("tests/t.yaml", "x: 1\n")
        let (files, diagnostics) = ConfigFile.loadDirectory(path: folder.path)
        #expect(files.map(\.file) == [folder.path + "/a.yaml", folder.path + "/b.yaml"])
        #expect(diagnostics.map(\.level) == [.warning])
        #expect(diagnostics.first?.help == "rename it to 'd.yaml'")
        #expect(ConfigFile.loadDirectory(path: folder.path + "/none").diagnostics.map(\.code) == ["Y001"])
    }

    @Test func `files that cannot be read say why`() throws {
        let folder = try TemporaryFolder()
        try folder.write("bad.yaml", bytes: Array("a: 1\nb: x".utf8) + [0xFF, 0x0A])
        let bad = ConfigFile.load(path: folder.path + "/bad.yaml")
        #expect(bad.diagnostics.map(\.position.line) == [2])
        #expect(bad.diagnostics.map(\.position.column) == [5])
        #expect(ConfigFile.load(path: folder.path + "/no.yaml").diagnostics[0].message.contains("does not exist"))
        #expect(ConfigFile.load(path: folder.path).diagnostics[0].message.contains("is a folder"))
    }
}
