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
    }

    func count(_ output: EvaluationOutput) {
        for transition in output.transitions { transitions[transition.kind]?.add() }
        evaluationErrors.add(output.errors.reduce(output.reportsDropped) { $0 + $1.count })
    }

    func count(_ announcement: Announcer.Announcement) {
        outboxRows.add(announcement.rows.count { $0.state == .waiting })
        refusedRecipients.add(announcement.problems.filter { $0.component == "recipient" }.count)
    }
}
