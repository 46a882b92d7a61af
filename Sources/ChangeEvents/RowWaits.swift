internal import Core

/// The halves of updates and rewrites that wait for their other half, of one table: a pool with a list per row key.
struct RowWaits: Sendable {
    /// Halves that wait in one table at most; above it the wait of the newcomer ends at once.
    static let halvesMax = 100_000
    /// Halves that wait for one row key at most.
    static let halvesPerKeyMax = 64

    struct Half: Sendable {
        var event: ChangeEvent
        /// The image and the key's text, once they outlive their batch; nil: they lie in the present batch.
        var image: OwnedImage?
        var keyText: [UInt8] = []
        var next: Int32 = -1
        /// Changes with every use of the place, so that a stale queue item is recognised.
        var generation: UInt32 = 0
        var isUsed = false
    }

    private struct Timed: Sendable {
        var half: Int32
        var generation: UInt32
        /// Milliseconds; `Int64.max` until the first tick after its arrival.
        var deadline: Int64
    }

    private(set) var pool: ContiguousArray<Half> = []
    private var free: ContiguousArray<Int32> = []
    private var queue: ContiguousArray<Timed> = []
    private var queueStart = 0
    private var undatedStart = 0
    /// Places of halves that came with the present batch.
    private(set) var fresh: ContiguousArray<Int32> = []
    private(set) var count = 0

    /// Appends a half to the list that begins at `first`; false where there is no room.
    mutating func add(_ event: ChangeEvent, first: inout Int32) -> Bool {
        var last: Int32 = -1
        var length = 0
        var place = first
        while place >= 0 {
            last = place
            length += 1
            place = pool[Int(place)].next
        }
        guard count < RowWaits.halvesMax, length < RowWaits.halvesPerKeyMax else { return false }
        let half: Int32
        if let reused = free.popLast() {
            half = reused
            let generation = pool[Int(half)].generation &+ 1
            pool[Int(half)] = Half(event: event, generation: generation, isUsed: true)
        } else {
            half = Int32(pool.count)
            pool.append(Half(event: event, isUsed: true))
        }
        if last < 0 { first = half } else { pool[Int(last)].next = half }
        count += 1
        fresh.append(half)
        queue.append(Timed(half: half, generation: pool[Int(half)].generation, deadline: .max))
        return true
    }

    /// The first half of a list that passes.
    func first(_ start: Int32, where passes: (ChangeEvent) -> Bool) -> Int32? {
        var place = start
        while place >= 0 {
            if passes(pool[Int(place)].event) { return place }
            place = pool[Int(place)].next
        }
        return nil
    }

    /// Takes a half out of the list that begins at `first`.
    mutating func remove(_ half: Int32, first: inout Int32) -> Half {
        var removed = pool[Int(half)]
        if first == half {
            first = removed.next
        } else {
            var place = first
            while place >= 0, pool[Int(place)].next != half { place = pool[Int(place)].next }
            if place >= 0 { pool[Int(place)].next = removed.next }
        }
        removed.next = -1
        pool[Int(half)].isUsed = false
        pool[Int(half)].image = nil
        pool[Int(half)].keyText = []
        free.append(half)
        count -= 1
        return removed
    }

    /// Copies what still waits out of the batch it came with.
    mutating func keepFresh(columnCount: Int, _ slots: ContiguousArray<SlotValue>, _ arena: RowArena) {
        for place in fresh where pool[Int(place)].isUsed && pool[Int(place)].image == nil {
            let event = pool[Int(place)].event
            let first = Int(event.kind == .delete || event.kind == .preimage ? event.beforeSlot : event.afterSlot)
            guard first >= 0 else { continue }
            pool[Int(place)].image = OwnedImage(slots[first..<first + columnCount], arena, textMax: .max)
            pool[Int(place)].keyText = Array(
                arena.bytes(offset: event.rowKeyText.offset, count: Int(event.rowKeyText.count)))
        }
        fresh.removeAll(keepingCapacity: true)
    }

