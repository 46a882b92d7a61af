import Foundation
import Testing

/// Goal: 'check' finds what 'run' refuses, at its place and with the same words. Method: a table of configurations with
/// one thing wrong each, both commands of the built program.
@Suite(.enabled(if: Program.isBuilt), .timeLimit(.minutes(2))) struct CheckTests {
    /// A configuration that is right apart from what is put in.
    struct Broken: Sendable, CustomTestStringConvertible {
        var name: String
        var store = "state"
        var brokers = "[\"127.0.0.1:9\"]"
        var properties = "{}"
        var oauth = ""
        var receiver = "{name: a, channel: teams, url: \"${file:hook}\", locale: en_GB, timezone: UTC}"
        var http = "{port: 0}"
        /// Line and column in `alert-router.yaml`.
        var place: String
        var reason: String
        var testDescription: String { name }

        var text: String {
            """
            store: \(store)
            start: earliest
            kafka:
              brokers: \(brokers)
              topics: [t]
              properties: \(properties)
            \(oauth.isEmpty ? "  group: g" : "  oauth: \(oauth)")
            receivers:
              - \(receiver)
            default_receiver: a
            operator: a
            http: \(http)

            """
        }
    }

    private static let mail =
        "{name: a, channel: email, host: mail.example.com, from: a@example.com, to: [b@example.com]"

    static let table: [Broken] = [
        Broken(
            name: "a bearer token without a source", properties: "{sasl.mechanism: OAUTHBEARER}", place: "6:16",
            reason: "OAUTHBEARER needs a token"),
        Broken(
            name: "a token endpoint that is no URL", properties: "{sasl.mechanism: OAUTHBEARER}",
            oauth: "{token_endpoint: login.example.com, client_id: x, client_secret: \"${file:secret}\"}",
            place: "7:27",
            reason: "a URL must start with 'https://'"),
        Broken(
            name: "a token file that is not there", properties: "{sasl.mechanism: OAUTHBEARER}",
            oauth: "{token_file: tokens/kafka}", place: "7:23", reason: "the token file must be readable"),
        Broken(
            name: "tokens that nothing asks for", properties: "{security.protocol: SASL_SSL}",
            oauth: "{token_file: secret}", place: "7:23", reason: "'oauth' has no effect"),
        Broken(
            name: "OIDC, which Debian's library lacks", properties: "{sasl.oauthbearer.method: oidc}", place: "6:16",
            reason: "was built without OIDC"),
        Broken(
            name: "a property of a later library", properties: "{enable.metrics.push: 'false'}", place: "6:16",
            reason: "No such configuration property"),
        Broken(
            name: "a property the guarantees rest on", properties: "{enable.auto.commit: 'true'}", place: "6:16",
            reason: "offsets are committed only after everything they caused is stored"),
        Broken(
            name: "authorities that are not there",
            properties: "{security.protocol: SSL, ssl.ca.location: /nowhere/ca.pem}", place: "6:40",
            reason: "ssl.ca.location"),
        Broken(
            name: "properties that contradict each other",
            properties: "{session.timeout.ms: 400000, max.poll.interval.ms: 300000}", place: "6:44",
            reason: "max.poll.interval.ms"),
        Broken(
            name: "an unknown mechanism", properties: "{security.protocol: SASL_PLAINTEXT, sasl.mechanism: MAGIC}",
            place: "6:51", reason: "Unsupported SASL mechanism: MAGIC"),
        Broken(
            name: "a secret file that is not there", properties: "{sasl.password: \"${file:nowhere}\"}", place: "6:31",
            reason: "'${file:nowhere}' must be readable: the file 'nowhere' does not exist"),
        Broken(
            name: "a secret that is a folder", properties: "{sasl.password: \"${file:rules}\"}", place: "6:31",
            reason: "is a folder"),
        Broken(
            name: "mail authorities that are not there", receiver: mail + ", ca_file: ca.pem}", place: "9:106",
            reason: "cannot use the certificate authorities of 'ca.pem': No such file"),
        Broken(
            name: "a webhook's signing key that is none",
            receiver: "{name: a, channel: webhook, url: \"${file:hook}\", secret: \"${file:secret}\"}", place: "9:62",
            reason: "a signing key must be 'whsec_'"),
        Broken(
            name: "a store in a file", store: "secret/state", place: "1:8",
            reason: "the store cannot be written: "),
        Broken(
            name: "a port in the host", http: "{host: \"127.0.0.1:9464\"}", place: "12:14",
            reason: "'host' must be an address of this machine"),
        Broken(
            name: "a token that could be guessed", http: "{tokens: [{name: jo, token: \"${file:secret}\"}]}",
            place: "12:35",
            reason: "must have at least 16 characters"),
        Broken(
            name: "a token that stands in the file", http: "{tokens: [{name: jo, token: literal}]}", place: "12:35",
            reason: "token"),
        Broken(
            name: "a token without a token", http: "{tokens: [{name: jo}]}", place: "12:17",
            reason: "a token needs 'token' or 'token_sha256'"),
        Broken(
            name: "a digest that is none", http: "{tokens: [{name: jo, token_sha256: abc}]}", place: "12:42",
            reason: "64 hexadecimal digits"),
        Broken(
            name: "a scope there is not", http: "{tokens: [{name: jo, token: \"${file:hook}\", scopes: [admin]}]}",
            place: "12:59", reason: "a scope must be read or write; found 'admin'"),
        Broken(
            name: "two tokens of one name",
            http: "{tokens: [{name: jo, token: \"${file:hook}\"}, {name: jo, token: \"${file:hook}\"}]}",
            place: "12:16",
            reason: "two tokens are named 'jo'"),
        Broken(
            name: "an external address that is none", http: "{port: 0}\nexternal_url: alerts.example.com",
            place: "13:15", reason: "'external_url' must be http:// or https://"),
        Broken(name: "an address that is none", http: "{host: 300.0.0.1}", place: "12:14", reason: "'host' must be"),
        Broken(name: "a broker with a word for a port", brokers: "[\"kafka:abc\"]", place: "4:12", reason: "host:port"),
    ]

    private func prepare(_ folder: borrowing Workspace, _ text: String) throws {
        try folder.write("tables: {t: {row_key: [id], columns: {id: int}}}\n", to: "rules/tables.yaml")
        try folder.write("s3cr3t\n", to: "secret")
        try folder.write("https://127.0.0.1:9/hook\n", to: "hook")
        try folder.write(text, to: "alert-router.yaml")
    }

    @Test(arguments: table) func `what run refuses is found by check, with the same reason`(broken: Broken) async throws
    {
        let folder = try Workspace()
        try prepare(folder, broken.text)
        let check = try await Program.run(["check"], in: folder.path)
        #expect(check.code == 1, "\(check.transcript)")
        #expect(check.errors.hasPrefix("alert-router.yaml:\(broken.place): error["), "\(check.errors)")
        #expect(check.errors.contains(broken.reason), "\(check.errors)")
        #expect(!check.transcript.contains("s3cr3t"))
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/state"), "a check changes nothing")
        let run = try await Program.run(["run"], in: folder.path)
        #expect(run.code == 1 && run.errors == check.errors, "\(run.transcript)")
    }

    @Test func `the configuration that is broken in the table is right otherwise`() async throws {
        let folder = try Workspace()
        try prepare(
            folder,
            Broken(
                name: "", properties: "{sasl.mechanism: OAUTHBEARER}", oauth: "{token_file: secret}", place: "",
                reason: ""
            )
            .text)
        let check = try await Program.run(["check"], in: folder.path)
        #expect(check.code == 0 && check.errors.isEmpty, "\(check.transcript)")
    }
}
