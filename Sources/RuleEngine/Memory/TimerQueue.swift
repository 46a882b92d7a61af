internal import Core
internal import HeapModule

/// The timers of one table's alerts, by time. An entry that no longer agrees with its alert is skipped.
struct TimerQueue: Sendable {
    struct Entry: Sendable, Comparable {
        var time: Int64
        var rule: Int32
        var slot: Int32
        /// Orders timers due at one time the same way after a restart.
        var fingerprint: UInt64

        static func < (left: Entry, right: Entry) -> Bool {
            (left.time, left.rule, left.fingerprint, left.slot) < (
                right.time, right.rule, right.fingerprint, right.slot
            )
        }
    }

    private var heap = Heap<Entry>()

    var count: Int { heap.count }
    var first: Entry? { heap.min }

    mutating func push(_ entry: Entry) { heap.insert(entry) }

    /// The next entry due up to a time.
    mutating func pop(upTo limit: Int64) -> Entry? {
        guard let first = heap.min, first.time <= limit else { return nil }
        return heap.removeMin()
    }

    /// Drops the entries that no longer agree with their alerts.
    mutating func compact(keeping isCurrent: (Entry) -> Bool) {
        heap = Heap(heap.unordered.filter(isCurrent))
    }
}
