internal import Core
internal import Synchronization

/// The consumer's metrics. Counted per batch, never per message.
final class ConsumerMetrics: Sendable {
    let messages: Counter
    let bytes: Counter
    let batches: Counter
    let pauses: Counter
    let errors: Counter
    let commitFailures: Counter
    private let outstandingBytes: Gauge
    private let outstandingMessages: Gauge
    private let prefetchBytes: Gauge
    private let prefetchMessages: Gauge
    private let lagTotal: Gauge
    private let throttle: Gauge
    private let brokersUp: Gauge
    private let roundTrip: Gauge
    private let registry: MetricsRegistry
    private let lags = Mutex<[TopicPartition: Gauge]>([:])

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        messages = registry.counter("alert_router_kafka_messages_total", "Messages read from Kafka.")
        bytes = registry.counter("alert_router_kafka_bytes_total", "Key and value bytes read from Kafka.")
        batches = registry.counter("alert_router_kafka_batches_total", "Batches handed over by the consumer thread.")
        pauses = registry.counter(
            "alert_router_kafka_backpressure_total",
            "Times the consumer stopped taking because too much was outstanding.")
        errors = registry.counter("alert_router_kafka_errors_total", "Errors that librdkafka told and went on after.")
        commitFailures = registry.counter(
            "alert_router_kafka_commit_failures_total",
            "Commits of offsets to Kafka that failed; they serve lag tools only.")
        outstandingBytes = registry.gauge(
            "alert_router_kafka_outstanding_bytes", "Bytes in batches that are not yet released.")
        outstandingMessages = registry.gauge(
            "alert_router_kafka_outstanding_messages", "Messages in batches that are not yet released.")
        prefetchBytes = registry.gauge("alert_router_kafka_prefetch_bytes", "Bytes in librdkafka's queue.")
        prefetchMessages = registry.gauge("alert_router_kafka_prefetch_messages", "Messages in librdkafka's queue.")
        lagTotal = registry.gauge("alert_router_kafka_lag_messages", "Messages behind the end, all partitions.")
        throttle = registry.gauge(
            "alert_router_kafka_throttle_milliseconds", "Longest delay by which a broker throttled us, last report.")
        brokersUp = registry.gauge("alert_router_kafka_brokers_up", "Brokers with an open connection.")
        roundTrip = registry.gauge(
            "alert_router_kafka_round_trip_milliseconds", "Mean time of a request to the slowest broker, last report.")
    }

    func observe(_ outstanding: (byteCount: Int, messageCount: Int, batchCount: Int)) {
        outstandingBytes.set(Double(outstanding.byteCount))
        outstandingMessages.set(Double(outstanding.messageCount))
    }

    func observe(_ report: StatisticsReport) {
        var total: Int64 = 0
        for entry in report.partitions {
            guard let lag = entry.lag else { continue }
            total &+= lag
            gauge(for: entry.partition).set(Double(lag))
        }
        lagTotal.set(Double(total))
        // All partitions share one queue, and each reports the whole of it.
        prefetchBytes.set(Double(report.partitions.map(\.queueByteCount).max() ?? 0))
        prefetchMessages.set(Double(report.partitions.map(\.queueMessageCount).max() ?? 0))
        throttle.set(Double(report.brokers.compactMap(\.throttleMilliseconds).max() ?? 0))
        brokersUp.set(Double(report.brokers.count { $0.isUp }))
        roundTrip.set(Double(report.brokers.compactMap(\.roundTripMicroseconds).max() ?? 0) / 1000)
    }

    private func gauge(for partition: TopicPartition) -> Gauge {
        lags.withLock { lags in
            if let gauge = lags[partition] { return gauge }
            // The registry bounds the series; this map is bounded by the partitions that exist.
            let gauge = registry.gauge(
                "alert_router_kafka_partition_lag_messages", "Messages behind the end of a partition.",
                labels: ["topic": partition.topic, "partition": String(partition.partition)])
            lags[partition] = gauge
            return gauge
        }
    }
}
