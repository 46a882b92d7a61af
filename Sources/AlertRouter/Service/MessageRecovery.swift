import ConfigFiles
import Core
import HTTPTransport
import KafkaClient
import Logging
import Spine
import Store

/// Reads the message of a dead letter from Kafka again, where the store did not keep its bytes.
enum MessageRecovery {
    /// What brokers may take for the bounds of the partition, and again for the message.
    private static let answerMax: Duration = .seconds(10)

    /// The letter with the bytes of its message: as it is where they were kept.
    /// - Throws: ``CommandFailure`` where Kafka cannot be reached or no longer has the message.
    static func recover(_ letter: DeadLetterRecord, configurationPath path: String) async throws -> DeadLetterRecord {
        guard letter.areBytesDropped else { return letter }
        guard let topic = letter.topic, let partition = letter.partition, let offset = letter.offset else {
            throw CommandFailure(
                .inputIsWrong, "the store kept neither the message of dead letter \(letter.id) nor where it was")
        }
        let loaded = LoadedConfiguration.load(path: path, secrets: .resolve)
        guard loaded.rules != nil else {
            throw CommandFailure(
                .inputIsWrong, "the message has to be read from Kafka, and the configuration \(path) cannot be used",
                help: "'alert-router check' says what is wrong with it")
        }
        let clock = SystemWallClock()
        let transport =
            loaded.configuration?.kafka.oauth == nil ? nil : try HTTPTransport(configuration: .standard, clock: clock)
        let tokens = try transport.flatMap { try TokenSources.make(loaded, transport: $0, clock: clock) }
        let consumer = try KafkaConsumer(
            configuration: try KafkaSettings.configuration(loaded, tokens: tokens), topics: [topic],
            metrics: MetricsRegistry(), logger: Logger(label: "recovery") { _ in SwiftLogNoOpLogHandler() })
        let result: Result<DeadLetterRecord, any Error>
        do {
            let place = TopicPartition(topic: topic, partition: partition)
            result = .success(letter.filled(with: try await read(place, offset, consumer)))
        } catch let error as KafkaError {
            result = .failure(
                CommandFailure(
                    .inputIsWrong, "the message has to be read from Kafka: \(error.message)",
                    help: "the store keeps the bytes of 100,000 dead letters, up to 1 GiB; of others only the place"))
        } catch {
            result = .failure(error)
        }
        await consumer.shutdown()
        await transport?.shutdown()
        return try result.get()
    }

    private static func read(
        _ place: TopicPartition, _ offset: Int64, _ consumer: KafkaConsumer
    ) async throws -> RawBatch.Copied {
        let partitions = try await consumer.partitions(within: answerMax)
        guard let bounds = partitions.first(where: { $0.topicPartition == place }) else {
            throw gone("\(place) is not there any more")
        }
        guard offset >= bounds.low else {
            throw gone("Kafka dropped it; the oldest message of \(place) has offset \(bounds.low)")
        }
        guard offset < bounds.high else {
            throw gone("\(place) ends at offset \(bounds.high): it was made anew since")
        }
        try await consumer.assign([place: offset])
        return try await withThrowingTaskGroup(of: RawBatch.Copied?.self) { group in
            group.addTask { try await first(from: offset, of: place, consumer) }
            group.addTask {
                let clock = SystemWallClock()
                try await clock.sleep(until: clock.now().adding(answerMax))
                return nil
            }
            defer { group.cancelAll() }
            guard let message = try await group.next() ?? nil else {
                throw gone("the leader of \(place) did not answer within \(answerMax)")
            }
            return message
        }
    }

    /// The message at an offset; the next one tells that it is not there.
    private static func first(
        from offset: Int64, of place: TopicPartition, _ consumer: KafkaConsumer
    ) async throws -> RawBatch.Copied? {
        while let events = try await consumer.next() {
            for event in events {
                switch event {
                case .batch(let batch):
                    guard let message = batch.messages.first else { continue }
                    guard message.offset == offset else {
                        throw gone("\(place) has no message at offset \(offset) any more; it was compacted")
                    }
                    return RawBatch.Copied(
                        partition: place, offset: offset, timestamp: message.timestamp,
                        key: message.key.map { Array($0) }, value: message.value.map { Array($0) },
                        headers: try MessageHeaders.decode(MessageHeaders.encode(batch.headers(of: message))))
                case .endOfPartition, .offsetOutOfRange:
                    throw gone("\(place) has no message at offset \(offset) any more")
                case .assigned, .partitionError, .newPartitions, .brokerState, .leaderState: continue
                }
            }
        }
        return nil
    }

    private static func gone(_ reason: String) -> CommandFailure {
        CommandFailure(
            .inputIsWrong, "the message was not kept, and Kafka has it no more: \(reason)",
            help: "'alert-router dead-letters discard' settles the letter")
    }
}

extension DeadLetterRecord {
    /// The letter with the message that it is about.
    fileprivate func filled(with message: RawBatch.Copied) -> DeadLetterRecord {
        var letter = self
        letter.areBytesDropped = false
        letter.key = message.key
        letter.value = message.value
        letter.headers = MessageHeaders.encode(RawBatch.copying([message]).headers[...])
        letter.timestamp = message.timestamp >= 0 ? Timestamp(milliseconds: message.timestamp) : nil
        return letter
    }
}
