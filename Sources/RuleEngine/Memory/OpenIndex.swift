// HOT
/// Finds the open alerts of a key by its hash: open addressing, linear probing, no allocation on lookup.
///
/// Equal hashes may occur several times, one for each rule with that key (and, never seen in practice, for keys that
/// collide); the caller compares the texts.
struct OpenIndex: Sendable {
    struct Entry: Sendable {
        var hash: UInt64
        var rule: Int32
        /// -1: empty.
        var slot: Int32
    }

    private var entries: ContiguousArray<Entry>
    private(set) var count = 0
    private var mask: Int

    private static let empty = Entry(hash: 0, rule: 0, slot: -1)

    init() {
        entries = ContiguousArray(repeating: OpenIndex.empty, count: 16)
        mask = 15
    }

    @inline(__always)
    private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &* 0x9E37_79B9_7F4A_7C15 >> 20) & mask }

    /// Whether any alert has this hash.
    @inline(__always)
    func mayContain(_ hash: UInt64) -> Bool {
        if count == 0 { return false }
        var index = home(hash)
        while entries[index].slot >= 0 {
            if entries[index].hash == hash { return true }
            index = (index &+ 1) & mask
        }
        return false
    }

    /// The slot of a rule's alert with this hash that `matches`.
    func find(_ hash: UInt64, rule: Int32, where matches: (Int32) -> Bool) -> Int32? {
        if count == 0 { return nil }
        var index = home(hash)
        while entries[index].slot >= 0 {
            let entry = entries[index]
            if entry.hash == hash, entry.rule == rule, matches(entry.slot) { return entry.slot }
            index = (index + 1) & mask
        }
        return nil
    }

    /// All slots of a rule under this hash.
    func slots(_ hash: UInt64, rule: Int32) -> [Int32] {
        if count == 0 { return [] }
        var found: [Int32] = []
        var index = home(hash)
        while entries[index].slot >= 0 {
            if entries[index].hash == hash, entries[index].rule == rule { found.append(entries[index].slot) }
            index = (index + 1) & mask
        }
        return found
    }

    mutating func insert(_ hash: UInt64, rule: Int32, slot: Int32) {
        if (count + 1) * 2 > entries.count { grow() }
        place(Entry(hash: hash, rule: rule, slot: slot))
        count += 1
    }

    mutating func remove(_ hash: UInt64, rule: Int32, slot: Int32) {
        if count == 0 { return }
        var index = home(hash)
        while entries[index].slot >= 0 {
            let entry = entries[index]
            if entry.hash == hash, entry.rule == rule, entry.slot == slot {
                close(index)
                count -= 1
                return
            }
            index = (index + 1) & mask
        }
    }

    private mutating func place(_ entry: Entry) {
        var index = home(entry.hash)
        while entries[index].slot >= 0 { index = (index + 1) & mask }
        entries[index] = entry
    }

    private mutating func grow() {
        let old = entries
        entries = ContiguousArray(repeating: OpenIndex.empty, count: old.count * 2)
        mask = entries.count - 1
        for entry in old where entry.slot >= 0 { place(entry) }
    }

    /// Closes a gap by moving back what probed past it.
    private mutating func close(_ start: Int) {
        var gap = start
        var index = (gap + 1) & mask
        while entries[index].slot >= 0 {
            let distance = (index - home(entries[index].hash)) & mask
            if distance >= (index - gap) & mask {
                entries[gap] = entries[index]
                gap = index
            }
            index = (index + 1) & mask
        }
        entries[gap] = OpenIndex.empty
    }
}
