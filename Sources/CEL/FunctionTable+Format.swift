internal import Foundation

extension FunctionTable {
    static var formatting: [Function] {
        [
            declare("format", [member([.string, .list(.dyn)], .string)]) { arguments, meter throws(EvaluationError) in
                guard arguments.count == 2, case .string(let pattern) = arguments[0],
                    case .list(let values) = arguments[1]
                else { throw noOverload("format", arguments) }
                try meter.spend(bytes: pattern.utf8.count)
                return .string(try format(pattern, values, &meter))
            }
        ]
    }

    private static let precisionMax = 100

    private static func bad(_ message: String) -> EvaluationError {
        EvaluationError(.invalidArgument, "format(): \(message)")
    }

    private static func format(
        _ pattern: String, _ values: [Value], _ meter: inout Meter
    ) throws(EvaluationError) -> String {
        var result = ""
        var rest = pattern.unicodeScalars[...]
        var used = 0
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var precision: Int?
            if rest.first == "." {
                rest.removeFirst()
                let digits = String(rest.prefix { ("0"..."9").contains($0) })
                rest = rest.dropFirst(digits.unicodeScalars.count)
                guard let number = Int(digits), number <= precisionMax else {
                    throw bad("a precision is a number up to \(precisionMax)")
                }
                precision = number
            }
            guard let clause = rest.popFirst() else { throw bad("the text ends after %") }
            if clause == "%" {
                result += "%"
                continue
            }
            guard used < values.count else { throw bad("there are fewer values than clauses") }
            let text = try self.clause(clause, values[used], precision, &meter)
            try meter.spend(bytes: text.utf8.count)
            result += text
            used += 1
        }
        return result
    }

    private static func clause(
        _ clause: UnicodeScalar, _ value: Value, _ precision: Int?, _ meter: inout Meter
    ) throws(EvaluationError) -> String {
        if case .double(let number) = value, !number.isFinite, ["d", "e", "f", "s"].contains(clause) {
            return number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity"
        }
        switch (clause, value) {
        case ("s", _): return try shown(value, &meter)
        case ("d", .int), ("d", .uint): return value.display
        case ("b", .bool(let flag)): return flag ? "1" : "0"
        case ("b", .int(let number)): return String(number, radix: 2)
        case ("b", .uint(let number)): return String(number, radix: 2)
        case ("o", .int(let number)): return String(number, radix: 8)
        case ("o", .uint(let number)): return String(number, radix: 8)
        case ("x", .int(let number)), ("X", .int(let number)):
            return String(number, radix: 16, uppercase: clause == "X")
        case ("x", .uint(let number)), ("X", .uint(let number)):
            return String(number, radix: 16, uppercase: clause == "X")
        case ("x", .string(let text)), ("X", .string(let text)): return hexadecimal(Array(text.utf8), clause)
        case ("x", .bytes(let bytes)), ("X", .bytes(let bytes)): return hexadecimal(bytes, clause)
        case ("f", _), ("e", _):
            guard value.isNumber, case .double(let number) = try toDouble([value]) else { break }
            return String(format: clause == "f" ? "%.*f" : "%.*e", precision ?? 6, number)
        case ("d", _), ("b", _), ("o", _), ("x", _), ("X", _): break
        default: throw bad("there is no clause %\(clause)")
        }
        throw bad("%\(clause) does not take a \(value.plainTypeName)")
    }

    private static func hexadecimal(_ bytes: [UInt8], _ clause: UnicodeScalar) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: clause == "X") }.joined()
    }

    /// A value in `%s`: the entries of a map in the order of their keys' texts.
    private static func shown(_ value: Value, _ meter: inout Meter) throws(EvaluationError) -> String {
        try meter.spend(1)
        switch value {
        case .double(let number) where !number.isFinite:
            return number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity"
        case .list(let elements):
            var texts: [String] = []
            for element in elements { texts.append(try shown(element, &meter)) }
            return "[" + texts.joined(separator: ", ") + "]"
        case .map(let map):
            var texts: [String] = []
            for entry in map.entries {
                texts.append("\(entry.key.value.display): \(try shown(entry.value, &meter))")
            }
            return "{" + texts.sorted().joined(separator: ", ") + "}"
        case .optional: throw bad("%s does not take an optional")
        default: return value.display
        }
    }
}
