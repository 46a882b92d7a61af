import ChangeEvents
import Core
import RuleEngine
import Testing

/// Goal: several rows per key, deletes with their hold, key changes and late rows as the design says. Method: scripts.
@Suite struct RowsAndDeletesTests {
    private let latest = Harness.rule("key: [line]\nwhen: after.x > 3")
    private let any = Harness.rule("key: [line]\nacross: any\nwhen: after.x > 3")

    // MARK: - Deletes

    @Test func `a delete resolves when the table clock has passed the hold`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0])
        harness.delete(10, "a")
        harness.clock(69)
        #expect(harness.take() == ["0 fire warning"])
        harness.clock(70)
        #expect(harness.output.transitions.map(\.reason) == ["row deleted"])
        #expect(harness.take() == ["70 resolve"])
    }

    @Test func `a hold also waits for every partition to be past the deleted version`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3\nhold: 5s"))
        harness.row(0, "a", ["x": 4.0])
        harness.delete(10, "a")
        let version = harness.evaluator.open(rule: "r")[0].holdVersion
        harness.clock(100, versionFloor: version)
        #expect(harness.take() == ["0 fire warning"])
        #expect(harness.evaluator.hasHeldBack(table: 0))
        harness.clock(200, versionFloor: version + 1)
        #expect(harness.take() == ["15 resolve"])
    }

    @Test func `a re-insert cancels the hold`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0])
        harness.delete(10, "a")
        harness.row(30, "a", ["x": 5.0], kind: .insert)
        harness.clock(500)
        #expect(harness.take() == ["0 fire warning"])
        harness.delete(600, "a")
        harness.row(610, "a", ["x": 1.0], kind: .insert)
        #expect(harness.take() == ["610 resolve"])
    }

    @Test func `while a delete is held nothing fires, and a re-insert finds the time still running`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3\nfor: 30s"))
        harness.row(0, "a", ["x": 4.0])
        harness.delete(20, "a")
        harness.clock(50)
        harness.row(55, "a", ["x": 4.0], kind: .insert)
        #expect(harness.take() == ["0 pending warning", "55 fire warning"])
    }

    @Test func `a delete of a row without an alert is nothing`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.delete(0, "a")
        harness.clock(100)
        #expect(harness.take() == [])
    }

    // MARK: - across: latest

    @Test func `under latest the newest row by event time speaks, whatever order rows come in`() throws {
        var harness = try Harness(latest)
        harness.row(0, "1", ["line": "L", "x": 1.0], kind: .insert, eventTime: 100)
        harness.row(1, "2", ["line": "L", "x": 9.0], kind: .insert, eventTime: 90)
        #expect(harness.take() == [])
        harness.row(2, "3", ["line": "L", "x": 9.0], kind: .insert, eventTime: 110)
        harness.row(3, "4", ["line": "L", "x": 1.0], kind: .insert, eventTime: 105)
        harness.row(4, "5", ["line": "M", "x": 9.0], kind: .insert, eventTime: 50)
        #expect(harness.take() == ["2 fire warning", "4 fire warning"])
        #expect(harness.evaluator.counters[0].counters.outOfOrder == 2)
        harness.row(5, "3", ["line": "L", "x": 2.0], eventTime: 110)
        #expect(harness.take() == ["5 resolve"])
    }

    @Test func `at one event time the later position speaks`() throws {
        var harness = try Harness(latest)
        harness.row(0, "1", ["line": "L", "x": 9.0], kind: .insert, eventTime: 100)
        harness.row(1, "2", ["line": "L", "x": 1.0], kind: .insert, eventTime: 100)
        #expect(harness.take() == ["0 fire warning", "1 resolve"])
    }

    @Test func `deleting the newest row resolves after the hold with no fallback to an older row`() throws {
        var harness = try Harness(latest)
        harness.row(0, "1", ["line": "L", "x": 9.0], kind: .insert, eventTime: 1)
        harness.row(1, "2", ["line": "L", "x": 9.0], kind: .insert, eventTime: 2)
        harness.delete(2, "1")
        harness.clock(300)
        #expect(harness.take() == ["0 fire warning"])
        harness.delete(400, "2")
        harness.clock(460)
        #expect(harness.take() == ["460 resolve"])
    }

    @Test func `a changed key is a delete at the old key and a row at the new`() throws {
        var harness = try Harness(latest)
        harness.row(0, "1", ["line": "L", "x": 9.0], kind: .insert)
        harness.row(10, "1", ["line": "M", "x": 9.0])
        #expect(harness.take() == ["0 fire warning", "10 fire warning"])
        harness.clock(70)
        #expect(harness.output.transitions.map(\.alert.keyDisplay) == ["line=L"])
        #expect(harness.take() == ["70 resolve"])
        #expect(harness.evaluator.open(rule: "r").map(\.keyDisplay) == ["line=M"])
    }

    @Test func `a null key differs from an empty one`() throws {
        var harness = try Harness(latest)
        harness.row(0, "1", ["line": nil, "x": 9.0])
        harness.row(1, "2", ["line": "", "x": 9.0])
        #expect(harness.take() == ["0 fire warning", "1 fire warning"])
        #expect(Set(harness.evaluator.open(rule: "r").map { $0.keyTexts[0] }) == [nil, ""])
    }

    @Test func `a key that the source did not say is counted and judged by nobody`() throws {
        var harness = try Harness(latest)
        harness.row(0, "1", ["line": .unknown, "x": 9.0])
        #expect(harness.take() == [])
        #expect(harness.evaluator.counters[0].counters.keyUnknown == 1)
    }

    // MARK: - across: any

    @Test func `under any the alert is open while some row breaches`() throws {
        var harness = try Harness(any)
        harness.row(0, "1", ["line": "L", "x": 9.0], kind: .insert)
        harness.row(1, "2", ["line": "L", "x": 9.0], kind: .insert)
        harness.row(2, "3", ["line": "L", "x": 1.0], kind: .insert)
        harness.row(3, "1", ["line": "L", "x": 1.0])
        #expect(harness.take() == ["0 fire warning"])
        harness.row(4, "2", ["line": "L", "x": 1.0])
        #expect(harness.take() == ["4 resolve"])
    }

    @Test func `under any the highest level of a breaching row counts`() throws {
        let text = Harness.rule(
            """
            key: [line]
            across: any
            severity:
              critical: {when: after.x > 9, reset: after.x < 8}
              info: {when: after.x > 3}
            """
        )
        var harness = try Harness(text)
        harness.row(0, "1", ["line": "L", "x": 5.0])
        harness.row(1, "2", ["line": "L", "x": 10.0])
        harness.row(2, "2", ["line": "L", "x": 8.5])
        harness.row(3, "2", ["line": "L", "x": 7.0])
        harness.row(4, "1", ["line": "L", "x": 1.0])
        harness.row(5, "2", ["line": "L", "x": 1.0])
        #expect(harness.take() == ["0 fire info", "1 raise critical", "3 lower info", "5 resolve"])
    }

    @Test func `under any a deleted row stops breaching after its own hold`() throws {
        var harness = try Harness(any)
        harness.row(0, "1", ["line": "L", "x": 9.0])
        harness.row(1, "2", ["line": "L", "x": 9.0])
        harness.delete(10, "1")
        harness.delete(40, "2")
        harness.clock(99)
        #expect(harness.take() == ["0 fire warning"])
        #expect(harness.evaluator.open(rule: "r")[0].breachingRows.count == 1)
        harness.clock(100)
        #expect(harness.take() == ["100 resolve"])
    }

    @Test func `under any a row that moves to another key breaches there`() throws {
        var harness = try Harness(any)
        harness.row(0, "1", ["line": "L", "x": 9.0])
        harness.row(1, "1", ["line": "M", "x": 9.0])
        harness.clock(61)
        #expect(harness.take() == ["0 fire warning", "1 fire warning", "61 resolve"])
    }

    @Test func `beyond the bound the alert is inexact and resolves when no breach was seen for the hold`() throws {
        var harness = try Harness(any)
        let bound = LevelPolicy.breachingRowsMaxDefault
        for row in 0...bound { harness.row(Int64(row), "r\(row)", ["line": "L", "x": 9.0]) }
        #expect(harness.evaluator.open(rule: "r").map(\.isInexact) == [true])
        for row in 0..<bound { harness.row(1000, "r\(row)", ["line": "L", "x": 1.0]) }
        #expect(harness.take() == ["0 fire warning"])
        #expect(harness.evaluator.open(rule: "r").map(\.breachingRows.count) == [0])
        harness.clock(1000)
        #expect(harness.take() == ["\(bound + 60) resolve"])
    }

    // MARK: - Late rows

    @Test func `late rows change nothing unless the rule accepts them`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 1.0])
        harness.row(1, "a", ["x": 9.0], disposition: .late)
        #expect(harness.take() == [])
        var accepting = try Harness(Harness.rule("when: after.x > 3\nlate: accept"))
        accepting.row(0, "a", ["x": 1.0])
        accepting.row(1, "a", ["x": 9.0], disposition: .late)
        #expect(accepting.take() == ["1 fire warning"])
    }

    @Test func `duplicates, no-ops and waiting rows are not judged`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        for disposition in [ChangeEvent.Disposition.duplicate, .noOp, .waiting, .paired, .decoded] {
            harness.row(0, "a", ["x": 9.0], disposition: disposition)
        }
        #expect(harness.take() == [])
        #expect(harness.evaluator.counters[0].counters.judged == 0)
    }
}
