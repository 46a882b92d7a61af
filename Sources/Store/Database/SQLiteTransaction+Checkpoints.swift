internal import Core
internal import GRDB

/// A checkpoint is begun (stage 0), filled in jobs of its own, complete (1) at once, then obsolete (2). Obsolete chunks
/// go away one by one while the next checkpoint is written, so that no job removes many megabytes.
extension SQLiteTransaction {
    /// Bytes of one chunk at most: what one job adds to a group without stalling others for long.
    static let chunkBytesMax = 4 << 20

    func beginCheckpoint(name: String, at: Timestamp) throws -> Int64 {
        try run("UPDATE checkpoints SET stage = 2 WHERE name = ? AND stage = 0", [name])
        try run(
            """
            INSERT INTO checkpoints (name, stage, created_at, offsets, rule_hashes, chunk_count, byte_count)
            VALUES (?, 0, ?, ?, ?, 0, 0)
            """, [name, at.milliseconds, [UInt8]().blob, [UInt8]().blob])
        return database.lastInsertedRowID
    }

    func appendCheckpointChunk(id: Int64, bytes: [UInt8]) throws {
        guard bytes.count <= SQLiteTransaction.chunkBytesMax else {
            throw StoreError(
                .misuse, "A checkpoint chunk has \(bytes.count) bytes, more than \(SQLiteTransaction.chunkBytesMax).",
                systemCode: nil)
        }
        try removeObsoleteChunks(countMax: 2)
        let changed = try count(
            """
            UPDATE checkpoints SET chunk_count = chunk_count + 1, byte_count = byte_count + ?
            WHERE id = ? AND stage = 0
            """, [bytes.count, id])
        guard changed == 1 else { throw notBeingWritten(id) }
        try run(
            """
            INSERT INTO checkpoint_chunks (checkpoint_id, position, bytes)
            SELECT id, chunk_count - 1, ? FROM checkpoints WHERE id = ?
            """, [bytes.blob, id])
    }

    func completeCheckpoint(
        id: Int64, offsets: [TopicPartition: Int64], ruleHashes: [String: String], at: Timestamp
    ) throws {
        let changed = try count(
            "UPDATE checkpoints SET stage = 1, created_at = ?, offsets = ?, rule_hashes = ? WHERE id = ? AND stage = 0",
            [at.milliseconds, CheckpointHeader.bytes(offsets).blob, CheckpointHeader.bytes(ruleHashes).blob, id])
        guard changed == 1 else { throw notBeingWritten(id) }
        try run(
            """
            UPDATE checkpoints SET stage = 2 WHERE stage = 1 AND id <> ?
              AND name = (SELECT name FROM checkpoints WHERE id = ?)
            """, [id, id])
    }

    func deleteCheckpoints(name: String) throws {
        try run("UPDATE checkpoints SET stage = 2 WHERE name = ?", [name])
    }

    private func notBeingWritten(_ id: Int64) -> StoreError {
        StoreError(.conflict, "Checkpoint \(id) is not being written.", systemCode: nil)
    }

    /// Removes chunks of obsolete checkpoints, and checkpoints that have none left; returns how many of either.
    @discardableResult
    func removeObsoleteChunks(countMax: Int) throws -> Int {
        let removed = try count(
            """
            DELETE FROM checkpoint_chunks WHERE id IN (SELECT k.id FROM checkpoints c
              JOIN checkpoint_chunks k ON k.checkpoint_id = c.id WHERE c.stage = 2 LIMIT ?)
            """, [countMax])
        guard removed == 0 else { return removed }
        return try count("DELETE FROM checkpoints WHERE stage = 2", [])
    }
}
