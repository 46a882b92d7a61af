internal import Core
internal import GRDB

/// Reads through one connection. The statements of the outbox are in `SQLiteReader+Outbox.swift`.
class SQLiteReader: Session, StoreReader {
    /// Called before the lanes are read: a transaction brings them up to date first.
    func willReadLanes() throws {}

    func offsets() throws -> [OffsetRecord] {
        try rows("SELECT topic, partition, next_offset FROM offsets", []) {
            OffsetRecord(
                topic: try $0.text(), partition: Int32(truncatingIfNeeded: try $0.int64()), nextOffset: try $0.int64())
        }
    }

    func nextOffset(topic: String, partition: Int32) throws -> Int64? {
        try first(SQL.nextOffset, [topic, partition]) { try $0.int64() }
    }

    func runs(countMax: Int) throws -> [RunRecord] {
        try rows("SELECT id, started_at, ended_at, process_id, host FROM runs ORDER BY id DESC LIMIT ?", [countMax]) {
            RunRecord(
                id: try $0.int64(), startedAt: try $0.time(), endedAt: try $0.optionalTime(),
                processId: Int32(truncatingIfNeeded: try $0.int64()), host: try $0.text())
        }
    }

    func meta(_ key: String) throws -> [UInt8]? {
        try first("SELECT value FROM meta WHERE key = ?", [key]) { try $0.bytes() }
    }

    func metaEntries(prefix: String) throws -> [(key: String, value: [UInt8])] {
        try rows("SELECT key, value FROM meta WHERE key >= ? ORDER BY key", [prefix]) {
            (key: try $0.text(), value: try $0.bytes())
        }.filter { $0.key.hasPrefix(prefix) }
    }

    // MARK: Alerts

    func forEachOpenAlert(_ body: (AlertRecord) throws -> Void) throws {
        try forEach(SQL.openAlerts, []) { try body(try $0.alert()) }
    }

    func forEachClosedEpisode(_ body: (_ fingerprint: [UInt8], _ episode: Int64) throws -> Void) throws {
        try forEach(SQL.closedEpisodes, []) { try body(try $0.bytes(), try $0.int64()) }
    }

    func alert(fingerprint: [UInt8]) throws -> AlertRecord? {
        try first(SQL.alert, [fingerprint.blob]) { try $0.alert() }
    }

    func alerts(_ query: AlertQuery) throws -> [AlertRecord] {
        var conditions: [String] = []
        var arguments: StatementArguments = []
        if let isOpen = query.isOpen { conditions.append("is_open = \(isOpen ? 1 : 0)") }
        if let rule = query.rule {
            conditions.append("rule = ?")
            arguments += [rule]
        }
        if let severity = query.severityMin {
            conditions.append("severity >= ?")
            arguments += [severity.rawValue]
        }
        arguments += [query.countMax, query.skipCount]
        let condition = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND ")) "
        return try rows(
            "SELECT \(SQL.alertColumns) FROM alerts \(condition)ORDER BY changed_at DESC LIMIT ? OFFSET ?", arguments
        ) { try $0.alert() }
    }

    func openAlertCount() throws -> Int {
        try first("SELECT count(*) FROM alerts WHERE is_open = 1", []) { try $0.int() } ?? 0
    }

    func transitions(fingerprint: [UInt8], countMax: Int) throws -> [TransitionRecord] {
        try rows(
            "SELECT \(SQL.transitionColumns) FROM transitions WHERE fingerprint = ? ORDER BY id DESC LIMIT ?",
            [fingerprint.blob, countMax]
        ) { try $0.transition() }
    }

    func transitions(beforeId: Int64?, countMax: Int) throws -> [TransitionRecord] {
        try rows(
            "SELECT \(SQL.transitionColumns) FROM transitions WHERE id < ? ORDER BY id DESC LIMIT ?",
            [beforeId ?? .max, countMax]
        ) { try $0.transition() }
    }

    func decisions(fingerprint: [UInt8], countMax: Int) throws -> [DecisionRecord] {
        try rows(
            """
            SELECT id, fingerprint, episode, at, recorded_at, receiver, recipient, decision, detail, path FROM decisions
            WHERE fingerprint = ? ORDER BY id DESC LIMIT ?
            """, [fingerprint.blob, countMax]
        ) { columns in
            let id = try columns.int64()
            var record = DecisionRecord(
                fingerprint: try columns.bytes(), episode: try columns.int64(), at: try columns.time(),
                recordedAt: try columns.time(), receiver: try columns.text(), recipient: try columns.optionalText(),
                decision: try columns.text(), detail: try columns.text(),
                path: try columns.text().split(separator: "\n").map(String.init))
            record.id = id
            return record
        }
    }

