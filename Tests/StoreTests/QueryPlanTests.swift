import Core
import GRDB
import Testing

@testable import Store

/// No statement that runs per event, notification or claim reads a whole table.
@Suite struct QueryPlanTests {
    @Test(
        arguments: [
            ("offset", SQL.nextOffset), ("alert", SQL.alert), ("closed episodes", SQL.closedEpisodes),
            ("open alerts", SQL.openAlerts), ("row", SQL.outboxRow), ("waiting", SQL.waitingRows),
            ("waiting of receiver", SQL.waitingRowsOfReceiver), ("waiting count", SQL.waitingCount),
            ("leased", SQL.leasedRow), ("row head", SQL.outboxHead), ("row of lane", SQL.outboxRowOfLane),
            ("later sent", SQL.isLaterSent),
            ("newest sent", SQL.newestSent), ("claimable", SQL.claimableLanes), ("next due", SQL.nextDue),
            ("lane summary", SQL.laneSummary), ("slots", SQL.limiterSlots), ("attempts", SQL.attempts),
            ("old leases", "SELECT id FROM outbox WHERE state = 1 AND lease_run < ?"),
            ("old transitions", "SELECT id FROM transitions WHERE recorded_at < ? ORDER BY recorded_at LIMIT ?"),
            (
                "old outbox rows",
                """
                SELECT id FROM outbox o WHERE state >= 2 AND settled_at < ?
                  AND NOT EXISTS (SELECT 1 FROM outbox s WHERE s.state = 5 AND s.superseded_by = o.id)
                  ORDER BY settled_at, id LIMIT ?
                """
            ),
            ("old attempts", "SELECT id FROM attempts WHERE finished_at < ? ORDER BY finished_at LIMIT ?"),
            ("old alerts", "SELECT id FROM alerts WHERE is_open = 0 AND changed_at < ? ORDER BY changed_at LIMIT ?"),
        ])
    func `a hot statement goes by an index`(name: String, sql: String) async throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let plan = try await store.pool.read { database in
            let statement = try database.makeStatement(sql: "EXPLAIN QUERY PLAN " + sql)
            let count = sql.count { $0 == "?" }
            statement.setUncheckedArguments(StatementArguments(Array(repeating: 1, count: count)))
            return try Row.fetchAll(statement).map { $0["detail"] as String }
        }
        for step in plan where step.hasPrefix("SCAN") {
            // Streaming a partial index from end to end reads what it is asked for, nothing else.
            #expect(
                step.contains("INDEX alerts_open") || step.contains("INDEX alerts_closed")
                    || step.contains("INDEX outbox_leased") || step == "SCAN (subquery-1)", "\(name): \(plan)")
        }
        #expect(!plan.contains { $0.contains("TEMP B-TREE") && !$0.contains("LAST TERM") }, "\(name): \(plan)")
        await store.close(now: StoreFixture.start)
    }
}
