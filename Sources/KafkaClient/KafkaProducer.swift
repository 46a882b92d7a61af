public import Core
public import Logging

/// A message to be produced.
public struct ProducerMessage: Sendable {
    public var topic: String
    /// The partition; nil lets the key decide as the Java client and Spark do (murmur2).
    public var partition: Int32?
    public var key: [UInt8]?
    /// The value; nil is a tombstone.
    public var value: [UInt8]?
    /// Headers in order; names may repeat.
    public var headers: [Header]
    /// The record's time; nil is now.
    public var timestamp: Timestamp?

    /// One header.
    public struct Header: Sendable, Equatable {
        public var name: String
        public var value: [UInt8]?
        /// Makes a header.
        public init(name: String, value: [UInt8]?) {
            self.name = name
            self.value = value
        }
    }

    /// Makes a message.
    public init(
        topic: String, partition: Int32? = nil, key: [UInt8]?, value: [UInt8]?, headers: [Header] = [],
        timestamp: Timestamp? = nil
    ) {
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
    }

    var byteCount: Int {
        (key?.count ?? 0) + (value?.count ?? 0)
            + headers.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
    }
}

/// What became of a produced message.
public struct DeliveryReport: Sendable {
    /// Partition and offset where the broker stored it, or why not.
    public var result: Result<Location, KafkaError>
    /// After a failure: whether the broker may have stored it all the same.
    public var isAmbiguous: Bool

    /// Where a message lies.
    public struct Location: Sendable, Equatable {
        public var partition: Int32
        /// The offset; negative where the broker did not tell it.
        public var offset: Int64
    }
}

/// Produces messages and waits for the broker's acknowledgement of each.
///
/// At most ``inFlightCountMax`` messages and ``inFlightByteCountMax`` bytes are on their way; beyond them callers wait.
/// Messages of one partition keep the order in which one task sends them. Idempotence is on unless
/// `enable.idempotence=false` is given.
public final class KafkaProducer: Sendable {
    /// Messages that may be on their way; below librdkafka's own bound, so that it never refuses one.
    public static let inFlightCountMax = 100_000
    /// Bytes that may be on their way, key, value and headers; half of librdkafka's own bound.
    public static let inFlightByteCountMax = 64 << 20

    private let core: ProducerCore

    /// Makes a producer and starts its thread.
    ///
    /// - Throws: ``KafkaError/Code/refusedProperty`` or ``KafkaError/Code/clientFailed``.
    public init(configuration: KafkaConfiguration, metrics: MetricsRegistry, logger: Logger) throws {
        let core = try ProducerCore(configuration: configuration, metrics: metrics, logger: logger)
        self.core = core
        do {
            try POSIXThread.start(name: "kafka-producer") { core.run() }.detach()
        } catch {
            core.handle.destroy()
            throw error
        }
    }

    deinit { core.requestStop() }

    /// Produces one message and waits for its acknowledgement.
    ///
    /// - Throws: ``KafkaError/Code/deliveryFailed``, ``KafkaError/Code/fatal``, ``KafkaError/Code/queueFull`` where too
    ///   many callers wait already, or ``KafkaError/Code/shutDown``.
    @discardableResult
    public func produce(_ message: ProducerMessage) async throws -> DeliveryReport.Location {
        guard let report = try await send([message]).first else {
            throw KafkaError(.deliveryFailed, "no delivery report")
        }
        return try report.result.get()
    }

    /// Produces messages in order and waits for all acknowledgements.
    ///
    /// - Returns: one report per message, in the same order.
    /// - Throws: as ``produce(_:)``, but a failed delivery is in the report, not thrown.
    public func send(_ messages: [ProducerMessage]) async throws -> [DeliveryReport] {
        guard !messages.isEmpty else { return [] }
        let group = DeliveryGroup(count: messages.count)
        var index = 0
        while index < messages.count {
            let byteCount = messages[index].byteCount
            // As many as fit at once; one message that is larger than the bound waits until nothing else is on its way.
            try await core.waitForRoom(byteCount: byteCount)
            index = core.produce(messages, from: index, group: group)
        }
        return await group.reports()
    }

    /// Messages on their way.
    public var inFlightCount: Int { core.inFlightCount }

    /// Waits until every message sent so far is delivered or has failed, without lingering.
    ///
    /// - Returns: whether that was so before the limit.
    @discardableResult
    public func flush(within limit: Duration) async -> Bool { await core.flush(within: limit) }

    /// Delivers what is on its way, for up to ``KafkaConfiguration/shutdownTimeout``, and frees the client.
    ///
    /// What is not delivered by then fails with ``KafkaError/Code/shutDown`` or its own reason.
    public func shutdown() async {
        core.refuseMore()
        _ = await core.flush(within: core.configuration.shutdownTimeout)
        core.requestStop()
        _ = await core.stopLatch.wait(atMost: core.configuration.shutdownTimeout)
    }
}
