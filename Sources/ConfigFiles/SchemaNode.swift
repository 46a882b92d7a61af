public import Core

/// What a value of a configuration file may be: the description from which JSON Schema is written.
public indirect enum SchemaNode: Sendable, Equatable {
    case anything
    case string
    case boolean
    case integer(ClosedRange<Int>?)
    case number(ClosedRange<Double>?)
    /// `30s`, `1h30m`.
    case duration
    /// `512KiB`, `16MiB`, or a whole number of bytes.
    case byteCount
    /// A CEL expression: a text, or a plain number or boolean.
    case expression
    /// A text with `{{ }}` placeholders.
    case template
    /// A text that holds references to secrets; with `isRequired` at least one.
    case secret(isRequired: Bool)
    /// Any scalar, taken as text.
    case property
    case choice([String])
    case list(SchemaNode)
    /// One value or a list of them.
    case oneOrMany(SchemaNode)
    /// A mapping with free keys.
    case map(SchemaNode)
    case object(SchemaObject)
    case anyOf([SchemaNode])
    /// A definition by name, for formats that contain themselves.
    case reference(String)
}

/// A mapping with known keys.
public struct SchemaObject: Sendable, Equatable {
    /// One key of the mapping.
    public struct Property: Sendable, Equatable {
        public var name: String
        public var node: SchemaNode
        /// One sentence for editors.
        public var about: String
        public var isRequired: Bool
        public var defaultValue: JSON?
    }

    /// The keys in the order in which they are read.
    public var properties: [Property]

    /// Makes a description of a mapping.
    public init(properties: [Property]) { self.properties = properties }
}

/// The JSON Schema (draft-07) of one file format.
public struct ConfigSchema: Sendable, Equatable {
    public var title: String
    public var root: SchemaNode
    /// Named parts, for formats that contain themselves.
    public var definitions: [String: SchemaNode]

    /// Describes a format by running its decoder in describing mode: every key it asks for is recorded.
    ///
    /// So that the schema is complete, a decoder asks for all its keys whatever their values are, or checks
    /// ``MappingReader/isDescribing``.
    public static func describing<T>(title: String, _ decode: (MappingReader) -> T) -> ConfigSchema {
        let reader = ConfigReader(describing: SchemaRecorder())
        let mapping = MappingReader(reader: reader, node: nil)
        _ = decode(mapping)
        return ConfigSchema(
            title: title, root: .object(SchemaObject(properties: mapping.properties)),
            definitions: reader.recorder?.definitions ?? [:])
    }

    /// The schema as JSON text, indented, with a final line break: what is committed under `schema/`.
    public var text: String {
        var members: [JSON.Member] = [
            .init("$schema", .string("http://json-schema.org/draft-07/schema#")), .init("title", .string(title)),
        ]
        members += SchemaWriter.members(of: root)
        if !definitions.isEmpty {
            let sorted = definitions.sorted { $0.key < $1.key }
            members.append(.init("definitions", .object(sorted.map { .init($0.key, SchemaWriter.json($0.value)) })))
        }
        return SchemaWriter.indented(.object(members), depth: 0) + "\n"
    }

    /// All keys of the format as paths such as `rules[].severity.*.when`, for tests.
    public var keyPaths: [String] {
        var paths: [String] = []
        func walk(_ node: SchemaNode, _ prefix: String) {
            switch node {
            case .object(let object):
                for property in object.properties {
                    let path = prefix.isEmpty ? property.name : prefix + "." + property.name
                    paths.append(path)
                    walk(property.node, path)
                }
            case .list(let element), .oneOrMany(let element): walk(element, prefix + "[]")
            case .map(let value): walk(value, prefix + ".*")
            case .anyOf(let nodes): for node in nodes { walk(node, prefix) }
            case .anything, .string, .boolean, .integer, .number, .duration, .byteCount, .expression, .template,
                .secret,
                .property, .choice, .reference:
                break
            }
        }
        walk(root, "")
        for (name, node) in definitions.sorted(by: { $0.key < $1.key }) { walk(node, "#" + name) }
        return paths
    }
}

