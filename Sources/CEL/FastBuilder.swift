internal import Core

/// Compiles the part of plans that needs no full values; nil where a plan needs them.
internal struct FastBuilder {
    var nodes: [FastNode] = []
    var sites: [(location: Location, column: String)] = []
    var texts: [UInt8] = []
    var textOffsets: [(node: Int, offset: Int)] = []
    var regexes: [Regex] = []
    var usesTexts = false

    static func build(_ plan: Plan) -> FastProgram? {
        var builder = FastBuilder()
        guard let root = builder.condition(plan) else { return nil }
        return FastProgram(builder, root: root)
    }

    private mutating func add(_ node: FastNode, _ location: Location, column: String = "") -> Int32 {
        nodes.append(node)
        sites.append((location, column))
        return Int32(nodes.count - 1)
    }

    // MARK: Conditions

    private mutating func condition(_ plan: Plan) -> Int32? {
        switch plan {
        case .constant(.bool): return value(plan)
        case .slot(let slot): return slot.type == .bool || slot.type == .dyn ? value(plan) : nil
        case .slotPresence(let slot): return slotTest(.hasSlot, slot, relation: 0)
        case .slotIsNull(let slot, let isEqual): return slotTest(.slotIsNull, slot, relation: isEqual ? 1 : 0)
        case .not(let operand, let location):
            guard let operand = condition(operand) else { return nil }
            return add(FastNode(operation: .not, left: operand), location)
        case .logical(let isAnd, let terms, let location): return chain(isAnd, terms, location)
        case .conditional(let test, let whenTrue, let whenFalse, let location):
            guard let test = condition(test), let first = condition(whenTrue), let second = condition(whenFalse) else {
                return nil
            }
            return add(FastNode(operation: .conditional, left: test, right: first, third: second), location)
        case .equality(let isEqual, let left, let right, let location):
            return comparison(isEqual ? .equal : .notEqual, left, right, location)
        case .ordering(let operation, let left, let right, let location):
            return comparison(operation, left, right, location)
        case .membership(let element, .constant(.list(let elements)), let location):
            return membership(element, elements, location)
        case .matches(let text, let regex, let location):
            guard let text = textOperand(text) else { return nil }
            regexes.append(regex)
            return add(FastNode(operation: .matches, left: text, right: Int32(regexes.count - 1)), location)
        case .call(let function, let arguments, let location): return textTest(function.name, arguments, location)
        default: return nil
        }
    }

    private mutating func chain(_ isAnd: Bool, _ terms: [Plan], _ location: Location) -> Int32? {
        var built: [Int32] = []
        for term in terms {
            guard let term = condition(term) else { return nil }
            built.append(term)
        }
        for (term, following) in zip(built, built.dropFirst()) { nodes[Int(term)].next = following }
        return add(FastNode(operation: isAnd ? .and : .or, left: built[0]), location)
    }

    private mutating func slotTest(_ operation: FastNode.Operation, _ slot: SlotPlan, relation: UInt8) -> Int32 {
        add(
            FastNode(operation: operation, relation: relation, space: slot.slot.space, slot: slot.slot.index),
            slot.location, column: slot.column)
    }

    private mutating func comparison(
        _ operation: Operator, _ left: Plan, _ right: Plan, _ location: Location
    ) -> Int32? {
        guard let first = value(left), let second = value(right) else { return nil }
        let relation = FastOrder.relation(operation)
        // A slot against a literal is what rules are made of: one node that reads, tests and compares.
        for (slot, literal, isSwapped) in [(first, second, false), (second, first, true)] {
            guard nodes[Int(slot)].operation == .slot, nodes[Int(literal)].operation == .constant else { continue }
            let kind: FastNode.Operation
            switch nodes[Int(literal)].value.tag {
            case .double: kind = .slotAgainstDouble
            case .int: kind = .slotAgainstInt
            case .string where operation == .equal || operation == .notEqual: kind = .slotAgainstText
            default: continue
            }
            var node = nodes[Int(slot)]
            node.operation = kind
            node.relation = isSwapped ? FastBuilder.mirrored(relation) : relation
            node.left = slot
            node.right = literal
            node.value = nodes[Int(literal)].value
            let index = add(node, location)
            // The literal's text moves with the program's buffer.
            if let offset = textOffsets.first(where: { $0.node == Int(literal) })?.offset {
                textOffsets.append((Int(index), offset))
            }
            return index
        }
        return add(FastNode(operation: .compare, relation: relation, left: first, right: second), location)
    }

    private static func mirrored(_ relation: UInt8) -> UInt8 {
        var result = relation & ~(FastOrder.less | FastOrder.greater)
        if relation & FastOrder.less != 0 { result |= FastOrder.greater }
        if relation & FastOrder.greater != 0 { result |= FastOrder.less }
        return result
    }

    private mutating func membership(_ element: Plan, _ elements: [Value], _ location: Location) -> Int32? {
        guard let wanted = value(element) else { return nil }
        var first: Int32 = -1
        for (index, element) in elements.enumerated() {
            guard let constant = constant(element) else { return nil }
            if index == 0 { first = constant }
        }
        // The elements were added one after the other.
        return add(
            FastNode(operation: .inList, left: wanted, right: first, third: Int32(elements.count)), location)
    }

    private mutating func textTest(_ name: String, _ arguments: [Plan], _ location: Location) -> Int32? {
        let operation: FastNode.Operation
        switch name {
        case "startsWith": operation = .startsWith
        case "endsWith": operation = .endsWith
        case "contains": operation = .contains
        default: return nil
        }
        guard arguments.count == 2, let text = textOperand(arguments[0]), let part = textOperand(arguments[1]) else {
            return nil
        }
        return add(FastNode(operation: operation, left: text, right: part), location)
    }

