import Console
import Core
import Foundation
import Testing

/// Goal: Debian's `amtool` works unchanged. Method: the real program against a running console.
@Suite(
    .enabled(if: Amtool.isThere, "amtool is missing: apt-get install prometheus-alertmanager"),
    .timeLimit(.minutes(1)))
struct AmtoolTests {
    @Test func `alerts are queried`() async throws {
        try await ConsoleWorld.run { world async throws in
            world.alerting.change { state in
                state.alerts = [.sample(1), .sample(2, severity: .critical), .sample(3)]
                state.alerts[2].silencedBy = ["00000000-0000-4000-8000-000000000001"]
            }
            let simple = try await Amtool.run(world, ["alert", "query"])
            #expect(simple.code == 0, "\(simple.errors)")
            #expect(simple.output.components(separatedBy: "rate").count == 3)
            #expect(simple.output.contains("Line L2 is bad"))
            let one = try await Amtool.run(
                world, ["alert", "query", "severity=critical", "team=~qual.*", "-o", "json"])
            let json = try JSON.parse(one.output)
            #expect(json.elements?.count == 1)
            #expect(json[0]?["labels"]?["severity"] == .string("critical"))
            let silenced = try await Amtool.run(world, ["alert", "query", "--silenced", "-o", "extended"])
            #expect(silenced.output.contains("suppressed"))
        }
    }

    @Test func `silences are added, queried, imported, updated and expired`() async throws {
        try await ConsoleWorld.run { world async throws in
            let added = try await Amtool.run(
                world,
                [
                    "silence", "add", "team=quality", "severity=~\"warn.*\"", "-d", "2000h", "-c", "planned", "-a",
                    "ann",
                ],
                isWriting: true)
            #expect(added.code == 0, "\(added.errors)")
            let id = added.output.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(world.alerting.storedSilences.map(\.id) == [id])
            #expect(world.alerting.storedSilences.first?.author == "ann")
            #expect(world.alerting.storedSilences.first?.matchers.count == 2)
            let query = try await Amtool.run(world, ["silence", "query", "-o", "json", "team=quality"])
            #expect(try JSON.parse(query.output)[0]?["id"] == .string(id), "\(query.output)")
            let updated = try await Amtool.run(
                world, ["silence", "update", "-d", "4000h", "-c", "longer", id], isWriting: true)
            #expect(updated.code == 0, "\(updated.errors)")
            #expect(world.alerting.storedSilences.contains { $0.comment == "longer" })
            for silence in world.alerting.storedSilences {
                let expired = try await Amtool.run(world, ["silence", "expire", silence.id], isWriting: true)
                #expect(expired.code == 0, "\(expired.errors)")
            }
            #expect(world.alerting.storedSilences.allSatisfy { $0.endsAt <= world.clock.now() })
        }
    }

    @Test func `alerts are pushed, status and routes are read`() async throws {
        try await ConsoleWorld.run { world async throws in
            let added = try await Amtool.run(
                world, ["alert", "add", "alertname=disk", "instance=a", "--annotation=summary=full"], isWriting: true)
            #expect(added.code == 0, "\(added.errors)")
            #expect(world.alerting.pushed.first?.labels == ["alertname": "disk", "instance": "a"])
            #expect(world.alerting.pushed.first?.annotations == ["summary": "full"])
            let shown = try await Amtool.run(world, ["config", "show"])
            #expect(shown.code == 0 && shown.output.contains("receiver: quality"), "\(shown.output)")
            let routes = try await Amtool.run(world, ["config", "routes", "show"])
            #expect(routes.code == 0, "\(routes.errors)")
            let cluster = try await Amtool.run(world, ["cluster", "show"])
            #expect(cluster.output.contains("disabled"), "\(cluster.output)")
        }
    }

    @Test func `without a token nothing is written, and amtool says so`() async throws {
        try await ConsoleWorld.run { world async throws in
            let added = try await Amtool.run(
                world, ["silence", "add", "team=quality", "-d", "1h", "-c", "c", "-a", "ann"])
            #expect(added.code != 0)
            #expect(world.alerting.audit.isEmpty)
        }
    }
}

/// Debian's amtool as a person would call it.
enum Amtool {
    static let path = "/usr/bin/amtool"
    static var isThere: Bool { FileManager.default.isExecutableFile(atPath: path) }

    struct Result {
        var code: Int32
        var output: String
        var errors: String
    }

    static func run(_ world: ConsoleWorld, _ arguments: [String], isWriting: Bool = false) async throws -> Result {
        let name = NSTemporaryDirectory() + "amtool-\(UUID().uuidString)"
        defer {
            for suffix in [".yaml", ".out", ".err"] { try? FileManager.default.removeItem(atPath: name + suffix) }
        }
        let token = isWriting ? ConsoleWorld.writeToken : ConsoleWorld.readToken
        try Data("authorization: {type: Bearer, credentials: \(token)}\n".utf8)
            .write(to: URL(fileURLWithPath: name + ".yaml"))
        for suffix in [".out", ".err"] { try Data().write(to: URL(fileURLWithPath: name + suffix)) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments =
            ["--alertmanager.url=http://127.0.0.1:\(world.port)", "--http.config.file=\(name).yaml"] + arguments
        process.environment = ["PATH": "/usr/bin:/bin", "HOME": NSTemporaryDirectory()]
        process.standardOutput = FileHandle(forWritingAtPath: name + ".out")
        // It warns there that our version is not its own.
        process.standardError = FileHandle(forWritingAtPath: name + ".err")
        process.standardInput = FileHandle.nullDevice
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch {
                process.terminationHandler = nil
                continuation.resume()
            }
        }
        return Result(
            code: process.terminationStatus, output: try String(contentsOfFile: name + ".out", encoding: .utf8),
            errors: try String(contentsOfFile: name + ".err", encoding: .utf8))
    }
}
