public import Core
internal import RuleEngine
internal import Spine
internal import Store

/// What the alert worker counts.
public struct AlertWorkerMetrics: Sendable {
    private let transitions: [Transition.Kind: Counter]
    private let evaluationErrors: Counter
    private let outboxRows: Counter
    private let refusedRecipients: Counter
    private let newestRowsForgotten: Counter
    private let episodesForgotten: Counter

    /// Makes the metrics.
    public init(registry: MetricsRegistry) {
        var transitions: [Transition.Kind: Counter] = [:]
        for kind in Transition.Kind.allCases {
            transitions[kind] = registry.counter(
                "alert_router_transitions_total", "Changes of alerts.", labels: ["kind": "\(kind)"])
        }
        self.transitions = transitions
        evaluationErrors = registry.counter(
            "alert_router_evaluation_errors_total", "Rows on which a rule had the third outcome.")
        outboxRows = registry.counter("alert_router_outbox_rows_total", "Notifications written to the outbox.")
        refusedRecipients = registry.counter(
            "alert_router_recipient_problems_total", "Recipients from data that were missing or refused.")
        newestRowsForgotten = registry.counter(
            "alert_router_newest_rows_forgotten_total", "Keys of rules whose newest row was forgotten: no room.")
        episodesForgotten = registry.counter(
            "alert_router_episodes_forgotten_total", "Closed alerts whose episode was forgotten for want of room.")
    }

    /// Counts what was forgotten between two looks; counts that began anew between them add nothing.
    func countForgotten(from old: (newestRows: Int, episodes: Int), to new: (newestRows: Int, episodes: Int)) {
        newestRowsForgotten.add(max(0, new.newestRows - old.newestRows))
        episodesForgotten.add(max(0, new.episodes - old.episodes))
    }

    func count(_ output: EvaluationOutput) {
        for transition in output.transitions { transitions[transition.kind]?.add() }
        evaluationErrors.add(output.errors.reduce(output.reportsDropped) { $0 + $1.count })
    }

    func count(_ rows: [OutboxRecord], recipientProblems: Int) {
        outboxRows.add(rows.count { $0.state == .waiting })
        refusedRecipients.add(recipientProblems)
    }
}