    private mutating func textOperand(_ plan: Plan) -> Int32? {
        usesTexts = true
        switch plan {
        case .slot, .constant(.string), .conditional: return value(plan)
        default: return nil
        }
    }

    // MARK: Values

    private mutating func value(_ plan: Plan) -> Int32? {
        switch plan {
        case .constant(let value): return constant(value)
        case .slot(let slot): return read(slot)
        case .arithmetic(let operation, let left, let right, let location):
            return arithmetic(operation, left, right, location)
        case .negate(let operand, let location):
            guard let operand = value(operand) else { return nil }
            return add(FastNode(operation: .negate, left: operand), location)
        case .conditional(let test, let whenTrue, let whenFalse, let location):
            guard let test = condition(test), let first = value(whenTrue), let second = value(whenFalse) else {
                return nil
            }
            return add(FastNode(operation: .conditional, left: test, right: first, third: second), location)
        case .call(let function, let arguments, let location): return call(function, arguments, location)
        default: return condition(plan)
        }
    }

    private static func mode(_ slot: SlotPlan) -> FastNode.Mode? {
        switch slot.type {
        case .dyn: slot.isExact ? .exact : .inexact
        case .double: .double
        case .int: .int
        case .uint: .uint
        case .decimal: .decimal
        case .bool: .bool
        case .string: .string
        case .timestamp: .timestamp
        default: nil
        }
    }

    private mutating func read(_ slot: SlotPlan) -> Int32? {
        guard let mode = FastBuilder.mode(slot) else { return nil }
        if mode == .exact || mode == .inexact || mode == .string || mode == .decimal || mode == .timestamp {
            usesTexts = true
        }
        return add(
            FastNode(operation: .slot, mode: mode, space: slot.slot.space, slot: slot.slot.index), slot.location,
            column: slot.column)
    }

    private mutating func arithmetic(
        _ operation: Operator, _ left: Plan, _ right: Plan, _ location: Location
    ) -> Int32? {
        let code: FastNode.Operation
        switch operation {
        case .add: code = .add
        case .subtract: code = .subtract
        case .multiply: code = .multiply
        case .divide: code = .divide
        default: code = .modulo
        }
        guard let first = value(left), let second = value(right) else { return nil }
        // What builds a text or an exact decimal needs full values.
        for operand in [first, second] {
            let node = nodes[Int(operand)]
            if node.operation == .slot, node.mode == .decimal || node.mode == .string { return nil }
            if node.operation == .constant, node.value.tag == .string || node.value.tag == .decimal { return nil }
        }
        if operation == .add, case .slot(let slot) = left, slot.type == .dyn, case .slot(let other) = right,
            other.type == .dyn
        {
            // Two undeclared columns may be texts.
            return nil
        }
        return add(FastNode(operation: code, left: first, right: second), location)
    }

    private mutating func call(
        _ function: FunctionTable.Function, _ arguments: [Plan], _ location: Location
    ) -> Int32? {
        guard case .standard = function.implementation else { return nil }
        if function.name == "orValue", arguments.count == 2, case .slotOptional(let slot) = arguments[0] {
            guard let fallback = value(arguments[1]), let column = read(slot) else { return nil }
            var node = nodes[Int(column)]
            node.operation = .slotOr
            node.left = column
            node.right = fallback
            return add(node, location, column: slot.column)
        }
        let operation: FastNode.Operation
        switch function.name {
        case "double": operation = .toDouble
        case "size": operation = .size
        case "abs", "math.abs": operation = .absolute
        case "floor", "math.floor": operation = .floor
        case "ceil", "math.ceil": operation = .ceiling
        case "round", "math.round": operation = .round
        default: return condition(.call(function, arguments, location))
        }
        guard arguments.count == 1, let operand = value(arguments[0]) else { return nil }
        let mode = nodes[Int(operand)].mode
        let isSlot = nodes[Int(operand)].operation == .slot
        // A text to be converted, or a list to be counted, needs full values.
        if operation == .toDouble, !isSlot || ![.double, .int, .uint].contains(mode) { return nil }
        if operation == .size, !isSlot || mode != .string { return nil }
        if operation != .toDouble, operation != .size, isSlot, ![.double, .int, .uint, .inexact].contains(mode) {
            return nil
        }
        return add(FastNode(operation: operation, left: operand), location)
    }

    private mutating func constant(_ value: Value) -> Int32? {
        var constant: FastValue
        var text: String?
        switch value {
        case .bool(let flag): constant = .bool(flag)
        case .int(let number):
            constant = .int(number)
            text = value.decimalText
        case .uint(let number):
            constant = FastValue(tag: .uint, bits: number)
            text = value.decimalText
        case .double(let number):
            constant = .double(number)
            text = number.isFinite ? value.decimalText : nil
        case .decimal(let digits):
            guard let number = Double(digits) else { return nil }
            constant = FastValue(tag: .decimal, bits: number.bitPattern)
            text = digits
        case .string(let string):
            constant = FastValue(tag: .string)
            text = string
        case .timestamp(let time):
            constant = FastValue(
                tag: .timestamp, count: UInt32(time.nanoseconds), bits: UInt64(bitPattern: time.seconds))
        case .duration(let nanoseconds): constant = FastValue(tag: .duration, bits: UInt64(bitPattern: nanoseconds))
        default: return nil
        }
        let index = add(FastNode(operation: .constant), Location())
        if let text {
            guard let count = UInt32(exactly: text.utf8.count) else { return nil }
            constant.count = count
            textOffsets.append((Int(index), texts.count))
            texts.append(contentsOf: Array(text.utf8))
        }
        nodes[Int(index)].value = constant
        return index
    }
}
