import ArgumentParser
import Core
import Foundation
import KafkaClient

/// latency_p99_ms: from the call that produces an event to the request at a Teams sink.
struct LatencyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latency", abstract: "Measures latency_p99_ms.")

    @Option(help: "Events a second.") var rate = 5000
    @Option(help: "Critical alerts a second.") var alertRate = 50
    @Option(help: "Seconds measured.") var seconds = 20
    @Option(help: "Seconds before that.") var warmup = 3
    /// The mock cluster looks through every message set of a partition at each fetch, and without a linger each
    /// message is a set: with several partitions it, not the router, cannot follow.
    @Option(help: "Partitions; the mock cluster follows with few only.") var partitions = 1
    @Option(help: "The program; else the one beside this.") var binary: String?

    func run() async throws {
        let broker = try await BenchBroker.start(partitions: 1, topics: ["\(UnitStream.topic):\(partitions)"])
        defer { broker.finish() }
        let sink = try MarkSink()
        defer { sink.stop() }
        let router = try RouterProgram(
            binary: binary, name: "latency", bootstrap: broker.bootstrap, topics: [UnitStream.topic],
            tables: UnitStream.tables, rules: UnitStream.rules(quietCount: 19), sinkURL: sink.url,
            properties: ["fetch.wait.max.ms": "10"])
        defer { router.remove() }
        let process = try router.start()
        defer {
            process.terminate()
            _ = process.waitUntilExit()
        }
        try await router.waitUntilReady(process)
        let sent = try await produce(broker)
        try await ContinuousClock().sleep(for: .seconds(2))
        report(sent, sink)
    }

    /// Produces at the rate; when each alert's event was produced, by its mark.
    private func produce(_ broker: BenchBroker) async throws -> [String: Int64] {
        let producer = try broker.producer(linger: "0")
        let clock = SystemWallClock()
        let total = (warmup + seconds) * rate
        let every = rate / alertRate
        var sent: [String: Int64] = [:]
        let start = Loopback.microseconds()
        try await withThrowingTaskGroup(of: Void.self) { group in
            var index = 0
            while index < total {
                let due = Int(Loopback.microseconds() - start) * rate / 1_000_000
                var batch: [ProducerMessage] = []
                while index < min(due, total) {
                    let isAlert = index % every == every - 1
                    let mark = "mark-\(index)"
                    let unit = isAlert ? "C-\(index)" : "U-\(index % 10_000)"
                    batch.append(
                        UnitStream.row(
                            unit: unit, rate: isAlert ? "0.08" : "0.01", note: isAlert ? "\(mark)-" : "row \(index)",
                            version: index / 10_000, now: clock.now()))
                    if isAlert { sent[mark] = Loopback.microseconds() }
                    index += 1
                }
                let messages = batch
                if !messages.isEmpty { group.addTask { _ = try await producer.send(messages) } }
                try await ContinuousClock().sleep(for: .milliseconds(1))
            }
            try await group.waitForAll()
        }
        await producer.shutdown()
        let first = warmup * rate
        return sent.filter { Int($0.key.dropFirst("mark-".count)).map { $0 >= first } ?? false }
    }

    private func report(_ sent: [String: Int64], _ sink: MarkSink) {
        let marks = sink.marks
        let times = sent.compactMap { mark, at in marks[mark].map { Double($0 - at) / 1000 } }
        BenchOutput.remark(
            "latency: produced -> request at a Teams sink; \(rate) events/s, \(alertRate) critical alerts/s, "
                + "\(partitions) partitions, fetch.wait.max.ms=10, linger 0, no limits, \(seconds) s after \(warmup) s")
        BenchOutput.remark("alerts \(sent.count), seen \(times.count), requests \(sink.requestCount)")
        BenchOutput.figure("latency_p50_ms", times.percentile(0.5), digits: 1)
        BenchOutput.figure("latency_p99_ms", times.count == sent.count ? times.percentile(0.99) : .infinity, digits: 1)
        BenchOutput.figure("latency_max_ms", times.max() ?? .nan, digits: 1)
    }
}
