/// What has to be known of a receiver when a notification is written: how it shows texts and whom it may reach.
public struct ReceiverProfile: Sendable, Equatable {
    /// Where notifications go.
    public enum Addressing: Sendable, Equatable {
        /// One fixed place, such as a webhook; a recipient from data changes nothing.
        case fixed
        /// Mail addresses: `to` unless the row names a recipient, who must be in one of the domains.
        case mail(to: [String], allowedDomains: [String], fallback: String?)
    }

    /// Whom a notification goes to, and why not to the one the row names.
    public struct Resolution: Sendable, Equatable {
        /// One outbox row each; nil stands for the receiver's one fixed place.
        public var addresses: [String?]
        /// Why the row's recipient was not used; nil where it was or none was named.
        public var refusal: String?

        /// States whom a notification goes to.
        public init(addresses: [String?], refusal: String?) {
            self.addresses = addresses
            self.refusal = refusal
        }
    }

    public var name: String
    /// The channel's kind: `teams`, `email`.
    public var channel: String
    public var locale: String
    public var timeZone: String
    public var addressing: Addressing
    /// Its channel keeps one incident per alert; it gets every alert alone, never a group.
    public var isIncidentChannel = false

    /// Describes a receiver.
    public init(name: String, channel: String, locale: String, timeZone: String, addressing: Addressing) {
        self.name = name
        self.channel = channel
        self.locale = locale
        self.timeZone = timeZone
        self.addressing = addressing
    }

    /// Resolves whom a notification goes to.
    ///
    /// - Parameters:
    ///   - recipient: what the rule's `recipient` gave for the row; nil where it gave nothing.
    ///   - isRecipientExpected: the rule names a recipient; without one the fallback is told, not everybody in `to`.
    public func resolve(recipient: String?, isRecipientExpected: Bool) -> Resolution {
        guard case .mail(let to, let domains, let fallback) = addressing else {
            return Resolution(addresses: [nil], refusal: nil)
        }
        guard isRecipientExpected else { return Resolution(addresses: to, refusal: nil) }
        let others = fallback.map { [$0] } ?? to
        guard let recipient, !recipient.isEmpty else {
            return Resolution(addresses: others, refusal: "the row names no recipient")
        }
        guard let domain = ReceiverProfile.domain(of: recipient) else {
            return Resolution(addresses: others, refusal: "the row's recipient is no mail address")
        }
        let isOwn = (to + others).contains { $0.lowercased() == recipient.lowercased() }
        guard isOwn || domains.contains(where: { ReceiverProfile.covers($0.lowercased(), domain) }) else {
            return Resolution(addresses: others, refusal: "the recipient's domain '\(domain)' is not allowed")
        }
        return Resolution(addresses: [recipient], refusal: nil)
    }

    /// Whether an allowed domain covers another: `example.com` itself, `*.example.com` all below it.
    private static func covers(_ allowed: String, _ domain: String) -> Bool {
        allowed.hasPrefix("*.") ? domain.hasSuffix(allowed.dropFirst()) : domain == allowed
    }

    /// The lower-case domain of a plain mail address; nil where the text is none.
    public static func domain(of address: String) -> String? {
        let parts = address.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, address.utf8.count <= 254 else { return nil }
        let isPlain = address.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && scalar.value != 0x7F && !"<>()[],;:\\\"".unicodeScalars.contains(scalar)
        }
        let labels = parts[1].split(separator: ".", omittingEmptySubsequences: false)
        let isDomain =
            labels.count >= 2
            && labels.allSatisfy { label in
                !label.isEmpty && label.first != "-" && label.last != "-"
                    && label.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" }
            }
        return isPlain && isDomain ? parts[1].lowercased() : nil
    }
}
