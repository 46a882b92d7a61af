// HOT
internal import CRE2
internal import Core
internal import Glibc

// SAFETY: the nodes, literals and RE2 handles belong to the program that is evaluated, the slots to the frame; both
// are kept by the caller until the evaluation returns, and are only read.

/// Evaluates a compact condition: no allocation, no reference counting, no existential.
internal struct FastEvaluation {
    static let isFalse: UInt8 = 0
    static let isTrue: UInt8 = 1
    /// No value; `problem` and `problemNode` say why.
    static let failed: UInt8 = 2

    let nodes: UnsafePointer<FastNode>
    let regexes: UnsafePointer<OpaquePointer>
    let spaces:
        (
            UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?, UnsafePointer<SlotValue>?
        )
    let arena: UnsafeRawPointer?
    let rejectsNaN: Bool
    var problem = FastProblem.none
    var problemNode: Int32 = 0
    var absorbed = 0

    @inline(__always)
    private func space(_ index: UInt8) -> UnsafePointer<SlotValue>? {
        switch index {
        case 0: spaces.0
        case 1: spaces.1
        case 2: spaces.2
        default: spaces.3
        }
    }

    @inline(__always)
    private mutating func fail(_ problem: FastProblem, _ node: Int32) -> UInt8 {
        self.problem = problem
        problemNode = node
        return FastEvaluation.failed
    }

    @inline(never)
    private mutating func failedValue(_ problem: FastProblem, _ node: Int32) -> FastValue {
        self.problem = problem
        problemNode = node
        return FastValue(tag: .problem)
    }

    // MARK: Conditions

    mutating func condition(_ index: Int32) -> UInt8 {
        let node = nodes + Int(index)
        switch node.pointee.operation {
        case .and: return chain(node.pointee.left, decisive: FastEvaluation.isFalse)
        case .or: return chain(node.pointee.left, decisive: FastEvaluation.isTrue)
        case .slotAgainstDouble: return slotAgainstDouble(node, index)
        case .slotAgainstInt: return slotAgainstInt(node, index)
        case .slotAgainstText: return slotAgainstText(node, index)
        case .compare: return compare(node, index)
        case .not:
            let result = condition(node.pointee.left)
            return result == FastEvaluation.failed ? result : result ^ 1
        case .conditional:
            let test = condition(node.pointee.left)
            if test == FastEvaluation.failed { return test }
            return condition(test == FastEvaluation.isTrue ? node.pointee.right : node.pointee.third)
        case .hasSlot, .slotIsNull: return presence(node, index)
        case .inList: return membership(node, index)
        case .startsWith, .endsWith, .contains, .matches: return text(node, index)
        default:
            let result = value(index)
            if result.tag == .bool { return UInt8(truncatingIfNeeded: result.bits) }
            return result.tag == .problem ? FastEvaluation.failed : fail(.noSuchOverload, index)
        }
    }

    /// `&&` ends at a false term, `||` at a true one, whatever went wrong in others.
    private mutating func chain(_ first: Int32, decisive: UInt8) -> UInt8 {
        var term = first
        var failures = 0
        var firstProblem = FastProblem.none
        var firstNode: Int32 = 0
        while term >= 0 {
            let result = condition(term)
            if result == decisive {
                absorbed &+= failures
                return decisive
            }
            if result == FastEvaluation.failed {
                if failures == 0 {
                    firstProblem = problem
                    firstNode = problemNode
                }
                failures &+= 1
            }
            term = nodes[Int(term)].next
        }
        return failures == 0 ? decisive ^ 1 : fail(firstProblem, firstNode)
    }

    @inline(__always)
    private static func outcome(_ order: UInt8, _ relation: UInt8) -> UInt8 { order & relation != 0 ? 1 : 0 }

    @inline(__always)
    private static func order(_ left: Double, _ right: Double) -> UInt8 {
        left < right
            ? FastOrder.less
            : left > right
                ? FastOrder.greater
                : left == right ? FastOrder.equal : FastOrder.unordered
    }

    @inline(__always)
    private static func order<Number: Comparable>(_ left: Number, _ right: Number) -> UInt8 {
        left < right ? FastOrder.less : left > right ? FastOrder.greater : FastOrder.equal
    }

