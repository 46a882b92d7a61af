import Core
import Foundation
import Testing

@testable import CEL

/// Runs the CEL project's own suite, as JSON, from `../shared/cel/dev` (or the folder CEL_CONFORMANCE_DIR names).
@Suite struct ConformanceTests {
    /// Tests that pass per file; raised when more pass, never lowered.
    static let passing: [String: Int] = [
        "basic": 30, "bindings_ext": 6, "comparisons": 233, "conversions": 76, "dynamic": 23, "encoders_ext": 3,
        "fields": 42, "fp_math": 21, "integer_math": 45, "lists": 27, "logic": 21, "macros": 31, "macros2": 32,
        "math_ext": 139, "namespace": 10, "optionals": 44, "parse": 136, "plumbing": 3, "string": 36,
        "string_ext": 150, "timestamps": 55, "type_deduction": 12,
    ]

    static let folder: URL = {
        if let path = ProcessInfo.processInfo.environment["CEL_CONFORMANCE_DIR"] { return URL(fileURLWithPath: path) }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let shared =
            ProcessInfo.processInfo.environment["ALERT_ROUTER_SHARED"].map { URL(fileURLWithPath: $0) }
            ?? root.deletingLastPathComponent().appendingPathComponent("shared")
        return shared.appendingPathComponent("cel/dev")
    }()

    static let isThere = FileManager.default.fileExists(atPath: folder.path)

    @Test(.enabled(if: isThere, "the conformance suite is not there: \(folder.path)"))
    func `the conformance suite passes as far as it did before`() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
        var report: [String] = []
        var classes: [String: Tally] = [:]
        for file in files where file.hasSuffix(".json") {
            let data = try Data(contentsOf: Self.folder.appendingPathComponent(file))
            let json = try JSON.parse(data)
            var tally = Tally()
            for row in json.elements ?? [] {
                let test = ConformanceCase(row)
                let verdict = test.run()
                tally.add(verdict, expectsError: test.expectsError)
                classes[test.className, default: Tally()].add(verdict, expectsError: test.expectsError)
                if case .failed(let reason) = verdict, ProcessInfo.processInfo.environment["CEL_VERBOSE"] != nil {
                    report.append("  \(test.id) [\(test.className)] \(test.expression): \(reason)")
                }
            }
            let name = String(file.dropLast(5))
            report.append("\(name): \(tally)")
            #expect(tally.passed >= Self.passing[name] ?? 0, "\(name): fewer tests pass than before")
        }
        for (name, tally) in classes.sorted(by: { $0.key < $1.key }) { report.append("class \(name): \(tally)") }
        print(report.joined(separator: "\n"))
    }
}

struct Tally: CustomStringConvertible {
    var values = 0
    var errors = 0
    var failed = 0
    var skipped: [String: Int] = [:]
    var passed: Int { values + errors }

    mutating func add(_ verdict: ConformanceCase.Verdict, expectsError: Bool) {
        switch verdict {
        case .passed: if expectsError { errors += 1 } else { values += 1 }
        case .failed: failed += 1
        case .skipped(let reason): skipped[reason, default: 0] += 1
        }
    }

    var description: String {
        let reasons = skipped.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return
            "passed \(passed) (values \(values), errors \(errors)), failed \(failed), "
            + "skipped \(skipped.values.reduce(0, +))"
            + (reasons.isEmpty ? "" : " (\(reasons))")
    }
}

/// One test of the suite.
struct ConformanceCase {
    enum Verdict {
        case passed
        case failed(String)
        case skipped(String)
    }

    let row: JSON
    let id: String
    let expression: String
    let className: String
    var expectsError: Bool { row["expect"]?["error"] != nil }

    init(_ row: JSON) {
        self.row = row
        id = row["id"]?.stringValue ?? "?"
        expression = row["expr"]?.stringValue ?? ""
        className = row["class"]?.stringValue ?? "?"
    }

    func run() -> Verdict {
        if ["proto", "network_ext", "block_ext", "block_ext+optionals"].contains(className) {
            return .skipped("\(className.hasPrefix("block") ? "block_ext" : className) left out")
        }
        let bindings = row["bindings"]?.members ?? []
        var values: [String: Value] = [:]
        for binding in bindings {
            guard let value = Self.value(binding.value) else { return .skipped("message bindings") }
            values[binding.name] = value
        }
        let (environment, names) = environment(values)
        let result = CEL.compile(expression, at: SourceMap(file: id), in: environment, expecting: nil)
        if let typed = row["expect"]?["typed_result"], row["check_only"]?.boolValue == true {
            guard result.program != nil else { return .failed(Self.text(result.diagnostics)) }
            let wanted = typed["type_text"]?.stringValue ?? "?"
            let given = Self.typeText(result.type)
            return wanted == given ? .passed : .failed("type \(given), wanted \(wanted)")
        }
        guard let program = result.program else { return .failed(Self.text(result.diagnostics)) }
        let frame = EvaluationFrame(
            spaces: (nil, nil, nil, nil), arena: RowArena(capacity: 64), dynamic: { values[names[$0]] })
        do {
            return judge(try program.evaluate(frame))
        } catch {
            return expectsError ? .passed : .failed("error: \(error)")
        }
    }

    private func judge(_ value: Value) -> Verdict {
        if expectsError { return .failed("\(value.display) instead of an error") }
        let wanted = row["expect"]?["value"] ?? row["expect"]?["typed_result"]?["value"]
        guard let wanted, let expected = Self.value(wanted) else { return .skipped("message results") }
        return Self.isSame(value, expected) ? .passed : .failed("\(value) instead of \(expected)")
    }

