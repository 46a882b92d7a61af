import ChangeEvents
import Core
import RuleEngine
import Testing

/// Goal: levels, `for`, `reset` and the third outcome as the design says. Method: scripts of rows and clock ticks
/// against the transitions expected, through rule files, so that loading and evaluation are covered too.
@Suite struct LevelTests {
    private let three = Harness.rule(
        """
        severity:
          critical: {when: after.x > 80, reset: after.x < 70}
          warning: {when: after.x > 70, reset: after.x < 60}
          info: {when: after.x > 60, reset: after.x < 50}
        """)

    @Test func `the golden case of levels with resets`() throws {
        var harness = try Harness(three)
        for (second, x) in [61.0, 73, 64, 85, 62, 56, 47].enumerated() {
            harness.row(Int64(second), "a", ["x": .double(x)])
        }
        #expect(
            harness.take() == ["0 fire info", "1 raise warning", "3 raise critical", "4 lower info", "6 resolve"])
    }

    @Test func `a condition without for fires at its row, once, also on the first row of a key`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0], kind: .insert)
        harness.row(1, "a", ["x": 5.0])
        harness.row(2, "b", ["x": 1.0], kind: .insert)
        harness.row(3, "a", ["x": 3.0])
        harness.row(4, "a", ["x": 3.5])
        #expect(harness.take() == ["0 fire warning", "3 resolve", "4 fire warning"])
        #expect(harness.evaluator.open(rule: "r").map(\.episode) == [2])
    }

    @Test func `for must pass, and the moment no level holds ends the wait whatever reset says`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3\nreset: after.x < 1\nfor: 10s"))
        harness.row(0, "a", ["x": 4.0])
        harness.clock(9)
        harness.row(9, "a", ["x": 2.0])
        harness.clock(30)
        #expect(harness.take() == ["0 pending warning", "9 ended"])
        harness.row(40, "a", ["x": 4.0])
        harness.clock(50)
        harness.row(55, "a", ["x": 2.0])
        harness.row(60, "a", ["x": 0.5])
        #expect(harness.take() == ["40 pending warning", "50 fire warning", "60 resolve"])
    }

    @Test func `a level or a higher one counts, and a higher level inherits the time`() throws {
        let text = Harness.rule(
            """
            severity:
              critical: {when: after.x > 80}
              warning: {when: after.x > 70}
            for: 10s
            """)
        var harness = try Harness(text)
        harness.row(0, "up", ["x": 75.0])
        harness.row(9, "up", ["x": 85.0])
        harness.clock(10)
        #expect(harness.take() == ["0 pending warning", "10 fire critical"])
        harness.row(20, "down", ["x": 85.0])
        harness.row(29, "down", ["x": 75.0])
        harness.clock(30)
        #expect(harness.take() == ["20 pending critical", "30 fire warning"])
    }

    @Test func `a level that drops below the limit of all falls to the highest lower level that holds`() throws {
        var harness = try Harness(three)
        harness.row(0, "a", ["x": 90.0])
        harness.row(1, "a", ["x": 65.0])
        harness.row(2, "b", ["x": 90.0])
        harness.row(3, "b", ["x": 10.0])
        #expect(harness.take() == ["0 fire critical", "1 lower info", "2 fire critical", "3 resolve"])
    }

    @Test func `without reset a level ends when its condition is false`() throws {
        var harness = try Harness(Harness.rule("severity:\n  error: {when: after.x > 9}\n  info: {when: after.x > 5}"))
        for (second, x) in [10.0, 9, 6, 5].enumerated() { harness.row(Int64(second), "a", ["x": .double(x)]) }
        #expect(harness.take() == ["0 fire error", "1 lower info", "3 resolve"])
    }

    @Test func `a null, a missing or an unknown value or NaN changes no state and is counted`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": nil])
        harness.row(1, "a", ["x": 4.0])
        harness.row(2, "a", ["x": nil])
        harness.row(3, "a", ["x": .double(.nan)])
        harness.row(4, "a", ["x": .unknown])
        #expect(harness.evaluator.counters[0].counters.errors == 4)
        #expect(harness.output.errors.map(\.count) == [1, 1, 1, 1])
        #expect(harness.output.errors[0].sampleRowKey == "a")
        #expect(harness.output.errors[0].field == "when")
        #expect(harness.take() == ["1 fire warning"])
        #expect(harness.evaluator.open(rule: "r")[0].isLastValueUnknown)
        harness.row(5, "a", ["x": 1.0])
        #expect(harness.take() == ["5 resolve"])
    }

    @Test func `the third outcome leaves a running for running, and the text says so`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3\nfor: 10s"))
        harness.row(0, "a", ["x": 4.0])
        harness.row(5, "a", ["x": nil])
        harness.clock(10)
        #expect(harness.output.transitions.last?.alert.isLastValueUnknown == true)
        #expect(harness.take() == ["0 pending warning", "10 fire warning"])
    }

    @Test func `a level that holds for certain is raised although another is unknown`() throws {
        let text = Harness.rule("severity:\n  critical: {when: after.x > 9}\n  warning: {when: after.y > 5}")
        var harness = try Harness(text)
        harness.row(0, "a", ["x": 10.0, "y": nil])
        harness.row(1, "a", ["x": 1.0, "y": nil])
        #expect(harness.take() == ["0 fire critical"])
        harness.row(2, "a", ["x": 1.0, "y": 6.0])
        harness.row(3, "a", ["x": nil, "y": 1.0])
        #expect(harness.take() == ["2 lower warning"])
    }

    @Test func `on_error false and fire take the third outcome as said, and still count it`() throws {
        var asFalse = try Harness(Harness.rule("when: after.x > 3\non_error: false"))
        asFalse.row(0, "a", ["x": 4.0])
        asFalse.row(1, "a", ["x": nil])
        #expect(asFalse.take() == ["0 fire warning", "1 resolve"])
        var asFire = try Harness(Harness.rule("when: after.x > 3\non_error: fire"))
        asFire.row(0, "a", ["x": nil])
        #expect(asFire.take() == ["0 fire warning"])
        #expect(asFire.evaluator.counters[0].counters.errors == 1)
    }

    @Test func `an unknown reset keeps the alert`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3\nreset: after.y < 1"))
        harness.row(0, "a", ["x": 4.0, "y": 0.0])
        harness.row(1, "a", ["x": 1.0, "y": nil])
        #expect(harness.take() == ["0 fire warning"])
        harness.row(2, "a", ["x": 1.0, "y": 0.5])
        #expect(harness.take() == ["2 resolve"])
    }

    @Test func `errors that or and and absorbed are counted`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3 || after.y > 3"))
        harness.row(0, "a", ["x": nil, "y": 4.0])
        #expect(harness.take() == ["0 fire warning"])
        #expect(harness.evaluator.counters[0].counters.absorbed == 1)
        #expect(harness.evaluator.counters[0].counters.errors == 0)
    }

    @Test func `a timer carries the time at which it was due, however late it runs`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3\nfor: 10s"))
        harness.row(0, "a", ["x": 4.0])
        harness.row(1, "b", ["x": 4.0])
        // The row touches a only: its timer runs up to the row's time, before the row; b's waits for the clock.
        harness.row(100, "a", ["x": 1.0])
        #expect(
            harness.take() == ["0 pending warning", "1 pending warning", "10 fire warning", "100 resolve"])
        harness.clock(100)
        #expect(harness.take() == ["11 fire warning"])
    }

    @Test func `labels and recipient are frozen per episode, texts follow the changes`() throws {
        let text = Harness.rule(
            """
            severity:
              critical: {when: after.x > 9}
              warning: {when: after.x > 3}
            recipient: after.mail
            labels: {at: "{{ after.plant }}"}
            summary: "{{ after.x }}"
            """)
        var harness = try Harness(text)
        harness.row(0, "a", ["x": 4.0, "mail": "a@x", "plant": "P1"])
        harness.row(1, "a", ["x": 10.0, "mail": "b@x", "plant": "P2"])
        harness.row(2, "a", ["x": 1.0, "mail": "b@x", "plant": "P2"])
        harness.row(3, "a", ["x": 5.0, "mail": "b@x", "plant": "P2"])
        let alerts = harness.output.transitions.map(\.alert)
        #expect(alerts.map(\.recipient) == ["a@x", "a@x", "a@x", "b@x"])
        #expect(alerts.map { $0.labels["at"] } == ["P1", "P1", "P1", "P2"])
        #expect(alerts.map { $0.columns["after.x"]?.text } == ["4.0", "10.0", "1.0", "5.0"])
        #expect(alerts.map(\.episode) == [1, 1, 1, 2])
    }
}
