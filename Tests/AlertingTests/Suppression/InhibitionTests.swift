import Core
import Testing

@testable import Alerting

@Suite struct InhibitionTests {
    private func rules(_ text: String) -> InhibitionRules {
        let file = RoutingFile(text)
        #expect(file.findings == [])
        return file.policy.inhibition
    }

    private func alert(_ name: String, _ labels: [String: String], _ severity: Severity = .error) -> AlertSubject {
        SubjectTests.subject(rule: name, severity: severity, labels: labels, key: labels.sorted { $0.key < $1.key })
    }

    private var lineDown: InhibitionRules {
        rules(
            """
            inhibit:
              - name: line-down
                source: {match: rule == "line-down"}
                target: {matchers: ['severity=~"info|warning|error"']}
                equal: [plant, line]
            """)
    }

    @Test func `an alert inhibits others with equal labels only`() {
        let down = alert("line-down", ["plant": "1", "line": "2"], .critical)
        let same = alert("defects", ["plant": "1", "line": "2"])
        let other = alert("defects", ["plant": "1", "line": "3"])
        let worse = alert("defects", ["plant": "1", "line": "2"], .critical)
        let firing = [same, other, down, worse]
        #expect(
            lineDown.inhibitors(of: same, among: firing) == [Inhibitor(rule: "line-down", source: down.fingerprint)])
        #expect(lineDown.inhibitors(of: other, among: firing) == [])
        #expect(lineDown.inhibitors(of: worse, among: firing) == [])
        #expect(lineDown.inhibitors(of: same, among: [same, other]) == [])
    }

    @Test func `labels that both lack are equal, a label that one lacks is not`() {
        let down = alert("line-down", ["plant": "1"], .critical)
        #expect(!lineDown.inhibitors(of: alert("defects", ["plant": "1"]), among: [down]).isEmpty)
        #expect(lineDown.inhibitors(of: alert("defects", ["plant": "1", "line": "2"]), among: [down]).isEmpty)
    }

    @Test func `an alert never inhibits itself, nor do two that are source and target of one rule`() {
        let all = rules("inhibit: [{name: a, source: {match: 'true'}, target: {match: 'true'}}]")
        let one = alert("x", ["n": "1"])
        let two = alert("y", ["n": "2"])
        #expect(all.inhibitors(of: one, among: [one]) == [])
        #expect(all.inhibitors(of: one, among: [one, two]) == [])
        #expect(all.inhibitors(of: two, among: [one, two]) == [])
    }

    @Test func `what remains of several sources goes on inhibiting`() {
        let first = alert("line-down", ["plant": "1", "line": "2", "x": "1"], .critical)
        let second = alert("line-down", ["plant": "1", "line": "2", "x": "2"], .critical)
        let target = alert("defects", ["plant": "1", "line": "2"])
        var index = InhibitionIndex(rules: lineDown)
        index.insert(first)
        index.insert(second)
        index.remove(first.fingerprint)
        #expect(index.inhibitors(of: target).map(\.source) == [second.fingerprint])
        index.remove(second.fingerprint)
        #expect(index.inhibitors(of: target) == [])
    }

    @Test func `an alert whose severity changes is a source by its new one`() {
        let rules = rules(
            """
            inhibit:
              - name: a
                source: {match: severity == "critical"}
                target: {match: severity < "critical"}
                equal: [plant]
            """)
        var index = InhibitionIndex(rules: rules)
        let target = alert("y", ["plant": "1"])
        index.insert(alert("x", ["plant": "1"], .critical))
        #expect(index.inhibitors(of: target).count == 1)
        index.insert(alert("x", ["plant": "1"], .error))
        #expect(index.inhibitors(of: target) == [])
    }

    @Test func `the order in which alerts come plays no part`() {
        let rules = rules(
            """
            inhibit:
              - {name: a, source: {match: severity == "critical"}, target: {match: 'true'}, equal: [plant]}
              - {name: b, source: {matchers: [line=1]}, target: {matchers: [line!=1]}}
            """)
        var generator = Generator(state: 11)
        for _ in 0..<200 {
            var alerts: [AlertSubject] = []
            for number in 0..<12 {
                alerts.append(
                    alert(
                        "r\(number)",
                        ["plant": "\(number % 3)", "line": "\(Int.random(in: 0...2, using: &generator))"],
                        Bool.random(using: &generator) ? .critical : .error))
            }
            var index = InhibitionIndex(rules: rules)
            for subject in alerts { index.insert(subject) }
            let removed = alerts[Int.random(in: 0..<12, using: &generator)]
            index.remove(removed.fingerprint)
            var other = InhibitionIndex(rules: rules)
            for subject in alerts.shuffled(using: &generator) where subject.fingerprint != removed.fingerprint {
                other.insert(subject)
                if Bool.random(using: &generator) { other.insert(subject) }
            }
            for subject in alerts {
                #expect(index.inhibitors(of: subject) == other.inhibitors(of: subject))
                #expect(!index.inhibitors(of: subject).contains { $0.source == subject.fingerprint })
            }
        }
    }
}
