import Core
import RuleEngine
import Testing

/// Goal: deadlines as the design says. Method: scripts, as in ``LevelTests``.
@Suite struct DeadlineTests {
    private let text = Harness.rule("deadline: after.due\nuntil: after.status == \"done\"\nwarn_before: 20s")

    @Test func `a deadline warns, fires by time with no event, and ends by until`() throws {
        var harness = try Harness(text)
        harness.row(0, "a", ["due": .time(100), "status": "open"])
        harness.clock(79)
        #expect(harness.take() == ["0 pending warning"])
        harness.clock(80)
        harness.clock(200)
        #expect(harness.take() == ["80 fire warning", "100 raise error"])
        harness.row(210, "a", ["due": .time(100), "status": "done"])
        #expect(harness.take() == ["210 resolve"])
        #expect(harness.evaluator.openCount == 0)
    }

    @Test func `without warn_before only the due time fires, with severity error unless said otherwise`() throws {
        var harness = try Harness(Harness.rule("deadline: after.due\nseverity: critical"))
        harness.row(0, "a", ["due": .time(100)])
        harness.clock(99)
        harness.clock(100)
        #expect(harness.take() == ["0 pending critical", "100 fire critical"])
    }

    @Test func `already past at first sight fires once and is marked overdue`() throws {
        var harness = try Harness(text)
        harness.row(100, "a", ["due": .time(40), "status": "open"])
        harness.row(101, "a", ["due": .time(40), "status": "late"])
        harness.clock(500)
        #expect(harness.output.transitions.map(\.alert.isOverdue) == [true])
        #expect(harness.take() == ["100 fire error"])
    }

    @Test func `a due time that passes while we watch is not marked overdue`() throws {
        var harness = try Harness(text)
        harness.row(0, "a", ["due": .time(40), "status": "open"])
        harness.clock(40)
        #expect(harness.output.transitions.last?.alert.isOverdue == false)
    }

    @Test func `inside the warning time at first sight warns at once`() throws {
        var harness = try Harness(text)
        harness.row(90, "a", ["due": .time(100), "status": "open"])
        harness.clock(100)
        #expect(harness.take() == ["90 fire warning", "100 raise error"])
    }

    @Test func `a changed due time moves the timer, null cancels it`() throws {
        var harness = try Harness(text)
        harness.row(0, "a", ["due": .time(100), "status": "open"])
        harness.row(10, "a", ["due": .time(300), "status": "open"])
        harness.clock(279)
        #expect(harness.take() == ["0 pending warning"])
        harness.clock(280)
        #expect(harness.take() == ["280 fire warning"])
        harness.row(0, "b", ["due": .time(1000), "status": "open"])
        harness.row(1, "b", ["due": nil, "status": "open"])
        harness.clock(2000)
        #expect(harness.take() == ["0 pending warning", "1 ended", "300 raise error"])
    }

    @Test func `a future due time resolves, and the new one is waited for`() throws {
        var harness = try Harness(text)
        harness.row(0, "a", ["due": .time(10), "status": "open"])
        harness.row(50, "a", ["due": .time(500), "status": "open"])
        #expect(
            harness.take() == [
                // The warning was due before the row was there; the due time passed before the row touched the alert.
                "0 fire warning", "10 raise error", "50 resolve", "50 pending warning",
            ])
        harness.clock(500)
        #expect(harness.take() == ["480 fire warning", "500 raise error"])
        #expect(harness.evaluator.open(rule: "r").map(\.episode) == [2])
    }

    @Test func `a due time that moves into the warning time lowers to warning`() throws {
        var harness = try Harness(text)
        harness.row(100, "a", ["due": .time(50), "status": "open"])
        harness.row(110, "a", ["due": .time(120), "status": "open"])
        #expect(harness.take() == ["100 fire error", "110 lower warning"])
        harness.clock(120)
        #expect(harness.take() == ["120 raise error"])
        #expect(harness.evaluator.open(rule: "r").map(\.isOverdue) == [false])
    }

    @Test func `null resolves what fires; a row done from the start opens nothing`() throws {
        var harness = try Harness(text)
        harness.row(100, "a", ["due": .time(50), "status": "open"])
        harness.row(110, "a", ["due": nil, "status": "open"])
        harness.row(111, "b", ["due": .time(50), "status": "done"])
        harness.row(112, "c", ["due": nil, "status": "open"])
        #expect(harness.take() == ["100 fire error", "110 resolve"])
    }

    @Test func `an unknown until or due time changes nothing`() throws {
        var harness = try Harness(text)
        harness.row(0, "a", ["due": .time(100), "status": "open"])
        harness.row(1, "a", ["due": .unknown, "status": "open"])
        harness.row(2, "a", ["due": .time(900), "status": nil])
        harness.clock(100)
        #expect(harness.output.transitions.last?.alert.isLastValueUnknown == true)
        #expect(harness.take() == ["0 pending warning", "80 fire warning", "100 raise error"])
        #expect(harness.evaluator.counters[0].counters.errors == 2)
    }

    @Test func `a deleted row stops its deadline`() throws {
        var harness = try Harness(text)
        harness.row(0, "a", ["due": .time(100), "status": "open"])
        harness.delete(79, "a")
        harness.clock(500)
        #expect(harness.take() == ["0 pending warning", "139 ended"])
    }
}
