import Core
import KafkaClient
import Logging
import Synchronization

/// Produces the crash stream at a steady rate until it is stopped, and remembers every row.
final class CrashFeed: Sendable {
    private struct State {
        var rows: [CrashRow] = []
        /// Messages the broker has acknowledged.
        var producedCount = 0
        var isStopping = false
        var failure: String?
    }

    private let producer: KafkaProducer
    private let clock = SystemWallClock()
    private let state = Mutex(State())

    init(bootstrap: String) throws {
        producer = try KafkaProducer(
            configuration: try KafkaConfiguration(properties: ["bootstrap.servers": bootstrap, "linger.ms": "0"]),
            metrics: MetricsRegistry(), logger: Logger(label: "feed") { _ in SwiftLogNoOpLogHandler() })
    }

    var rows: [CrashRow] { state.withLock { $0.rows } }
    var producedCount: Int { state.withLock { $0.producedCount } }
    var failure: String? { state.withLock { $0.failure } }

    func stop() { state.withLock { $0.isStopping = true } }

    /// Runs until ``stop()``.
    func run(seed: UInt64, rate: Int) async {
        var stream = CrashStream(seed: seed)
        let start = clock.now()
        var count = 0
        do {
            while !state.withLock({ $0.isStopping }) {
                let now = clock.now()
                let due = Int(now.milliseconds(since: start)) * rate / 1000 - count
                let part = (0..<min(max(due, 0), 500)).map { _ in stream.next(milliseconds: now.milliseconds) }
                count += part.count
                if !part.isEmpty { try await send(part) }
                try await clock.sleep(until: now.adding(milliseconds: 4))
            }
        } catch {
            state.withLock { $0.failure = "producing failed: \(error)" }
        }
        await producer.shutdown()
    }

    private func send(_ changes: [CrashChange]) async throws {
        state.withLock { $0.rows += changes.map(\.row) }
        let messages = changes.flatMap { change in
            change.values.map { value in
                ProducerMessage(
                    topic: CrashStream.topic, partition: Int32(change.row.partition),
                    key: Array(change.row.unitId.utf8), value: value, headers: [],
                    timestamp: Timestamp(milliseconds: change.row.committedAt))
            }
        }
        for report in try await producer.send(messages) {
            if case .failure(let error) = report.result { throw error }
        }
        state.withLock { $0.producedCount += messages.count }
    }
}
