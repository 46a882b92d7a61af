import Core
import Foundation
import NIOPosix
import Synchronization
import Testing

@testable import Channels

/// Servers that `scripts/test-mail-servers` started for a suite.
struct RealMailServers: SuiteTrait, TestScoping {
    @TaskLocal static var values: [String: String] = [:]

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mail-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let output = try RealMailServers.script("start", folder.path)
        defer { _ = try? RealMailServers.script("stop", folder.path) }
        var values: [String: String] = [:]
        for line in output.split(separator: "\n") {
            let pair = line.split(separator: "=", maxSplits: 1).map(String.init)
            if pair.count == 2 { values[pair[0]] = pair[1] }
        }
        values["folder"] = folder.path
        try await RealMailServers.$values.withValue(values) { try await function() }
    }

    static func script(_ action: String, _ folder: String) throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [root.appendingPathComponent("scripts/test-mail-servers").path, action, folder]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
    }

    /// A value that a server printed; where it is missing the test ends with the reason that the script gave.
    static func value(_ name: String) throws -> String {
        if let value = values[name] { return value }
        let server = name.split(separator: "_").first.map(String.init) ?? name
        throw Missing(description: values["\(server)_missing"] ?? "\(server) was not started")
    }

    struct Missing: Error, CustomStringConvertible { var description: String }
}

/// Whether Debian's mail servers can run here.
enum MailTools {
    static func has(_ names: String...) -> Bool {
        names.allSatisfy { name in
            ["/usr/sbin", "/usr/bin", "/usr/local/bin"].contains {
                FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
            }
        }
    }
}

/// The client against servers that share no code with it: Postfix's smtp-sink, and Postfix with TLS and AUTH.
@Suite(
    .serialized, .enabled(if: MailTools.has("smtp-sink"), "smtp-sink is missing: apt-get install postfix"),
    RealMailServers())
struct SMTPServersTests {
    static let canRunPostfix = MailTools.has("postfix", "dovecot", "openssl") && getuid() == 0
    let group = MultiThreadedEventLoopGroup.singleton

    private func port(_ name: String) throws -> Int { Int(try RealMailServers.value(name)) ?? 0 }

    private func message(_ text: String, to recipients: [String] = ["ops@localhost"]) throws -> SMTPMessage {
        SMTPMessage(
            sender: "alerts@localhost", recipients: recipients, content: try SMTPContent(Array(text.utf8)),
            hasUTF8Headers: false)
    }

    private func postfix(
        _ security: SMTPConfiguration.Security, mechanism: SMTPConfiguration.Mechanism? = nil,
        password: String = "correct horse"
    ) throws -> SMTPConfiguration {
        let name = security == .implicitTLS ? "postfix_implicit_port" : "postfix_starttls_port"
        var configuration = SMTPConfiguration(host: "localhost", port: try port(name), security: security)
        configuration.certificateAuthoritiesFile = try RealMailServers.value("postfix_authority")
        configuration.credentials = .init(username: "alerts", password: Secret(password), mechanism: mechanism)
        return configuration
    }

    @Test func `smtp-sink takes many messages on one connection`() async throws {
        var configuration = SMTPConfiguration(host: "127.0.0.1", port: try port("sink_port"), security: .none)
        configuration.limits.messagesPerConnectionMax = 1000
        let client = try SMTPClient(configuration: configuration, group: group)
        let outcomes = await withTaskGroup(of: SMTPReport.self, returning: [SMTPOutcome].self) { tasks in
            for number in 0..<300 {
                tasks.addTask {
                    guard let message = try? self.message("Subject: \(number)\r\n\r\n.\r\nnumber \(number) ends\r\n")
                    else {
                        return SMTPReport(recipients: [], isUntouched: true)
                    }
                    return await client.send(message, within: nil)
                }
            }
            return await tasks.reduce(into: []) { $0 += $1.recipients.map(\.outcome) }
        }
        #expect(outcomes == Array(repeating: .accepted, count: 300))
        await client.shutDown()
        let dump = "\(try RealMailServers.value("folder"))/dump"
        let texts = try FileManager.default.contentsOfDirectory(atPath: dump).map {
            try String(contentsOfFile: "\(dump)/\($0)", encoding: .utf8)
        }
        for number in 0..<300 {
            #expect(texts.count { $0.contains("Subject: \(number)\n\n.\nnumber \(number) ends\n") } == 1)
        }
    }

