import Alerting
import Calendars
import Core
import Testing

/// Digests of several routes at one recipient, and edits of them. The scenarios begin on 12 January 2026 at 06:40 UTC.
@Suite struct DigestTests {
    private static func digest(_ cron: String, _ column: String = "key.id") throws -> DigestSettings {
        DigestSettings(
            schedule: Schedule(try CronExpression(cron), zone: .utc, on: nil), split: .receiver,
            columns: [.init(title: "Key", source: column)], sort: [])
    }

    /// Alerts of the plants `1` and `2` have routes of their own.
    private static func configuration(_ digests: DigestSettings?...) -> AlertingConfiguration {
        Scenario.configuration(policy: { policy in
            policy.routes.root.children = digests.enumerated().map { number, digest in
                var settings = GroupSettings.standard
                settings.digest = digest
                return RouteTree.Node(
                    expression: .labels([LabelMatcher("plant", equals: "\(number + 1)")]), receivers: ["team"],
                    settings: settings, continues: false, children: [], position: nil, name: nil)
            }
        })
    }

    @Test func `digests of two routes with different schedules at one receiver do not mix`() throws {
        let world = Scenario(
            DigestTests.configuration(try DigestTests.digest("0 7 * * *"), try DigestTests.digest("0 8 * * *")))
        world.fires("a", labels: ["plant": "1"])
        world.fires("b", labels: ["plant": "2"])
        world.at(90)
        world.expect("20:00 team digest a", "80:00 team digest b")
        #expect(Set(world.told.map(\.message.lane)).count == 2)
        #expect(Set(world.told.map(\.message.groupKey)).count == 2)
        #expect(world.told.allSatisfy { $0.message.groupKey.hasPrefix("open alerts, 0 ") })
    }

    @Test func `digests that show other columns at the same time do not mix either, and equal ones are one`() throws {
        let other = try DigestTests.digest("0 7 * * *", "labels.plant")
        let world = Scenario(DigestTests.configuration(try DigestTests.digest("0 7 * * *"), other))
        world.fires("a", labels: ["plant": "1"])
        world.fires("b", labels: ["plant": "2"])
        world.at(30)
        #expect(Set(world.told.map(\.description)) == ["20:00 team digest a", "20:00 team digest b"])
        let same = Scenario(
            DigestTests.configuration(try DigestTests.digest("0 7 * * *"), try DigestTests.digest("0 7 * * *")))
        same.fires("a", labels: ["plant": "1"])
        same.fires("b", labels: ["plant": "2"])
        same.at(30)
        #expect(same.told.count == 1)
        #expect(Set(same.told.flatMap { $0.message.items.map(\.alert.keyDisplay) }) == ["id=a", "id=b"])
    }

    @Test(arguments: [true, false])
    func `an edit of a schedule moves a digest with what it told and the ends that wait`(isReload: Bool) throws {
        let world = Scenario(DigestTests.configuration(try DigestTests.digest("0 7 * * *")))
        world.fires("a", "b", labels: ["plant": "1"])
        world.at(30)
        world.expect("20:00 team digest a,b")
        world.resolves("a")
        #expect(world.storedCount(.end) == 1)
        let edited = DigestTests.configuration(try DigestTests.digest("0 8 * * *", "labels.plant"))
        if isReload { world.reloads(edited) } else { world.configuration = edited }
        try world.restarts()
        #expect(world.storedCount(.group) == 1)
        #expect(world.storedCount(.end) == 1)
        world.fires("c", labels: ["plant": "1"])
        world.at(100)
        world.expect("80:00 team digest c,=b,-a")
        #expect(world.told.last?.message.digest?.columns.first?.source == "labels.plant")
        world.resolves("b", "c")
        world.at(3000)
        world.expect("1520:00 team digest -b,-c")
        #expect(world.storedCount(.group) == 0)
        #expect(world.storedCount(.end) == 0)
    }

    @Test func `routes that change places keep their digests`() throws {
        let (seven, eight) = (try DigestTests.digest("0 7 * * *"), try DigestTests.digest("0 8 * * *"))
        let world = Scenario(DigestTests.configuration(seven, eight))
        world.fires("a", labels: ["plant": "1"])
        world.at(30)
        world.expect("20:00 team digest a")
        // A route without effect before it, and a name: the path is another.
        var edited = DigestTests.configuration(seven, eight)
        var node = edited.policy.routes.root.children[0]
        node.name = "planning"
        edited.policy.routes.root.children = [edited.policy.routes.root.children[1], node]
        world.reloads(edited)
        world.at(1470)
        world.expect("1460:00 team digest =a")
        #expect(Set(world.told.map(\.message.lane)).count == 1)
    }
}
