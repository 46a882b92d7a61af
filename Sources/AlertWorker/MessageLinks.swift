public import Alerting
public import Core

/// The links that a message carries to the page: to the alert, and to acknowledge it.
public struct MessageLinks: Sendable, Equatable {
    /// In messages with more alerts the links would be longer than the rest.
    public static let itemsMax = 10

    /// Where people reach the page, without a slash at its end.
    public var pageAddress: String
    /// Signs what acknowledges.
    private let key: [UInt8]

    /// Makes links to a page.
    /// - Parameter key: the router's signing key, 32 bytes or more.
    public init(pageAddress: String, key: [UInt8]) {
        self.pageAddress = pageAddress
        self.key = key
    }

    /// The links of one alert in a message to one receiver; of an alert that is over there is nothing to acknowledge.
    public func links(
        of alert: Alert, receiver: String, recipient: String?, now: Timestamp
    ) -> [Notification.Item.Pair] {
        let page = Notification.Item.Pair("Details", "\(pageAddress)/alerts/\(alert.fingerprint)")
        guard alert.state == .firing else { return [page] }
        let link = AcknowledgeLink(
            incident: alert.incidentKey, receiver: receiver, recipient: recipient,
            expires: now.adding(AcknowledgeLink.lifetime))
        return [page, Notification.Item.Pair("Acknowledge", pageAddress + link.path(key: key))]
    }
}
