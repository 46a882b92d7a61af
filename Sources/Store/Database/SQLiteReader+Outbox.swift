internal import Core
internal import GRDB

extension SQLiteReader {
    func outboxRow(id: Int64) throws -> OutboxRecord? {
        try first(SQL.outboxRow, [id]) { try $0.outbox() }
    }

    func outboxRows(
        state: OutboxState, receiver: String?, beforeId: Int64?, countMax: Int
    ) throws -> [OutboxRecord] {
        guard let receiver else {
            return try rows(
                "SELECT \(SQL.outboxColumns) FROM outbox WHERE state = ? AND id < ? ORDER BY id DESC LIMIT ?",
                [Schema.code(state), beforeId ?? .max, countMax]
            ) { try $0.outbox() }
        }
        return try rows(
            """
            SELECT \(SQL.outboxColumns) FROM outbox INDEXED BY outbox_state
            WHERE state = ? AND id < ? AND receiver = ? ORDER BY id DESC LIMIT ?
            """, [Schema.code(state), beforeId ?? .max, receiver, countMax]
        ) { try $0.outbox() }
    }

    func outboxRows(incidentKey: String, countMax: Int) throws -> [OutboxRecord] {
        try rows(
            "SELECT \(SQL.outboxColumns) FROM outbox WHERE incident_key = ? ORDER BY id LIMIT ?",
            [incidentKey, countMax]
        ) { try $0.outbox() }
    }

    func claimableLanes(receiver: String, now: Timestamp, countMax: Int) throws -> [LaneCandidate] {
        try willReadLanes()
        var lanes: [LaneCandidate] = []
        for priority in OutboxPriority.allCases where lanes.count < countMax {
            lanes += try rows(
                SQL.claimableLanes, [receiver, priority.rawValue, now.milliseconds, countMax - lanes.count]
            ) {
                LaneCandidate(
                    lane: try $0.text(), receiver: try $0.text(),
                    priority: OutboxPriority(rawValue: UInt8(clamping: try $0.int64())) ?? .normal,
                    dueAt: try $0.time(), waitingCount: try $0.int())
            }
        }
        return lanes
    }

    func waitingRows(receiver: String, lane: String, countMax: Int) throws -> [OutboxRecord] {
        try rows(SQL.waitingRows, [receiver, lane, countMax]) { try $0.outbox() }
    }

    func waitingRows(receiver: String, countMax: Int) throws -> [OutboxRecord] {
        try rows(SQL.waitingRowsOfReceiver, [receiver, countMax]) { try $0.outbox() }
    }

    func waitingCount(receiver: String, countMax: Int) throws -> Int {
        try first(SQL.waitingCount, [receiver, countMax]) { try $0.int() } ?? 0
    }

    func leasedRow(receiver: String, lane: String) throws -> OutboxRecord? {
        try first(SQL.leasedRow, [receiver, lane]) { try $0.outbox() }
    }

    func leasedRows() throws -> [OutboxRecord] {
        try rows("SELECT \(SQL.outboxColumns) FROM outbox WHERE state = 1 ORDER BY id", []) { try $0.outbox() }
    }

    func nextDue(receiver: String) throws -> Timestamp? {
        try willReadLanes()
        var earliest: Timestamp?
        for priority in OutboxPriority.allCases {
            let due = try first(SQL.nextDue, [receiver, priority.rawValue]) { try $0.optionalTime() } ?? nil
            if let due { earliest = min(earliest ?? due, due) }
        }
        return earliest
    }

    func activeReceivers() throws -> [String] {
        try rows(
            "SELECT DISTINCT receiver FROM outbox_counts WHERE state < 2 AND count > 0 ORDER BY receiver", []
        ) { try $0.text() }
    }

    func outboxCounts() throws -> [OutboxCount] {
        try rows("SELECT receiver, state, count FROM outbox_counts WHERE count > 0 ORDER BY receiver, state", []) {
            OutboxCount(receiver: try $0.text(), state: try $0.outboxState(), count: try $0.int())
        }
    }

    func attempts(outboxId: Int64) throws -> [AttemptRecord] {
        try rows(SQL.attempts, [outboxId]) { try $0.attempt() }
    }

    func isLaterSent(receiver: String, lane: String, id: Int64) throws -> Bool {
        try exists(SQL.isLaterSent, [receiver, lane, id])
    }

    func newestSent(receiver: String, lane: String) throws -> OutboxRecord? {
        try first(SQL.newestSent, [receiver, lane]) { try $0.outbox() }
    }

    func limiterSlots(destination: String) throws -> [LimiterSlotRecord] {
        try rows(SQL.limiterSlots, [destination]) { try $0.limiterSlot() }
    }
}
