internal import CRdKafka
internal import Core
internal import Logging

/// How to reach Kafka: librdkafka's properties, passed through and checked, over defaults that suit Azure Event Hubs.
///
/// Every property is tried on the loaded library when the configuration is made; what it refuses is an error that says
/// why. Values of secret properties never show up in descriptions or errors.
public struct KafkaConfiguration: Sendable, CustomStringConvertible, CustomReflectable {
    /// When a batch is closed: whichever limit comes first.
    public struct BatchLimits: Sendable, Equatable {
        public var messageCountMax: Int
        /// Sum of key and value bytes; one larger message still makes a batch of its own.
        public var byteCountMax: Int
        /// How long a batch may be filled; an empty queue closes it at once.
        public var durationMax: Duration

        /// Makes limits.
        public init(messageCountMax: Int, byteCountMax: Int, durationMax: Duration) {
            self.messageCountMax = messageCountMax
            self.byteCountMax = byteCountMax
            self.durationMax = durationMax
        }

        /// 1000 messages, 1 MiB, 5 ms: see docs/kafka.md for the measurements.
        public static let standard = BatchLimits(
            messageCountMax: 1000, byteCountMax: 1 << 20, durationMax: .milliseconds(5))
    }

    /// How much may be outstanding: in batches not yet taken, and in batches taken but not yet released.
    ///
    /// Above a high mark nothing more is taken from librdkafka, which then stops fetching at its own bound; below both
    /// low marks reading goes on.
    public struct BufferLimits: Sendable, Equatable {
        public var byteCountHigh: Int
        public var byteCountLow: Int
        public var messageCountHigh: Int
        public var messageCountLow: Int

        /// Makes limits.
        public init(byteCountHigh: Int, byteCountLow: Int, messageCountHigh: Int, messageCountLow: Int) {
            self.byteCountHigh = byteCountHigh
            self.byteCountLow = min(byteCountLow, byteCountHigh)
            self.messageCountHigh = messageCountHigh
            self.messageCountLow = min(messageCountLow, messageCountHigh)
        }

        /// 24 MiB and 50,000 messages: more than the 16 MiB that one store commit may hold, and about 40 MB of memory.
        public static let standard = BufferLimits(
            byteCountHigh: 24 << 20, byteCountLow: 16 << 20, messageCountHigh: 50_000, messageCountLow: 30_000)
    }

    /// How the batches of a consumer are cut.
    public var batchLimits: BatchLimits = .standard
    /// How much a consumer may have outstanding.
    public var bufferLimits: BufferLimits = .standard
    /// How often a consumer looks for new partitions of its topics.
    public var partitionDiscoveryInterval: Duration = .seconds(30)
    /// After how much silence of its leader a partition counts as not live.
    public var leaderSilenceMax: Duration = .seconds(15)
    /// How long a shutdown may take before it is left to the background.
    public var shutdownTimeout: Duration = .seconds(5)
    /// Where tokens for SASL OAUTHBEARER come from.
    public var tokenSource: (any TokenSource)?

    private let values: [String: String]

    /// Checks librdkafka's properties and keeps them.
    ///
    /// - Parameter properties: names and values as librdkafka's CONFIGURATION.md has them, secrets resolved. Consumer
    ///   properties are left out for a producer and the other way round.
    /// - Throws: ``KafkaError/Code/refusedProperty`` naming every property that was refused, and why.
    public init(properties: [String: String], tokenSource: (any TokenSource)? = nil) throws(KafkaError) {
        values = properties
        self.tokenSource = tokenSource
        let problems = properties.sorted { $0.key < $1.key }.compactMap {
            KafkaConfiguration.problem(name: $0.key, value: $0.value)
        }
        guard problems.isEmpty else { throw KafkaError(.refusedProperty, problems.joined(separator: "\n")) }
        let mechanism = properties["sasl.mechanism"] ?? properties["sasl.mechanisms"]
        let hasOIDC = properties["sasl.oauthbearer.method"] == "oidc"
        if mechanism?.uppercased() == "OAUTHBEARER", tokenSource == nil, !hasOIDC,
            properties["enable.sasl.oauthbearer.unsecure.jwt"] != "true"
        {
            throw KafkaError(
                .refusedProperty, "kafka property 'sasl.mechanism': OAUTHBEARER needs a token; \(Self.tokenHelp)")
        }
    }

