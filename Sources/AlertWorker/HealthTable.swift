internal import Core
internal import Spine

/// The built-in table of facts about the router itself, and the rules shipped for it.
public enum HealthTable {
    /// The table's name, as rules write it.
    public static let name = "router_health"

    /// A file of this name among the rules replaces the shipped ones.
    public static let rulesFileName = "router-health.yaml"

    /// The declaration of the table, in the form of `rules/tables.yaml`.
    public static let tables = """
        tables:
          router_health:
            row_key: [component, subject]
            format: plain
            columns:
              component: string
              subject: string
              healthy: bool
              detail: string
        """

    /// The shipped rules, in the form of a rule file.
    public static let rules = """
        table: router_health
        owner: operators
        rules:
          - name: router-health
            description: Something about the router itself needs an operator.
            key: [component, subject]
            when: after.healthy == false
            severity: error
            summary: "{{ after.component }} {{ after.subject }}: {{ after.detail }}"
        """

    /// A fact as a message of the table, as if it had been read from Kafka.
    static func message(of fact: HealthFact, at time: Timestamp) -> RawBatch.Copied {
        let value = JSON.object([
            "component": .string(fact.component), "subject": .string(fact.subject), "healthy": .bool(fact.isHealthy),
            "detail": .string(fact.detail),
        ])
        return RawBatch.Copied(
            partition: TopicPartition(topic: name, partition: 0), offset: time.milliseconds,
            timestamp: time.milliseconds,
            key: nil, value: value.bytes)
    }
}
