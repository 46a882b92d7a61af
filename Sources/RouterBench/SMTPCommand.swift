import Alerting
import ArgumentParser
import Channels
import ConfigFiles
import Core
import Delivery
import Foundation
import Logging
import NIOPosix
import Store
import Synchronization

/// smtp_ratio: our mail destination with dispatcher and store against Postfix's smtp-source, both to smtp-sink.
struct SMTPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "smtp", abstract: "Measures smtp_ratio.")

    @Option(help: "Messages of a round.") var count = 5000
    @Option(help: "Rounds of both.") var rounds = 5

    func run() async throws {
        let port = try Loopback.freePort()
        // As root it wants a user to become.
        let user = getuid() == 0 ? ["-u", "nobody"] : []
        let sink = try ChildProcess(SMTPCommand.program("smtp-sink"), user + ["127.0.0.1:\(port)", "64"])
        defer {
            sink.terminate()
            _ = sink.waitUntilExit()
        }
        while Loopback.connect(port: port).map({ close($0) }) == nil {
            try await ContinuousClock().sleep(for: .milliseconds(10))
        }
        var ours: [Double] = []
        var theirs: [Double] = []
        var size = 0
        for round in 0..<rounds {
            let run = try await MailRun(port: port, count: count, round: round)
            size = run.messageSize
            ours.append(Double(count) / (try await run.seconds()))
            theirs.append(Double(count) / (try source(port: port, size: size)))
        }
        BenchOutput.remark(
            "smtp: \(count) rows of an outbox through dispatcher, store and mail destination on one connection to "
                + "smtp-sink, \(size) bytes a message, outcomes group-committed, against smtp-source -s 1 -d; "
                + "\(rounds) alternating rounds, medians")
        BenchOutput.remark("ours \(ours.range) messages/s, smtp-source \(theirs.range) messages/s")
        BenchOutput.figure("smtp_per_s", ours.median, digits: 0)
        BenchOutput.figure("smtp_source_per_s", theirs.median, digits: 0)
        BenchOutput.figure("smtp_ratio", ours.median / theirs.median)
    }

    private func source(port: UInt16, size: Int) throws -> Double {
        let start = ContinuousClock.now
        // Its own headers are about 230 bytes, which -l leaves out.
        let process = try ChildProcess(
            SMTPCommand.program("smtp-source"),
            [
                "-s", "1", "-d", "-m", "\(count)", "-l", "\(max(1, size - 230))", "-f", "alerts@example.com", "-t",
                "someone@example.com", "127.0.0.1:\(port)",
            ])
        guard process.waitUntilExit() == 0 else { throw ChildProcess.Failure(description: "smtp-source failed") }
        return (ContinuousClock.now - start) / .seconds(1)
    }

    private static func program(_ name: String) throws -> String {
        for folder in ["/usr/sbin", "/usr/bin", "/usr/local/sbin"] {
            let path = "\(folder)/\(name)"
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw ChildProcess.Failure(description: "\(name) is missing: apt-get install postfix")
    }
}

/// One store full of rows for a mail receiver, to be sent.
private final class MailRun: Sendable {
    let messageSize: Int
    private let store: SQLiteStore
    private let destination: CountingDestination
    private let client: SMTPClient
    private let folder: String
    private let count: Int
    private let clock = SystemWallClock()

