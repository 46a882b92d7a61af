internal import Core
internal import GRDB

extension SQLiteTransaction {
    func insertOutbox(_ row: OutboxRecord) throws -> Int64 {
        guard row.state == .waiting || (row.state == .suppressed && row.reason != nil) else {
            throw StoreError(
                .misuse, "A new outbox row waits, or is suppressed with a reason; not \(row.state.rawValue).",
                systemCode: nil)
        }
        try run(
            """
            INSERT INTO outbox (receiver, lane, kind, incident_key, rule, severity, priority, created_at, not_before,
              state, idempotency_key, attempt_count, waited_ms, ambiguous_count, settled_at, reason, recipient,
              payload, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, ?, ?, ?, ?, ?)
            """,
            [
                row.receiver, row.lane, row.kind, row.incidentKey, row.rule, row.severity.rawValue,
                row.priority.rawValue, row.createdAt.milliseconds, row.notBefore.milliseconds,
                Schema.code(row.state), row.idempotencyKey, row.waitedMilliseconds,
                row.state == .waiting ? nil : (row.settledAt ?? row.createdAt).milliseconds, row.reason,
                row.recipient, row.payload.blob, row.body?.blob,
            ])
        let id = database.lastInsertedRowID
        if row.state == .waiting { try addToLane(row) }
        return id
    }

    func lease(id: Int64, _ lease: OutboxLease) throws -> OutboxRecord {
        let found = try first(SQL.outboxRowOfLane, [id]) {
            (row: try $0.outbox(), isLeased: try $0.bool(), isLaterSent: try $0.bool())
        }
        guard let found else { throw StoreError(.conflict, "There is no outbox row \(id).", systemCode: nil) }
        let row = found.row
        guard row.state == .waiting else { throw conflict(id, "is \(row.state.rawValue), not waiting") }
        if found.isLeased { throw conflict(id, "must wait: another row of its lane is in flight") }
        if found.isLaterSent { throw conflict(id, "must not be sent: a later row of its lane was") }
        try run(
            """
            UPDATE outbox SET state = 1, lease_run = ?, lease_until = ?, payload = coalesce(?, payload),
              body = coalesce(?, body), waited_ms = waited_ms + ?,
              first_attempt_at = coalesce(first_attempt_at, ?) WHERE id = ?
            """,
            [
                lease.run, lease.until.milliseconds, lease.payload?.blob, lease.body?.blob, lease.waitedMilliseconds,
                lease.at.milliseconds, id,
            ])
        markStale(row)
        // As the statement left it; reading it back would read its texts once more.
        var leased = row
        leased.state = .leased
        leased.leaseRun = lease.run
        leased.leaseUntil = lease.until
        leased.payload = lease.payload ?? row.payload
        leased.body = lease.body ?? row.body
        leased.waitedMilliseconds += lease.waitedMilliseconds
        leased.firstAttemptAt = row.firstAttemptAt ?? lease.at
        return leased
    }

    func setBody(id: Int64, body: [UInt8]) throws {
        guard try count("UPDATE outbox SET body = ? WHERE id = ? AND state = 1", [body.blob, id]) == 1 else {
            throw conflict(id, "is not in flight")
        }
    }

    func supersede(id: Int64, by: Int64, reason: SupersedeReason, at: Timestamp) throws {
        let row = try existingHead(id)
        guard row.state == .waiting else { throw conflict(id, "is \(row.state.rawValue), not waiting") }
        let speaker = try existingHead(by)
        // A fire and its resolve that were both not sent cancel each other: then each points at the other.
        let isMutual = reason == .resolved && speaker.state == .superseded && speaker.supersededBy == id
        guard by != id, isMutual || [.waiting, .leased, .sent].contains(speaker.state) else {
            throw conflict(id, "cannot be superseded by row \(by), which is \(speaker.state.rawValue)")
        }
        try markSuperseded(row, by: by, reason: reason, at: at)
    }

    private func markSuperseded(_ row: OutboxRecord, by: Int64, reason: SupersedeReason, at: Timestamp) throws {
        try run(
            "UPDATE outbox SET state = 5, superseded_by = ?, reason = ?, settled_at = ? WHERE id = ?",
            [by, reason.rawValue, at.milliseconds, row.id])
        markStale(row)
    }

