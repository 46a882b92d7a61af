internal import CRdKafka
internal import Core
internal import Logging
internal import Synchronization

// SAFETY: the client is polled and destroyed by the producer's thread only. librdkafka copies key and value inside
// crdkafka_produce, which any thread may call while `ifOpen` holds the client; headers belong to librdkafka after a
// success and are destroyed here after a failure. The opaque of a message is a number, not a pointer.

/// Gathers the reports of messages that were sent together.
final class DeliveryGroup: Sendable {
    private struct State {
        var reports: [DeliveryReport]
        var openCount: Int
        var waiter: CheckedContinuation<[DeliveryReport], Never>?
    }
    private let state: Mutex<State>

    init(count: Int) {
        let missing = DeliveryReport(result: .failure(KafkaError(.shutDown, "never sent")), isAmbiguous: false)
        state = Mutex(State(reports: Array(repeating: missing, count: count), openCount: count))
    }

    func settle(_ index: Int, _ report: DeliveryReport) {
        let done = state.withLock { state -> (CheckedContinuation<[DeliveryReport], Never>, [DeliveryReport])? in
            state.reports[index] = report
            state.openCount -= 1
            guard state.openCount == 0, let waiter = state.waiter else { return nil }
            state.waiter = nil
            return (waiter, state.reports)
        }
        if let (waiter, reports) = done { waiter.resume(returning: reports) }
    }

    func reports() async -> [DeliveryReport] {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> [DeliveryReport]? in
                if state.openCount == 0 { return state.reports }
                state.waiter = continuation
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
    }
}

/// What a producer and its thread share.
final class ProducerCore: ClientObserver {
    private struct Entry {
        var group: DeliveryGroup
        var index: Int
        var byteCount: Int
    }

    private struct State {
        var entries: [UInt: Entry] = [:]
        var nextNumber: UInt = 1
        var byteCount = 0
        var roomWaiters: [(id: Int, continuation: CheckedContinuation<Void, any Error>)] = []
        var emptyWaiters: [Int: CheckedContinuation<Bool, Never>] = [:]
        var waiterNumber = 0
        var isRefusing = false
        var isStopping = false
        var isStopped = false
        var failure: KafkaError?

        var hasRoom: Bool {
            entries.count < KafkaProducer.inFlightCountMax && byteCount < KafkaProducer.inFlightByteCountMax
        }
    }

    /// Callers that may wait for room.
    static let roomWaiterCountMax = 10_000

    let configuration: KafkaConfiguration
    let handle: ClientHandle
    /// Open when the thread has destroyed the client.
    let stopLatch = StopLatch()
    private let logger: Logger
    private let context: ClientContext
    private let state = Mutex(State())
    private let delivered: Counter
    private let failed: Counter
    private let inFlight: Gauge

    init(configuration: KafkaConfiguration, metrics: MetricsRegistry, logger: Logger) throws(KafkaError) {
        self.configuration = configuration
        self.logger = logger
        delivered = metrics.counter("alert_router_kafka_produced_total", "Messages that a broker acknowledged.")
        failed = metrics.counter("alert_router_kafka_produce_failures_total", "Messages that were not acknowledged.")
        inFlight = metrics.gauge("alert_router_kafka_produce_in_flight", "Messages produced and not acknowledged yet.")
        context = ClientContext(logger: logger, configuration: configuration)
        handle = try ClientHandle(.producer, configuration, context)
        context.observer = self
    }

    // MARK: Called by anyone

    var inFlightCount: Int { state.withLock { $0.entries.count } }

