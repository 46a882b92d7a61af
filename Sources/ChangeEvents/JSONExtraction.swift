// HOT
internal import CSimdJSON
internal import Core

/// A set of wanted paths, compiled by the shim.
final class JSONPlan: @unchecked Sendable {
    // SAFETY: the plan is only changed while its owner builds it and never after the first text is read with it.
    let pointer: OpaquePointer
    private(set) var slotCount = 0

    init?() {
        guard let pointer = ar_plan_create() else { return nil }
        self.pointer = pointer
    }

    deinit { ar_plan_destroy(pointer) }

    func want(_ path: [String], slot: Int) {
        JSONPlan.withNames(path) { ar_plan_add(pointer, $0, $1, $2, UInt32(slot)) }
        slotCount = max(slotCount, slot + 1)
    }

    /// Wants hash and member count of the object at a path.
    func wantRow(_ path: [String], slot: Int) {
        JSONPlan.withNames(path) { ar_plan_add_row(pointer, $0, $1, $2, UInt32(slot)) }
        slotCount = max(slotCount, slot + 1)
    }

    /// Leaves a member out of the hash of its object.
    func exclude(_ path: [String]) { JSONPlan.withNames(path) { ar_plan_exclude(pointer, $0, $1, $2) } }

    private static func withNames(
        _ path: [String],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int>?, Int) -> Void
    ) {
        let names = path.map { ContiguousArray($0.utf8.map { CChar(bitPattern: $0) } + [0]) }
        let lengths = path.map { $0.utf8.count }
        func open(_ index: Int, _ pointers: [UnsafePointer<CChar>?]) {
            guard index < names.count else {
                pointers.withUnsafeBufferPointer { pointers in
                    lengths.withUnsafeBufferPointer { body(pointers.baseAddress, $0.baseAddress, path.count) }
                }
                return
            }
            names[index].withUnsafeBufferPointer { open(index + 1, pointers + [$0.baseAddress]) }
        }
        open(0, [])
    }
}

/// What the parser says about a text that is no JSON or no object.
struct JSONFailure: Error {
    var reason: String
    var byteOffset: Int?
}

/// The shim's parser with the slots it extracts into.
final class JSONParser {
    // SAFETY: both pointers are owned by this object and used by the one task that owns the decoder.
    private let pointer: OpaquePointer
    let slots: UnsafeMutablePointer<SlotValue>
    /// Two images of the widest layout, what the format says, and the texts of JSON columns.
    private static let slotCapacity = 5 * ColumnLayout.columnsMax

    init?() {
        guard let pointer = ar_parser_create() else { return nil }
        self.pointer = pointer
        slots = .allocate(capacity: JSONParser.slotCapacity)
        slots.initialize(repeating: .missing, count: JSONParser.slotCapacity)
    }

    deinit {
        ar_parser_destroy(pointer)
        slots.deallocate()
    }

    /// Takes a text; 0 or an error code.
    func begin(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        guard let base = bytes.baseAddress else { return Int32(AR_ERROR_EMPTY) }
        return ar_parser_begin(pointer, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// Extracts the next object into ``slots``; texts go to the arena.
    func next(_ plan: JSONPlan, byteCount: Int, arena: RowArena) -> Int32 {
        precondition(plan.slotCount <= JSONParser.slotCapacity, "a layout bounds the slots of a plan")
        let target = arena.reserve(byteCount: ar_plan_arena_bytes(plan.pointer, byteCount))
        var used = 0
        let state = slots.withMemoryRebound(to: ar_slot.self, capacity: plan.slotCount) {
            ar_parser_next(
                pointer, plan.pointer, $0, target.assumingMemoryBound(to: UInt8.self), &used,
                UInt32(truncatingIfNeeded: arena.count))
        }
        if used > 0 { arena.commit(byteCount: used) }
        return state
    }

    /// Goes back to before the object that was read last.
    func back() { ar_parser_back(pointer) }

    /// The failure behind an error code, with the byte where it was noticed.
    func failure(_ code: Int32) -> JSONFailure {
        JSONFailure(reason: JSONParser.reason(code), byteOffset: Int(ar_parser_error_offset(pointer)))
    }

    private static func reason(_ code: Int32) -> String {
        switch Int(code) {
        case AR_ERROR_EMPTY: "the value holds no JSON"
        case AR_ERROR_UTF8: "invalid UTF-8"
        case AR_ERROR_UNCLOSED_STRING: "truncated JSON: a string has no end"
        case AR_ERROR_CONTROL_CHARACTER: "a control character in a JSON string"
        case AR_ERROR_NUMBER: "a number that JSON does not allow"
        case AR_ERROR_LITERAL: "a word that JSON does not allow (such as a bare NaN)"
        case AR_ERROR_ESCAPE: "an escape in a JSON string that is none, or a lone surrogate"
        case AR_ERROR_DEPTH: "JSON nested deeper than \(AR_DEPTH_MAX) levels"
        case AR_ERROR_TRUNCATED: "truncated JSON"
        case AR_ERROR_TRAILING: "unexpected text after the JSON value"
        case AR_ERROR_NO_OBJECT: "the JSON value is no object"
        case AR_ERROR_NUMBER_LENGTH: "a number of more than \(AR_NUMBER_LENGTH_MAX) characters"
        case AR_ERROR_MEMORY: "no memory for a value of this size"
        default: "invalid JSON"
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are those of a text.
    @inline(__always)
    func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        let other = UnsafeRawPointer(text.utf8Start)
        var index = 0
        while index < count {
            if self[index] != other.load(fromByteOffset: index, as: UInt8.self) { return false }
            index += 1
        }
        return true
    }
}

/// The stable hash behind row keys and images; stored in checkpoints.
enum StableHash {
    static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        guard let base = bytes.baseAddress else { return ar_hash(seed, nil, 0) }
        return ar_hash(seed, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }
}
