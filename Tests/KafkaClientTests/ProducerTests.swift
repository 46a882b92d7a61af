import Core
import KafkaClient
import Synchronization
import Testing

/// Deliveries: retried, refused, bounded, flushed.
struct ProducerTests {
    @Test func `lost answers are retried without duplicates`() async throws {
        let world = try World(topics: ["orders": 1])
        try world.cluster.pushErrors([.requestTimedOut, .connectionLost, .notLeaderForPartition], for: .produce)
        let producer = try world.producer()
        let reports = try await producer.send(
            (0..<50).map { .init(topic: "orders", key: nil, value: bytes("\($0)")) })
        #expect(reports.allSatisfy { if case .success = $0.result { true } else { false } })
        await producer.shutdown()
        let consumer = try world.consumer(["orders"])
        #expect(try await consumer.assignAll().first?.high == 50)
        #expect(try await consumer.receive(50).map(\.value) == (0..<50).map { bytes("\($0)") })
        await consumer.shutdown()
    }

    @Test func `a message that is refused fails alone, with its reason`() async throws {
        let world = try World(topics: ["orders": 1])
        let producer = try world.producer(["message.max.bytes": "2000"])
        let reports = try await producer.send([
            .init(topic: "orders", key: nil, value: bytes("a")),
            .init(topic: "orders", key: nil, value: [UInt8](repeating: 1, count: 4000)),
            .init(topic: "orders", key: nil, value: bytes("b")),
        ])
        #expect(try reports[0].result.get().offset == 0)
        let error = #expect(throws: KafkaError.self) { try reports[1].result.get() }
        #expect(error?.code == .deliveryFailed)
        #expect(error?.name == "MSG_SIZE_TOO_LARGE")
        #expect(!reports[1].isAmbiguous)
        #expect(try reports[2].result.get().offset == 1)
        await producer.shutdown()
    }

    @Test func `what is not delivered in time fails and may have arrived`() async throws {
        let world = try World(topics: ["orders": 1])
        let producer = try world.producer(["message.timeout.ms": "300", "enable.idempotence": "false"])
        // On a busy machine it may take longer than that to connect; only what comes afterwards is asked for.
        try await within("a connection") {
            while (try? await producer.produce(.init(topic: "orders", key: nil, value: bytes("a")))) == nil {}
        }
        try world.cluster.setBrokerDown(nil)
        let error = await #expect(throws: KafkaError.self) {
            try await within("the failure") {
                try await producer.produce(.init(topic: "orders", key: nil, value: bytes("b")))
            }
        }
        #expect(error?.name == "_MSG_TIMED_OUT")
        await producer.shutdown()
    }

    @Test func `callers wait when too much is on its way, and all is delivered`() async throws {
        let world = try World(topics: ["orders": 4])
        let producer = try world.producer(["linger.ms": "5"])
        try world.cluster.setBrokerDown(nil)
        let count = KafkaProducer.inFlightCountMax + 20_000
        let sending = Task {
            try await producer.send(
                (0..<count).map { .init(topic: "orders", partition: Int32($0 % 4), key: nil, value: [1]) })
        }
        try await within("a full producer") {
            while producer.inFlightCount < KafkaProducer.inFlightCountMax {
                try Task.checkCancellation()
                await Task.yield()
            }
        }
        #expect(producer.inFlightCount == KafkaProducer.inFlightCountMax)
        try world.cluster.setBrokerUp(nil)
        let delivered = try await within("all deliveries", limit: .seconds(40)) {
            try await sending.value.count { if case .success = $0.result { true } else { false } }
        }
        #expect(delivered == count)
        #expect(producer.inFlightCount == 0)
        await producer.shutdown()
    }

    @Test func `flush sends at once what lingers`() async throws {
        let world = try World(topics: ["orders": 1])
        let producer = try world.producer(["linger.ms": "60000"])
        let sending = Task { try await producer.produce(.init(topic: "orders", key: nil, value: [1])) }
        try await within("a message on its way") { while producer.inFlightCount == 0 { await Task.yield() } }
        #expect(await producer.flush(within: .seconds(20)))
        #expect(try await sending.value.offset == 0)
        await producer.shutdown()
    }

    @Test func `a shutdown fails what cannot be delivered`() async throws {
        let world = try World(topics: ["orders": 1])
        var configuration = try world.configuration()
        configuration.shutdownTimeout = .milliseconds(200)
        let producer = try KafkaProducer(configuration: configuration, metrics: world.metrics, logger: quiet)
        try world.cluster.setBrokerDown(nil)
        let sending = Task { try await producer.produce(.init(topic: "orders", key: nil, value: [1])) }
        try await within("a message on its way") { while producer.inFlightCount == 0 { await Task.yield() } }
        await producer.shutdown()
        await #expect(throws: KafkaError.self) { try await within("the failure") { try await sending.value } }
        await #expect(throws: KafkaError.self) {
            try await producer.produce(.init(topic: "orders", key: nil, value: [1]))
        }
    }
}
