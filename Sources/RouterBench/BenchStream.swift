import Core
import KafkaClient

/// The stream of the throughput benchmark: change rows of about 400 bytes over 10,000 keys; one in 1000 fires, and its
/// key's next row resolves.
struct BenchStream: Sendable {
    static let topic = "bench.gold.bench_fact"
    static let table = "bench_fact"
    var keyCount = 10_000

    /// The value of the message with that number: an insert of a new version of its key's row.
    func value(_ index: Int, milliseconds: Int64) -> [UInt8] {
        let key = index % keyCount
        // Other keys breach in each version, so that alerts fire and resolve all the time.
        let isBreach = key % 1000 == index / keyCount % 1000
        let rate = isBreach ? "0.0825" : "0.00\(10 + index % 80)"
        let time = Timestamp(milliseconds: milliseconds).description
        let text =
            "{\"unit_id\":\"U-\(100_000 + key)\",\"plant\":\"Plant \(key % 7)\",\"line\":\"L\(key % 12)-Assembly\","
            + "\"sku\":\"SKU-\(1000 + key % 400)\",\"batch_id\":\"B26012-\(key % 900)\",\"inspected_at\":\"\(time)\","
            + "\"sample_size\":\(200 + index % 50),\"defects\":\(index % 13),\"defect_rate\":\(rate),"
            + "\"on_hand\":\(index % 5000).250,\"safety_stock\":\(isBreach ? 250 : 100).000,\"is_blocked\":false,"
            + "\"inspector\":\"李 小龙\",\"note\":\"row \(index) of the stream\",\"_change_type\":\"insert\","
            + "\"_commit_version\":\(index / keyCount),\"_commit_timestamp\":\"\(time)\"}"
        return Array(text.utf8)
    }

    /// Produces messages over all partitions, in the order of their numbers.
    func fill(_ producer: KafkaProducer, range: Range<Int>, partitions: Int) async throws {
        let start: Int64 = 1_768_200_000_000
        var batch: [ProducerMessage] = []
        for index in range {
            let time = start + Int64(index)
            batch.append(
                ProducerMessage(
                    topic: BenchStream.topic, partition: Int32(index % keyCount % partitions),
                    key: Array("U-\(100_000 + index % keyCount)".utf8), value: value(index, milliseconds: time),
                    headers: [], timestamp: Timestamp(milliseconds: time)))
            if batch.count == 10_000 || index == range.upperBound - 1 {
                for report in try await producer.send(batch) {
                    if case .failure(let error) = report.result { throw error }
                }
                batch.removeAll(keepingCapacity: true)
            }
        }
    }

    /// The declaration of its table and 20 rules that read five columns.
    static let tables = """
        tables:
          bench_fact:
            row_key: [unit_id]
            topics: [\(topic)]
            format: cdf
            columns:
              unit_id: string
              plant: string
              line: string
              sku: string
              batch_id: string
              inspected_at: timestamp
              sample_size: int
              defects: int
              defect_rate: double
              on_hand: double
              safety_stock: double
              is_blocked: bool
              inspector: string
              note: string
        """

    static var rules: String {
        var text = "table: bench_fact\nowner: bench\nrules:\n"
        text +=
            "  - name: breach\n    when: after.defect_rate > 0.05\n    severity: critical\n    for: 0s\n"
            + "    summary: \"{{ after.plant }} {{ after.line }}: {{ after.defect_rate }}\"\n"
        for index in 1..<20 {
            let condition =
                switch index % 5 {
                case 0: "after.defect_rate > 0.\(10 + index) && after.plant == \"Plant \(index % 7)\""
                case 1: "after.defects > \(100 + index)"
                case 2: "after.sample_size < \(index) && !after.is_blocked"
                case 3: "after.plant == \"Plant \(index)0\" || after.defects < -\(index)"
                default: "after.is_blocked && after.defect_rate > 0.0\(10 + index)"
                }
            text += "  - name: quiet-\(index)\n    when: \(condition)\n    severity: warning\n"
        }
        return text
    }
}
