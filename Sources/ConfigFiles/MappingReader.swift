public import Core

/// Reads one mapping of a configuration file, key by key; keys that nobody asked for are unknown keys.
///
/// Made by ``ConfigReader``. Each accessor takes the key and one sentence about it, which editors show. Accessors named
/// `required…` report a missing key; the others give nil or the default. All accessors give a placeholder where
/// the value is wrong.
public final class MappingReader {
    /// Takes the diagnostics.
    public let reader: ConfigReader
    /// The mapping; nil in describing mode.
    public let node: ConfigNode?
    private(set) var properties: [SchemaObject.Property] = []
    private var known: Set<String> = []
    private var ignoresUnknownKeys = false
    private var isInVariant = false

    init(reader: ConfigReader, node: ConfigNode?) {
        self.reader = reader
        self.node = node
    }

    /// Whether the decoder runs only to describe its keys; no values are there.
    public var isDescribing: Bool { reader.recorder != nil }

    /// Whether the mapping has the key. Does not count as reading it.
    public func has(_ key: String) -> Bool { node?[key] != nil }

    /// Where the value of a key stands; the mapping itself for a key that is not there.
    public func position(of key: String) -> SourcePosition {
        (node?[key] ?? node)?.position ?? SourcePosition(file: "", line: 1, column: 1)
    }

    /// Where a key stands; the mapping itself for one that is not there.
    public func position(ofKey key: String) -> SourcePosition {
        (entry(key)?.keyNode ?? node)?.position ?? SourcePosition(file: "", line: 1, column: 1)
    }

    /// Adds an error at the value of a key, or at the mapping.
    public func report(_ code: String, _ message: String, at key: String?, help: String? = nil) {
        guard let node else { return }
        reader.report(code, message, at: key.flatMap { node[$0] } ?? node, help: help)
    }

    /// Adds an error at a key that may not stand beside others or has no meaning here.
    public func report(_ code: String, _ message: String, atKey key: String, help: String? = nil) {
        guard let node else { return }
        reader.report(code, message, at: entry(key)?.keyNode ?? node, help: help)
    }

    /// Reports all keys but the first of those given that are there: they exclude each other.
    public func exclusive(_ keys: [String]) {
        let present = keys.filter(has)
        for key in present.dropFirst() {
            report(
                ConfigCode.unknownKey, "'\(key)' may not stand beside '\(present[0])'", atKey: key,
                help: "keep one of " + keys.map { "'\($0)'" }.joined(separator: ", "))
        }
    }

    /// Leaves keys that nobody asks for to another reader.
    public func ignoreUnknownKeys() { ignoresUnknownKeys = true }

    /// Describes one of several forms that this mapping can have, such as the settings of one kind of receiver.
    ///
    /// In the schema, keys of a form are optional, and a key of several forms takes what any of them takes; the decoder
    /// tells which keys belong together. Only for describing mode.
    public func describeVariant(_ body: () -> Void) {
        isInVariant = true
        body()
        isInVariant = false
    }

    /// The node of a key as it is, for a decoder elsewhere; `schema` describes it.
    public func node(_ key: String, _ about: String, schema: SchemaNode) -> ConfigNode? {
        value(key, about, schema)
    }

    /// The node of a required key as it is.
    public func requiredNode(_ key: String, _ about: String, schema: SchemaNode) -> ConfigNode? {
        value(key, about, schema, isRequired: true)
    }

    // MARK: - For the accessors

    func entry(_ key: String) -> ConfigEntry? { node?.entries?.first { $0.key == key } }

    /// The node of a key, noting that the format has it; a required key that is missing is reported.
    ///
    /// A null value counts as missing.
    func value(
        _ key: String, _ about: String, _ schema: @autoclosure () -> SchemaNode, isRequired: Bool = false,
        defaultValue: @autoclosure () -> JSON? = nil
    ) -> ConfigNode? {
        let isNew = known.insert(key).inserted
        if isDescribing {
            describe(
                .init(
                    name: key, node: schema(), about: about, isRequired: isRequired && !isInVariant,
                    defaultValue: defaultValue()), isNew: isNew)
            return nil
        }
        guard let node else { return nil }
        let value = node[key]
        if let value, value.scalar?.kind != .null { return value }
        guard isRequired else { return nil }
        if let value {
            reader.report(ConfigCode.missingKey, "'\(key)' must have a value; found \(value.foundText)", at: value)
        } else {
            reader.report(ConfigCode.missingKey, "'\(key)' is required here", at: node.firstKeyNode ?? node)
        }
        return nil
    }

    private func describe(_ property: SchemaObject.Property, isNew: Bool) {
        if isNew { return properties.append(property) }
        guard isInVariant, let index = properties.firstIndex(where: { $0.name == property.name }) else { return }
        if properties[index].node != property.node {
            var forms = [properties[index].node]
            if case .anyOf(let known) = properties[index].node { forms = known }
            if !forms.contains(property.node) { forms.append(property.node) }
            properties[index].node = .anyOf(forms)
        }
        if properties[index].defaultValue != property.defaultValue { properties[index].defaultValue = nil }
    }

    func wrongType(_ key: String, _ expected: String, _ node: ConfigNode, help: String? = nil) {
        reader.report(
            ConfigCode.wrongType, "'\(key)' must be \(expected); found \(node.foundText)", at: node,
            help: help)
    }

    func outOfRange(_ key: String, _ expected: String, _ node: ConfigNode, help: String? = nil) {
        reader.report(
            ConfigCode.outOfRange, "'\(key)' must be \(expected); found \(node.foundText)", at: node, help: help)
    }

    func reportUnknownKeys() {
        guard !ignoresUnknownKeys, !isDescribing else { return }
        for entry in node?.entries ?? [] where !known.contains(entry.key) {
            let nearest = Spelling.nearest(to: entry.key, among: known.subtracting((node?.entries ?? []).map(\.key)))
            let help =
                nearest.map { "did you mean '\($0)'?" }
                ?? (known.isEmpty ? nil : "known here: " + known.sorted().joined(separator: ", "))
            reader.report(ConfigCode.unknownKey, "unknown key '\(entry.key)'", at: entry.keyNode, help: help)
        }
    }
}

extension ConfigNode {
    /// Where a mapping is underlined when a key is missing: its first key.
    fileprivate var firstKeyNode: ConfigNode? { entries?.first?.keyNode }
}
