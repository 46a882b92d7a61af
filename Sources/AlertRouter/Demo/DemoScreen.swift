import Core
import Sandbox
import Store
import Synchronization

/// Prints what arrived, as a person would see it; one thing at a time.
final class DemoScreen: Sendable {
    private struct State {
        var progressShown = false
        var mailCount = 0
        var sentAt: [SamplePlayer.Place: Timestamp] = [:]
    }

    /// Columns of a frame.
    private static let width = 96
    private let state = Mutex(State())

    /// Mails printed so far.
    var mailCount: Int { state.withLock { $0.mailCount } }

    func show(_ card: TeamsSinkCard, receiver: String) {
        let links = card.links.map { "[\($0.title)] \($0.url)" }
        frame("Teams · \(receiver)", card.lines + links)
    }

    func show(_ message: SMTPSandboxMessage) {
        state.withLock { $0.mailCount += 1 }
        var lines = ["To: \(message.recipients.joined(separator: ", "))", "Subject: \(message.subject)"]
        // Mail lines end in CR LF, which Swift takes for one character.
        let text = (message.text ?? "").split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(
            String.init)
        lines += [""] + text.drop(while: \.isEmpty)
        while lines.last?.isEmpty == true { lines.removeLast() }
        frame("Mail", lines)
    }

    /// When each message was sent.
    var sentAt: [SamplePlayer.Place: Timestamp] { state.withLock { $0.sentAt } }

    /// Where the player is; on a terminal one moving line.
    func progress(_ portion: SamplePlayer.Portion) {
        state.withLock { state in
            for place in portion.places { state.sentAt[place] = portion.sentAt }
            guard Output.isTerminal else { return }
            state.progressShown = true
            Output.text("\r\u{1B}[K… \(portion.count) events played, \(portion.reached)")
        }
    }

    private func frame(_ title: String, _ lines: [String]) {
        state.withLock { state in
            if state.progressShown { Output.text("\r\u{1B}[K") }
            state.progressShown = false
            let head = "┌─ \(title) "
            Output.line(head + String(repeating: "─", count: max(0, DemoScreen.width - head.count)))
            for line in lines { Output.line("│ \(line)") }
            Output.line("└" + String(repeating: "─", count: DemoScreen.width - 1))
        }
    }
}
