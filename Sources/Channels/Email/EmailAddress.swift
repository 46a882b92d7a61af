/// A mail address that can stand in a command and in a header without quoting.
///
/// Quoted local parts, comments, address literals and display names are refused: none is needed, and all have been used
/// to smuggle something. Non-ASCII mailbox names are allowed; they need a server with SMTPUTF8.
public struct EmailAddress: Sendable, Hashable, CustomStringConvertible {
    public let localPart: String
    /// In lower case.
    public let domain: String

    /// `local@domain`.
    public var description: String { "\(localPart)@\(domain)" }

    /// Whether the address needs SMTPUTF8.
    public var isASCII: Bool { description.utf8.allSatisfy { $0 < 0x80 } }

    /// Why a text is no address.
    public struct Flaw: Error, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// Reads an address; blanks around it are dropped.
    ///
    /// Source: RFC 5321 section 4.5.3.1 (64 and 255 octets), RFC 5322 section 3.2.3 (dot-atom), RFC 6531 (UTF-8).
    /// - Throws: ``Flaw`` that says what is wrong, without repeating the text.
    public init(_ text: String) throws(Flaw) {
        var scalars = Substring(text).unicodeScalars
        while let first = scalars.first, first == " " { scalars.removeFirst() }
        while let last = scalars.last, last == " " { scalars.removeLast() }
        let trimmed = Substring(scalars)
        guard let at = trimmed.lastIndex(of: "@") else { throw Flaw(description: "no '@'") }
        let local = trimmed[..<at]
        let domain = trimmed[trimmed.index(after: at)...]
        guard (1...64).contains(local.utf8.count) else {
            throw Flaw(description: "the local part has 0 or over 64 bytes")
        }
        guard EmailAddress.isDotAtom(local) else {
            throw Flaw(description: "the local part has a character that an address cannot have without quotes")
        }
        guard (1...255).contains(domain.utf8.count), trimmed.utf8.count <= 254 else {
            throw Flaw(description: "the address is too long or has no domain")
        }
        guard EmailAddress.isDomain(domain) else { throw Flaw(description: "the domain is no host name") }
        localPart = String(local)
        self.domain = domain.lowercased()
    }

    private static func isDotAtom(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.allSatisfy { part in !part.isEmpty && part.unicodeScalars.allSatisfy(isAtom) }
    }

    private static func isAtom(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9": true
        case "!", "#", "$", "%", "&", "'", "*", "+", "-", "/", "=", "?", "^", "_", "`", "{", "|", "}", "~": true
        default: isVisibleBeyondASCII(scalar)
        }
    }

    private static func isVisibleBeyondASCII(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.value >= 0xA0 else { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }

    private static func isDomain(_ text: Substring) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.unicodeScalars.allSatisfy { scalar in
                    switch scalar {
                    case "a"..."z", "A"..."Z", "0"..."9", "-", "_": true
                    default: isVisibleBeyondASCII(scalar)
                    }
                }
        }
    }

    /// Whether the domain is one of those listed, or below one listed with a leading `*.`; in lower case.
    public func isAllowed(by domains: [String]) -> Bool {
        domains.contains { allowed in
            if allowed == "*" { return true }
            if allowed.hasPrefix("*.") {
                return domain.hasSuffix(allowed.dropFirst(1)) && domain.count > allowed.count - 1
            }
            return domain == allowed
        }
    }
}

/// An address with the name shown beside it.
public struct EmailMailbox: Sendable, Hashable {
    public var name: String?
    public var address: EmailAddress

    /// Makes a mailbox.
    public init(name: String?, address: EmailAddress) {
        self.name = name
        self.address = address
    }
}
