internal import Core

/// A piece of a checkpoint: bytes under a name and a number.
public struct ChunkedBlob: Sendable, Equatable {
    public var name: String
    /// 0, 1, …
    public var chunk: Int32
    public var bytes: [UInt8]

    /// Makes a piece.
    public init(name: String, chunk: Int32, bytes: [UInt8]) {
        self.name = name
        self.chunk = chunk
        self.bytes = bytes
    }
}

/// Why a checkpoint cannot be restored.
public struct RowMemoryError: Error, Equatable, CustomStringConvertible {
    public var message: String
    public var description: String { message }
}

extension RowMemory {
    /// The name of row memory's chunks.
    public static let checkpointName = "row-memory"
    private static let magic = Array("ARRM".utf8)
    private static let formatVersion: UInt8 = 1
    /// Items per chunk: about 1 MiB of entries.
    private static let entriesPerChunk = 20_000
    private static let halvesPerChunk = 500

    private enum Section: UInt8 { case entries = 1, halves = 2 }

    /// Everything remembered, as chunks of about 1 MiB that ``init(catalog:restoring:)`` takes back.
    ///
    /// Each chunk can be read by itself and carries a checksum, the number of chunks, and its table's name.
    public func checkpoint() -> [ChunkedBlob] {
        var bodies: [[UInt8]] = []
        for table in tables {
            for start in stride(from: 0, to: max(table.entries.count, 1), by: RowMemory.entriesPerChunk) {
                bodies.append(table.encodedEntries(from: start, count: RowMemory.entriesPerChunk))
            }
            let halves = table.waits.inOrder
            for start in stride(from: 0, to: halves.count, by: RowMemory.halvesPerChunk) {
                bodies.append(table.encoded(halves[start..<min(start + RowMemory.halvesPerChunk, halves.count)]))
            }
        }
        return bodies.enumerated().map { number, body in
            var writer = ByteWriter(reserving: body.count + 64)
            for byte in RowMemory.magic { writer.byte(byte) }
            writer.byte(RowMemory.formatVersion)
            writer.count(number)
            writer.count(bodies.count)
            writer.word(body.withUnsafeBytes { StableHash.hash($0, seed: UInt64(number)) })
            writer.blob(body)
            return ChunkedBlob(name: RowMemory.checkpointName, chunk: Int32(number), bytes: writer.bytes)
        }
    }

    /// Takes back what ``checkpoint()`` gave, in any order; tables that are no longer declared are left out.
    ///
    /// Columns that rules read anew have no remembered value: they are unknown.
    /// - Throws: ``RowMemoryError`` when a chunk is missing, damaged, or of another version of the program.
    public init(catalog: TableCatalog, restoring chunks: [ChunkedBlob]) throws(RowMemoryError) {
        self.init(catalog: catalog)
        let sorted = chunks.sorted { $0.chunk < $1.chunk }
        for (number, chunk) in sorted.enumerated() {
            do {
                let body = try RowMemory.body(of: chunk, number: number, count: sorted.count)
                var reader = ByteReader(body)
                try restore(&reader)
            } catch let error as ByteReadError {
                throw RowMemoryError(message: "checkpoint chunk \(chunk.chunk) of row memory is damaged: \(error)")
            } catch let error as RowMemoryError {
                throw error
            } catch {
                throw RowMemoryError(message: "checkpoint chunk \(chunk.chunk) of row memory is damaged")
            }
        }
    }

    private static func body(of chunk: ChunkedBlob, number: Int, count: Int) throws -> [UInt8] {
        var reader = ByteReader(chunk.bytes)
        for byte in magic {
            guard try reader.byte() == byte else { throw RowMemoryError(message: "a chunk is no part of row memory") }
        }
        guard try reader.byte() == formatVersion else {
            throw RowMemoryError(message: "the checkpoint of row memory was written by another version")
        }
        guard try reader.unsigned() == UInt64(number), try reader.unsigned() == UInt64(count) else {
            throw RowMemoryError(message: "a chunk of row memory's checkpoint is missing")
        }
        let sum = try reader.word()
        let body = try reader.blob()
        guard reader.isAtEnd, body.withUnsafeBytes({ StableHash.hash($0, seed: UInt64(number)) }) == sum else {
            throw RowMemoryError(message: "checkpoint chunk \(number) of row memory is damaged: wrong checksum")
        }
        return body
    }

