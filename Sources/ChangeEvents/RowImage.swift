// HOT
internal import CSimdJSON
internal import Core

/// How one column's JSON value becomes the value of its declared type.
struct ColumnRule: Sendable {
    enum Action: UInt8, Sendable {
        case none, bool, int, double, decimal, decimalText, decimalBase64, bytes, timestamp, date, object
    }
    var action: Action
    /// Whether a row without the column has null there.
    var isDeclared: Bool
    /// Scale of a base64 decimal.
    var scale: Int32 = 0
    var unit = ColumnType.TimeUnit.detect

    init(type: ColumnType?, isDeclared: Bool) {
        self.isDeclared = isDeclared
        switch type {
        case nil, .string, .list: action = .none
        case .bool: action = .bool
        case .int: action = .int
        case .double: action = .double
        case .decimal(.plain): action = .decimal
        case .decimal(.text): action = .decimalText
        case .decimal(.base64(let scale)):
            action = .decimalBase64
            self.scale = Int32(clamping: scale)
        case .bytes: action = .bytes
        case .timestamp(let unit):
            action = .timestamp
            self.unit = unit
        case .date: action = .date
        case .object: action = .object
        }
    }
}

/// What the format says about the values of a row.
struct RowConventions: Sendable {
    /// Null fields are left out, so a missing declared column is null.
    var missingIsNull: Bool
    /// Debezium's encodings: unavailable values, and strings that may be base64 decimals.
    var isDebezium: Bool
}

/// Turns extracted JSON values into values of the declared types, in place.
struct RowConverter {
    let arena: RowArena

    func convert(
        _ slots: UnsafeMutablePointer<SlotValue>, _ rules: ContiguousArray<ColumnRule>, _ conventions: RowConventions
    ) {
        for index in rules.indices {
            let rule = rules[index]
            switch slots[index].kind {
            case .missing:
                if conventions.missingIsNull, rule.isDeclared { slots[index] = .null }
            case .null:
                continue
            default:
                if conventions.isDebezium, isUnavailable(slots[index]) {
                    slots[index] = .unknown
                } else if rule.action != .none {
                    convert(&slots[index], rule, isDebezium: conventions.isDebezium)
                }
            }
        }
    }

    private func convert(_ slot: inout SlotValue, _ rule: ColumnRule, isDebezium: Bool) {
        switch rule.action {
        case .none: break
        case .bool: convertBool(&slot)
        case .int, .double:
            if slot.kind == .string { _ = convertNumberText(&slot, digitsAreNumber: !isDebezium) }
        case .decimal: convertDecimal(&slot, digitsAreNumber: !isDebezium, scale: nil)
        case .decimalText: convertDecimal(&slot, digitsAreNumber: true, scale: nil)
        case .decimalBase64: convertDecimal(&slot, digitsAreNumber: false, scale: Int(rule.scale))
        case .bytes:
            if slot.kind == .string { slot.kind = .bytes }
        case .timestamp: convertTimestamp(&slot, rule.unit)
        case .date: convertDate(&slot)
        case .object:
            guard slot.kind == .string, let first = slot.text(in: arena).first else { return }
            if first == UInt8(ascii: "{") { slot.kind = .object }
            if first == UInt8(ascii: "[") { slot.kind = .list }
        }
    }

    private func convertBool(_ slot: inout SlotValue) {
        switch slot.kind {
        case .int where slot.bits <= 1: slot = .bool(slot.bits == 1)
        case .string:
            let text = slot.text(in: arena)
            if text.equals("true") { slot = .bool(true) }
            if text.equals("false") { slot = .bool(false) }
        default: break
        }
    }

