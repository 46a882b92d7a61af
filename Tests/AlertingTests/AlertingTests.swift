import Alerting
import Core
import Testing

@Suite struct NotificationTests {
    private func sample() -> Notification {
        var item = Notification.Item(
            incidentKey: "ab-1", rule: "r", table: "t", owner: "o", state: .resolved, severity: .error,
            title: "Zeile „1“ \"x\"\n", keyDisplay: "plant=A", reason: "condition no longer holds")
        item.facts = [.init("Batch", "B1"), .init("Batch", "B2")]
        item.links = [.init("Runbook", "https://wiki.example.com/a?b=c&d")]
        item.keyColumns = [.init("plant", "A"), .init("line", "")]
        item.firedAt = Timestamp(milliseconds: 5)
        item.previousSeverity = .warning
        item.templateProblem = "after.x is null"
        return Notification(
            receiver: "teams", recipient: nil, reason: .allResolved, groupKey: "r",
            createdAt: Timestamp(milliseconds: 9),
            openCount: 3, locale: "de_DE", timeZone: "Europe/Berlin", items: [item], omittedCount: 2)
    }

    @Test func `a notification survives its stored form`() throws {
        #expect(try Notification(bytes: sample().bytes) == sample())
    }

    @Test func `damaged payloads are errors, never crashes`() {
        let bytes = sample().bytes
        for count in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: NotificationFormatError.self) { try Notification(bytes: Array(bytes.prefix(count))) }
        }
        #expect(throws: NotificationFormatError.self) { try Notification(bytes: Array("{\"v\":2}".utf8)) }
    }

    @Test func `it is resolved only when everything it tells is`() {
        var notification = sample()
        #expect(notification.isResolved)
        notification.items.append(
            Notification.Item(
                incidentKey: "ab-2", rule: "r", table: "t", owner: "o", state: .firing, severity: .critical, title: "x",
                keyDisplay: "", reason: ""))
        #expect(!notification.isResolved)
        #expect(notification.severity == .critical)
    }
}

@Suite struct ReceiverProfileTests {
    private let mail = ReceiverProfile(
        name: "planners", channel: "email", locale: "en_US", timeZone: "UTC",
        addressing: .mail(to: ["all@example.com"], allowedDomains: ["Example.com"], fallback: "desk@example.com"))

    @Test func `a rule without recipient goes to everybody the receiver names`() {
        #expect(mail.resolve(recipient: nil, isRecipientExpected: false).addresses == ["all@example.com"])
    }

    @Test func `a recipient of an allowed domain is the only one told`() {
        let resolution = mail.resolve(recipient: "Anna@EXAMPLE.com", isRecipientExpected: true)
        #expect(resolution.addresses == ["Anna@EXAMPLE.com"] && resolution.refusal == nil)
    }

    @Test(
        arguments: [
            nil, "", "anna", "anna@evil.example", "anna@example.com.evil.example", "a@b@example.com", "x y@example.com",
            "anna@example.com\r\nBcc: all@evil.example", "<anna@example.com>", "anna@sub.example.com", "@example.com",
            "anna@example.com,bert@example.com", "\"a\"@example.com",
        ] as [String?])
    func `a missing or refused recipient goes to the fallback and is reported`(recipient: String?) {
        let resolution = mail.resolve(recipient: recipient, isRecipientExpected: true)
        #expect(resolution.addresses == ["desk@example.com"])
        #expect(resolution.refusal != nil)
    }

    @Test(arguments: [
        ("anna@sub.example.com", true), ("anna@a.b.example.com", true), ("anna@example.com", false),
        ("anna@badexample.com", false), ("ALL@other.example", true), ("desk@other.example", true),
        ("bert@other.example", false),
    ])
    func `domains below an allowed one, and the receiver's own addresses, are allowed`(
        recipient: String, isAllowed: Bool
    ) {
        let mail = ReceiverProfile(
            name: "m", channel: "email", locale: "en_US", timeZone: "UTC",
            addressing: .mail(
                to: ["all@other.example"], allowedDomains: ["*.Example.com"], fallback: "desk@other.example"))
        let resolution = mail.resolve(recipient: recipient, isRecipientExpected: true)
        #expect(resolution.addresses == [isAllowed ? recipient : "desk@other.example"])
        #expect((resolution.refusal == nil) == isAllowed)
    }

    @Test func `a channel with one fixed place does not care`() {
        let teams = ReceiverProfile(
            name: "t", channel: "teams", locale: "en_US", timeZone: "UTC", addressing: .fixed)
        #expect(teams.resolve(recipient: "anna@evil.example", isRecipientExpected: true).addresses == [nil])
    }
}
