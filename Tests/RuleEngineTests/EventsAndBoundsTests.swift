import ChangeEvents
import Core
import RuleEngine
import Testing

/// Goal: event rules, the bound on open alerts, edits of rules, and what is stored. Method: scripts.
@Suite struct EventsAndBoundsTests {
    // MARK: - kind: event

    @Test func `a rule that reads before is an event: one notification per match, an episode each, no resolution`()
        throws
    {
        var harness = try Harness(Harness.rule("when: before.x <= 3 && after.x > 3\nseverity: error"))
        harness.row(0, "a", ["x": 5.0], kind: .insert)
        harness.row(1, "a", ["x": 5.0], before: ["x": 1.0])
        harness.row(2, "a", ["x": 1.0], before: ["x": 5.0])
        harness.row(3, "a", ["x": 6.0], before: ["x": 1.0])
        #expect(harness.output.transitions.map(\.alert.episode) == [1, 2])
        #expect(harness.output.changed.map(\.state) == [.inactive])
        #expect(harness.take() == ["1 event error", "3 event error"])
        #expect(harness.evaluator.openCount == 0)
        // An insert has no row before it: no error, but counted.
        #expect(harness.evaluator.counters[0].counters.withoutBefore == 1)
        #expect(harness.evaluator.counters[0].counters.errors == 0)
    }

    @Test func `an update whose row before is not known is an error that is reported`() throws {
        var harness = try Harness(Harness.rule("when: before.x <= 3 && after.x > 3"))
        harness.row(1, "a", ["x": 5.0])
        #expect(harness.take() == [])
        #expect(harness.evaluator.counters[0].counters.errors == 1)
    }

    @Test func `changed is the set of columns that differ`() throws {
        var harness = try Harness(Harness.rule("when: '\"status\" in changed && !(\"x\" in changed)'"))
        harness.row(1, "a", ["x": 5.0, "status": "b"], before: ["x": 5.0, "status": "a"])
        harness.row(2, "a", ["x": 6.0, "status": "c"], before: ["x": 5.0, "status": "b"])
        harness.row(3, "a", ["x": 6.0, "status": "c"], before: ["x": 6.0, "status": "c"])
        harness.row(4, "a", ["x": 6.0, "status": nil], before: ["x": 6.0, "status": "c"])
        #expect(harness.take() == ["1 event warning", "4 event warning"])
    }

    @Test func `op, table, version and ts can be read, and a delete can be an event`() throws {
        var harness = try Harness(
            Harness.rule(
                """
                kind: event
                when: >-
                  op == "delete" && table == "t" && version > 1 && ts > timestamp("1970-01-01T00:00:01Z")
                """
            ))
        harness.row(0, "a", ["x": 1.0])
        harness.delete(5, "a", before: ["x": 1.0])
        #expect(harness.take() == ["5 event warning"])
    }

    @Test func `with reset a rule that reads before has a state`() throws {
        var harness = try Harness(Harness.rule("when: before.x <= 3 && after.x > 3\nreset: after.x < 2"))
        harness.row(1, "a", ["x": 5.0], before: ["x": 1.0])
        harness.row(2, "a", ["x": 5.0], before: ["x": 5.0])
        harness.row(3, "a", ["x": 1.0], before: ["x": 5.0])
        #expect(harness.take() == ["1 fire warning", "3 resolve"])
    }

    @Test func `only a rule that reads before or changed makes postimages wait`() throws {
        #expect(try Harness(Harness.rule("when: after.x > 3")).rules.catalog.tables[0].readsBefore == false)
        #expect(try Harness(Harness.rule("when: before.x > 3")).rules.catalog.tables[0].readsBefore)
        #expect(try Harness(Harness.rule("when: '\"x\" in changed'")).rules.catalog.tables[0].readsBefore)
        let inText = Harness.rule("when: after.x > 3\nsummary: \"{{ before.x }}\"")
        #expect(try Harness(inText).rules.catalog.tables[0].readsBefore)
        #expect(try Harness(inText).rules.rules[0].policy.kind == .levels)
    }

    // MARK: - alerts_max

