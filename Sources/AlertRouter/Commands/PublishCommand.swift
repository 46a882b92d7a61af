import ArgumentParser
import Core
import Foundation
import HTTPTransport
import KafkaClient
import Logging

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Produces the lines of a file to a topic.",
        discussion: """
            Each line is {"key":…,"headers":…,"value":…}; the value's bytes are sent exactly as they stand. A \
            line's own topic, partition_hint and timestamp are used where --topic does not say otherwise.

            Example: alert-router publish changes.ndjson --topic fabric.gold.gld_fact_quality
            """)

    @Argument(help: "The file; - reads standard input.") var file: String
    @Option(help: "The topic.") var topic: String?
    @Option(help: "Brokers, host:port; without it those of the configuration.") var brokers: String?
    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    /// How long the brokers may take for a message before publishing gives up.
    private static let brokersMaxMilliseconds = 60_000
    /// Messages handed over together: large enough that waiting for their reports costs nothing.
    private static let batchCount = 5000

    func run() async throws {
        var properties: [String: String]
        var tokens: (any TokenSource)?
        var transport: HTTPTransport?
        if let brokers {
            properties = ["bootstrap.servers": brokers]
        } else {
            let loaded = try LoadedConfiguration.read(path: configuration.config)
            properties = try KafkaSettings.properties(loaded)
            if loaded.configuration?.kafka.oauth != nil {
                let http = try HTTPTransport(configuration: .standard, clock: SystemWallClock())
                transport = http
                tokens = try TokenSources.make(loaded, transport: http, clock: SystemWallClock())
            }
        }
        properties["client.id"] = "alert-router-publish"
        if properties["message.timeout.ms"] == nil {
            properties["message.timeout.ms"] = "\(PublishCommand.brokersMaxMilliseconds)"
        }
        let clock = SystemWallClock()
        let start = clock.now()
        var count = 0
        do {
            var reader = try PublishLineReader(path: file)
            let producer = try KafkaProducer(
                configuration: KafkaConfiguration(properties: properties, tokenSource: tokens),
                metrics: MetricsRegistry(),
                logger: Logger(label: "publish") { label in
                    LogOutput(label: label, isJSON: false, level: .warning, clock: clock)
                })
            let result: Result<Void, any Error>
            do { result = .success(try await publish(&reader, producer, &count)) } catch { result = .failure(error) }
            await producer.shutdown()
            await transport?.shutdown()
            if isProgressShown { Output.line() }
            try result.get()
        } catch let error as KafkaError {
            let place = error.code == .malformedLine ? "\(file): " : ""
            throw CommandFailure(.inputIsWrong, place + error.message, help: PublishCommand.help(count, error))
        }
        let seconds = max(0.001, Double(clock.now().milliseconds(since: start)) / 1000)
        let rate = Int64(Double(count) / seconds)
        output.show(.object(["published": .integer(count), "messages_per_second": .integer(rate)])) {
            // A rate of a few messages says how long the connection took.
            let speed = count >= 1000 ? ", \(rate) messages/s" : ""
            Output.line("published \(count) \(count == 1 ? "message" : "messages")\(speed)")
        }
    }

    private var isProgressShown: Bool { Output.isTerminal && output.output == .text }

    private static func help(_ count: Int, _ error: KafkaError) -> String? {
        switch error.code {
        case .malformedLine: "\(count) messages before it were published; correct the line and publish the rest"
        case .unreadableFile: nil
        default: "\(count) messages were published; look at the brokers and at kafka.properties"
        }
    }

    private func publish(
        _ reader: inout PublishLineReader, _ producer: KafkaProducer, _ sent: inout Int
    ) async throws {
        let clock = SystemWallClock()
        let start = clock.now()
        var batch: [ProducerMessage] = []
        var isAtEnd = false
        while !isAtEnd {
            var line: PublishLine?
            do { line = try reader.next() } catch {
                // The lines before the wrong one are published: what is counted is what was sent.
                try await send(&batch, producer, &sent)
                throw error
            }
            if let line {
                guard let target = topic ?? line.topic else {
                    throw CommandFailure(
                        .usage, "\(file):\(reader.lineNumber): the line names no topic", help: "pass --topic")
                }
                batch.append(line.message(topic: target, partition: topic == nil ? line.partitionHint : nil))
            } else {
                isAtEnd = true
            }
            guard batch.count >= PublishCommand.batchCount || isAtEnd, !batch.isEmpty else { continue }
            try await send(&batch, producer, &sent)
            progress(sent, read: reader.readByteCount, of: reader.byteCount, since: start, clock: clock)
        }
    }

    private func send(
        _ batch: inout [ProducerMessage], _ producer: KafkaProducer, _ sent: inout Int
    ) async throws {
        guard !batch.isEmpty else { return }
        for report in try await producer.send(batch) {
            if case .failure(let error) = report.result { throw error }
            sent += 1
        }
        batch.removeAll(keepingCapacity: true)
    }

    private func progress(_ sent: Int, read: Int, of total: Int?, since start: Timestamp, clock: SystemWallClock) {
        guard isProgressShown else { return }
        let progress = PublishProgress(
            messageCount: sent, readByteCount: read, byteCount: total,
            elapsed: .milliseconds(clock.now().milliseconds(since: start)))
        Output.text("\r\(progress.line)   ")
    }
}
