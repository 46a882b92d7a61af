import Alerting
import Core
import Testing

@testable import Channels

// Goal: every card is valid, small enough, complete in what matters, and never lets data act as markup. Method: cards
// of ordinary and of hostile notifications against the official schema and by reading them.

struct TeamsSample {
    static func item(
        _ number: Int = 1, state: Notification.Item.State = .firing, severity: Severity = .critical,
        title: String = "Line 4: 6.3 % defects"
    ) -> Notification.Item {
        var item = Notification.Item(
            incidentKey: String(repeating: "ab", count: 32) + "-\(number)", rule: "line-defect-rate",
            table: "gld_fact_quality", owner: "quality-engineering", state: state, severity: severity, title: title,
            keyDisplay: "plant=P1, line=\(number)", reason: "condition holds")
        item.facts = [.init("Batch", "B-2041"), .init("Inspected", "1,250")]
        item.links = [.init("Runbook", "https://wiki.example.com/quality/4")]
        item.firedText = "Jan 12, 2026, 06:27 UTC+1"
        if state == .resolved { item.resolvedText = "Jan 12, 2026, 06:31 UTC+1" }
        item.description = "A line produces more defects than its control limit allows."
        return item
    }

    static func notification(
        _ items: [Notification.Item], reason: Notification.Reason = .first, locale: String = "en_US",
        omittedCount: Int = 0
    ) -> Notification {
        Notification(
            receiver: "quality", recipient: nil, reason: reason, groupKey: "quality/line-defect-rate",
            createdAt: Timestamp(milliseconds: 1_768_195_669_985), openCount: items.count, locale: locale,
            timeZone: "Europe/Berlin", items: items, omittedCount: omittedCount)
    }
}

struct TeamsCardReading {
    let json: JSON
    let bytes: [UInt8]
    init(_ notification: Notification, bytesMax: Int = 18_000, itemsMax: Int = 15) throws {
        bytes = TeamsCard.message(
            for: notification, options: TeamsCardOptions(bytesMax: bytesMax, itemsMax: itemsMax, isFullWidth: true))
        json = try JSON.parse(bytes)
    }
    var card: JSON { json["attachments"]?[0]?["content"] ?? .null }
    var actions: [JSON] { card["actions"]?.elements ?? [] }

    /// All objects of the card.
    var objects: [JSON] { TeamsCardReading.objects(card) }
    private static func objects(_ value: JSON) -> [JSON] {
        if let members = value.members { return [value] + members.flatMap { objects($0.value) } }
        return (value.elements ?? []).flatMap(objects)
    }
    func all(_ type: String) -> [JSON] { objects.filter { $0["type"]?.stringValue == type } }
    var runs: [String] { all("TextRun").compactMap { $0["text"]?.stringValue } }
    var facts: [String] {
        all("FactSet").flatMap { $0["facts"]?.elements ?? [] }
            .map { ($0["title"]?.stringValue ?? "") + "=" + ($0["value"]?.stringValue ?? "") }
    }
    var text: String { (runs + facts).joined(separator: "\n") }
    var ids: [String] { objects.compactMap { $0["id"]?.stringValue } }
}

@Suite struct TeamsCardTests {
    static let hostile = [
        "**bold** _it_ `code` [click](https://evil.example) <at>Boss</at> <b>html</b>", "line\nbreak\r\n- list\n1. one",
        "\u{202E}reversed\u{202C} \u{200B}hidden \u{0} \u{7} bell", "# heading\n> quote\n| a | b |",
        "e\u{301}\u{1F468}‍👩‍👧",
        String(repeating: "\u{301}", count: 3000), String(repeating: "ÿ", count: 9000), "{{DATE(2026)}}", "", "   ",
        "\"}]},{\"type\":\"Action.Submit\"}", String(repeating: "👩🏽‍🚀", count: 2000), "~~x~~ \\* &amp; &lt;at&gt;",
    ]

    static var notifications: [Notification] {
        var all: [Notification] = [
            TeamsSample.notification([TeamsSample.item()]),
            TeamsSample.notification([TeamsSample.item(state: .resolved)], reason: .allResolved, locale: "de_DE"),
            TeamsSample.notification([TeamsSample.item(state: .event, severity: .info)], reason: .event),
            TeamsSample.notification((1...3).map { TeamsSample.item($0) }),
            TeamsSample.notification((1...100).map { TeamsSample.item($0, severity: .warning) }, reason: .merged),
            TeamsSample.notification((1...100).map { TeamsSample.item($0) }, reason: .alreadyOpen, omittedCount: 400),
            TeamsSample.notification([], reason: .merged, omittedCount: 3),
        ]
        for text in hostile {
            var item = TeamsSample.item(title: text)
            item.keyDisplay = text
            item.description = text
            item.owner = text
            item.firedText = text
            item.templateProblem = text
            (item.isOverdue, item.isLastValueUnknown, item.previousSeverity) = (true, true, .warning)
            item.facts = (0..<60).map { .init("\(text)\($0)", text) }
            item.links = [
                .init(text, text), .init(text, "https://ok.example/?q=" + text), .init("", "https://ok.example"),
            ]
            all.append(TeamsSample.notification([item]))
            all.append(TeamsSample.notification(Array(repeating: item, count: 20)))
        }
        return all
    }

