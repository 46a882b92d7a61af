// HOT
internal import CRdKafka
internal import Core
internal import Logging

// SAFETY: runs on its own thread, which is the only one that polls, assigns, pauses, commits and destroys the client.
// Messages go to the batch builder, which owns them, or are destroyed here.

/// The loop of the thread that owns a consumer's librdkafka client.
final class ConsumerThread {
    private let core: ConsumerCore
    private let client: OpaquePointer
    private var builder: BatchBuilder
    private let batchNanosecondsMax: Int64
    private var assignment: [TopicPartition: Int64] = [:]
    /// Ends reached while a batch is filled; a later message of the same partition takes its end back.
    private var pendingEnds: [(slot: Int, offset: Int64)] = []
    private var wasAbove = false
    private var nextCommit: Int64 = 0
    /// Before librdkafka 2.2, a fetcher that found the queue full sleeps for up to a second; see `wakeFetchers`.
    private let wakesFetchers = !KafkaLibrary.isBackoffConfigurable
    private let wakeByteCount: Int
    private var byteCountSinceWake = 0

    /// How long one poll may block; orders and back-pressure end it early.
    private static let pollMilliseconds: Int32 = 100
    /// Commits per partition are at least this far apart: Event Hubs allows four a second.
    private static let commitNanoseconds: Int64 = 1_000_000_000

    init(core: ConsumerCore) {
        self.core = core
        client = core.handle.client
        builder = BatchBuilder(ledger: core.ledger, limits: core.configuration.batchLimits)
        batchNanosecondsMax = core.configuration.batchLimits.durationMax.wholeMilliseconds * 1_000_000
        let properties = core.configuration.effectiveProperties(.consumer)
        wakeByteCount = (properties["queued.max.messages.kbytes"].flatMap { Int($0) } ?? 16_384) * 1024 / 8
    }

    func run(lookupThread: POSIXThread) {
        while !core.isStopping, core.failure == nil {
            serveCommands()
            rd_kafka_poll(client, 0)
            flushCommits(now: monotonicNanoseconds())
            if core.ledger.isAbove || core.bridge.isFull {
                waitForRelease()
            } else {
                wasAbove = false
                fillBatch()
            }
        }
        stop(lookupThread: lookupThread)
    }

    // MARK: Reading

    /// Above the mark: the callbacks are served on, but no message is taken; librdkafka's own queue bounds the rest.
    private func waitForRelease() {
        if !wasAbove { core.metrics.pauses.add() }
        wasAbove = true
        rd_kafka_poll(client, ConsumerThread.pollMilliseconds)
    }

    private func fillBatch() {
        guard var message = rd_kafka_consumer_poll(client, ConsumerThread.pollMilliseconds) else { return }
        let deadline = monotonicNanoseconds() + batchNanosecondsMax
        while true {
            take(message)
            if builder.isFull || (builder.count & 63 == 63 && monotonicNanoseconds() > deadline) { break }
            guard let next = rd_kafka_consumer_poll(client, 0) else { break }
            message = next
        }
        handOver()
    }