    /// The value of a property as given, `***` for a secret one; nil where it was not given.
    public subscript(name: String) -> String? {
        values[name].map { KafkaConfiguration.isSecret(name) ? "***" : $0 }
    }

    /// Every property that a consumer gets, defaults included; `***` for secret values.
    public var consumerProperties: [String: String] {
        effectiveProperties(.consumer).reduce(into: [:]) { result, property in
            result[property.key] = KafkaConfiguration.isSecret(property.key) ? "***" : property.value
        }
    }

    public var description: String {
        let pairs = values.keys.sorted().map { "\($0)=\(self[$0] ?? "")" }
        return "kafka(\(pairs.joined(separator: " ")))"
    }

    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }

    /// Tells whether a property's value is a secret, by its name.
    public static func isSecret(_ name: String) -> Bool {
        ["password", "secret", ".key.pem", "oauthbearer.config", "ssl.key", "jaas"].contains { name.contains($0) }
            && !name.hasSuffix(".location")
    }
}

// MARK: - Checks

extension KafkaConfiguration {
    static let tokenHelp =
        "set 'kafka.oauth' with a token file, or with token endpoint, client id, client secret and scope"

    /// Properties on which the router's guarantees rest, with the one value that is allowed and the reason.
    static let enforced: [String: (value: String, reason: String)] = [
        "enable.auto.commit": ("false", "offsets are committed only after everything they caused is stored"),
        "enable.auto.offset.store": ("false", "offsets are committed only after everything they caused is stored"),
        "enable.partition.eof": ("true", "the end of a partition drives the table clock"),
        "auto.offset.reset": ("error", "a partition out of range stops and says so, it never jumps"),
    ]

    private static func problem(name: String, value: String) -> String? {
        let place = "kafka property '\(name)'"
        if let rule = enforced[name] {
            guard value != rule.value else { return nil }
            return "\(place): must be '\(rule.value)', because \(rule.reason)"
        }
        if name == "statistics.interval.ms", let interval = Int(value), !(1...10_000).contains(interval) {
            return "\(place): must be 1 to 10000, because the statistics tell whether a partition's leader answers"
        }
        let conf = rd_kafka_conf_new()
        defer { rd_kafka_conf_destroy(conf) }
        guard let refusal = set(name, value, on: conf) else { return nil }
        var text = "\(place): \(refusal)"
        if name.hasPrefix("sasl.oauthbearer."), name != "sasl.oauthbearer.config" {
            text += " (librdkafka \(KafkaLibrary.version) here was built without OIDC); \(tokenHelp)"
        } else if PropertyTable.shared[name] == nil,
            let nearest = Spelling.nearest(to: name, among: PropertyTable.shared.names)
        {
            text += "; did you mean '\(nearest)'?"
        }
        return text
    }

    /// Sets a property; returns why it was refused, with the value taken out where it is secret.
    private static func set(_ name: String, _ value: String, on conf: OpaquePointer?) -> String? {
        let room = 512
        var buffer = [CChar](repeating: 0, count: room)
        guard rd_kafka_conf_set(conf, name, value, &buffer, room) != RD_KAFKA_CONF_OK else { return nil }
        let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return isSecret(name) ? Secret(value).redacted(from: text) : text
    }
}

// MARK: - The library's configuration object

extension KafkaConfiguration {
    enum Role: Sendable { case consumer, producer }

    private static let commonDefaults: [String: String] = [
        "client.id": "alert-router",
        // Event Hubs closes idle connections after 240 s (reference/events.md 7.5), and librdkafka does not notice.
        "connections.max.idle.ms": "180000",
        "metadata.max.age.ms": "180000",
        "socket.keepalive.enable": "true",
        "log.connection.close": "false",
        "reconnect.backoff.max.ms": "5000",
    ]

