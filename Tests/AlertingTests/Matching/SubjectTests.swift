import CEL
import Core
import Testing

@testable import Alerting

@Suite struct SubjectTests {
    static func subject(
        rule: String = "defects", severity: Severity = .error, labels: [String: String] = [:],
        key: [(String, String?)] = [("plant", "Plant 1"), ("line", "L2")], table: String = "gld_quality",
        owner: String = "quality"
    ) -> AlertSubject {
        AlertSubject(
            rule: rule, table: table, owner: owner, severity: severity, labels: labels, keyColumns: key.map(\.0),
            keyTexts: key.map(\.1), recipient: nil)
    }

    private func condition(_ text: String) throws -> CompiledCondition {
        let (condition, diagnostics) = CompiledCondition.compile(text, at: SourceMap(file: "t"))
        return try #require(condition, "\(diagnostics)")
    }

    private func holds(_ text: String, _ subject: AlertSubject) throws -> Bool {
        MatchExpression.cel(try condition(text)).matches(subject)
    }

    @Test func `the label set joins labels, key and what the router knows`() {
        let subject = SubjectTests.subject(
            labels: ["team": "q", "plant": "own", "severity": "none", "empty": ""],
            key: [("plant", "Plant 1"), ("line", "L2"), ("batch", nil), ("owner", "x")])
        #expect(
            subject.labelSet == [
                "team": "q", "plant": "own", "line": "L2", "alertname": "defects", "severity": "error",
                "table": "gld_quality", "owner": "quality",
            ])
        #expect(SubjectTests.subject(labels: ["alertname": "A"], owner: "").labelSet["alertname"] == "A")
        #expect(SubjectTests.subject(owner: "").labelSet["owner"] == nil)
    }

    @Test func `a pushed alert keeps the labels it came with`() {
        let pushed = SubjectTests.subject(
            rule: "pushed", severity: .warning, labels: ["alertname": "Watchdog", "severity": "page", "table": "x"],
            key: [("alertname", "Watchdog"), ("severity", "page"), ("table", "x")], table: "", owner: "")
        #expect(pushed.labelSet == ["alertname": "Watchdog", "severity": "page", "table": "x"])
        let plain = SubjectTests.subject(rule: "pushed", severity: .warning, key: [("a", "b")], table: "", owner: "")
        #expect(plain.labelSet == ["alertname": "pushed", "severity": "warning", "a": "b"])
    }

    @Test func `severity compares by name and by rank`() throws {
        let at = { (severity: Severity) in SubjectTests.subject(severity: severity) }
        for severity in Severity.allCases {
            #expect(try holds("severity >= \"error\"", at(severity)) == (severity >= .error))
            #expect(try holds("severity < \"warning\"", at(severity)) == (severity < .warning))
            #expect(try holds("\"error\" <= severity", at(severity)) == (severity >= .error))
            #expect(try holds("severity == \"critical\"", at(severity)) == (severity == .critical))
            #expect(try holds("severity != \"critical\"", at(severity)) == (severity != .critical))
            #expect(try holds("severity in [\"info\", \"error\"]", at(severity)) == [.info, .error].contains(severity))
            #expect(try holds("!(severity in [\"info\"]) && severity <= severity", at(severity)) == (severity != .info))
        }
    }

    @Test(arguments: [
        ("severity >= \"eror\"", 13, "did you mean \"error\"?"),
        ("severity == labels.level", 13, "write one of \"info\", \"warning\", \"error\", \"critical\""),
        ("severity in [\"info\", \"high\"]", 22, "write one of \"info\", \"warning\", \"error\", \"critical\""),
        ("severity > 2", 12, "write one of \"info\", \"warning\", \"error\", \"critical\""),
    ])
    func `a severity that does not exist is an error`(text: String, column: Int, help: String) {
        let (condition, diagnostics) = CompiledCondition.compile(text, at: SourceMap(file: "t"))
        #expect(condition == nil)
        #expect(diagnostics.first?.code == "C023")
        #expect(diagnostics.first?.position.column == column)
        #expect(diagnostics.first?.help == help)
    }

    @Test func `conditions read labels, key, rule, table and owner`() throws {
        let subject = SubjectTests.subject(labels: ["team": "quality"], key: [("plant", "Plant 1"), ("line", nil)])
        for text in [
            "labels.team == \"quality\"", "labels.plant == \"Plant 1\"", "key.plant.startsWith(\"Plant\")",
            "rule == \"defects\" && table == \"gld_quality\" && owner == \"quality\"", "labels.none == \"\"",
            "labels.none != \"x\"", "key.line == \"\"", "key.other == \"\"", "has(labels.team) && !has(labels.none)",
            "\"team\" in labels", "labels[\"team\"] == \"quality\"", "!has(key.line)", "key.size() == 1",
            "labels.alertname.matches(\"^def\")", "labels.exists(name, labels[name] == \"quality\")",
        ] {
            #expect(try holds(text, subject), "\(text)")
        }
    }

    @Test(arguments: [
        "lables.team == \"x\"", "labels.team = \"x\"", "labels.team", "severity", "after.x > 1", "true &&",
    ])
    func `a condition with a mistake is not compiled`(text: String) {
        let (condition, diagnostics) = CompiledCondition.compile(text, at: SourceMap(file: "t"))
        #expect(condition == nil)
        #expect(diagnostics.contains { $0.level == .error })
    }

    @Test func `a condition without a value matches nothing`() throws {
        let subject = SubjectTests.subject()
        #expect(try !holds("labels[\"none\"] == \"x\"", subject))
        #expect(try !holds("int(labels.line) > 3", subject))
        guard case .unknown = try condition("int(labels.line) > 3").evaluate(subject) else {
            Issue.record("the outcome is not unknown")
            return
        }
    }

    @Test func `the API shows a condition as one matcher and reads it back`() throws {
        let expression = MatchExpression.cel(try condition("severity >= \"error\""))
        #expect(expression.matchers.map(\.description) == ["__cel__=\"severity >= \\\"error\\\"\""])
        #expect(try MatchExpression(matchers: expression.matchers) == expression)
        #expect(throws: LabelMatcher.Problem.self) {
            try MatchExpression(matchers: expression.matchers + [LabelMatcher("a", equals: "b")])
        }
        #expect(throws: LabelMatcher.Problem.self) {
            try MatchExpression(matchers: [LabelMatcher("__cel__", equals: "severity >= \"bad\"")])
        }
        #expect(throws: LabelMatcher.Problem.self) {
            try MatchExpression(matchers: [
                try LabelMatcher(name: "__cel__", value: "true", isRegex: true, isEqual: true)
            ])
        }
    }
}