    @Test(
        .enabled(
            if: canRunPostfix, "Postfix and Dovecot are missing, or not root: apt-get install postfix dovecot-core"),
        arguments: [SMTPConfiguration.Security.startTLS, .implicitTLS], [SMTPConfiguration.Mechanism.plain, .login])
    func `Postfix takes a message over TLS after AUTH`(
        security: SMTPConfiguration.Security, mechanism: SMTPConfiguration.Mechanism
    ) async throws {
        let client = try SMTPClient(configuration: try postfix(security, mechanism: mechanism), group: group)
        for _ in 0..<3 {
            let report = await client.send(
                try message("From: a@localhost\r\nSubject: x\r\n\r\n.\r\n.x\r\n"), within: nil)
            #expect(report.recipients.map(\.outcome) == [.accepted], "\(report)")
            #expect(report.recipients[0].reason.contains("queued as"))
            #expect(report.recipients[0].enhanced == SMTPEnhancedStatus(2, 0, 0))
        }
        await client.shutDown()
    }

    @Test(.enabled(if: canRunPostfix, "Postfix and Dovecot are missing, or not root"))
    func `Postfix judges each recipient alone`() async throws {
        let client = try SMTPClient(configuration: try postfix(.startTLS), group: group)
        let recipients = ["a@localhost", "refused@localhost", "busy@localhost", "b@localhost"]
        let report = await client.send(try message("Subject: x\r\n\r\nbody\r\n", to: recipients), within: nil)
        #expect(report.recipients.map(\.outcome) == [.accepted, .permanent, .retryable, .accepted], "\(report)")
        #expect(report.recipients.map(\.enhanced?.description) == ["2.0.0", "5.7.1", "4.7.1", "2.0.0"])
        let nobody = await client.send(
            try message("Subject: x\r\n\r\nbody\r\n", to: ["refused@localhost"]), within: nil)
        #expect(nobody.recipients.map(\.outcome) == [.permanent])
        let after = await client.send(try message("Subject: x\r\n\r\nbody\r\n"), within: nil)
        #expect(after.recipients.map(\.outcome) == [.accepted], "\(after)")
        await client.shutDown()
    }

    @Test(.enabled(if: canRunPostfix, "Postfix and Dovecot are missing, or not root"))
    func `a wrong password is unauthorized and is not repeated in the reason`() async throws {
        let client = try SMTPClient(configuration: try postfix(.startTLS, password: "wrong battery"), group: group)
        let report = await client.send(try message("Subject: x\r\n\r\nbody\r\n"), within: nil)
        #expect(report.recipients.map(\.outcome) == [.unauthorized], "\(report)")
        #expect(report.recipients[0].replyCode == 535)
        #expect(!"\(report)".contains("wrong battery"))
        await client.shutDown()
    }

    @Test(.enabled(if: canRunPostfix, "Postfix and Dovecot are missing, or not root"))
    func `an unknown authority and a wrong name are not trusted`() async throws {
        var unknown = try postfix(.startTLS)
        unknown.certificateAuthoritiesFile = nil
        var misnamed = try postfix(.implicitTLS)
        misnamed.serverName = "mail.example.com"
        for configuration in [unknown, misnamed] {
            let client = try SMTPClient(configuration: configuration, group: group)
            let report = await client.send(try message("Subject: x\r\n\r\nbody\r\n"), within: nil)
            #expect(report.recipients.map(\.outcome) == [.unauthorized], "\(report)")
            await client.shutDown()
        }
    }

    @Test(.enabled(if: canRunPostfix, "Postfix and Dovecot are missing, or not root"))
    func `a message above the server's SIZE is refused before it is sent`() async throws {
        let client = try SMTPClient(configuration: try postfix(.startTLS), group: group)
        let line = String(repeating: "x", count: 70) + "\r\n"
        let report = await client.send(
            try message("Subject: x\r\n\r\n" + String(repeating: line, count: 2000)), within: nil)
        #expect(report.recipients.map(\.outcome) == [.permanent])
        #expect(report.recipients[0].reason.contains("100000"))
        let fits = await client.send(
            try message("Subject: x\r\n\r\n" + String(repeating: line, count: 1000)), within: nil)
        #expect(fits.recipients.map(\.outcome) == [.accepted], "\(fits)")
        await client.shutDown()
    }
}
