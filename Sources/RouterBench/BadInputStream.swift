import Core
import KafkaClient
import Logging

/// Rows, rules and malformed messages of the bad-input harness.
enum BadInputStream {
    static let partitionCount = 60

    /// What a topic holds; each has a topic of its own.
    enum Kind: String, CaseIterable, Sendable {
        /// Rows over 10,000 keys.
        case rows
        /// Every row has another key.
        case keys
        /// Malformed messages, a good row behind each; one of 10 MB.
        case bad

        var topic: String { "bad.gold.\(rawValue)" }
        var partitionCount: Int { self == .bad ? 3 : BadInputStream.partitionCount }
    }

    static func tables(_ kind: Kind) -> String {
        """
        tables:
          bad_fact:
            row_key: [unit_id]
            topics: [\(kind.topic)]
            format: cdf
            columns: {unit_id: string, plant: string, temp: int, rate: double, note: string}
        """
    }

    /// Twenty rules; with errors, one of them fails on every row.
    static func rules(hasErrors: Bool) -> String {
        var text = "table: bad_fact\nowner: bench\nrules:\n"
        text += "  - {name: hot, when: after.temp > 90, severity: critical}\n"
        for index in 1..<19 {
            text += "  - {name: quiet-\(index), when: 'after.rate > \(index).5 && after.plant == \"P\(index)\"'}\n"
        }
        let last = hasErrors ? "100 / (after.temp - after.temp) > 1" : "100 / (after.temp + 1000) > 1"
        return text + "  - {name: last, when: \(last), severity: error}\n"
    }

    static func row(_ index: Int, key: Int, temp: Int, note: String = "") -> [UInt8] {
        let time = Timestamp(milliseconds: 1_768_200_000_000 + Int64(index)).description
        return Array(
            """
            {"unit_id":"U-\(key)","plant":"P\(key % 30)","temp":\(temp),"rate":0.\(100 + index % 800),\
            "note":"\(note)","_change_type":"insert","_commit_version":\(index),"_commit_timestamp":"\(time)"}
            """.utf8)
    }

    /// Messages that are no event.
    static func malformed() -> [[UInt8]] {
        let good = row(0, key: 0, temp: 95)
        return [
            Array(good.dropLast(30)), Array("no JSON".utf8), [], Array(String(repeating: "[", count: 300_000).utf8),
            Array(String(repeating: "{\"a\":", count: 100_000).utf8),
            good.map { $0 == UInt8(ascii: "U") ? 0xFF : $0 },
        ]
    }

    /// Produces a topic; returns how many messages it holds.
    static func fill(_ kind: Kind, count: Int, bootstrap: String) async throws -> Int {
        let producer = try KafkaProducer(
            configuration: try KafkaConfiguration(properties: [
                "bootstrap.servers": bootstrap, "enable.idempotence": "false", "linger.ms": "20",
                "message.max.bytes": "20000000",
            ]), metrics: MetricsRegistry(), logger: Logger(label: "fill") { _ in SwiftLogNoOpLogHandler() })
        var batch: [ProducerMessage] = []
        func add(_ value: [UInt8]?, _ partition: Int) {
            batch.append(
                ProducerMessage(
                    topic: kind.topic, partition: Int32(partition), key: Array("k".utf8), value: value, headers: [],
                    timestamp: Timestamp(milliseconds: 1_768_200_000_000)))
        }
        func send() async throws {
            for report in try await producer.send(batch) {
                if case .failure(let error) = report.result { throw error }
            }
            batch.removeAll(keepingCapacity: true)
        }
        var total = count
        if kind == .bad {
            let malformed = malformed()
            for (index, bytes) in malformed.enumerated() {
                add(bytes, 0)
                add(row(index + 1, key: index + 1, temp: 95), 0)
                try await send()
            }
            add(nil, 0)
            try await send()
            // 10 MB each, whole and cut off. The mock cluster keeps 5 MB of a partition, but always the last message.
            let large = row(100, key: 100, temp: 95, note: String(repeating: "0123456789", count: 1 << 20))
            add(large, 1)
            try await send()
            add(Array(large.dropLast(1)), 2)
            total = malformed.count * 2 + 3
        } else {
            for index in 0..<count {
                let key = kind == .keys ? index : index % 10_000
                add(row(index, key: key, temp: index % 90), key % partitionCount)
                if batch.count == 5000 { try await send() }
            }
        }
        try await send()
        await producer.shutdown()
        return total
    }
}
