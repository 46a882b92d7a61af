import Core
import KafkaClient
import Testing

/// What is produced must come out again, byte by byte, through librdkafka's mock cluster.
struct RoundTripTests {
    @Test func `keys, values, headers and times come out as they went in`() async throws {
        let world = try World(topics: ["orders": 1])
        let producer = try world.producer()
        let time = Timestamp(milliseconds: 1_768_196_223_483)
        let headers: [ProducerMessage.Header] = [
            .init(name: "source", value: bytes("äß")), .init(name: "source", value: nil),
            .init(name: "empty", value: []),
        ]
        let messages = [
            ProducerMessage(
                topic: "orders", key: bytes("a"), value: bytes("{\"x\":1}"), headers: headers, timestamp: time),
            ProducerMessage(topic: "orders", key: bytes("a"), value: nil),
            ProducerMessage(topic: "orders", key: bytes("a"), value: []),
            ProducerMessage(topic: "orders", key: nil, value: [0, 255, 10]),
            ProducerMessage(topic: "orders", key: [], value: bytes("b")),
        ]
        let reports = try await producer.send(messages)
        #expect(try reports.map { try $0.result.get().offset } == [0, 1, 2, 3, 4])
        await producer.shutdown()

        let consumer = try world.consumer(["orders"])
        try await consumer.assignAll()
        let received = try await consumer.receive(5)
        #expect(received.map(\.key) == messages.map(\.key))
        #expect(received.map(\.value) == messages.map(\.value))
        #expect(received.map(\.offset) == [0, 1, 2, 3, 4])
        #expect(received[0].headers == headers)
        #expect(received[0].timestamp == time.milliseconds)
        #expect(received[1].headers.isEmpty)
        #expect(received.allSatisfy { $0.partition == TopicPartition(topic: "orders", partition: 0) })
        await consumer.shutdown()
        #expect(try await consumer.next() == nil)
    }

    @Test func `reading starts at the offsets given and tells the end`() async throws {
        let world = try World(topics: ["orders": 2])
        let producer = try world.producer()
        for partition in [Int32(0), 1] {
            _ = try await producer.send(
                (0..<10).map { .init(topic: "orders", partition: partition, key: nil, value: bytes("\($0)")) })
        }
        let consumer = try world.consumer(["orders"])
        let first = TopicPartition(topic: "orders", partition: 0)
        let second = TopicPartition(topic: "orders", partition: 1)
        let found = try await consumer.partitions(within: .seconds(10))
        #expect(found.map(\.low) == [0, 0])
        #expect(found.map(\.high) == [10, 10])
        try await consumer.assign([first: 7, second: 10])
        let received = try await consumer.receive(3)
        #expect(received.map(\.offset) == [7, 8, 9])
        #expect(received.allSatisfy { $0.partition == first })
        // Assigned anew, nothing of the old assignment comes, and the end is told again.
        try await consumer.assign([second: 8], generation: 7)
        let events = try await consumer.read("the end") { if case .endOfPartition = $0 { true } else { false } }
        #expect(events.contains { if case .assigned(generation: 7) = $0 { true } else { false } })
        var offsets: [Int64] = []
        for case .batch(let batch) in events { offsets += batch.received.map(\.offset) }
        #expect(offsets == [8, 9])
        guard case .endOfPartition(second, offset: 10) = events.last else {
            Issue.record("expected the end of \(second) at 10, found \(String(describing: events.last))")
            return
        }
        await consumer.shutdown()
        await producer.shutdown()
    }

    @Test func `the key decides the partition as the Java client does`() async throws {
        let world = try World(topics: ["six": 6])
        let producer = try world.producer()
        // Values of partition_hint in the sample data, which Spark's partitioner gave.
        let expected: [(String, Int32)] = [("INS-00000001", 5), ("INS-00000002", 0)]
        for (key, partition) in expected {
            let location = try await producer.produce(.init(topic: "six", key: bytes(key), value: bytes("x")))
            #expect(location.partition == partition)
        }
        await producer.shutdown()
    }

    @Test func `committed offsets come back to the next consumer`() async throws {
        let world = try World(topics: ["orders": 2])
        let consumer = try world.consumer(["orders"])
        #expect(try await consumer.committedOffsets(within: .seconds(10)) == [:])
        try await consumer.assignAll()
        let first = TopicPartition(topic: "orders", partition: 0)
        consumer.commit([first: 3])
        consumer.commit([first: 4])
        await consumer.shutdown()
        let next = try world.consumer(["orders"])
        #expect(try await next.committedOffsets(within: .seconds(10)) == [first: 4])
        await next.shutdown()
    }

    @Test func `two consumers in one process read the same messages`() async throws {
        let world = try World(topics: ["orders": 3])
        let producer = try world.producer()
        _ = try await producer.send(
            (0..<300).map { .init(topic: "orders", key: bytes("\($0)"), value: bytes("v\($0)")) })
        let one = try world.consumer(["orders"])
        let two = try world.consumer(["orders"])
        try await one.assignAll()
        try await two.assignAll()
        let values = try await [one.receive(300), two.receive(300)].map { Set($0.compactMap(\.value)) }
        #expect(values[0] == values[1])
        #expect(values[0].count == 300)
        await one.shutdown()
        await two.shutdown()
        await producer.shutdown()
    }
}
