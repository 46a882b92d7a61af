internal import Core

/// What one message tells of one incident, read from the message as it arrived.
public struct SinkTelling: Hashable, Sendable {
    /// The incident key, or in a mail the thread that stands for it.
    public var incident: String
    /// The word that a person reads first: `WARNING`, `RESOLVED`, `EVENT · ERROR`.
    public var state: String
    /// It says itself that it was told before and is still open.
    public var isReminder: Bool

    /// Names an incident and its state.
    public init(incident: String, state: String, isReminder: Bool = false) {
        self.incident = incident
        self.state = state
        self.isReminder = isReminder
    }

    /// What a reminder says, as a line of its own.
    static let reminders: Set<String> = ["still open", "weiterhin offen"]

    /// Nothing but a repetition can follow for this incident.
    var isEnd: Bool { ["RESOLVED", "BEHOBEN"].contains(state) }
}

/// Counts what a receiver was told twice, from what arrived there; shares no code with what sends.
///
/// An incident that goes from warning to critical and back is told three times rightly. Told twice is: the same state
/// again with nothing in between, and any state told before once the incident was over.
public struct SinkTellings: Sendable {
    private struct Subject: Hashable {
        var receiver: String
        var incident: String
    }

    private struct Course {
        var states: [String] = []
        var isOver = false
    }

    private var courses: [Subject: Course] = [:]
    /// What was told twice: receiver, incident and state, in the order of arrival.
    public private(set) var repetitions: [String] = []

    /// Nothing was told yet.
    public init() {}

    /// Takes the next message that a receiver got.
    /// - Parameter receiver: the address that people look at: a webhook or a mailbox.
    public mutating func add(_ tellings: [SinkTelling], receiver: String) {
        for telling in tellings {
            let subject = Subject(receiver: receiver, incident: telling.incident)
            var course = courses[subject] ?? Course()
            if telling.isReminder { continue }
            if course.states.last == telling.state || course.isOver && course.states.contains(telling.state) {
                repetitions.append("\(receiver): \(telling.incident) \(telling.state)")
            }
            course.states.append(telling.state)
            course.isOver = course.isOver || telling.isEnd
            courses[subject] = course
        }
    }

    /// Takes the next mail, once for each of its recipients.
    public mutating func add(_ mail: SMTPSandboxMessage) {
        for recipient in mail.recipients { add(mail.tellings, receiver: recipient) }
    }
}

extension TeamsSinkCard {
    /// The incidents of the card, each with the word that stands before it.
    ///
    /// A card about one incident has the word in its head; a card about several before each.
    public var tellings: [SinkTelling] {
        let body = card["body"]?.elements ?? []
        func firstRun(_ element: JSON?) -> JSON? { element?["items"]?[0]?["inlines"]?[0] }
        let head = firstRun(body.first)?["text"]?.stringValue ?? ""
        return body.compactMap { element in
            guard let id = element["id"]?.stringValue else { return nil }
            let run = firstRun(element)
            let word = run?["color"] == nil ? head : run?["text"]?.stringValue ?? head
            let isReminder = (element["items"]?.elements ?? []).contains { line in
                line["inlines"]?[0]?["text"]?.stringValue.map(SinkTelling.reminders.contains) ?? false
            }
            return SinkTelling(incident: id, state: word.trimmingBlanks, isReminder: isReminder)
        }
    }
}

extension SMTPSandboxMessage {
    /// The incidents of the mail, each by the thread that its references name, with the word before its title.
    public var tellings: [SinkTelling] {
        var threads = (header("References") ?? "").split(separator: " ").map(String.init)
        let lines = (text ?? "").split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        // Each section begins with '[WARNING] title'; nothing else stands at the beginning of a line in brackets.
        var sections: [(word: String, isReminder: Bool)] = []
        for line in lines {
            if line.first == "[", let end = line.firstIndex(of: "]") {
                sections.append((String(line[line.index(after: line.startIndex)..<end]), false))
            } else if line.hasPrefix("! "), SinkTelling.reminders.contains(String(line.dropFirst(2))),
                !sections.isEmpty
            {
                sections[sections.count - 1].isReminder = true
            }
        }
        // A mail about several incidents names their group first.
        if sections.count > 1 { threads = Array(threads.dropFirst()) }
        return zip(threads, sections).map { SinkTelling(incident: $0, state: $1.word, isReminder: $1.isReminder) }
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
