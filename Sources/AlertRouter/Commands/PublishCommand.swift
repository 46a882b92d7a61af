import ArgumentParser
import Core
import Foundation
import KafkaClient
import Logging

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Produces the lines of a file to a topic.",
        discussion: """
            Each line is {"key":…,"headers":…,"value":…}; the value's bytes are sent exactly as they stand. A line's own \
            topic, partition_hint and timestamp are used where --topic does not say otherwise.

            Example: alert-router publish changes.ndjson --topic fabric.gold.gld_fact_quality
            """)

    @Argument(help: "The file; - reads standard input.") var file: String
    @Option(help: "The topic.") var topic: String?
    @Option(help: "Brokers, host:port; without it those of the configuration.") var brokers: String?
    @OptionGroup var configuration: ConfigurationOptions

    /// Messages handed over together: large enough that waiting for their reports costs nothing.
    private static let batchCount = 5000

    func run() async throws {
        var properties: [String: String]
        if let brokers {
            properties = ["bootstrap.servers": brokers]
        } else {
            properties = try KafkaSettings.properties(LoadedConfiguration.read(path: configuration.config))
        }
        properties["client.id"] = "alert-router-publish"
        let kafka: KafkaConfiguration
        do { kafka = try KafkaConfiguration(properties: properties) } catch {
            throw CommandFailure(.inputIsWrong, error.description)
        }
        let producer = try KafkaProducer(
            configuration: kafka, metrics: MetricsRegistry(), logger: Logger(label: "publish"))
        var reader: PublishLineReader
        do { reader = try PublishLineReader(path: file) } catch {
            await producer.shutdown()
            throw CommandFailure(.inputIsWrong, error.description)
        }
        let result: Result<Int, any Error>
        do { result = .success(try await publish(&reader, producer)) } catch { result = .failure(error) }
        await producer.shutdown()
        if Output.isTerminal { Output.line() }
        switch result {
        case .success(let count): Output.line("published \(count) messages")
        case .failure(let error as KafkaError): throw CommandFailure(.inputIsWrong, error.description)
        case .failure(let error): throw error
        }
    }

    private func publish(_ reader: inout PublishLineReader, _ producer: KafkaProducer) async throws -> Int {
        let clock = SystemWallClock()
        let start = clock.now()
        var sent = 0
        var batch: [ProducerMessage] = []
        var isAtEnd = false
        while !isAtEnd {
            if let line = try reader.next() {
                guard let target = topic ?? line.topic else {
                    throw CommandFailure(
                        .usage, "\(file):\(reader.lineNumber): the line names no topic", "  help: pass --topic")
                }
                batch.append(line.message(topic: target, partition: nil))
            } else {
                isAtEnd = true
            }
            guard batch.count >= PublishCommand.batchCount || isAtEnd, !batch.isEmpty else { continue }
            for report in try await producer.send(batch) {
                if case .failure(let error) = report.result { throw error }
            }
            sent += batch.count
            batch.removeAll(keepingCapacity: true)
            progress(sent, read: reader.readByteCount, of: reader.byteCount, since: start, clock: clock)
        }
        return sent
    }

    private func progress(_ sent: Int, read: Int, of total: Int?, since start: Timestamp, clock: SystemWallClock) {
        guard Output.isTerminal else { return }
        let seconds = max(0.001, Double(clock.now().milliseconds(since: start)) / 1000)
        let share = total.map { $0 == 0 ? 1 : Double(read) / Double($0) } ?? 0
        let filled = Int(share * 30)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        let percent = total == nil ? "" : "[\(bar)] \(Int(share * 100)) %  "
        Output.text("\r\(percent)\(sent) messages  \(Int(Double(sent) / seconds)) messages/s   ")
    }
}
