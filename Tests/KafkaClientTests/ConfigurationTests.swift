import Core
import Logging
import Synchronization
import Testing

@testable import KafkaClient

/// Properties are passed through and checked; secrets stay secret; tokens come from their source.
struct ConfigurationTests {
    private static func refusal(_ properties: [String: String]) -> KafkaError? {
        do {
            _ = try KafkaConfiguration(properties: properties)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a refused property says which, why, and what may be meant`() {
        let error = ConfigurationTests.refusal([
            "bootstrap.servers": "localhost:1", "fetch.wait.max.mss": "10", "check.crcs": "perhaps",
        ])
        #expect(error?.code == .refusedProperty)
        let lines = error?.message.split(separator: "\n") ?? []
        #expect(lines.count == 2)
        #expect(lines.first?.contains("'check.crcs'") == true)
        #expect(lines.last?.contains("'fetch.wait.max.mss'") == true)
        #expect(lines.last?.contains("did you mean 'fetch.wait.max.ms'?") == true)
    }

    @Test func `properties on which the guarantees rest cannot be changed`() {
        for (name, value) in [
            ("enable.auto.commit", "true"), ("enable.partition.eof", "false"), ("auto.offset.reset", "earliest"),
        ] {
            #expect(ConfigurationTests.refusal([name: value])?.message.contains("because") == true)
        }
        #expect(ConfigurationTests.refusal(["statistics.interval.ms": "0"])?.message.contains("because") == true)
        #expect(ConfigurationTests.refusal(["enable.auto.commit": "false", "auto.offset.reset": "error"]) == nil)
    }

    @Test func `OIDC properties are refused with what to use instead`() throws {
        let error = try #require(
            ConfigurationTests.refusal([
                "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.secret": "hunter2-hunter2",
            ]))
        #expect(error.message.contains("without OIDC"))
        #expect(error.message.contains("kafka.oauth"))
        #expect(!error.message.contains("hunter2"))
        let missing = ConfigurationTests.refusal(["sasl.mechanism": "OAUTHBEARER", "security.protocol": "SASL_SSL"])
        #expect(missing?.message.contains("kafka.oauth") == true)
    }

    @Test func `no secret shows in descriptions, errors or logs`() async throws {
        let secret = "Endpoint=sb://x/;SharedAccessKey=c2VjcmV0"
        let configuration = try KafkaConfiguration(properties: [
            "bootstrap.servers": "127.0.0.1:1", "sasl.password": secret, "sasl.username": "$ConnectionString",
            "sasl.mechanism": "PLAIN", "security.protocol": "SASL_PLAINTEXT", "debug": "all",
        ])
        #expect(configuration["sasl.password"] == "***")
        #expect(configuration["sasl.username"] == "$ConnectionString")
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!"\(configuration) \(String(reflecting: configuration)) \(dumped)".contains("c2VjcmV0"))
        let lines = RecordingLogHandler.Lines()
        let logger = Logger(label: "kafka") { _ in RecordingLogHandler(lines: lines) }
        let consumer = try KafkaConsumer(
            configuration: configuration, topics: ["t"], metrics: MetricsRegistry(), logger: logger)
        _ = try? await consumer.partitions(within: .milliseconds(100))
        await consumer.shutdown()
        #expect(lines.all.contains { $0.contains("librdkafka") })
        #expect(!lines.all.contains { $0.contains("c2VjcmV0") })
    }

    @Test func `a client that cannot be made is an error with librdkafka's reason`() throws {
        let configuration = try KafkaConfiguration(properties: [
            "bootstrap.servers": "127.0.0.1:1", "enable.idempotence": "true", "acks": "1",
        ])
        let error = #expect(throws: KafkaError.self) {
            try KafkaProducer(configuration: configuration, metrics: MetricsRegistry(), logger: quiet)
        }
        #expect(error?.code == .clientFailed)
        #expect(error?.message.contains("acks") == true)
    }

