internal import CRdKafka
internal import Synchronization

// SAFETY: the cluster belongs to its host client; both are destroyed once, cluster first, under the lock. librdkafka
// serialises all calls on the cluster's own thread, so they may come from any thread.

/// A Kafka cluster inside this process, reachable by any client on this machine.
///
/// librdkafka's own: real sockets on loopback and the real protocol, groups, offsets and idempotence, without
/// authentication or disk. It keeps only the newest 5 MiB of each partition, answers questions by time with the end,
/// and makes topics that anyone asks for with four partitions. See docs/kafka.md.
public final class MockCluster: Sendable {
    /// A kind of request, for errors to be injected.
    public struct Request: Sendable, Hashable {
        let key: Int16
        public static let produce = Request(key: 0)
        public static let fetch = Request(key: 1)
        public static let listOffsets = Request(key: 2)
        public static let metadata = Request(key: 3)
        public static let offsetCommit = Request(key: 8)
        public static let offsetFetch = Request(key: 9)
        public static let findCoordinator = Request(key: 10)
        public static let apiVersions = Request(key: 18)
        public static let initProducerId = Request(key: 22)
    }

    /// An error that a broker answers with.
    public struct Failure: Sendable, Hashable {
        let code: Int32
        /// The answer is to close the connection.
        public static let connectionLost = Failure(code: -195)
        public static let offsetOutOfRange = Failure(code: 1)
        public static let unknownTopicOrPartition = Failure(code: 3)
        public static let leaderNotAvailable = Failure(code: 5)
        public static let notLeaderForPartition = Failure(code: 6)
        public static let requestTimedOut = Failure(code: 7)
        public static let messageTooLarge = Failure(code: 10)
        public static let topicAuthorizationFailed = Failure(code: 29)
        public static let storageError = Failure(code: 56)

        /// An error by its number in the Kafka protocol.
        public init(code: Int32) { self.code = code }
    }

    private struct Pointers: @unchecked Sendable {
        var host: OpaquePointer
        var cluster: OpaquePointer
    }

    /// The addresses of the brokers, for `bootstrap.servers`; valid in other processes too.
    public let bootstrapServers: String
    /// How many brokers there are, numbered from 1.
    public let brokerCount: Int
    private let pointers: Mutex<Pointers?>

    /// Starts a cluster.
    ///
    /// - Parameter brokerCount: 1 to 16.
    /// - Throws: ``KafkaError/Code/clientFailed`` where no socket can be opened.
    public init(brokerCount: Int) throws {
        self.brokerCount = max(1, min(16, brokerCount))
        let conf = rd_kafka_conf_new()
        let room = 512
        var buffer = [CChar](repeating: 0, count: room)
        rd_kafka_conf_set(conf, "client.id", "mock-cluster-host", &buffer, room)
        rd_kafka_conf_set_log_cb(conf) { _, _, _, _ in }
        guard let host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, &buffer, room) else {
            rd_kafka_conf_destroy(conf)
            throw KafkaError(.clientFailed, "cannot make the host of a mock cluster")
        }
        guard let cluster = rd_kafka_mock_cluster_new(host, Int32(self.brokerCount)),
            let addresses = rd_kafka_mock_cluster_bootstraps(cluster)
        else {
            rd_kafka_destroy(host)
            throw KafkaError(.clientFailed, "cannot start a mock cluster")
        }
        bootstrapServers = String(cString: addresses)
        pointers = Mutex(Pointers(host: host, cluster: cluster))
    }

    deinit { shutdown() }

    /// Stops the cluster; safe to call twice. Clients see their connections close.
    public func shutdown() {
        let taken = pointers.withLock { pointers in
            defer { pointers = nil }
            return pointers
        }
        guard let taken else { return }
        rd_kafka_mock_cluster_destroy(taken.cluster)
        rd_kafka_destroy(taken.host)
    }

    private func withCluster(doing action: String, _ body: (OpaquePointer) -> rd_kafka_resp_err_t) throws {
        let error = pointers.withLock { pointers in
            guard let pointers else { return RD_KAFKA_RESP_ERR__DESTROY }
            return body(pointers.cluster)
        }
        if error != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(.broker, error, doing: action) }
    }

    /// Makes a topic.
    ///
    /// - Throws: ``KafkaError/Code/broker`` where it exists.
    public func createTopic(_ name: String, partitions: Int) throws {
        try withCluster(doing: "making topic '\(name)'") {
            rd_kafka_mock_topic_create($0, name, Int32(clamping: partitions), 1)
        }
    }

    /// Lets all brokers answer the next requests of a kind with these errors, one each.
    public func pushErrors(_ failures: [Failure], for request: Request) throws {
        let errors = failures.map { rd_kafka_resp_err_t($0.code) }
        try withCluster(doing: "injecting errors") {
            rd_kafka_mock_push_request_errors_array($0, request.key, errors.count, errors)
            return RD_KAFKA_RESP_ERR_NO_ERROR
        }
    }

    /// Forgets the errors that ``pushErrors(_:for:)`` left.
    public func clearErrors(for request: Request) throws {
        try withCluster(doing: "clearing errors") {
            rd_kafka_mock_clear_request_errors($0, request.key)
            return RD_KAFKA_RESP_ERR_NO_ERROR
        }
    }

    /// Lets one broker answer the next request of a kind late, and with an error where one is given.
    public func pushDelay(_ delay: Duration, _ failure: Failure?, for request: Request, broker: Int) throws {
        try withCluster(doing: "injecting a delay") {
            crdkafka_mock_push_rtt(
                $0, Int32(broker), request.key, rd_kafka_resp_err_t(failure?.code ?? 0),
                Int32(clamping: delay.components.seconds * 1000 + delay.components.attoseconds / 1_000_000_000_000_000))
        }
    }

    /// Closes a broker's socket and connections; nil is all brokers. Leaders stay as they are.
    public func setBrokerDown(_ broker: Int?) throws {
        try withCluster(doing: "stopping a broker") { rd_kafka_mock_broker_set_down($0, Int32(broker ?? -1)) }
    }

    /// Opens a broker's socket again, on the same port; nil is all brokers.
    public func setBrokerUp(_ broker: Int?) throws {
        try withCluster(doing: "starting a broker") { rd_kafka_mock_broker_set_up($0, Int32(broker ?? -1)) }
    }

    /// Delays every answer of a broker; nil is all brokers.
    public func setRoundTrip(_ milliseconds: Int, broker: Int?) throws {
        try withCluster(doing: "delaying a broker") {
            rd_kafka_mock_broker_set_rtt($0, Int32(broker ?? -1), Int32(clamping: milliseconds))
        }
    }

    /// Sets the leader of a partition; nil leaves it without one.
    public func setLeader(topic: String, partition: Int32, broker: Int?) throws {
        try withCluster(doing: "moving a leader") {
            rd_kafka_mock_partition_set_leader($0, topic, partition, Int32(broker ?? -1))
        }
    }

    /// Lets metadata answers give an error for a topic; nil takes it back.
    public func setTopicError(_ failure: Failure?, topic: String) throws {
        try withCluster(doing: "breaking a topic") {
            rd_kafka_mock_topic_set_error($0, topic, rd_kafka_resp_err_t(failure?.code ?? 0))
            return RD_KAFKA_RESP_ERR_NO_ERROR
        }
    }
}