    /// A string in a numeric column: `NaN` and infinities as Spark writes them, or a number as text.
    ///
    /// Digits alone may be the base64 of something else; they count as a number only where the source writes none.
    private func convertNumberText(_ slot: inout SlotValue, digitsAreNumber: Bool) -> Bool {
        let text = slot.text(in: arena)
        guard let first = text.first, text.count <= Int(AR_NUMBER_LENGTH_MAX) else { return false }
        let special: Double? =
            switch first {
            case UInt8(ascii: "N") where text.equals("NaN"): .nan
            case UInt8(ascii: "I") where text.equals("Infinity"): .infinity
            case UInt8(ascii: "-") where text.equals("-Infinity"): -.infinity
            default: nil
            }
        if let special {
            slot = SlotValue(
                kind: .double, shortTextCount: UInt16(text.count), textOffset: slot.textOffset,
                bits: special.bitPattern)
            return true
        }
        guard digitsAreNumber || first == UInt8(ascii: "-") || text.contains(UInt8(ascii: ".")) else { return false }
        var value = ar_slot()
        guard let base = text.baseAddress, ar_number(base.assumingMemoryBound(to: UInt8.self), text.count, &value) == 1,
            let kind = SlotValue.Kind(rawValue: value.kind)
        else { return false }
        slot = SlotValue(
            kind: kind, shortTextCount: UInt16(text.count), textOffset: slot.textOffset, bits: value.bits)
        return true
    }

    private func convertDecimal(_ slot: inout SlotValue, digitsAreNumber: Bool, scale: Int?) {
        if slot.kind == .string, !convertNumberText(&slot, digitsAreNumber: digitsAreNumber), let scale {
            let text = slot.text(in: arena)
            if let decoded = TwosComplement.decimal(base64: text, scale: scale) { setDecimal(&slot, decoded) }
            return
        }
        switch slot.kind {
        case .int: slot = decimal(slot, Double(slot.intValue))
        case .uint: slot = decimal(slot, Double(slot.bits))
        case .double where slot.doubleValue.isFinite: slot = decimal(slot, slot.doubleValue)
        case .object:
            if let decoded = TwosComplement.decimal(variableScale: slot.text(in: arena)) { setDecimal(&slot, decoded) }
        default: break
        }
    }

    private func decimal(_ slot: SlotValue, _ nearest: Double) -> SlotValue {
        SlotValue(
            kind: .decimal, shortTextCount: slot.shortTextCount, textOffset: slot.textOffset,
            bits: nearest.bitPattern)
    }

    private func setDecimal(_ slot: inout SlotValue, _ text: String) {
        slot = SlotValue(
            kind: .decimal, shortTextCount: UInt16(clamping: text.utf8.count), textOffset: append(text),
            bits: (Double(text) ?? .nan).bitPattern)
    }

    private func append(_ text: String) -> UInt32 {
        var copy = text
        return copy.withUTF8 { arena.append(UnsafeRawBufferPointer($0)) }
    }

    private func convertTimestamp(_ slot: inout SlotValue, _ unit: ColumnType.TimeUnit) {
        switch slot.kind {
        case .string:
            let text = slot.text(in: arena)
            guard text.count <= Int(UInt16.max), let time = Timestamp.parse(text) else { return }
            slot = SlotValue(
                kind: .timestamp, shortTextCount: UInt16(text.count), textOffset: slot.textOffset,
                bits: UInt64(bitPattern: time.milliseconds))
        case .int:
            let time = RowConverter.time(slot.intValue, unit)
            let text = time.description
            slot = SlotValue(
                kind: .timestamp, shortTextCount: UInt16(clamping: text.utf8.count), textOffset: append(text),
                bits: UInt64(bitPattern: time.milliseconds))
        default: break
        }
    }

    private func convertDate(_ slot: inout SlotValue) {
        switch slot.kind {
        case .string:
            // Debezium's isostring writes `2024-02-29Z`.
            let text = UnsafeRawBufferPointer(rebasing: slot.text(in: arena).prefix(10))
            guard text.count == 10, let time = Timestamp.parse(text) else { return }
            slot = SlotValue(
                kind: .timestamp, shortTextCount: 10, textOffset: slot.textOffset,
                bits: UInt64(bitPattern: time.milliseconds))
        case .int where abs(slot.intValue) <= 4_000_000:
            let time = Timestamp(milliseconds: slot.intValue * 86_400_000)
            let text = String(time.description.prefix { $0 != "T" })
            slot = SlotValue(
                kind: .timestamp, shortTextCount: UInt16(clamping: text.utf8.count), textOffset: append(text),
                bits: UInt64(bitPattern: time.milliseconds))
        default: break
        }
    }

