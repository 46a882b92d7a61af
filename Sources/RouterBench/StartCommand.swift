import ArgumentParser
import Core
import Foundation
import KafkaClient

/// start_ms: from exec to the first Fetch request on the wire.
struct StartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "start", abstract: "Measures start_ms.")

    @Option(help: "Rules.") var rules = 1000
    @Option(help: "Starts.") var rounds = 5
    @Option var partitions = 10
    @Option(help: "The program; else the one beside this.") var binary: String?

    func run() async throws {
        let broker = try await BenchBroker.start(partitions: 1, topics: ["\(UnitStream.topic):\(partitions)"])
        defer { broker.finish() }
        let sink = try MarkSink()
        defer { sink.stop() }
        let relay = try KafkaRelay(brokerPort: broker.port)
        let router = try RouterProgram(
            binary: binary, name: "start", bootstrap: "127.0.0.1:\(relay.port)", topics: [UnitStream.topic],
            tables: UnitStream.tables, rules: UnitStream.rules(quietCount: rules - 1), sinkURL: sink.url)
        defer { router.remove() }
        var times: [Double] = []
        for _ in 0..<rounds {
            relay.reset()
            let start = ContinuousClock.now
            let process = try router.start()
            guard let fetch = await relay.fetch(seconds: 60) else {
                throw ChildProcess.Failure(description: "no Fetch request in 60 s: \(router.logEnd)")
            }
            times.append((fetch - start) / .milliseconds(1))
            process.terminate()
            _ = process.waitUntilExit()
        }
        relay.stop()
        BenchOutput.remark(
            "start: exec -> first Fetch request at a relay before the mock cluster, \(rules) rules, \(rounds) starts "
                + "(the first makes the store), median; "
                + times.map { BenchOutput.number($0, digits: 0) }.joined(separator: " ") + " ms")
        BenchOutput.figure("start_ms", times.median, digits: 0)
    }
}

extension KafkaRelay {
    /// Waits for the first Fetch without holding a thread of the task pool.
    func fetch(seconds: Int) async -> ContinuousClock.Instant? {
        await withCheckedContinuation { continuation in
            Thread { [self] in continuation.resume(returning: waitForFetch(seconds: seconds)) }.start()
        }
    }
}
