internal import Core

/// Times at which something is due, earliest first. What is no longer due is skipped by whoever takes it.
typealias DueQueue = MinHeap<DueEntry>

/// Something that is due.
struct DueEntry: Sendable, Comparable {
    /// What is due.
    enum Kind: UInt8, Sendable {
        case storm = 0
        case group
        case acknowledgement
        case escalation
    }

    var time: Timestamp
    var kind: Kind
    /// The group, the slot of the alert, or the route.
    var id: Int32
    /// Orders what is due at one time the same way in every run.
    var order: UInt64

    static func < (left: DueEntry, right: DueEntry) -> Bool {
        (left.time, left.kind.rawValue, left.order, left.id) < (
            right.time, right.kind.rawValue, right.order, right.id
        )
    }
}