    private mutating func slotAgainstDouble(_ node: UnsafePointer<FastNode>, _ index: Int32) -> UInt8 {
        if let base = space(node.pointee.space) {
            let slot = base + Int(node.pointee.slot)
            if slot.pointee.kind == .double, node.pointee.mode.rawValue <= FastNode.Mode.double.rawValue {
                let number = Double(bitPattern: slot.pointee.bits)
                if number.isNaN { return fail(.notANumber, node.pointee.left) }
                return FastEvaluation.outcome(
                    FastEvaluation.order(number, node.pointee.value.double), node.pointee.relation)
            }
        }
        return compare(node, index)
    }

    private mutating func slotAgainstInt(_ node: UnsafePointer<FastNode>, _ index: Int32) -> UInt8 {
        if let base = space(node.pointee.space) {
            let slot = base + Int(node.pointee.slot)
            if slot.pointee.kind == .int,
                node.pointee.mode == .int || node.pointee.mode == .exact || node.pointee.mode == .double
            {
                return FastEvaluation.outcome(
                    FastEvaluation.order(Int64(bitPattern: slot.pointee.bits), node.pointee.value.int),
                    node.pointee.relation)
            }
        }
        return compare(node, index)
    }

    private mutating func slotAgainstText(_ node: UnsafePointer<FastNode>, _ index: Int32) -> UInt8 {
        if let base = space(node.pointee.space), let arena {
            let slot = base + Int(node.pointee.slot)
            if slot.pointee.kind == .string,
                node.pointee.mode == .string || node.pointee.mode == .exact
            {
                let count = Int(truncatingIfNeeded: slot.pointee.bits)
                let isEqual =
                    count == Int(node.pointee.value.count)
                    && FastEvaluation.sameBytes(
                        arena + Int(slot.pointee.textOffset), node.pointee.value.text, count)
                return FastEvaluation.outcome(isEqual ? FastOrder.equal : FastOrder.less, node.pointee.relation)
            }
        }
        return compare(node, index)
    }

    @inline(__always)
    private static func sameBytes(_ left: UnsafeRawPointer?, _ right: UnsafeRawPointer?, _ count: Int) -> Bool {
        guard count > 0, let left, let right else { return count == 0 }
        return memcmp(left, right, count) == 0
    }

    private mutating func compare(_ node: UnsafePointer<FastNode>, _ index: Int32) -> UInt8 {
        let left = value(node.pointee.left)
        if left.tag == .problem { return FastEvaluation.failed }
        let right = value(node.pointee.right)
        if right.tag == .problem { return FastEvaluation.failed }
        // A mirrored slot comparison stands with the slot on the left, its relation mirrored with it.
        let order = FastEvaluation.order(left, right)
        if order == FastOrder.incomparable {
            if isNaNText(left, right, node.pointee.left) { return fail(.notANumber, node.pointee.left) }
            if isNaNText(right, left, node.pointee.right) { return fail(.notANumber, node.pointee.right) }
            let isEquality =
                node.pointee.relation == FastOrder.equal || node.pointee.relation & FastOrder.incomparable != 0
            if !isEquality { return fail(.noSuchOverload, index) }
        }
        return FastEvaluation.outcome(order, node.pointee.relation)
    }

    /// Whether a column holds the text that stands for NaN in JSON, and a number is compared with it.
    private func isNaNText(_ value: FastValue, _ other: FastValue, _ index: Int32) -> Bool {
        nodes[Int(index)].operation == .slot && FastEvaluation.isNaNText(value, other)
    }

    @inline(__always)
    private static func isNaNText(_ value: FastValue, _ other: FastValue) -> Bool {
        guard value.tag == .string, other.isNumber, value.count == 3, let text = value.text else { return false }
        return text.load(fromByteOffset: 0, as: UInt8.self) == UInt8(ascii: "N")
            && text.load(fromByteOffset: 1, as: UInt8.self) == UInt8(ascii: "a")
            && text.load(fromByteOffset: 2, as: UInt8.self) == UInt8(ascii: "N")
    }

    static func order(_ left: FastValue, _ right: FastValue) -> UInt8 {
        if left.tag == right.tag {
            switch left.tag {
            case .double: return order(left.double, right.double)
            case .int, .duration: return order(left.int, right.int)
            case .uint, .bool: return order(left.bits, right.bits)
            case .string: return textOrder(left, right)
            case .timestamp:
                return left.bits == right.bits ? order(left.count, right.count) : order(left.int, right.int)
            case .decimal: return decimalOrder(left, right)
            case .other, .problem: return FastOrder.incomparable
            }
        }
        guard left.isNumber, right.isNumber else { return FastOrder.incomparable }
        if left.tag == .decimal || right.tag == .decimal { return decimalOrder(left, right) }
        if left.tag == .double || right.tag == .double { return order(left.approximate, right.approximate) }
        // A signed and an unsigned integer.
        if left.tag == .int { return left.int < 0 ? FastOrder.less : order(left.bits, right.bits) }
        return right.int < 0 ? FastOrder.greater : order(left.bits, right.bits)
    }

