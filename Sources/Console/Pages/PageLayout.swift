internal import Core
internal import Foundation

/// What all pages share: frame, style, headers.
enum PageLayout {
    /// Raw text in its element, so it must do without `<`, `>`, `&` and quotes.
    static let style = """
        :root{color-scheme:light dark;--line:#8884;--dim:#777}
        *{box-sizing:border-box}
        body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:0 .8rem 3rem}
        nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:center;padding:.7rem 0;
        border-bottom:1px solid var(--line)}
        nav b{margin-right:auto} nav form{display:inline}
        h1{font-size:1.4rem;margin:1rem 0 .5rem} h2{font-size:1.1rem;margin:1.4rem 0 .4rem}
        article{border:1px solid var(--line);border-left:.4rem solid var(--dim);border-radius:.4rem;
        padding:.5rem .8rem;margin:.6rem 0}
        .critical{border-left-color:#b00020}.error{border-left-color:#e05300}
        .warning{border-left-color:#d9a400}.info{border-left-color:#2a78c8}
        .dim{color:var(--dim);font-size:.88rem}.tag{border:1px solid var(--line);border-radius:.8rem;
        padding:0 .5rem;margin-right:.3rem;font-size:.85rem;display:inline-block;overflow-wrap:anywhere}
        .problem{border:2px solid #b00020;border-radius:.4rem;padding:.5rem .8rem;margin:.8rem 0}
        .part{margin-left:1.5rem} p,li,td,h1{overflow-wrap:anywhere}
        ol{list-style:none;padding:0} ol li{border-top:1px solid var(--line);padding:.35rem 0}
        .scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}td,th{text-align:left;
        padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
        form.fields{display:flex;flex-wrap:wrap;gap:.5rem;align-items:end;margin:.6rem 0}label{display:flex;
        flex-direction:column;font-size:.88rem;flex:1 1 12rem}
        input,select,button{font:inherit;padding:.35rem .5rem;max-width:100%} button{cursor:pointer}
        """

    private static let policy: String = {
        let digest = Data(Digest.sha256(style.utf8)).base64EncodedString()
        return "default-src 'none'; style-src 'sha256-\(digest)'; form-action 'self'; base-uri 'none'; "
            + "frame-ancestors 'none'"
    }()

    /// Headers of every answer, pages or not.
    static let headers: [(name: String, value: String)] = [
        ("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"),
        ("content-security-policy", policy), ("x-frame-options", "DENY"),
    ]

    /// A page as an answer.
    /// - Parameter identity: who reads it; nil leaves out the way to the other pages.
    static func page(
        _ status: Int, title: String, identity: ConsoleIdentity?, formToken: String, _ content: HTML...
    ) -> ConsoleResponse {
        let html = HTML.tag(
            "html", [.named("lang", "en")],
            .tag(
                "head", [],
                .tag("meta", [.named("charset", "utf-8")]),
                .tag(
                    "meta",
                    [.named("name", "viewport"), .named("content", "width=device-width, initial-scale=1")]),
                .tag("title", [], "\(title) - AlertRouter"), .tag("style", [], .text(style))),
            .tag(
                "body", [], navigation(identity, formToken),
                .element("main", [], [.tag("h1", [], .text(title))] + content)))
        return ConsoleResponse(status, "text/html; charset=utf-8", html.document)
    }

    private static func navigation(_ identity: ConsoleIdentity?, _ formToken: String) -> HTML {
        guard let identity else { return .tag("nav", [], .tag("b", [], "AlertRouter")) }
        let places = [
            ("/", "Alerts"), ("/silences", "Silences"), ("/receivers", "Receivers"), ("/dead-letters", "Dead letters"),
        ]
        let isKnown = identity.name != ConsoleIdentity.loopbackName
        let login: HTML =
            isKnown
            ? .tag(
                "form", [.named("method", "post"), .link("action", "/logout")], hidden("form", formToken),
                .tag("button", [], "Log out \(identity.name)"))
            : .tag("a", [.link("href", "/login")], "Log in")
        let links = places.map { HTML.tag("a", [.link("href", $0.0)], .text($0.1)) }
        return .element("nav", [], [.tag("b", [], "AlertRouter")] + links + [login])
    }

    static func hidden(_ name: String, _ value: String) -> HTML {
        .tag("input", [.named("type", "hidden"), .named("name", name), .named("value", value)])
    }

    /// A form that posts; it carries the token that only our own pages know.
    static func form(action: String, formToken: String, _ fields: HTML...) -> HTML {
        .element(
            "form", [.type("fields"), .named("method", "post"), .link("action", action)],
            [hidden("form", formToken)] + fields)
    }

    static func field(_ label: String, name: String, value: String, type: String = "text") -> HTML {
        .tag(
            "label", [], .text(label),
            .tag(
                "input",
                [
                    .named("type", type), .named("name", name), .named("value", value),
                    .named("maxlength", "4000"), .named("autocomplete", "off"),
                ]))
    }

    static func choice(_ label: String, name: String, _ options: [(value: String, text: String)], chosen: String)
        -> HTML
    {
        let choices = options.map { option in
            HTML.element(
                "option",
                [.named("value", option.value)] + (option.value == chosen ? [.flag("selected")] : []),
                [.text(option.text)])
        }
        return .tag("label", [], .text(label), .element("select", [.named("name", name)], choices))
    }

    static func button(_ text: String) -> HTML { .tag("button", [.named("type", "submit")], .text(text)) }

    static func problem(_ text: String) -> HTML { .tag("p", [.type("problem"), .named("role", "alert")], .text(text)) }

    static func dim(_ text: String) -> HTML { .tag("p", [.type("dim")], .text(text)) }

    /// A time with its zone, to the second.
    static func time(_ time: Timestamp) -> String {
        let text = time.description
        return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + " UTC"
    }

    /// A table that scrolls by itself on a narrow screen.
    static func table(_ header: [String], _ rows: [[HTML]]) -> HTML {
        .tag(
            "div", [.type("scroll")],
            .tag(
                "table", [],
                .element("tr", [], header.map { .tag("th", [], .text($0)) }),
                .group(rows.map { row in .element("tr", [], row.map { .tag("td", [], $0) }) })))
    }
}
