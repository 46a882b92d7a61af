import CRdKafka
import Core
import Testing

@testable import KafkaClient

/// The consumer under trouble: slow readers, lost brokers, offsets that are gone, errors, shutdowns.
struct ConsumerTests {
    private static func fill(_ world: World, _ topic: String, count: Int, valueByteCount: Int) async throws {
        let producer = try world.producer(["linger.ms": "5"])
        let value = [UInt8](repeating: 120, count: valueByteCount)
        _ = try await producer.send((0..<count).map { .init(topic: topic, key: bytes("\($0)"), value: value) })
        await producer.shutdown()
    }

    /// Waits for a state that other threads bring about.
    private static func wait(_ what: String, _ isTrue: @escaping @Sendable () -> Bool) async throws {
        try await within(what) {
            while !isTrue() {
                try Task.checkCancellation()
                await Task.yield()
            }
        }
    }

    @Test func `a slow reader bounds what is buffered, and nothing is lost`() async throws {
        let world = try World(topics: ["orders": 4])
        try await ConsumerTests.fill(world, "orders", count: 4000, valueByteCount: 1000)
        let high = 64 << 10
        let batch = 16 << 10
        let consumer = try world.consumer(["orders"]) {
            $0.bufferLimits = .init(
                byteCountHigh: high, byteCountLow: high / 2, messageCountHigh: 1 << 20, messageCountLow: 1 << 19)
            $0.batchLimits.byteCountMax = batch
        }
        try await consumer.assignAll()
        try await ConsumerTests.wait("back-pressure") { consumer.outstanding.byteCount >= high }
        // The thread still serves callbacks and orders.
        let metrics = world.metrics
        try await ConsumerTests.wait("statistics under back-pressure") {
            metrics.prometheusText().split(separator: "\n").contains {
                $0.hasPrefix("alert_router_kafka_outstanding_bytes") && !$0.hasSuffix(" 0")
            }
        }
        try await consumer.pause([TopicPartition(topic: "orders", partition: 0)])
        try await consumer.resume([TopicPartition(topic: "orders", partition: 0)])
        #expect(consumer.outstanding.byteCount < high + batch + 1100)
        let received = try await consumer.receive(4000)
        #expect(Set(received.map(\.key)).count == 4000)
        for partition in Int32(0)..<4 {
            let offsets = received.filter { $0.partition.partition == partition }.map(\.offset)
            #expect(offsets == Array(0..<Int64(offsets.count)))
        }
        await consumer.shutdown()
        #expect(consumer.outstanding.byteCount == 0)
    }

    @Test func `a batch that is held counts until it is released`() async throws {
        let world = try World(topics: ["orders": 1])
        try await ConsumerTests.fill(world, "orders", count: 10, valueByteCount: 100)
        let consumer = try world.consumer(["orders"])
        try await consumer.assignAll()
        var held = try await consumer.read("a batch") { if case .batch = $0 { true } else { false } }
        #expect(consumer.outstanding.messageCount > 0)
        held = []
        #expect(held.isEmpty)
        try await ConsumerTests.wait("the release") {
            consumer.outstanding.messageCount == 0 || consumer.outstanding.byteCount > 0
        }
        await consumer.shutdown()
    }

    @Test func `a full pre-fetch queue does not stop fetching for a second`() async throws {
        let world = try World(topics: ["orders": 4])
        try await ConsumerTests.fill(world, "orders", count: 10_000, valueByteCount: 1000)
        // 10 MB through a queue of 128 KiB: with a stop of one second each time it is full this takes over a minute.
        var configuration = try world.configuration([
            "queued.max.messages.kbytes": "128", "fetch.message.max.bytes": "65536",
        ])
        configuration.partitionDiscoveryInterval = .seconds(60)
        let consumer = try KafkaConsumer(
            configuration: configuration, topics: ["orders"], metrics: world.metrics, logger: quiet)
        try await consumer.assignAll()
        #expect(try await consumer.receive(10_000).count == 10_000)
        await consumer.shutdown()
    }