    private static func textOrder(_ left: FastValue, _ right: FastValue) -> UInt8 {
        let common = Int(min(left.count, right.count))
        if common > 0, let first = left.text, let second = right.text {
            let result = memcmp(first, second, common)
            if result != 0 { return result < 0 ? FastOrder.less : FastOrder.greater }
        }
        return order(left.count, right.count)
    }

    /// Rounding to the nearest double keeps the order, so only equal ones need their digits compared.
    private static func decimalOrder(_ left: FastValue, _ right: FastValue) -> UInt8 {
        let rough = order(left.approximate, right.approximate)
        if rough != FastOrder.equal { return rough }
        guard left.text != nil, left.count > 0, right.text != nil, right.count > 0 else { return rough }
        guard let exact = DecimalSpan.compare(left.bytes, right.bytes) else { return rough }
        return exact == 0 ? FastOrder.equal : exact < 0 ? FastOrder.less : FastOrder.greater
    }

    private mutating func presence(_ node: UnsafePointer<FastNode>, _ index: Int32) -> UInt8 {
        guard let base = space(node.pointee.space) else { return fail(.unknownValue, index) }
        let kind = base[Int(node.pointee.slot)].kind
        if kind == .unknown { return fail(.unknownValue, index) }
        let hasValue: UInt8 = kind == .missing || kind == .null ? 0 : 1
        if node.pointee.operation == .hasSlot { return hasValue }
        return node.pointee.relation == 1 ? hasValue ^ 1 : hasValue
    }

    private mutating func membership(_ node: UnsafePointer<FastNode>, _ index: Int32) -> UInt8 {
        let wanted = value(node.pointee.left)
        if wanted.tag == .problem { return FastEvaluation.failed }
        for offset in 0..<node.pointee.third {
            let candidate = nodes[Int(node.pointee.right + offset)].value
            let order = FastEvaluation.order(wanted, candidate)
            if order == FastOrder.equal { return FastEvaluation.isTrue }
            if order == FastOrder.incomparable, isNaNText(wanted, candidate, node.pointee.left) {
                return fail(.notANumber, node.pointee.left)
            }
        }
        return FastEvaluation.isFalse
    }

    private mutating func text(_ node: UnsafePointer<FastNode>, _ index: Int32) -> UInt8 {
        let whole = value(node.pointee.left)
        if whole.tag == .problem { return FastEvaluation.failed }
        guard whole.tag == .string else { return fail(.noSuchOverload, index) }
        if node.pointee.operation == .matches {
            return Regex.matches(regexes[Int(node.pointee.right)], whole.bytes) ? 1 : 0
        }
        let part = value(node.pointee.right)
        if part.tag == .problem { return FastEvaluation.failed }
        guard part.tag == .string else { return fail(.noSuchOverload, index) }
        guard part.count <= whole.count else { return FastEvaluation.isFalse }
        switch node.pointee.operation {
        case .startsWith: return FastEvaluation.sameBytes(whole.text, part.text, Int(part.count)) ? 1 : 0
        case .endsWith:
            let start = whole.text.map { $0 + Int(whole.count - part.count) }
            return FastEvaluation.sameBytes(start, part.text, Int(part.count)) ? 1 : 0
        default: return ByteSearch.contains(whole.bytes, part.bytes) ? 1 : 0
        }
    }

    // MARK: Values

    mutating func value(_ index: Int32) -> FastValue {
        let node = nodes + Int(index)
        switch node.pointee.operation {
        case .constant: return node.pointee.value
        case .slot: return load(node, index)
        case .slotOr:
            guard let base = space(node.pointee.space) else { return failedValue(.unknownValue, index) }
            let kind = base[Int(node.pointee.slot)].kind
            return kind == .missing || kind == .null ? value(node.pointee.right) : load(node, index)
        case .add, .subtract, .multiply, .divide, .modulo:
            let left = value(node.pointee.left)
            if left.tag == .problem { return left }
            let right = value(node.pointee.right)
            if right.tag == .problem { return right }
            return arithmetic(node.pointee.operation, left, right, index)
        case .conditional:
            let test = condition(node.pointee.left)
            if test == FastEvaluation.failed { return FastValue(tag: .problem) }
            return value(test == FastEvaluation.isTrue ? node.pointee.right : node.pointee.third)
        case .negate, .toDouble, .size, .absolute, .floor, .ceiling, .round:
            let operand = value(node.pointee.left)
            return operand.tag == .problem ? operand : unary(node.pointee.operation, operand, index)
        default:
            let result = condition(index)
            return result == FastEvaluation.failed ? FastValue(tag: .problem) : .bool(result == FastEvaluation.isTrue)
        }
    }

