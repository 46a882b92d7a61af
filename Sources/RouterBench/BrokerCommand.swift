import ArgumentParser
import Core
import Foundation
import KafkaClient
import Logging

/// A mock cluster in a process of its own; produces on request and ends with its standard input.
struct BrokerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broker", abstract: "Runs librdkafka's mock cluster; 'fill FROM TO' on standard input produces.")

    @Option(help: "Partitions of the benchmark's topic.") var partitions = 100
    @Option(help: "Other topics to create, name:partitions.") var topic: [String] = []

    func run() async throws {
        let cluster = try MockCluster(brokerCount: 1)
        try cluster.createTopic(BenchStream.topic, partitions: partitions)
        for text in topic {
            let parts = text.split(separator: ":")
            guard parts.count == 2, let count = Int(parts[1]) else {
                throw ValidationError("--topic is name:partitions")
            }
            try cluster.createTopic(String(parts[0]), partitions: count)
        }
        let producer = try KafkaProducer(
            configuration: try KafkaConfiguration(properties: [
                "bootstrap.servers": cluster.bootstrapServers, "enable.idempotence": "false", "linger.ms": "20",
            ]), metrics: MetricsRegistry(), logger: Logger(label: "broker"))
        BenchOutput.line("bootstrap=\(cluster.bootstrapServers)")
        let stream = BenchStream()
        while let line = readLine() {
            let words = line.split(separator: " ")
            if words.first == "fill", words.count == 3, let from = Int(words[1]), let to = Int(words[2]) {
                try await stream.fill(producer, range: from..<to, partitions: partitions)
                BenchOutput.line("filled=\(to)")
            }
        }
        await producer.shutdown()
        cluster.shutdown()
    }
}