    @Test func `an offset out of range is told and the partition stands still`() async throws {
        let world = try World(topics: ["orders": 2])
        try await ConsumerTests.fill(world, "orders", count: 20, valueByteCount: 10)
        let consumer = try world.consumer(["orders"])
        let first = TopicPartition(topic: "orders", partition: 0)
        let second = TopicPartition(topic: "orders", partition: 1)
        try await consumer.assign([first: 5000, second: 0])
        let events = try await consumer.read("out of range") { if case .offsetOutOfRange = $0 { true } else { false } }
        guard case .offsetOutOfRange(first, offset: 5000) = events.last else {
            Issue.record("unexpected \(String(describing: events.last))")
            return
        }
        for case .batch(let batch) in events { #expect(batch.received.allSatisfy { $0.partition == second }) }
        // Assigned anew, it is read.
        try await consumer.assign(adding: [first: 0])
        let later = try await consumer.read("the partition") {
            if case .batch(let batch) = $0 { batch.received.contains { $0.partition == first } } else { false }
        }
        #expect(!later.isEmpty)
        await consumer.shutdown()
    }

    @Test func `a broker that goes away is told, and reading goes on when it is back`() async throws {
        let world = try World(topics: ["orders": 1])
        try await ConsumerTests.fill(world, "orders", count: 5, valueByteCount: 10)
        let consumer = try world.consumer(["orders"])
        let partition = TopicPartition(topic: "orders", partition: 0)
        try await consumer.assignAll()
        _ = try await consumer.read("a live leader") {
            if case .leaderState(live: [partition], lost: []) = $0 { true } else { false }
        }
        try world.cluster.setBrokerDown(nil)
        let down = try await consumer.read("the lost leader") {
            if case .leaderState(live: [], lost: [partition]) = $0 { true } else { false }
        }
        #expect(down.contains { if case .brokerState(live: false) = $0 { true } else { false } })
        try world.cluster.setBrokerUp(nil)
        try await ConsumerTests.fill(world, "orders", count: 5, valueByteCount: 10)
        let up = try await consumer.read("messages after the outage") {
            if case .batch(let batch) = $0 { batch.messages.contains { $0.offset == 9 } } else { false }
        }
        var offsets: [Int64] = []
        for case .batch(let batch) in up { offsets += batch.received.map(\.offset) }
        #expect(offsets == [5, 6, 7, 8, 9])
        await consumer.shutdown()
    }

    @Test func `fetch errors are passed over and no message is lost`() async throws {
        let world = try World(topics: ["orders": 1])
        try await ConsumerTests.fill(world, "orders", count: 100, valueByteCount: 10)
        try world.cluster.pushErrors(
            [.notLeaderForPartition, .connectionLost, .storageError, .connectionLost], for: .fetch)
        let consumer = try world.consumer(["orders"])
        try await consumer.assignAll()
        #expect(try await consumer.receive(100).map(\.offset) == Array(0..<100))
        await consumer.shutdown()
    }

    @Test func `a topic that appears later brings new partitions`() async throws {
        let world = try World(topics: ["orders": 1])
        try world.cluster.setTopicError(.unknownTopicOrPartition, topic: "later")
        let consumer = try world.consumer(["orders", "later"])
        let found = try await consumer.partitions(within: .seconds(10))
        #expect(found.map(\.topicPartition) == [TopicPartition(topic: "orders", partition: 0)])
        try await consumer.assign([found[0].topicPartition: found[0].low])
        try world.cluster.setTopicError(nil, topic: "later")
        let events = try await consumer.read("new partitions") { if case .newPartitions = $0 { true } else { false } }
        guard case .newPartitions(let new)? = events.last else { return }
        #expect(new.allSatisfy { $0.topic == "later" } && !new.isEmpty)
        try await consumer.assign(adding: Dictionary(uniqueKeysWithValues: new.map { ($0, 0) }))
        try await ConsumerTests.fill(world, "later", count: 1, valueByteCount: 10)
        let received = try await consumer.receive(1)
        #expect(received.first?.partition.topic == "later")
        await consumer.shutdown()
    }

    @Test func `a topic that nobody knows is an error that names it`() async throws {
        let world = try World(topics: [:])
        try world.cluster.setTopicError(.unknownTopicOrPartition, topic: "misspelt")
        let consumer = try world.consumer(["misspelt"])
        let error = await #expect(throws: KafkaError.self) { try await consumer.partitions(within: .seconds(10)) }
        #expect(error?.code == .unknownTopic)
        #expect(error?.message.contains("'misspelt'") == true)
        await consumer.shutdown()
    }

    @Test func `a question without an answer ends at its limit`() async throws {
        let world = try World(topics: ["orders": 1])
        try world.cluster.setBrokerDown(nil)
        let consumer = try world.consumer(["orders"])
        let error = await #expect(throws: KafkaError.self) { try await consumer.partitions(within: .milliseconds(200)) }
        #expect(error?.code == .timedOut || error?.code == .broker)
        await consumer.shutdown()
    }

    @Test func `a shutdown ends a question about offsets that the broker does not answer`() async throws {
        let world = try World(topics: ["orders": 1])
        let consumer = try world.consumer(["orders"])
        _ = try await consumer.partitions(within: .seconds(10))
        for _ in 0..<8 { try world.cluster.pushDelay(.seconds(60), nil, for: .listOffsets, broker: 1) }
        let question = Task { try await consumer.partitions(within: .seconds(60)) }
        // The lookup thread is idle and takes it at once.
        for _ in 0..<1000 { await Task.yield() }
        await consumer.shutdown()
        #expect(await consumer.core.stopLatch.wait(atMost: .seconds(15)))
        await #expect(throws: KafkaError.self) { try await question.value }
    }

    @Test func `a fatal error ends the consumer with its reason`() async throws {
        let world = try World(topics: ["orders": 1])
        let consumer = try world.consumer(["orders"])
        try await consumer.assignAll()
        rd_kafka_test_fatal_error(consumer.core.handle.client, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "a test")
        let error = await #expect(throws: KafkaError.self) {
            try await within("the fatal error") { while try await consumer.next() != nil {} }
        }
        #expect(error?.code == .fatal)
        #expect(error?.name == "FENCED_INSTANCE_ID")
        await consumer.shutdown()
        await #expect(throws: KafkaError.self) { try await consumer.assign([:]) }
    }

