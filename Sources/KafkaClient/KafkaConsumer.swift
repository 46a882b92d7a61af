public import Core
public import Logging

/// Reads topics from explicit offsets, in batches, on a thread of its own.
///
/// ```swift
/// let consumer = try KafkaConsumer(configuration: kafka, topics: ["orders"], metrics: metrics, logger: logger)
/// let partitions = try await consumer.partitions(within: .seconds(10))
/// try await consumer.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0.topicPartition, $0.low) }))
/// while let events = try await consumer.next() { … }
/// await consumer.shutdown()
/// ```
///
/// No consumer group is joined: the caller says what is read from where, and ``commit(_:)`` only tells lag tools. Only
/// a fatal error of librdkafka ends ``next()``; other errors are events.
public final class KafkaConsumer: Sendable {
    let core: ConsumerCore

    /// Makes a consumer and starts its threads; nothing is read before ``assign(_:)``.
    ///
    /// - Throws: ``KafkaError/Code/refusedProperty`` or ``KafkaError/Code/clientFailed``.
    public init(
        configuration: KafkaConfiguration, topics: [String], metrics: MetricsRegistry, logger: Logger
    ) throws {
        let core = try ConsumerCore(configuration: configuration, metrics: metrics, logger: logger)
        self.core = core
        let lookupThread: POSIXThread
        do {
            lookupThread = try POSIXThread.start(name: "kafka-lookup") {
                LookupThread(core: core, topics: topics).run()
            }
        } catch {
            core.handle.destroy()
            throw error
        }
        do {
            try POSIXThread.start(name: "kafka-consumer") {
                ConsumerThread(core: core).run(lookupThread: lookupThread)
            }.detach()
        } catch {
            _ = core.lookups.close()
            lookupThread.join()
            core.handle.destroy()
            throw error
        }
    }

    deinit { core.requestStop() }

    /// Takes everything that was read since the last call, waiting for the first; nil after ``shutdown()``.
    ///
    /// Only one task may call it. One suspension serves all batches that are ready.
    /// - Throws: ``KafkaError/Code/fatal``, or `CancellationError`.
    public func next() async throws -> [SourceEvent]? { try await core.bridge.next() }

    /// Reads exactly these partitions from these offsets; partitions left out are no longer read.
    ///
    /// ``SourceEvent/assigned(generation:)`` comes before the first event of the assignment; what ``next()`` gave
    /// before it was read for an earlier one.
    /// - Parameter generation: comes back in that event.
    /// - Throws: ``KafkaError`` where librdkafka refuses, or after a shutdown.
    public func assign(_ offsets: [TopicPartition: Int64], generation: Int = 0) async throws {
        try await withCheckedThrowingContinuation { core.send(.assign(offsets, generation: generation, $0)) }
    }

    /// Reads these partitions too, from these offsets; one that is read already starts again there.
    ///
    /// - Throws: as ``assign(_:)``.
    public func assign(adding offsets: [TopicPartition: Int64]) async throws {
        try await withCheckedThrowingContinuation { core.send(.add(offsets, $0)) }
    }

    /// Stops fetching some partitions; what was read of them already still comes.
    ///
    /// - Throws: as ``assign(_:)``.
    public func pause(_ partitions: [TopicPartition]) async throws {
        try await withCheckedThrowingContinuation { core.send(.pause(partitions, $0)) }
    }

    /// Goes on fetching paused partitions where they stopped.
    ///
    /// - Throws: as ``assign(_:)``.
    public func resume(_ partitions: [TopicPartition]) async throws {
        try await withCheckedThrowingContinuation { core.send(.resume(partitions, $0)) }
    }

    /// Finds the partitions of the topics with their bounds, sorted.
    ///
    /// Topics that are not there yet are told by an event, and their partitions as new when they appear.
    /// - Parameter limit: how long to wait for the brokers.
    /// - Throws: ``KafkaError/Code/unknownTopic`` where no topic is there, ``KafkaError/Code/timedOut`` or
    ///   ``KafkaError/Code/broker``.
    public func partitions(within limit: Duration) async throws -> [PartitionInfo] {
        let deadline = KafkaConsumer.deadline(limit)
        return try await withCheckedThrowingContinuation { core.ask(.partitions(deadline: deadline, $0)) }
    }

    /// Finds the offsets that the group committed; partitions without one are left out.
    ///
    /// - Throws: as ``partitions(within:)``.
    public func committedOffsets(within limit: Duration) async throws -> [TopicPartition: Int64] {
        let deadline = KafkaConsumer.deadline(limit)
        return try await withCheckedThrowingContinuation { core.ask(.committed(deadline: deadline, $0)) }
    }

    /// Finds, per partition, the offset of the first message at or after a time; the end where there is none.
    ///
    /// - Throws: as ``partitions(within:)``.
    public func offsets(at time: Timestamp, within limit: Duration) async throws -> [TopicPartition: Int64] {
        let deadline = KafkaConsumer.deadline(limit)
        return try await withCheckedThrowingContinuation { core.ask(.offsets(time, deadline: deadline, $0)) }
    }

    /// Tells Kafka how far the group is, for lag tools: without waiting, and at most once a second.
    ///
    /// The newest offset of each partition wins; failures are only counted.
    /// - Parameter offsets: the next offset to be read of each partition.
    public func commit(_ offsets: [TopicPartition: Int64]) { core.commit(offsets) }

    /// Bytes and messages in batches that were made and not yet released.
    public var outstanding: (byteCount: Int, messageCount: Int) {
        let now = core.ledger.outstanding
        return (now.byteCount, now.messageCount)
    }

    /// Stops reading, sends the last commits, ends ``next()`` and frees the client.
    ///
    /// Batches that are still held stay valid; the client is then freed in the background when the last is released.
    /// Returns after ``KafkaConfiguration/shutdownTimeout`` at the latest.
    public func shutdown() async {
        core.requestStop()
        let isStopped = await core.stopLatch.wait(atMost: core.configuration.shutdownTimeout)
        if !isStopped {
            let count = core.ledger.outstanding.batchCount
            core.logger.warning("the Kafka consumer stops in the background", metadata: ["batches-held": "\(count)"])
        }
    }

    private static func deadline(_ limit: Duration) -> Int64 {
        monotonicNanoseconds() + max(0, min(limit.wholeMilliseconds, 3_600_000)) * 1_000_000
    }
}
