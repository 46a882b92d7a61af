import CEL
import Core
import Testing

@testable import Templates

/// A table of columns as a rule sees it: `after.x` in space 1, `before.x` in space 0.
struct SampleTable {
    var columns: [(name: String, type: CELType)] = [
        ("plant", .string), ("rate", .double), ("qty", .decimal), ("count", .int), ("due_at", .timestamp),
        ("any", .dyn),
        ("ok", .bool),
    ]

    var environment: Environment {
        let columns = columns
        return Environment(
            resolve: { path in
                guard let space = ["before", "after"].firstIndex(of: path[0]) else {
                    return path == ["op"] ? .slot(SlotReference(space: 2, index: 0), .string) : .none
                }
                if path.count == 1 { return .record(space: UInt8(space)) }
                guard path.count == 2 else { return .none }
                guard let index = columns.firstIndex(where: { $0.name == path[1] }) else {
                    return .unknownColumn(candidates: columns.map(\.name))
                }
                return .slot(SlotReference(space: UInt8(space), index: UInt16(index)), columns[index].type)
            }, rootNames: ["before", "after", "op"])
    }

    func compile(_ text: String, keyColumns: [String] = ["plant"]) -> (template: Template?, diagnostics: [Diagnostic]) {
        let result = Template.compile(
            text, at: SourceMap(file: "r.yaml", lines: [(10, 12)]), in: environment,
            variables: TemplateVariables(keyColumns: keyColumns))
        return (result.template, result.diagnostics)
    }
}

@Suite struct TemplateTests {
    private let table = SampleTable()
    private let columns: [String: ColumnText] = [
        "after.plant": ColumnText(kind: .string, text: "Plant 1"),
        "after.rate": ColumnText(kind: .double, text: "0.06250"),
        "after.qty": ColumnText(kind: .decimal, text: "12345678901234567890.12345"),
        "after.count": ColumnText(kind: .int, text: "1234"),
        "after.due_at": ColumnText(kind: .timestamp, text: "2026-01-12T05:27:49.985Z"),
        "after.any": ColumnText(kind: .null, text: ""),
        "after.ok": ColumnText(kind: .bool, text: "true"),
        "before.rate": ColumnText(kind: .double, text: "0.01"),
        "op": ColumnText(kind: .string, text: "update"),
    ]
    private var alert: Alert {
        var alert = Alert(
            rule: "line-rate", table: "quality", owner: "qe", keyColumns: ["plant"], keyTexts: ["P1"],
            at: Timestamp(milliseconds: 0))
        alert.severity = .critical
        alert.state = .firing
        alert.episode = 2
        alert.firingSince = Timestamp.parse("2026-01-12T10:02:00Z")
        return alert
    }
    private let german = RenderLocale(locale: "de_DE", timeZone: "Europe/Berlin")

    private func render(_ text: String, columns: [String: ColumnText]? = nil) throws -> Rendered {
        let (template, diagnostics) = table.compile(text)
        #expect(diagnostics.isEmpty)
        return try #require(template).render(columns: columns ?? self.columns, alert: alert, locale: german)
    }

    @Test(arguments: [
        ("plain text", "plain text"), ("", ""),
        ("Line {{ after.plant }}: {{ percent(after.rate, 1) }} defects", "Line Plant 1: 6,3\u{A0}% defects"),
        ("{{after.rate}}|{{ after.qty }}", "0.06250|12345678901234567890.12345"),
        ("{{ number(after.qty, 2) }}", "12.345.678.901.234.567.890,12"),
        ("{{ number(after.qty) }}", "12.345.678.901.234.567.890,12345"),
        ("{{ percent(after.rate - before.rate, 2) }}", "5,25\u{A0}%"),
        ("{{ number(after.count) }} {{ after.count + 1 }}", "1.234 1235"),
        ("{{ datetime(after.due_at) }}", "12.01.2026 06:27 UTC+1"),
        ("{{ date(after.due_at) }} {{ time(after.due_at) }}", "12.01.2026 06:27 UTC+1"),
        ("{{ after.due_at }}", "2026-01-12T05:27:49.985Z"),
        ("{{ fired_at }}", "12.01.2026 11:02 UTC+1"), ("{{ resolved_at }}", "–"),
        (
            "{{ severity }} {{ state }} {{ rule }} {{ table }} {{ owner }} {{ episode }}",
            "critical firing line-rate quality qe 2"
        ),
        ("{{ key.plant }}", "P1"), ("{{ after.any }}", "–"), ("{{ op }}", "update"),
        ("{{ after.ok ? \"yes }}\" : 'no' }}", "yes }}"), ("{{ {\"a\": {\"b\": after.plant}}.a.b }}", "Plant 1"),
        ("{{ \"{{\" }}", "{{"), ("a }} b", "a }} b"), ("{{ after.plant }}{{ after.plant }}", "Plant 1Plant 1"),
    ])
    func `a template renders from stored texts`(text: String, expected: String) throws {
        let rendered = try render(text)
        #expect(rendered.text == expected)
        #expect(rendered.problem == nil)
    }