    static func text(_ diagnostics: [Diagnostic]) -> String { diagnostics.map(\.message).joined(separator: "; ") }

    private func environment(_ values: [String: Value]) -> (Environment, [String]) {
        var types: [String: CELType] = values.mapValues { _ in .dyn }
        var functions: [Environment.Function] = []
        for entry in row["type_env"]?.elements ?? [] {
            let name = entry["name"]?.stringValue ?? ""
            if entry["kind"]?.stringValue == "variable" {
                types[name] = Self.type(entry["type"])
            } else {
                let overloads = (entry["overloads"]?.elements ?? []).map {
                    Environment.Overload(
                        parameters: ($0["params"]?.elements ?? []).map { Self.type($0) },
                        result: Self.type($0["result"]), isMember: $0["instance"]?.boolValue ?? false)
                }
                functions.append(
                    Environment.Function(name: name, overloads: overloads) { _, _ throws(EvaluationError) in
                        throw EvaluationError(kind: .noSuchOverload, message: nil)
                    })
            }
        }
        let names = types.keys.sorted()
        let table = types
        var environment = Environment(
            resolve: { path in
                let name = path.joined(separator: ".")
                guard let type = table[name], let index = names.firstIndex(of: name) else { return .none }
                return .dynamic(index, type)
            }, rootNames: names, functions: functions)
        environment.container = row["container"]?.stringValue ?? ""
        environment.isChecked = row["disable_check"]?.boolValue != true
        environment.validatesLiterals = false
        return (environment, names)
    }
}

extension ConformanceCase {
    static func type(_ json: JSON?) -> CELType {
        guard let json, let kind = json["kind"]?.stringValue else { return .dyn }
        switch kind {
        case "null": return .null
        case "bool": return .bool
        case "int": return .int
        case "uint": return .uint
        case "double": return .double
        case "string": return .string
        case "bytes": return .bytes
        case "timestamp": return .timestamp
        case "duration": return .duration
        case "list": return .list(type(json["elem"]))
        case "map": return .map(type(json["key"]), type(json["value"]))
        case "type_param": return .parameter(json["name"]?.stringValue ?? "T")
        case "type": return .type
        case "abstract":
            let parameters = json["params"]?.elements ?? []
            if json["name"]?.stringValue == "optional_type" { return .optional(type(parameters.first)) }
            return .message(json["name"]?.stringValue ?? "?")
        case "message":
            switch json["name"]?.stringValue ?? "" {
            case "google.protobuf.Timestamp": return .timestamp
            case "google.protobuf.Duration": return .duration
            case let name where name.hasPrefix("google.protobuf."): return .dyn
            case let name: return .message(name)
            }
        default: return .dyn
        }
    }

    static func typeText(_ type: CELType) -> String {
        switch type {
        case .null: "null"
        case .list(let element): "list(\(typeText(element)))"
        case .map(let key, let value): "map(\(typeText(key)), \(typeText(value)))"
        case .optional(let wrapped): "optional_type(\(typeText(wrapped)))"
        default: type.description
        }
    }

    static func value(_ json: JSON) -> Value? {
        let scalar = json["value"]
        switch json["type"]?.stringValue ?? "" {
        case "null": return .null
        case "bool": return scalar?.boolValue.map { .bool($0) }
        case "int": return scalar?.stringValue.flatMap { Int64($0) }.map { .int($0) }
        case "uint": return scalar?.stringValue.flatMap { UInt64($0) }.map { .uint($0) }
        case "double":
            return json["bits"]?.stringValue.flatMap { UInt64($0, radix: 16) }.map { .double(Double(bitPattern: $0)) }
        case "string": return scalar?.stringValue.map { .string($0) }
        case "bytes": return scalar?.stringValue.flatMap { Data(base64Encoded: $0) }.map { .bytes(Array($0)) }
        case "type": return scalar?.stringValue.map { .type($0) }
        case "list":
            let elements = (scalar?.elements ?? []).map { value($0) }
            return elements.contains { $0 == nil } ? nil : .list(elements.compactMap { $0 })
        case "map":
            var map = ValueMap()
            for entry in scalar?.elements ?? [] {
                guard let keyJSON = entry["key"], let key = value(keyJSON), let mapKey = ValueMap.Key(lookingUp: key),
                    let valueJSON = entry["value"], let element = value(valueJSON)
                else { return nil }
                _ = map.insert(element, for: mapKey)
            }
            return .map(map)
        case "duration":
            guard let seconds = json["seconds"]?.stringValue.flatMap({ Int64($0) }) else { return nil }
            return .duration(seconds * 1_000_000_000 + (json["nanos"]?.intValue ?? 0))
        case "timestamp":
            guard let seconds = json["seconds"]?.stringValue.flatMap({ Int64($0) }) else { return nil }
            return PreciseTime(seconds: seconds, nanoseconds: Int32(json["nanos"]?.intValue ?? 0)).map {
                .timestamp($0)
            }
        case "message": return json["unwrapped"].flatMap { value($0) }
        default: return nil
        }
    }

    /// Structural equality: types count, NaN is NaN, maps have no order.
    static func isSame(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.double(let left), .double(let right)): return left == right || (left.isNaN && right.isNaN)
        case (.list(let left), .list(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { isSame($0, $1) }
        case (.map(let left), .map(let right)):
            return left.count == right.count
                && left.entries.allSatisfy { entry in
                    right.entries.contains { isSame($0.key.value, entry.key.value) && isSame($0.value, entry.value) }
                }
        case (.optional(let left?), .optional(let right?)): return isSame(left, right)
        default: return left.typeName == right.typeName && left == right
        }
    }
}