    private static let consumerDefaults: [String: String] = [
        "group.id": "alert-router",
        "check.crcs": "true",
        "fetch.wait.max.ms": "100",
        "fetch.message.max.bytes": "1048576",
        "fetch.max.bytes": "8388608",
        // The memory of the pre-fetch queue: bytes of messages, and about 400 bytes beside each.
        "queued.max.messages.kbytes": "16384",
        "queued.min.messages": "50000",
        "statistics.interval.ms": "5000",
        // From librdkafka 2.2 on; before, the consumer thread wakes the fetchers itself.
        "fetch.queue.backoff.ms": "5",
    ]

    private static let producerDefaults: [String: String] = [
        "enable.idempotence": "true",
        "linger.ms": "5",
        "partitioner": "murmur2_random",
        "request.timeout.ms": "60000",
        "message.timeout.ms": "120000",
        "queue.buffering.max.messages": "200000",
        "queue.buffering.max.kbytes": "131072",
    ]

    private static let aliases: [String: String] = [
        "max.partition.fetch.bytes": "fetch.message.max.bytes", "delivery.timeout.ms": "message.timeout.ms",
        "queue.buffering.max.ms": "linger.ms", "bootstrap.servers": "metadata.broker.list",
    ]

    /// Every property that a client of the role gets.
    func effectiveProperties(_ role: Role) -> [String: String] {
        let table = PropertyTable.shared
        let foreign: PropertyTable.Use = role == .consumer ? .producer : .consumer
        var result = KafkaConfiguration.commonDefaults
        result.merge(role == .consumer ? Self.consumerDefaults : Self.producerDefaults) { $1 }
        result = result.filter { table[$0.key] != nil }
        for (name, value) in values where table[name] != foreign {
            if let other = KafkaConfiguration.aliases[name] { result[other] = nil }
            result[name] = value
        }
        if role == .consumer { for (name, rule) in KafkaConfiguration.enforced { result[name] = rule.value } }
        return result
    }

    /// The values that must never be shown.
    var secrets: [Secret] { values.filter { KafkaConfiguration.isSecret($0.key) }.map { Secret($0.value) } }

    /// User name and password for SASL PLAIN or SCRAM; empty where there are none.
    var credentials: (user: String, password: String) {
        (values["sasl.username"] ?? "", values["sasl.password"] ?? "")
    }

    /// Makes a consumer that knows no broker and drops it: finds what shows only when properties come together, such as
    /// files of certificates that cannot be read. Nothing is connected.
    ///
    /// - Throws: ``KafkaError/Code/refusedProperty`` or ``KafkaError/Code/clientFailed`` with librdkafka's reason.
    public func rehearse() throws(KafkaError) {
        let isSecured = values["security.protocol"]?.uppercased().hasPrefix("SASL") ?? false
        let mechanism = values["sasl.mechanism"] ?? values["sasl.mechanisms"] ?? "GSSAPI"
        // Kerberos would run its login command.
        if isSecured, mechanism.uppercased() == "GSSAPI" { return }
        let alone = values.filter { !["bootstrap.servers", "metadata.broker.list"].contains($0.key) }
        let configuration = try KafkaConfiguration(properties: alone, tokenSource: tokenSource)
        let context = ClientContext(
            logger: Logger(label: "") { _ in SwiftLogNoOpLogHandler() }, configuration: configuration)
        try ClientHandle(.consumer, configuration, context).destroy()
    }

    /// Makes librdkafka's configuration object; the caller owns it.
    func makeConf(_ role: Role) throws(KafkaError) -> OpaquePointer {
        // SAFETY: the caller owns the object and hands it to one client, the new owner; where a property is refused, it
        // is destroyed here.
        guard let conf = rd_kafka_conf_new() else { throw KafkaError(.clientFailed, "no memory for a Kafka client") }
        for (name, value) in effectiveProperties(role).sorted(by: { $0.key < $1.key }) {
            if let refusal = KafkaConfiguration.set(name, value, on: conf) {
                rd_kafka_conf_destroy(conf)
                throw KafkaError(.refusedProperty, "kafka property '\(name)': \(refusal)")
            }
        }
        return conf
    }
}
