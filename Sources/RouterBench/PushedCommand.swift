import ArgumentParser
import Foundation

/// pushed_*: alerts posted to `/api/v2/alerts`, each a group of its own, until each is at a webhook; the router against
/// Alertmanager.
struct PushedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pushed", abstract: "Measures pushed_alerts_ratio, pushed_p99_ratio, pushed_cpu_ratio and more.")

    @Option(help: "Alerts of a round.") var alerts = 10_000
    @Option(help: "Alerts of one request.") var batch = 100
    @Option(help: "Rounds of both.") var rounds = 3
    @Option(help: "The program; else the one beside this.") var binary: String?

    /// What one round of one program came to.
    private struct Reading {
        var perSecond: Double
        var p99: Double
        var processorSeconds: Double
        var peakMegabytes: Double
        /// Seconds until the last request was answered.
        var postSeconds: Double
    }

    func run() async throws {
        let broker = try await BenchBroker.start(partitions: 1, topics: ["\(UnitStream.topic):1"])
        defer { broker.finish() }
        var ours: [Reading] = []
        var theirs: [Reading] = []
        for round in 0..<rounds {
            ours.append(try await router(broker, round))
            theirs.append(try await alertmanager(round))
        }
        report(ours, theirs)
    }

    private func report(_ ours: [Reading], _ theirs: [Reading]) {
        func text(_ name: String, _ readings: [Reading]) {
            func list(_ digits: Int, _ value: (Reading) -> Double) -> String {
                readings.map { BenchOutput.number(value($0), digits: digits) }.joined(separator: " ")
            }
            BenchOutput.remark(
                "\(name): \(list(0, \.perSecond)) alerts/s, p99 \(list(0, \.p99)) ms, processor "
                    + "\(list(2, \.processorSeconds)) s, peak \(list(0, \.peakMegabytes)) MB, answered after "
                    + "\(list(2, \.postSeconds)) s")
        }
        func ratio(_ name: String, _ value: (Reading) -> Double) {
            BenchOutput.figure(name, ours.map(value).median / theirs.map(value).median)
        }
        BenchOutput.remark(
            "pushed: \(alerts) alerts in requests of \(batch) to /api/v2/alerts, one after the other, each a group of "
                + "its own without a wait, to one webhook in another process; \(rounds) alternating rounds, each "
                + "program new; the router stores each alert before it answers; medians")
        text("router", ours)
        text("Alertmanager", theirs)
        ratio("pushed_alerts_ratio", \.perSecond)
        ratio("pushed_p99_ratio", \.p99)
        ratio("pushed_cpu_ratio", \.processorSeconds)
        ratio("pushed_rss_ratio", \.peakMegabytes)
    }

    private func router(_ broker: BenchBroker, _ round: Int) async throws -> Reading {
        let sink = try ChildProcess(ChildProcess.own, ["push-sink"])
        defer { sink.finish() }
        let port = try await sink.value("port=")
        let router = try RouterProgram(
            binary: binary, name: "pushed-\(round)", bootstrap: broker.bootstrap, topics: [UnitStream.topic],
            tables: UnitStream.tables, rules: UnitStream.rules(quietCount: 1),
            sinkURL: "http://127.0.0.1:\(port)/hook")
        defer { router.remove() }
        try router.configureForPushes(
            bootstrap: broker.bootstrap, topics: [UnitStream.topic], groupBy: "each", wait: "0s", interval: "5m",
            routes: "")
        let process = try router.start()
        defer {
            process.terminate()
            _ = process.waitUntilExit()
        }
        try await router.waitUntilReady(process)
        return try await measure(process, sink, port: router.metricsPort, folder: router.folder)
    }

    private func alertmanager(_ round: Int) async throws -> Reading {
        let path = ["/usr/bin/prometheus-alertmanager", "/usr/local/bin/alertmanager"].first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
        guard let path else {
            throw ChildProcess.Failure(description: "apt-get install prometheus-alertmanager is needed")
        }
        let sink = try ChildProcess(ChildProcess.own, ["push-sink"])
        defer { sink.finish() }
        let sinkPort = try await sink.value("port=")
        let folder =
            NSTemporaryDirectory() + "/router-bench-\(ProcessInfo.processInfo.processIdentifier)-am-\(round)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let text = """
            route:
              receiver: sink
              group_by: ['...']
              group_wait: 0s
              group_interval: 5m
              repeat_interval: 4h
            receivers:
              - name: sink
                webhook_configs:
                  - url: http://127.0.0.1:\(sinkPort)/hook

            """
        try text.write(toFile: folder + "/config.yml", atomically: true, encoding: .utf8)
        let port = try Loopback.freePort()
        let process = try ChildProcess(
            path,
            [
                "--config.file=\(folder)/config.yml", "--storage.path=\(folder)/data",
                "--web.listen-address=127.0.0.1:\(port)", "--cluster.listen-address=", "--log.level=error",
            ], errorFile: folder + "/log")
        defer {
            process.terminate()
            _ = process.waitUntilExit()
        }
        let deadline = Loopback.microseconds() + 30_000_000
        while !(Loopback.get(port: port, path: "/-/ready")?.contains("OK") ?? false) {
            guard process.isRunning, Loopback.microseconds() < deadline else {
                throw ChildProcess.Failure(description: "Alertmanager did not start")
            }
            try await ContinuousClock().sleep(for: .milliseconds(20))
        }
        return try await measure(process, sink, port: port, folder: folder)
    }

    /// Posts all alerts and waits until each is at the sink.
    private func measure(
        _ process: ChildProcess, _ sink: ChildProcess, port: UInt16, folder: String
    ) async throws -> Reading {
        let bodies = stride(from: 0, to: alerts, by: batch).map {
            PushClient.body($0..<min($0 + batch, alerts), isResolved: false)
        }
        // Both programs have started and are at rest.
        try await ContinuousClock().sleep(for: .seconds(1))
        let used = process.processorSeconds ?? 0
        let client = try PushClient(port: port)
        var posted: [Int64] = []
        for body in bodies {
            posted.append(Loopback.microseconds())
            try client.post(body)
        }
        let answered = Loopback.microseconds()
        let path = folder + "/marks"
        sink.send("wait \(alerts) 120 \(path)")
        _ = try await sink.value("written=\(path)")
        // What is still to be written about what was sent counts too.
        try await ContinuousClock().sleep(for: .milliseconds(500))
        let processorSeconds = (process.processorSeconds ?? .nan) - used
        let peak = process.peakMegabytes ?? .nan
        var latencies: [Double] = []
        var last = posted[0]
        for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let number = Int(words[0]), let time = Int64(words[1]), number < alerts else {
                continue
            }
            latencies.append(Double(time - posted[number / batch]) / 1000)
            last = max(last, time)
        }
        guard latencies.count == alerts else {
            throw ChildProcess.Failure(description: "\(latencies.count) of \(alerts) alerts arrived")
        }
        return Reading(
            perSecond: Double(alerts) / (Double(last - posted[0]) / 1_000_000), p99: latencies.percentile(0.99),
            processorSeconds: processorSeconds, peakMegabytes: peak,
            postSeconds: Double(answered - posted[0]) / 1_000_000)
    }
}