    func settle(id: Int64, _ settlement: OutboxSettlement, attempt: AttemptRecord?) throws {
        let row = try existingHead(id)
        let isDiscardOfDead = row.state == .dead && settlement.state == .discarded
        guard !row.state.isSettled || isDiscardOfDead else { throw conflict(id, "is \(row.state.rawValue) already") }
        guard settlement.state.isSettled, settlement.state != .superseded else {
            throw StoreError(
                .misuse, "A row cannot be settled as \(settlement.state.rawValue).", systemCode: nil)
        }
        if settlement.state == .sent, row.state != .leased { throw conflict(id, "was not in flight") }
        try run(
            """
            UPDATE outbox SET state = ?, lease_run = NULL, lease_until = NULL, settled_at = ?,
              reason = coalesce(?, reason), provider_id = coalesce(?, provider_id),
              attempt_count = attempt_count + ?, ambiguous_count = ambiguous_count + ? WHERE id = ?
            """,
            [
                Schema.code(settlement.state), settlement.at.milliseconds, settlement.reason.map(cut),
                settlement.providerId, attempt == nil ? 0 : 1, settlement.isAmbiguous ? 1 : 0, id,
            ])
        markStale(row)
        if let attempt { try insertAttempt(attempt) }
        if settlement.state == .sent {
            for older in try olderWaiting(row) { try markSuperseded(older, by: id, reason: .newer, at: settlement.at) }
        }
    }

    private func olderWaiting(_ row: OutboxRecord) throws -> [OutboxRecord] {
        try rows(
            """
            SELECT \(SQL.outboxColumns) FROM outbox WHERE receiver = ? AND lane = ? AND state = 0 AND id < ?
            """, [row.receiver, row.lane, row.id]
        ) { try $0.outbox() }
    }

    func release(id: Int64, _ release: OutboxRelease, attempt: AttemptRecord?) throws {
        let row = try existingHead(id)
        guard row.state == .leased else { throw conflict(id, "is \(row.state.rawValue), not in flight") }
        try run(
            """
            UPDATE outbox SET state = 0, lease_run = NULL, lease_until = NULL, not_before = ?,
              reason = coalesce(?, reason), attempt_count = attempt_count + ?,
              ambiguous_count = ambiguous_count + ?, waited_ms = waited_ms + ? WHERE id = ?
            """,
            [
                release.notBefore.milliseconds, release.reason.map(cut), release.countsAsAttempt ? 1 : 0,
                release.isAmbiguous ? 1 : 0, release.waitedMilliseconds, id,
            ])
        markStale(row)
        if let attempt { try insertAttempt(attempt) }
    }

    func postpone(id: Int64, notBefore: Timestamp, waitedMilliseconds: Int64) throws {
        let row = try existingHead(id)
        guard row.state == .waiting else { throw conflict(id, "is \(row.state.rawValue), not waiting") }
        try run(
            "UPDATE outbox SET not_before = ?, waited_ms = waited_ms + ? WHERE id = ?",
            [notBefore.milliseconds, waitedMilliseconds, id])
        markStale(row)
    }

    func settleWaiting(receiver: String, _ settlement: OutboxSettlement, countMax: Int) throws -> Int {
        guard settlement.state != .sent else {
            throw StoreError(.misuse, "Rows that were not in flight cannot be settled as sent.", systemCode: nil)
        }
        let ids = try rows(
            "SELECT id FROM outbox WHERE receiver = ? AND state = 0 ORDER BY id LIMIT ?", [receiver, countMax]
        ) { try $0.int64() }
        for id in ids { try settle(id: id, settlement, attempt: nil) }
        return ids.count
    }

    @discardableResult
    func requeue(id: Int64, at: Timestamp) throws -> Int64 {
        let row = try existing(id)
        guard row.state == .dead else { throw conflict(id, "is \(row.state.rawValue), not dead") }
        if row.kind == OutboxKind.notification {
            if try isOvertaken(row) { return try requeueAsLast(row, at: at) }
        } else if let later = try newestSent(receiver: row.receiver, lane: row.lane), later.id > id {
            throw conflict(
                id,
                "must not be sent any more: row \(later.id) of the same incident was accepted after it, "
                    + "and what is over would be opened again")
        }
        try run(
            """
            UPDATE outbox SET state = 0, settled_at = NULL, not_before = ?, created_at = ?, first_attempt_at = NULL,
              attempt_count = 0, waited_ms = 0 WHERE id = ?
            """, [at.milliseconds, at.milliseconds, id])
        markStale(row)
        return id
    }

    /// Whether a later row of the lane was sent, or is in flight and would end this one when it is accepted.
    private func isOvertaken(_ row: OutboxRecord) throws -> Bool {
        if try isLaterSent(receiver: row.receiver, lane: row.lane, id: row.id) { return true }
        return try leasedRow(receiver: row.receiver, lane: row.lane).map { $0.id > row.id } ?? false
    }

    private func requeueAsLast(_ row: OutboxRecord, at: Timestamp) throws -> Int64 {
        try run(
            """
            INSERT INTO outbox (receiver, lane, kind, incident_key, rule, severity, priority, created_at, not_before,
              state, idempotency_key, attempt_count, waited_ms, ambiguous_count, recipient, payload, body)
            SELECT receiver, lane, kind, incident_key, rule, severity, priority, ?, ?, 0, idempotency_key, 0, 0,
              ambiguous_count, recipient, payload, body FROM outbox WHERE id = ?
            """, [at.milliseconds, at.milliseconds, row.id])
        let last = database.lastInsertedRowID
        try markSuperseded(row, by: last, reason: .newer, at: at)
        return last
    }

