import ArgumentParser
import Core
import Foundation
import KafkaClient

/// restart_100k_s: killed with open alerts, started again, until an event produced meanwhile has arrived as a message.
struct RestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "restart", abstract: "Measures restart_100k_s.")

    @Option(help: "Open alerts.") var alerts = 100_000
    @Option(help: "Kills.") var rounds = 3
    @Option var partitions = 10
    @Option(help: "The program; else the one beside this.") var binary: String?

    func run() async throws {
        let broker = try await BenchBroker.start(partitions: 1, topics: ["\(UnitStream.topic):\(partitions)"])
        defer { broker.finish() }
        let sink = try MarkSink()
        defer { sink.stop() }
        let relay = try KafkaRelay(brokerPort: broker.port)
        defer { relay.stop() }
        let router = try RouterProgram(
            binary: binary, name: "restart", bootstrap: "127.0.0.1:\(relay.port)", topics: [UnitStream.topic],
            tables: UnitStream.tables, rules: UnitStream.rules(quietCount: 19, alertsMax: alerts * 2),
            sinkURL: sink.url)
        defer { router.remove() }
        let producer = try broker.producer(linger: "5")
        var process = try router.start()
        try await router.waitUntilReady(process)
        let clock = SystemWallClock()
        var batch: [ProducerMessage] = []
        for index in 0..<alerts {
            batch.append(
                UnitStream.row(unit: "C-\(index)", rate: "0.08", note: "open", version: 1, now: clock.now()))
            if batch.count == 5000 || index == alerts - 1 {
                _ = try await producer.send(batch)
                batch.removeAll()
            }
        }
        try await waitForCommit(router, process, messages: alerts)
        let openCount = try router.openAlertCount()
        guard openCount >= alerts else {
            throw ChildProcess.Failure(description: "\(openCount) alerts are open, not \(alerts)")
        }
        var fetches: [Double] = []
        var times: [Double] = []
        for round in 0..<rounds {
            let mark = "mark-\(round)"
            process.kill()
            let start = Loopback.microseconds()
            let instant = ContinuousClock.now
            _ = process.waitUntilExit()
            relay.reset()
            process = try router.start()
            try await producer.produce(
                UnitStream.row(unit: "D-\(round)", rate: "0.09", note: "\(mark)-", version: 2, now: clock.now()))
            try await router.wait("consuming", process, seconds: 120) { sink.marks[mark] != nil }
            times.append(Double((sink.marks[mark] ?? start) - start) / 1_000_000)
            if let fetch = await relay.fetch(seconds: 1) { fetches.append((fetch - instant) / .seconds(1)) }
            try await waitForCommit(router, process, messages: 1)
        }
        process.terminate()
        _ = process.waitUntilExit()
        await producer.shutdown()
        report(times, fetches)
    }

    private func waitForCommit(_ router: RouterProgram, _ process: ChildProcess, messages: Int) async throws {
        try await router.wait("done with \(messages) messages", process, seconds: 300) {
            (router.metric("alert_router_messages_total") ?? 0) >= Double(messages)
                && router.metric("alert_router_units_in_flight") == 0
        }
        // What the dispatcher still has to tell of them is told, so that the kill meets a service at rest.
        try await ContinuousClock().sleep(for: .seconds(2))
    }

    private func report(_ times: [Double], _ fetches: [Double]) {
        func list(_ values: [Double]) -> String {
            values.map { BenchOutput.number($0, digits: 2) }.joined(separator: " ")
        }
        BenchOutput.remark(
            "restart: kill -9 with \(alerts) open alerts -> a row produced after the kill arrives as a message at the "
                + "Teams sink; \(times.count) kills, median; \(list(times)) s; first Fetch after \(list(fetches)) s")
        BenchOutput.figure("restart_100k_s", times.median, digits: 2)
    }
}
