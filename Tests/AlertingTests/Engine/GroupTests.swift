import Alerting
import Core
import Testing

@Suite struct GroupTests {
    @Test func `the first alerts of a group wait for each other and become one message`() {
        let world = Scenario()
        world.fires("a")
        world.at(0.25)
        world.fires("b")
        world.expectNothing()
        world.at(1)
        world.expect("0:30 team first a,b")
        world.at(60)
        world.expectNothing()
    }

    @Test func `a further alert waits for the interval after the last message, and names what else is open`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.fires("b")
        world.at(10)
        world.expect("0:30 team first a", "5:30 team new_firing b")
        #expect(world.told.last?.message.others.map(\.keyTexts) == [["a"]])
        #expect(world.told.last?.message.openCount == 2)
    }

    @Test func `a critical alert is told at once with all that waits, and within the interval too`() {
        let world = Scenario()
        world.fires("a")
        world.at(0.1)
        world.fires("b", as: .critical)
        world.expect("0:06 team first a,b!critical")
        world.at(1)
        world.fires("c", as: .critical)
        world.expect("1:00 team new_firing c!critical")
    }

    @Test func `a severity that rises is told at once, one that falls with the interval`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.becomes(.error, "a")
        world.at(2)
        world.becomes(.info, "a")
        world.at(10)
        world.expect(
            "0:30 team first a", "1:00 team severity_raised ↑a!error", "6:00 team severity_lowered ↓a!info")
    }

    @Test func `a severity that falls and rises again before it was told says nothing`() {
        let world = Scenario()
        world.fires("a", as: .error)
        world.at(1)
        world.becomes(.info, "a")
        world.at(2)
        world.becomes(.error, "a")
        world.at(20)
        world.expect("0:30 team first a!error")
    }

    @Test func `ends are told together after the interval: some first, then all`() {
        let world = Scenario()
        world.fires("a", "b", "c")
        world.at(1)
        world.resolves("a")
        world.at(6)
        world.resolves("b")
        world.at(7)
        world.resolves("c")
        world.at(60)
        world.expect("0:30 team first a,b,c", "5:30 team some_resolved -a", "10:30 team all_resolved -b,-c")
        #expect(world.storedCount(.group) == 0)
        #expect(world.storedCount(.end) == 0)
    }

    @Test func `an alert that ends before anybody heard of it: below error nothing is said, from error up once`() {
        let world = Scenario()
        world.fires("low")
        world.fires("high", as: .error)
        world.at(0.2)
        world.resolves("low", "high")
        world.at(10)
        world.expect("0:30 team all_resolved ±high!error")
        #expect(world.decisions.contains { $0.detail.contains("before anybody was told") })
    }

    @Test func `each episode is told its fire and its end`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.resolves("a")
        world.at(2)
        world.fires("a")
        world.at(20)
        world.expect("0:30 team first a", "5:30 team new_firing a,-a")
        #expect(world.told.last?.message.items.map(\.alert.episode) == [2, 1])
    }

    @Test func `what still fires is repeated after the repeat interval, counted from the last message`() {
        let world = Scenario()
        world.fires("a")
        world.at(60)
        world.fires("b")
        world.at(310)
        world.expect("0:30 team first a", "60:30 team new_firing b", "300:30 team repeat =a,=b")
        world.resolves("a", "b")
        world.at(1000)
        world.expect("310:30 team all_resolved -a,-b")
    }

    @Test func `rules and labels make groups, and an alert can be a group of its own`() {
        let byRule = Scenario()
        byRule.fires("a", rule: "r")
        byRule.fires("a", rule: "s")
        byRule.at(1)
        byRule.expect("0:30 team first a", "0:30 team first a")
        let byLabel = Scenario({ $0.grouping = .labels(["plant"]) })
        byLabel.fires("a", rule: "r", labels: ["plant": "1"])
        byLabel.fires("b", rule: "s", labels: ["plant": "1"])
        byLabel.fires("c", rule: "s", labels: ["plant": "2"])
        byLabel.at(1)
        #expect(Set(byLabel.told.map(\.description)) == ["0:30 team first a,b", "0:30 team first c"])
        let alone = Scenario({ $0.grouping = .each })
        alone.fires("a", "b")
        alone.at(1)
        #expect(alone.told.count == 2)
    }

    @Test func `label values cannot make two groups one`() {
        let world = Scenario({ $0.grouping = .labels(["x", "y"]) })
        world.fires("a", labels: ["x": "1\", y=\"2", "y": ""])
        world.fires("b", labels: ["x": "1", "y": "2"])
        world.at(1)
        #expect(world.told.count == 2)
        #expect(Set(world.told.map(\.message.lane)).count == 2)
    }

    @Test func `an incident channel gets every alert alone, at once, in a lane of its incident`() {
        let world = Scenario(incident: true)
        world.fires("a", "b")
        world.becomes(.error, "a")
        world.resolves("a")
        world.at(1000)
        world.expect(
            "0:00 team first a", "0:00 team first b", "0:00 team severity_raised ↑a!error",
            "0:00 team all_resolved -a!error")
        #expect(world.told.allSatisfy { $0.message.kind == .incident })
        #expect(Set(world.told.map(\.message.lane)).count == 2)
        #expect(world.storedCount(.group) == 0)
    }

    @Test func `more than a message holds are counted, the most severe are shown, and each end is told`() {
        let world = Scenario()
        world.batch { world in (0..<150).map { world.fired("k\($0)", $0 == 149 ? .error : .warning) } }
        world.at(1)
        #expect(world.told.first?.message.items.count == 100)
        #expect(world.told.first?.message.omittedCount == 50)
        #expect(world.told.first?.message.items.contains { $0.alert.severity == .error } == true)
        world.batch { world in (0..<150).map { world.ended("k\($0)") } }
        world.at(10)
        #expect(world.told.last?.message.items.count == 100)
        #expect(world.told.last?.message.omittedCount == 50)
        #expect(world.told.count == 2)
    }

    @Test func `an event is one message, at once, without an end`() {
        let world = Scenario()
        world.happens("a")
        world.happens("b")
        world.at(600)
        world.expect("0:00 team event *a", "0:00 team event *b")
        #expect(world.storedCount(.end) == 0)
        #expect(world.storedCount(.group) == 0)
    }

    @Test func `a receiver that wants no ends gets none`() {
        let world = Scenario({ $0.sendsResolved = false })
        world.fires("a")
        world.at(1)
        world.resolves("a")
        world.at(20)
        world.expect("0:30 team first a")
    }

    @Test func `news of the router itself goes to the operator at once`() {
        let world = Scenario()
        world.fires("x", as: .error, rule: "health")
        world.resolves("x", rule: "health")
        world.expect("0:00 ops first x!error", "0:00 ops all_resolved -x!error")
    }

    @Test func `a refused recipient is replaced and reported`() {
        let world = Scenario()
        world.fires("a", rule: "p", to: "ann@x.example")
        world.fires("b", rule: "p", to: "eve@evil.example")
        world.at(1)
        #expect(
            Set(world.told.map(\.description)) == [
                "0:30 mail/ann@x.example first a", "0:30 mail/desk@x.example first b",
            ])
        #expect(world.problems.map(\.component) == ["recipient"])
    }

    @Test func `what fires while bootstrapping is told once as already open, and its end is not told`() {
        let world = Scenario()
        world.isBootstrap = true
        world.fires("a", "b")
        world.endsBootstrap()
        world.expect("0:00 team first a,b [bootstrap]", "0:00 team already_open a,b")
        world.resolves("a")
        world.becomes(.error, "b")
        world.resolves("b")
        world.at(20)
        world.expect("0:00 team severity_raised ↑b!error", "5:00 team all_resolved -b!error")
    }
}
