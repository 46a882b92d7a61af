import Alerting
import Core
import Testing

@testable import Channels
@testable import Sandbox

// Goal: the demo's count of what was told twice is right for cards and mails. Method: messages as the channels lay them
// out, given to the counter in the order a receiver could get them.

@Suite struct SinkTellingsTests {
    typealias Item = Alerting.Notification.Item

    static func item(_ number: Int, _ state: Item.State, _ severity: Severity, was: Severity? = nil) -> Item {
        var item = EmailDestinationTests.item(number, state)
        item.severity = severity
        item.previousSeverity = was
        return item
    }

    static func card(_ items: [Item], locale: String = "en_GB") throws -> TeamsSinkCard {
        let notification = EmailDestinationTests.notification(items, locale: locale)
        let message = try JSON.parse(
            TeamsCard.message(
                for: notification, options: TeamsCardOptions(bytesMax: 25_000, itemsMax: 20, isFullWidth: false)))
        let card = try #require(message["attachments"]?[0]?["content"])
        return TeamsSinkCard(receivedAt: .epoch, card: card, ids: [], lines: [], links: [], byteCount: 0)
    }

    static func mail(_ items: [Item], to recipients: [String] = ["a@x.example"]) throws -> SMTPSandboxMessage {
        let mailbox = EmailMailbox(name: nil, address: try EmailAddress("s@x.example"))
        let notification = EmailDestinationTests.notification(items, locale: "en_GB")
        let layout = EmailLayout(notification, meantFor: nil)
        var message = EmailMessage(
            from: mailbox, to: [mailbox], subject: layout.subject, date: .epoch, messageId: "<1@x.example>",
            text: layout.text, html: layout.html)
        message.references = EmailDestination.references(of: notification, recipient: "", domain: "x.example")
        return SMTPSandboxMessage(
            connection: 1, number: 1, user: nil, isEncrypted: false, sender: "s@x.example", recipients: recipients,
            bytes: message.bytes)
    }

    @Test func `a card tells each of its incidents in the word that stands before it`() throws {
        #expect(
            try Self.card([Self.item(1, .firing, .warning)]).tellings
                == [SinkTelling(incident: "f1-1", state: "WARNING")])
        #expect(
            try Self.card([Self.item(1, .resolved, .error)]).tellings
                == [SinkTelling(incident: "f1-1", state: "RESOLVED")])
        #expect(
            try Self.card([Self.item(1, .resolved, .error), Self.item(2, .firing, .critical, was: .warning)]).tellings
                == [
                    SinkTelling(incident: "f1-1", state: "RESOLVED"), SinkTelling(incident: "f2-1", state: "CRITICAL"),
                ])
    }

    @Test func `a mail tells its incidents by their threads`() throws {
        let fired = try #require(try Self.mail([Self.item(1, .firing, .warning)]).tellings.first)
        let over = try #require(try Self.mail([Self.item(1, .resolved, .warning)]).tellings.first)
        #expect(fired.state == "WARNING" && over.state == "RESOLVED" && fired.incident == over.incident)
        let both = try Self.mail([Self.item(1, .resolved, .warning), Self.item(2, .firing, .error)]).tellings
        #expect(both.map(\.state) == ["RESOLVED", "ERROR"])
        #expect(both.first == over && both.last?.incident != over.incident)
    }

    @Test func `a level that comes back is no repetition, the same card again is one`() throws {
        var tellings = SinkTellings()
        func tell(_ item: Item) throws { tellings.add(try Self.card([item]).tellings, receiver: "quality") }
        try tell(Self.item(1, .firing, .warning))
        try tell(Self.item(1, .firing, .critical, was: .warning))
        try tell(Self.item(1, .firing, .warning, was: .critical))
        try tell(Self.item(2, .firing, .warning))
        #expect(tellings.repetitions.isEmpty)
        try tell(Self.item(2, .firing, .warning))
        #expect(tellings.repetitions == ["quality: f2-1 WARNING"])
        try tell(Self.item(1, .resolved, .warning))
        #expect(tellings.repetitions.count == 1)
        // Late: an incident that was over is opened again for whoever reads it.
        try tell(Self.item(1, .firing, .critical, was: .warning))
        try tell(Self.item(1, .resolved, .warning))
        #expect(tellings.repetitions.dropFirst() == ["quality: f1-1 CRITICAL", "quality: f1-1 RESOLVED"])
    }

    @Test func `receivers and mailboxes count by themselves`() throws {
        var tellings = SinkTellings()
        let card = try Self.card([Self.item(1, .firing, .warning)])
        tellings.add(card.tellings, receiver: "quality")
        tellings.add(card.tellings, receiver: "sales")
        tellings.add(try Self.mail([Self.item(1, .firing, .warning)], to: ["a@x.example", "b@x.example"]))
        #expect(tellings.repetitions.isEmpty)
        tellings.add(
            try Self.mail([Self.item(1, .firing, .warning), Self.item(2, .firing, .error)], to: ["b@x.example"]))
        #expect(tellings.repetitions.count == 1 && tellings.repetitions[0].hasPrefix("b@x.example: "))
    }
}
