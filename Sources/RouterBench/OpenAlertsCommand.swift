import ArgumentParser
import Core
import Foundation
import KafkaClient

/// open_alerts_bytes: memory of the program per open alert.
struct OpenAlertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "open-alerts", abstract: "Measures open_alerts_bytes.")

    @Option(help: "Open alerts.") var alerts = 1_000_000
    @Option(help: "The program; else the one beside this.") var binary: String?

    func run() async throws {
        let broker = try await BenchBroker.start(partitions: 1, topics: ["\(UnitStream.topic):100"])
        defer { broker.finish() }
        let sink = try MarkSink()
        defer { sink.stop() }
        let router = try RouterProgram(
            binary: binary, name: "open", bootstrap: broker.bootstrap, topics: [UnitStream.topic],
            tables: UnitStream.tables, rules: UnitStream.rules(quietCount: 1, alertsMax: alerts),
            sinkURL: sink.url)
        defer { router.remove() }
        try router.configureForPushes(
            bootstrap: broker.bootstrap, topics: [UnitStream.topic], groupBy: "rule", wait: "0s", interval: "1s",
            routes: "")
        let process = try router.start()
        defer {
            process.terminate()
            _ = process.waitUntilExit()
        }
        try await router.waitUntilReady(process)
        let producer = try broker.producer(linger: "20")
        // Rows that fire nothing first: what is kept of rows is not what is asked for.
        try await send(producer, router, process, version: 1, rate: "0.01")
        let before = try await settled(process)
        try await send(producer, router, process, version: 2, rate: "0.08")
        // The group is told every second, so that little is kept to be told.
        let after = try await settled(process)
        let openCount = try router.openAlertCount()
        guard openCount >= alerts else {
            throw ChildProcess.Failure(description: "\(openCount) alerts are open, not \(alerts)")
        }
        await producer.shutdown()
        BenchOutput.remark(
            "open-alerts: the program with \(alerts) rows that fire nothing (\(BenchOutput.number(before, digits: 0)) "
                + "MB), then with as many open alerts of one rule in one group, told every second "
                + "(\(BenchOutput.number(after, digits: 0)) MB)")
        BenchOutput.figure("open_alerts_bytes", (after - before) * 1_000_000 / Double(alerts), digits: 0)
    }

    /// Resident memory when it does not change any more.
    private func settled(_ process: ChildProcess) async throws -> Double {
        try await ContinuousClock().sleep(for: .seconds(5))
        return process.residentMegabytes ?? .nan
    }

    private func send(
        _ producer: KafkaProducer, _ router: RouterProgram, _ process: ChildProcess, version: Int, rate: String
    ) async throws {
        let clock = SystemWallClock()
        let chunk = 20_000
        for start in stride(from: 0, to: alerts, by: chunk) {
            let rows = (start..<min(start + chunk, alerts)).map { index in
                UnitStream.row(unit: "C-\(index)", rate: rate, note: "open", version: version, now: clock.now())
            }
            _ = try await producer.send(rows)
            let count = (version - 1) * alerts + start + rows.count
            // The mock cluster keeps 5 MB of a partition.
            try await router.wait("done with \(count) messages", process, seconds: 300) {
                (router.metric("alert_router_messages_total") ?? 0) >= Double(count - 4 * chunk)
            }
        }
        try await router.wait("done with all messages", process, seconds: 300) {
            (router.metric("alert_router_messages_total") ?? 0) >= Double(version * alerts)
                && router.metric("alert_router_units_in_flight") == 0
        }
    }
}
