public import ChangeEvents
public import Core

/// The newest rows of one set of key columns, as stored in a checkpoint.
public struct RuleMemoryChunk: Sendable, Equatable {
    /// `table/column,column`.
    public var name: String
    public var bytes: [UInt8]

    /// Names stored bytes.
    public init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}

extension RuleEvaluator {
    private static let formatVersion: UInt8 = 1

    /// The newest row of every shared key (`across: latest`): a pure function of the rows judged so far.
    public func memory() -> [RuleMemoryChunk] {
        memoryNames().compactMap { index, name in
            var writer = ByteWriter(reserving: 64 + keySets[index].newest.count * 32)
            writer.byte(RuleEvaluator.formatVersion)
            // A hash that means another key after an update of the program makes the chunk useless, not wrong.
            writer.word(KeySet.hash(texts: [name]))
            keySets[index].newest.write(to: &writer)
            return RuleMemoryChunk(name: name, bytes: writer.bytes)
        }
    }

    /// Takes over a stored memory: before ``restore(open:episodes:)`` and before rows are remembered or judged. Chunks
    /// of key sets that no rule has any more are left out.
    ///
    /// - Throws: ``ByteReadError`` where the bytes are damaged or of another version; that key set then begins empty.
    public mutating func restoreMemory(_ chunk: RuleMemoryChunk) throws(ByteReadError) {
        guard let index = memoryNames().first(where: { $0.name == chunk.name })?.index else { return }
        var reader = ByteReader(chunk.bytes)
        guard try reader.byte() == RuleEvaluator.formatVersion, try reader.word() == KeySet.hash(texts: [chunk.name])
        else { throw ByteReadError(message: "rule memory of another version", byteOffset: 0) }
        var newest = NewestRowMemory(keysMax: RuleEvaluator.newestRowsMax)
        try newest.read(from: &reader)
        keySets[index].newest = newest
    }

    /// Reads rows into memory with no effect on alerts: the replay from a checkpoint to the stored offset.
    public mutating func remember(_ batch: ChangeBatch) {
        batch.slots.withUnsafeBufferPointer { slots in
            for event in batch.events where event.disposition == .judge && !event.isLate && event.afterSlot >= 0 {
                guard tables.indices.contains(Int(event.table)), let base = slots.baseAddress else { continue }
                for set in tables[Int(event.table)].keySets where keySets[set].ordersRows {
                    guard let hash = keySets[set].hash(base + Int(event.afterSlot), batch.arena) else { continue }
                    _ = keySets[set].newest.observe(
                        hash: hash, digest: event.rowKeyHash, eventTime: event.eventTime.milliseconds,
                        version: event.version)
                }
            }
        }
    }

    private func memoryNames() -> [(index: Int, name: String)] {
        tables.flatMap { table in
            table.keySets.filter { keySets[$0].ordersRows }.map {
                ($0, "\(table.name)/\(keySets[$0].columns.joined(separator: ","))")
            }
        }
    }
}
