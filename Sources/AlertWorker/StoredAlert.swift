public import Core
public import Store

/// An alert with whom it was told to, as the store keeps it.
public struct StoredAlert: Sendable, Equatable {
    /// A receiver, and whom there, that was told of the alert's episode and so will be told of its end.
    public struct Told: Sendable, Hashable {
        public var receiver: String
        public var recipient: String?
        /// Names whom was told.
        public init(receiver: String, recipient: String?) {
            self.receiver = receiver
            self.recipient = recipient
        }
    }

    public var alert: Alert
    public var told: [Told]

    /// Joins an alert with whom it was told to.
    public init(alert: Alert, told: [Told]) {
        self.alert = alert
        self.told = told
    }

    /// Reads what the store keeps.
    public init(record: AlertRecord) throws(ByteReadError) {
        var reader = ByteReader(record.bytes)
        alert = try Alert(bytes: try reader.blob())
        told = []
        for _ in 0..<(try reader.count()) {
            let receiver = try reader.text()
            told.append(
                Told(
                    receiver: receiver,
                    recipient: try reader.optional { reader throws(ByteReadError) in try reader.text() }))
        }
    }

    /// What the store keeps.
    public func record(isOpen: Bool) -> AlertRecord {
        var writer = ByteWriter(reserving: 600)
        writer.blob(alert.bytes)
        writer.count(told.count)
        for one in told {
            writer.text(one.receiver)
            writer.optional(one.recipient) { $0.text($1) }
        }
        return AlertRecord(
            fingerprint: alert.fingerprint.bytes, rule: alert.rule, table: alert.table, state: alert.state.rawValue,
            severity: alert.severity, episode: Int64(alert.episode), changedAt: alert.changedAt, isOpen: isOpen,
            bytes: writer.bytes)
    }
}
