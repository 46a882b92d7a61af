import Alerting
import Core
import Testing

@Suite struct RestartTests {
    @Test func `waits, intervals and repeats go on over a restart at any time; nothing is told twice`() throws {
        for minutes in [0.1, 0.4, 0.6, 2, 5.4, 5.6, 100, 240.4, 240.6] {
            let world = Scenario()
            var isOld = false
            func pass(_ time: Double) throws {
                if !isOld, time > minutes {
                    world.at(minutes)
                    try world.restarts()
                    isOld = true
                }
                world.at(time)
            }
            world.fires("a")
            try pass(1)
            world.fires("b")
            try pass(6)
            world.becomes(.error, "a")
            try pass(250)
            world.resolves("a", "b")
            try pass(300)
            world.expect(
                "0:30 team first a", "5:30 team new_firing b", "6:00 team severity_raised ↑a!error",
                "246:00 team repeat =a!error,=b", "251:00 team all_resolved -a!error,-b")
        }
    }

    @Test func `an end that waits to be told outlives a restart`() throws {
        let world = Scenario()
        world.fires("a", "b")
        world.at(1)
        world.resolves("a")
        #expect(world.storedCount(.end) == 1)
        try world.restarts()
        world.at(2)
        world.fires("a")
        try world.restarts()
        world.at(20)
        world.expect("0:30 team first a,b", "5:30 team new_firing a,-a")
        #expect(world.storedCount(.end) == 0)
    }

    @Test func `a timer that was due while nothing ran is run at the start`() throws {
        let world = Scenario()
        world.fires("a")
        let other = Scenario()
        other.fires("a")
        try world.restarts()
        world.at(0.5)
        world.expect("0:30 team first a")
    }

    @Test func `a silence that ended while nothing ran is over at the start`() throws {
        let world = Scenario()
        world.silences("id", "a", forMinutes: 5)
        world.fires("a")
        world.at(4)
        try world.restarts()
        world.at(6)
        world.expect("5:00 team silence_ended a")
    }

    @Test func `a reload that changes nothing tells nothing and forgets nothing`() {
        let world = Scenario()
        world.fires("a")
        for second in 1..<120 {
            world.at(Double(second) / 60)
            world.reloads()
        }
        world.resolves("a")
        for second in 120..<600 {
            world.at(Double(second) / 60)
            world.reloads()
        }
        world.expect("0:30 team first a", "5:30 team all_resolved -a")
    }

    @Test func `an edit of routes moves nobody who was told; the end goes where the beginning went`() {
        let world = Scenario()
        world.fires("a")
        world.at(1)
        world.fires("b")
        var edited = Scenario.configuration()
        edited.policy.routes.root.receivers = ["other"]
        world.reloads(edited)
        world.at(10)
        world.resolves("a", "b")
        world.at(20)
        #expect(
            Set(world.told.map(\.description)) == [
                "0:30 team first a", "1:30 other first b", "10:30 team all_resolved -a", "10:30 other all_resolved -b",
            ])
    }

    @Test func `an edit of how alerts are grouped tells nobody again`() {
        let world = Scenario()
        world.fires("a", labels: ["plant": "1"])
        world.at(1)
        world.reloads(Scenario.configuration { $0.grouping = .labels(["plant"]) })
        world.fires("b", labels: ["plant": "1"])
        world.at(3)
        world.resolves("a", "b")
        world.at(20)
        world.expect(
            "0:30 team first a", "1:30 team first b", "5:30 team all_resolved -a", "6:30 team all_resolved -b")
    }

    @Test func `an open incident keeps its key over an edit of its route`() {
        let world = Scenario(incident: true)
        world.fires("a")
        var edited = Scenario.configuration(incident: true)
        edited.policy.routes.root.children = [
            RouteTree.Node(
                expression: .labels([LabelMatcher("alertname", equals: "r")]), receivers: ["team"],
                settings: .standard, continues: false, children: [], position: nil, name: "new")
        ]
        world.reloads(edited)
        world.resolves("a")
        world.expect("0:00 team first a", "0:00 team all_resolved -a")
        #expect(Set(world.told.map(\.message.lane)).count == 1)
    }

    @Test func `an alert whose only receiver was removed before it was told goes where it belongs now`() throws {
        let world = Scenario()
        world.fires("a")
        var edited = Scenario.configuration()
        edited.policy.routes.root.receivers = ["other"]
        edited.profiles["team"] = nil
        world.configuration = edited
        try world.restarts()
        world.at(5)
        #expect(world.told.map(\.message.receiver) == ["other"])
    }

    @Test func `the keys of messages are the same when the same is decided again, and differ otherwise`() throws {
        func keys(restarting: Bool) throws -> [String] {
            let world = Scenario()
            world.fires("a")
            world.at(1)
            if restarting { try world.restarts() }
            world.becomes(.error, "a")
            world.becomes(.warning, "a")
            world.at(7)
            world.becomes(.error, "a")
            if restarting { try world.restarts() }
            world.at(600)
            return world.told.map(\.message.key)
        }
        let once = try keys(restarting: false)
        #expect(Set(once).count == once.count)
        #expect(try keys(restarting: true) == once)
    }

    @Test func `a million open alerts in one group are told and ended without a second look at each`() {
        // A smaller number here; the benchmark takes a million.
        let world = Scenario({
            $0.wait = .zero
            $0.interval = .zero
        })
        world.batch { world in (0..<5000).map { world.fired("k\($0)") } }
        #expect(world.told.count == 1)
        #expect(world.told[0].message.items.count + world.told[0].message.omittedCount == 5000)
        #expect(world.engine.openCount == 5000)
    }
}
