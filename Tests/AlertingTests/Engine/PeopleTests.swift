import Alerting
import Core
import Testing

@Suite struct PeopleTests {
    @Test func `an acknowledged alert is not repeated; when the acknowledgement ends, whoever was told is reminded`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.acknowledges("a", forMinutes: 600)
        world.at(700)
        world.expect("0:30 team first a", "601:00 team reminder =a")
        world.at(842)
        world.expect("841:00 team repeat =a")
    }

    @Test func `an acknowledgement ends with its alert; the next episode is told as ever`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.acknowledges("a", forMinutes: nil)
        world.at(10)
        world.resolves("a")
        world.at(20)
        world.fires("a")
        world.at(400)
        world.expect("0:30 team first a", "10:30 team all_resolved -a", "20:30 team first a", "260:30 team repeat =a")
        #expect(world.storedCount(.status) == 0)
    }

    @Test func `a group repeats the alerts that nobody took care of`() {
        let world = Scenario()
        world.fires("a", "b")
        world.at(1)
        world.acknowledges("a", forMinutes: nil)
        world.at(250)
        world.expect("0:30 team first a,b", "240:30 team repeat =b")
    }

    @Test func `a severity that rises is told although the alert is acknowledged`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.acknowledges("a", forMinutes: nil)
        world.becomes(.critical, "a")
        world.expect("0:30 team first a", "1:00 team severity_raised ↑a!critical")
    }

    @Test func `what cannot be acknowledged is refused with a reason`() {
        let world = Scenario()
        let nobody = world.does(
            .acknowledge(Scenario.fingerprint("a"), by: "ann", comment: "", until: nil))
        #expect(nobody == .refused("no firing alert has this fingerprint"))
        world.fires("a")
        let over = world.does(
            .acknowledge(Scenario.fingerprint("a"), by: "ann", comment: "", until: world.now))
        #expect(over == .refused("an acknowledgement must not be over when it is made"))
        let twice = world.does(.unacknowledge(Scenario.fingerprint("a"), by: "ann"))
        #expect(twice == .refused("this alert is not acknowledged"))
    }

    private func escalating(_ unless: Escalation.Unless) -> (inout GroupSettings) -> Void {
        { $0.escalations = [Escalation(after: .seconds(900), unless: unless, notify: ["oncall"])] }
    }

    @Test func `an alert that nobody acknowledges is escalated, and the end is told there too`() {
        let world = Scenario(escalating(.acknowledged))
        world.fires("a")
        world.at(20)
        world.expect("0:30 team first a", "15:30 oncall escalation a")
        world.resolves("a")
        world.at(30)
        #expect(
            Set(world.told.dropFirst(2).map(\.description)) == [
                "20:30 team all_resolved -a", "20:30 oncall all_resolved -a",
            ])
    }

    @Test func `an acknowledged alert is not escalated until the acknowledgement ends`() {
        let world = Scenario(escalating(.acknowledged))
        world.fires("a")
        world.at(5)
        world.acknowledges("a", forMinutes: 60)
        world.at(100)
        world.expect("0:30 team first a", "65:00 team reminder =a", "80:00 oncall escalation a")
    }

    @Test func `an escalation unless resolved does not care about acknowledgements`() {
        let world = Scenario(escalating(.resolved))
        world.fires("a", "b")
        world.at(5)
        world.acknowledges("a", forMinutes: nil)
        world.resolves("b")
        world.at(100)
        world.expect("0:30 team first a,b", "5:30 team some_resolved -b", "15:30 oncall escalation a")
    }

    @Test func `acknowledgements and escalations outlive a restart`() throws {
        let world = Scenario(escalating(.acknowledged))
        world.fires("a", "b")
        world.at(1)
        world.acknowledges("a", forMinutes: 30)
        world.at(2)
        try world.restarts()
        world.at(60)
        world.expect(
            "0:30 team first a,b", "15:30 oncall escalation b", "31:00 team reminder =a", "46:00 oncall escalation a")
    }

    @Test func `many new alerts of one route are one summary, and each is told of its end`() {
        let world = Scenario({
            $0.grouping = .each
            $0.wait = .zero
            $0.interval = .zero
            $0.storm = GroupSettings.Storm(moreThan: 3, within: .seconds(60))
        })
        world.batch { world in (1...10).map { world.fired("k\($0)", $0 == 7 ? .error : .warning) } }
        world.at(0.5)
        world.batch { world in (11...12).map { world.fired("k\($0)") } }
        world.at(10)
        #expect(world.told.count == 1)
        #expect(world.told.first?.message.reason == .storm)
        #expect(world.told.first?.message.items.count == 12)
        #expect(world.told.first?.message.openCount == 12)
        #expect(world.told.first?.message.at == Scenario.start.adding(.seconds(60)))
        world.batch { world in (1...12).map { world.ended("k\($0)") } }
        world.at(20)
        let ends = world.told.dropFirst()
        #expect(ends.count == 12)
        #expect(ends.allSatisfy { $0.message.reason == .allResolved })
        #expect(Set(ends.map(\.message.lane)).count == 12)
    }

    @Test func `a storm goes on by summaries while it lasts, and few alerts are told alone again after it`() {
        let world = Scenario({
            $0.grouping = .each
            $0.wait = .zero
            $0.interval = .zero
            $0.storm = GroupSettings.Storm(moreThan: 2, within: .seconds(60))
        })
        for second in 0..<180 {
            world.at(Double(second) / 60)
            if second % 10 == 0 { world.fires("k\(second)") }
        }
        world.at(10)
        let reasons = world.told.map(\.message.reason)
        #expect(reasons.prefix(2) == [.first, .first])
        #expect(reasons.dropFirst(2).allSatisfy { $0 == .storm })
        #expect(reasons.count <= 6)
        #expect(world.told.flatMap(\.message.items).count == 18)
        world.fires("late")
        #expect(world.told.last?.description == "10:00 team first late")
    }

    @Test func `a storm outlives a restart and loses nobody`() throws {
        let world = Scenario({
            $0.grouping = .each
            $0.wait = .zero
            $0.interval = .zero
            $0.storm = GroupSettings.Storm(moreThan: 2, within: .seconds(60))
        })
        world.batch { world in (1...10).map { world.fired("k\($0)") } }
        world.at(0.3)
        try world.restarts()
        world.at(5)
        #expect(world.told.map(\.message.reason) == [.storm])
        #expect(world.told.first?.message.items.count == 10)
    }
}
