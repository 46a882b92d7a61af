import ArgumentParser
import Foundation

/// throughput_ratio: the router's loop against a bare consumer loop, alternating.
struct ThroughputCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "throughput", abstract: "Measures throughput_ratio.")

    @Option(help: "Messages of a round.") var count = 1_000_000
    @Option(help: "Rounds of both loops.") var rounds = 5
    @Option var partitions = 100

    func run() async throws {
        let broker = try ChildProcess(ChildProcess.own, ["broker", "--partitions", "\(partitions)"])
        let bootstrap = try await broker.value("bootstrap=")
        broker.send("fill 0 \(count)")
        _ = try await broker.value("filled=\(count)")
        var bare: [Double] = []
        var router: [Double] = []
        for round in 0..<rounds {
            let loop = try ChildProcess(
                ChildProcess.own,
                ["bare", "--bootstrap", bootstrap, "--partitions", "\(partitions)", "--count", "\(count)"])
            bare.append(Double(count) / (Double(try await loop.value("seconds=")) ?? .nan))
            loop.finish()
            let folder = NSTemporaryDirectory() + "/router-bench-\(ProcessInfo.processInfo.processIdentifier)-\(round)"
            let own = try ChildProcess(
                ChildProcess.own,
                ["router-loop", "--bootstrap", bootstrap, "--count", "\(count)", "--folder", folder])
            router.append(Double(count) / (Double(try await own.value("seconds=")) ?? .nan))
            own.finish()
            try? FileManager.default.removeItem(atPath: folder)
        }
        broker.finish()
        BenchOutput.remark(
            "throughput: \(count) messages of about 400 bytes over \(partitions) partitions of a mock cluster in "
                + "another process; consume, decode, 20 rules reading 5 columns, 10,000 keys, 1 in 1000 fires, store; "
                + "against a consumer loop with the same properties; \(rounds) alternating rounds, medians")
        BenchOutput.remark("bare \(bare.range) messages/s, router \(router.range) messages/s")
        BenchOutput.figure("bare_per_s", bare.median, digits: 0)
        BenchOutput.figure("router_per_s", router.median, digits: 0)
        BenchOutput.figure("throughput_ratio", router.median / bare.median)
    }
}
