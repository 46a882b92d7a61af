import Alerting
import Core
import Testing

@Suite struct SuppressionTests {
    @Test func `a silenced alert is noted with its reason, and told when the silence ends and it still fires`() {
        let world = Scenario()
        world.silences("id", "a", forMinutes: 10)
        world.fires("a", "b")
        world.at(9)
        world.expect("0:30 team first b")
        #expect(
            world.decisions.contains {
                $0.fingerprint == Scenario.fingerprint("a") && $0.decision == "suppressed"
                    && $0.detail == "silence s1"
            })
        #expect(world.engine.status(of: Scenario.fingerprint("a"))?.silencedBy == ["s1"])
        world.at(20)
        world.expect("10:00 team silence_ended a")
        #expect(world.storedCount(.status) == 0)
    }

    @Test func `what was told before a silence is told of its end during the silence`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.silences("id", "a", forMinutes: 60)
        world.at(20)
        world.resolves("a")
        world.at(200)
        world.expect("0:30 team first a", "20:30 team all_resolved -a")
    }

    @Test func `the end of a silence shows in one message what stayed bad`() {
        let world = Scenario()
        world.fires("a", "b")
        world.at(1)
        world.silences("alertname", "r", forMinutes: 30)
        world.at(10)
        world.fires("c")
        world.becomes(.critical, "b")
        world.resolves("a")
        world.at(40)
        world.expect("0:30 team first a,b", "10:30 team some_resolved -a", "31:00 team silence_ended c,↑b!critical")
    }

    @Test func `a silence of all open alerts, what never fired outside of it and ended within is not told`() {
        let world = Scenario()
        world.silences("alertname", "r", forMinutes: 30)
        world.fires("a", as: .critical)
        world.at(5)
        world.resolves("a")
        world.at(100)
        world.expectNothing()
        #expect(world.decisions.contains { $0.decision == "suppressed" && $0.detail.contains("silence") })
    }

    @Test func `nothing is repeated under a silence, and repeats go on after it`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.silences("id", "a", forMinutes: 600)
        world.at(599)
        world.expect("0:30 team first a")
        world.does(.expireSilence(id: "s1"))
        world.at(900)
        world.expect("599:00 team silence_ended =a", "839:00 team repeat =a")
    }

    @Test func `a silence until resolved ends with the last alert that it silences`() {
        let world = Scenario()
        world.fires("a", "b")
        world.at(1)
        world.silences("alertname", "r", forMinutes: 600, untilResolved: true)
        world.at(2)
        world.resolves("a")
        #expect(world.engine.silences.silences["s1"]?.state(at: world.now) == .active)
        world.resolves("b")
        #expect(world.engine.silences.silences["s1"]?.state(at: world.now) == .expired)
        world.fires("c")
        world.at(10)
        world.expect("0:30 team first a,b", "5:30 team new_firing c,-a,-b")
    }

    @Test func `a silence that is wrong is refused and changes nothing`() {
        let world = Scenario()
        let now = world.now
        let silence = Silence(
            id: "x", expression: .labels([LabelMatcher("id", equals: "a")]), startsAt: now,
            endsAt: now.adding(.seconds(-1)), author: "ann", comment: "", untilResolved: false, source: .api,
            createdAt: now, updatedAt: now)
        guard case .refused = world.does(.putSilence(silence)) else {
            Issue.record("taken")
            return
        }
        #expect(world.does(.expireSilence(id: "nope")) == .refused("there is no silence nope"))
        #expect(world.storedCount(.silence) == 0)
    }

    static func inhibiting(_ policy: inout RoutingPolicy) {
        policy.inhibition = InhibitionRules(rules: [
            InhibitionRule(
                name: "plant down", source: .labels([LabelMatcher("alertname", equals: "s")]),
                target: .labels([LabelMatcher("alertname", equals: "r")]), equal: ["plant"], position: nil)
        ])
    }

    @Test(arguments: [true, false])
    func `an alert is inhibited whatever the order within a batch, and told when the other ends`(isSourceFirst: Bool) {
        let world = Scenario({ $0.wait = .zero }, policy: SuppressionTests.inhibiting)
        world.batch { world in
            let source = world.fired("down", rule: "s", labels: ["plant": "1"])
            let target = world.fired("line", rule: "r", labels: ["plant": "1"])
            return isSourceFirst ? [source, target] : [target, source]
        }
        world.fires("elsewhere", rule: "r", labels: ["plant": "2"])
        world.at(5)
        world.expect("0:00 team first down", "0:00 team first elsewhere")
        world.resolves("down", rule: "s")
        world.at(20)
        #expect(
            Set(world.told.dropFirst(2).map(\.description)) == [
                "5:00 team all_resolved -down", "5:00 team silence_ended line",
            ])
    }

    @Test func `an inhibited alert stays inhibited over a restart and while one of two sources lasts`() throws {
        let world = Scenario({ $0.wait = .zero }, policy: SuppressionTests.inhibiting)
        world.fires("down1", "down2", rule: "s", labels: ["plant": "1"])
        world.fires("line", rule: "r", labels: ["plant": "1"])
        world.at(10)
        world.expect("0:00 team first down1,down2")
        world.resolves("down1", rule: "s")
        try world.restarts()
        world.at(20)
        world.expect("10:00 team some_resolved -down1")
        world.resolves("down2", rule: "s")
        world.at(30)
        #expect(world.told.last?.description == "20:00 team silence_ended line" || world.told.count == 4)
        #expect(world.told.contains { $0.description == "20:00 team silence_ended line" })
    }

    @Test func `an event under a silence is noted and not told`() {
        let world = Scenario()
        world.silences("alertname", "r", forMinutes: 10)
        world.happens("a")
        world.at(60)
        world.expectNothing()
        #expect(world.decisions.contains { $0.decision == "suppressed" })
    }

    @Test func `an incident is opened when the silence ends, and resolved during one`() {
        let world = Scenario(incident: true)
        world.silences("id", "a", forMinutes: 5)
        world.fires("a")
        world.at(6)
        world.expect("5:00 team silence_ended a")
        world.silences("id", "a", id: "s2", forMinutes: 5)
        world.resolves("a")
        world.expect("6:00 team all_resolved -a")
    }
}
