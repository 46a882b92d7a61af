// HOT
internal import Core

/// What is remembered of one row key: 64 bytes, trivial.
struct RowEntry: Sendable {
    /// Order of the kinds within one position.
    static let rankNone: UInt8 = 0
    static let rankDelete: UInt8 = 1
    static let rankInsert: UInt8 = 2
    static let rankUpdate: UInt8 = 3

    var keyHash: UInt64
    var version: Int64 = .min
    /// The newest image, and the one before it at the same position (a business key that occurs twice in a commit).
    var imageHash: UInt64 = 0
    var otherHash: UInt64 = 0
    var commitTime: Int64
    var epoch: Int32 = .min
    /// First of the halves that wait; -1: none.
    var waiting: Int32 = -1
    /// Where the remembered values lie; -1: none.
    var remembered: Int32 = -1
    var rank: UInt8 = RowEntry.rankNone

    var isDeleted: Bool { rank == RowEntry.rankDelete }
    /// Whether a row of the key has been admitted.
    var isKnown: Bool { rank != RowEntry.rankNone }

    static func rank(_ kind: ChangeEvent.Kind) -> UInt8 {
        switch kind {
        case .preimage: rankNone
        case .delete: rankDelete
        case .insert, .snapshot: rankInsert
        case .update, .upsert: rankUpdate
        }
    }
}

/// The entries of one table by hash of the row key: an open-addressing index into a dense list. No object per key.
struct RowEntries: Sendable {
    private(set) var entries: ContiguousArray<RowEntry> = []
    /// Index of an entry plus one; 0: free.
    private var index: ContiguousArray<UInt32> = ContiguousArray(repeating: 0, count: 64)

    var count: Int { entries.count }

    /// The entry of a key; made where there is none.
    mutating func find(_ hash: UInt64, commitTime: Int64) -> Int {
        if entries.count * 2 >= index.count { rebuild(capacity: index.count * 2) }
        let mask = index.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while true {
            let stored = index[place]
            if stored == 0 { break }
            if entries[Int(stored) - 1].keyHash == hash { return Int(stored) - 1 }
            place = (place + 1) & mask
        }
        entries.append(RowEntry(keyHash: hash, commitTime: commitTime))
        index[place] = UInt32(entries.count)
        return entries.count - 1
    }

    subscript(position: Int) -> RowEntry {
        @inline(__always) get { entries[position] }
        @inline(__always) _modify { yield &entries[position] }
    }

    /// Keeps the entries that pass, in order.
    mutating func filter(_ keeps: (RowEntry) -> Bool) {
        entries = entries.filter(keeps)
        var capacity = 64
        while capacity <= entries.count * 2 { capacity *= 2 }
        rebuild(capacity: capacity)
    }

    private mutating func rebuild(capacity: Int) {
        index = ContiguousArray(repeating: 0, count: capacity)
        for (position, entry) in entries.enumerated() {
            var place = Int(truncatingIfNeeded: entry.keyHash) & (capacity - 1)
            while index[place] != 0 { place = (place + 1) & (capacity - 1) }
            index[place] = UInt32(position + 1)
        }
    }
}

/// A row image with its own texts: what outlives the batch it came with.
struct OwnedImage: Sendable, Equatable {
    var slots: ContiguousArray<SlotValue>
    var text: [UInt8]

    static func == (left: OwnedImage, right: OwnedImage) -> Bool {
        left.text == right.text && left.slots.elementsEqual(right.slots) { $0.bits == $1.bits && $0.kind == $1.kind }
    }

    /// Copies an image out of a batch; texts longer than `textMax` are left out and their columns become unknown.
    init(_ image: ArraySlice<SlotValue>, _ arena: RowArena, textMax: Int) {
        slots = ContiguousArray(image)
        text = []
        for index in slots.indices where slots[index].textCount > 0 {
            guard slots[index].textCount <= textMax else {
                slots[index] = .unknown
                continue
            }
            let offset = UInt32(text.count)
            text.append(contentsOf: slots[index].text(in: arena))
            slots[index].textOffset = offset
        }
    }

    init(slots: ContiguousArray<SlotValue>, text: [UInt8]) {
        self.slots = slots
        self.text = text
    }

    /// Puts the image into a batch; returns its first slot.
    func place(_ target: inout ContiguousArray<SlotValue>, _ arena: RowArena) -> Int32 {
        let base = text.withUnsafeBytes { arena.append($0) }
        let first = Int32(target.count)
        for slot in slots {
            var moved = slot
            if moved.textCount > 0 { moved.textOffset += base }
            target.append(moved)
        }
        return first
    }
}
