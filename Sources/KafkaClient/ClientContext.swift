internal import CRdKafka
internal import Core
internal import Logging
internal import Synchronization

// SAFETY: the C callbacks get the context as an unretained pointer; ClientHandle holds a reference until after
// rd_kafka_destroy, so it outlives every callback. Logs come on librdkafka's threads, all else on the owning thread.

/// What a client does with what librdkafka tells outside of messages. Called on the client's own thread.
protocol ClientObserver: AnyObject, Sendable {
    func clientFailed(_ error: rd_kafka_resp_err_t, text: String, isFatal: Bool)
    func clientStatistics(_ json: [UInt8])
    func clientCommitted(_ error: rd_kafka_resp_err_t, partitionCount: Int)
    func clientDelivered(_ message: UnsafePointer<rd_kafka_message_t>)
}

/// The target of librdkafka's callbacks.
final class ClientContext: Sendable {
    private let logger: Logger
    private let secrets: [Secret]
    private let tokenSource: (any TokenSource)?
    private struct Links {
        weak var observer: (any ClientObserver)?
        weak var handle: ClientHandle?
    }
    private let links = Mutex(Links())

    init(logger: Logger, configuration: KafkaConfiguration) {
        self.logger = logger
        secrets = configuration.secrets
        tokenSource = configuration.tokenSource
    }

    var observer: (any ClientObserver)? {
        get { links.withLock { $0.observer } }
        set { links.withLock { $0.observer = newValue } }
    }

    func attach(_ handle: ClientHandle) { links.withLock { $0.handle = handle } }
    func detach() { links.withLock { $0 = Links() } }

    func redacted(_ text: String) -> String { secrets.reduce(text) { $1.redacted(from: $0) } }

    // MARK: Callbacks

    static func install(
        on conf: OpaquePointer, _ opaque: UnsafeMutableRawPointer, role: KafkaConfiguration.Role, hasTokens: Bool
    ) {
        rd_kafka_conf_set_opaque(conf, opaque)
        rd_kafka_conf_set_error_cb(conf) { client, error, reason, opaque in
            ClientContext.from(opaque)?.failed(client, rd_kafka_resp_err_t(error), reason)
        }
        rd_kafka_conf_set_log_cb(conf) { client, level, facility, text in
            guard let client else { return }
            ClientContext.from(rd_kafka_opaque(client))?.log(level: level, facility, text)
        }
        if role == .consumer {
            rd_kafka_conf_set_stats_cb(conf) { _, json, count, opaque in
                ClientContext.from(opaque)?.observer?.clientStatistics(
                    Array(UnsafeRawBufferPointer(start: json, count: count)))
                return 0
            }
            rd_kafka_conf_set_offset_commit_cb(conf) { _, error, offsets, opaque in
                ClientContext.from(opaque)?.observer?.clientCommitted(
                    error, partitionCount: Int(offsets?.pointee.cnt ?? 0))
            }
        } else {
            rd_kafka_conf_set_dr_msg_cb(conf) { _, message, opaque in
                if let message { ClientContext.from(opaque)?.observer?.clientDelivered(message) }
            }
        }
        if hasTokens {
            rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf) { _, _, opaque in
                ClientContext.from(opaque)?.refreshToken()
            }
        }
    }

    private static func from(_ opaque: UnsafeMutableRawPointer?) -> ClientContext? {
        opaque.map { Unmanaged<ClientContext>.fromOpaque($0).takeUnretainedValue() }
    }

    private func failed(_ client: OpaquePointer?, _ error: rd_kafka_resp_err_t, _ reason: UnsafePointer<CChar>?) {
        var text = reason.map { String(cString: $0) } ?? KafkaLibrary.text(of: error)
        var cause = error
        let isFatal = error == RD_KAFKA_RESP_ERR__FATAL
        if isFatal, let client {
            let room = 512
            var buffer = [CChar](repeating: 0, count: room)
            cause = rd_kafka_fatal_error(client, &buffer, room)
            text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        observer?.clientFailed(cause, text: redacted(text), isFatal: isFatal)
    }

    private func log(level: Int32, _ facility: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?) {
        let swiftLevel: Logger.Level = level <= 3 ? .warning : level <= 4 ? .notice : .debug
        guard logger.logLevel <= swiftLevel else { return }
        let metadata: Logger.Metadata = [
            "facility": "\(facility.map { String(cString: $0) } ?? "")",
            "text": "\(redacted(text.map { String(cString: $0) } ?? ""))",
        ]
        logger.log(level: swiftLevel, "librdkafka", metadata: metadata)
    }

    // MARK: Tokens

    private func refreshToken() {
        guard let tokenSource, let handle = links.withLock({ $0.handle }) else { return }
        // A task of its own: the callback comes on the client's thread, which must go on polling meanwhile.
        Task.detached { [logger] in
            do {
                let token = try await tokenSource.token()
                if let problem = handle.setToken(token) { throw problem }
                logger.debug("a new OAUTHBEARER token is in use", metadata: ["expires": "\(token.expiresAt)"])
            } catch {
                let text = self.redacted("\(error)")
                logger.warning("no OAUTHBEARER token; trying again in 10 s", metadata: ["reason": "\(text)"])
                handle.ifOpen { _ = rd_kafka_oauthbearer_set_token_failure($0, text) }
            }
        }
    }
}

extension ClientHandle {
    /// Gives the client a token; returns why it was refused.
    func setToken(_ token: OAuthToken) -> KafkaError? {
        var pairs: [UnsafeMutablePointer<CChar>?] = []
        for (name, value) in token.extensions.sorted(by: { $0.key < $1.key }) {
            pairs.append(duplicated(name))
            pairs.append(duplicated(value))
        }
        defer { for pair in pairs { pair?.deallocate() } }
        var pointers = pairs.map { UnsafePointer($0) }
        let room = 512
        var buffer = [CChar](repeating: 0, count: room)
        var problem: KafkaError?
        ifOpen { client in
            let error = rd_kafka_oauthbearer_set_token(
                client, token.value.reveal(), token.expiresAt.milliseconds, token.principal, &pointers, pointers.count,
                &buffer, room)
            guard error != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
            let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            problem = KafkaError(.broker, token.value.redacted(from: text), name: KafkaLibrary.name(of: error))
        }
        return problem
    }

    private func duplicated(_ text: String) -> UnsafeMutablePointer<CChar> {
        let bytes = text.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { copy[index] = byte }
        return copy
    }
}
