// HOT
internal import Core

/// The newest row of each key, for keys that several rows share (`across: latest`): a pure function of the rows.
///
/// It is bounded by two generations: when the young one is full, it becomes the old one and what the old one still held
/// is forgotten; a key that is seen again moves to the young one. So the keys seen last are kept, between half the
/// bound and the bound, and the same rows always leave the same memory. A forgotten key counts as never seen.
struct NewestRowMemory: Sendable {
    struct Entry: Sendable {
        var hash: UInt64
        var digest: UInt64
        var eventTime: Int64
        var version: Int64
        var isUsed: Bool
    }

    private struct Generation: Sendable {
        var entries: ContiguousArray<Entry>
        var count = 0
        var mask: Int

        init(capacity: Int) {
            entries = ContiguousArray(
                repeating: Entry(hash: 0, digest: 0, eventTime: 0, version: 0, isUsed: false), count: capacity)
            mask = capacity - 1
        }

        @inline(__always)
        func index(of hash: UInt64) -> Int {
            var index = Int(truncatingIfNeeded: hash &* 0x9E37_79B9_7F4A_7C15 >> 20) & mask
            while entries[index].isUsed, entries[index].hash != hash { index = (index &+ 1) & mask }
            return index
        }

        mutating func insert(_ entry: Entry) {
            if (count + 1) * 2 > entries.count {
                var larger = Generation(capacity: entries.count * 2)
                for entry in entries where entry.isUsed {
                    larger.entries[larger.index(of: entry.hash)] = entry
                }
                larger.count = count
                self = larger
            }
            entries[index(of: entry.hash)] = entry
            count += 1
        }
    }

    /// Keys in one generation: half of the most that is remembered. A key takes up to 80 bytes.
    private let generationMax: Int
    private var young = Generation(capacity: 64)
    private var old = Generation(capacity: 64)
    /// How often a full generation made way, each time forgetting up to half of all keys.
    private(set) var turnoverCount = 0
    /// How many keys were forgotten since it was made or restored, for metrics.
    private(set) var forgottenCount = 0
    /// Keys of the old generation that moved to the young one.
    private var movedCount = 0

    init(keysMax: Int) { generationMax = max(keysMax / 2, 1) }

    /// Takes note of a row; false when a newer row of its key was seen (by event time, then position).
    ///
    /// A new version of the newest row itself is always the newest.
    @inline(__always)
    mutating func observe(hash: UInt64, digest: UInt64, eventTime: Int64, version: Int64) -> Bool {
        let index = young.index(of: hash)
        if young.entries[index].isUsed {
            let known = young.entries[index]
            if known.digest != digest {
                if eventTime < known.eventTime { return false }
                if eventTime == known.eventTime, version < known.version { return false }
            }
            young.entries[index].digest = digest
            young.entries[index].eventTime = eventTime
            young.entries[index].version = version
            return true
        }
        return observeOld(hash: hash, digest: digest, eventTime: eventTime, version: version)
    }

    private mutating func observeOld(hash: UInt64, digest: UInt64, eventTime: Int64, version: Int64) -> Bool {
        var entry = Entry(hash: hash, digest: digest, eventTime: eventTime, version: version, isUsed: true)
        let index = old.index(of: hash)
        var isNewest = true
        if old.entries[index].isUsed {
            movedCount += 1
            let known = old.entries[index]
            if known.digest != digest, (eventTime, version) < (known.eventTime, known.version) {
                isNewest = false
                entry = known
            }
        }
        if young.count >= generationMax {
            // A key that is moving right now is kept: it was counted as moved.
            forgottenCount += old.count - movedCount
            movedCount = 0
            old = young
            young = Generation(capacity: 64)
            turnoverCount += 1
        }
        young.insert(entry)
        return isNewest
    }

    /// The newest row of a key, if it is remembered.
    func newest(of hash: UInt64) -> Entry? {
        let youngEntry = young.entries[young.index(of: hash)]
        if youngEntry.isUsed { return youngEntry }
        let oldEntry = old.entries[old.index(of: hash)]
        return oldEntry.isUsed ? oldEntry : nil
    }

    /// Takes a row over from a stored alert, unless the key is known.
    mutating func seed(hash: UInt64, row: NewestRow) {
        guard newest(of: hash) == nil else { return }
        _ = observe(
            hash: hash, digest: row.digest, eventTime: row.eventTime.milliseconds, version: row.version)
    }

    /// Keys remembered.
    var count: Int { young.count + old.count }

    // MARK: - Checkpoint

    func write(to writer: inout ByteWriter) {
        for generation in [old, young] {
            writer.count(generation.count)
            for entry in generation.entries where entry.isUsed {
                writer.word(entry.hash)
                writer.word(entry.digest)
                writer.signed(entry.eventTime)
                writer.signed(entry.version)
            }
        }
        writer.count(turnoverCount)
    }

    mutating func read(from reader: inout ByteReader) throws(ByteReadError) {
        old = try readGeneration(&reader)
        young = try readGeneration(&reader)
        turnoverCount = Int(truncatingIfNeeded: try reader.unsigned())
    }

    private func readGeneration(_ reader: inout ByteReader) throws(ByteReadError) -> Generation {
        var generation = Generation(capacity: 64)
        for _ in 0..<(try reader.count()) {
            let entry = Entry(
                hash: try reader.word(), digest: try reader.word(), eventTime: try reader.signed(),
                version: try reader.signed(), isUsed: true)
            generation.insert(entry)
        }
        return generation
    }
}
