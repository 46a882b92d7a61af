// HOT
internal import Core

/// The row key of a row as one text: the columns' texts joined by `|`, with `|` and `\` in them escaped by `\`.
///
/// A single column is taken as it is. Numbers and times are written one way whatever the format, so that a row has the
/// same key in all of them.
enum RowKeyText {
    /// Writes the key of an image to the arena; nil where a column has no value.
    static func make(
        _ slots: UnsafePointer<SlotValue>, _ keySlots: [Int], _ arena: RowArena
    ) -> (offset: UInt32, count: UInt32)? {
        if keySlots.count == 1 {
            let slot = slots[keySlots[0]]
            if slot.kind == .string { return (slot.textOffset, UInt32(slot.bits)) }
        }
        var total = keySlots.count
        for index in keySlots {
            guard slots[index].hasValue else { return nil }
            total += max(slots[index].textCount, 64) * 2
        }
        var used = 0
        let target = arena.reserve(byteCount: total).assumingMemoryBound(to: UInt8.self)
        for (position, index) in keySlots.enumerated() {
            if position > 0 {
                target[used] = UInt8(ascii: "|")
                used += 1
            }
            let slot = slots[index]
            switch slot.kind {
            case .string, .int, .uint, .bytes:
                copy(slot.text(in: arena), target, &used, escaping: keySlots.count > 1)
            default:
                var text = part(slot, arena)
                guard text.utf8.count <= max(slot.textCount, 64) else { return nil }
                text.withUTF8 { copy(UnsafeRawBufferPointer($0), target, &used, escaping: keySlots.count > 1) }
            }
        }
        return (arena.commit(byteCount: used), UInt32(used))
    }

    private static func copy(
        _ text: UnsafeRawBufferPointer, _ target: UnsafeMutablePointer<UInt8>, _ used: inout Int, escaping: Bool
    ) {
        for byte in text {
            if escaping, byte == UInt8(ascii: "|") || byte == UInt8(ascii: "\\") {
                target[used] = UInt8(ascii: "\\")
                used += 1
            }
            target[used] = byte
            used += 1
        }
    }

    private static func part(_ slot: SlotValue, _ arena: RowArena) -> String {
        let text = slot.display(in: arena) ?? ""
        switch slot.kind {
        case .decimal, .double: return DecimalText.canonical(text) ?? text
        case .timestamp where slot.shortTextCount != 10: return slot.timestampValue.description
        default: return text
        }
    }
}
