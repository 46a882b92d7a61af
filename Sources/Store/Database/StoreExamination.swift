internal import Core
internal import GRDB

/// `store check`: the file's own integrity, then rules that no sequence of jobs may break.
struct StoreExamination {
    static let problemsMax = 200
    private let reader: SQLiteReader

    init(_ reader: SQLiteReader) { self.reader = reader }

    func run() throws -> StoreCheck {
        var problems: [String] = []
        let integrity = try String.fetchAll(reader.database, sql: "PRAGMA integrity_check(100)")
        if integrity != ["ok"] { problems += integrity.map { "file: \($0)" } }
        for (statement, sentence) in StoreExamination.rules where problems.count < StoreExamination.problemsMax {
            let found = try reader.rows("\(statement) LIMIT 20", []) { try $0.text() }
            problems += found.map { "\(sentence): \($0)" }
        }
        var counts: [(name: String, count: Int64)] = []
        let tables = [
            "offsets", "alerts", "transitions", "outbox", "attempts", "dead_letters", "checkpoints", "states",
        ]
        for table in tables {
            let count = try reader.first("SELECT count(*) FROM \(table)", []) { try $0.int64() } ?? 0
            counts.append((name: table, count: count))
        }
        return StoreCheck(problems: Array(problems.prefix(StoreExamination.problemsMax)), counts: counts)
    }

    /// Each statement gives one text per broken place.
    private static let rules: [(statement: String, sentence: String)] = [
        (
            "SELECT 'row ' || id FROM outbox WHERE state NOT BETWEEN 0 AND 6",
            "an outbox row is in no known state"
        ),
        (
            """
            SELECT 'row ' || o.id || ' by ' || o.superseded_by FROM outbox o WHERE o.state = 5
              AND (o.superseded_by = o.id OR NOT EXISTS (SELECT 1 FROM outbox b WHERE b.id = o.superseded_by))
            """, "a superseded row points at no other row"
        ),
        (
            "SELECT 'row ' || id FROM outbox WHERE state IN (3, 4, 5, 6) AND reason IS NULL",
            "an outbox row ended without a reason"
        ),
        (
            "SELECT 'row ' || id FROM outbox WHERE (state = 1) <> (lease_run IS NOT NULL)",
            "an outbox row has a lease that its state denies"
        ),
        (
            "SELECT 'row ' || id FROM outbox WHERE (state >= 2) <> (settled_at IS NOT NULL)",
            "an outbox row has an end that its state denies"
        ),
        (
            """
            SELECT 'lane ' || lane || ' of ' || receiver FROM outbox WHERE state = 1 GROUP BY receiver, lane
            HAVING count(*) > 1
            """, "a lane has several rows in flight"
        ),
        (
            "SELECT 'row ' || id FROM outbox WHERE lease_run > (SELECT max(id) FROM runs)",
            "a lease belongs to a run that never was"
        ),
        (
            """
            SELECT 'lane ' || lane || ' of ' || receiver FROM (
              SELECT receiver, lane, min(CASE WHEN state = 0 THEN priority END) AS priority,
                min(CASE WHEN state = 0 THEN not_before END) AS due_at, sum(state = 0) AS waiting_count,
                max(state = 1) AS is_leased FROM outbox WHERE state < 2 GROUP BY receiver, lane) r
            WHERE NOT EXISTS (SELECT 1 FROM lanes l WHERE l.receiver = r.receiver AND l.lane = r.lane
              AND l.waiting_count = r.waiting_count AND l.is_leased = r.is_leased
              AND (r.waiting_count = 0 OR (l.priority = r.priority AND l.due_at = r.due_at)))
            """, "the summary of a lane does not agree with its rows"
        ),
        (
            """
            SELECT 'lane ' || l.lane || ' of ' || l.receiver FROM lanes l WHERE NOT EXISTS (
              SELECT 1 FROM outbox o WHERE o.receiver = l.receiver AND o.lane = l.lane AND o.state IN (0, 1))
            """, "a lane has no row that waits or is in flight"
        ),
        (
            """
            SELECT receiver || ' in state ' || state FROM (
              SELECT receiver, state, sum(count) AS count FROM (
                SELECT receiver, state, count(*) AS count FROM outbox GROUP BY receiver, state
                UNION ALL SELECT receiver, state, -count FROM outbox_counts) GROUP BY receiver, state)
            WHERE count <> 0
            """, "the count of outbox rows is wrong"
        ),
        (
            """
            SELECT 'kind ' || kind || ' in state ' || state FROM (
              SELECT kind, state, sum(count) AS count, sum(bytes) AS bytes FROM (
                SELECT kind, state, count(*) AS count, sum(byte_count) AS bytes FROM dead_letters
                  GROUP BY kind, state
                UNION ALL SELECT kind, state, -count, -byte_count FROM dead_letter_counts) GROUP BY kind, state)
            WHERE count <> 0 OR bytes <> 0
            """, "the count of dead letters is wrong"
        ),
        (
            "SELECT topic || '[' || partition || ']' FROM offsets WHERE next_offset < 0",
            "an offset is negative"
        ),
        (
            "SELECT hex(fingerprint) FROM alerts WHERE length(fingerprint) <> 32 OR severity NOT BETWEEN 0 AND 3",
            "an alert has no valid fingerprint or severity"
        ),
        (
            """
            SELECT 'checkpoint ' || id FROM checkpoints c WHERE stage = 1 AND chunk_count <>
              (SELECT count(*) FROM checkpoint_chunks k WHERE k.checkpoint_id = c.id)
            """, "a checkpoint lacks chunks"
        ),
        (
            "SELECT name FROM checkpoints WHERE stage = 1 GROUP BY name HAVING count(*) > 1",
            "a name has several complete checkpoints"
        ),
    ]
}
