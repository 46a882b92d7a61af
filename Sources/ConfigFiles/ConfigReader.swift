public import Core

/// Decodes configuration files: collects every diagnostic, so that an author sees all of them at once.
///
/// One description serves decoding and JSON Schema: a decoder asks a ``MappingReader`` for its keys, and
/// ``ConfigSchema/describing(title:_:)`` runs the same decoder to learn them.
///
/// ```swift
/// struct Table {
///     var name: String
///     var hold: Duration
///     init(_ mapping: MappingReader) {
///         name = mapping.requiredString("name", "The table's name.")
///         hold = mapping.duration("hold", "How long a delete waits.", default: .seconds(60))
///     }
/// }
/// let reader = ConfigReader()
/// let tables = reader.mapping(of: file) { $0.mappings("tables", "The tables.", Table.init) }
/// guard !reader.hasErrors else { … reader.sortedDiagnostics … }
/// ```
///
/// A value that is missing or wrong gives a placeholder (an empty text, zero, the default) and a diagnostic; what was
/// decoded is used only when ``hasErrors`` is false.
public final class ConfigReader {
    /// Diagnostics kept; one more says that there are others.
    public static let diagnosticCountMax = 200

    /// What was found so far, in the order of reading.
    public private(set) var diagnostics: [Diagnostic] = []
    let recorder: SchemaRecorder?

    /// Makes a reader for one or several files.
    public init() { recorder = nil }

    init(describing recorder: SchemaRecorder) { self.recorder = recorder }

    /// Whether anything found so far forbids using what was decoded.
    public var hasErrors: Bool { diagnostics.contains { $0.level == .error } }

    /// What was found, by file, line and column.
    public var sortedDiagnostics: [Diagnostic] { diagnostics.sorted { $0.position < $1.position } }

    /// Adds a diagnostic.
    public func report(_ diagnostic: Diagnostic) {
        guard diagnostics.count < ConfigReader.diagnosticCountMax else {
            guard diagnostics.count == ConfigReader.diagnosticCountMax else { return }
            diagnostics.append(
                Diagnostic(
                    code: ConfigCode.tooMany,
                    message: "there are more than \(ConfigReader.diagnosticCountMax) problems",
                    position: diagnostic.position))
            return
        }
        diagnostics.append(diagnostic)
    }

    /// Adds an error at a node.
    public func report(_ code: String, _ message: String, at node: ConfigNode, help: String? = nil) {
        report(Diagnostic(code: code, message: message, position: node.position, length: node.length, help: help))
    }

    /// Decodes the document of a file as a mapping; unknown keys are reported when `body` returns.
    ///
    /// Diagnostics of the file as YAML are taken over. An empty file is an empty mapping.
    /// - Returns: nil where the file cannot be read or its document is no mapping.
    public func mapping<T>(of file: ConfigFile, _ body: (MappingReader) -> T) -> T? {
        for diagnostic in file.diagnostics { report(diagnostic) }
        guard file.diagnostics.isEmpty else { return nil }
        let empty = ConfigNode(source: file.source, line: 1, column: 1, content: .mapping([]))
        return mapping(file.root ?? empty, what: "the file", body)
    }

    /// Decodes a node as a mapping; unknown keys are reported when `body` returns.
    ///
    /// - Parameter what: how a diagnostic names the node: `the file`, `'rules'`.
    /// - Returns: nil where the node is no mapping.
    public func mapping<T>(_ node: ConfigNode, what: String, _ body: (MappingReader) -> T) -> T? {
        var node = node
        // `receivers:` with nothing below it is an empty mapping.
        if node.scalar?.kind == .null {
            node = ConfigNode(source: node.source, line: node.line, column: node.column, content: .mapping([]))
        }
        guard node.entries != nil else {
            report(ConfigCode.wrongType, "\(what) must be a mapping; found \(node.foundText)", at: node)
            return nil
        }
        let mapping = MappingReader(reader: self, node: node)
        let result = body(mapping)
        mapping.reportUnknownKeys()
        return result
    }
}

extension ConfigNode {
    /// How a diagnostic names what stands at a node: `'5'`, `a list`, `a mapping`, `nothing`.
    public var foundText: String {
        switch content {
        case .mapping: return "a mapping"
        case .sequence: return "a list"
        case .scalar(let scalar):
            if scalar.kind == .null, scalar.text.isEmpty { return "nothing" }
            let text = scalar.text
            let line = text.prefix { $0 != "\n" }
            let short = line.count > 40 ? line.prefix(40) + "…" : line.count < text.count ? line + "…" : line
            return "'\(short)'"
        }
    }

    /// The help for a collection that was meant to be a text.
    var typeHelp: String? {
        let rest = source.line(line).dropFirst(column - 1)
        if entries != nil, rest.starts(with: "{{".unicodeScalars) {
            return "put the text in quotes: one that begins with '{{' is taken for a mapping"
        }
        if elements != nil, rest.first == "[" {
            return "put the text in quotes: one that begins with '[' is taken for a list"
        }
        return nil
    }
}
