import Core
import Testing

@testable import ConfigFiles

@Suite struct MappingReaderTests {
    private enum Color: String, CaseIterable { case red, green }

    private struct Sample {
        var name = ""
        var hold = Duration.zero
        var count = 0
        var color = Color.red
        var notify: [String] = []
        var labels: [(String, String)] = []
        var rules: [(String, Bool)] = []
        var byName: [(String, Int)] = []

        init(_ mapping: MappingReader) {
            name = mapping.requiredString("name", "The name.")
            hold = mapping.duration("hold", "The hold.", default: .seconds(60))
            count = mapping.int("count", "How many.", in: 1...100, default: 3)
            color = mapping.choice("color", "The colour.", default: .green)
            notify = mapping.strings("notify", "Who.")
            labels = mapping.templateMap("labels", "Labels.").map { ($0.key.value, $0.value.value) }
            rules = mapping.mappings("rules", "Rules.") { rule in
                (rule.requiredString("name", "Name."), rule.bool("enabled", "On.", default: true))
            }
            byName = mapping.namedMappings("receivers", "Receivers.") { name, receiver in
                (name?.value ?? "", receiver.requiredInt("port", "Port.", in: 1...65_535))
            }
        }
    }

    @Test func `a whole file decodes`() throws {
        let text = """
            name: x
            hold: 1h30m
            count: 7
            color: red
            notify: planners
            labels: {team: q, plant: "{{ after.plant }}"}
            rules:
              - name: a
              - {name: b, enabled: false}
            receivers:
              mail: {port: 25}
            """
        let reader = ConfigReader()
        let sample = try #require(reader.mapping(of: ConfigFile(text: text, file: "f.yaml"), Sample.init))
        #expect(reader.diagnostics.isEmpty)
        #expect(sample.name == "x")
        #expect(sample.hold == .seconds(5400))
        #expect(sample.count == 7)
        #expect(sample.color == .red)
        #expect(sample.notify == ["planners"])
        #expect(sample.labels.map(\.0) == ["team", "plant"])
        #expect(sample.rules.map(\.0) == ["a", "b"])
        #expect(sample.rules.map(\.1) == [true, false])
        #expect(sample.byName.map(\.1) == [25])
    }