    @Test func `an expression that goes wrong leaves a mark and says why`() throws {
        let rendered = try render("rate {{ after.count / (after.count - 1234) }} at {{ after.plant }}")
        #expect(rendered.text == "rate ? at Plant 1")
        #expect(rendered.problem?.contains("{{ after.count / (after.count - 1234) }}: ") == true)
    }

    @Test func `nulls, unknown and unstored columns are no problem`() throws {
        var columns = columns
        columns["after.rate"] = ColumnText(kind: .null, text: "")
        columns["after.qty"] = ColumnText(kind: .unknown, text: "")
        columns["after.count"] = nil
        columns["after.plant"] = ColumnText(kind: .missing, text: "")
        let text =
            "{{ percent(after.rate, 1) }} {{ after.qty }} {{ after.count }} {{ after.plant }} {{ after.rate + 1.0 }}"
        let rendered = try render(text, columns: columns)
        #expect(rendered == Rendered(text: "– ? ? – –", problem: nil))
    }

    @Test func `NaN is written as it is`() throws {
        var columns = columns
        columns["after.rate"] = ColumnText(kind: .double, text: "NaN")
        #expect(try render("{{ after.rate }} {{ percent(after.rate, 1) }}", columns: columns).text == "NaN NaN")
    }

    @Test func `a row's text cannot break the layout or flood the output`() throws {
        var columns = columns
        columns["after.plant"] = ColumnText(kind: .string, text: "a\r\nBcc: x\u{202E}y\u{0}z")
        #expect(try render("{{ after.plant }}", columns: columns).text == "a  Bcc: x y z")
        columns["after.plant"] = ColumnText(kind: .string, text: String(repeating: "é", count: 100_000))
        let flooded = try render(Array(repeating: "{{ after.plant }}", count: 50).joined(), columns: columns)
        #expect(flooded.text.utf8.count <= Template.outputByteCountMax)
        #expect(flooded.text.hasSuffix("…"))
    }

    @Test func `stored texts that do not fit their kind are unknown`() throws {
        var columns = columns
        columns["after.count"] = ColumnText(kind: .int, text: "x")
        columns["after.ok"] = ColumnText(kind: .bool, text: "maybe")
        columns["after.due_at"] = ColumnText(kind: .timestamp, text: "soon")
        let rendered = try render("{{ after.count }} {{ after.ok }} {{ date(after.due_at) }}", columns: columns)
        #expect(rendered.text == "? ? ?")
    }

    @Test func `labels are written plainly from the live row`() throws {
        let text =
            "{{ after.plant }}|{{ percent(after.rate, 1) }}|{{ number(after.count) }}|{{ after.any }}|{{ fired_at }}"
        let template = try #require(table.compile(text).template)
        let arena = RowArena(capacity: 64)
        let slots = table.columns.map { column in columns["after.\(column.name)"]?.slot(in: arena) ?? .missing }
        let rendered = slots.withUnsafeBufferPointer { buffer in
            template.render(
                EvaluationFrame(spaces: (nil, buffer.baseAddress, nil, nil), arena: arena), alert: alert, locale: nil)
        }
        #expect(rendered.text == "Plant 1|6.3%|1234||2026-01-12T10:02:00Z")
        #expect(rendered.problem == nil)
    }

