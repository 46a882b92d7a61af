import Core
import Testing

@testable import ConfigFiles

@Suite struct SecretTests {
    private let resolver = SecretResolver(
        environment: { ["TOKEN": "s3cret", "EMPTY": ""][$0] },
        readFile: { path in
            if path == "/run/key" { return Array("from file\n".utf8) }
            if path == "/run/bad" { return [0xFF] }
            throw SecretResolver.FileReadError(description: "the file '\(path)' does not exist")
        })

    private func read(_ value: String) -> (text: SecretText?, problems: [String]) {
        let reader = ConfigReader()
        let file = ConfigFile(text: "s: \(value)\n", file: "f.yaml")
        let text = reader.mapping(of: file) { $0.secretText("s", "Secret.") } ?? nil
        return (text, reader.diagnostics.map(\.message))
    }

    @Test(arguments: [
        ("${env:TOKEN}", "s3cret"), ("${file:/run/key}", "from file"),
        ("https://x?a=${env:TOKEN}&b=${file:/run/key}", "https://x?a=s3cret&b=from file"),
        ("$ConnectionString", "$ConnectionString"), ("'$${env:TOKEN}'", "${env:TOKEN}"), ("a$b{c}", "a$b{c}"),
    ])
    func `references are replaced and other dollars left alone`(value: String, expected: String) throws {
        let (text, problems) = read(value)
        #expect(problems == [])
        #expect(try #require(text).resolve(resolver).reveal() == expected)
    }

    @Test(arguments: [
        ("${env:TOKEN}", ["s3cret"], 0), ("['${env:TOKEN}', '${file:/run/key}']", ["s3cret", "from file"], 0),
        ("[]", [], 0), ("[hunter2, '${env:TOKEN}']", ["s3cret"], 1), ("{a: hunter2}", [], 1), ("hunter2", [], 1),
    ])
    func `one secret or several may be given, each by reference`(value: String, expected: [String], count: Int) throws {
        let reader = ConfigReader()
        let texts = reader.mapping(of: ConfigFile(text: "s: \(value)\n", file: "f.yaml")) {
            $0.secrets("s", "Secrets.")
        }
        #expect(try (texts ?? []).map { try $0.resolve(resolver).reveal() } == expected)
        #expect(reader.diagnostics.count == count)
        #expect(!reader.diagnostics.contains { $0.message.contains("hunter2") })
    }

    @Test(arguments: ["${vault:x}", "${env:}", "${env:1X}", "${env:A-B}", "${file:}", "${env:X", "${hunter2}"])
    func `a reference of another form is an error that does not repeat it`(value: String) {
        let (text, problems) = read("'\(value)'")
        #expect(text == nil)
        #expect(problems.count == 1)
        #expect(problems.first?.contains("hunter2") == false)
    }

    @Test(arguments: [
        ("${env:NONE}", "${env:NONE}", "the variable is not set"),
        ("${env:EMPTY}", "${env:EMPTY}", "the variable is empty"),
        ("x${file:/no}", "${file:/no}", "the file '/no' does not exist"),
        ("${env:TOKEN}${file:/run/bad}", "${file:/run/bad}", "the file is no UTF-8 text"),
    ])
    func `an error names the reference and never a value`(value: String, reference: String, reason: String) throws {
        let text = try #require(read(value).text)
        #expect {
            try text.resolve(resolver)
        } throws: { error in
            let error = error as? SecretError
            return error?.reference == reference && error?.reason == reason
                && error?.description == "f.yaml:1:4: \(reference): \(reason)"
                && error.map { "\($0)".contains("s3cret") } == false
        }
    }

    @Test func `a secret written into the file is refused and not repeated`() {
        let found = problems("password: hunter2\n") { _ = $0.requiredSecret("password", "Password.") }
        #expect(found.count == 1)
        #expect(found.first?.contains("must be a reference") == true)
        #expect(found.first?.contains("hunter2") == false)
    }

    @Test func `the line of a secret written into the file is not shown either`() {
        let reader = ConfigReader()
        let text = "user: jo\npassword: hunter2\n"
        _ = reader.mapping(of: ConfigFile(text: text, file: "f.yaml")) { mapping in
            _ = mapping.string("user", "User.")
            _ = mapping.requiredSecret("password", "Password.")
        }
        let shown = reader.diagnostics.map { $0.rendered(source: text) }.joined()
        #expect(shown.contains("password: (not shown)") && !shown.contains("hunter2"))
    }

    @Test func `properties take numbers and booleans as written`() throws {
        let reader = ConfigReader()
        let text =
            "p:\n  fetch.wait.max.ms: 010\n  enable: false\n  password: ${env:TOKEN}\n  user: $ConnectionString\n"
        let found = reader.mapping(of: ConfigFile(text: text, file: "f.yaml")) { $0.propertyMap("p", "P.") } ?? []
        #expect(reader.diagnostics.isEmpty)
        let values = try found.map { try $0.value.resolve(resolver).reveal() }
        #expect(values == ["010", "false", "s3cret", "$ConnectionString"])
    }

    @Test func `the system's resolver reads files relative to the configuration`() throws {
        let folder = try TemporaryFolder()
        try folder.write("key.txt", "k1\r\n")
        let system = SecretResolver.system(baseDirectory: folder.path)
        let text = SecretText(parts: [.file("key.txt")], position: nil)
        #expect(try text.resolve(system).reveal() == "k1")
        try folder.write("key.txt", "k2")
        #expect(try text.resolve(system).reveal() == "k2")
        try folder.write("key.txt", bytes: Array(repeating: 65, count: SecretResolver.fileByteCountMax + 1))
        #expect(throws: SecretError.self) { try text.resolve(system) }
    }
}