    private mutating func restore(_ reader: inout ByteReader) throws {
        let name = try reader.text()
        let section = try reader.byte()
        let newest = Int64(bitPattern: try reader.word())
        var paths: [String] = []
        for _ in 0..<(try reader.count()) { paths.append(try reader.text()) }
        guard let index = tables.firstIndex(where: { $0.name == name }) else { return }
        tables[index].newestCommit = max(tables[index].newestCommit, newest)
        let columns = RowColumns(stored: paths, now: tables[index].columnPaths)
        switch Section(rawValue: section) {
        case .entries: try tables[index].restoreEntries(&reader, columns)
        case .halves: try tables[index].restoreHalves(&reader, columns)
        case nil: throw RowMemoryError(message: "a checkpoint chunk of row memory is damaged: unknown section")
        }
    }

    static func header(_ table: RowTable, section: UInt8) -> ByteWriter {
        var writer = ByteWriter(reserving: 1 << 16)
        writer.text(table.name)
        writer.byte(section)
        writer.word(UInt64(bitPattern: table.newestCommit))
        writer.count(table.columnPaths.count)
        for path in table.columnPaths { writer.text(path) }
        return writer
    }
}

/// How a stored image's columns map to those that rules read now.
struct RowColumns {
    /// For each column now: its index in the stored image.
    var sources: [Int?]
    var storedCount: Int

    init(stored: [String], now: [String]) {
        storedCount = stored.count
        sources = now.map { stored.firstIndex(of: $0) }
    }
}

extension RowTable {
    func encodedEntries(from start: Int, count: Int) -> [UInt8] {
        var writer = RowMemory.header(self, section: 1)
        let end = min(start + count, entries.count)
        writer.count(end - start)
        for position in start..<end {
            let entry = entries[position]
            writer.word(entry.keyHash)
            writer.word(entry.imageHash)
            writer.byte(entry.rank | (entry.otherHash != 0 ? 0x80 : 0) | (entry.remembered >= 0 ? 0x40 : 0))
            if entry.otherHash != 0 { writer.word(entry.otherHash) }
            writer.signed(Int64(entry.epoch))
            writer.signed(entry.version)
            writer.signed(entry.commitTime)
            if let image = remembered.image(entry.remembered, columnCount: columnCount) {
                RowTable.write(image, &writer)
            }
        }
        return writer.bytes
    }

    mutating func restoreEntries(_ reader: inout ByteReader, _ columns: RowColumns) throws {
        for _ in 0..<(try reader.count()) {
            let keyHash = try reader.word()
            let imageHash = try reader.word()
            let mark = try reader.byte()
            let otherHash = mark & 0x80 != 0 ? try reader.word() : 0
            let epoch = Int32(truncatingIfNeeded: try reader.signed())
            let version = try reader.signed()
            let commitTime = try reader.signed()
            let image = mark & 0x40 != 0 ? try RowTable.readImage(&reader, columns) : nil
            let place = entries.find(keyHash, commitTime: commitTime)
            entries[place] = RowEntry(
                keyHash: keyHash, version: version, imageHash: imageHash, otherHash: otherHash,
                commitTime: commitTime, epoch: epoch, rank: mark & 0x0F)
            if remembersValues, let image { entries[place].remembered = remembered.store(-1, image) }
        }
    }

