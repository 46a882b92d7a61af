import AlertWorker
import Alerting
import Core
import Testing

/// Goal: messages lead to the page, and what acknowledges names exactly the episode that is told.
@Suite struct MessageLinksTests {
    private static let key = [UInt8](repeating: 3, count: 32)
    private static let now = Timestamp(milliseconds: 1_768_200_000_000)

    @Test func `an open alert can be acknowledged, one that is over only looked at`() throws {
        var alert = Alert(
            rule: "r", table: "t", owner: "o", keyColumns: ["a"], keyTexts: ["1"], at: MessageLinksTests.now)
        alert.state = .firing
        alert.episode = 4
        let links = MessageLinks(pageAddress: "https://alerts.example.com", key: MessageLinksTests.key)
        let open = links.links(of: alert, receiver: "quality", recipient: "jo@example.com", now: MessageLinksTests.now)
        #expect(open.map(\.name) == ["Details", "Acknowledge"])
        #expect(open[0].value == "https://alerts.example.com/alerts/\(alert.fingerprint)")
        let prefix = "https://alerts.example.com/ack/"
        #expect(open[1].value.hasPrefix(prefix))
        let link = try AcknowledgeLink(
            token: String(open[1].value.dropFirst(prefix.count)), key: MessageLinksTests.key,
            now: MessageLinksTests.now)
        #expect(link.incident == alert.incidentKey && link.actor == "link to jo@example.com")
        alert.state = .resolved
        let over = links.links(of: alert, receiver: "quality", recipient: nil, now: MessageLinksTests.now)
        #expect(over.map(\.name) == ["Details"])
    }
}
