public import Core
public import NIOCore
internal import Synchronization

/// A card as a Workflows webhook would post it, and what a person sees of it.
public struct TeamsSinkCard: Sendable {
    public var receivedAt: Timestamp
    /// The card, as received.
    public var card: JSON
    /// Ids of its containers: the incident keys it tells of.
    public var ids: [String]
    /// What is to be read, line by line.
    public var lines: [String]
    /// Titles and addresses of its buttons.
    public var links: [(title: String, url: String)]
    public var byteCount: Int
}

/// Plays a Teams Workflows webhook strictly: what Teams would refuse or show wrongly is an answer 400 and a fault.
///
/// Requests above four a second get a 429 with `Retry-After`, as Teams does, unless that is switched off.
public final class TeamsSink: Sendable {
    private struct State {
        var cards: [TeamsSinkCard] = []
        var faults: [String] = []
        var recent: [Timestamp] = []
        var throttledCount = 0
        var answerDelay: Int64 = 0
    }

    private let state = Mutex(State())
    private let sink: HTTPSink

    private init(sink: HTTPSink) {
        self.sink = sink
    }

    /// Starts a webhook on 127.0.0.1.
    ///
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - isThrottling: answers 429 above four requests a second.
    ///   - onCard: called with each card that was accepted; must be quick.
    public static func start(
        port: Int, group: any EventLoopGroup, clock: any WallClock, isThrottling: Bool,
        onCard: @escaping @Sendable (TeamsSinkCard) -> Void
    ) async throws -> TeamsSink {
        let box = TeamsSinkBox()
        let sink = try await HTTPSink.start(
            port: port, group: group, clock: clock, certificate: nil, onHead: { _ in nil },
            script: { request in box.answer(request) })
        let teams = TeamsSink(sink: sink)
        box.connect { [weak teams] request in
            guard let teams else { return .closeAfterBody }
            return teams.answer(request, isThrottling: isThrottling, onCard: onCard)
        }
        return teams
    }

    /// An address in the form of a Workflows webhook, with a signature.
    public var webhookAddress: String {
        sink.address + "/powerautomate/automations/direct/workflows/4f1c2a/triggers/manual/paths/invoke"
            + "?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=s3cr3t-Signature_of-the.sandbox"
    }

    /// What was accepted so far, oldest first; at most ``HTTPSink/journalMax``.
    public var cards: [TeamsSinkCard] { state.withLock { $0.cards } }
    /// What was wrong with requests; empty when all is well.
    public var faults: [String] { state.withLock { $0.faults } }
    /// How many requests were answered with 429.
    public var throttledCount: Int { state.withLock { $0.throttledCount } }
    /// The server underneath, for its journal.
    public var http: HTTPSink { sink }

    /// Cards are kept at once and answered so much later from now on, as Teams does: in between, who sent one cannot
    /// know whether it arrived.
    public func delayAnswers(milliseconds: Int64) { state.withLock { $0.answerDelay = milliseconds } }

    /// Stops the server.
    public func stop() async { await sink.stop() }

    private func answer(
        _ request: HTTPSinkRequest, isThrottling: Bool, onCard: @Sendable (TeamsSinkCard) -> Void
    ) -> HTTPSinkAnswer {
        let isTooFast = state.withLock { state in
            state.recent.removeAll { request.receivedAt.milliseconds(since: $0) >= 1000 }
            state.recent.append(request.receivedAt)
            let isTooFast = isThrottling && state.recent.count > 4
            if isTooFast { state.throttledCount += 1 }
            return isTooFast
        }
        if isTooFast { return .respond(status: 429, headers: [("Retry-After", "1")], body: []) }
        switch TeamsSinkReader.read(request) {
        case .success(let card):
            let delay = state.withLock { state in
                state.cards.append(card)
                if state.cards.count > HTTPSink.journalMax { state.cards.removeFirst(HTTPSink.journalMax / 10) }
                return state.answerDelay
            }
            onCard(card)
            let headers = [("x-ms-workflow-run-id", "08584\(card.byteCount)")]
            guard delay > 0 else { return .respond(status: 202, headers: headers, body: []) }
            return .respondLater(milliseconds: delay, status: 202, headers: headers, body: [])
        case .failure(let fault):
            state.withLock { state in if state.faults.count < 1000 { state.faults.append(fault.message) } }
            let body = JSON.object([
                "error": .object(["code": .string("InvalidRequest"), "message": .string(fault.message)])
            ])
            return .respond(status: 400, headers: [("Content-Type", "application/json")], body: body.bytes)
        }
    }
}