    func encoded(_ halves: ArraySlice<RowWaits.Half>) -> [UInt8] {
        var writer = RowMemory.header(self, section: 2)
        writer.count(halves.count)
        for half in halves {
            let event = half.event
            writer.byte(event.kind.rawValue)
            writer.byte(event.flags.rawValue)
            writer.signed(Int64(event.ordinal))
            writer.signed(Int64(event.epoch))
            writer.signed(event.version)
            writer.signed(event.commitTime.milliseconds)
            writer.signed(event.eventTime.milliseconds)
            writer.word(event.rowKeyHash)
            writer.word(event.imageHash)
            writer.signed(event.offset)
            writer.blob(half.keyText)
            writer.optional(half.image) { RowTable.write($1, &$0) }
        }
        return writer.bytes
    }

    mutating func restoreHalves(_ reader: inout ByteReader, _ columns: RowColumns) throws {
        for _ in 0..<(try reader.count()) {
            guard let kind = ChangeEvent.Kind(rawValue: try reader.byte()) else {
                throw RowMemoryError(message: "a checkpoint chunk of row memory is damaged: unknown kind of event")
            }
            let flags = ChangeEvent.Flags(rawValue: try reader.byte())
            let ordinal = Int32(truncatingIfNeeded: try reader.signed())
            let epoch = Int32(truncatingIfNeeded: try reader.signed())
            var event = ChangeEvent(
                table: index, kind: kind, messageIndex: -1, ordinal: ordinal, epoch: epoch,
                version: try reader.signed(), commitTime: Timestamp(milliseconds: try reader.signed()),
                partitionIndex: -1, offset: 0)
            event.flags = flags
            event.disposition = .waiting
            event.eventTime = Timestamp(milliseconds: try reader.signed())
            event.rowKeyHash = try reader.word()
            event.imageHash = try reader.word()
            event.offset = try reader.signed()
            let keyText = try reader.blob()
            let image = try reader.bool() ? try RowTable.readImage(&reader, columns) : nil
            let isBefore = kind == .delete || kind == .preimage
            event.beforeSlot = isBefore && image != nil ? 0 : -1
            event.afterSlot = !isBefore && image != nil ? 0 : -1
            let place = entries.find(event.rowKeyHash, commitTime: event.commitTime.milliseconds)
            _ = waits.restore(
                RowWaits.Half(event: event, image: image, keyText: keyText), first: &entries[place].waiting)
        }
    }

    private static func write(_ image: OwnedImage, _ writer: inout ByteWriter) {
        for slot in image.slots {
            writer.byte(slot.kind.rawValue)
            writer.unsigned(UInt64(slot.shortTextCount))
            writer.unsigned(UInt64(slot.textOffset))
            writer.word(slot.bits)
        }
        writer.blob(image.text)
    }

    private static func readImage(_ reader: inout ByteReader, _ columns: RowColumns) throws -> OwnedImage {
        var stored: ContiguousArray<SlotValue> = []
        for _ in 0..<columns.storedCount {
            guard let kind = SlotValue.Kind(rawValue: try reader.byte()) else {
                throw RowMemoryError(message: "a checkpoint chunk of row memory is damaged: unknown kind of value")
            }
            stored.append(
                SlotValue(
                    kind: kind, shortTextCount: UInt16(truncatingIfNeeded: try reader.unsigned()),
                    textOffset: UInt32(truncatingIfNeeded: try reader.unsigned()), bits: try reader.word()))
        }
        let text = try reader.blob()
        for slot in stored {
            let end = UInt64(slot.textOffset) + (slot.hasText ? UInt64(slot.textCount.magnitude) : 0)
            guard slot.textCount >= 0, end <= UInt64(text.count) || slot.textCount == 0 else {
                throw RowMemoryError(message: "a checkpoint chunk of row memory is damaged: text beyond the end")
            }
        }
        return OwnedImage(slots: ContiguousArray(columns.sources.map { $0.map { stored[$0] } ?? .unknown }), text: text)
    }
}

extension SlotValue {
    fileprivate var hasText: Bool { textCount != 0 }
}
