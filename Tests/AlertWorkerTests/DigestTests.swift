import AlertWorker
import Alerting
import Calendars
import ChangeEvents
import ConfigFiles
import Core
import RuleEngine
import Store
import Testing

// Goal: a digest shows each planner the columns that are configured, in the configured order. Method: from rows to the
// stored notification, the clock moved to the time of the digest.

@Suite struct DigestTests {
    private static let rules = """
        table: t
        owner: o
        rules:
          - name: r
            when: after.x < 60
            recipient: after.mail
            notify: [mail]
            summary: "Stock of {{ after.id }}"
            facts: {Plant: "{{ after.plant }}"}
        """

    private func world() throws -> World {
        let schedule = Schedule(try CronExpression("0 7 * * *"), zone: .utc, on: nil)
        let columns = [
            ("Material", "key.id"), ("On hand", "after.x"), ("Text", "summary"), ("Plant", "facts.Plant"),
            ("Owner", "owner"), ("Table", "table"), ("State", "state"), ("For", "recipient"), ("Level", "severity"),
        ].map { DigestSettings.Column(title: $0.0, source: $0.1) }
        let digest = DigestSettings(
            schedule: schedule, split: .recipient, columns: columns,
            sort: [.init(source: "after.x", isDescending: true), .init(source: "key.id", isDescending: false)])
        let world = try World(
            DigestTests.rules, clock: .wall, receivers: World.directory { $0.digest = digest })
        var options = RuleLoadOptions.standard
        options.digestColumns = ["after.x"]
        let files = [
            ConfigFile(text: World.tables, file: "rules/tables.yaml"),
            ConfigFile(text: DigestTests.rules, file: "rules/r.yaml"),
            ConfigFile(text: HealthTable.tables, file: "built-in/tables.yaml"),
            ConfigFile(text: HealthTable.rules, file: "built-in/\(HealthTable.rulesFileName)"),
        ]
        world.rules = try #require(RuleSet.load(files: files, options: options).rules)
        return world
    }

    @Test func `each planner gets the configured columns, sorted by number, and who has nothing gets nothing`()
        async throws
    {
        let world = try world()
        try await world.session { session in
            try await session.settle()
            func stock(_ id: String, _ x: Double, _ mail: String) {
                world.row(id, at: 0, ["x": .double(x), "plant": .string("P1"), "mail": .string(mail + "@x.example")])
            }
            stock("a", 9, "ann")
            stock("c", 30, "ann")
            stock("b", 9, "ann")
            stock("d", 5, "bob")
            stock("e", 70, "eve")
            try await session.settle()
            #expect(try session.outbox().isEmpty)
            try await session.advance(20 * 60)
            let told = try session.outbox()
            #expect(Set(told.compactMap(\.row.recipient)) == ["ann@x.example", "bob@x.example"])
            #expect(told.count == 2)
            let ann = try #require(told.first { $0.row.recipient == "ann@x.example" })
            #expect(ann.notification.reason == .digest)
            // 30 before 9: as numbers, not as texts; equal ones by their key.
            #expect(ann.notification.items.map(\.keyDisplay) == ["id=c", "id=a", "id=b"])
            let facts = try #require(ann.notification.items.first).facts
            #expect(
                facts.map(\.name) == [
                    "Material", "On hand", "Text", "Plant", "Owner", "Table", "State", "For", "Level",
                ])
            #expect(
                facts.map(\.value).map { $0 == "30.0" ? "30" : $0 } == [
                    "c", "30", "Stock of c", "P1", "o", "t", "firing", "ann@x.example", "warning",
                ])
            world.x("a", 70, at: 1201)
            try await session.settle()
            try await session.advance(86_400)
            let next = try #require(try session.outbox().last { $0.row.recipient == "ann@x.example" })
            // What is over stands behind what is open, though it has the highest number.
            #expect(next.notification.items.map(\.keyDisplay) == ["id=c", "id=b", "id=a"])
            #expect(next.notification.items.map(\.isToldBefore) == [true, true, false])
            #expect(next.notification.items.last?.state == .resolved)
        }
    }
}