private final class TeamsSinkBox: Sendable {
    private let handler = Mutex<(@Sendable (HTTPSinkRequest) -> HTTPSinkAnswer)?>(nil)
    func connect(_ handler: @escaping @Sendable (HTTPSinkRequest) -> HTTPSinkAnswer) {
        self.handler.withLock { $0 = handler }
    }
    func answer(_ request: HTTPSinkRequest) -> HTTPSinkAnswer {
        handler.withLock { $0 }?(request) ?? .respond(status: 503, headers: [], body: [])
    }
}

/// Reads a request as Teams would.
private enum TeamsSinkReader {
    struct Fault: Error { var message: String }

    static func read(_ request: HTTPSinkRequest) -> Result<TeamsSinkCard, Fault> {
        do throws(Fault) { return .success(try card(request)) } catch { return .failure(error) }
    }

    private static func card(_ request: HTTPSinkRequest) throws(Fault) -> TeamsSinkCard {
        guard request.method == "POST" else { throw Fault(message: "the method must be POST") }
        guard request.header("content-type")?.lowercased().hasPrefix("application/json") == true else {
            throw Fault(message: "the content type must be application/json")
        }
        guard request.target.contains("api-version="), request.target.contains("sig=") else {
            throw Fault(message: "the address lacks 'api-version' or 'sig'")
        }
        guard request.body.count <= 28_000 else { throw Fault(message: "the message is above 28 KB") }
        let json: JSON
        do { json = try JSON.parse(request.body) } catch { throw Fault(message: "no JSON: \(error)") }
        guard json["type"]?.stringValue == "message", let attachments = json["attachments"]?.elements,
            attachments.count == 1, let attachment = attachments.first,
            attachment["contentType"]?.stringValue == "application/vnd.microsoft.card.adaptive",
            let card = attachment["content"], card["type"]?.stringValue == "AdaptiveCard"
        else { throw Fault(message: "no message with exactly one Adaptive Card") }
        guard ["1.2", "1.3", "1.4", "1.5"].contains(card["version"]?.stringValue ?? "") else {
            throw Fault(message: "the card's version is missing or above 1.5")
        }
        guard let body = card["body"]?.elements, !body.isEmpty else { throw Fault(message: "the card has no body") }
        var reading = Reading()
        for element in body { try reading.read(element) }
        for action in card["actions"]?.elements ?? [] { try reading.read(action: action) }
        guard Set(reading.ids).count == reading.ids.count else { throw Fault(message: "an id occurs twice") }
        return TeamsSinkCard(
            receivedAt: request.receivedAt, card: card, ids: reading.ids, lines: reading.lines, links: reading.links,
            byteCount: request.body.count)
    }

    private struct Reading {
        var ids: [String] = []
        var lines: [String] = []
        var links: [(title: String, url: String)] = []

        mutating func read(_ element: JSON) throws(Fault) {
            if let id = element["id"]?.stringValue { ids.append(id) }
            switch element["type"]?.stringValue {
            case "Container": for item in element["items"]?.elements ?? [] { try read(item) }
            case "ColumnSet": for column in element["columns"]?.elements ?? [] { try read(column) }
            case "Column": for item in element["items"]?.elements ?? [] { try read(item) }
            case "TextBlock": try add(element["text"]?.stringValue)
            case "RichTextBlock":
                let runs = element["inlines"]?.elements ?? []
                try add(runs.map { $0.stringValue ?? $0["text"]?.stringValue ?? "" }.joined())
            case "FactSet":
                for fact in element["facts"]?.elements ?? [] {
                    guard let title = fact["title"]?.stringValue, let value = fact["value"]?.stringValue else {
                        throw Fault(message: "a fact needs a title and a value")
                    }
                    try add("\(title): \(value)")
                }
            case let type: throw Fault(message: "element '\(type ?? "?")' is not shown in a webhook's card")
            }
        }

        private mutating func add(_ text: String?) throws(Fault) {
            guard let text, !text.isEmpty else { throw Fault(message: "a text is missing") }
            lines.append(text)
        }

        mutating func read(action: JSON) throws(Fault) {
            guard action["type"]?.stringValue == "Action.OpenUrl", let url = action["url"]?.stringValue,
                url.hasPrefix("https://") || url.hasPrefix("http://")
            else { throw Fault(message: "only Action.OpenUrl with http or https works in a webhook's card") }
            links.append((action["title"]?.stringValue ?? "", url))
            guard links.count <= 6 else { throw Fault(message: "more than six buttons") }
        }
    }
}