    @discardableResult
    func insertAttempt(_ attempt: AttemptRecord) throws -> Int64 {
        try run(
            """
            INSERT INTO attempts (outbox_id, receiver, number, started_at, finished_at, outcome, status_code, detail,
              provider_id, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                attempt.outboxId, attempt.receiver, attempt.number, attempt.startedAt.milliseconds,
                attempt.finishedAt.milliseconds, attempt.outcome.rawValue, attempt.statusCode,
                attempt.detail.map(cut), attempt.providerId, attempt.run,
            ])
        return database.lastInsertedRowID
    }

    // MARK: Limiter

    func takeLimiterSlot(_ slot: LimiterSlotRecord) throws -> Int64 {
        try run(
            "INSERT INTO limiter_slots (destination, recipient, taken_at, answered_at, run) VALUES (?, ?, ?, ?, ?)",
            [
                slot.destination, slot.recipient, slot.takenAt.milliseconds, slot.answeredAt?.milliseconds, slot.run,
            ])
        return database.lastInsertedRowID
    }

    func answerLimiterSlot(id: Int64, at: Timestamp) throws {
        try run("UPDATE limiter_slots SET answered_at = ? WHERE id = ?", [at.milliseconds, id])
    }

    func returnLimiterSlot(id: Int64) throws {
        try run("DELETE FROM limiter_slots WHERE id = ?", [id])
    }

    @discardableResult
    func removeLimiterSlots(destination: String, answeredBefore: Timestamp) throws -> Int {
        try count(
            "DELETE FROM limiter_slots WHERE destination = ? AND answered_at < ?",
            [destination, answeredBefore.milliseconds])
    }

    // MARK: Lanes

    /// The summary of a lane is a pure function of its rows; `store check` computes it again.
    func refresh(_ lane: Lane) throws {
        let (count, due, priority, isLeased) =
            try first(SQL.laneSummary, [lane.receiver, lane.lane]) {
                (try $0.int64(), try $0.optionalInt64(), try $0.optionalInt64(), try $0.bool())
            } ?? (0, nil, nil, false)
        guard count > 0 || isLeased else {
            return try run("DELETE FROM lanes WHERE receiver = ? AND lane = ?", [lane.receiver, lane.lane])
        }
        try run(
            """
            INSERT INTO lanes (receiver, lane, priority, due_at, waiting_count, is_leased) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (receiver, lane) DO UPDATE SET priority = excluded.priority, due_at = excluded.due_at,
              waiting_count = excluded.waiting_count, is_leased = excluded.is_leased
            """,
            [
                lane.receiver, lane.lane, priority ?? Int64(OutboxPriority.normal.rawValue), due ?? 0, count,
                isLeased ? 1 : 0,
            ])
    }

    /// Adds a new row to its lane's summary without looking at the other rows.
    private func addToLane(_ row: OutboxRecord) throws {
        guard !staleLanes.contains(Lane(receiver: row.receiver, lane: row.lane)) else { return }
        try run(
            """
            INSERT INTO lanes (receiver, lane, priority, due_at, waiting_count, is_leased) VALUES (?, ?, ?, ?, 1, 0)
            ON CONFLICT (receiver, lane) DO UPDATE SET waiting_count = waiting_count + 1,
              priority = CASE WHEN waiting_count = 0 THEN excluded.priority
                ELSE min(priority, excluded.priority) END,
              due_at = CASE WHEN waiting_count = 0 THEN excluded.due_at ELSE min(due_at, excluded.due_at) END
            """, [row.receiver, row.lane, row.priority.rawValue, row.notBefore.milliseconds])
    }

    private func markStale(_ row: OutboxRecord) {
        staleLanes.insert(Lane(receiver: row.receiver, lane: row.lane))
    }

    private func existing(_ id: Int64) throws -> OutboxRecord {
        guard let row = try outboxRow(id: id) else {
            throw StoreError(.conflict, "There is no outbox row \(id).", systemCode: nil)
        }
        return row
    }

    /// A row without its message.
    private func existingHead(_ id: Int64) throws -> OutboxRecord {
        guard let row = try first(SQL.outboxHead, [id], { try $0.outbox() }) else {
            throw StoreError(.conflict, "There is no outbox row \(id).", systemCode: nil)
        }
        return row
    }

    private func conflict(_ id: Int64, _ state: String) -> StoreError {
        StoreError(.conflict, "Outbox row \(id) \(state).", systemCode: nil)
    }
}
