import Core
import Foundation
import NIOCore
import NIOPosix
import Sandbox
import Synchronization
import Testing

@testable import Channels

/// The client over real sockets against the strict sandbox.
@Suite struct SMTPClientTests {
    static let group = MultiThreadedEventLoopGroup.singleton

    static func configuration(_ sandbox: SMTPSandbox, _ security: SMTPConfiguration.Security = .none)
        -> SMTPConfiguration
    {
        patient(SMTPConfiguration(host: "127.0.0.1", port: sandbox.port, security: security))
    }

    /// Keeps idle connections: on a busy machine a test may come to its next message after the usual 10 s.
    static func patient(_ configuration: SMTPConfiguration) -> SMTPConfiguration {
        var patient = configuration
        patient.limits.idle = .seconds(3600)
        patient.limits.connectionAge = .seconds(3600)
        return patient
    }

    static func message(_ number: Int = 1, to recipients: [String] = ["ops@example.com"]) throws -> SMTPMessage {
        SMTPMessage(
            sender: "alerts@example.com", recipients: recipients,
            content: try SMTPContent(Array("Subject: number \(number)\r\n\r\n.\r\n..two\r\nend".utf8)),
            hasUTF8Headers: false)
    }

    @Test func `many messages share one connection and arrive in order, without a fault`() async throws {
        for pipelining in [true, false] {
            var options = SMTPSandboxOptions()
            options.offersPipelining = pipelining
            let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
            var configuration = Self.configuration(sandbox)
            configuration.limits.messagesPerConnectionMax = 1000
            let client = try SMTPClient(configuration: configuration, group: Self.group)
            let messages = try (0..<200).map { try Self.message($0) }
            let reports = await withTaskGroup(of: SMTPReport.self, returning: [SMTPReport].self) { group in
                for message in messages { group.addTask { await client.send(message, within: nil) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(reports.count == 200)
            #expect(reports.allSatisfy { $0.recipients.map(\.outcome) == [.accepted] })
            #expect(Set(sandbox.messages.map(\.subject)).count == 200)
            #expect(sandbox.messages[0].bytes.suffix(17) == Array("\r\n.\r\n..two\r\nend\r\n".utf8).suffix(17))
            #expect(sandbox.connectionCount == 1)
            #expect(sandbox.faults == [])
            await client.shutDown()
            await sandbox.stop()
        }
    }

    @Test func `a connection is replaced after its cap`() async throws {
        let sandbox = try await SMTPSandbox.start(options: SMTPSandboxOptions(), port: 0, group: Self.group)
        var configuration = Self.configuration(sandbox)
        configuration.limits.messagesPerConnectionMax = 2
        let client = try SMTPClient(configuration: configuration, group: Self.group)
        for number in 0..<5 {
            #expect(await client.send(try Self.message(number), within: nil).recipients[0].outcome == .accepted)
        }
        #expect(sandbox.connectionCount == 3)
        #expect(sandbox.faults == [])
        await client.shutDown()
        await sandbox.stop()
    }

    @Test func `a server that closes after each message costs no message an attempt`() async throws {
        var options = SMTPSandboxOptions()
        options.script = { step in
            step.kind == .mail && step.message == 2 ? .replyAndClose("421 4.7.0 enough") : nil
        }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let client = try SMTPClient(configuration: Self.configuration(sandbox), group: Self.group)
        for number in 0..<4 {
            #expect(await client.send(try Self.message(number), within: nil).recipients[0].outcome == .accepted)
        }
        #expect(sandbox.connectionCount == 4)
        await client.shutDown()
        await sandbox.stop()
    }

    @Test func `nobody listening is retryable`() async throws {
        let sandbox = try await SMTPSandbox.start(options: SMTPSandboxOptions(), port: 0, group: Self.group)
        await sandbox.stop()
        let client = try SMTPClient(configuration: Self.configuration(sandbox), group: Self.group)
        let report = await client.send(try Self.message(), within: nil)
        #expect(report.recipients[0].outcome == .retryable)
        #expect(report.recipients[0].reason.contains("cannot connect"))
        await client.shutDown()
    }

    @Test(arguments: [
        (SMTPSandboxStep.Kind.connect, SMTPSandboxAnswer.close, SMTPOutcome.retryable), (.hello, .close, .retryable),
        (.mail, .close, .retryable), (.recipient, .close, .retryable), (.data, .close, .retryable),
        (.content, .close, .ambiguous), (.connect, .silence, .retryable), (.mail, .silence, .retryable),
        (.data, .silence, .retryable), (.content, .silence, .ambiguous), (.content, .raw("rubbish\r\n"), .ambiguous),
        (.mail, .raw("HTTP/1.1 400\r\n"), .retryable), (.content, .reply("451 4.3.0 later"), .retryable),
        (.content, .reply("554 5.7.1 spam"), .permanent), (.recipient, .reply("550 5.1.1 unknown"), .permanent),
        (.content, .replyAndClose("421 4.3.2 shutting down"), .retryable), (.connect, .reply("554 no"), .unauthorized),
        (.mail, .reply("530 5.7.0 login"), .unauthorized),
    ])
    func `each fault has its outcome`(kind: SMTPSandboxStep.Kind, answer: SMTPSandboxAnswer, outcome: SMTPOutcome)
        async throws
    {
        var options = SMTPSandboxOptions()
        options.script = { $0.kind == kind ? answer : nil }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        var configuration = Self.configuration(sandbox)
        // Only the step that is left without an answer is timed short, so that a busy machine changes nothing.
        if answer == .silence {
            let short = Duration.milliseconds(150)
            switch kind {
            case .connect: configuration.timeouts.greeting = short
            case .mail: configuration.timeouts.mail = short
            case .data: configuration.timeouts.data = short
            default: configuration.timeouts.finalDot = short
            }
        }
        let client = try SMTPClient(configuration: configuration, group: Self.group)
        let report = await client.send(try Self.message(), within: nil)
        #expect(report.recipients.map(\.outcome) == [outcome], "\(report.recipients[0].reason)")
        await client.shutDown()
        await sandbox.stop()
    }

    @Test func `an answer that comes in time is waited for`() async throws {
        var options = SMTPSandboxOptions()
        options.script = { $0.kind == .content ? .late(.milliseconds(200)) : nil }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let client = try SMTPClient(configuration: Self.configuration(sandbox), group: Self.group)
        #expect(await client.send(try Self.message(), within: nil).recipients[0].outcome == .accepted)
        await client.shutDown()
        await sandbox.stop()
    }

    @Test func `one of five recipients is refused`() async throws {
        var options = SMTPSandboxOptions()
        options.script = { $0.kind == .recipient && $0.argument == "c@example.com" ? .reply("550 5.1.1 no") : nil }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let client = try SMTPClient(configuration: Self.configuration(sandbox), group: Self.group)
        let all = ["a", "b", "c", "d", "e"].map { $0 + "@example.com" }
        let report = await client.send(try Self.message(to: all), within: nil)
        #expect(report.recipients.map(\.outcome) == [.accepted, .accepted, .permanent, .accepted, .accepted])
        #expect(report.recipients[2].enhanced == SMTPEnhancedStatus(5, 1, 1))
        #expect(sandbox.messages[0].recipients == all.filter { $0 != "c@example.com" })
        await client.shutDown()
        await sandbox.stop()
    }

    @Test func `an idle connection says goodbye`() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        var options = SMTPSandboxOptions()
        options.script = { step in
            if step.kind == .quit { continuation.yield() }
            return nil
        }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        var configuration = Self.configuration(sandbox)
        configuration.limits.idle = .milliseconds(50)
        let client = try SMTPClient(configuration: configuration, group: Self.group)
        #expect(await client.send(try Self.message(1), within: nil).recipients[0].outcome == .accepted)
        for await _ in stream { break }
        #expect(await client.send(try Self.message(2), within: nil).recipients[0].outcome == .accepted)
        #expect(sandbox.connectionCount == 2)
        await client.shutDown()
        await sandbox.stop()
    }

    // MARK: Clients over reloads

    @Test func `a client that no destination uses any more says goodbye, and is made anew when it is wanted`()
        async throws
    {
        let (quits, continuation) = AsyncStream.makeStream(of: Int.self)
        var options = SMTPSandboxOptions()
        options.script = { step in
            if step.kind == .quit { continuation.yield(step.connection) }
            return nil
        }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let clients = SMTPClients(group: Self.group)
        for round in 1...20 {
            // Each reload edits the server.
            var server = Self.configuration(sandbox)
            server.clientName = "host\(round).example.com"
            let client = try clients.client(for: server)
            #expect(try clients.client(for: server) === client)
            #expect(await client.send(try Self.message(round), within: nil).recipients[0].outcome == .accepted)
            #expect(clients.count <= 2)
        }
        var closed: Set<Int> = []
        for await connection in quits {
            closed.insert(connection)
            if closed.count == 20 { break }
        }
        #expect(closed == Set(1...20) && clients.count == 0)
        let again = try clients.client(for: Self.configuration(sandbox))
        #expect(await again.send(try Self.message(21), within: nil).recipients[0].outcome == .accepted)
        await clients.shutDown()
        await sandbox.stop()
    }

    @Test func `what is under way when its client goes out of use is still answered`() async throws {
        var options = SMTPSandboxOptions()
        options.script = { $0.kind == .content ? .late(.milliseconds(100)) : nil }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let clients = SMTPClients(group: Self.group)
        let messages = try (0..<4).map { try Self.message($0) }
        let outcomes = await withTaskGroup(of: SMTPOutcome?.self, returning: [SMTPOutcome?].self) { group in
            let client = try? clients.client(for: Self.configuration(sandbox))
            for message in messages {
                group.addTask { [client] in await client?.send(message, within: nil).recipients[0].outcome }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes == Array(repeating: .accepted, count: 4))
        #expect(clients.count == 0)
        await sandbox.stop()
    }

    // MARK: TLS of the sandbox

    /// A private authority and a certificate for localhost, made by openssl in a folder of the test.
    private func certificate() throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.currentDirectoryURL = folder
        process.arguments =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem"]
            + ["-out", "cert.pem"]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return folder.path
    }

    @Test(.enabled(if: MailTools.has("openssl"), "openssl is missing"), arguments: [false, true])
    func `the sandbox takes messages over TLS after AUTH, and its faults are found`(isImplicit: Bool) async throws {
        let folder = try certificate()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var options = SMTPSandboxOptions()
        options.certificateFile = "\(folder)/cert.pem"
        options.keyFile = "\(folder)/key.pem"
        options.usesImplicitTLS = isImplicit
        options.users = ["alerts": "correct horse"]
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        var configuration = Self.patient(
            SMTPConfiguration(
                host: "localhost", port: sandbox.port, security: isImplicit ? .implicitTLS : .startTLS))
        configuration.certificateAuthoritiesFile = "\(folder)/cert.pem"
        configuration.credentials = .init(username: "alerts", password: Secret("correct horse"), mechanism: nil)
        let client = try SMTPClient(configuration: configuration, group: Self.group)
        for number in 0..<3 {
            let report = await client.send(try Self.message(number), within: nil)
            #expect(report.recipients.map(\.outcome) == [.accepted], "\(report)")
        }
        #expect(sandbox.messages.allSatisfy { $0.isEncrypted && $0.user == "alerts" })
        #expect(sandbox.connectionCount == 1 && sandbox.faults == [])
        await client.shutDown()
        configuration.credentials?.password = Secret("wrong")
        let wrong = try SMTPClient(configuration: configuration, group: Self.group)
        #expect(await wrong.send(try Self.message(), within: nil).recipients.map(\.outcome) == [.unauthorized])
        await wrong.shutDown()
        await sandbox.stop()
    }

    @Test func `a man in the middle who strips STARTTLS gets neither password nor message`() async throws {
        let heard = Mutex<[String]>([])
        var options = SMTPSandboxOptions()
        options.users = ["alerts": "correct horse"]
        options.offersPlaintextAuthentication = true
        options.script = { step in
            heard.withLock { $0.append(step.kind.rawValue) }
            return nil
        }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        var configuration = Self.configuration(sandbox, .startTLS)
        configuration.credentials = .init(username: "alerts", password: Secret("correct horse"), mechanism: nil)
        let client = try SMTPClient(configuration: configuration, group: Self.group)
        let report = await client.send(try Self.message(), within: nil)
        #expect(report.recipients.map(\.outcome) == [.unauthorized])
        #expect(report.recipients[0].reason == "the server does not offer STARTTLS")
        #expect(heard.withLock { $0 } == ["connect", "hello"])
        await client.shutDown()
        await sandbox.stop()
    }

    @Test func `what waits behind a connection that breaks goes out over another one`() async throws {
        for kind in [SMTPSandboxStep.Kind.content, .mail, .data] {
            var options = SMTPSandboxOptions()
            options.script = { $0.kind == kind && $0.message == 1 && $0.connection == 1 ? .close : nil }
            let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
            let client = try SMTPClient(configuration: Self.configuration(sandbox), group: Self.group)
            let messages = try (0..<10).map { try Self.message($0) }
            let outcomes = await withTaskGroup(of: SMTPReport.self, returning: [SMTPOutcome].self) { group in
                for message in messages { group.addTask { await client.send(message, within: nil) } }
                return await group.reduce(into: []) { $0 += $1.recipients.map(\.outcome) }
            }
            #expect(outcomes.count == 10)
            #expect(outcomes.count { $0 == .accepted } >= 8, "\(kind): \(outcomes)")
            #expect(outcomes.count { $0 == .ambiguous } == (kind == .content ? 1 : 0))
            await client.shutDown()
            await sandbox.stop()
        }
    }

    @Test func `what waits when the server cannot be reached fails at once and together`() async throws {
        var options = SMTPSandboxOptions()
        options.script = { $0.kind == .connect ? .replyAndClose("421 4.3.2 not now") : nil }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        let client = try SMTPClient(configuration: Self.configuration(sandbox), group: Self.group)
        let messages = try (0..<20).map { try Self.message($0) }
        let outcomes = await withTaskGroup(of: SMTPReport.self, returning: [SMTPOutcome].self) { group in
            for message in messages { group.addTask { await client.send(message, within: nil) } }
            return await group.reduce(into: []) { $0 += $1.recipients.map(\.outcome) }
        }
        #expect(outcomes == Array(repeating: .retryable, count: 20))
        #expect(sandbox.connectionCount <= 20)
        await client.shutDown()
        await sandbox.stop()
    }

    @Test func `connections stay below their limit`() async throws {
        let open = Mutex((now: 0, most: 0))
        var options = SMTPSandboxOptions()
        options.offersPipelining = false
        options.script = { step in
            if step.kind == .connect { open.withLock { $0.most = max($0.most, step.connection) } }
            return step.kind == .content ? .late(.milliseconds(20)) : nil
        }
        let sandbox = try await SMTPSandbox.start(options: options, port: 0, group: Self.group)
        var configuration = Self.configuration(sandbox)
        configuration.limits.connectionsMax = 3
        let client = try SMTPClient(configuration: configuration, group: Self.group)
        let messages = try (0..<12).map { try Self.message($0) }
        await withTaskGroup(of: Void.self) { group in
            for message in messages { group.addTask { _ = await client.send(message, within: nil) } }
        }
        #expect(sandbox.messages.count == 12)
        #expect(open.withLock { $0.most } == 3)
        await client.shutDown()
        await sandbox.stop()
    }
}