    func waitForRoom(byteCount: Int) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let answer: Result<Void, any Error>? = state.withLock { state in
                if let failure = state.failure { return .failure(failure) }
                if state.isRefusing { return .failure(KafkaError(.shutDown, "the Kafka producer was shut down")) }
                if state.hasRoom { return .success(()) }
                guard state.roomWaiters.count < ProducerCore.roomWaiterCountMax else {
                    return .failure(KafkaError(.queueFull, "too many callers wait for the Kafka producer"))
                }
                state.waiterNumber += 1
                state.roomWaiters.append((state.waiterNumber, continuation))
                return nil
            }
            if let answer { continuation.resume(with: answer) }
        }
    }

    /// Hands messages to librdkafka from `start` on while there is room.
    /// - Returns: the index of the first message that was not handed over.
    func produce(_ messages: [ProducerMessage], from start: Int, group: DeliveryGroup) -> Int {
        var index = start
        while index < messages.count {
            let message = messages[index]
            let number: UInt? = state.withLock { state in
                guard state.hasRoom, !state.isStopping else { return nil }
                defer { state.nextNumber += 1 }
                state.entries[state.nextNumber] = Entry(group: group, index: index, byteCount: message.byteCount)
                state.byteCount += message.byteCount
                return state.nextNumber
            }
            guard let number else { break }
            let error = hand(message, number: number)
            index += 1
            if error == RD_KAFKA_RESP_ERR__QUEUE_FULL {
                // Only where a property made librdkafka's bound smaller than ours: wait for deliveries, then again.
                take(number)
                return index - 1
            }
            if error != RD_KAFKA_RESP_ERR_NO_ERROR {
                let failure = KafkaError(.deliveryFailed, error, doing: "producing to '\(message.topic)'")
                settle(number, DeliveryReport(result: .failure(failure), isAmbiguous: false))
            }
        }
        return index
    }

    private func hand(_ message: ProducerMessage, number: UInt) -> rd_kafka_resp_err_t {
        var error = RD_KAFKA_RESP_ERR__DESTROY
        handle.ifOpen { client in
            let headers = makeHeaders(message.headers)
            error = withBytes(message.value) { value in
                withBytes(message.key) { key in
                    crdkafka_produce(
                        client, message.topic, message.partition ?? RD_KAFKA_PARTITION_UA, value.baseAddress,
                        value.count, key.baseAddress, key.count, message.timestamp?.milliseconds ?? 0, headers,
                        UnsafeMutableRawPointer(bitPattern: number))
                }
            }
            if error != RD_KAFKA_RESP_ERR_NO_ERROR, let headers { rd_kafka_headers_destroy(headers) }
        }
        return error
    }

    /// An empty value needs an address, because none means a tombstone.
    private func withBytes<Result>(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        guard let bytes else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        if bytes.isEmpty {
            return withUnsafeBytes(of: UInt8(0)) { body(UnsafeRawBufferPointer(rebasing: $0[..<0])) }
        }
        return bytes.withUnsafeBytes(body)
    }

    private func makeHeaders(_ headers: [ProducerMessage.Header]) -> OpaquePointer? {
        guard !headers.isEmpty, let list = rd_kafka_headers_new(headers.count) else { return nil }
        for header in headers {
            withBytes(header.value) { value in
                _ = rd_kafka_header_add(list, header.name, -1, value.baseAddress, value.count)
            }
        }
        return list
    }

    func flush(within limit: Duration) async -> Bool {
        let id = state.withLock { state in
            state.waiterNumber += 1
            return state.waiterNumber
        }
        // A task of its own: the limit must end the wait while deliveries still hang.
        let watchdog = Task.detached {
            try? await ContinuousClock().sleep(for: limit)
            self.state.withLock { $0.emptyWaiters.removeValue(forKey: id) }?.resume(returning: false)
        }
        defer { watchdog.cancel() }
        return await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.entries.isEmpty || state.isStopped { return true }
                state.emptyWaiters[id] = continuation
                return false
            }
            if isEmpty { continuation.resume(returning: true) } else { handle.wake() }
        }
    }

    func refuseMore() {
        let waiters = state.withLock { state in
            state.isRefusing = true
            defer { state.roomWaiters = [] }
            return state.roomWaiters
        }
        for waiter in waiters {
            waiter.continuation.resume(throwing: KafkaError(.shutDown, "the Kafka producer was shut down"))
        }
    }

    func requestStop() {
        refuseMore()
        state.withLock { $0.isStopping = true }
        handle.wake()
    }

    // MARK: The thread

    func run() {
        let client = handle.client
        while !state.withLock({ $0.isStopping }) {
            if state.withLock({ $0.emptyWaiters.isEmpty }) {
                rd_kafka_poll(client, 100)
            } else {
                // Sends without lingering, and serves the reports meanwhile.
                rd_kafka_flush(client, 100)
            }
            inFlight.set(Double(inFlightCount))
        }
        rd_kafka_purge(client, Int32(RD_KAFKA_PURGE_F_QUEUE) | Int32(RD_KAFKA_PURGE_F_INFLIGHT))
        rd_kafka_poll(client, 100)
        handle.destroy()
        stopped()
    }

    private func stopped() {
        let (entries, empty) = state.withLock { state in
            state.isStopped = true
            defer {
                state.entries = [:]
                state.byteCount = 0
                state.emptyWaiters = [:]
            }
            return (Array(state.entries.values), Array(state.emptyWaiters.values))
        }
        for entry in entries {
            let failure = KafkaError(.shutDown, "the Kafka producer was shut down")
            entry.group.settle(entry.index, DeliveryReport(result: .failure(failure), isAmbiguous: true))
        }
        for waiter in empty { waiter.resume(returning: true) }
        stopLatch.open()
    }

    // MARK: Deliveries

    func clientDelivered(_ message: UnsafePointer<rd_kafka_message_t>) {
        let number = UInt(bitPattern: message.pointee._private)
        let error = message.pointee.err
        if error == RD_KAFKA_RESP_ERR_NO_ERROR {
            delivered.add()
            let location = DeliveryReport.Location(
                partition: message.pointee.partition, offset: message.pointee.offset)
            return settle(number, DeliveryReport(result: .success(location), isAmbiguous: false))
        }
        failed.add()
        let topic = message.pointee.rkt.flatMap { rd_kafka_topic_name($0) }.map { String(cString: $0) } ?? ""
        let failure = KafkaError(.deliveryFailed, error, doing: "producing to '\(topic)'")
        let isAmbiguous = rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED
        settle(number, DeliveryReport(result: .failure(failure), isAmbiguous: isAmbiguous))
    }

    @discardableResult
    private func take(_ number: UInt) -> Entry? {
        let (entry, room, empty) = state.withLock { state in
            let entry = state.entries.removeValue(forKey: number)
            state.byteCount -= entry?.byteCount ?? 0
            var room: CheckedContinuation<Void, any Error>?
            if state.hasRoom, !state.roomWaiters.isEmpty { room = state.roomWaiters.removeFirst().continuation }
            var empty: [CheckedContinuation<Bool, Never>] = []
            if state.entries.isEmpty {
                empty = Array(state.emptyWaiters.values)
                state.emptyWaiters = [:]
            }
            return (entry, room, empty)
        }
        room?.resume()
        for waiter in empty { waiter.resume(returning: true) }
        return entry
    }

    private func settle(_ number: UInt, _ report: DeliveryReport) {
        guard let entry = take(number) else { return }
        entry.group.settle(entry.index, report)
    }

    // MARK: ClientObserver

    func clientFailed(_ error: rd_kafka_resp_err_t, text: String, isFatal: Bool) {
        let name = KafkaLibrary.name(of: error)
        guard isFatal else {
            return logger.debug("Kafka producer error", metadata: ["name": "\(name)", "text": "\(text)"])
        }
        logger.error("the Kafka producer cannot go on", metadata: ["reason": "\(text)"])
        var message = "Kafka producer: \(text)"
        if error == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE {
            message += "; where the broker has no idempotent producers, set enable.idempotence=false"
        }
        let failure = KafkaError(.fatal, message, name: name)
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = failure }
            defer { state.roomWaiters = [] }
            return state.roomWaiters
        }
        for waiter in waiters { waiter.continuation.resume(throwing: failure) }
    }

    func clientStatistics(_ json: [UInt8]) {}
    func clientCommitted(_ error: rd_kafka_resp_err_t, partitionCount: Int) {}
}