    private mutating func load(_ node: UnsafePointer<FastNode>, _ index: Int32) -> FastValue {
        guard let base = space(node.pointee.space) else { return failedValue(.unknownValue, index) }
        let slot = base[Int(node.pointee.slot)]
        switch slot.kind {
        case .missing: return failedValue(.missing, index)
        case .null: return failedValue(.nullValue, index)
        case .unknown: return failedValue(.unknownValue, index)
        case .double, .decimal:
            if slot.doubleValue.isNaN { return failedValue(.notANumber, index) }
            return number(slot, node.pointee.mode, index)
        case .int, .uint: return number(slot, node.pointee.mode, index)
        case .bool where node.pointee.mode.rawValue <= 1 || node.pointee.mode == .bool: return .bool(slot.boolValue)
        case .timestamp where node.pointee.mode.rawValue <= 1 || node.pointee.mode == .timestamp:
            return FastEvaluation.time(slot.timestampValue)
        case .string: return string(slot, node.pointee.mode, index)
        case .list where node.pointee.mode.rawValue <= 1, .object where node.pointee.mode.rawValue <= 1:
            return FastValue(tag: .other)
        default: return failedValue(.wrongType, index)
        }
    }

    private static func time(_ timestamp: Timestamp) -> FastValue {
        let time = PreciseTime(timestamp)
        return FastValue(tag: .timestamp, count: UInt32(time.nanoseconds), bits: UInt64(bitPattern: time.seconds))
    }

    private mutating func number(_ slot: SlotValue, _ mode: FastNode.Mode, _ index: Int32) -> FastValue {
        let double =
            slot.kind == .int ? Double(slot.intValue) : slot.kind == .uint ? Double(slot.bits) : slot.doubleValue
        switch mode {
        case .double, .inexact: return .double(double)
        case .exact, .decimal:
            var value = FastValue(tag: .double, count: UInt32(slot.shortTextCount), bits: slot.bits)
            value.tag =
                slot.kind == .int ? .int : slot.kind == .uint ? .uint : slot.kind == .decimal ? .decimal : .double
            if slot.shortTextCount > 0 { value.text = arena.map { $0 + Int(slot.textOffset) } }
            if mode == .decimal, value.tag == .double { value.tag = value.text == nil ? .double : .decimal }
            return value
        case .int, .uint:
            if slot.kind == .int, mode == .int || slot.intValue >= 0 {
                return FastValue(tag: mode == .int ? .int : .uint, bits: slot.bits)
            }
            if slot.kind == .uint { return FastValue(tag: .uint, bits: slot.bits) }
            if slot.kind == .int { return failedValue(.wrongType, index) }
            if mode == .int, let whole = Int64(exactly: double) { return .int(whole) }
            if mode == .uint, let whole = UInt64(exactly: double) { return FastValue(tag: .uint, bits: whole) }
            return failedValue(.wrongType, index)
        default: return failedValue(.wrongType, index)
        }
    }

    private mutating func string(_ slot: SlotValue, _ mode: FastNode.Mode, _ index: Int32) -> FastValue {
        guard let arena else { return failedValue(.wrongType, index) }
        let bytes = UnsafeRawBufferPointer(
            start: arena + Int(slot.textOffset), count: Int(truncatingIfNeeded: slot.bits))
        switch mode {
        case .exact, .inexact, .string:
            return FastValue(tag: .string, count: UInt32(truncatingIfNeeded: slot.bits), text: bytes.baseAddress)
        case .timestamp:
            guard let time = Timestamp.parse(bytes) else { return failedValue(.wrongType, index) }
            return FastEvaluation.time(time)
        case .bool: return failedValue(.wrongType, index)
        default:
            let text = FastValue(tag: .string, count: UInt32(truncatingIfNeeded: slot.bits), text: bytes.baseAddress)
            return failedValue(FastEvaluation.isNaNText(text, .int(0)) ? .notANumber : .wrongType, index)
        }
    }

    // MARK: Arithmetic

