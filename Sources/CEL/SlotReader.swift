internal import Core

/// Reads a slot as a value, under the rule of the third outcome.
internal enum SlotReader {
    /// The value of a column that is used; what is no value is an error.
    static func value(
        _ plan: SlotPlan, _ frame: EvaluationFrame
    ) throws(EvaluationError) -> Value {
        guard let base = frame.space(plan.slot.space) else {
            throw EvaluationError(.unknownValue(column: plan.column), at: plan.location)
        }
        let slot = base[Int(plan.slot.index)]
        switch slot.kind {
        case .missing: throw EvaluationError(.missing(column: plan.column), at: plan.location)
        case .null: throw EvaluationError(.nullValue(column: plan.column), at: plan.location)
        case .unknown: throw EvaluationError(.unknownValue(column: plan.column), at: plan.location)
        default: break
        }
        let value = raw(slot, plan, frame.arena)
        if case .double(let number)? = value, number.isNaN {
            throw EvaluationError(.notANumber(column: plan.column), at: plan.location)
        }
        guard let value else {
            let isNaN = plan.type.isNumeric && slot.display(in: frame.arena) == "NaN"
            throw EvaluationError(
                isNaN ? .notANumber(column: plan.column) : .wrongType(column: plan.column), at: plan.location)
        }
        return value
    }

    /// Whether the column has a value; an error when that is not known.
    static func presence(_ plan: SlotPlan, _ frame: EvaluationFrame) throws(EvaluationError) -> Bool {
        guard let base = frame.space(plan.slot.space), case let kind = base[Int(plan.slot.index)].kind, kind != .unknown
        else { throw EvaluationError(.unknownValue(column: plan.column), at: plan.location) }
        return kind != .missing && kind != .null
    }

    /// The value as its declared type; nil where it has another.
    static func raw(_ slot: SlotValue, _ plan: SlotPlan, _ arena: RowArena) -> Value? {
        switch plan.type {
        case .double:
            switch slot.kind {
            case .double, .decimal: return .double(slot.doubleValue)
            case .int: return .double(Double(slot.intValue))
            case .uint: return .double(Double(slot.bits))
            default: return nil
            }
        case .int:
            switch slot.kind {
            case .int: return .int(slot.intValue)
            case .uint: return .uint(slot.bits)
            case .double, .decimal: return Int64(exactly: slot.doubleValue).map { .int($0) }
            default: return nil
            }
        case .uint:
            switch slot.kind {
            case .int: return UInt64(exactly: slot.intValue).map { .uint($0) }
            case .uint: return .uint(slot.bits)
            case .double, .decimal: return UInt64(exactly: slot.doubleValue).map { .uint($0) }
            default: return nil
            }
        case .decimal: return decimal(slot, arena)
        case .bool: return slot.kind == .bool ? .bool(slot.boolValue) : nil
        case .string: return slot.kind == .string ? .string(text(slot, arena)) : nil
        case .timestamp:
            if slot.kind == .timestamp { return .timestamp(PreciseTime(slot.timestampValue)) }
            guard slot.kind == .string else { return nil }
            return Timestamp.parse(slot.text(in: arena)).map { .timestamp(PreciseTime($0)) }
        case .duration:
            return slot.kind == .string ? NumberText.parseDuration(text(slot, arena)).map { .duration($0) } : nil
        case .bytes: return slot.kind == .bytes || slot.kind == .string ? Base64.decode(text(slot, arena)) : nil
        case .list(let element):
            guard slot.kind == .list, let json = try? JSON.parse(text(slot, arena)) else { return nil }
            return JSONValues.value(json, as: .list(element))
        default: return dynamic(slot, plan, arena)
        }
    }

    private static func decimal(_ slot: SlotValue, _ arena: RowArena) -> Value? {
        switch slot.kind {
        case .decimal: .decimal(text(slot, arena))
        case .int, .uint: .decimal(slot.display(in: arena) ?? "0")
        case .double: slot.doubleValue.isNaN ? .double(.nan) : .decimal(slot.display(in: arena) ?? "0")
        default: nil
        }
    }

    private static func dynamic(_ slot: SlotValue, _ plan: SlotPlan, _ arena: RowArena) -> Value? {
        switch slot.kind {
        case .missing, .null, .unknown: return nil
        case .bool: return .bool(slot.boolValue)
        case .int: return plan.isExact ? .int(slot.intValue) : .double(Double(slot.intValue))
        case .uint: return plan.isExact ? .uint(slot.bits) : .double(Double(slot.bits))
        case .double: return .double(slot.doubleValue)
        case .decimal: return plan.isExact ? .decimal(text(slot, arena)) : .double(slot.doubleValue)
        case .string: return .string(text(slot, arena))
        case .bytes: return Base64.decode(text(slot, arena))
        case .timestamp: return .timestamp(PreciseTime(slot.timestampValue))
        case .list, .object:
            guard let json = try? JSON.parse(text(slot, arena)) else { return nil }
            return JSONValues.value(json, as: plan.type)
        }
    }

    private static func text(_ slot: SlotValue, _ arena: RowArena) -> String {
        String(decoding: slot.text(in: arena), as: UTF8.self)
    }
}

/// Values of JSON texts: every number is a double unless a declared type says otherwise.
internal enum JSONValues {
    static func value(_ json: JSON, as type: CELType) -> Value {
        switch json {
        case .null: return .null
        case .bool(let value): return .bool(value)
        case .number(let text):
            switch type {
            case .int: return Int64(text).map { .int($0) } ?? .double(Double(text) ?? .nan)
            case .uint: return UInt64(text).map { .uint($0) } ?? .double(Double(text) ?? .nan)
            case .decimal: return .decimal(text)
            default: return .double(Double(text) ?? .nan)
            }
        case .string(let text): return .string(text)
        case .array(let elements):
            var element = CELType.dyn
            if case .list(let declared) = type { element = declared }
            return .list(elements.map { value($0, as: element) })
        case .object(let members):
            var element = CELType.dyn
            if case .map(_, let declared) = type { element = declared }
            return .map(ValueMap(texts: members.map { ($0.name, value($0.value, as: element)) }))
        }
    }
}