    init(port: UInt16, count: Int, round: Int) async throws {
        self.count = count
        folder = NSTemporaryDirectory() + "/router-bench-mail-\(ProcessInfo.processInfo.processIdentifier)-\(round)"
        try? FileManager.default.removeItem(atPath: folder)
        let now = clock.now()
        store = try SQLiteStore(
            StoreOptions(
                location: StoreLocation(folder: folder, name: "alert"), limits: .standard, now: now,
                metrics: MetricsRegistry()),
            holder: .current(startedAt: now, socketPath: ""))
        let reader = ConfigReader()
        let text = """
            host: 127.0.0.1
            port: \(port)
            tls: none
            from: alerts@example.com
            allowed_domains: [example.com]
            messages_per_second: 0
            recipient_messages_per_hour: 100000
            connections: 1
            """
        guard
            let settings = reader.mapping(
                of: ConfigFile(text: text, file: "bench"), { EmailReceiverConfiguration($0, name: "mail") })
        else { throw ChildProcess.Failure(description: "the mail receiver's settings are wrong") }
        var server = try settings.server(.system(baseDirectory: "."))
        server.limits.messagesPerConnectionMax = count + 1
        client = try SMTPClient(configuration: server, group: MultiThreadedEventLoopGroup.singleton)
        destination = CountingDestination(EmailDestination(configuration: settings, client: client, clock: clock))
        messageSize = try destination.render(MailRun.row(0, now: now)).bytes.count
        for start in stride(from: 0, to: count, by: 1000) {
            let rows = (start..<min(start + 1000, count)).map { MailRun.row($0, now: now) }
            try await store.write(byteCount: 4_000_000) { transaction in
                for row in rows { _ = try transaction.insertOutbox(row) }
            }
        }
    }

    /// Seconds until every row is recorded as sent.
    func seconds() async throws -> Double {
        let dispatcher = Dispatcher(
            store: store, destinations: [destination], clock: clock, seed: 1, metrics: MetricsRegistry(),
            logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }, onFact: { _ in })
        let start = ContinuousClock.now
        let running = Task { await dispatcher.run() }
        while destination.acceptedCount < count { try await ContinuousClock().sleep(for: .milliseconds(2)) }
        while try store.read({ try $0.outboxCounts().first { $0.state == .sent }?.count ?? 0 }) < count {
            try await ContinuousClock().sleep(for: .milliseconds(2))
        }
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        await dispatcher.drain(within: .seconds(2))
        await running.value
        await client.shutDown()
        await store.close(now: clock.now())
        try? FileManager.default.removeItem(atPath: folder)
        return elapsed
    }

    private static func row(_ index: Int, now: Timestamp) -> OutboxRecord {
        var item = Notification.Item(
            incidentKey: "incident-\(index)-1", rule: "below-safety-stock", table: "gld_fact_inventory",
            owner: "planning", state: .firing, severity: .warning,
            title: "Material \(100_000 + index): 12 on hand, safety stock 40", keyDisplay: "M-\(index) · Plant 3",
            reason: "after.on_hand < after.safety_stock")
        item.facts = [.init("Planner", "Jo Doe"), .init("On hand", "12"), .init("Safety stock", "40")]
        item.links = [.init("Runbook", "https://wiki.example.com/stock/\(index)")]
        item.firedAt = now
        item.firedText = "2026-01-12 07:00 UTC"
        let recipient = "planner-\(index)@example.com"
        let notification = Notification(
            receiver: "mail", recipient: recipient, reason: .first, groupKey: "below-safety-stock", createdAt: now,
            openCount: 1, locale: "en_US", timeZone: "UTC", items: [item])
        return OutboxRecord(
            receiver: "mail", lane: "mail/\(recipient)", kind: "notification", incidentKey: item.incidentKey,
            rule: item.rule, severity: .warning, priority: .normal, createdAt: now, idempotencyKey: "key-\(index)",
            payload: notification.bytes, recipient: recipient)
    }
}

/// Counts what a destination's server took.
private final class CountingDestination: Destination {
    private let inner: EmailDestination
    private let accepted = Atomic<Int>(0)

    init(_ inner: EmailDestination) { self.inner = inner }

    var acceptedCount: Int { accepted.load(ordering: .relaxed) }
    var receiver: String { inner.receiver }
    var channel: String { inner.channel }
    var policy: DestinationPolicy { inner.policy }

    func coalesce(_ waiting: [OutboxRecord]) -> Coalescing { inner.coalesce(waiting) }
    func render(_ row: OutboxRecord) throws -> RenderedBody { try inner.render(row) }

    func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
        let report = await inner.send(body, row: row, deadline: deadline)
        if case .accepted = report.outcome { accepted.wrappingAdd(1, ordering: .relaxed) }
        return report
    }
}
