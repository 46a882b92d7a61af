import CEL
import Core

/// A table of columns for tests: names are found as `after.name`, `before.name` and, in space 2, alone.
struct TestTable {
    let columns: [(name: String, type: CELType)] = [
        ("rate", .double), ("count", .int), ("total", .uint), ("price", .decimal), ("plant", .string), ("ok", .bool),
        ("due_at", .timestamp), ("any", .dyn), ("spec.target", .double), ("tags", .list(.string)), ("spec", .dyn),
        ("temp-1", .double),
    ]

    var environment: Environment {
        let columns = columns
        return Environment(
            resolve: { path in
                switch path[0] {
                case "before", "after":
                    let space: UInt8 = path[0] == "before" ? 0 : 1
                    if path.count == 1 { return .record(space: space) }
                    let name = path.dropFirst().joined(separator: ".")
                    guard let index = columns.firstIndex(where: { $0.name == name }) else {
                        // What may lie below a column that is there is not the table's to say.
                        let isBelow = columns.contains { name.hasPrefix($0.name + ".") }
                        return isBelow ? .none : .unknownColumn(candidates: columns.map(\.name))
                    }
                    return .slot(SlotReference(space: space, index: UInt16(index)), columns[index].type)
                case "op" where path.count == 1: return .slot(SlotReference(space: 2, index: 0), .string)
                case "ts" where path.count == 1: return .slot(SlotReference(space: 2, index: 1), .timestamp)
                case "changed" where path.count == 1: return .dynamic(0, .list(.string))
                default: return .none
                }
            }, rootNames: ["before", "after", "op", "ts", "changed"])
    }

    func compile(_ source: String, expecting: CELType? = .bool) -> CompileResult {
        CEL.compile(source, at: SourceMap(file: "rule.yaml", lines: [(10, 7)]), in: environment, expecting: expecting)
    }
}

/// What stands in a column of a test row.
enum Cell {
    case missing
    case null
    case unknown
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    case decimal(String)
    case string(String)
    case timestamp(String)
    case list(String)
    case object(String)
}

/// Rows of a test and how to evaluate on them.
struct TestRow {
    var after: [String: Cell]? = [:]
    var before: [String: Cell]? = [:]
    var scalars: [Cell] = [.string("update"), .timestamp("2026-01-12T06:00:00Z")]
    var changed: [String]? = ["rate"]

    func slots(_ cells: [String: Cell], _ arena: RowArena) -> [SlotValue] {
        TestTable().columns.map { slot(cells[$0.name] ?? .missing, arena) }
    }

    func slot(_ cell: Cell, _ arena: RowArena) -> SlotValue {
        func text(_ text: String, _ kind: SlotValue.Kind, bits: UInt64? = nil) -> SlotValue {
            let bytes = Array(text.utf8)
            let offset = bytes.withUnsafeBytes { arena.append($0) }
            guard let bits else { return SlotValue(kind: kind, textOffset: offset, bits: UInt64(bytes.count)) }
            return SlotValue(kind: kind, shortTextCount: UInt16(bytes.count), textOffset: offset, bits: bits)
        }
        switch cell {
        case .missing: return .missing
        case .null: return .null
        case .unknown: return .unknown
        case .bool(let value): return .bool(value)
        case .int(let value): return text(String(value), .int, bits: UInt64(bitPattern: value))
        case .uint(let value): return text(String(value), .uint, bits: value)
        case .double(let value): return text("\(value)", .double, bits: value.bitPattern)
        case .decimal(let value): return text(value, .decimal, bits: (Double(value) ?? .nan).bitPattern)
        case .string(let value): return text(value, .string)
        case .timestamp(let value):
            let time = Timestamp.parse(value) ?? .epoch
            return text(value, .timestamp, bits: UInt64(bitPattern: time.milliseconds))
        case .list(let json): return text(json, .list)
        case .object(let json): return text(json, .object)
        }
    }

    func with<Result>(_ body: (borrowing EvaluationFrame) throws -> Result) rethrows -> Result {
        let arena = RowArena()
        let afterSlots = after.map { slots($0, arena) }
        let beforeSlots = before.map { slots($0, arena) }
        let scalarSlots = scalars.map { slot($0, arena) }
        return try (beforeSlots ?? []).withUnsafeBufferPointer { beforePointer in
            try (afterSlots ?? []).withUnsafeBufferPointer { afterPointer in
                try scalarSlots.withUnsafeBufferPointer { scalarPointer in
                    let frame = EvaluationFrame(
                        spaces: (
                            before == nil ? nil : beforePointer.baseAddress,
                            after == nil ? nil : afterPointer.baseAddress, scalarPointer.baseAddress, nil
                        ), arena: arena,
                        dynamic: { [changed] _ in changed.map { .list($0.map { .string($0) }) } })
                    return try body(frame)
                }
            }
        }
    }
}

/// The outcome in the words of a table: `true`, `false`, or the kind of the error.
func word(_ outcome: Outcome) -> String {
    switch outcome {
    case .isTrue: return "true"
    case .isFalse: return "false"
    case .unknown(let error):
        switch error.kind {
        case .nullValue(let column): return "null \(column)"
        case .missing(let column): return "missing \(column)"
        case .unknownValue(let column): return "unknown \(column)"
        case .notANumber(let column): return "nan \(column ?? "-")"
        case .wrongType(let column): return "type \(column)"
        case .noSuchOverload: return "overload"
        case .overflow: return "overflow"
        case .divideByZero: return "zero"
        case .noSuchKey: return "key"
        case .indexOutOfRange: return "index"
        case .invalidArgument: return "argument"
        case .budgetExceeded: return "budget"
        case .notACondition: return "no condition"
        case .duplicateKey: return "duplicate"
        case .undeclared: return "undeclared"
        }
    }
}