    @Test func `above alerts_max keys are counted and one overflow alert fires, nothing else is harmed`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3\nalerts_max: 3"))
        for id in 0..<6 { harness.row(Int64(id), "k\(id)", ["x": 4.0]) }
        let transitions = harness.output.transitions
        #expect(harness.take() == ["0 fire warning", "1 fire warning", "2 fire warning", "3 fire error"])
        #expect(transitions.map { OverflowAlert.isOverflow($0.alert) } == [false, false, false, true])
        #expect(harness.evaluator.counters[0].counters.overflowed == 3)
        harness.row(10, "k1", ["x": 1.0])
        #expect(harness.take() == ["10 resolve", "10 resolve"])
        harness.row(11, "k5", ["x": 4.0])
        #expect(harness.take() == ["11 fire warning"])
    }

    // MARK: - Edits

    @Test func `changed conditions keep open alerts, which their next row judges`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0])
        _ = harness.take()
        let edited = try Harness.load(Harness.rule("when: after.x > 30\nfor: 5s"))
        let plan = harness.evaluator.plan(edited)
        #expect(plan.map(\.kind) == [.changed])
        #expect(plan.map(\.openCount) == [1])
        harness.evaluator.replaceRules(edited, at: Timestamp(milliseconds: 1000), output: &harness.output)
        harness.rules = edited
        harness.clock(100)
        #expect(harness.take() == [])
        harness.row(101, "a", ["x": 4.0])
        #expect(harness.take() == ["101 resolve"])
    }

    @Test func `a changed key or a removed rule resolves with that reason`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0, "line": "L"])
        _ = harness.take()
        let rekeyed = try Harness.load(Harness.rule("key: [line]\nwhen: after.x > 3"))
        #expect(harness.evaluator.plan(rekeyed).map(\.kind) == [.rekeyed])
        var copy = harness.evaluator
        var output = EvaluationOutput()
        copy.replaceRules(rekeyed, at: Timestamp(milliseconds: 1000), output: &output)
        #expect(output.transitions.map(\.reason) == ["key of the rule changed"])
        let removed = try Harness.load("table: t\nrules:\n  - {name: other, when: after.x > 3}\n")
        #expect(harness.evaluator.plan(removed).map(\.kind) == [.added, .removed])
        harness.evaluator.replaceRules(removed, at: Timestamp(milliseconds: 1000), output: &harness.output)
        #expect(harness.output.transitions.map(\.reason) == ["rule removed"])
        #expect(harness.output.changed.map(\.state) == [.resolved])
    }

    @Test func `a rule edited while the process was down is settled at the start`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0])
        let alerts = harness.evaluator.open(rule: "r")
        var fresh = RuleEvaluator(rules: try Harness.load("table: t\nrules:\n  - {name: other, when: after.x > 3}\n"))
        fresh.restore(open: alerts, episodes: [:])
        var output = EvaluationOutput()
        fresh.settle(at: Timestamp(milliseconds: 5000), output: &output)
        #expect(output.transitions.map(\.kind) == [.resolved])
        #expect(output.transitions.map(\.reason) == ["rule removed"])
    }

    // MARK: - What is stored

    @Test func `a pending alert that never fired is removed from the store, one that had fired stays resolved`() throws
    {
        var harness = try Harness(Harness.rule("when: after.x > 3\nfor: 10s"))
        harness.row(0, "a", ["x": 4.0])
        #expect(harness.output.changed.map(\.state) == [.pending])
        let fingerprint = harness.output.changed[0].fingerprint
        _ = harness.take()
        harness.row(1, "a", ["x": 1.0])
        #expect(harness.output.removed == [fingerprint])
        _ = harness.take()
        harness.row(2, "a", ["x": 4.0])
        harness.clock(12)
        harness.row(20, "a", ["x": 1.0])
        harness.row(21, "a", ["x": 4.0])
        harness.row(22, "a", ["x": 1.0])
        #expect(harness.output.removed == [])
        #expect(harness.output.changed.map(\.state) == [.resolved])
        #expect(harness.output.changed.map(\.episode) == [1])
    }

    @Test func `episode numbers survive resolution and a restart`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0])
        harness.row(1, "a", ["x": 1.0])
        let resolved = try #require(harness.output.changed.first)
        var fresh = RuleEvaluator(rules: harness.rules)
        fresh.restore(open: [], episodes: [resolved.fingerprint: resolved.episode])
        harness.evaluator = fresh
        _ = harness.take()
        harness.row(2, "a", ["x": 4.0])
        #expect(harness.output.transitions.map(\.alert.episode) == [2])
    }

    @Test func `a row that changes nothing about an open alert stores nothing`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.row(0, "a", ["x": 4.0])
        _ = harness.take()
        harness.row(1, "a", ["x": 5.0])
        #expect(harness.output.isEmpty)
    }

    @Test func `alerts that fire during bootstrap are marked`() throws {
        var harness = try Harness(Harness.rule("when: after.x > 3"))
        harness.evaluator.isBootstrapping = true
        harness.row(0, "a", ["x": 4.0])
        harness.evaluator.isBootstrapping = false
        harness.row(1, "b", ["x": 4.0])
        #expect(harness.output.transitions.map(\.alert.isBootstrap) == [true, false])
    }

    @Test func `a rule that errors on every row keeps one report per reason and an exact count`() throws {
        var harness = try Harness(Harness.rule("when: 1 / after.n > 0"))
        harness.send(
            (0..<1000).map {
                Change(at: 0, version: $0, after: ["id": .text("k\($0)"), "n": 0], rowKey: "k\($0)")
            })
        #expect(harness.output.errors.count == 1)
        #expect(harness.output.errors[0].count == 1000)
        #expect(harness.output.errors[0].reason == "division by zero")
        #expect(harness.evaluator.counters[0].counters.errors == 1000)
    }
}
