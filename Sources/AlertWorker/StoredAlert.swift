public import Alerting
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
    /// The groups it belongs to and what was told there.
    public var membership: Membership

    /// Whom its episode was told to.
    public var told: [Told] {
        membership.lanes.filter(\.isTold).map { Told(receiver: $0.receiver, recipient: $0.recipient) }
    }

    /// Joins an alert with whom it was told to.
    public init(alert: Alert, membership: Membership) {
        self.alert = alert
        self.membership = membership
    }

    /// Reads what the store keeps.
    public init(record: AlertRecord) throws(ByteReadError) {
        var reader = ByteReader(record.bytes)
        alert = try Alert(bytes: try reader.blob())
        membership = try Membership(from: &reader)
    }

    /// What the store keeps.
    public func record(isOpen: Bool) -> AlertRecord {
        var writer = ByteWriter(reserving: 600)
        writer.blob(alert.bytes)
        membership.write(to: &writer)
        return AlertRecord(
            fingerprint: alert.fingerprint.bytes, rule: alert.rule, table: alert.table, state: alert.state.rawValue,
            severity: alert.severity, episode: Int64(alert.episode), changedAt: alert.changedAt, isOpen: isOpen,
            bytes: writer.bytes)
    }
}