    /// A time given as a number; without a unit its magnitude tells it.
    static func time(_ value: Int64, _ unit: ColumnType.TimeUnit) -> Timestamp {
        func floored(_ divisor: Int64) -> Int64 {
            let quotient = value / divisor
            return value % divisor < 0 ? quotient - 1 : quotient
        }
        switch unit {
        case .seconds:
            let (product, overflow) = value.multipliedReportingOverflow(by: 1000)
            return overflow ? (value < 0 ? .distantPast : .distantFuture) : Timestamp(milliseconds: product)
        case .milliseconds: return Timestamp(milliseconds: value)
        case .microseconds: return Timestamp(milliseconds: floored(1000))
        case .nanoseconds: return Timestamp(milliseconds: floored(1_000_000))
        case .detect:
            switch value.magnitude {
            case ..<100_000_000_000: return time(value, .seconds)
            case ..<100_000_000_000_000: return time(value, .milliseconds)
            case ..<100_000_000_000_000_000: return time(value, .microseconds)
            default: return time(value, .nanoseconds)
            }
        }
    }

    /// Debezium's placeholder for a value it was not sent, as text, base64 and list.
    private func isUnavailable(_ slot: SlotValue) -> Bool {
        switch (slot.kind, slot.textCount) {
        case (.string, 28): slot.text(in: arena).equals("__debezium_unavailable_value")
        case (.string, 40): slot.text(in: arena).equals("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==")
        case (.list, 32): slot.text(in: arena).equals("[\"__debezium_unavailable_value\"]")
        default: false
        }
    }
}

/// Decimals as Kafka Connect sends them: base64 of the big-endian two's complement of the unscaled value.
enum TwosComplement {
    /// Most bytes of an unscaled value; 38 digits take 16.
    static let bytesMax = 128

    static func decimal(base64 text: UnsafeRawBufferPointer, scale: Int) -> String? {
        guard let bytes = decode(text), !bytes.isEmpty, bytes.count <= bytesMax else { return nil }
        return decimal(bytes, scale: scale)
    }

    /// Debezium's `{"scale":2,"value":"BNI="}`.
    static func decimal(variableScale text: UnsafeRawBufferPointer) -> String? {
        guard text.count <= 512, let object = try? JSON.parse(text), let scale = object["scale"]?.intValue,
            (0...1000).contains(scale), var value = object["value"]?.stringValue
        else { return nil }
        return value.withUTF8 { decimal(base64: UnsafeRawBufferPointer($0), scale: Int(scale)) }
    }

    static func decimal(_ bytes: [UInt8], scale: Int) -> String {
        var magnitude = bytes
        let isNegative = (bytes.first ?? 0) >= 0x80
        if isNegative {
            var carry = true
            for index in magnitude.indices.reversed() {
                magnitude[index] = ~magnitude[index]
                if carry { (magnitude[index], carry) = magnitude[index].addingReportingOverflow(1) }
            }
        }
        var digits: [UInt8] = []
        while let first = magnitude.firstIndex(where: { $0 != 0 }) {
            var rest = 0
            for index in first..<magnitude.count {
                rest = rest << 8 | Int(magnitude[index])
                magnitude[index] = UInt8(rest / 10)
                rest %= 10
            }
            digits.append(UInt8(rest) + 48)
        }
        while digits.count <= scale { digits.append(48) }
        var text = isNegative ? "-" : ""
        let whole = digits.count - scale
        text += String(decoding: digits.reversed().prefix(whole), as: UTF8.self)
        if scale > 0 { text += "." + String(decoding: digits.reversed().dropFirst(whole), as: UTF8.self) }
        return text
    }

    static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        var word: UInt32 = 0
        var count = 0
        var padding = 0
        for byte in text {
            let value: UInt32
            switch byte {
            case 65...90: value = UInt32(byte) - 65
            case 97...122: value = UInt32(byte) - 71
            case 48...57: value = UInt32(byte) + 4
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            case UInt8(ascii: "="):
                padding += 1
                value = 0
            default: return nil
            }
            guard padding == 0 || byte == UInt8(ascii: "=") else { return nil }
            word = word << 6 | value
            count += 1
            if count == 4 {
                bytes += [UInt8(word >> 16 & 255), UInt8(word >> 8 & 255), UInt8(word & 255)]
                (word, count) = (0, 0)
            }
        }
        guard padding <= 2 else { return nil }
        bytes.removeLast(padding)
        return bytes
    }
}
