import Core
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        "null", "true", "-0", "0.10", "1E+5", "12.3400", "99999999999999999999999999999999999999", #""a\"\\\n\u0001""#,
        "[1,null,[]]", #"{"a":{"b":[{}]},"a":2}"#, "\"制动卡钳 😀\"",
    ])
    func `values survive reading and writing byte for byte`(text: String) throws {
        let value = try JSON.parse(text)
        #expect(try JSON.parse(value.description) == value)
        if !text.contains("\\u") { #expect(value.description == text) }
    }

    @Test(arguments: [
        "", "nul", "01", "1.", "1e", "-", "+1", "[1,]", "{\"a\"}", "{a:1}", "\"\u{1}\"", "\"abc", #""\x""#,
        #""\ud800""#,
        #""\ud800\u0041""#, "1 2", "[", "{", "\"\\u12G4\"", "NaN", "'a'",
    ])
    func `what RFC 8259 forbids is an error`(text: String) {
        #expect(throws: JSON.ParseError.self) { try JSON.parse(text) }
    }

    @Test func `invalid UTF-8 is an error`() {
        #expect(throws: JSON.ParseError.self) { try JSON.parse([0x22, 0xFF, 0x22]) }
    }

    @Test func `deep nesting is an error, not a crash`() {
        let deep = String(repeating: "[", count: 100_000)
        let error = #expect(throws: JSON.ParseError.self) { try JSON.parse(deep) }
        #expect(error?.description == "nested deeper than 128 levels at byte 129")
    }

    @Test func `surrogate pairs become one character`() throws {
        #expect(try JSON.parse(#""\ud83d\ude00""#) == .string("😀"))
    }
}

@Suite struct DecimalTextTests {
    @Test(arguments: [
        ("12.3400", "12.34"), ("0E-8", "0"), ("4.2E-7", "0.00000042"), ("-0.0", "0"), ("1.234E1", "12.34"),
        ("007", "7"),
        ("1E10", "10000000000"), ("99999999999999.9999", "99999999999999.9999"), ("-128", "-128"), ("1E50", "1E50"),
        ("1.5E-60", "1.5E-60"),
    ])
    func `equal numbers have one canonical text`(text: String, canonical: String) {
        #expect(DecimalText.canonical(text) == canonical)
        #expect(DecimalText.canonical(canonical) == canonical)
    }

    @Test(arguments: ["", "-", ".", "1.2.3", "1e", "abc", "1x", "NaN", "1E999999999999"])
    func `other texts are no numbers`(text: String) {
        #expect(DecimalText.canonical(text) == nil)
    }

    @Test func `comparison is exact where doubles are not`() {
        #expect(DecimalText.compare("99999999999999.9999", "100000000000000") == -1)
        #expect(DecimalText.compare("0.1", "0.10") == 0)
        #expect(DecimalText.compare("-5", "-4.9") == -1)
        #expect(DecimalText.compare("-0", "0") == 0)
        #expect(DecimalText.compare("9007199254740993", "9007199254740992") == 1)
        #expect(DecimalText.compare("1e3", "-1e4") == 1)
        #expect(DecimalText.compare("x", "1") == nil)
    }
}

@Suite struct DiagnosticTests {
    @Test func `a diagnostic shows the line, a caret below the span, and the help`() {
        let source = "rules:\n\twhen: amonut > 1000\n"
        let diagnostic = Diagnostic(
            code: "R012", message: "unknown column 'amonut' of table 'payments'",
            position: SourcePosition(file: "rules/payments.yaml", line: 2, column: 8), length: 6,
            help: "did you mean 'amount'?",
            notes: [
                .init(position: SourcePosition(file: "rules/tables.yaml", line: 4, column: 3), message: "declared here")
            ])
        #expect(
            diagnostic.rendered(source: source) == """
                rules/payments.yaml:2:8: error[R012]: unknown column 'amonut' of table 'payments'
                    2 | \twhen: amonut > 1000
                      | \t      ^~~~~~
                  help: did you mean 'amount'?
                  note: rules/tables.yaml:4:3: declared here
                """)
    }

    @Test func `a position beyond the file still gives the message`() {
        let diagnostic = Diagnostic(
            code: "R001", message: "m", position: SourcePosition(file: "f", line: 9, column: 9), length: 3)
        #expect(diagnostic.rendered(source: "one line") == "f:9:9: error[R001]: m")
    }

    @Test(
        arguments: [
            ("amonut", "amount"), ("sevrity", "severity"), ("Plant", "plant"), ("xyz", nil), ("a", nil),
        ] as [(String, String?)])
    func `suggestions are near misses only`(name: String, expected: String?) {
        #expect(Spelling.nearest(to: name, among: ["amount", "severity", "plant"]) == expected)
    }
}

@Suite struct SecretTests {
    @Test func `a secret shows itself nowhere`() {
        let secret = Secret("hunter2-very-secret")
        struct Holder { var password: Secret }
        var dumped = ""
        dump(Holder(password: secret), to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), "\(Holder(password: secret))", dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect(secret.redacted(from: "x hunter2-very-secret y hunter2-very-secret") == "x *** y ***")
        #expect(secret.reveal() == "hunter2-very-secret")
    }
}
