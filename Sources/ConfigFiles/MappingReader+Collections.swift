internal import Core

// MARK: - Lists and maps of texts

extension MappingReader {
    /// A text or a list of texts; empty where the key is missing.
    public func strings(_ key: String, _ about: String) -> [String] { texts(key, about).map(\.value) }

    /// A text or a list of texts with their places; empty where the key is missing. Repeated texts are reported.
    public func texts(_ key: String, _ about: String) -> [ConfigText] {
        value(key, about, .oneOrMany(.string)).map { texts(key, $0) } ?? []
    }

    /// A text or a list of texts that must be there and not empty.
    public func requiredTexts(_ key: String, _ about: String) -> [ConfigText] {
        guard let node = value(key, about, .oneOrMany(.string), isRequired: true) else { return [] }
        let texts = texts(key, node)
        if node.elements?.isEmpty == true { outOfRange(key, "a list that is not empty", node) }
        return texts
    }

    private func texts(_ key: String, _ node: ConfigNode) -> [ConfigText] {
        guard let elements = node.elements else {
            guard node.scalar != nil else {
                wrongType(key, "a text or a list of texts", node)
                return []
            }
            return text(key, node).map { [$0] } ?? []
        }
        var texts: [ConfigText] = []
        var seen: Set<String> = []
        for element in elements {
            guard let text = text(key, element) else { continue }
            guard seen.insert(text.value).inserted else {
                reader.report(
                    ConfigCode.outOfRange, "'\(key)' names '\(text.value)' twice", at: element,
                    help: "remove one of them")
                continue
            }
            texts.append(text)
        }
        return texts
    }

    /// A mapping with free keys to texts, in the order of the file.
    public func textMap(_ key: String, _ about: String) -> [(key: ConfigText, value: ConfigText)] {
        map(key, about, .string) { self.text($0, $1) }
    }

    /// A mapping with free keys to templates, in the order of the file.
    public func templateMap(_ key: String, _ about: String) -> [(key: ConfigText, value: ConfigText)] {
        map(key, about, .template) { self.text($0, $1, takesReferences: true) }
    }

    /// A mapping with free keys to texts that may hold references to secrets.
    ///
    /// Numbers and booleans are taken as written.
    public func propertyMap(_ key: String, _ about: String) -> [(key: ConfigText, value: SecretText)] {
        map(key, about, .property) { name, node in
            guard let scalar = node.scalar, scalar.kind != .null else {
                self.wrongType(name, "a text, a number or a boolean", node)
                return nil
            }
            return self.secretText(name, node)
        }
    }

    private func map<T>(
        _ key: String, _ about: String, _ schema: SchemaNode, _ convert: (String, ConfigNode) -> T?
    ) -> [(key: ConfigText, value: T)] {
        guard let node = value(key, about, .map(schema)) else { return [] }
        guard let entries = node.entries else {
            wrongType(key, "a mapping of names to values", node)
            return []
        }
        return entries.compactMap { entry in
            convert(entry.key, entry.value).map { (ConfigText(value: entry.key, node: entry.keyNode), $0) }
        }
    }
}

// MARK: - Nested mappings

extension MappingReader {
    /// A nested mapping.
    public func mapping<T>(_ key: String, _ about: String, _ body: (MappingReader) -> T) -> T? {
        nested(key, about, isRequired: false, body)
    }

    /// A nested mapping that must be there.
    public func requiredMapping<T>(_ key: String, _ about: String, _ body: (MappingReader) -> T) -> T? {
        nested(key, about, isRequired: true, body)
    }

    private func nested<T>(
        _ key: String, _ about: String, isRequired: Bool, _ body: (MappingReader) -> T
    ) -> T? {
        // A key with nothing below it is an empty mapping, so it is not treated as missing.
        if !isDescribing, let node = node?[key], node.scalar?.kind == .null {
            _ = value(key, about, .anything)
            return reader.mapping(node, what: "'\(key)'", body)
        }
        let node = value(key, about, describe(nil, body), isRequired: isRequired)
        return node.flatMap { reader.mapping($0, what: "'\(key)'", body) }
    }

    /// A list of mappings; empty where the key is missing.
    ///
    /// - Parameter definition: the name of the element's description, for formats that contain themselves.
    public func mappings<T>(
        _ key: String, _ about: String, definition: String? = nil, _ body: (MappingReader) -> T
    ) -> [T] {
        guard let node = value(key, about, .list(describe(definition, body))) else { return [] }
        guard let elements = node.elements else {
            let help = node.entries == nil ? nil : "begin each element with '- '"
            wrongType(key, "a list of mappings", node, help: help)
            return []
        }
        return elements.compactMap { reader.mapping($0, what: "an element of '\(key)'", body) }
    }

