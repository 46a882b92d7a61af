import ArgumentParser
import Core
import Foundation

/// Bad input in bulk: a rule that always fails, more row keys than the bound, malformed and very large messages.
struct BadInputCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bad-input", abstract: "Measures what bad input costs; exit code 1 when a bound is passed.")

    @Option(help: "Rows of a round with and without the failing rule.") var rows = 300_000
    @Option(help: "Rounds of both.") var rounds = 5
    @Option(help: "Distinct row keys; the bound is 1,000,000.") var keys = 1_200_000
    @Flag(help: "Judge counts and bounds, not what bad input costs: for small numbers and debug builds.")
    var countsOnly = false

    func run() async throws {
        let topics = BadInputStream.Kind.allCases.flatMap { ["--topic", "\($0.topic):\($0.partitionCount)"] }
        let broker = try ChildProcess(ChildProcess.own, ["broker", "--partitions", "1"] + topics)
        defer { broker.finish() }
        let bootstrap = try await broker.value("bootstrap=")
        var failures = try await malformed(bootstrap)
        failures += try await failingRule(bootstrap)
        failures += try await manyKeys(bootstrap)
        for failure in failures { BenchOutput.remark("VIOLATION \(failure)") }
        BenchOutput.line("violations=\(failures.count)")
        if !failures.isEmpty { throw ExitCode(1) }
    }

    private func malformed(_ bootstrap: String) async throws -> [String] {
        let count = try await BadInputStream.fill(.bad, count: 0, bootstrap: bootstrap)
        let outcome = try await loop(.bad, count: count, bootstrap: bootstrap, hasErrors: false)
        let bad = BadInputStream.malformed().count
        BenchOutput.remark(
            "malformed: \(bad) messages that are no event with a good row behind each, a null payload, and two "
                + "messages of 10 MB, one of them cut off")
        BenchOutput.figure("malformed_letters", outcome["input_letters"] ?? .nan, digits: 0)
        BenchOutput.figure("malformed_alerts", outcome["open"] ?? .nan, digits: 0)
        // The null payload is a tombstone of a row key that cannot be told from `k`: it may be kept as well.
        let letters = Int(outcome["input_letters"] ?? -1)
        return (letters == bad + 1 || letters == bad + 2) && outcome["open"] == Double(bad + 1)
            ? [] : ["malformed messages: \(outcome)"]
    }

    private func failingRule(_ bootstrap: String) async throws -> [String] {
        let count = try await BadInputStream.fill(.rows, count: rows, bootstrap: bootstrap)
        var plain: [Double] = []
        var failing: [Double] = []
        var failures: [String] = []
        for _ in 0..<rounds {
            let quiet = try await loop(.rows, count: count, bootstrap: bootstrap, hasErrors: false)
            plain.append(Double(count) / (quiet["seconds"] ?? .nan))
            let loud = try await loop(.rows, count: count, bootstrap: bootstrap, hasErrors: true)
            failing.append(Double(count) / (loud["seconds"] ?? .nan))
            if loud["errors"] != Double(count) || loud["logged"] != Double(count) {
                failures.append("errors are not counted exactly: \(loud)")
            }
            if (loud["log_lines"] ?? .nan) > 100 || (loud["evaluation_letters"] ?? .nan) > 20 {
                failures.append("log or dead letters grow: \(loud)")
            }
        }
        BenchOutput.remark(
            "failing rule: \(count) rows, 20 rules, one of which fails on every row, against the same rules without a "
                + "failure; \(rounds) alternating rounds, medians")
        BenchOutput.figure("plain_per_s", plain.median, digits: 0)
        BenchOutput.figure("failing_per_s", failing.median, digits: 0)
        BenchOutput.figure("failing_rule_ratio", failing.median / plain.median)
        if !countsOnly, !(failing.median >= plain.median / 2) { failures.append("a failing rule costs more than half") }
        return failures
    }

    private func manyKeys(_ bootstrap: String) async throws -> [String] {
        let count = try await BadInputStream.fill(.keys, count: keys, bootstrap: bootstrap)
        let outcome = try await loop(.keys, count: count, bootstrap: bootstrap, hasErrors: false)
        BenchOutput.remark("keys: \(count) distinct row keys of one table, 20 rules; peak of the process's memory")
        BenchOutput.figure("keys_rss_mb", outcome["rss_mb"] ?? .nan, digits: 0)
        BenchOutput.figure("keys_evicted", outcome["evicted"] ?? .nan, digits: 0)
        BenchOutput.figure("keys_health_alerts", outcome["health_alerts"] ?? .nan, digits: 0)
        BenchOutput.figure("keys_per_s", Double(count) / (outcome["seconds"] ?? .nan), digits: 0)
        var failures: [String] = []
        if !((outcome["rss_mb"] ?? .nan) <= 400) { failures.append("memory above 400 MB: \(outcome)") }
        if count > 1_000_000, (outcome["evicted"] ?? 0) < Double(count - 1_000_000) || outcome["health_alerts"] != 1 {
            failures.append("keys above the bound: \(outcome)")
        }
        return failures
    }

    /// Reads a topic in a process of its own; what it printed.
    private func loop(
        _ kind: BadInputStream.Kind, count: Int, bootstrap: String, hasErrors: Bool
    ) async throws -> [String: Double] {
        let folder = NSTemporaryDirectory() + "/bad-input-\(ProcessInfo.processInfo.processIdentifier)"
        try? FileManager.default.removeItem(atPath: folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let child = try ChildProcess(
            ChildProcess.own,
            ["bad-input-loop", "--bootstrap", bootstrap, "--kind", kind.rawValue, "--count", "\(count)"]
                + ["--folder", folder] + (hasErrors ? ["--errors"] : []))
        var outcome: [String: Double] = [:]
        for name in [
            "seconds", "logged", "log_lines", "health_alerts", "input_letters", "evaluation_letters", "open", "errors",
            "evicted", "rss_mb",
        ] { outcome[name] = Double(try await child.value("\(name)=")) }
        child.finish()
        return outcome
    }
}
