import Alerting
import Core
import Testing

/// Holes that other alert routers have, by their number in the list of lessons; each test shows that ours is closed.
@Suite struct HoleTests {
    @Test func `hole 3: an alert that resolved unseen under a silence and fires again is new`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.silences("id", "a", forMinutes: 30)
        world.at(5)
        world.resolves("a")
        world.at(31)
        world.fires("a")
        world.at(60)
        world.expect("0:30 team first a", "5:30 team all_resolved -a", "31:30 team first a")
    }

    @Test func `hole 4: neither a lane nor an incident depends on the text of a route`() {
        func lanes(_ matcher: LabelMatcher, incident: Bool) -> Set<String> {
            let world = Scenario(incident: incident) { policy in
                policy.routes.root.children = [
                    RouteTree.Node(
                        expression: .labels([matcher]), receivers: ["team"], settings: .standard, continues: false,
                        children: [], position: nil, name: nil)
                ]
            }
            world.fires("a")
            world.at(1)
            return Set(world.told.map(\.message.lane))
        }
        for incident in [true, false] {
            let one = lanes(LabelMatcher("alertname", equals: "r"), incident: incident)
            #expect(one.count == 1)
            #expect(one == lanes(LabelMatcher("id", equals: "a"), incident: incident))
        }
    }

    @Test func `hole 6: a process that is killed at any moment neither repeats nor forgets`() throws {
        for second in stride(from: 1, to: 420, by: 7) {
            let world = Scenario()
            world.fires("a")
            world.at(Double(second) / 60)
            try world.restarts()
            world.at(7)
            world.resolves("a")
            world.at(20)
            world.expect("0:30 team first a", "7:30 team all_resolved -a")
        }
    }

    @Test func `hole 7: ten thousand groups made at once are all told`() {
        let world = Scenario({ $0.grouping = .each })
        world.batch { world in (0..<10_000).map { world.fired("k\($0)") } }
        world.at(1)
        #expect(world.told.count == 10_000)
        #expect(Set(world.told.flatMap { $0.message.items.map(\.alert.fingerprint) }).count == 10_000)
    }

    @Test func `hole 8: the end of one inhibiting alert leaves the others in force`() {
        let world = Scenario({ $0.wait = .zero }, policy: SuppressionTests.inhibiting)
        world.fires("down1", rule: "s", labels: ["plant": "1"])
        world.fires("down2", rule: "s", labels: ["plant": "1"])
        world.fires("line", labels: ["plant": "1"])
        world.resolves("down1", rule: "s")
        world.at(60)
        #expect(!world.told.contains { $0.description.contains("line") })
        world.resolves("down2", rule: "s")
        world.at(61)
        #expect(world.told.contains { $0.description.contains("silence_ended line") })
    }

    @Test func `hole 11: what flaps and settles at well is told to be well`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        for round in 0..<50 {
            world.at(1 + Double(round) / 10)
            world.resolves("a")
            world.fires("a")
        }
        world.resolves("a")
        world.at(60)
        let last = world.told.last?.message
        #expect(last?.reason == .allResolved)
        #expect(last?.items.contains { $0.alert.episode == 51 } == false || last?.isResolved == true)
        #expect(world.engine.openCount == 0)
        // Whatever was told as firing was told as over.
        var open: Set<String> = []
        for told in world.told {
            for item in told.message.items {
                let key = item.alert.incidentKey.description
                if item.news == .firing { open.insert(key) } else { open.remove(key) }
            }
        }
        #expect(open.isEmpty)
    }

    @Test func `hole 16: each receiver has a message of its own`() {
        let world = Scenario { $0.routes.root.receivers = ["team", "other"] }
        world.fires("a")
        world.at(1)
        #expect(Set(world.told.map(\.message.receiver)) == ["team", "other"])
        #expect(Set(world.told.map(\.message.key)).count == 2)
    }

    @Test func `hole 17: what happens within the interval is told with the next message, not dropped`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        for key in ["b", "c", "d"] { world.fires(key) }
        world.at(10)
        world.expect("0:30 team first a", "5:30 team new_firing b,c,d")
    }

    @Test func `hole 18: an alert is not held back by what happened to another`() {
        let world = Scenario({ $0.grouping = .each })
        world.fires("a")
        world.at(1)
        world.acknowledges("a", forMinutes: nil)
        world.fires("b")
        world.at(242)
        world.expect("0:30 team first a", "1:30 team first b", "241:30 team repeat =b")
    }

    @Test func `hole 20: a state that comes back after another is told again`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.becomes(.error, "a")
        world.at(7)
        world.becomes(.warning, "a")
        world.at(20)
        world.becomes(.error, "a")
        world.expect(
            "0:30 team first a", "1:00 team severity_raised ↑a!error", "7:30 team severity_lowered ↓a",
            "20:00 team severity_raised ↑a!error")
    }
}

extension Scenario {
    fileprivate convenience init(_ edit: @escaping (inout RoutingPolicy) -> Void) {
        self.init({ _ in }, incident: false, policy: edit)
    }
}
