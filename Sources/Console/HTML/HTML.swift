/// A piece of a page. Texts are escaped when they are written; there is no way to put in markup.
indirect enum HTML: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    /// An attribute; names come from the program, values from anywhere.
    struct Attribute: Sendable {
        fileprivate var name: String
        fileprivate var value: String?

        /// An attribute with a value. Addresses are made by ``link(_:_:)``.
        static func named(_ name: StaticString, _ value: String) -> Attribute {
            Attribute(name: name.description, value: value)
        }
        /// An attribute that is there or not.
        static func flag(_ name: StaticString) -> Attribute { Attribute(name: name.description, value: nil) }
        static func type(_ value: String) -> Attribute { .named("class", value) }

        /// An attribute that holds an address; one that is neither of the web nor of this page leads nowhere.
        static func link(_ name: StaticString, _ address: String) -> Attribute {
            .named(name, HTML.isSafe(address: address) ? address : "#")
        }
    }

    case text(String)
    case element(StaticString, [Attribute], [HTML])
    case group([HTML])

    init(stringLiteral value: String) { self = .text(value) }

    static let nothing = HTML.group([])

    /// An element with its children.
    static func tag(_ name: StaticString, _ attributes: [Attribute] = [], _ children: HTML...) -> HTML {
        .element(name, attributes, children)
    }

    /// Elements without an end tag.
    private static let voids: Set<String> = ["meta", "input", "br", "hr", "link"]

    /// Whether an address may be followed from a page: http, https, mailto, or a path of our own.
    static func isSafe(address: String) -> Bool {
        guard !address.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return false }
        if address.hasPrefix("/") { return !address.hasPrefix("//") && !address.hasPrefix("/\\") }
        let lower = address.lowercased()
        return ["http://", "https://", "mailto:", "?", "#"].contains { lower.hasPrefix($0) }
    }

    /// The whole page as UTF-8, the document type first.
    var document: [UInt8] {
        var output = Array("<!DOCTYPE html>\n".utf8)
        write(to: &output)
        output.append(0x0A)
        return output
    }

    /// The piece as text.
    var rendered: String {
        var output: [UInt8] = []
        write(to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    private func write(to output: inout [UInt8]) {
        switch self {
        case .text(let text): HTML.escape(text, to: &output)
        case .group(let children): for child in children { child.write(to: &output) }
        case .element(let name, let attributes, let children):
            output += "<\(name)".utf8
            for attribute in attributes {
                output += " \(attribute.name)".utf8
                guard let value = attribute.value else { continue }
                output += "=\"".utf8
                HTML.escape(value, to: &output)
                output += "\"".utf8
            }
            output += ">".utf8
            guard !HTML.voids.contains(name.description) else { return }
            for child in children { child.write(to: &output) }
            output += "</\(name)>".utf8
        }
    }

    /// Escapes for text and quoted attributes alike; characters that no page may hold become U+FFFD.
    private static func escape(_ text: String, to output: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): output += "&amp;".utf8
            case UInt8(ascii: "<"): output += "&lt;".utf8
            case UInt8(ascii: ">"): output += "&gt;".utf8
            case UInt8(ascii: "\""): output += "&quot;".utf8
            case UInt8(ascii: "'"): output += "&#39;".utf8
            case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x80...0xFF: output.append(byte)
            default: output += "\u{FFFD}".utf8
            }
        }
    }
}