    @Test func `an image that is not known gives a question mark`() throws {
        let template = try #require(table.compile("{{ before.rate }} {{ percent(before.rate) }}").template)
        let frame = EvaluationFrame(spaces: (nil, nil, nil, nil), arena: RowArena(capacity: 64))
        #expect(template.render(frame, alert: alert, locale: nil) == Rendered(text: "? ?", problem: nil))
    }

    @Test(arguments: [
        ("a {{ after.plnt }}", "10:23", "did you mean 'plant'?"),
        ("{{ key.plnt }}", "10:19", "did you mean 'plant'?"),
        ("x {{ severty }}", "10:17", "did you mean 'severity'?"),
        ("{{ after.plant", "10:12", "write {{ \"{{\" }} for the braces themselves"),
        ("a {{ }}", "10:14", "such as {{ after.plant }}"),
    ])
    func `mistakes are found when the rules are loaded`(text: String, place: String, help: String) {
        let (template, diagnostics) = table.compile(text)
        #expect(template == nil)
        #expect(diagnostics.map { "\($0.position.line):\($0.position.column)" } == [place])
        #expect(diagnostics.first?.help == help)
    }

    @Test(arguments: [
        "{{ percent(after.plant) }}", "{{ date(after.count) }}", "{{ percent(after.rate, 1, 2) }}", "{{ 1 + }}",
    ])
    func `wrong types are found when the rules are loaded`(text: String) {
        #expect(table.compile(text).template == nil)
        #expect(table.compile(text).diagnostics.isEmpty == false)
    }

    @Test func `all mistakes of a template are found at once`() {
        #expect(table.compile("{{ after.a1 }} {{ after.b1 }} {{ }}").diagnostics.count == 3)
    }

    @Test func `positions are right on later lines and inside folded scalars`() {
        let segments = [
            SourceSegment(textLine: 1, textColumn: 1, line: 5, column: 3),
            SourceSegment(textLine: 1, textColumn: 7, line: 6, column: 3),
        ]
        let text = "hello {{ after.nope }} {{ after.nix }}"
        let result = Template.compile(
            text, at: SourceMap(file: "r.yaml", segments: segments), in: table.environment,
            variables: TemplateVariables(keyColumns: []))
        #expect(result.diagnostics.map { "\($0.position.line):\($0.position.column)" } == ["6:12", "6:29"])
        let lines = Template.compile(
            "a\nb {{ after.nope\n + after.nix }}", at: SourceMap(file: "r.yaml", lines: [(1, 5), (2, 5), (3, 5)]),
            in: table.environment)
        #expect(lines.diagnostics.map { "\($0.position.line):\($0.position.column)" } == ["2:16", "3:14"])
    }

    @Test func `the columns to store are listed`() throws {
        let template = try #require(
            table.compile("{{ after.rate - before.rate }} {{ key.plant }} {{ after.rate }}").template)
        #expect(template.columnPaths == ["after.rate", "before.rate"])
        #expect(!template.isPlain)
        #expect(table.compile("x").template?.isPlain == true)
    }

    @Test func `digits outside 0 to 20 are a problem, not a crash`() throws {
        let rendered = try render("{{ percent(after.rate, 21) }} {{ percent(after.rate, -1) }}")
        #expect(rendered.text == "? ?")
        #expect(rendered.problem?.contains("0 to 20 fraction digits") == true)
    }

    @Test func `undeclared columns that hold numbers as text are formatted`() throws {
        var columns = columns
        columns["after.any"] = ColumnText(kind: .string, text: "1234.567")
        #expect(try render("{{ number(after.any, 1) }}", columns: columns).text == "1.234,6")
        columns["after.any"] = ColumnText(kind: .string, text: "n/a")
        let rendered = try render("{{ number(after.any, 1) }}", columns: columns)
        #expect(rendered.text == "?")
        #expect(rendered.problem != nil)
    }

    @Test func `random templates neither crash nor hang`() {
        let seed: UInt64 = 4711
        print("seed \(seed)")
        var state = seed
        let pieces = [
            "{{", "}}", "{", "}", "\"", "'", "\\", " after.plant ", "percent(", ")", ",", "1", "\n", "//", "r\"", "é",
        ]
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<12 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text += pieces[Int(state >> 33) % pieces.count]
            }
            _ = table.compile(text).template?.render(columns: columns, alert: alert, locale: german)
        }
    }
}