    func audit(subject: String?, beforeId: Int64?, countMax: Int) throws -> [AuditRecord] {
        try rows(
            """
            SELECT id, at, actor, origin, action, subject, detail FROM audit
            WHERE id < ? AND (? IS NULL OR subject = ?) ORDER BY id DESC LIMIT ?
            """, [beforeId ?? .max, subject, subject, countMax]
        ) { columns in
            let id = try columns.int64()
            var record = AuditRecord(
                at: try columns.time(), actor: try columns.text(), origin: try columns.text(),
                action: try columns.text(), subject: try columns.text(), detail: try columns.text())
            record.id = id
            return record
        }
    }

    func evaluationErrors(rule: String?, countMax: Int) throws -> [EvaluationErrorRecord] {
        let columns = "rule, reason, count, first_at, last_at, row_key, topic, partition, message_offset, version"
        func map(_ columns: inout Columns) throws -> EvaluationErrorRecord {
            EvaluationErrorRecord(
                rule: try columns.text(), reason: try columns.text(), count: try columns.int64(),
                firstAt: try columns.time(), lastAt: try columns.time(), rowKey: try columns.text(),
                cause: try columns.cause())
        }
        guard let rule else {
            return try rows(
                "SELECT \(columns) FROM evaluation_errors ORDER BY last_at DESC LIMIT ?", [countMax], map)
        }
        return try rows(
            "SELECT \(columns) FROM evaluation_errors WHERE rule = ? ORDER BY last_at DESC LIMIT ?",
            [rule, countMax], map)
    }

    // MARK: State of modules above

    func forEachState(kind: String, _ body: (StateRecord) throws -> Void) throws {
        try forEach("SELECT kind, key, due_at, bytes FROM states WHERE kind = ?", [kind]) {
            try body(
                StateRecord(
                    kind: try $0.text(), key: try $0.text(), dueAt: try $0.optionalTime(), bytes: try $0.bytes()))
        }
    }

    func state(kind: String, key: String) throws -> StateRecord? {
        try first("SELECT due_at, bytes FROM states WHERE kind = ? AND key = ?", [kind, key]) {
            StateRecord(kind: kind, key: key, dueAt: try $0.optionalTime(), bytes: try $0.bytes())
        }
    }

    func pairRuns(since: Timestamp) throws -> [PairRunRecord] {
        try rows(
            "SELECT table_name, row_key, version, ran_at FROM pair_runs WHERE ran_at >= ? ORDER BY ran_at",
            [since.milliseconds]
        ) {
            PairRunRecord(
                table: try $0.text(), rowKey: try $0.text(), version: try $0.int64(), ranAt: try $0.time())
        }
    }

    func checkpoint(name: String) throws -> CheckpointRecord? {
        try first(
            """
            SELECT id, name, created_at, offsets, rule_hashes, chunk_count, byte_count FROM checkpoints
            WHERE name = ? AND stage = 1 ORDER BY id DESC LIMIT 1
            """, [name]
        ) {
            CheckpointRecord(
                id: try $0.int64(), name: try $0.text(), createdAt: try $0.time(),
                offsets: try CheckpointHeader.offsets(try $0.bytes()),
                ruleHashes: try CheckpointHeader.hashes(try $0.bytes()), chunkCount: try $0.int(),
                byteCount: try $0.int64())
        }
    }

    func checkpointChunk(id: Int64, index: Int) throws -> [UInt8]? {
        try first(
            "SELECT bytes FROM checkpoint_chunks WHERE checkpoint_id = ? AND position = ?", [id, index]
        ) { try $0.bytes() }
    }

    // MARK: Dead letters

    func deadLetters(_ query: DeadLetterQuery) throws -> [DeadLetterRecord] {
        var conditions = ["id < ?"]
        var arguments: StatementArguments = [query.beforeId ?? .max]
        if let state = query.state { conditions.append("state = \(Schema.code(state))") }
        if let kind = query.kind { conditions.append("kind = \(Schema.code(kind))") }
        if let receiver = query.receiver {
            conditions.append("receiver = ?")
            arguments += [receiver]
        }
        if let rule = query.rule {
            conditions.append("rule = ?")
            arguments += [rule]
        }
        arguments += [query.countMax]
        return try rows(
            """
            SELECT \(SQL.letterColumns) FROM dead_letters WHERE \(conditions.joined(separator: " AND "))
            ORDER BY id DESC LIMIT ?
            """, arguments
        ) { try $0.deadLetter() }
    }

    func deadLetter(id: Int64) throws -> DeadLetterRecord? {
        try first("SELECT \(SQL.letterColumns) FROM dead_letters WHERE id = ?", [id]) { try $0.deadLetter() }
    }

    func openDeadLetterCounts() throws -> [DeadLetterRecord.Kind: Int] {
        var counts: [DeadLetterRecord.Kind: Int] = [:]
        let rows = try rows("SELECT kind, count FROM dead_letter_counts WHERE state = 0", []) {
            (try $0.int(), try $0.int())
        }
        for (kind, count) in rows where Schema.letterKinds.indices.contains(kind) && count > 0 {
            counts[Schema.letterKinds[kind]] = count
        }
        return counts
    }
}
