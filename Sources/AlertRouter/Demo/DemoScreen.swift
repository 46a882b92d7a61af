import Core
import Sandbox
import Store
import Synchronization

/// Prints what arrived, as a person would see it; one thing at a time.
final class DemoScreen: Sendable {
    private struct State {
        var progressShown = false
        var mailCount = 0
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
        let text = (message.text ?? "").split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
        lines += [""] + text.drop(while: \.isEmpty)
        while lines.last?.isEmpty == true { lines.removeLast() }
        frame("Mail", lines)
    }

    /// Where the player is; on a terminal one moving line.
    func progress(_ count: Int, _ time: Timestamp) {
        guard Output.isTerminal else { return }
        state.withLock { state in
            state.progressShown = true
            Output.text("\r\u{1B}[K… \(count) events played, \(time)")
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

/// What the demo tells at its end, from the store and the metrics.
struct DemoSummary {
    var eventCount: Int
    var metrics: MetricsRegistry
    var cardCounts: [(String, Int)]
    var mailCount: Int
    var faults: [String]
    var store: SQLiteStore

    var lines: [String] {
        var fired: Int64 = 0
        var resolved: Int64 = 0
        var latencies: [Int64] = []
        var letters = 0
        var merged = 0
        var ambiguous = 0
        var open = 0
        do {
            try store.read { reader in
                for transition in try reader.transitions(beforeId: nil, countMax: 100_000) {
                    switch Transition.Kind(rawValue: transition.kind) {
                    case .firing, .event: fired += 1
                    case .resolved: resolved += 1
                    default: break
                    }
                }
                open = try reader.openAlertCount()
                letters = try reader.openDeadLetterCounts().values.reduce(0, +)
                for count in try reader.outboxCounts() where count.state == .superseded { merged += count.count }
                for row in try reader.outboxRows(state: .sent, receiver: nil, beforeId: nil, countMax: 100_000) {
                    if let settled = row.settledAt { latencies.append(settled.milliseconds(since: row.createdAt)) }
                    ambiguous += row.ambiguousCount
                }
            }
        } catch {
            return ["the store could not be read: \(error)"]
        }
        latencies.sort()
        func percentile(_ share: Double) -> Int64 {
            latencies.isEmpty ? 0 : latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]
        }
        let teams = cardCounts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        return [
            "", "Summary",
            "  events read         \(eventCount)", "  alerts fired        \(fired)", "  alerts resolved     \(resolved)",
            "  still open          \(open)", "  Teams cards         \(teams)", "  mails               \(mailCount)",
            "  joined into others  \(merged)", "  duplicates          \(ambiguous)", "  dead letters        \(letters)",
            "  refused by a sink   \(faults.count)",
            "  event to delivery   p50 \(percentile(0.5)) ms, p99 \(percentile(0.99)) ms",
        ] + faults.prefix(5).map { "    \($0)" }
    }
}
