import Core
import Foundation
import NIOPosix
import Sandbox
import Synchronization

/// The receivers of a crash run: Teams webhooks and a mail server that keep what they are told.
final class CrashRecorder: Sendable {
    /// One alert in one message.
    struct Told: Hashable {
        var episode: CrashOracle.Episode
        var isResolved: Bool
    }

    /// One message at one addressee.
    struct Arrival {
        var addressee: String
        var told: [Told]
        /// Alerts that it only counts, "and N more", for want of room.
        var leftOutCount: Int

        init(addressee: String, lines: [String]) {
            self.addressee = addressee
            told = CrashRecorder.read(lines, addressee: addressee)
            leftOutCount = CrashRecorder.leftOutCount(in: lines)
        }
    }

    private let clock = SystemWallClock()
    let chats: [(name: String, sink: TeamsSink)]
    let mail: SMTPSandbox

    private init(chats: [(name: String, sink: TeamsSink)], mail: SMTPSandbox) {
        self.chats = chats
        self.mail = mail
    }

    static func start() async throws -> CrashRecorder {
        let group = MultiThreadedEventLoopGroup.singleton
        var chats: [(name: String, sink: TeamsSink)] = []
        // Real ones take their time too; while they do, a kill hits a message that has arrived and is not answered.
        for (name, delay) in [("chat-a", 30), ("chat-b", 60), ("chat-c", 120), ("ops", 0)] as [(String, Int64)] {
            let sink = try await TeamsSink.start(
                port: 0, group: group, clock: SystemWallClock(), isThrottling: false, onCard: { _ in })
            sink.delayAnswers(milliseconds: delay)
            chats.append((name, sink))
        }
        let mail = try await SMTPSandbox.start(options: SMTPSandboxOptions(), port: 0, group: group)
        return CrashRecorder(chats: chats, mail: mail)
    }

    func stop() async {
        for chat in chats { await chat.sink.stop() }
        await mail.stop()
    }

    /// Messages taken so far.
    var messageCount: Int { chats.reduce(mail.messages.count) { $0 + $1.sink.cards.count } }

    /// What was wrong with what arrived.
    var faults: [String] {
        var faults = mail.faults
        for chat in chats { faults += chat.sink.faults.map { "\(chat.name): \($0)" } }
        return faults
    }

    /// How many alerts a message counts without showing them: the line "and N more".
    static func leftOutCount(in lines: [String]) -> Int {
        lines.reduce(0) { sum, line in
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == "and", words[2] == "more" else { return sum }
            return sum + (Int(words[1]) ?? 0)
        }
    }

    /// What the operator was told about the router itself.
    var operatorLines: [String] { chats.first { $0.name == "ops" }?.sink.cards.flatMap(\.lines) ?? [] }

    /// Everything that arrived, per message, in the order of arrival at each addressee.
    func arrivals() -> (messages: [Arrival], faults: [String]) {
        var all: [Arrival] = []
        var faults: [String] = []
        for chat in chats where chat.name != "ops" {
            for card in chat.sink.cards {
                let arrival = Arrival(addressee: chat.name, lines: card.lines)
                let told = arrival.told
                let isAboutEvents = told.contains { $0.episode.rule == "wear-rose" }
                if !isAboutEvents, Set(told.map(\.episode.incidentKey)) != Set(card.ids) {
                    faults.append("\(chat.name): a card's ids and texts differ: \(card.ids) \(card.lines)")
                }
                all.append(arrival)
            }
        }
        for message in mail.messages {
            let address = message.recipients.joined(separator: ",")
            let receiver = address.hasPrefix("desk@") ? "desk" : "planners"
            let arrival = Arrival(addressee: "\(receiver) \(address)", lines: message.lines)
            if arrival.told.isEmpty { faults.append("a mail to \(address) tells nothing: \(message.text ?? "")") }
            all.append(arrival)
        }
        return (all, faults)
    }

    /// Marks of the rules' summaries: `#rule|key|episode|state#`; each once per message.
    static func read(_ lines: [String], addressee: String) -> [Told] {
        var result: [Told] = []
        for line in lines {
            let parts = line.components(separatedBy: "#")
            guard parts.count >= 3 else { continue }
            for part in parts {
                let fields = part.components(separatedBy: "|")
                guard fields.count == 4, let number = Int(fields[2]) else { continue }
                let episode = CrashOracle.Episode(
                    addressee: addressee, rule: fields[0], key: fields[1], number: number)
                let told = Told(episode: episode, isResolved: fields[3] == "resolved")
                if !result.contains(told) { result.append(told) }
            }
        }
        return result
    }
}
