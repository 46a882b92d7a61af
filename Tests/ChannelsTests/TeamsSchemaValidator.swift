import Core
import Foundation

/// The part of JSON Schema (draft 6) that the Adaptive Card schema uses.
struct TeamsSchemaValidator {
    let root: JSON

    init(_ schema: JSON) { root = schema }

    static var file: URL {
        if let shared = ProcessInfo.processInfo.environment["ALERT_ROUTER_SHARED"] {
            return URL(fileURLWithPath: shared).appendingPathComponent("reference/schemas/adaptive-card.schema.json")
        }
        return URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("shared/reference/schemas/adaptive-card.schema.json")
    }

    static var isPresent: Bool { FileManager.default.fileExists(atPath: file.path) }

    static func load() throws -> TeamsSchemaValidator {
        TeamsSchemaValidator(try JSON.parse([UInt8](Data(contentsOf: file)), depthMax: 200))
    }

    /// What is wrong with a card; empty when it is valid. The host's own `msteams` is no part of the schema.
    func problems(card: JSON) -> [String] {
        let bare = JSON.object((card.members ?? []).filter { $0.name != "msteams" })
        return problems(bare, JSON.object(["$ref": .string("#/definitions/AdaptiveCard")]), at: "card")
    }

    private func resolved(_ reference: String) -> JSON {
        var node = root
        for part in reference.dropFirst(2).split(separator: "/") { node = node[String(part)] ?? .null }
        return node
    }

    private func problems(_ value: JSON, _ schema: JSON, at path: String) -> [String] {
        guard schema.members != nil else { return schema == .bool(false) ? ["\(path): nothing is allowed"] : [] }
        if let reference = schema["$ref"]?.stringValue { return problems(value, resolved(reference), at: path) }
        var found: [String] = []
        if let type = schema["type"] { found += typeProblems(value, type, at: path) }
        if let options = schema["enum"]?.elements, !options.contains(value) {
            found.append("\(path): \(value) is none of \(options)")
        }
        if let pattern = schema["pattern"]?.stringValue, let text = value.stringValue,
            text.range(of: pattern, options: .regularExpression) == nil
        {
            found.append("\(path): '\(text)' does not match \(pattern)")
        }
        for part in schema["allOf"]?.elements ?? [] { found += problems(value, part, at: path) }
        if let parts = schema["anyOf"]?.elements {
            let each = parts.map { problems(value, $0, at: path) }
            if !each.contains(where: \.isEmpty) {
                // The alternative meant is the one whose type fits.
                let name = value["type"]?.stringValue ?? ""
                let meant = zip(parts, each).first { "\($0.0)".contains("definitions/\(name)\"") }?.1
                found += meant ?? ["\(path): no alternative fits: \(each.min { $0.count < $1.count } ?? [])"]
            }
        }
        for name in schema["required"]?.elements?.compactMap(\.stringValue) ?? [] where value[name] == nil {
            if value.members != nil { found.append("\(path): '\(name)' is missing") }
        }
        found += memberProblems(value, schema, at: path)
        if let items = schema["items"], let elements = value.elements {
            for (index, element) in elements.enumerated() {
                found += problems(element, items, at: "\(path)[\(index)]")
            }
        }
        return found
    }

    private func memberProblems(_ value: JSON, _ schema: JSON, at path: String) -> [String] {
        var found: [String] = []
        for member in value.members ?? [] {
            if let property = schema["properties"]?[member.name] {
                found += problems(member.value, property, at: "\(path).\(member.name)")
            } else if schema["additionalProperties"] == .bool(false) {
                found.append("\(path): unknown property '\(member.name)'")
            } else if let more = schema["additionalProperties"], more.members != nil {
                found += problems(member.value, more, at: "\(path).\(member.name)")
            }
        }
        return found
    }

    private func typeProblems(_ value: JSON, _ type: JSON, at path: String) -> [String] {
        let names = type.elements?.compactMap(\.stringValue) ?? [type.stringValue ?? ""]
        let fits = names.contains { name in
            switch name {
            case "object": value.members != nil
            case "array": value.elements != nil
            case "string": value.stringValue != nil
            case "boolean": value.boolValue != nil
            case "number": value.doubleValue != nil
            case "integer": value.intValue != nil
            case "null": value == .null
            default: false
            }
        }
        return fits ? [] : ["\(path): expected \(names), found \(value)"]
    }
}