    @inline(__always)
    private func take(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return takeControl(message) }
        let slot = builder.append(message)
        if !pendingEnds.isEmpty { pendingEnds.removeAll { $0.slot == slot } }
    }

    private func handOver() {
        var events: [SourceEvent] = []
        if let (batch, byteCount) = builder.finish() {
            core.metrics.messages.add(batch.messages.count)
            core.metrics.bytes.add(byteCount)
            core.metrics.batches.add()
            events.append(.batch(batch))
            byteCountSinceWake += byteCount
        }
        for end in pendingEnds { events.append(.endOfPartition(builder.partition(slot: end.slot), offset: end.offset)) }
        pendingEnds.removeAll(keepingCapacity: true)
        core.bridge.push(events)
        if wakesFetchers, byteCountSinceWake >= wakeByteCount { wakeFetchers() }
    }

    /// Makes the brokers' threads look at the queue again.
    ///
    /// 2.0.2 looks once a second only when the queue was full, which costs up to 90 % of the throughput
    /// (reference/events.md 0). Setting the credentials anew wakes those threads and changes nothing else: the same
    /// values are set, and they are read only where a connection is made.
    private func wakeFetchers() {
        byteCountSinceWake = 0
        let credentials = core.configuration.credentials
        _ = consumeError(
            rd_kafka_sasl_set_credentials(client, credentials.user, credentials.password), doing: "waking the fetchers")
    }

    // MARK: What is no message

    private func takeControl(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        defer { rd_kafka_message_destroy(message) }
        let error = message.pointee.err
        let topic = message.pointee.rkt
        if error == RD_KAFKA_RESP_ERR__PARTITION_EOF {
            let slot = builder.slot(topic, message.pointee.partition)
            pendingEnds.removeAll { $0.slot == slot }
            return pendingEnds.append((slot, message.pointee.offset))
        }
        let text = rd_kafka_message_errstr(message).map { String(cString: $0) } ?? KafkaLibrary.text(of: error)
        if error == RD_KAFKA_RESP_ERR__FATAL { return failFatally(text) }
        let partition = topic == nil ? nil : builder.partition(topic, message.pointee.partition)
        core.metrics.errors.add()
        // What came before it is handed over before it.
        handOver()
        if error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, let partition {
            core.logger.error(
                "an offset is out of range", metadata: ["partition": "\(partition)", "reason": "\(text)"])
            core.bridge.push([.offsetOutOfRange(partition, offset: message.pointee.offset)])
        } else {
            core.logger.debug(
                "Kafka error", metadata: ["partition": "\(partition?.description ?? "")", "text": "\(text)"])
            core.bridge.push([.partitionError(partition, name: KafkaLibrary.name(of: error), message: text)])
        }
    }

    private func failFatally(_ text: String) {
        let room = 512
        var buffer = [CChar](repeating: 0, count: room)
        let cause = rd_kafka_fatal_error(client, &buffer, room)
        let reason = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // What came before it is handed over before the end.
        handOver()
        core.clientFailed(cause, text: reason.isEmpty ? text : reason, isFatal: true)
    }

    // MARK: Orders

    private func serveCommands() {
        for command in core.takeCommands() {
            let problem: KafkaError?
            switch command {
            case .assign(let offsets, let generation, _): problem = assign(offsets, generation: generation)
            case .add(let offsets, _): problem = add(offsets)
            case .pause(let partitions, _):
                let list = PartitionList(partitions, offset: 0)
                problem = ConsumerThread.failure(rd_kafka_pause_partitions(client, list.list), "pausing partitions")
            case .resume(let partitions, _):
                let list = PartitionList(partitions, offset: 0)
                problem = ConsumerThread.failure(rd_kafka_resume_partitions(client, list.list), "resuming partitions")
            }
            if let problem {
                command.continuation.resume(throwing: problem)
            } else {
                command.continuation.resume()
            }
        }
    }

    private static func failure(_ error: rd_kafka_resp_err_t, _ action: String) -> KafkaError? {
        error == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(.broker, error, doing: action)
    }

    private func assign(_ offsets: [TopicPartition: Int64], generation: Int) -> KafkaError? {
        let list = PartitionList(offsets)
        if let problem = ConsumerThread.failure(rd_kafka_assign(client, list.list), "assigning partitions") {
            return problem
        }
        // librdkafka gives nothing older than the new assignment from here on; what was given before is dropped.
        builder.discard()
        pendingEnds.removeAll()
        core.bridge.purge()
        core.bridge.push([.assigned(generation: generation)])
        assignment = offsets
        core.setAssigned(Set(offsets.keys))
        return nil
    }

    private func add(_ offsets: [TopicPartition: Int64]) -> KafkaError? {
        let present = offsets.keys.filter { assignment[$0] != nil }
        if !present.isEmpty {
            let list = PartitionList(present, offset: 0)
            let error = rd_kafka_incremental_unassign(client, list.list)
            if let problem = consumeError(error, doing: "assigning partitions anew") { return problem }
        }
        let list = PartitionList(offsets)
        let error = rd_kafka_incremental_assign(client, list.list)
        if let problem = consumeError(error, doing: "assigning more partitions") { return problem }
        assignment.merge(offsets) { $1 }
        core.setAssigned(Set(assignment.keys))
        return nil
    }

    // MARK: Commits

    private func flushCommits(now: Int64) {
        guard now >= nextCommit else { return }
        let commits = core.takeCommits(now: now)
        guard !commits.isEmpty else { return }
        nextCommit = now + ConsumerThread.commitNanoseconds
        let list = PartitionList(commits)
        core.commitStarted(now: now)
        let error = rd_kafka_commit(client, list.list, 1)
        if error != RD_KAFKA_RESP_ERR_NO_ERROR { core.clientCommitted(error, partitionCount: commits.count) }
    }

    // MARK: The end

    private func stop(lookupThread: POSIXThread) {
        core.refuseCommands()
        builder.discard()
        if let failure = core.failure {
            core.bridge.end(failure: failure)
        } else {
            core.bridge.abandon()
        }
        for lookup in core.lookups.close() { lookup.fail(KafkaError(.shutDown, "the Kafka consumer was shut down")) }
        lookupThread.join()
        settleCommits()
        core.ledger.close()
        // Messages live in the client's memory, so it stays until the last batch is released.
        while core.ledger.outstanding.batchCount > 0 { rd_kafka_poll(client, ConsumerThread.pollMilliseconds) }
        core.handle.destroy()
        core.stopped()
    }

    private func settleCommits() {
        let deadline = monotonicNanoseconds() + ConsumerThread.commitNanoseconds
        repeat {
            nextCommit = 0
            flushCommits(now: monotonicNanoseconds())
            if core.isCommitting { rd_kafka_poll(client, 10) }
        } while core.isCommitting && monotonicNanoseconds() < deadline
    }
}
