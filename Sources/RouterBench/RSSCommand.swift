import ArgumentParser
import Foundation

/// rss_mb, rss_growth: the real program over ten rounds of new messages.
struct RSSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rss", abstract: "Measures rss_mb and rss_growth.")

    @Option(help: "Messages of a round.") var count = 1_000_000
    @Option(help: "Rounds.") var rounds = 10
    @Option var partitions = 100
    @Option(help: "The program; else the one beside this.") var binary: String?

    func run() async throws {
        let broker = try await BenchBroker.start(partitions: partitions)
        defer { broker.finish() }
        let sink = try MarkSink()
        defer { sink.stop() }
        let router = try RouterProgram(
            binary: binary, name: "rss", bootstrap: broker.bootstrap, topics: [BenchStream.topic],
            tables: BenchStream.tables, rules: BenchStream.rules, sinkURL: sink.url)
        defer { router.remove() }
        let process = try router.start()
        defer {
            process.terminate()
            _ = process.waitUntilExit()
        }
        try await router.waitUntilReady(process)
        var sizes: [Double] = []
        for round in 0..<rounds {
            try await broker.fill(round * count..<(round + 1) * count)
            let wanted = Double((round + 1) * count)
            // Counted when judged; the metric of units tells that nothing is on its way to the store any more.
            try await router.wait("done with round \(round + 1)", process, seconds: 300) {
                (router.metric("alert_router_messages_total") ?? 0) >= wanted
                    && router.metric("alert_router_units_in_flight") == 0
            }
            sizes.append(process.residentMegabytes ?? .nan)
        }
        let third = sizes[min(2, sizes.count - 1)]
        let last = sizes[sizes.count - 1]
        BenchOutput.remark(
            "rss: alert-router, \(rounds) rounds of \(count) new messages over \(partitions) partitions, the producer "
                + "waits for the router's commit; MB of 10^6 bytes after the last round, and relative to round 3")
        BenchOutput.remark(
            "rounds " + sizes.map { BenchOutput.number($0, digits: 0) }.joined(separator: " ")
                + " MB; requests at the sink \(sink.requestCount)")
        BenchOutput.figure("rss_mb", last, digits: 1)
        BenchOutput.figure("rss_growth", last / third)
    }
}
