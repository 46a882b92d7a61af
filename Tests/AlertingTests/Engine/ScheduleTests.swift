import Alerting
import Calendars
import Core
import Testing

/// Mute times and digests. The scenarios begin on 12 January 2026 at 06:40 UTC.
@Suite struct ScheduleTests {
    private static func schedule(_ cron: String) throws -> Schedule {
        Schedule(try CronExpression(cron), zone: .utc, on: nil)
    }

    /// Muted from minute 10 to minute 30.
    private static func muted(_ policy: MuteReference.Policy, incident: Bool = false) throws -> Scenario {
        let window = RecurringWindow(parts: [.schedule(try schedule("50 6 * * *"), milliseconds: 20 * 60_000)])
        return Scenario(
            { $0.muteTimes = [MuteReference(name: "break", policy: policy)] }, incident: incident,
            policy: { $0.muteTimes = MuteTimes(entries: ["break": .init(window: window, policy: policy)]) })
    }

    private func course(_ world: Scenario) {
        world.fires("a")
        world.at(12)
        world.resolves("a")
        world.fires("b")
        world.at(13)
        world.fires("c", as: .error)
        world.fires("d")
        world.at(15)
        world.resolves("c", "d")
        world.happens("e")
        world.at(29)
    }

    @Test func `a mute time that defers tells at its end in one message what happened in it`() throws {
        let world = try ScheduleTests.muted(.defer)
        course(world)
        world.expect("0:30 team first a")
        #expect(world.engine.status(of: Scenario.fingerprint("b"))?.mutedBy == ["break"])
        #expect(world.decisions.contains { $0.decision == "deferred" && $0.detail == "mute time break" })
        world.at(100)
        world.expect("30:00 team catch_up b,-a,±c!error,±d,*e")
        #expect(world.storedCount(.end) == 0)
        #expect(world.storedCount(.status) == 0)
    }

    @Test func `a mute time that drops tells afterwards what still fires and the ends of what was told`() throws {
        let world = try ScheduleTests.muted(.drop)
        course(world)
        world.at(100)
        world.expect("0:30 team first a", "30:00 team new_firing b,-a")
        #expect(world.decisions.contains { $0.decision == "dropped" && $0.detail == "mute time break" })
        #expect(world.storedCount(.end) == 0)
    }

    @Test(arguments: [MuteReference.Policy.drop, .defer])
    func `what a mute time holds back outlives a restart within it`(policy: MuteReference.Policy) throws {
        let undisturbed = try ScheduleTests.muted(policy)
        course(undisturbed)
        undisturbed.at(100)
        let world = try ScheduleTests.muted(policy)
        course(world)
        try world.restarts()
        world.at(100)
        #expect(world.told.map(\.message.reason) == undisturbed.told.map(\.message.reason))
        #expect(
            world.told.map { Set($0.message.items.map(\.alert.fingerprint)) }
                == undisturbed.told.map { Set($0.message.items.map(\.alert.fingerprint)) })
    }

    @Test func `an incident channel is told at the end of a mute time too`() throws {
        let world = try ScheduleTests.muted(.defer, incident: true)
        world.at(12)
        world.fires("a")
        world.at(31)
        world.expect("30:00 team catch_up a")
    }

    @Test func `nothing is repeated in a mute time, and the repeat comes at its end`() throws {
        let world = try ScheduleTests.muted(.defer)
        world.fires("a")
        world.at(1440 + 15)
        let repeats = world.told.filter { $0.message.reason == .repeat }.map(\.message.at)
        #expect(repeats.allSatisfy { !(10..<30).contains($0.milliseconds(since: Scenario.start) / 60_000 % 1440) })
        #expect(repeats.count == 6)
    }

    private static func digest() throws -> Scenario {
        let settings = DigestSettings(
            schedule: try schedule("0 7 * * *"), split: .recipient,
            columns: [.init(title: "Key", source: "key.id")], sort: [])
        return Scenario({ $0.digest = settings })
    }

    @Test
    func `a digest tells each recipient by schedule what is open, new and over, and nothing when there is nothing`()
        throws
    {
        let world = try ScheduleTests.digest()
        world.fires("a", "b", rule: "p", to: "ann@x.example")
        world.fires("c", rule: "p", to: "bob@x.example")
        world.fires("short", rule: "p", to: "bob@x.example")
        world.resolves("short", rule: "p")
        world.at(19)
        world.expectNothing()
        world.at(100)
        #expect(
            Set(world.told.map(\.description)) == [
                "20:00 mail/ann@x.example digest a,b", "20:00 mail/bob@x.example digest c",
            ])
        world.resolves("a", rule: "p")
        world.fires("d", rule: "p", to: "ann@x.example")
        world.at(1440 + 100)
        #expect(
            Set(world.told.dropFirst(2).map(\.description)) == [
                "1460:00 mail/ann@x.example digest d,=b,-a", "1460:00 mail/bob@x.example digest =c",
            ])
        world.resolves("b", "c", "d", rule: "p")
        world.at(2 * 1440 + 100)
        #expect(
            Set(world.told.dropFirst(4).map(\.description)) == [
                "2900:00 mail/ann@x.example digest -b,-d", "2900:00 mail/bob@x.example digest -c",
            ])
        world.at(5 * 1440)
        #expect(world.told.count == 6)
        #expect(world.told.allSatisfy { $0.message.digest?.columns.first?.title == "Key" })
        #expect(world.storedCount(.group) == 0)
    }

    @Test func `a digest keeps its time over restarts and reloads`() throws {
        let world = try ScheduleTests.digest()
        world.fires("a", rule: "p", to: "ann@x.example")
        world.at(5)
        try world.restarts()
        world.reloads()
        world.at(19)
        world.expectNothing()
        world.at(30)
        try world.restarts()
        world.at(1500)
        world.expect("20:00 mail/ann@x.example digest a", "1460:00 mail/ann@x.example digest =a")
    }
}
