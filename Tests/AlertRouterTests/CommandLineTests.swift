import Foundation
import Testing

/// Goal: what the program says and how it exits is what its help and pages promise. Method: the built program.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct CommandLineTests {
    @Test func `every command has help with an example`() async throws {
        let folder = try Workspace()
        let commands = [
            [], ["demo"], ["run"], ["check"], ["rules"], ["rules", "check"], ["rules", "plan"], ["alerts"],
            ["routes"], ["routes", "show"], ["routes", "test"], ["alerts", "list"], ["alerts", "show"],
            ["alerts", "explain"], ["ack"], ["unack"], ["silences"], ["silences", "list"], ["silences", "show"],
            ["silences", "add"], ["silences", "expire"], ["dead-letters"],
            ["dead-letters", "list"],
            ["dead-letters", "show"],
            ["dead-letters", "replay"], ["dead-letters", "discard"], ["store"], ["store", "backup"],
            ["store", "restore"], ["store", "check"], ["publish"], ["schema"],
        ]
        var text = ""
        for command in commands {
            let result = try await Program.run(command + ["--help"], in: folder.path)
            #expect(result.code == 0 && result.errors.isEmpty, "\(command): \(result.errors)")
            let isGroup = ["rules", "routes", "alerts", "silences", "dead-letters", "store"].contains(command.last)
            #expect(command.isEmpty || isGroup || result.output.contains("Example: alert-router"), "\(command)")
            // What only starts something, or writes files, prints no data.
            let printsData = !command.isEmpty && !isGroup && !["demo", "run", "schema"].contains(command[0])
            #expect(result.output.contains("--output") == printsData, "\(command)")
            text +=
                "$ " + (["alert-router"] + command + ["--help"]).joined(separator: " ") + "\n" + result.output + "\n"
        }
        try Golden.expect(text, "help.golden")
    }

    @Test(arguments: [
        "bogus", "alerts --bogus", "alerts list --limit x", "alerts list --limit 0", "alerts list --severity loud",
        "alerts show", "alerts explain", "ack", "ack 1 --for soon", "ack 1 --for 31d", "unack", "check --output yaml",
        "dead-letters replay", "dead-letters list --kind letters", "publish",
        "run --config", "routes test --label x", "routes test --severity loud", "routes test --at today",
        "silences add", "silences add a=b --for 2h", "silences add a=b --comment x",
        "silences add a=b --match true --for 2h --comment x", "silences add a=b --for soon --comment x",
        "silences expire", "demo --speed fast", "store backup", "rules check a b",
    ])
    func `wrong usage exits 2 and says what is expected`(line: String) async throws {
        let folder = try Workspace()
        let result = try await Program.run(line.split(separator: " ").map(String.init), in: folder.path)
        #expect(result.code == 2)
        #expect(result.output.isEmpty)
        #expect(result.errors.lowercased().hasPrefix("error: "), "\(result.errors)")
    }

    @Test func `wrong files exit 1 with place, caret and help`() async throws {
        let folder = try Workspace()
        let tables = try String(contentsOfFile: Program.root + "/rules/tables.yaml", encoding: .utf8)
        try folder.write(tables, to: "rules/tables.yaml")
        try folder.write(
            """
            table: gld_fact_quality
            owner: quality
            rules:
              - name: line-defect-rate
                key: [plant, line]
                whn: after.defect_rate > 0.05
                severity:
                  warning: {when: after.defct_rate > 0.02, reset: after.defect_rate < 0.015}
                  critical: {when: 'after.status > 3'}
                notify: [nobody]
            """, to: "rules/quality.yaml")
        try folder.write(
            """
            store: state
            kafka:
              brokers: [127.0.0.1:9]
              topics: [fabric.gold.gld_fact_quality]
              properties: {fetch.wait.max.ms: soon, no.such.property: 1}
            receivers:
              - {name: quality, channel: teams, url: "${env:NO_SUCH_VARIABLE}", locale: de_DE, timezone: Europe/Berlin}
            default_receiver: qualty
            operator: quality
            """, to: "alert-router.yaml")
        var text = ""
        for line in [
            "check --config missing.yaml", "check", "rules check rules", "rules check rules --output json",
            "rules check nowhere", "rules plan", "alerts list", "store check --config missing.yaml --output json",
            "run", "publish missing.ndjson --brokers 127.0.0.1:9",
        ] {
            let result = try await Program.run(line.split(separator: " ").map(String.init), in: folder.path)
            #expect(result.code == 1, "\(line)")
            text += "$ alert-router \(line)\n\(result.transcript)\n"
        }
        try Golden.expect(text, "wrong-files.golden")
    }

    @Test func `addresses and properties are checked before anything starts`() async throws {
        let folder = try Workspace()
        try folder.write("tables: {t: {row_key: [id], columns: {id: int}}}\n", to: "rules/tables.yaml")
        try folder.write(
            """
            kafka:
              brokers: [127.0.0.1:9]
              topics: [t]
              properties: {fetch.wait.max.ms: soon, no.such.property: 1}
            receivers:
              - {name: a, channel: teams, url: "${env:CONNECTOR}", locale: en_GB, timezone: UTC}
            default_receiver: a
            operator: a
            heartbeat: {url: "${env:BEAT}"}
            """, to: "alert-router.yaml")
        let secrets = [
            "CONNECTOR": "https://contoso.webhook.office.com/webhookb2/s3cr3t", "BEAT": "ftp://s3cr3t.example.com/",
        ]
        let result = try await Program.run(["check"], in: folder.path, environment: secrets)
        #expect(result.code == 1)
        #expect(!result.transcript.contains("s3cr3t"))
        try Golden.expect(result.transcript, "wrong-values.golden")
    }

    @Test func `the sample configuration and the sample rules are right`() async throws {
        let dummies = [
            "TEAMS_QUALITY_URL": "https://example.api.powerplatform.com/hook", "SMTP_USER": "alerts",
            "SMTP_PASSWORD": "x", "TICKETS_URL": "https://tickets.example.com/alerts", "TICKETS_TOKEN": "x",
            "WEBHOOK_KEY": "whsec_AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk=",
            "HEARTBEAT_URL": "https://heartbeat.example.com/1", "EVENT_HUBS_CONNECTION": "Endpoint=sb://x.example/;",
        ]
        let check = try await Program.run(
            ["check", "--config", "deploy/alert-router.example.yaml"], in: Program.root, environment: dummies)
        #expect(check.code == 0, "\(check.errors)")
        let rules = try await Program.run(["rules", "check", "rules"], in: Program.root)
        #expect(rules.code == 0, "\(rules.errors)")
    }

    @Test func `the configuration and the rule in the readme are right`() async throws {
        let folder = try Workspace()
        let readme = try String(contentsOfFile: Program.root + "/README.md", encoding: .utf8)
        let blocks = readme.components(separatedBy: "```yaml\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        let rule = try #require(blocks.first { $0.hasPrefix("table:") })
        let configuration = try #require(blocks.first { $0.contains("receivers:") })
        try folder.write(
            try String(contentsOfFile: Program.root + "/rules/tables.yaml", encoding: .utf8), to: "rules/tables.yaml")
        try folder.write(rule, to: "rules/quality.yaml")
        try folder.write(configuration, to: "alert-router.yaml")
        let result = try await Program.run(
            ["check"], in: folder.path, environment: ["TEAMS_QUALITY_URL": "https://example.com/hook"])
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output == "alert-router.yaml is right: 2 rules, 2 receivers\n")
    }

    @Test func `the demo plays through, delivers everything once and leaves nothing running`() async throws {
        let folder = try Workspace()
        let missing = try await Program.run(["demo", "--once", "--rules", "rules"], in: folder.path)
        #expect(missing.code == 1 && missing.errors.contains("--rules"), "\(missing.errors)")
        let result = try await Program.run(
            ["demo", "--once", "--speed", "max"], in: folder.path, environment: ["TMPDIR": folder.path])
        #expect(result.code == 0 && result.errors.isEmpty, "\(result.errors)")
        #expect(result.output.contains(/duplicates +0\n/))
        #expect(result.output.contains(/refused by a sink +0\n/))
        #expect(result.output.contains(/Teams cards +quality [1-9]/))
        #expect(result.output.contains(/mails +[1-9]/))

        let ports = result.output.prefix(while: { $0 != "┌" }).matches(of: /127\.0\.0\.1:(\d+)/)
            .compactMap { UInt16($0.output.1) }
        #expect(ports.count == 5, "Kafka, three webhooks, mail")
        for port in ports { #expect(Program.refusesConnections(port: port), "something listens at \(port)") }
        let state = try #require(result.output.firstMatch(of: /State +(.+)\n/)).output.1
        #expect(FileManager.default.fileExists(atPath: state + "/state/alert.db"), "\(state)")

        // What the readme shows is what this run printed.
        let picture = try DemoPicture(try String(contentsOfFile: Program.root + "/README.md", encoding: .utf8))
        let printed = Set(DemoPicture.lines(of: result.output))
        try #require(picture.lines.count > 20)
        for line in picture.lines where !printed.contains(line) {
            Issue.record("README.md shows '\(line)', which the demo does not print (any more)")
        }
        for label in DemoPicture.figures {
            #expect(picture.lines.contains { $0.hasPrefix(label + "  ") }, "README.md lacks '\(label)'")
        }
    }

    /// Plays the demo and gives what it says of alerts, and the alerts that are open at its end.
    private func alerts(ofDemo arguments: [String], in folder: borrowing Workspace) async throws -> [String] {
        let demo = try await Program.run(
            ["demo", "--once"] + arguments, in: folder.path, environment: ["TMPDIR": folder.path])
        #expect(demo.code == 0 && demo.errors.isEmpty, "\(demo.errors)")
        let state = try #require(demo.output.firstMatch(of: /State +(.+)\n/)).output.1
        let list = try await Program.run(
            ["alerts", "list", "--all", "--limit", "1000", "--config", state + "/alert-router.yaml"], in: folder.path)
        // Alerts about the router itself bear the time of day.
        return demo.output.matches(of: /(alerts fired|alerts resolved|still firing) +\d+/).map { String($0.output.0) }
            + list.output.split(separator: "\n").map(String.init).filter { !$0.contains("router-health") }.sorted()
    }

    @Test func `the demo ends with the same alerts at any speed`() async throws {
        let folder = try Workspace()
        let fast = try await alerts(ofDemo: ["--speed", "max"], in: folder)
        #expect(fast.count > 60)
        #expect(try await alerts(ofDemo: ["--speed", "max"], in: folder) == fast)
        #expect(try await alerts(ofDemo: ["--speed", "700"], in: folder) == fast)
    }

    @Test func `an installed program has its demo with it`() async throws {
        let folder = try Workspace()
        let program = URL(fileURLWithPath: try #require(Program.path))
        let samples = program.deletingLastPathComponent().appendingPathComponent("alert-router_Sandbox.resources")
        for name in ["bin", "share", "elsewhere"] {
            try FileManager.default.createDirectory(
                atPath: folder.path + "/" + name, withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: program.path, toPath: folder.path + "/bin/alert-router")
        let alone = try await Program.run(
            ["demo", "--once"], in: folder.path + "/elsewhere", program: folder.path + "/bin/alert-router")
        #expect(alone.code == 1 && alone.errors.contains("not beside it"), "\(alone.errors)")
        try FileManager.default.copyItem(atPath: samples.path, toPath: folder.path + "/share/alert-router")
        let installed = try await Program.run(
            ["demo", "--once", "--speed", "max"], in: folder.path + "/elsewhere",
            environment: ["TMPDIR": folder.path], program: folder.path + "/bin/alert-router")
        #expect(installed.code == 0 && installed.errors.isEmpty, "\(installed.errors)")
        #expect(installed.output.contains(/Rules +6 in .*\/share\/alert-router\/rules\n/))
    }

    @Test func `the committed schemas are those of the decoders`() async throws {
        let folder = try Workspace()
        let result = try await Program.run(["schema", "--folder", folder.path + "/s"], in: folder.path)
        #expect(result.code == 0)
        for name in ["alert-router", "calendars", "rules", "silences", "tables"] {
            let file = "\(name).schema.json"
            let written = try String(contentsOfFile: folder.path + "/s/" + file, encoding: .utf8)
            let kept = try String(contentsOfFile: Program.root + "/schema/" + file, encoding: .utf8)
            #expect(written == kept, "schema/\(file) is old: run 'alert-router schema --folder schema'")
        }
    }

    @Test func `a closed pipe ends the program quietly`() async throws {
        let folder = try Workspace()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        let path = try #require(Program.path)
        process.arguments = ["-c", "'\(path)' --help | head -1 >/dev/null; test ${PIPESTATUS[0]} -ne 134"]
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch { continuation.resume() }
        }
        #expect(process.terminationStatus == 0)
    }
}

/// What the readme shows of a run of the demo, without what differs from run to run: ports, times, and how many
/// messages the news shared.
struct DemoPicture {
    /// What the same events give in every run.
    static let figures = [
        "events read", "alerts fired", "alerts resolved", "still firing", "duplicates", "dead letters",
    ]

    let lines: [String]

    /// Reads the first block that holds a summary.
    init(_ readme: String) throws {
        let blocks = readme.components(separatedBy: "```")
        lines = DemoPicture.lines(of: try #require(blocks.first { $0.contains("\nSummary\n") }))
    }

    /// The lines that are the same in every run; of a message's frame its head and what is in it.
    static func lines(of text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            var text = line.trimmingCharacters(in: .whitespaces)
            let isMessage = text.hasPrefix("│") && text != "│ …" || text.hasPrefix("┌")
            let isHead = ["Kafka", "Teams", "Mail", "Playing"].contains { text.hasPrefix($0 + " ") }
            let isFigure = figures.contains { text.hasPrefix($0 + "  ") }
            guard isMessage || isFigure || isHead, !text.hasPrefix("Teams cards") else { return nil }
            while text.hasSuffix("─") { text.removeLast() }
            return text.replacing(/127\.0\.0\.1:\d+/, with: "127.0.0.1")
        }
    }
}
