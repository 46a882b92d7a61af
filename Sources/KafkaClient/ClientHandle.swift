internal import CRdKafka
internal import Core
internal import Logging
internal import Synchronization

// SAFETY: the handle owns one rd_kafka_t, its two queue references and one reference to the context that the C
// callbacks get. `destroy` is called once, by the thread that owns the client, after every message was freed and the
// lookup thread has ended. Other threads reach the client only through `ifOpen`, whose lock `destroy` takes first.

/// Owns one librdkafka client.
final class ClientHandle: @unchecked Sendable {
    let client: OpaquePointer
    private let mainQueue: OpaquePointer
    private let consumerQueue: OpaquePointer?
    private let context: Unmanaged<ClientContext>
    private let isOpen = Mutex(true)

    /// Makes a client.
    ///
    /// - Throws: ``KafkaError/Code/refusedProperty`` or ``KafkaError/Code/clientFailed`` with librdkafka's reason.
    init(_ role: KafkaConfiguration.Role, _ configuration: KafkaConfiguration, _ context: ClientContext)
        throws(KafkaError)
    {
        let conf = try configuration.makeConf(role)
        let retained = Unmanaged.passRetained(context)
        ClientContext.install(on: conf, retained.toOpaque(), role: role, hasTokens: configuration.tokenSource != nil)
        let room = 512
        var buffer = [CChar](repeating: 0, count: room)
        let kind = role == .consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
        guard let client = rd_kafka_new(kind, conf, &buffer, room) else {
            rd_kafka_conf_destroy(conf)
            retained.release()
            let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw KafkaError(.clientFailed, "cannot make a Kafka client: \(context.redacted(text))")
        }
        self.client = client
        self.context = retained
        mainQueue = rd_kafka_queue_get_main(client)
        consumerQueue = role == .consumer ? rd_kafka_queue_get_consumer(client) : nil
        context.attach(self)
    }

    /// Runs `body` while the client cannot be destroyed; does nothing once it is.
    func ifOpen(_ body: (OpaquePointer) -> Void) { isOpen.withLock { if $0 { body(client) } } }

    /// Ends the present poll of the owning thread.
    func wake() {
        ifOpen { _ in
            rd_kafka_queue_yield(mainQueue)
            if let consumerQueue { rd_kafka_queue_yield(consumerQueue) }
        }
    }

    /// Destroys the client; the owning thread calls it once.
    func destroy() {
        isOpen.withLock { $0 = false }
        rd_kafka_queue_destroy(mainQueue)
        if let consumerQueue { rd_kafka_queue_destroy(consumerQueue) }
        // No group was joined, so there is nothing to leave; closing can hang in 2.0.2 when a partition was lost.
        rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        context.takeUnretainedValue().detach()
        context.release()
    }
}
