import Core
import KafkaClient
import Logging

/// The mock cluster in a process of its own, and a producer to it in this one.
struct BenchBroker {
    let process: ChildProcess
    let bootstrap: String

    /// - Parameter topics: other topics than the throughput stream's, `name:partitions`.
    static func start(partitions: Int, topics: [String] = []) async throws -> BenchBroker {
        let process = try ChildProcess(
            ChildProcess.own, ["broker", "--partitions", "\(partitions)"] + topics.flatMap { ["--topic", $0] })
        return BenchBroker(process: process, bootstrap: try await process.value("bootstrap="))
    }

    var port: UInt16 { bootstrap.split(separator: ":").last.flatMap { UInt16($0) } ?? 0 }

    /// Produces messages of the throughput stream in the broker's process, and waits for their acknowledgement.
    func fill(_ range: Range<Int>) async throws {
        process.send("fill \(range.lowerBound) \(range.upperBound)")
        _ = try await process.value("filled=\(range.upperBound)")
    }

    func producer(linger: String) throws -> KafkaProducer {
        try KafkaProducer(
            configuration: try KafkaConfiguration(properties: [
                "bootstrap.servers": bootstrap, "enable.idempotence": "false", "linger.ms": linger,
            ]), metrics: MetricsRegistry(), logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
    }

    func finish() { process.finish() }
}

/// Rows of a small table for latency, start and restart: unit, rate, text.
struct UnitStream {
    static let topic = "bench.gold.bench_unit"

    static let tables = """
        tables:
          bench_unit:
            row_key: [unit_id]
            topics: [\(topic)]
            format: cdf
            columns:
              unit_id: string
              plant: string
              defect_rate: double
              note: string
        """

    static func row(unit: String, rate: String, note: String, version: Int, now: Timestamp) -> ProducerMessage {
        let text =
            "{\"unit_id\":\"\(unit)\",\"plant\":\"Plant \(version % 7)\",\"defect_rate\":\(rate),\"note\":\"\(note)\","
            + "\"inspector\":\"李 小龙\",\"batch_id\":\"B26012-\(version % 900)\",\"sample_size\":240,\"defects\":4,"
            + "\"_change_type\":\"insert\",\"_commit_version\":\(version),\"_commit_timestamp\":\"\(now.description)\"}"
        return ProducerMessage(topic: topic, key: Array(unit.utf8), value: Array(text.utf8), timestamp: now)
    }

    /// One rule that fires, with the note in its summary, and others that never do.
    static func rules(quietCount: Int, alertsMax: Int = 10_000) -> String {
        var text = """
            table: bench_unit
            owner: bench
            rules:
              - name: breach
                when: after.defect_rate > 0.05
                severity: critical
                alerts_max: \(alertsMax)
                summary: "{{ after.unit_id }}: {{ after.note }}"

            """
        for index in 0..<quietCount {
            text += """
                  - name: quiet-\(index)
                    when: after.defect_rate > 0.\(10 + index % 80) && after.plant == "Plant \(index)0"
                    severity: warning
                    summary: "{{ after.unit_id }} of {{ after.plant }}: {{ after.defect_rate }}"

                """
        }
        return text
    }
}