/// Keeps what a decoder asks for in describing mode.
final class SchemaRecorder {
    var definitions: [String: SchemaNode] = [:]
    /// Definitions being described, so that a format that contains itself ends.
    var open: Set<String> = []
}

/// Writes descriptions as JSON Schema.
enum SchemaWriter {
    static func json(_ node: SchemaNode) -> JSON { .object(members(of: node)) }

    static func members(of node: SchemaNode) -> [JSON.Member] {
        func type(_ name: String) -> JSON.Member { .init("type", .string(name)) }
        func types(_ names: String...) -> JSON.Member { .init("type", .array(names.map { .string($0) })) }
        switch node {
        case .anything: return []
        case .string, .template: return [type("string")]
        case .boolean: return [type("boolean")]
        case .integer(let range):
            return [type("integer")] + bounds(range.map { (Double($0.lowerBound), Double($0.upperBound)) })
        case .number(let range): return [type("number")] + bounds(range.map { ($0.lowerBound, $0.upperBound) })
        case .duration: return [type("string"), .init("pattern", .string("^([0-9]+(ms|s|m|h|d|w))+$"))]
        case .byteCount:
            return [types("string", "integer"), .init("pattern", .string("^[0-9]+(B|KiB|MiB|GiB)?$"))]
        case .expression, .property: return [types("string", "number", "boolean")]
        case .secret(let isRequired):
            let pattern = JSON.Member("pattern", .string("\\$\\{(env|file):[^}]+\\}"))
            return [type("string")] + (isRequired ? [pattern] : [])
        case .choice(let names): return [.init("enum", .array(names.map { .string($0) }))]
        case .list(let element): return [type("array"), .init("items", json(element))]
        case .oneOrMany(let element):
            let list = JSON.object([type("array"), .init("items", json(element))])
            return [.init("anyOf", .array([json(element), list]))]
        case .map(let value): return [type("object"), .init("additionalProperties", json(value))]
        case .anyOf(let nodes): return [.init("anyOf", .array(nodes.map(json)))]
        case .reference(let name): return [.init("$ref", .string("#/definitions/\(name)"))]
        case .object(let object): return members(of: object)
        }
    }

    private static func bounds(_ range: (Double, Double)?) -> [JSON.Member] {
        guard let range else { return [] }
        // Bounds at the edge of what a double counts exactly say nothing to an author.
        var members: [JSON.Member] = []
        if range.0 > -9e15 { members.append(.init("minimum", number(range.0))) }
        if range.1 < 9e15 { members.append(.init("maximum", number(range.1))) }
        return members
    }

    private static func number(_ value: Double) -> JSON {
        value == value.rounded() ? .number(String(Int64(value))) : .double(value)
    }

    private static func members(of object: SchemaObject) -> [JSON.Member] {
        let properties = object.properties.map { property -> JSON.Member in
            var members: [JSON.Member] = []
            if !property.about.isEmpty { members.append(.init("description", .string(property.about))) }
            members += self.members(of: property.node)
            if let value = property.defaultValue { members.append(.init("default", value)) }
            return .init(property.name, .object(members))
        }
        var members: [JSON.Member] = [
            .init("type", .string("object")), .init("properties", .object(properties)),
            .init("additionalProperties", .bool(false)),
        ]
        let required = object.properties.filter(\.isRequired)
        if !required.isEmpty { members.append(.init("required", .array(required.map { .string($0.name) }))) }
        return members
    }

    static func indented(_ value: JSON, depth: Int) -> String {
        let inner = String(repeating: "  ", count: depth + 1)
        let outer = String(repeating: "  ", count: depth)
        switch value {
        case .array(let elements) where elements.contains { $0.members != nil }:
            let lines = elements.map { inner + indented($0, depth: depth + 1) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let members) where !members.isEmpty:
            let lines = members.map { member in
                inner + JSON.string(member.name).description + ": " + indented(member.value, depth: depth + 1)
            }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        default: return value.description
        }
    }
}