    @Test(.enabled(if: TeamsSchemaValidator.isPresent, "the Adaptive Card schema is not beside the package"))
    func `every card is valid against the official schema`() throws {
        let validator = try TeamsSchemaValidator.load()
        for notification in Self.notifications {
            for bytesMax in [6000, 28_000] {
                let reading = try TeamsCardReading(notification, bytesMax: bytesMax)
                #expect(validator.problems(card: reading.card) == [])
                #expect(reading.card["version"]?.stringValue == "1.4")
            }
        }
    }

    @Test(.enabled(if: TeamsSchemaValidator.isPresent, "the Adaptive Card schema is not beside the package"))
    func `the validator finds what the schema forbids`() throws {
        let validator = try TeamsSchemaValidator.load()
        func card(_ element: String) throws -> JSON {
            try JSON.parse(#"{"type":"AdaptiveCard","version":"1.4","body":[\#(element)]}"#)
        }
        #expect(validator.problems(card: try card(#"{"type":"TextBlock","text":"a"}"#)).isEmpty)
        for bad in [
            #"{"type":"TextBlock"}"#, #"{"type":"TextBlock","text":"a","color":"pink"}"#,
            #"{"type":"TextBlock","text":"a","colour":"good"}"#, #"{"type":"FactSet","facts":[{"title":"a"}]}"#,
            #"{"type":"Nonsense"}"#, #"{"type":"RichTextBlock","inlines":[{"type":"TextRun"}]}"#,
        ] {
            #expect(!validator.problems(card: try card(bad)).isEmpty, "\(bad)")
        }
    }

    @Test func `no message is above its budget, whatever it says`() throws {
        for notification in Self.notifications {
            for bytesMax in [6000, 18_000, 28_000] {
                let reading = try TeamsCardReading(notification, bytesMax: bytesMax, itemsMax: 50)
                #expect(reading.bytes.count <= bytesMax)
                #expect(!reading.all("RichTextBlock").isEmpty)
            }
        }
    }

    @Test func `one alert shows severity, title, times, key, facts, rule, owner, link and its incident key`() throws {
        let reading = try TeamsCardReading(TeamsSample.notification([TeamsSample.item()]))
        for text in [
            "CRITICAL", "Line 4: 6.3 % defects", "plant=P1", "fired Jan 12, 2026, 06:27 UTC+1",
            "Batch=B-2041", "Inspected=1,250", "Rule=line-defect-rate", "Owner=quality-engineering",
            "A line produces more defects",
        ] {
            #expect(reading.text.contains(text), "\(text)")
        }
        #expect(reading.ids == [TeamsSample.item().incidentKey])
        #expect(reading.actions.map { $0["url"]?.stringValue } == ["https://wiki.example.com/quality/4"])
        #expect(reading.card["body"]?[0]?["style"]?.stringValue == "attention")
        #expect(reading.json["type"]?.stringValue == "message")
        #expect(reading.json["attachments"]?.elements?.count == 1)
    }

    @Test func `a resolved alert is green and says from when to when`() throws {
        let item = TeamsSample.item(state: .resolved, severity: .error)
        let reading = try TeamsCardReading(TeamsSample.notification([item], reason: .allResolved))
        #expect(reading.card["body"]?[0]?["style"]?.stringValue == "good")
        #expect(reading.text.contains("RESOLVED"))
        #expect(reading.text.contains("fired Jan 12, 2026, 06:27 UTC+1, resolved Jan 12, 2026, 06:31 UTC+1"))
        let german = try TeamsCardReading(TeamsSample.notification([item], reason: .allResolved, locale: "de_AT"))
        #expect(german.text.contains("BEHOBEN") && german.text.contains("ausgelöst Jan 12"))
    }

    @Test func `several alerts are a list, what is left out is counted, and the worst open one gives the colour`()
        throws
    {
        var items = (1...30).map { TeamsSample.item($0, severity: .warning) }
        items[0].state = .resolved
        items[0].severity = .critical
        let reading = try TeamsCardReading(TeamsSample.notification(items, omittedCount: 5), itemsMax: 10)
        #expect(reading.ids.count == 10)
        #expect(reading.text.contains("and 25 more"))
        #expect(reading.text.contains("35 alerts · line-defect-rate"))
        #expect(reading.card["body"]?[0]?["style"]?.stringValue == "warning")
        #expect(reading.text.contains("30 alerts are open"))
    }

    @Test func `the order of shortening is description, facts, texts, alerts, and a link always stays`() throws {
        var item = TeamsSample.item(title: String(repeating: "Titel ", count: 60))
        item.description = String(repeating: "beschreibung ", count: 60)
        item.facts = (1...40).map { .init("Fact \($0)", String(repeating: "wert ", count: 40)) }
        let whole = try TeamsCardReading(TeamsSample.notification([item]), bytesMax: 28_000)
        #expect(whole.text.contains("beschreibung") && whole.facts.count == 20)
        let tight = try TeamsCardReading(TeamsSample.notification([item]), bytesMax: 6000)
        #expect(!tight.text.contains("beschreibung") && (1...5).contains(tight.facts.count))
        #expect(tight.text.contains("Titel") && tight.text.contains("CRITICAL") && tight.actions.count == 1)
        let many = try TeamsCardReading(
            TeamsSample.notification(Array(repeating: item, count: 50)), bytesMax: 6000, itemsMax: 50)
        #expect(many.facts.isEmpty && many.actions.count == 1)
        let shown = many.card["body"]?.elements?.count ?? 0
        #expect(many.text.contains("and ") && shown > 3)
    }

    @Test func `an alert that was told before says that it is still open, in the receiver's language`() throws {
        var item = TeamsSample.item()
        for (locale, words) in [("en_US", "still open"), ("de_DE", "weiterhin offen")] {
            item.isToldBefore = true
            var notification = TeamsSample.notification([item], reason: .repeat, locale: locale)
            #expect(try TeamsCardReading(notification).runs.contains(words))
            #expect(EmailLayout(notification, meantFor: nil).text.contains("\n! \(words)\n"))
            #expect(EmailLayout(notification, meantFor: nil).html.contains(">\(words)</p>"))
            item.isToldBefore = false
            notification.items = [item]
            #expect(try !TeamsCardReading(notification).text.contains(words))
            #expect(!EmailLayout(notification, meantFor: nil).text.contains(words))
        }
    }

    @Test func `data is never read as markup`() throws {
        for text in Self.hostile {
            var item = TeamsSample.item(title: text)
            item.keyDisplay = text
            item.facts = [.init("plain", "value"), .init(text, text)]
            let reading = try TeamsCardReading(TeamsSample.notification([item]))
            #expect(reading.all("TextBlock").isEmpty)
            for fact in reading.facts { #expect(!TeamsText.couldBeMarkup(fact), "\(fact)") }
            let fallback = reading.card["fallbackText"]?.stringValue ?? ""
            #expect(!fallback.contains { "*_[]<>`".contains($0) })
            for run in reading.runs + reading.facts {
                #expect(
                    !run.unicodeScalars.contains {
                        $0.value < 0x20 && $0.value != 0x0A || (0x202A...0x202E).contains($0.value)
                            || $0.value == 0x200B
                    })
            }
        }
    }

    @Test func `only http and https become buttons`() throws {
        var item = TeamsSample.item()
        item.links = [
            .init("a", "javascript:alert(1)"), .init("b", "HTTPS://ok.example/ü?q=a%20b"), .init("c", "https://"),
            .init("d", "https:///x"), .init("e", "file:///etc/passwd"), .init("f", "https://x y"),
            .init("g", "http://ok.example/#frag"), .init("h", "http://ok.example/#frag"),
            .init("", "https://ok.example/n"),
        ]
        let reading = try TeamsCardReading(TeamsSample.notification([item]))
        #expect(
            reading.actions.map { $0["url"]?.stringValue } == [
                "HTTPS://ok.example/%C3%BC?q=a%20b", "http://ok.example/#frag", "https://ok.example/n",
            ])
        #expect(reading.actions.last?["title"]?.stringValue == "Link")
        item.links = (0..<20).map { .init("l\($0)", "https://ok.example/\($0)") }
        #expect(try TeamsCardReading(TeamsSample.notification([item])).actions.count == 5)
    }

    @Test func `texts are cut between characters`() {
        #expect(TeamsText.line("äöü", bytesMax: 6) == "äöü")
        #expect(TeamsText.line("äöüä", bytesMax: 7) == "äö…")
        #expect(TeamsText.line("👩🏽‍🚀👩🏽‍🚀", bytesMax: 20) == "👩🏽‍🚀…")
        #expect(TeamsText.line(" a \n\t b\u{A0} ", bytesMax: 20) == "a b")
        #expect(TeamsText.block("a\n\n b", bytesMax: 20) == "a\n\nb")
    }
}