    /// Starts the clock of halves that came since the last tick; returns those whose wait has lasted `wait`.
    mutating func expired(now: Int64, wait: Int64) -> [Int32] {
        for index in undatedStart..<queue.count { queue[index].deadline = now + wait }
        undatedStart = queue.count
        var due: [Int32] = []
        while queueStart < queue.count, queue[queueStart].deadline <= now {
            let item = queue[queueStart]
            let half = pool[Int(item.half)]
            if half.isUsed, half.generation == item.generation { due.append(item.half) }
            queueStart += 1
        }
        if queueStart > 1024, queueStart * 2 > queue.count {
            queue.removeFirst(queueStart)
            undatedStart -= queueStart
            queueStart = 0
        }
        return due
    }

    /// Halves in the order in which they came, for a checkpoint.
    var inOrder: [Half] {
        queue[queueStart...].compactMap { item in
            let half = pool[Int(item.half)]
            return half.isUsed && half.generation == item.generation ? half : nil
        }
    }

    /// Puts back a half from a checkpoint; its wait starts again.
    mutating func restore(_ half: Half, first: inout Int32) -> Bool {
        guard add(half.event, first: &first), let place = fresh.popLast() else { return false }
        pool[Int(place)].image = half.image
        pool[Int(place)].keyText = half.keyText
        return true
    }
}

/// Remembered values of rows, packed one after the other: no object per row.
struct RememberedRows: Sendable {
    /// Bytes of remembered values of one table at most; above it new rows are not remembered.
    static let bytesMax = 256 << 20
    /// A longer text is not remembered; its column is then unknown.
    static let textMax = 1024

    private struct Span: Sendable {
        var offset: Int
        var count: Int
        var capacity: Int
    }

    private var bytes: ContiguousArray<UInt8> = []
    private var spans: ContiguousArray<Span> = []
    private var free: ContiguousArray<Int32> = []
    private var wasted = 0

    var byteCount: Int { bytes.count - wasted }

    /// Remembers an image under a handle; a new one where it is -1.
    /// - Returns: the handle it is remembered under; -1 where there is no room.
    mutating func store(_ handle: Int32, _ image: OwnedImage) -> Int32 {
        let needed = image.slots.count * 16 + image.text.count
        var target = handle
        if target >= 0, spans[Int(target)].capacity < needed {
            forget(target)
            target = -1
        }
        if target < 0 {
            if wasted * 2 > bytes.count, wasted > 1 << 16 { compact() }
            guard bytes.count + needed <= RememberedRows.bytesMax else { return -1 }
            let span = Span(offset: bytes.count, count: needed, capacity: needed)
            bytes.append(contentsOf: repeatElement(0, count: needed))
            if let reused = free.popLast() {
                target = reused
                spans[Int(target)] = span
            } else {
                target = Int32(spans.count)
                spans.append(span)
            }
        }
        spans[Int(target)].count = needed
        let offset = spans[Int(target)].offset
        bytes.withUnsafeMutableBytes { buffer in
            let slots = UnsafeMutableRawBufferPointer(rebasing: buffer[offset...])
            image.slots.withUnsafeBytes { slots.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: slots[(image.slots.count * 16)...]).copyBytes(from: image.text)
        }
        return target
    }

    /// The image under a handle.
    func image(_ handle: Int32, columnCount: Int) -> OwnedImage? {
        guard handle >= 0 else { return nil }
        let span = spans[Int(handle)]
        let slotBytes = columnCount * 16
        guard span.count >= slotBytes else { return nil }
        return bytes.withUnsafeBytes { buffer in
            let slots = ContiguousArray(
                (0..<columnCount).map {
                    buffer.loadUnaligned(fromByteOffset: span.offset + $0 * 16, as: SlotValue.self)
                })
            return OwnedImage(
                slots: slots, text: Array(buffer[span.offset + slotBytes..<span.offset + span.count]))
        }
    }

    mutating func forget(_ handle: Int32) {
        guard handle >= 0 else { return }
        wasted += spans[Int(handle)].capacity
        spans[Int(handle)] = Span(offset: 0, count: 0, capacity: 0)
        free.append(handle)
    }

    private mutating func compact() {
        var packed: ContiguousArray<UInt8> = []
        packed.reserveCapacity(bytes.count - wasted)
        for index in spans.indices where spans[index].capacity > 0 {
            let span = spans[index]
            spans[index].offset = packed.count
            spans[index].capacity = span.count
            packed.append(contentsOf: bytes[span.offset..<span.offset + span.count])
        }
        bytes = packed
        wasted = 0
    }
}