    @Test func `all problems of a file are found at once and in order`() {
        let text = "hold: 5\ncuont: 1\ncolor: gren\nrules:\n  - enabled: yes\n  - x\nreceivers: []\n"
        #expect(
            problems(text) { _ = Sample($0) } == [
                "1:1 Y011 'name' is required here",
                "1:7 Y012 'hold' must be a duration such as '5m'; found '5'"
                    + " | units are ms, s, m, h, d, w; several may follow each other",
                "2:1 Y010 unknown key 'cuont' | did you mean 'count'?",
                "3:8 Y013 'color' must be one of 'red', 'green'; found 'gren' | did you mean 'green'?",
                "5:5 Y011 'name' is required here",
                "5:14 Y012 'enabled' must be true or false; found 'yes' | write true",
                "6:5 Y012 an element of 'rules' must be a mapping; found 'x'",
                "7:12 Y012 'receivers' must be a mapping of names to mappings; found a list",
            ])
    }

    @Test(arguments: [
        ("no", "'t' must be a text; found 'no', which YAML readers may take for false | write \"no\" in quotes"),
        ("on", "'t' must be a text; found 'on', which YAML readers may take for true | write \"on\" in quotes"),
        ("true", "'t' must be a text; found 'true' (a boolean) | write \"true\" in quotes"),
        ("1e3", "'t' must be a text; found '1e3' (a number) | write \"1e3\" in quotes"),
        (
            "010",
            "'t' must be a text; found '010', which YAML readers may take for another number | write \"010\" in quotes"
        ),
        (
            "[a]",
            "'t' must be a text; found a list | put the text in quotes: one that begins with '[' is taken for a list"
        ),
        ("{a: b}", "'t' must be a text; found a mapping"),
        ("${env:X}", "'t' takes no references to secrets"),
    ])
    func `a text that is none says so`(value: String, expected: String) {
        let found = problems("t: \(value)\n") { _ = $0.string("t", "Text.") }
        #expect(found.map { $0.split(separator: " ", maxSplits: 2)[2] } == [Substring(expected)])
    }

    @Test(arguments: ["'no'", "\"1e3\"", "!!str 010", "|\n  true\n", "2026-01-01", "12:30", "1.2.3", "x y"])
    func `quoted and harmless texts are taken`(value: String) {
        #expect(problems("t: \(value)\n") { _ = $0.string("t", "Text.") } == [])
    }

    @Test(arguments: [
        ("010", "write 10: YAML readers may take '010' for an octal number"), ("1_000", "write 1000"),
        ("1e3", "write 1000"), ("'5'", "remove the quotes"), ("0x1F", "write it in decimal digits"),
    ])
    func `a number in a doubtful form says how to write it`(value: String, help: String) {
        let found = problems("n: \(value)\n") { _ = $0.int("n", "Number.", in: 0...10_000) }
        #expect(found.count == 1)
        #expect(found.first?.hasSuffix("| " + help) == true, "\(found)")
    }

    @Test func `numbers outside their range are refused`() {
        for value in ["0", "101", "99999999999999999999"] {
            let found = problems("n: \(value)\n") { _ = $0.int("n", "Number.", in: 1...100) }
            #expect(found == ["1:4 Y013 'n' must be a whole number from 1 to 100; found '\(value)'"])
        }
        let found = problems("n: .nan\n") { _ = $0.number("n", "Number.", in: 0...1) }
        #expect(found.count == 1)
    }

    @Test func `sizes have units`() {
        let reader = ConfigReader()
        let file = ConfigFile(text: "a: 16MiB\nb: 512\n", file: "f.yaml")
        let sizes = reader.mapping(of: file) {
            ($0.byteCount("a", "A.", default: 1), $0.byteCount("b", "B.", default: 1))
        }
        #expect(sizes?.0 == 16 << 20)
        #expect(sizes?.1 == 512)
        #expect(problems("a: 16MB\n") { _ = $0.byteCount("a", "A.", default: 1) }.count == 1)
    }

    @Test func `keys that exclude each other are named`() {
        let found = problems("when: a\nseverity: b\n") {
            _ = ($0.string("when", "W."), $0.string("severity", "S."))
            $0.exclusive(["when", "severity"])
        }
        #expect(found == ["2:1 Y010 'severity' may not stand beside 'when' | keep one of 'when', 'severity'"])
    }

    @Test func `an expression may be a plain number or boolean`() {
        #expect(problems("when: true\nx: 5\n") { _ = ($0.expression("when", "W."), $0.expression("x", "X.")) } == [])
        #expect(problems("when: [a]\n") { _ = $0.expression("when", "W.") }.count == 1)
    }

    @Test func `diagnostics are bounded`() {
        let text = (0..<1000).map { "k\($0): 1\n" }.joined()
        let reader = ConfigReader()
        _ = reader.mapping(of: ConfigFile(text: text, file: "f.yaml")) { _ in }
        #expect(reader.diagnostics.count == ConfigReader.diagnosticCountMax + 1)
    }

    @Test func `the message, the caret and the help read as an author expects`() {
        let text = "rules:\n  - name: x\n    for: 5\n"
        let file = ConfigFile(text: text, file: "rules/a.yaml")
        let reader = ConfigReader()
        _ = reader.mapping(of: file) { root in
            root.mappings("rules", "Rules.") { ($0.string("name", "N."), $0.duration("for", "F.")) }
        }
        #expect(
            reader.diagnostics.first?.rendered(source: file.source.text) == """
                rules/a.yaml:3:10: error[Y012]: 'for' must be a duration such as '5m'; found '5'
                    3 |     for: 5
                      |          ^
                  help: units are ms, s, m, h, d, w; several may follow each other
                """)
    }

    // MARK: - Schema

    @Test func `the schema comes from the decoder`() throws {
        let schema = ConfigSchema.describing(title: "Sample", Sample.init)
        #expect(
            schema.keyPaths == [
                "name", "hold", "count", "color", "notify", "labels", "rules", "rules[].name", "rules[].enabled",
                "receivers", "receivers.*.port",
            ])
        let json = try JSON.parse(schema.text)
        #expect(json["$schema"]?.stringValue == "http://json-schema.org/draft-07/schema#")
        #expect(json["required"] == .array([.string("name")]))
        #expect(json["properties"]?["hold"]?["default"] == .string("1m"))
        #expect(json["properties"]?["color"]?["enum"] == .array([.string("red"), .string("green")]))
        #expect(json["properties"]?["count"]?["maximum"] == .number("100"))
        let rule = json["properties"]?["rules"]?["items"]
        #expect(rule?["additionalProperties"] == .bool(false))
        #expect(rule?["properties"]?["enabled"]?["type"] == .string("boolean"))
    }

    @Test func `a format that contains itself has a definition`() throws {
        func route(_ mapping: MappingReader) -> Int {
            _ = mapping.string("receiver", "Receiver.")
            return 1 + mapping.mappings("routes", "Routes.", definition: "route", route).reduce(0, +)
        }
        let schema = ConfigSchema.describing(title: "Routes") { root in
            root.mappings("routes", "Routes.", definition: "route", route)
        }
        let json = try JSON.parse(schema.text)
        let own = json["definitions"]?["route"]?["properties"]?["routes"]?["items"]?["$ref"]
        #expect(own == .string("#/definitions/route"))
        #expect(json["properties"]?["routes"]?["items"]?["$ref"] == .string("#/definitions/route"))
        let text = "routes:\n  - receiver: a\n    routes: [{receiver: b}, {reciever: c}]\n"
        let found = problems(text) { _ = $0.mappings("routes", "Routes.", definition: "route", route) }
        #expect(found == ["3:30 Y010 unknown key 'reciever' | did you mean 'receiver'?"])
    }
}
