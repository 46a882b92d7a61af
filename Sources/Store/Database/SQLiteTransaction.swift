internal import Core
internal import GRDB

/// One job's view of the writer. The outbox is in `SQLiteTransaction+Outbox.swift`.
final class SQLiteTransaction: SQLiteReader, StoreTransaction {
    struct Lane: Hashable {
        var receiver: String
        var lane: String
    }

    /// What one store keeps at most.
    let limits: StoreLimits
    /// Lanes whose summary is older than their rows; brought up to date before it is read and at the job's end.
    var staleLanes: Set<Lane> = []

    init(_ database: Database, limits: StoreLimits) {
        self.limits = limits
        super.init(database)
    }

    /// Texts from outside are cut to a bound, so that no vendor's answer fills the disk.
    func cut(_ text: String) -> String {
        text.utf8.count <= limits.textCharactersMax ? text : String(text.prefix(limits.textCharactersMax))
    }

    /// Ends the job's work.
    func finish() throws {
        try willReadLanes()
        if let storageFailure { throw storageFailure }
    }

    override func willReadLanes() throws {
        guard !staleLanes.isEmpty else { return }
        let lanes = staleLanes
        staleLanes = []
        for lane in lanes { try refresh(lane) }
    }

    func inSavepoint<T>(_ body: () throws -> T) throws -> T {
        let stale = staleLanes
        try run("SAVEPOINT part", [])
        do {
            let value = try body()
            try run("RELEASE part", [])
            return value
        } catch {
            guard storageFailure == nil else { throw error }
            try run("ROLLBACK TO part", [])
            try run("RELEASE part", [])
            // What the part brought up to date is old again.
            staleLanes.formUnion(stale)
            throw error
        }
    }

    // MARK: Offsets

    func advanceOffset(topic: String, partition: Int32, expected: Int64?, next: Int64) throws {
        guard let expected else {
            let inserted = try count(
                "INSERT INTO offsets (topic, partition, next_offset) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [topic, partition, next])
            guard inserted == 1 else { throw try offsetConflict(topic, partition, expected: nil) }
            return
        }
        guard next >= expected else {
            throw StoreError(
                .offsetConflict, "The next offset of \(topic)[\(partition)] would go back from \(expected) to \(next).",
                systemCode: nil)
        }
        let moved = try count(
            "UPDATE offsets SET next_offset = ? WHERE topic = ? AND partition = ? AND next_offset = ?",
            [next, topic, partition, expected])
        guard moved == 1 else { throw try offsetConflict(topic, partition, expected: expected) }
    }

    private func offsetConflict(_ topic: String, _ partition: Int32, expected: Int64?) throws -> StoreError {
        let stored = try nextOffset(topic: topic, partition: partition)
        func word(_ offset: Int64?) -> String { offset.map(String.init) ?? "none" }
        return StoreError(
            .offsetConflict,
            "The stored next offset of \(topic)[\(partition)] is \(word(stored)), expected was \(word(expected)).",
            systemCode: nil)
    }

    func resetOffset(topic: String, partition: Int32, next: Int64?) throws {
        guard let next else {
            return try run("DELETE FROM offsets WHERE topic = ? AND partition = ?", [topic, partition])
        }
        try run(
            """
            INSERT INTO offsets (topic, partition, next_offset) VALUES (?, ?, ?)
            ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
            """, [topic, partition, next])
    }

    func setMeta(_ key: String, _ value: [UInt8]?) throws {
        guard let value else { return try run("DELETE FROM meta WHERE key = ?", [key]) }
        try run(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [key, value.blob])
    }

    // MARK: Alerts

    func upsertAlert(_ alert: AlertRecord) throws {
        try run(
            """
            INSERT INTO alerts (\(SQL.alertColumns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (fingerprint) DO UPDATE SET rule = excluded.rule, table_name = excluded.table_name,
              state = excluded.state, severity = excluded.severity, episode = excluded.episode,
              changed_at = excluded.changed_at, is_open = excluded.is_open, bytes = excluded.bytes
            """,
            [
                alert.fingerprint.blob, alert.rule, alert.table, alert.state, alert.severity.rawValue, alert.episode,
                alert.changedAt.milliseconds, alert.isOpen ? 1 : 0, alert.bytes.blob,
            ])
    }

    func deleteAlert(fingerprint: [UInt8]) throws {
        try run("DELETE FROM alerts WHERE fingerprint = ?", [fingerprint.blob])
    }

    @discardableResult
    func insertTransition(_ transition: TransitionRecord) throws -> Int64 {
        try run(
            """
            INSERT INTO transitions (fingerprint, rule, table_name, kind, severity, previous_severity, episode, at,
              recorded_at, reason, key_display, topic, partition, message_offset, version)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                transition.fingerprint.blob, transition.rule, transition.table, transition.kind,
                transition.severity.rawValue, transition.previousSeverity?.rawValue, transition.episode,
                transition.at.milliseconds, transition.recordedAt.milliseconds, transition.reason,
                transition.keyDisplay, transition.cause?.topic, transition.cause?.partition,
                transition.cause?.offset, transition.cause?.version,
            ])
        return database.lastInsertedRowID
    }

    func insertDecision(_ decision: DecisionRecord) throws {
        try run(
            """
            INSERT INTO decisions (fingerprint, episode, at, recorded_at, receiver, recipient, decision, detail, path)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                decision.fingerprint.blob, decision.episode, decision.at.milliseconds,
                decision.recordedAt.milliseconds, decision.receiver, decision.recipient, decision.decision,
                decision.detail, decision.path.joined(separator: "\n"),
            ])
    }

