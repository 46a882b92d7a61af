public import Core
internal import Foundation

/// A text of a configuration file that may hold references to secrets: `${env:NAME}` and `${file:path}`.
///
/// A reference may stand for the whole value or inside a text; `$${` writes a plain `${`. `$ConnectionString` and other
/// dollar signs are left alone. The text itself never shows a secret: it is resolved where the secret is needed,
/// again at each reload.
public struct SecretText: Sendable, Equatable {
    /// A piece of the text.
    public enum Part: Sendable, Equatable {
        case literal(String)
        /// An environment variable.
        case environment(String)
        /// A file's content without its last line break.
        case file(String)
    }

    public let parts: [Part]
    /// Where the text stands; nil for one made in code.
    public let position: SourcePosition?

    /// Makes a text of parts.
    public init(parts: [Part], position: SourcePosition?) {
        self.parts = parts
        self.position = position
    }

    /// Whether the text refers to a secret at all.
    public var hasReference: Bool {
        parts.contains { part in if case .literal = part { false } else { true } }
    }

    /// The text as written, with its references; safe to show where ``hasReference`` and nothing else is secret.
    public var description: String {
        parts.map { part in
            switch part {
            case .literal(let text):
                text.split(separator: "${", omittingEmptySubsequences: false).joined(separator: "$${")
            case .environment(let name): "${env:\(name)}"
            case .file(let path): "${file:\(path)}"
            }
        }.joined()
    }

    /// The text with its references replaced.
    ///
    /// - Throws: ``SecretError`` that names the first reference that cannot be resolved, never a value.
    public func resolve(_ resolver: SecretResolver) throws(SecretError) -> Secret {
        var text = ""
        for part in parts {
            switch part {
            case .literal(let literal): text += literal
            case .environment(let name): text += try resolver.environmentValue(name, position: position)
            case .file(let path): text += try resolver.fileValue(path, position: position)
            }
        }
        return Secret(text)
    }

    /// Splits a text at its references.
    ///
    /// - Returns: the parts, or what is wrong with a reference.
    static func parse(_ text: String) -> Result<[Part], ReferenceProblem> {
        var parts: [Part] = []
        var literal = ""
        var rest = Substring(text)
        while let start = rest.firstRange(of: "${") {
            literal += rest[..<start.lowerBound]
            if literal.hasSuffix("$") {
                literal += "{"
                rest = rest[start.upperBound...]
                continue
            }
            let body = rest[start.upperBound...]
            guard let end = body.firstIndex(of: "}") else {
                return .failure(
                    ReferenceProblem(
                        message: "a reference ends with '}'; found '\(rest[start.lowerBound...].prefix(6))…'"))
            }
            let reference = body[..<end]
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = ""
            if reference.hasPrefix("env:"), isVariableName(reference.dropFirst(4)) {
                parts.append(.environment(String(reference.dropFirst(4))))
            } else if reference.hasPrefix("file:"), reference.utf8.count > 5 {
                parts.append(.file(String(reference.dropFirst(5))))
            } else {
                // What stands between the braces may be the secret itself, so it is not repeated.
                return .failure(
                    ReferenceProblem(
                        message: "a reference must be '${env:NAME}' or '${file:path}'; found another '${…}'"))
            }
            rest = body[body.index(after: end)...]
        }
        literal += rest
        if !literal.isEmpty || parts.isEmpty { parts.append(.literal(literal)) }
        return .success(parts)
    }

    struct ReferenceProblem: Error { var message: String }

    private static func isVariableName(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || (48...57).contains(byte) || (65...90).contains(byte)
                || (97...122).contains(byte)
        }
    }
}

/// Why a secret reference cannot be resolved; names the reference, never a value.
public struct SecretError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The reference as written, such as `${env:SMTP_PASSWORD}`.
    public var reference: String
    public var reason: String
    public var position: SourcePosition?
    public var description: String { "\(position.map { "\($0): " } ?? "")\(reference): \(reason)" }

    /// The error as a diagnostic at the place of the reference.
    public func diagnostic(file: String) -> Diagnostic {
        Diagnostic(
            code: ConfigCode.secret, message: "'\(reference)' must be readable: \(reason)",
            position: position ?? SourcePosition(file: file, line: 1, column: 1))
    }
}

/// Reads what secret references name. A value; its two readers are parameters so that tests need no real secrets.
public struct SecretResolver: Sendable {
    /// Bytes a secret file may have.
    public static let fileByteCountMax = 1 << 16

    private let environment: @Sendable (String) -> String?
    private let readFile: @Sendable (String) throws -> [UInt8]

    /// Makes a resolver of two readers.
    public init(
        environment: @escaping @Sendable (String) -> String?, readFile: @escaping @Sendable (String) throws -> [UInt8]
    ) {
        self.environment = environment
        self.readFile = readFile
    }

    /// Reads the process's environment and files; relative paths start at `baseDirectory`.
    public static func system(baseDirectory: String) -> SecretResolver {
        SecretResolver(
            environment: { ProcessInfo.processInfo.environment[$0] },
            readFile: { path in
                let full = path.hasPrefix("/") || baseDirectory == "." ? path : baseDirectory + "/" + path
                do throws(FileBytes.Failure) {
                    return try FileBytes.read(path: full, countMax: fileByteCountMax)
                } catch {
                    throw FileReadError(description: error.message)
                }
            })
    }

    /// Why a secret file cannot be read.
    public struct FileReadError: Error, CustomStringConvertible {
        public var description: String
    }

    func environmentValue(_ name: String, position: SourcePosition?) throws(SecretError) -> String {
        let reference = "${env:\(name)}"
        guard let value = environment(name) else {
            throw SecretError(reference: reference, reason: "the variable is not set", position: position)
        }
        guard !value.isEmpty else {
            throw SecretError(reference: reference, reason: "the variable is empty", position: position)
        }
        return value
    }

    func fileValue(_ path: String, position: SourcePosition?) throws(SecretError) -> String {
        let reference = "${file:\(path)}"
        var bytes: [UInt8]
        do {
            bytes = try readFile(path)
        } catch let error as FileReadError {
            throw SecretError(reference: reference, reason: error.description, position: position)
        } catch {
            throw SecretError(reference: reference, reason: "the file cannot be read", position: position)
        }
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SecretError(reference: reference, reason: "the file is no UTF-8 text", position: position)
        }
        guard !text.isEmpty else {
            throw SecretError(reference: reference, reason: "the file is empty", position: position)
        }
        return text
    }
}
