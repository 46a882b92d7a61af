internal import Core

/// Times at which something is due, earliest first. What is no longer due is skipped by whoever takes it.
struct DueQueue: Sendable {
    /// What is due.
    enum Kind: UInt8, Sendable {
        case storm = 0
        case group
        case acknowledgement
        case escalation
    }

    struct Entry: Sendable {
        var time: Timestamp
        var kind: Kind
        /// The group, the slot of the alert, or the route.
        var id: Int32
        /// Orders what is due at one time the same way in every run.
        var order: UInt64

        static func < (left: Entry, right: Entry) -> Bool {
            (left.time, left.kind.rawValue, left.order, left.id) < (
                right.time, right.kind.rawValue, right.order, right.id
            )
        }
    }

    private var heap: ContiguousArray<Entry> = []

    var first: Entry? { heap.first }
    var count: Int { heap.count }

    mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    @discardableResult
    mutating func pop() -> Entry? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    /// Drops what is due no more, where most of it is.
    mutating func compact(keeping isCurrent: (Entry) -> Bool) {
        let kept = heap.filter(isCurrent)
        heap = []
        for entry in kept { push(entry) }
    }
}
