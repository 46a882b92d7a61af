import ConfigFiles
import Core
import Testing

@testable import Alerting

@Suite struct RouteLintTests {
    private func findings(_ routes: String) -> [String] { RoutingFile(routes).findings }

    @Test(arguments: [
        (
            "- {receiver: quality}\n- {match: labels.a == \"x\", receiver: oncall}",
            ["N004 3:3 no alert reaches this route: one before it takes every alert"]
        ),
        (
            "- {match: 'true', receiver: quality}\n- {match: labels.a == \"x\", receiver: oncall}",
            ["N004 3:3 no alert reaches this route: one before it takes every alert"]
        ),
        (
            "- {match: labels.a == \"x\"}\n- {match: labels.a  ==  \"x\" && labels.b == \"y\"}",
            ["N004 3:3 no alert reaches this route: one before it takes all of its alerts"]
        ),
        (
            "- {match: labels.a == \"x\"}\n- {matchers: ['b=y', 'a=x']}",
            ["N004 3:3 no alert reaches this route: one before it takes all of its alerts"]
        ),
        ("- {matchers: [a=x], continue: true}\n- {matchers: [a=x]}", []),
        ("- {matchers: [a=x, b=y]}\n- {matchers: [a=x]}", []),
        ("- {match: labels.a == \"x\" || labels.b == \"y\"}\n- {match: labels.a == \"x\"}", []),
        ("- {match: 'labels.a == \"x && y\"'}\n- {match: 'labels.a == \"x\"'}", []),
        (
            "- {match: 'severity >= \"error\"'}\n- {match: 'severity  >= \"error\" && rule == \"r\"'}",
            ["N004 3:3 no alert reaches this route: one before it takes all of its alerts"]
        ),
    ])
    func `a route behind one that takes its alerts is unreachable`(routes: String, expected: [String]) {
        let found = findings("routes:\n" + routes.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))
        #expect(found.map { $0.replacing("3:5", with: "3:3") } == expected)
    }

    @Test func `matchers that always or never hold are shadowed`() {
        let found = findings(
            """
            routes:
              - matchers: [team=quality]
                routes:
                  - match: labels.team == "quality" && severity == "error"
                    receiver: oncall
                  - matchers: ['team="planning"']
                    receiver: planners
                  - matchers: [severity=error, severity=info]
                    receiver: planners
            """)
        #expect(
            found == [
                "N006 4:16 team=\"quality\" always holds here",
                "N006 6:19 no alert reaches this route: team=\"planning\" and team=\"quality\" never hold together",
                "N006 8:19 no alert reaches this route: severity=\"error\" and severity=\"info\" never hold together",
            ])
        let file = RoutingFile("routes: [{matchers: [a=b], routes: [{matchers: [a=b]}]}]")
        #expect(file.diagnostics.allSatisfy { $0.level == .warning })
    }

    @Test func `unused receivers are named at their place`() throws {
        let reader = ConfigReader()
        let file = ConfigFile(text: "names: [quality, oncall, planners, service, default]\n", file: "r.yaml")
        let names = reader.mapping(of: file) { $0.texts("names", "") } ?? []
        let policy = RoutingFile("routes: [{receiver: quality, escalate: [{after: 1h, notify: oncall}]}]").policy
        RoutingReader.reportUnused(names, policy: policy, used: ["service"], reader: reader)
        #expect(reader.diagnostics.map(\.code) == ["N005"])
        #expect(reader.diagnostics.first?.position.column == 26)
        #expect(reader.diagnostics.first?.level == .warning)
    }

    @Test(
        arguments: [
            ("routes: [{receiver: qualty}]", "N001 1:21 'qualty' is no receiver", "did you mean 'quality'?"),
            (
                "routes: [{escalate: [{after: 1h, notify: nobody}]}]", "N001 1:42 'nobody' is no receiver",
                "the receivers are default, oncall, planners, quality, service"
            ),
            ("routes: [{matchers: ['team=\"x']}]", "N002 1:28 a closing '\"' is missing", nil),
            ("routes: [{matchers: ['a=~\"(\"']}]", "N002 1:26 the regular expression is wrong: missing ): (", nil),
            (
                "routes: [{match: labels.a == \"x\", matchers: [a=b]}]",
                "N003 1:35 'matchers' may not stand beside 'match'",
                "keep one of them; in CEL a matcher team=\"x\" is labels.team == \"x\""
            ),
            ("routes: [{match: lables.a == \"x\"}]", "C011 1:18 there is no 'lables' here", "did you mean 'labels'?"),
            (
                "routes: [{match: severity >= \"eror\"}]", "C023 1:30 severity is never \"eror\"",
                "did you mean \"error\"?"
            ),
            (
                "routes: [{mute_times: [nigts]}]\nmute_times: {nights: {windows: [{months: may}]}}",
                "N007 1:24 'nigts' is no mute time", "did you mean 'nights'?"
            ),
            ("routes: [{reciever: quality}]", "Y010 1:11 unknown key 'reciever'", "did you mean 'receiver'?"),
            (
                "routes: [{name: a, matchers: [a=b]}, {name: a}]",
                "N008 1:45 a route's name must be unique; found 'a' again",
                "rename one of them"
            ),
            (
                "routes: [{group_interval: 1h, repeat_interval: 1m}]",
                "N010 1:48 'repeat_interval' must not be shorter than 'group_interval'",
                "a group is told again at most once per 'group_interval'"
            ),
            ("routes: [{group_wait: 2d}]", "N010 1:23 'group_wait' must be a duration from 0s to 1d", nil),
            (
                "routes: [{group_by: [rule, plant]}]", "N010 1:22 'rule' in 'group_by' stands alone",
                "write alertname beside other labels"
            ),
            (
                "routes: [{digest: {by: recipient}}]", "N010 1:19 'schedule' is required in a digest",
                "schedule: \"0 7 * * MON-FRI\" is 07:00 on working days"
            ),
            (
                "routes: [{digest: {schedule: 0 7 * * *, columns: {A: afer.x}}}]",
                "N010 1:54 'afer.x' is nothing that a digest can show",
                "write after.column, key.column, labels.name, facts.name, or one of key, owner, reason, recipient, "
                    + "rule, severity, since, state, summary, table"
            ),
            (
                "routes: [{escalate: [{after: 1s, notify: oncall}]}]",
                "N010 1:30 'after' must be a duration from 10s to 30d",
                nil
            ),
            (
                "routes: [{storm: {more_than: 0, within: 1m}}]",
                "Y013 1:30 'more_than' must be a whole number from 1 to 1000000; found '0'", nil
            ),
            (
                "routes: {receiver: quality}", "Y012 1:9 'routes' must be a list of mappings; found a mapping",
                "begin each element with '- '"
            ),
            ("mute_times: {nights: {policy: defer}}", "N010 1:22 'windows' is required here and not empty", nil),
            (
                "maintenance: [{name: a, windows: [{months: may}]}]",
                "N003 1:15 'match' or 'matchers' is required here",
                "match: 'true' means every alert"
            ),
            ("inhibit: [{name: a, source: {match: 'true'}}]", "Y011 1:12 'target' is required here", nil),
            (
                "silences: {max_duration: 3y}", "Y012 1:26 'max_duration' must be a duration such as '5m'; found '3y'",
                "units are ms, s, m, h, d, w; several may follow each other"
            ),
        ] as [(String, String, String?)])
    func `a mistake is named at its place with what to write`(text: String, finding: String, help: String?) {
        let file = RoutingFile(text)
        #expect(file.findings == [finding])
        #expect(file.diagnostics.first?.help == help)
    }

    @Test func `all mistakes are told at once`() {
        let file = RoutingFile(
            """
            routes:
              - {match: labels.a = "x", receiver: nobody}
              - {matchers: [a], routes: [{receiver: noone, group_wait: soon}]}
            """)
        #expect(file.codes == ["C004", "N001", "N002", "N001", "Y012"])
    }

    @Test func `a wrong route takes no alert of others`() {
        let file = RoutingFile("routes: [{match: labels.a = \"x\", receiver: oncall}, {receiver: quality}]")
        #expect(file.receivers(of: SubjectTests.subject()) == ["quality"])
    }

    @Test func `many routes are checked in little time`() {
        let lines = (0..<5_000).map { "  - {match: labels.n == \"\($0)\" && severity >= \"error\", receiver: quality}" }
        // One more than are read, and nothing else to say of them.
        let more = lines + ["  - {receiver: oncall}"]
        #expect(RoutingFile("routes:\n" + more.joined(separator: "\n")).codes == ["N011"])
    }

    @Test func `noise in a file of routes is diagnosed, never a crash`() {
        var generator = Generator(state: 7)
        let words = [
            "routes:", "- ", "match: ", "matchers: ", "receiver: ", "[", "]", "{", "}", "\"", "'", "quality", "\n  ",
            "\n",
            "severity >= ", "a=\"b\"", "digest: ", "storm: none", "group_by: ", "mute_times: ", "inhibit: ", ": ", ",",
            "\n    ", "continue: true", "maintenance: ", "escalate: ", "null", "&&",
        ]
        for _ in 0..<3_000 {
            var text = "routes:\n  - "
            for _ in 0..<Int.random(in: 1...12, using: &generator) {
                text += words.randomElement(using: &generator) ?? ""
            }
            let file = RoutingFile(text)
            _ = file.receivers(of: SubjectTests.subject())
        }
    }
}
