import Alerting
import Calendars
import Core
import Testing

/// What is told while a route has a storm.
@Suite struct StormTests {
    private static func storm(
        _ grouping: GroupSettings.Grouping = .each, policy: (inout RoutingPolicy) -> Void = { _ in },
        _ change: (inout GroupSettings) -> Void = { _ in }
    ) -> Scenario {
        Scenario(
            {
                $0.grouping = grouping
                $0.wait = .zero
                $0.interval = .zero
                $0.storm = GroupSettings.Storm(moreThan: 3, within: .seconds(60))
                change(&$0)
            }, policy: policy)
    }

    @Test(arguments: [GroupSettings.Grouping.each, .rule])
    func `a storm does not hold critical alerts: each is told at once, the others in the summary`(
        grouping: GroupSettings.Grouping
    ) {
        let world = StormTests.storm(grouping)
        world.batch { world in (1...9).map { world.fired("k\($0)") } + [world.fired("fire", .critical)] }
        world.expect("0:00 team first fire!critical")
        world.at(0.25)
        world.batch { world in [world.fired("k10"), world.fired("burst", .critical)] }
        world.expect(
            grouping == .each ? "0:15 team first burst!critical" : "0:15 team new_firing burst!critical")
        world.at(0.5)
        world.becomes(.critical, "k3")
        world.expect(
            grouping == .each ? "0:30 team first k3!critical" : "0:30 team new_firing k3!critical")
        world.at(5)
        #expect(world.told.count == 4)
        #expect(world.told.last?.message.reason == .storm)
        #expect(
            Set(world.told.last?.message.items.map(\.alert.keyDisplay) ?? [])
                == Set([1, 2, 4, 5, 6, 7, 8, 9, 10].map { "id=k\($0)" }))
        world.batch { world in (1...10).map { world.ended("k\($0)") } + ["fire", "burst"].map { world.ended($0) } }
        world.at(10)
        let ends = world.told.dropFirst(4).flatMap(\.message.items)
        #expect(ends.count == 12)
        #expect(ends.allSatisfy { $0.news == .resolved })
    }

    @Test func `a critical event is told in a storm, others wait, and nothing is lost over a restart`() throws {
        let world = StormTests.storm(.rule)
        world.batch { world in (1...5).map { world.fired("k\($0)") } }
        world.happens("plain")
        world.happens("grave", as: .critical)
        world.expect("0:00 team event *grave!critical")
        try world.restarts()
        world.at(5)
        let summary = try #require(world.told.last?.message)
        #expect(world.told.count == 2)
        #expect(summary.reason == .storm)
        #expect(Set(summary.items.map(\.alert.keyDisplay)) == Set((1...5).map { "id=k\($0)" } + ["id=plain"]))
    }

    @Test func `a critical alert of a storm waits while a mute time lasts`() throws {
        let schedule = Schedule(try CronExpression("30 6 * * *"), zone: .utc, on: nil)
        let window = RecurringWindow(parts: [.schedule(schedule, milliseconds: 30 * 60_000)])
        let world = StormTests.storm(
            policy: { $0.muteTimes = MuteTimes(entries: ["break": .init(window: window, policy: .defer)]) },
            { $0.muteTimes = [MuteReference(name: "break", policy: .defer)] })
        world.batch { world in (1...9).map { world.fired("k\($0)") } + [world.fired("fire", .critical)] }
        world.at(19)
        world.expectNothing()
        world.at(21)
        #expect(world.told.flatMap(\.message.items).count == 10)
        #expect(world.told.allSatisfy { $0.message.reason == .catchUp })
    }

    @Test func `the summary names what most of its alerts have in common, with how many`() {
        let world = StormTests.storm()
        world.batch { world in
            (0..<300).map { world.fired("k\($0)") } + (0..<4).map { world.fired("k\($0)", rule: "s") }
        }
        world.at(5)
        let summary = world.told.first?.message
        #expect(world.told.count == 1)
        #expect((summary?.items.count ?? 0) + (summary?.omittedCount ?? 0) == 304)
        #expect(
            summary?.counts.map { "\($0.name): \($0.count)" } == ["r: 300", "s: 4", "id=k0: 2", "id=k1: 2", "id=k2: 2"])
    }
}
