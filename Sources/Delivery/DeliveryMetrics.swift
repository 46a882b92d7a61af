import Core
import Store

/// What delivery counts. Labels are receivers, which configuration bounds.
struct DeliveryMetrics: Sendable {
    private let registry: MetricsRegistry
    private static let secondsBounds: [Double] = [
        0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600,
    ]

    init(registry: MetricsRegistry) { self.registry = registry }

    func apply(_ events: [DeliveryEvent]) {
        for event in events { apply(event) }
    }

    private func apply(_ event: DeliveryEvent) {
        switch event {
        case .attempt(let receiver, let outcome, let milliseconds):
            registry.counter(
                "alert_router_delivery_attempts_total", "Attempts to deliver, by outcome.",
                labels: ["receiver": receiver, "outcome": outcome.rawValue]
            ).add()
            registry.histogram(
                "alert_router_delivery_attempt_seconds", "How long attempts took.",
                bounds: DeliveryMetrics.secondsBounds, labels: ["receiver": receiver]
            ).observe(Double(milliseconds) / 1000)
        case .settled(let receiver, let state, let latency):
            registry.counter(
                "alert_router_delivery_rows_total", "Outbox rows that ended, by state.",
                labels: ["receiver": receiver, "state": state.rawValue]
            ).add()
            guard let latency else { return }
            registry.histogram(
                "alert_router_delivery_latency_seconds", "From the creation of a row to its acceptance.",
                bounds: DeliveryMetrics.secondsBounds, labels: ["receiver": receiver]
            ).observe(Double(latency) / 1000)
        case .superseded(let receiver, let reason, let count):
            registry.counter(
                "alert_router_delivery_superseded_total", "Outbox rows that another row spoke for, by reason.",
                labels: ["receiver": receiver, "reason": reason.rawValue]
            ).add(count)
        case .blocked(let receiver, let block):
            registry.counter(
                "alert_router_delivery_blocked_total", "Passes in which due rows had to wait, by what held them.",
                labels: ["receiver": receiver, "by": block.rawValue]
            ).add()
        case .breaker(let receiver, let isOpen):
            registry.gauge(
                "alert_router_delivery_breaker_open", "1 while the destination is left alone after failures.",
                labels: ["receiver": receiver]
            ).set(isOpen ? 1 : 0)
        case .inFlight(let receiver, let count):
            registry.gauge(
                "alert_router_delivery_in_flight", "Outbox rows held for an attempt.", labels: ["receiver": receiver]
            ).set(Double(count))
        }
    }
}
