public import Core
internal import Foundation
internal import GRDB

extension SQLiteStore {
    /// Removes what is older than the policy allows, in small jobs between which others run.
    ///
    /// Rows that wait, are in flight, open alerts and checkpoints in use are never removed.
    /// - Parameter sliceCountMax: jobs to run at most; the rest is for the next call.
    /// - Returns: how many rows were removed.
    /// - Throws: ``StoreError`` where the storage failed.
    @discardableResult
    public func runRetention(now: Timestamp, policy: RetentionPolicy, sliceCountMax: Int) async throws -> Int {
        var removed = 0
        var slices = 0
        for step in RetentionStep.allCases {
            while slices < sliceCountMax {
                slices += 1
                let count = try await write(byteCount: 64 * policy.sliceCount) { transaction in
                    try (transaction as? SQLiteTransaction)?.retain(step, now: now, policy: policy) ?? 0
                }
                removed += count
                if count == 0 { break }
            }
        }
        if removed > 0 { try await giveBackPages() }
        updateSizeMetrics()
        return removed
    }

    /// Gives free pages back to the file system, 4 MiB at a time.
    private func giveBackPages() async throws {
        try await write(byteCount: 4 << 20) { transaction in
            _ = try (transaction as? SQLiteTransaction)?.rows("PRAGMA incremental_vacuum(1024)", []) { _ in 0 }
        }
    }

    /// The sizes of the store's files.
    public func size() -> StoreSize {
        func bytes(_ path: String) -> Int64 {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            return (attributes?[.size] as? NSNumber)?.int64Value ?? 0
        }
        return StoreSize(
            databaseBytes: bytes(location.databasePath), walBytes: bytes(location.databasePath + "-wal"))
    }

    /// Brings the size metrics up to date.
    public func updateSizeMetrics() {
        let size = size()
        metrics.databaseBytes.set(Double(size.databaseBytes))
        metrics.walBytes.set(Double(size.walBytes))
    }
}

enum RetentionStep: CaseIterable {
    case transitions, attempts, outbox, closedAlerts, settledLetters, letterPositions, limiterSlots, pairRuns
    case checkpoints, evaluationErrors, runs, decisions, audit
}

extension SQLiteTransaction {
    /// Removes one slice; returns how many rows it removed.
    func retain(_ step: RetentionStep, now: Timestamp, policy: RetentionPolicy) throws -> Int {
        let history = now.adding(milliseconds: -policy.history.wholeMilliseconds).milliseconds
        let slice = policy.sliceCount
        func remove(_ table: String, _ condition: String, before: Int64) throws -> Int {
            try count(
                "DELETE FROM \(table) WHERE id IN (SELECT id FROM \(table) \(condition) LIMIT ?)", [before, slice])
        }
        switch step {
        case .transitions:
            return try remove("transitions", "WHERE recorded_at < ? ORDER BY recorded_at", before: history)
        case .decisions:
            return try remove("decisions", "WHERE recorded_at < ? ORDER BY recorded_at", before: history)
        case .audit:
            let before = now.adding(milliseconds: -policy.audit.wholeMilliseconds).milliseconds
            return try remove("audit", "WHERE at < ? ORDER BY at", before: before)
        case .attempts:
            let before = now.adding(milliseconds: -policy.attempts.wholeMilliseconds).milliseconds
            return try remove("attempts", "WHERE finished_at < ? ORDER BY finished_at", before: before)
        case .outbox: return try removeOutbox(before: history, slice: slice)
        case .closedAlerts:
            return try remove("alerts", "WHERE is_open = 0 AND changed_at < ? ORDER BY changed_at", before: history)
        case .settledLetters:
            return try remove("dead_letters", "WHERE state > 0 AND settled_at < ? ORDER BY settled_at", before: history)
        case .letterPositions: return try removeLetterPositions(slice: slice)
        case .limiterSlots:
            let before = now.adding(milliseconds: -policy.limiterSlots.wholeMilliseconds).milliseconds
            return try remove("limiter_slots", "WHERE answered_at < ?", before: before)
        case .pairRuns:
            return try deletePairRuns(
                before: now.adding(milliseconds: -policy.pairRuns.wholeMilliseconds), countMax: slice)
        case .checkpoints: return try removeObsoleteChunks(countMax: 4)
        case .evaluationErrors:
            return try count(
                """
                DELETE FROM evaluation_errors WHERE (rule, reason) IN
                  (SELECT rule, reason FROM evaluation_errors WHERE last_at < ? ORDER BY last_at LIMIT ?)
                """, [history, slice])
        case .runs:
            return try count("DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - ?", [limits.runsMax])
        }
    }

    /// Settled rows go when they are old and no superseded row that is still kept points at them.
    private func removeOutbox(before: Int64, slice: Int) throws -> Int {
        try count(
            """
            DELETE FROM outbox WHERE id IN (SELECT id FROM outbox o WHERE state >= 2 AND settled_at < ?
              AND NOT EXISTS (SELECT 1 FROM outbox s WHERE s.state = 5 AND s.superseded_by = o.id)
              ORDER BY settled_at, id LIMIT ?)
            """, [before, slice])
    }

    /// Beyond the bound even positions go, the oldest first, and are counted.
    private func removeLetterPositions(slice: Int) throws -> Int {
        let total = try first("SELECT total(count) FROM dead_letter_counts", []) { try $0.int64() } ?? 0
        guard total > limits.deadLetterPositionsMax else { return 0 }
        let excess = min(Int(total - limits.deadLetterPositionsMax), slice)
        let removed = try count(
            "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters ORDER BY id LIMIT ?)", [excess])
        let text = try meta(StoreMetaKey.deadLettersForgotten).map { String(decoding: $0, as: UTF8.self) }
        let forgotten = (text.flatMap { Int64($0) } ?? 0) + Int64(removed)
        try setMeta(StoreMetaKey.deadLettersForgotten, Array("\(forgotten)".utf8))
        return removed
    }
}
