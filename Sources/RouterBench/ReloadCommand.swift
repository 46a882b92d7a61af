import ArgumentParser
import Core
import Foundation
import KafkaClient

/// reload_duplicates, reload_lost: the configuration is read anew every second while alerts of rules and pushed ones
/// begin and end; each beginning and each end must be told once.
struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Measures reload_duplicates and reload_lost.")

    @Option(help: "Seconds of load.") var seconds = 20
    @Option(help: "Alerts a second, half of them pushed.") var rate = 200
    @Option(help: "The program; else the one beside this.") var binary: String?

    func run() async throws {
        let broker = try await BenchBroker.start(partitions: 1, topics: ["\(UnitStream.topic):4"])
        defer { broker.finish() }
        let sink = try MarkSink()
        defer { sink.stop() }
        let router = try RouterProgram(
            binary: binary, name: "reload", bootstrap: broker.bootstrap, topics: [UnitStream.topic],
            tables: UnitStream.tables, rules: UnitStream.rules(quietCount: 3, alertsMax: 100_000), sinkURL: sink.url)
        defer { router.remove() }
        try configure(router, broker, version: 0)
        let process = try router.start()
        defer {
            process.terminate()
            _ = process.waitUntilExit()
        }
        try await router.waitUntilReady(process)
        let reloads = Task {
            var version = 0
            while !Task.isCancelled {
                version += 1
                try configure(router, broker, version: version)
                process.hangUp()
                try await ContinuousClock().sleep(for: .seconds(1))
            }
        }
        let count = try await load(broker, router)
        reloads.cancel()
        _ = await reloads.result
        let deadline = Loopback.microseconds() + 30_000_000
        while !isComplete(sink, count), Loopback.microseconds() < deadline {
            try await ContinuousClock().sleep(for: .milliseconds(50))
        }
        // Whatever would come twice has time to come.
        try await ContinuousClock().sleep(for: .seconds(2))
        report(sink, router, count)
    }

    /// Another set of rules and other routes each time; whom alerts go to stays.
    private func configure(_ router: RouterProgram, _ broker: BenchBroker, version: Int) throws {
        let routes = version % 2 == 0 ? "" : "routes:\n  - match: labels.team == \"nobody\"\n    group_wait: 1s\n"
        try UnitStream.rules(quietCount: 3 + version % 3, alertsMax: 100_000)
            .write(toFile: router.folder + "/rules/bench.yaml", atomically: true, encoding: .utf8)
        try router.configureForPushes(
            bootstrap: broker.bootstrap, topics: [UnitStream.topic], groupBy: "each", wait: "0s", interval: "1s",
            routes: routes)
    }

    /// Begins alerts, and ends each two seconds later; how many.
    private func load(_ broker: BenchBroker, _ router: RouterProgram) async throws -> Int {
        let producer = try broker.producer(linger: "2")
        let client = try PushClient(port: router.metricsPort)
        let clock = SystemWallClock()
        let step = max(1, rate / 40)
        func rows(_ numbers: Range<Int>, isResolved: Bool) -> [ProducerMessage] {
            numbers.map { number in
                UnitStream.row(
                    unit: "mark-\(number)-", rate: isResolved ? "0.01" : "0.08", note: "note",
                    version: isResolved ? 2 : 1, now: clock.now())
            }
        }
        let stepCount = seconds * 20
        let start = Loopback.microseconds()
        for index in 0..<(stepCount + 40) {
            if index < stepCount {
                let first = index * 2 * step
                try client.post(PushClient.body(first..<first + step, isResolved: false))
                _ = try await producer.send(rows(first + step..<first + 2 * step, isResolved: false))
            }
            if index >= 40 {
                let first = (index - 40) * 2 * step
                try client.post(PushClient.body(first..<first + step, isResolved: true))
                _ = try await producer.send(rows(first + step..<first + 2 * step, isResolved: true))
            }
            // A step that took longer is made up for.
            let due = start + Int64(index + 1) * 50_000
            try await ContinuousClock().sleep(for: .microseconds(max(0, due - Loopback.microseconds())))
        }
        await producer.shutdown()
        return stepCount * 2 * step
    }

    private func isComplete(_ sink: MarkSink, _ count: Int) -> Bool {
        let told = sink.tellings
        return told.count >= count && told.values.allSatisfy { $0.firing > 0 && $0.resolved > 0 }
    }

    private func report(_ sink: MarkSink, _ router: RouterProgram, _ count: Int) {
        let told = sink.tellings
        var duplicates = 0
        var lost = 0
        var unheard = ["beginnings of pushed": 0, "ends of pushed": 0, "beginnings of rules": 0, "ends of rules": 0]
        for number in 0..<count {
            let mark = told["mark-\(number)"] ?? MarkSink.Tellings()
            duplicates += max(0, mark.firing - 1) + max(0, mark.resolved - 1)
            let kind = number / max(1, rate / 40) % 2 == 0 ? "pushed" : "rules"
            if mark.firing == 0 { unheard["beginnings of \(kind)", default: 0] += 1 }
            if mark.resolved == 0 { unheard["ends of \(kind)", default: 0] += 1 }
            lost += (mark.firing == 0 ? 1 : 0) + (mark.resolved == 0 ? 1 : 0)
        }
        let log = (try? String(contentsOfFile: router.folder + "/log", encoding: .utf8)) ?? ""
        let lines = log.split(separator: "\n")
        let reloadCount = lines.count { $0.contains("reloaded") }
        let failureCount = lines.count { $0.contains("reload failed") }
        BenchOutput.remark(
            "reload: \(count) alerts, half of rules and half pushed, begin and end in \(seconds) s; \(reloadCount) "
                + "reloads of rules and routes, \(failureCount) failed; the webhook must hear of each beginning and "
                + "each end once")
        for (what, number) in unheard.sorted(by: { $0.key < $1.key }) where number > 0 {
            BenchOutput.remark("reload: \(number) \(what) alerts were not told")
        }
        BenchOutput.figure("reload_count", Double(reloadCount), digits: 0)
        BenchOutput.figure("reload_duplicates", Double(duplicates), digits: 0)
        BenchOutput.figure("reload_lost", Double(lost), digits: 0)
    }
}