    /// A list whose elements are texts or mappings; empty where the key is missing.
    ///
    /// An element for which `text` or `body` gives nil is left out.
    public func elements<T>(
        _ key: String, _ about: String, text: (ConfigText) -> T?, mapping body: (MappingReader) -> T?
    ) -> [T] {
        let described: SchemaNode = isDescribing ? .list(.anyOf([.string, describe(nil, body)])) : .anything
        guard let node = value(key, about, described) else { return [] }
        guard let elements = node.elements else {
            wrongType(key, "a list", node, help: "begin each element with '- '")
            return []
        }
        return elements.compactMap { element in
            if element.scalar == nil {
                return reader.mapping(element, what: "an element of '\(key)'", body) ?? nil
            }
            return self.text(key, element).flatMap(text)
        }
    }

    /// A mapping with free keys to mappings, in the order of the file; `body` gets each name with its place.
    ///
    /// In describing mode the name is nil.
    public func namedMappings<T>(
        _ key: String, _ about: String, definition: String? = nil, _ body: (ConfigText?, MappingReader) -> T
    ) -> [T] {
        guard let node = value(key, about, .map(describe(definition) { body(nil, $0) })) else { return [] }
        guard let entries = node.entries else {
            wrongType(key, "a mapping of names to mappings", node)
            return []
        }
        return entries.compactMap { entry in
            let name = ConfigText(value: entry.key, node: entry.keyNode)
            return reader.mapping(entry.value, what: "'\(entry.key)'") { body(name, $0) }
        }
    }

    private func describe<T>(_ definition: String?, _ body: (MappingReader) -> T) -> SchemaNode {
        guard let recorder = reader.recorder else { return .anything }
        if let definition, recorder.definitions[definition] != nil || recorder.open.contains(definition) {
            return .reference(definition)
        }
        if let definition { recorder.open.insert(definition) }
        let mapping = MappingReader(reader: reader, node: nil)
        _ = body(mapping)
        let node = SchemaNode.object(SchemaObject(properties: mapping.properties))
        guard let definition else { return node }
        recorder.open.remove(definition)
        recorder.definitions[definition] = node
        return .reference(definition)
    }
}

// MARK: - Secrets

extension MappingReader {
    /// A secret: a text with at least one reference, never the secret itself.
    public func secret(_ key: String, _ about: String) -> SecretText? {
        value(key, about, .secret(isRequired: true)).flatMap { secret(key, $0) }
    }

    /// A secret that must be there.
    public func requiredSecret(_ key: String, _ about: String) -> SecretText? {
        value(key, about, .secret(isRequired: true), isRequired: true).flatMap { secret(key, $0) }
    }

    /// A secret or a list of them, as while one replaces another; empty where the key is missing.
    public func secrets(_ key: String, _ about: String) -> [SecretText] {
        guard let node = value(key, about, .oneOrMany(.secret(isRequired: true))) else { return [] }
        return (node.elements ?? [node]).compactMap { secret(key, $0) }
    }

    /// A text that may hold references to secrets, such as a URL with a token.
    public func secretText(_ key: String, _ about: String) -> SecretText? {
        value(key, about, .secret(isRequired: false)).flatMap { secretText(key, $0) }
    }

    /// A text that may hold references to secrets and must be there.
    public func requiredSecretText(_ key: String, _ about: String) -> SecretText? {
        value(key, about, .secret(isRequired: false), isRequired: true).flatMap { secretText(key, $0) }
    }

    private func secret(_ key: String, _ node: ConfigNode) -> SecretText? {
        guard let text = secretText(key, node) else { return nil }
        guard text.hasReference else {
            // What stands there may be the secret, so it is not repeated.
            var diagnostic = Diagnostic(
                code: ConfigCode.secret,
                message: "'\(key)' must be a reference such as '${env:NAME}' or '${file:path}'",
                position: node.position,
                length: node.length,
                help: "put the secret itself into the environment or into a file that only the service can read")
            diagnostic.isSourceSecret = true
            reader.report(diagnostic)
            return nil
        }
        return text
    }

    func secretText(_ key: String, _ node: ConfigNode) -> SecretText? {
        guard let scalar = node.scalar else {
            reader.report(
                ConfigCode.wrongType,
                "'\(key)' must be a text; found " + (node.elements == nil ? "a mapping" : "a list"), at: node,
                help: node.typeHelp)
            return nil
        }
        switch SecretText.parse(scalar.text) {
        case .success(let parts): return SecretText(parts: parts, position: node.position)
        case .failure(let problem):
            reader.report(ConfigCode.secret, "'\(key)': \(problem.message)", at: node)
            return nil
        }
    }
}
