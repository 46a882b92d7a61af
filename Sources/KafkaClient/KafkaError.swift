internal import CRdKafka

/// Why an operation of the Kafka client failed.
public struct KafkaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kind of failure; more kinds may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case refusedProperty, clientFailed, fatal, timedOut, shutDown, queueFull, unknownTopic, broker
            case deliveryFailed, unreadableFile, malformedLine
        }
        private var kind: Kind
        /// librdkafka refused a configuration property, or the router needs another value. Who must act: the operator.
        public static let refusedProperty = Code(kind: .refusedProperty)
        /// A client could not be made from a configuration. Who must act: the operator.
        public static let clientFailed = Code(kind: .clientFailed)
        /// The client cannot go on; a new one is needed. Who must act: the operator.
        public static let fatal = Code(kind: .fatal)
        /// No answer came in the time allowed; trying again is right.
        public static let timedOut = Code(kind: .timedOut)
        /// The client was shut down.
        public static let shutDown = Code(kind: .shutDown)
        /// Too many callers wait already; trying again later is right.
        public static let queueFull = Code(kind: .queueFull)
        /// The broker does not know a topic, or refuses to show it. Who must act: the operator.
        public static let unknownTopic = Code(kind: .unknownTopic)
        /// The broker, or the way to it, answered with an error; trying again is right.
        public static let broker = Code(kind: .broker)
        /// A message was not delivered within its time.
        public static let deliveryFailed = Code(kind: .deliveryFailed)
        /// A file could not be read. Who must act: the operator.
        public static let unreadableFile = Code(kind: .unreadableFile)
        /// A line of a file to publish has another form. Who must act: who wrote the file.
        public static let malformedLine = Code(kind: .malformedLine)

        public var description: String { kind.rawValue }
    }

    public var code: Code
    /// What happened, for people; never holds a secret.
    public var message: String
    /// librdkafka's name of the error, such as `OFFSET_OUT_OF_RANGE` or `_TRANSPORT`; nil where none is involved.
    public var name: String?

    /// Makes an error.
    public init(_ code: Code, _ message: String, name: String? = nil) {
        self.code = code
        self.message = message
        self.name = name
    }

    init(_ code: Code, _ error: rd_kafka_resp_err_t, doing action: String) {
        self.init(code, "\(action): \(KafkaLibrary.text(of: error))", name: KafkaLibrary.name(of: error))
    }

    public var description: String { message }
}

/// The librdkafka that the program runs with.
public enum KafkaLibrary {
    /// The version as text, such as `2.0.2`.
    public static var version: String { String(cString: rd_kafka_version_str()) }

    /// What an operator should know about this version; nil from 2.3 on.
    public static var versionWarning: String? {
        let number = rd_kafka_version()
        guard number < 0x0203_0000 else { return nil }
        return "librdkafka \(version) is older than 2.3: it has no OIDC in Debian's build, re-connects when a token"
            + " expires, and may take an unclean TLS close for a broker error; 2.3 or newer is advised"
    }

    /// librdkafka's name of an error, such as `_TRANSPORT`.
    static func name(of error: rd_kafka_resp_err_t) -> String { String(cString: rd_kafka_err2name(error)) }

    /// librdkafka's sentence for an error.
    static func text(of error: rd_kafka_resp_err_t) -> String { String(cString: rd_kafka_err2str(error)) }

    static let isBackoffConfigurable = PropertyTable.shared["fetch.queue.backoff.ms"] != nil
}
