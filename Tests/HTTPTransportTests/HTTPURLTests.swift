import Core
import Testing

@testable import HTTPTransport

// Goal: addresses are kept byte for byte, refused when they could mean something else, and never shown. Method: tables.

@Suite struct HTTPURLTests {
    static let webhook =
        "https://env-1.ab.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/77/triggers/"
        + "manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=Zm9v-_bar.secret"

    @Test func `a signed address keeps its bytes`() throws {
        let url = try HTTPURL(Self.webhook)
        #expect(url.text == Self.webhook)
        #expect(url.host == "env-1.ab.environment.api.powerplatform.com" && url.port == 443 && url.isSecure)
        #expect(url.target.hasSuffix("sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=Zm9v-_bar.secret"))
    }

    @Test(arguments: [
        ("http://h", "h", 80, "/"), ("http://H:8080?x=1", "h", 8080, "/?x=1"), ("https://[::1]:9/p", "::1", 9, "/p"),
        ("https://h/%2F//a?b=%20", "h", 443, "/%2F//a?b=%20"),
    ])
    func `parts are found`(text: String, host: String, port: Int, target: String) throws {
        let url = try HTTPURL(text)
        #expect(url.host == host && url.port == port && url.target == target)
    }

    @Test(arguments: [
        "", "h", "ftp://h", "https://", "https:///p", "https://u:p@h", "https://h:0", "https://h:65536", "https://h:x",
        "https://h/a b", "https://h/ä", "https://h/\n", "https://h\\@e", "https://h/#f", "https://[::1",
        "https://[::1]x",
        "javascript:alert(1)", "https://h/" + String(repeating: "a", count: 5000),
    ])
    func `anything else is refused without showing it`(text: String) {
        do {
            _ = try HTTPURL(text)
            Issue.record("accepted \(text)")
        } catch {
            #expect(text.count < 12 || !error.description.contains(text))
        }
    }

    @Test func `no description shows more than the host and a digest`() throws {
        let url = try HTTPURL(Self.webhook)
        var dumped = ""
        dump(url, to: &dumped)
        for text in ["\(url)", String(reflecting: url), dumped] {
            #expect(!text.contains("sig=") && !text.contains("Zm9v") && !text.contains("workflows"))
            #expect(text.contains("powerplatform.com"))
        }
        #expect(url.description != (try HTTPURL(Self.webhook + "x")).description)
        let leaked = "cannot reach \(Self.webhook): \(url.target) with Zm9v-_bar.secret"
        #expect(!url.redacted(from: leaked).contains("Zm9v"))
        #expect(!url.redacted(from: leaked).contains("workflows"))
    }

    @Test func `a proxy spoken to over TLS is a load error, and a password does not show`() throws {
        #expect(throws: HTTPTransportError.self) { try HTTPProxy("https://proxy:3128") }
        #expect(throws: HTTPTransportError.self) { try HTTPProxy("socks5://proxy:1080") }
        #expect(throws: HTTPTransportError.self) { try HTTPProxy("http://proxy:3128/path") }
        #expect(throws: HTTPTransportError.self) { try HTTPProxy("http://u%zz@proxy") }
        let proxy = try HTTPProxy("http://us%40er:p%3Aw@Proxy.example.com:3128/")
        #expect(proxy.host == "proxy.example.com" && proxy.port == 3128)
        #expect(proxy.userName == "us@er" && proxy.password?.reveal() == "p:w")
        #expect(!"\(proxy)".contains("p:w"))
        #expect(try HTTPProxy("http://proxy").port == 8080)
    }

    @Test func `no_proxy covers hosts, domains, ports and everything`() {
        let list = NoProxyList("localhost, .example.com,10.0.0.1,api.test:8443")
        #expect(list.covers(host: "localhost", port: 1))
        #expect(list.covers(host: "a.example.com", port: 443) && list.covers(host: "example.com", port: 443))
        #expect(!list.covers(host: "badexample.com", port: 443))
        #expect(list.covers(host: "10.0.0.1", port: 80) && !list.covers(host: "10.0.0.11", port: 80))
        #expect(list.covers(host: "api.test", port: 8443) && !list.covers(host: "api.test", port: 443))
        #expect(NoProxyList("*").covers(host: "anything", port: 1))
        #expect(!NoProxyList("").covers(host: "", port: 1))
    }
}
