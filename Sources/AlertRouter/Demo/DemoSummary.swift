import Alerting
import Core
import Sandbox
import Store

/// What the demo tells at its end, from the store.
struct DemoSummary {
    var eventCount: Int
    var cardCounts: [(String, Int)]
    var mailCount: Int
    /// What a receiver was told twice, as seen at the sinks.
    var repetitions: [String]
    var faults: [String]
    var store: SQLiteStore
    /// When each message was sent to Kafka.
    var sentAt: [SamplePlayer.Place: Timestamp]
    var configurationPath: String

    private struct Figures {
        var fired = 0
        var resolved = 0
        var firing = 0
        var letters = 0
        var joined = 0
        /// Milliseconds from sending an event to the recorded acceptance of the message it caused.
        var latencies: [Int64] = []
    }

    var lines: [String] {
        let figures: Figures
        do { figures = try read() } catch { return ["the store could not be read: \(error)"] }
        func percentile(_ share: Double) -> String {
            let sorted = figures.latencies.sorted()
            return sorted.isEmpty ? "–" : "\(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) ms"
        }
        let cards = cardCounts.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        var lines = [
            "", "Summary", "  events read         \(eventCount)", "  alerts fired        \(figures.fired)",
            "  alerts resolved     \(figures.resolved)", "  still firing        \(figures.firing)",
            "  Teams cards         \(cards)", "  mails               \(mailCount)",
            "  joined into others  \(figures.joined)", "  duplicates          \(repetitions.count)",
            "  refused by a sink   \(faults.count)", "  dead letters        \(figures.letters)",
            "  event to delivery   p50 \(percentile(0.5)), p99 \(percentile(0.99))",
        ]
        if figures.letters > 0 {
            lines += [
                "", "The dead letters are rows with a null or NaN that a rule needed. Look at them:",
                "  \(ProgramName.asStarted) dead-letters list --config \(configurationPath)",
            ]
        }
        return lines + repetitions.prefix(5).map { "  told twice: \($0)" } + faults.prefix(5).map { "  refused: \($0)" }
    }

    private func read() throws -> Figures {
        try store.read { reader in
            var figures = Figures()
            var causes: [String: EventPosition] = [:]
            for transition in try reader.transitions(beforeId: nil, countMax: 100_000) {
                guard let kind = Transition.Kind(rawValue: transition.kind) else { continue }
                if kind == .firing || kind == .event { figures.fired += 1 }
                if kind == .resolved { figures.resolved += 1 }
                let incident = "\(Hex.encode(transition.fingerprint))-\(transition.episode)"
                causes["\(incident)/\(kind == .resolved)"] = transition.cause
            }
            try reader.forEachOpenAlert { if $0.state == Alert.State.firing.rawValue { figures.firing += 1 } }
            figures.letters = try reader.openDeadLetterCounts().values.reduce(0, +)
            for count in try reader.outboxCounts() where count.state == .superseded { figures.joined += count.count }
            for row in try reader.outboxRows(state: .sent, receiver: nil, beforeId: nil, countMax: 100_000) {
                guard let settled = row.settledAt, let items = try? Notification(bytes: row.payload).items else {
                    continue
                }
                for item in items {
                    guard let cause = causes["\(item.incidentKey)/\(item.state == .resolved)"] else { continue }
                    let place = SamplePlayer.Place(
                        topic: cause.topic, partition: cause.partition, offset: cause.offset)
                    if let sent = sentAt[place] { figures.latencies.append(settled.milliseconds(since: sent)) }
                }
            }
            return figures
        }
    }
}
