import Foundation
import Testing

/// Goal: `routes` and `silences` do what docs/routing.md says. Method: the built program in a folder of its own.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct RoutingCommandTests {
    private static let configuration = """
        kafka: {brokers: [127.0.0.1:9], topics: [gld_fact_quality]}
        receivers:
          - {name: quality, channel: teams, url: "${env:HOOK}", locale: de_DE, timezone: Europe/Berlin}
          - {name: night, channel: teams, url: "${env:HOOK}", locale: de_DE, timezone: Europe/Berlin}
        default_receiver: quality
        operator: quality
        calendars:
          plant: {timezone: Europe/Berlin, hours: {monday-friday: [06:00-22:00]}}
        mute_times:
          nights: {policy: defer, windows: [{calendar: plant, while: closed}]}
        routes:
          - name: team quality
            match: labels.team == "quality"
            group_by: [plant]
            routes:
              - {match: severity >= "error", receiver: night, continue: true, group_wait: 0s}
              - {matchers: [plant=P1], mute_times: [nights]}
        maintenance:
          - name: cleaning
            matchers: [line=L1]
            windows: [{schedule: 0 6 * * 0, duration: 4h, timezone: Europe/Berlin}]
        silences: {max_duration: 2d}
        """

    private static let rules = """
        table: gld_fact_quality
        owner: qa
        rules:
          - name: defects
            key: [plant, line]
            when: after.defect_rate > 0.05
            severity: error
            labels: {team: quality, batch: "{{ after.batch_id }}"}
          - {name: told, key: [plant], when: after.defect_rate > 0.5, notify: [night]}
        """

    private func workspace(_ folder: borrowing Workspace, configuration: String = configuration) throws {
        let tables = try String(contentsOfFile: Program.root + "/rules/tables.yaml", encoding: .utf8)
        try folder.write(tables, to: "rules/tables.yaml")
        try folder.write(RoutingCommandTests.rules, to: "rules/quality.yaml")
        try folder.write(configuration, to: "alert-router.yaml")
    }

    private func run(_ arguments: [String], in folder: borrowing Workspace) async throws -> Program.Result {
        try await Program.run(arguments, in: folder.path, environment: ["HOOK": "https://example.com/hook"])
    }

    @Test func `routes show and test print the tree, the path and the group`() async throws {
        let folder = try Workspace()
        try workspace(folder)
        var text = ""
        for arguments in [
            ["check"], ["routes", "show"], ["routes", "show", "--output", "json"],
            [
                "routes", "test", "--label", "team=quality", "--severity", "critical", "--key", "plant=P1", "--at",
                "2026-01-11T06:30:00+01:00",
            ],
            [
                "routes", "test", "--rule", "defects", "--key", "line=L1", "--key", "plant=P1", "--at",
                "2026-01-11T06:30:00+01:00", "--output", "json",
            ],
            ["routes", "test", "--rule", "defect", "--label", "owner=qa", "--label", "severity=info"],
            ["routes", "test", "--rule", "told"],
            ["routes", "test", "--rule", "router-health", "--table", "router_health"],
        ] {
            let result = try await run(arguments, in: folder)
            #expect(result.code == 0, "\(arguments): \(result.errors)")
            text += "$ alert-router \(arguments.joined(separator: " "))\n\(result.transcript)\n"
        }
        try Golden.expect(text, "routes.golden")
    }

    @Test func `check tells everything that is wrong with routes and silences`() async throws {
        let folder = try Workspace()
        try workspace(
            folder,
            configuration: RoutingCommandTests.configuration.replacingOccurrences(
                of: "receiver: night, continue", with: "receiver: nigth, continue"
            ).replacingOccurrences(of: "mute_times: [nights]", with: "mute_times: [days]")
                + "\ninhibit: [{name: a, source: {match: severty > \"info\"}}]\n")
        try folder.write(
            """
            silences:
              - {name: a, matchers: [plant], starts_at: 2026-01-01T00:00:00Z, ends_at: 2026-02-01T00:00:00Z, author: b,
                 comment: c}
              - {name: long, matchers: [plant=P1], starts_at: 2026-01-01T00:00:00Z, ends_at: 2026-02-01T00:00:00Z,
                 author: b, comment: c}
            """, to: "rules/silences/s.yaml")
        let result = try await run(["check"], in: folder)
        #expect(result.code == 1)
        try Golden.expect(result.transcript, "wrong-routes.golden")
    }

    @Test func `warnings leave a configuration right`() async throws {
        let folder = try Workspace()
        try workspace(
            folder,
            configuration: RoutingCommandTests.configuration.replacingOccurrences(of: ", continue: true", with: "")
                + "\nroute_defaults: {digest: {schedule: 0 7 * * *, columns: {A: after.nothing, B: after.batch_id}}}\n")
        let result = try await run(["check"], in: folder)
        #expect(result.code == 0)
        #expect(result.output == "alert-router.yaml is right: 3 rules, 2 receivers, 3 routes\n")
        #expect(result.errors.contains("warning[N010]: no table has the column of 'after.nothing'"), "\(result.errors)")
        #expect(!result.errors.contains("batch_id'"))
    }

    @Test func `silences are made, listed, shown and ended where no service runs`() async throws {
        let folder = try Workspace()
        try workspace(folder)
        try folder.write(
            """
            silences:
              - name: rebuild
                match: key.plant == "P1"
                starts_at: 2026-01-01T00:00:00Z
                ends_at: 2026-01-02T00:00:00Z
                author: j.doe
                comment: The filler is rebuilt.
            """, to: "rules/silences/s.yaml")
        let files = try await run(["silences", "list", "--all"], in: folder)
        #expect(files.code == 0 && files.output.contains("key.plant == \"P1\""), "\(files.transcript)")
        let none = try await run(["silences", "add", "a=b", "--for", "1h", "--comment", "x"], in: folder)
        #expect(none.code == 1 && none.errors.contains("there is no store"), "\(none.transcript)")
        for arguments in [
            ["a=\"b", "--for", "1h"], ["a!=b", "--for", "1h"], ["a=b", "--for", "3d"],
            ["--match", "severty > \"info\"", "--for", "1h"], ["a=b", "--until", "2020-01-01T00:00:00Z"],
        ] {
            let refused = try await run(["silences", "add", "--comment", "x"] + arguments, in: folder)
            #expect(refused.code == 1 && refused.output.isEmpty, "\(arguments): \(refused.transcript)")
        }
        try await StoreFixture.make(in: folder.path)
        let added = try await run(
            ["silences", "add", "plant=\"P1\"", "line=~\"L1|L2\"", "--for", "1h", "--comment", "work"], in: folder)
        #expect(added.code == 0, "\(added.transcript)")
        let id = added.output.trimmingCharacters(in: .newlines)
        #expect(id.count == 36)
        let list = try await run(["silences", "list"], in: folder)
        #expect(
            list.output.contains("active") && list.output.contains("plant=\"P1\", line=~\"L1|L2\""), "\(list.output)")
        let shown = try await run(["silences", "show", String(id.prefix(8))], in: folder)
        #expect(shown.output.contains("author     tester\ncomment    work\n"), "\(shown.transcript)")
        let ended = try await run(["silences", "expire", String(id.prefix(8))], in: folder)
        #expect(ended.code == 0 && ended.output == "\(id): expired\n", "\(ended.transcript)")
        let again = try await run(["silences", "expire", id], in: folder)
        #expect(again.code == 1 && again.errors.contains("is over since"), "\(again.transcript)")
        let empty = try await run(["silences", "list"], in: folder)
        #expect(empty.output == "no silences pending or active\n")
        let rebuild = try await run(["silences", "list", "--all", "--output", "json"], in: folder)
        #expect(rebuild.output.contains("\"file\":\"rules/silences/s.yaml:2:5\""), "\(rebuild.output)")
        #expect(rebuild.output.contains("__cel__"))
    }
}
