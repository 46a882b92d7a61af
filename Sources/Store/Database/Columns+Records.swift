internal import Core

/// Statements that run per event, per notification or at a start; a test looks at their query plans.
enum SQL {
    static let nextOffset = "SELECT next_offset FROM offsets WHERE topic = ? AND partition = ?"
    static let alertColumns = "fingerprint, rule, table_name, state, severity, episode, changed_at, is_open, bytes"
    static let openAlerts = "SELECT \(alertColumns) FROM alerts WHERE is_open = 1"
    static let closedEpisodes = "SELECT fingerprint, episode FROM alerts WHERE is_open = 0"
    static let alert = "SELECT \(alertColumns) FROM alerts WHERE fingerprint = ?"
    static let transitionColumns = """
        id, fingerprint, rule, table_name, kind, severity, previous_severity, episode, at, recorded_at, reason,
        key_display, topic, partition, message_offset, version
        """
    static let letterColumns = """
        id, kind, state, created_at, reason, topic, partition, message_offset, message_at, rule, row_key, receiver,
        outbox_id, are_bytes_dropped, settled_at, settled_by, key, value, headers
        """

    static let outboxColumns = """
        id, receiver, lane, kind, incident_key, rule, severity, priority, created_at, not_before, state,
        idempotency_key, attempt_count, first_attempt_at, waited_ms, lease_run, lease_until, ambiguous_count,
        settled_at, reason, superseded_by, provider_id, recipient, payload, body
        """
    static let outboxRow = "SELECT \(outboxColumns) FROM outbox WHERE id = ?"
    /// The row, whether another of its lane is in flight, and whether a later one of its lane was sent.
    static let outboxRowOfLane = """
        SELECT \(outboxColumns),
          EXISTS (SELECT 1 FROM outbox o WHERE o.receiver = r.receiver AND o.lane = r.lane AND o.state = 1),
          EXISTS (SELECT 1 FROM outbox o WHERE o.receiver = r.receiver AND o.lane = r.lane AND o.state = 2
            AND o.id > r.id)
        FROM outbox r WHERE id = ?
        """
    /// The row without its message, for what only changes its state.
    static let outboxHead = """
        SELECT id, receiver, lane, kind, incident_key, rule, severity, priority, created_at, not_before, state,
        idempotency_key, attempt_count, first_attempt_at, waited_ms, lease_run, lease_until, ambiguous_count,
        settled_at, reason, superseded_by, provider_id, recipient, NULL, NULL FROM outbox WHERE id = ?
        """
    static let waitingRows = """
        SELECT \(outboxColumns) FROM outbox WHERE receiver = ? AND lane = ? AND state = 0 ORDER BY id LIMIT ?
        """
    static let waitingRowsOfReceiver = """
        SELECT \(outboxColumns) FROM outbox WHERE receiver = ? AND state = 0 ORDER BY id LIMIT ?
        """
    static let waitingCount = """
        SELECT count(*) FROM (SELECT 1 FROM outbox WHERE receiver = ? AND state = 0 LIMIT ?)
        """
    static let leasedRow = "SELECT \(outboxColumns) FROM outbox WHERE receiver = ? AND lane = ? AND state = 1"
    static let isLaterSent = "SELECT 1 FROM outbox WHERE receiver = ? AND lane = ? AND state = 2 AND id > ? LIMIT 1"
    static let newestSent = """
        SELECT \(outboxColumns) FROM outbox WHERE receiver = ? AND lane = ? AND state = 2 ORDER BY id DESC LIMIT 1
        """
    static let claimableLanes = """
        SELECT lane, receiver, priority, due_at, waiting_count FROM lanes
        WHERE receiver = ? AND priority = ? AND is_leased = 0 AND waiting_count > 0 AND due_at <= ?
        ORDER BY due_at LIMIT ?
        """
    static let nextDue = """
        SELECT min(due_at) FROM lanes WHERE receiver = ? AND priority = ? AND is_leased = 0 AND waiting_count > 0
        """
    static let laneSummary = """
        SELECT count(*), min(not_before), min(priority),
          EXISTS (SELECT 1 FROM outbox WHERE receiver = ?1 AND lane = ?2 AND state = 1)
        FROM outbox WHERE receiver = ?1 AND lane = ?2 AND state = 0
        """
    static let limiterSlots = """
        SELECT id, destination, recipient, taken_at, answered_at, run FROM limiter_slots
        WHERE destination = ? ORDER BY answered_at, id
        """
    static let attempts = """
        SELECT id, outbox_id, receiver, number, started_at, finished_at, outcome, status_code, detail, provider_id, run
        FROM attempts WHERE outbox_id = ? ORDER BY id
        """
}

extension Columns {
    mutating func time() throws -> Timestamp { Timestamp(milliseconds: try int64()) }
    mutating func optionalTime() throws -> Timestamp? { try optionalInt64().map { Timestamp(milliseconds: $0) } }
    mutating func severity() throws -> Severity { Severity(rawValue: UInt8(clamping: try int64())) ?? .critical }

    mutating func cause() throws -> EventPosition? {
        let (topic, partition, offset, version) = (
            try optionalText(), try optionalInt64(), try optionalInt64(), try optionalInt64()
        )
        guard let topic, let partition, let offset, let version else { return nil }
        return EventPosition(
            topic: topic, partition: Int32(truncatingIfNeeded: partition), offset: offset, version: version)
    }

    mutating func alert() throws -> AlertRecord {
        AlertRecord(
            fingerprint: try bytes(), rule: try text(), table: try text(), state: UInt8(clamping: try int64()),
            severity: try severity(), episode: try int64(), changedAt: try time(), isOpen: try bool(),
            bytes: try bytes())
    }