    private mutating func arithmetic(
        _ operation: FastNode.Operation, _ left: FastValue, _ right: FastValue, _ index: Int32
    ) -> FastValue {
        switch (left.tag, right.tag) {
        case (.double, .double):
            let result: Double
            switch operation {
            case .add: result = left.double + right.double
            case .subtract: result = left.double - right.double
            case .multiply: result = left.double * right.double
            case .divide: result = left.double / right.double
            default: return failedValue(.noSuchOverload, index)
            }
            if rejectsNaN, result.isNaN { return failedValue(.notANumber, index) }
            return .double(result)
        case (.int, .int): return integer(operation, left.int, right.int, .int, index)
        case (.uint, .uint): return integer(operation, left.bits, right.bits, .uint, index)
        case (.duration, .duration) where operation == .add || operation == .subtract:
            return integer(operation, left.int, right.int, .duration, index)
        default: return times(operation, left, right, index)
        }
    }

    @inline(__always)
    private mutating func integer<Number: FixedWidthInteger>(
        _ operation: FastNode.Operation, _ left: Number, _ right: Number, _ tag: FastValue.Tag, _ index: Int32
    ) -> FastValue {
        let (result, overflow): (Number, Bool)
        switch operation {
        case .add: (result, overflow) = left.addingReportingOverflow(right)
        case .subtract: (result, overflow) = left.subtractingReportingOverflow(right)
        case .multiply: (result, overflow) = left.multipliedReportingOverflow(by: right)
        default:
            if right == 0 { return failedValue(.divideByZero, index) }
            (result, overflow) =
                operation == .divide
                ? left.dividedReportingOverflow(by: right) : left.remainderReportingOverflow(dividingBy: right)
        }
        if overflow { return failedValue(.overflow, index) }
        return FastValue(tag: tag, bits: UInt64(truncatingIfNeeded: result))
    }

    private mutating func times(
        _ operation: FastNode.Operation, _ left: FastValue, _ right: FastValue, _ index: Int32
    ) -> FastValue {
        func precise(_ value: FastValue) -> PreciseTime? {
            PreciseTime(seconds: value.int, nanoseconds: Int32(truncatingIfNeeded: value.count))
        }
        let sum: PreciseTime?
        switch (operation, left.tag, right.tag) {
        case (.add, .timestamp, .duration): sum = precise(left)?.adding(nanoseconds: right.int)
        case (.add, .duration, .timestamp): sum = precise(right)?.adding(nanoseconds: left.int)
        case (.subtract, .timestamp, .duration):
            sum = right.int == .min ? nil : precise(left)?.adding(nanoseconds: -right.int)
        case (.subtract, .timestamp, .timestamp):
            guard let first = precise(left), let second = precise(right),
                let difference = first.nanoseconds(since: second)
            else { return failedValue(.overflow, index) }
            return FastValue(tag: .duration, bits: UInt64(bitPattern: difference))
        default: return failedValue(.noSuchOverload, index)
        }
        guard let sum else { return failedValue(.overflow, index) }
        return FastValue(tag: .timestamp, count: UInt32(sum.nanoseconds), bits: UInt64(bitPattern: sum.seconds))
    }

    private mutating func unary(_ operation: FastNode.Operation, _ operand: FastValue, _ index: Int32) -> FastValue {
        switch (operation, operand.tag) {
        case (.size, .string):
            var count: Int64 = 0
            for byte in operand.bytes where byte & 0xC0 != 0x80 { count &+= 1 }
            return .int(count)
        case (.toDouble, .double), (.toDouble, .int), (.toDouble, .uint): return .double(operand.approximate)
        case (.negate, .double): return .double(-operand.double)
        case (.absolute, .double): return .double(operand.double.magnitude)
        case (.floor, .double): return .double(operand.double.rounded(.down))
        case (.ceiling, .double): return .double(operand.double.rounded(.up))
        case (.round, .double): return .double(operand.double.rounded(.toNearestOrAwayFromZero))
        case (.negate, .int), (.negate, .duration), (.absolute, .int):
            if operation == .absolute, operand.int >= 0 { return operand }
            if operand.int == .min { return failedValue(.overflow, index) }
            return FastValue(tag: operand.tag, bits: UInt64(bitPattern: -operand.int))
        case (.floor, .int), (.ceiling, .int), (.round, .int), (.floor, .uint), (.ceiling, .uint), (.round, .uint),
            (.absolute, .uint):
            return operand
        default: return failedValue(.noSuchOverload, index)
        }
    }
}
