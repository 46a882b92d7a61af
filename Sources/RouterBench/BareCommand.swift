import ArgumentParser
import CRdKafka
import Core
import Foundation
import KafkaClient

/// The loop the router is compared with: librdkafka's consumer, message by message, counting.
struct BareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare", abstract: "Counts messages with a bare consumer loop and prints seconds.")

    @Option var bootstrap: String
    @Option var partitions = 100
    @Option var count: Int

    func run() async throws {
        let configuration = try KafkaConfiguration(properties: ["bootstrap.servers": bootstrap])
        let seconds = try BareLoop.run(
            properties: configuration.consumerProperties, topic: BenchStream.topic, partitions: partitions,
            count: count)
        BenchOutput.line("seconds=\(seconds)")
    }
}

enum BareLoop {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Seconds from the first message to the last.
    static func run(properties: [String: String], topic: String, partitions: Int, count: Int) throws -> Double {
        guard let conf = rd_kafka_conf_new() else { throw Failure(description: "no memory") }
        var reason = [CChar](repeating: 0, count: 512)
        for (name, value) in properties {
            guard rd_kafka_conf_set(conf, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK else {
                throw Failure(description: "property \(name) was refused")
            }
        }
        guard let client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, &reason, reason.count) else {
            throw Failure(description: "no client")
        }
        rd_kafka_poll_set_consumer(client)
        let list = rd_kafka_topic_partition_list_new(Int32(partitions))
        for partition in 0..<partitions {
            rd_kafka_topic_partition_list_add(list, topic, Int32(partition)).pointee.offset = 0
        }
        rd_kafka_assign(client, list)
        rd_kafka_topic_partition_list_destroy(list)
        let seconds = loop(client, count: count)
        rd_kafka_assign(client, nil)
        rd_kafka_destroy(client)
        return seconds
    }

    private static func loop(_ client: OpaquePointer, count: Int) -> Double {
        var seen = 0
        var bytes = 0
        var start = ContinuousClock.now
        while seen < count {
            guard let message = rd_kafka_consumer_poll(client, 100) else { continue }
            if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
                if seen == 0 { start = ContinuousClock.now }
                seen += 1
                bytes += message.pointee.len
            }
            rd_kafka_message_destroy(message)
        }
        let elapsed = ContinuousClock.now - start
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    }
}