    func insertAudit(_ record: AuditRecord) throws {
        try run(
            "INSERT INTO audit (at, actor, origin, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?)",
            [
                record.at.milliseconds, record.actor, record.origin, record.action, record.subject, record.detail,
            ])
    }

    func addEvaluationErrors(_ errors: EvaluationErrorRecord) throws {
        var errors = errors
        errors.reason = cut(errors.reason)
        errors.rowKey = cut(errors.rowKey)
        let reason = try boundedReason(errors)
        try run(
            """
            INSERT INTO evaluation_errors (rule, reason, count, first_at, last_at, row_key, topic, partition,
              message_offset, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (rule, reason) DO UPDATE SET count = count + excluded.count,
              first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at),
              row_key = excluded.row_key, topic = excluded.topic, partition = excluded.partition,
              message_offset = excluded.message_offset, version = excluded.version
            """,
            [
                errors.rule, reason, errors.count, errors.firstAt.milliseconds, errors.lastAt.milliseconds,
                errors.rowKey, errors.cause?.topic, errors.cause?.partition, errors.cause?.offset,
                errors.cause?.version,
            ])
    }

    private func boundedReason(_ errors: EvaluationErrorRecord) throws -> String {
        let known = "SELECT 1 FROM evaluation_errors WHERE rule = ? AND reason = ?"
        if try exists(known, [errors.rule, errors.reason]) { return errors.reason }
        let reasons =
            try first("SELECT count(*) FROM evaluation_errors WHERE rule = ?", [errors.rule]) { try $0.int() } ?? 0
        let reason = reasons < limits.errorReasonsPerRuleMax - 1 ? errors.reason : "other"
        if reason == "other", try exists(known, [errors.rule, reason]) { return reason }
        let total = try first("SELECT count(*) FROM evaluation_errors", []) { try $0.int() } ?? 0
        if total >= limits.errorReasonsMax {
            try run(
                """
                DELETE FROM evaluation_errors WHERE (rule, reason) IN
                  (SELECT rule, reason FROM evaluation_errors ORDER BY last_at LIMIT ?)
                """, [total - limits.errorReasonsMax + 1])
        }
        return reason
    }

    // MARK: State of modules above

    func upsertState(_ state: StateRecord) throws {
        try run(
            """
            INSERT INTO states (kind, key, due_at, bytes) VALUES (?, ?, ?, ?)
            ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, bytes = excluded.bytes
            """, [state.kind, state.key, state.dueAt?.milliseconds, state.bytes.blob])
    }

    func deleteState(kind: String, key: String) throws {
        try run("DELETE FROM states WHERE kind = ? AND key = ?", [kind, key])
    }

    func insertPairRun(_ run: PairRunRecord) throws {
        try self.run(
            """
            INSERT INTO pair_runs (table_name, row_key, version, ran_at) VALUES (?, ?, ?, ?)
            ON CONFLICT DO NOTHING
            """, [run.table, run.rowKey, run.version, run.ranAt.milliseconds])
    }

    @discardableResult
    func deletePairRuns(before: Timestamp, countMax: Int) throws -> Int {
        try count(
            """
            DELETE FROM pair_runs WHERE (table_name, row_key, version) IN
              (SELECT table_name, row_key, version FROM pair_runs WHERE ran_at < ? ORDER BY ran_at LIMIT ?)
            """, [before.milliseconds, countMax])
    }

    // MARK: Dead letters

    @discardableResult
    func insertDeadLetter(_ letter: DeadLetterRecord) throws -> Int64 {
        let (kept, bytes) =
            try first("SELECT total(kept_count), total(byte_count) FROM dead_letter_counts", []) {
                (try $0.int64(), try $0.int64())
            } ?? (0, 0)
        let fits =
            kept < limits.deadLetterCountMax && bytes + Int64(letter.byteCount) <= limits.deadLetterBytesMax
        try run(
            """
            INSERT INTO dead_letters (kind, state, created_at, reason, topic, partition, message_offset, message_at,
              rule, row_key, receiver, outbox_id, are_bytes_dropped, settled_at, settled_by, byte_count, key, value,
              headers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                Schema.code(letter.kind), Schema.code(letter.state), letter.createdAt.milliseconds,
                cut(letter.reason), letter.topic, letter.partition, letter.offset, letter.timestamp?.milliseconds,
                letter.rule, letter.rowKey.map(cut), letter.receiver, letter.outboxId,
                letter.areBytesDropped || (!fits && letter.byteCount > 0) ? 1 : 0, letter.settledAt?.milliseconds,
                letter.settledBy, fits ? letter.byteCount : 0, fits ? letter.key?.blob : nil,
                fits ? letter.value?.blob : nil, fits ? letter.headers?.blob : nil,
            ])
        return database.lastInsertedRowID
    }

    func settleDeadLetter(id: Int64, state: DeadLetterRecord.State, by: String, at: Timestamp) throws {
        let changed = try count(
            "UPDATE dead_letters SET state = ?, settled_by = ?, settled_at = ? WHERE id = ? AND state = 0",
            [Schema.code(state), by, at.milliseconds, id])
        guard state != .open, changed == 1 else {
            throw StoreError(.conflict, "Dead letter \(id) is not open.", systemCode: nil)
        }
    }
}