    @Test func `defaults suit Event Hubs and yield to given properties`() throws {
        let configuration = try KafkaConfiguration(properties: [
            "max.partition.fetch.bytes": "2000000", "linger.ms": "1",
        ])
        let consumer = configuration.effectiveProperties(.consumer)
        #expect(consumer["connections.max.idle.ms"] == "180000")
        #expect(consumer["metadata.max.age.ms"] == "180000")
        #expect(consumer["socket.keepalive.enable"] == "true")
        #expect(consumer["enable.partition.eof"] == "true")
        #expect(consumer["auto.offset.reset"] == "error")
        #expect(consumer["max.partition.fetch.bytes"] == "2000000")
        #expect(consumer["fetch.message.max.bytes"] == nil)
        #expect(consumer["linger.ms"] == nil)
        #expect(configuration.effectiveProperties(.producer)["linger.ms"] == "1")
        #expect(configuration.effectiveProperties(.producer)["partitioner"] == "murmur2_random")
    }

    @Test func `a version below 2_3 is warned about`() {
        let parts = KafkaLibrary.version.split(separator: ".").compactMap { Int($0) }
        #expect(parts.count >= 2)
        #expect((KafkaLibrary.versionWarning != nil) == ((parts[0], parts[1]) < (2, 3)))
    }

    private final class CountingSource: TokenSource {
        let calls = Atomic<Int>(0)
        let isFailing: Bool
        init(isFailing: Bool) { self.isFailing = isFailing }
        func token() async throws -> OAuthToken {
            calls.add(1, ordering: .relaxed)
            if isFailing { throw KafkaError(.broker, "the endpoint says no") }
            return OAuthToken(
                value: Secret("header.payload.signature"), expiresAt: Timestamp(milliseconds: 4_000_000_000_000),
                principal: "router", extensions: ["logicalCluster": "lkc-1"])
        }
    }

    @Test(arguments: [false, true]) func `a client asks its source for a token`(isFailing: Bool) async throws {
        let source = CountingSource(isFailing: isFailing)
        let configuration = try KafkaConfiguration(
            properties: [
                "bootstrap.servers": "127.0.0.1:1", "sasl.mechanism": "OAUTHBEARER",
                "security.protocol": "SASL_PLAINTEXT",
            ], tokenSource: source)
        let lines = RecordingLogHandler.Lines()
        let logger = Logger(label: "kafka") { _ in RecordingLogHandler(lines: lines) }
        let consumer = try KafkaConsumer(
            configuration: configuration, topics: ["t"], metrics: MetricsRegistry(), logger: logger)
        try await within("the token") {
            let text = isFailing ? "the endpoint says no" : "a new OAUTHBEARER token"
            while !lines.all.contains(where: { $0.contains(text) }) {
                try Task.checkCancellation()
                await Task.yield()
            }
        }
        #expect(source.calls.load(ordering: .relaxed) >= 1)
        #expect(!lines.all.contains { $0.contains("header.payload") })
        await consumer.shutdown()
    }

    @Test func `a JSON Web Token tells its expiry, anything else is no token`() {
        // {"exp":1800000000,"sub":"router"} in URL-safe Base64 without padding.
        let token = OAuthToken(jsonWebToken: "e30.eyJleHAiOjE4MDAwMDAwMDAsInN1YiI6InJvdXRlciJ9.c2ln")
        #expect(token?.expiresAt == Timestamp(milliseconds: 1_800_000_000_000))
        #expect(token?.principal == "router")
        for text in ["", "a.b", "e30.e30.c2ln", "e30.!!!.c2ln", "e30.eyJleHAiOi0xfQ.c2ln"] {
            #expect(OAuthToken(jsonWebToken: text) == nil)
        }
    }

    @Test func `a token file is read anew, and a bad one is an error without its content`() async throws {
        let path = "/tmp/kafka-token-\(UInt64.random(in: 0 ... .max))"
        let source = FileTokenSource(path: path)
        await #expect(throws: KafkaError.self) { try await source.token() }
        try write("not-a-token-at-all", to: path)
        defer { remove(path) }
        let error = await #expect(throws: KafkaError.self) { try await source.token() }
        #expect(error?.message.contains("not-a-token") == false)
        try write("e30.eyJleHAiOjE4MDAwMDAwMDAsInN1YiI6InJvdXRlciJ9.c2ln\n", to: path)
        #expect(try await source.token().principal == "router")
    }
}
