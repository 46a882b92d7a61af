public import Core
internal import Foundation

/// A configuration file: its text, its YAML document as positioned nodes, and what is wrong with it.
///
/// Bounded against hostile files: at most ``byteCountMax`` bytes, ``depthMax`` levels and ``nodeCountMax`` nodes after
/// aliases are expanded.
public struct ConfigFile: Sendable {
    /// Bytes a file may have; the largest rule files of a plant have some 200 kB.
    public static let byteCountMax = 1 << 20
    /// Levels of mappings and sequences.
    public static let depthMax = 64
    /// Nodes of a document with its aliases expanded.
    public static let nodeCountMax = 200_000

    public let source: ConfigSource
    /// The document; nil for an empty one or where it cannot be read.
    public let root: ConfigNode?
    /// What is wrong with the file as YAML.
    public let diagnostics: [Diagnostic]

    /// The file's name as given.
    public var file: String { source.file }

    /// Reads YAML from a text.
    public init(text: String, file: String) {
        source = ConfigSource(file: file, text: text)
        var composer = Composer(source: source)
        root = composer.compose()
        diagnostics = composer.diagnostics
    }

    private init(unreadable file: String, message: String, help: String? = nil) {
        source = ConfigSource(file: file, text: "")
        root = nil
        let position = SourcePosition(file: file, line: 1, column: 1)
        diagnostics = [Diagnostic(code: ConfigCode.unreadable, message: message, position: position, help: help)]
    }

    private init(source: ConfigSource, diagnostics: [Diagnostic]) {
        self.source = source
        root = nil
        self.diagnostics = diagnostics
    }

    /// Reads YAML from a text; see ``init(text:file:)``.
    public static func parse(text: String, file: String) -> (root: ConfigNode?, diagnostics: [Diagnostic]) {
        let parsed = ConfigFile(text: text, file: file)
        return (parsed.root, parsed.diagnostics)
    }

    /// Reads a file; one that cannot be read gives a file without root whose diagnostics say why.
    public static func load(path: String) -> ConfigFile {
        let bytes: [UInt8]
        do {
            bytes = try FileBytes.read(path: path, countMax: byteCountMax)
        } catch {
            return ConfigFile(unreadable: path, message: error.message, help: error.help)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let decoded = ConfigSource(file: path, text: String(decoding: bytes, as: UTF8.self))
            var position = decoded.position(line: 1, column: 1)
            let replacement = "\u{FFFD}" as Unicode.Scalar
            let line = (1...decoded.lineCount).first { decoded.line($0).contains(replacement) } ?? 1
            position.line = line
            position.column = 1 + (decoded.line(line).firstIndex(of: replacement) ?? 0)
            let diagnostic = Diagnostic(
                code: ConfigCode.unreadable, message: "a configuration file must be UTF-8; found a byte that is none",
                position: position, help: "save the file as UTF-8")
            return ConfigFile(source: decoded, diagnostics: [diagnostic])
        }
        return ConfigFile(text: text, file: path)
    }

    /// Why a file beside a configuration file cannot be read.
    public struct ReadFailure: Error, Sendable, Equatable {
        public var message: String
        public var help: String?
    }

    /// Reads a file of another form that a configuration file names.
    ///
    /// - Throws: ``ReadFailure`` where it does not exist, cannot be read or has more than `countMax` bytes.
    public static func bytes(path: String, countMax: Int) throws(ReadFailure) -> [UInt8] {
        do throws(FileBytes.Failure) {
            return try FileBytes.read(path: path, countMax: countMax)
        } catch {
            throw ReadFailure(message: error.message, help: error.help)
        }
    }

    /// Reads all `*.yaml` files directly in a folder, sorted by name.
    ///
    /// Subfolders (`tests/`) and hidden files are not read.
    /// - Returns: the files, and diagnostics about the folder itself: one that cannot be read, an ignored `.yml`.
    public static func loadDirectory(path: String) -> (files: [ConfigFile], diagnostics: [Diagnostic]) {
        let position = SourcePosition(file: path, line: 1, column: 1)
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        } catch {
            let diagnostic = Diagnostic(
                code: ConfigCode.unreadable, message: "the folder '\(path)' cannot be read", position: position)
            return ([], [diagnostic])
        }
        var files: [ConfigFile] = []
        var diagnostics: [Diagnostic] = []
        for name in names where !name.hasPrefix(".") {
            let child = path.hasSuffix("/") ? path + name : path + "/" + name
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: child, isDirectory: &isDirectory), !isDirectory.boolValue
            else { continue }
            if name.hasSuffix(".yaml") {
                files.append(load(path: child))
            } else if name.hasSuffix(".yml") {
                let place = SourcePosition(file: child, line: 1, column: 1)
                diagnostics.append(
                    Diagnostic(
                        level: .warning, code: ConfigCode.ignoredFile,
                        message: "only files named '*.yaml' are read; this one is ignored", position: place,
                        help: "rename it to '\(name.dropLast(4)).yaml'"))
            }
        }
        return (files, diagnostics)
    }
}

/// Reads small files whole.
enum FileBytes {
    struct Failure: Error {
        var message: String
        var help: String?
    }

    static func read(path: String, countMax: Int) throws(Failure) -> [UInt8] {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw Failure(message: "the file '\(path)' does not exist", help: nil)
        }
        guard !isDirectory.boolValue else { throw Failure(message: "'\(path)' is a folder, not a file", help: nil) }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Failure(message: "the file '\(path)' cannot be opened", help: "check its permissions")
        }
        defer { try? handle.close() }
        var bytes: [UInt8] = []
        do {
            while bytes.count <= countMax, let data = try handle.read(upToCount: countMax + 1 - bytes.count),
                !data.isEmpty
            {
                bytes += data
            }
        } catch {
            throw Failure(message: "the file '\(path)' cannot be read", help: nil)
        }
        guard bytes.count <= countMax else {
            throw Failure(
                message: "a file here may have at most \(countMax) bytes; '\(path)' has more", help: nil)
        }
        return bytes
    }
}
