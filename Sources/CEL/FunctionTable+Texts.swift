extension FunctionTable {
    static var texts: [Function] {
        let test = [member([.string, .string], .bool)]
        return [
            declare("contains", test) { arguments, meter throws(EvaluationError) in
                let (text, part) = try two("contains", arguments, &meter)
                return .bool(find(Array(part.utf8), in: Array(text.utf8)))
            },
            declare("startsWith", test) { arguments, meter throws(EvaluationError) in
                let (text, part) = try two("startsWith", arguments, &meter)
                return .bool(text.utf8.starts(with: part.utf8))
            },
            declare("endsWith", test) { arguments, meter throws(EvaluationError) in
                let (text, part) = try two("endsWith", arguments, &meter)
                return .bool(text.utf8.reversed().starts(with: part.utf8.reversed()))
            },
            declare("matches", test + [global([.string, .string], .bool)]) { arguments, meter throws(EvaluationError) in
                let (text, pattern) = try two("matches", arguments, &meter)
                // Compiling a pattern while evaluating is the dearest thing an expression can do.
                try meter.spend(2000 + 20 * pattern.utf8.count)
                switch Regex.compile(pattern) {
                case .success(let regex): return .bool(regex.matches(text))
                case .failure(let problem):
                    throw EvaluationError(.invalidArgument, "the regular expression is wrong: \(problem.message)")
                }
            },
        ] + changes + searches
    }

    private static var changes: [Function] {
        [
            declare("lowerAscii", [member([.string], .string)]) { arguments, meter throws(EvaluationError) in
                .string(ascii(try one("lowerAscii", arguments, &meter), from: 65...90))
            },
            declare("upperAscii", [member([.string], .string)]) { arguments, meter throws(EvaluationError) in
                .string(ascii(try one("upperAscii", arguments, &meter), from: 97...122))
            },
            declare("trim", [member([.string], .string)]) { arguments, meter throws(EvaluationError) in
                let scalars = Array(try one("trim", arguments, &meter).unicodeScalars)
                guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
                    let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
                else { return .string("") }
                return .string(text(scalars[first...last]))
            },
            declare("reverse", [member([.string], .string)]) { arguments, meter throws(EvaluationError) in
                .string(text(try one("reverse", arguments, &meter).unicodeScalars.reversed()))
            },
            declare(
                "replace",
                [
                    member([.string, .string, .string], .string), member([.string, .string, .string, .int], .string),
                ]
            ) { arguments, meter throws(EvaluationError) in try replace(arguments, &meter) },
            declare(
                "split",
                [
                    member([.string, .string], .list(.string)), member([.string, .string, .int], .list(.string)),
                ]
            ) { arguments, meter throws(EvaluationError) in try split(arguments, &meter) },
            declare("join", [member([.list(.string)], .string), member([.list(.string), .string], .string)]) {
                arguments, meter throws(EvaluationError) in try join(arguments, &meter)
            },
        ]
    }

    private static var searches: [Function] {
        [
            declare("charAt", [member([.string, .int], .string)]) { arguments, meter throws(EvaluationError) in
                guard arguments.count == 2, case .string(let whole) = arguments[0], case .int(let index) = arguments[1]
                else { throw noOverload("charAt", arguments) }
                try meter.spend(bytes: whole.utf8.count)
                let scalars = Array(whole.unicodeScalars)
                guard index >= 0, index <= Int64(scalars.count) else { throw EvaluationError(.indexOutOfRange) }
                return .string(index == Int64(scalars.count) ? "" : String(scalars[Int(index)]))
            },
            declare("substring", [member([.string, .int], .string), member([.string, .int, .int], .string)]) {
                arguments, meter throws(EvaluationError) in
                guard (2...3).contains(arguments.count), case .string(let whole) = arguments[0],
                    case .int(let start) = arguments[1]
                else { throw noOverload("substring", arguments) }
                try meter.spend(bytes: whole.utf8.count)
                let scalars = Array(whole.unicodeScalars)
                var end = Int64(scalars.count)
                if arguments.count == 3 {
                    guard case .int(let given) = arguments[2] else { throw noOverload("substring", arguments) }
                    end = given
                }
                guard start >= 0, start <= end, end <= Int64(scalars.count) else {
                    throw EvaluationError(.indexOutOfRange)
                }
                return .string(text(scalars[Int(start)..<Int(end)]))
            },
            declare("indexOf", [member([.string, .string], .int), member([.string, .string, .int], .int)]) {
                arguments, meter throws(EvaluationError) in
                try index("indexOf", arguments, fromEnd: false, &meter)
            },
            declare("lastIndexOf", [member([.string, .string], .int), member([.string, .string, .int], .int)]) {
                arguments, meter throws(EvaluationError) in
                try index("lastIndexOf", arguments, fromEnd: true, &meter)
            },
        ]
    }

    // MARK: Parts

    private static func one(
        _ name: String, _ arguments: [Value], _ meter: inout Meter
    ) throws(EvaluationError) -> String {
        guard arguments.count == 1, case .string(let text) = arguments[0] else { throw noOverload(name, arguments) }
        try meter.spend(bytes: text.utf8.count)
        return text
    }

    private static func two(
        _ name: String, _ arguments: [Value], _ meter: inout Meter
    ) throws(EvaluationError) -> (String, String) {
        guard arguments.count == 2, case .string(let text) = arguments[0], case .string(let part) = arguments[1] else {
            throw noOverload(name, arguments)
        }
        try meter.spend(bytes: text.utf8.count)
        return (text, part)
    }

    private static func text(_ scalars: some Sequence<UnicodeScalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    private static func ascii(_ text: String, from range: ClosedRange<UInt8>) -> String {
        String(decoding: text.utf8.map { range.contains($0) ? $0 ^ 0x20 : $0 }, as: UTF8.self)
    }

    static func find(_ part: [UInt8], in text: [UInt8]) -> Bool {
        text.withUnsafeBytes { whole in
            part.withUnsafeBytes { ByteSearch.contains(whole, $0) }
        }
    }

    private static func replace(_ arguments: [Value], _ meter: inout Meter) throws(EvaluationError) -> Value {
        guard (3...4).contains(arguments.count), case .string(let whole) = arguments[0],
            case .string(let old) = arguments[1], case .string(let new) = arguments[2]
        else { throw noOverload("replace", arguments) }
        var limit = Int64.max
        if arguments.count == 4 {
            guard case .int(let count) = arguments[3] else { throw noOverload("replace", arguments) }
            limit = count < 0 ? .max : count
        }
        let source = Array(whole.unicodeScalars)
        let wanted = Array(old.unicodeScalars)
        var result = String.UnicodeScalarView()
        var position = 0
        try meter.spend(bytes: whole.utf8.count * max(1, wanted.count))
        while position <= source.count {
            let isHere =
                position + wanted.count <= source.count
                && source[position..<position + wanted.count].elementsEqual(wanted)
            if limit > 0, isHere {
                try meter.spend(bytes: new.utf8.count)
                result.append(contentsOf: new.unicodeScalars)
                limit -= 1
                position += wanted.count
                guard wanted.isEmpty else { continue }
            }
            if position < source.count { result.append(source[position]) }
            position += 1
        }
        return .string(String(result))
    }

    private static func split(_ arguments: [Value], _ meter: inout Meter) throws(EvaluationError) -> Value {
        guard (2...3).contains(arguments.count), case .string(let whole) = arguments[0],
            case .string(let separator) = arguments[1]
        else { throw noOverload("split", arguments) }
        var limit = Int64.max
        if arguments.count == 3 {
            guard case .int(let count) = arguments[2] else { throw noOverload("split", arguments) }
            limit = count < 0 ? .max : count
        }
        if limit == 0 { return .list([]) }
        let source = Array(whole.unicodeScalars)
        let wanted = Array(separator.unicodeScalars)
        try meter.spend(bytes: whole.utf8.count * max(1, wanted.count))
        if wanted.isEmpty {
            try meter.spend(source.count)
            let heads = source.prefix(limit == .max ? source.count : Int(min(limit - 1, Int64(source.count))))
            var parts = heads.map { Value.string(String($0)) }
            if heads.count < source.count { parts.append(.string(text(source[heads.count...]))) }
            return .list(parts)
        }
        var parts: [Value] = []
        var start = 0
        var position = 0
        while position + wanted.count <= source.count, Int64(parts.count) < limit - 1 {
            if source[position..<position + wanted.count].elementsEqual(wanted) {
                parts.append(.string(text(source[start..<position])))
                position += wanted.count
                start = position
            } else {
                position += 1
            }
        }
        parts.append(.string(text(source[start...])))
        try meter.spend(parts.count)
        return .list(parts)
    }

    private static func join(_ arguments: [Value], _ meter: inout Meter) throws(EvaluationError) -> Value {
        guard (1...2).contains(arguments.count), case .list(let elements) = arguments[0] else {
            throw noOverload("join", arguments)
        }
        var separator = ""
        if arguments.count == 2 {
            guard case .string(let given) = arguments[1] else { throw noOverload("join", arguments) }
            separator = given
        }
        var result = ""
        for (index, element) in elements.enumerated() {
            guard case .string(let text) = element else { throw noOverload("join", arguments) }
            try meter.spend(bytes: text.utf8.count + separator.utf8.count)
            if index > 0 { result += separator }
            result += text
        }
        return .string(result)
    }

    private static func index(
        _ name: String, _ arguments: [Value], fromEnd: Bool, _ meter: inout Meter
    ) throws(EvaluationError) -> Value {
        guard (2...3).contains(arguments.count), case .string(let whole) = arguments[0],
            case .string(let part) = arguments[1]
        else { throw noOverload(name, arguments) }
        let source = Array(whole.unicodeScalars)
        let wanted = Array(part.unicodeScalars)
        try meter.spend(bytes: whole.utf8.count * max(1, wanted.count))
        var start = fromEnd ? source.count : 0
        if arguments.count == 3 {
            guard case .int(let given) = arguments[2] else { throw noOverload(name, arguments) }
            guard given >= 0, given <= Int64(source.count) else { throw EvaluationError(.indexOutOfRange) }
            start = Int(given)
        }
        let last = source.count - wanted.count
        func isAt(_ position: Int) -> Bool { source[position..<position + wanted.count].elementsEqual(wanted) }
        guard last >= 0 else { return .int(-1) }
        if fromEnd {
            for position in stride(from: min(start, last), through: 0, by: -1) where isAt(position) {
                return .int(Int64(position))
            }
        } else if start <= last {
            for position in start...last where isAt(position) { return .int(Int64(position)) }
        }
        return .int(-1)
    }
}