    @Test func `batches that are held stay valid after a shutdown`() async throws {
        let world = try World(topics: ["orders": 1])
        try await ConsumerTests.fill(world, "orders", count: 3, valueByteCount: 10)
        let consumer = try world.consumer(["orders"]) { $0.shutdownTimeout = .milliseconds(100) }
        try await consumer.assignAll()
        var held: [RawBatch] = []
        let events = try await consumer.read("messages") {
            if case .batch(let batch) = $0 { batch.messages.contains { $0.offset == 2 } } else { false }
        }
        for case .batch(let batch) in consume events { held.append(batch) }
        await consumer.shutdown()
        #expect(held.flatMap(\.received).map(\.value) == Array(repeating: [UInt8](repeating: 120, count: 10), count: 3))
        #expect(await !consumer.core.stopLatch.wait(atMost: .zero))
        held = []
        #expect(await consumer.core.stopLatch.wait(atMost: .seconds(10)))
        #expect(try await consumer.next() == nil)
    }

    @Test func `cancelling the reading task ends its wait`() async throws {
        let world = try World(topics: ["orders": 1])
        let consumer = try world.consumer(["orders"])
        let task = Task { while try await consumer.next() != nil {} }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        await consumer.shutdown()
        await consumer.shutdown()
    }

    @Test func `a consumer that is dropped without a shutdown ends on its own`() async throws {
        let world = try World(topics: ["orders": 1])
        var consumer: KafkaConsumer? = try world.consumer(["orders"])
        try await consumer?.assignAll()
        let core = try #require(consumer?.core)
        consumer = nil
        #expect(consumer == nil)
        #expect(await core.stopLatch.wait(atMost: .seconds(10)))
    }
}