    mutating func transition() throws -> TransitionRecord {
        let id = try int64()
        var record = TransitionRecord(
            fingerprint: try bytes(), rule: try text(), table: try text(), kind: UInt8(clamping: try int64()),
            severity: try severity(),
            previousSeverity: try optionalInt64().flatMap { Severity(rawValue: UInt8(clamping: $0)) },
            episode: try int64(), at: try time(), recordedAt: try time(), reason: try text(), keyDisplay: try text(),
            cause: try cause())
        record.id = id
        return record
    }

    mutating func outboxState() throws -> OutboxState {
        let code = try int()
        guard Schema.outboxStates.indices.contains(code) else {
            throw StoreError(.corrupt, "An outbox row is in an unknown state: run `store check`.", systemCode: nil)
        }
        return Schema.outboxStates[code]
    }

    mutating func outbox() throws -> OutboxRecord {
        let id = try int64()
        let (receiver, lane, kind, incidentKey, rule) = (try text(), try text(), try text(), try text(), try text())
        let (severity, priority) = (try severity(), OutboxPriority(rawValue: UInt8(clamping: try int64())) ?? .normal)
        let (createdAt, notBefore, state, idempotencyKey) = (
            try time(), try time(), try outboxState(), try text()
        )
        var row = OutboxRecord(
            receiver: receiver, lane: lane, kind: kind, incidentKey: incidentKey, rule: rule, severity: severity,
            priority: priority, createdAt: createdAt, idempotencyKey: idempotencyKey, payload: [], recipient: nil)
        row.id = id
        row.notBefore = notBefore
        row.state = state
        row.attemptCount = try int()
        row.firstAttemptAt = try optionalTime()
        row.waitedMilliseconds = try int64()
        row.leaseRun = try optionalInt64()
        row.leaseUntil = try optionalTime()
        row.ambiguousCount = try int()
        row.settledAt = try optionalTime()
        row.reason = try optionalText()
        row.supersededBy = try optionalInt64()
        row.providerId = try optionalText()
        row.recipient = try optionalText()
        row.payload = try bytes()
        row.body = try optionalBytes()
        return row
    }

    mutating func attempt() throws -> AttemptRecord {
        let id = try int64()
        var record = AttemptRecord(
            outboxId: try int64(), receiver: try text(), number: try int(), startedAt: try time(),
            finishedAt: try time(), outcome: AttemptOutcomeName(rawValue: try text()) ?? .ambiguous,
            statusCode: try optionalInt64().map { Int($0) }, detail: try optionalText(),
            providerId: try optionalText(), run: try int64())
        record.id = id
        return record
    }

    mutating func limiterSlot() throws -> LimiterSlotRecord {
        let id = try int64()
        var record = LimiterSlotRecord(
            destination: try text(), recipient: try optionalText(), takenAt: try time(),
            answeredAt: try optionalTime(), run: try int64())
        record.id = id
        return record
    }

    mutating func deadLetter() throws -> DeadLetterRecord {
        let (id, kind, state) = (try int64(), try int(), try int())
        guard Schema.letterKinds.indices.contains(kind), Schema.letterStates.indices.contains(state) else {
            throw StoreError(.corrupt, "A dead letter is in an unknown state: run `store check`.", systemCode: nil)
        }
        var letter = DeadLetterRecord(kind: Schema.letterKinds[kind], createdAt: try time(), reason: try text())
        letter.id = id
        letter.state = Schema.letterStates[state]
        letter.topic = try optionalText()
        letter.partition = try optionalInt64().map { Int32(truncatingIfNeeded: $0) }
        letter.offset = try optionalInt64()
        letter.timestamp = try optionalTime()
        letter.rule = try optionalText()
        letter.rowKey = try optionalText()
        letter.receiver = try optionalText()
        letter.outboxId = try optionalInt64()
        letter.areBytesDropped = try bool()
        letter.settledAt = try optionalTime()
        letter.settledBy = try optionalText()
        letter.key = try optionalBytes()
        letter.value = try optionalBytes()
        letter.headers = try optionalBytes()
        return letter
    }
}

/// The small maps of a checkpoint, as JSON.
enum CheckpointHeader {
    static func bytes(_ offsets: [TopicPartition: Int64]) -> [UInt8] {
        JSON.array(
            offsets.sorted { $0.key < $1.key }.map {
                .array([.string($0.key.topic), .integer($0.key.partition), .integer($0.value)])
            }
        ).bytes
    }

    static func bytes(_ hashes: [String: String]) -> [UInt8] {
        JSON.object(hashes.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) }).bytes
    }

    static func offsets(_ bytes: [UInt8]) throws -> [TopicPartition: Int64] {
        var offsets: [TopicPartition: Int64] = [:]
        for entry in try parsed(bytes).elements ?? [] {
            guard let topic = entry[0]?.stringValue, let partition = entry[1]?.intValue, let next = entry[2]?.intValue
            else { continue }
            offsets[TopicPartition(topic: topic, partition: Int32(clamping: partition))] = next
        }
        return offsets
    }

    static func hashes(_ bytes: [UInt8]) throws -> [String: String] {
        Dictionary(
            (try parsed(bytes).members ?? []).compactMap { member in
                member.value.stringValue.map { (member.name, $0) }
            }, uniquingKeysWith: { $1 })
    }

    private static func parsed(_ bytes: [UInt8]) throws -> JSON {
        do {
            return try JSON.parse(bytes)
        } catch {
            throw StoreError(.corrupt, "A checkpoint cannot be read: \(error).", systemCode: nil)
        }
    }
}
