public import ConfigFiles
public import Core
public import Delivery
internal import HTTPTransport
internal import Templates

/// The settings of a receiver of kind `webhook`.
///
/// Diagnostics: `M006` an unknown locale or time zone, `M007` a header that cannot be set, or a secret one written out.
public struct WebhookReceiverConfiguration: Sendable {
    /// A header that every request carries.
    public struct Header: Sendable, Equatable {
        public var name: String
        public var value: SecretText
    }

    public var name: String
    /// Often its own credential, so a secret.
    public var url: SecretText?
    /// Takes `http://` to other machines too.
    public var allowsPlaintext: Bool
    public var headers: [Header]
    /// Keys that requests are signed with; several while one replaces another.
    public var secrets: [SecretText]
    public var body: WebhookBodyOptions
    public var locale: String
    public var timeZone: String
    public var policy: DestinationPolicy

    /// Most signing keys of one receiver.
    public static let secretsMax = 4
    /// Most headers of one receiver.
    public static let headersMax = 20

    /// Rows taken ahead for each connection where no limit holds them back.
    static let aheadMax = 32

    /// Decodes the mapping of one receiver; what is wrong is reported to the mapping's reader.
    ///
    /// - Parameter name: the receiver's name.
    public init(_ mapping: MappingReader, name: String) {
        self.name = name
        url = mapping.requiredSecret("url", "The address that a POST is sent to.")
        allowsPlaintext = mapping.bool(
            "allow_http", "Takes an address that starts with 'http://', on other machines too.", default: false)
        body = WebhookBodyOptions(
            format: mapping.choice(
                "format", "The body: our own JSON, a CloudEvent with it, or that of Alertmanager's webhook.",
                default: WebhookFormat.generic),
            alertsMax: mapping.int(
                "alerts_max", "Most alerts in one message; the others are counted.", in: 1...100, default: 100),
            bytesMax: mapping.int(
                "message_bytes_max", "Most bytes of a message; texts are cut and alerts left out to stay below.",
                in: WebhookBodyOptions.bytesLeast...WebhookBodyOptions.bytesMost, default: 1 << 20),
            externalURL: mapping.string(
                "external_url", "What messages name as the router's own address.", default: ""))
        secrets = mapping.secrets("secret", "Keys of Standard Webhooks, 'whsec_…', that requests are signed with.")
        locale = mapping.string("locale", "The language and number format of the messages.", default: "en_US")
        timeZone = mapping.string("timezone", "The time zone of the times shown.", default: "UTC")
        policy = WebhookReceiverConfiguration.policy(mapping)
        headers = mapping.propertyMap("headers", "Headers of every request; values may refer to secrets.")
            .map { Header(name: $0.key.value, value: $0.value) }
        guard !mapping.isDescribing else { return }
        for problem in RenderLocale.problems(locale: locale, timeZone: timeZone) {
            mapping.report("M006", problem, at: mapping.has("timezone") ? "timezone" : "locale")
        }
        if let problem = headersProblem { mapping.report("M007", problem, at: "headers") }
        if secrets.count > WebhookReceiverConfiguration.secretsMax {
            mapping.report(
                "M007", "'secret' takes at most \(WebhookReceiverConfiguration.secretsMax) keys", at: "secret")
        }
    }

    /// Source: `reference/channels.md` 6.2 gives 5 a second; `docs/channels/webhook.md` says why messages never merge
    /// unless asked for.
    private static func policy(_ mapping: MappingReader) -> DestinationPolicy {
        var policy = DestinationPolicy.standard
        let perMinute = mapping.int(
            "messages_per_minute", "Most messages in any minute; 0 for no limit.", in: 0...100_000, default: 0)
        if perMinute > 0 { policy.windows.append(RateWindow(count: perMinute, duration: .seconds(60))) }
        let perSecond = mapping.int(
            "messages_per_second", "How fast messages follow each other; 0 for as fast as they go.", in: 0...10_000,
            default: 5)
        if perSecond > 0 { policy.pace = Pace(perSecond: Double(perSecond), burst: perSecond * 2) }
        if let perDay = mapping.int("messages_per_day", "Most messages in any 24 hours.", in: 1...100_000) {
            policy.windows.append(RateWindow(count: perDay, duration: .seconds(86_400)))
        }
        policy.concurrency = mapping.int("connections", "Most requests at a time.", in: 1...8, default: 4)
        policy.attemptTimeout = mapping.duration("timeout", "The longest a request takes.", default: .seconds(30))
        policy.ageLimit = mapping.duration(
            "give_up_after", "A message tried for longer becomes a dead letter.", default: .seconds(86_400))
        policy.mergeAbove = mapping.int(
            "merge_above", "With more waiting messages than this they become one.", in: 1...10_000)
        policy.onAmbiguous = mapping.choice(
            "on_ambiguous", "After a lost answer: send again, or hold for a person.", default: AmbiguousPolicy.resend)
        // Without limits the store's commits decide how fast messages go: rows are taken ahead, to record many at once.
        let isUnlimited = policy.pace == nil && policy.windows.isEmpty && policy.mergeAbove == nil
        let takesAhead = isUnlimited && policy.onAmbiguous == .resend
        policy.claimBatch = policy.concurrency * (takesAhead ? WebhookReceiverConfiguration.aheadMax : 1)
        return policy
    }
}

/// Why a value of a webhook's settings cannot be used. Does not contain it.
public struct WebhookFlaw: Error, Equatable, CustomStringConvertible {
    /// Whether it is the address.
    public var isAddress: Bool
    public var message: String
    /// Where the value's reference stands.
    public var position: SourcePosition?
    public var description: String { message }
}

// MARK: - Values

extension WebhookReceiverConfiguration {
    /// What is wrong with the values behind the references; those that cannot be resolved are passed over.
    public func flaws(_ resolver: SecretResolver) -> [WebhookFlaw] {
        var flaws: [WebhookFlaw] = []
        func check(_ text: SecretText, _ attempt: (Secret) throws(WebhookFlaw) -> Void) {
            guard let value = try? text.resolve(resolver) else { return }
            do throws(WebhookFlaw) { try attempt(value) } catch { flaws.append(error) }
        }
        if let url {
            check(url) { value throws(WebhookFlaw) in _ = try address(value, position: url.position) }
        }
        for header in headers {
            check(header.value) { value throws(WebhookFlaw) in
                _ = try WebhookReceiverConfiguration.headerValue(
                    value, name: header.name, position: header.value.position)
            }
        }
        for secret in secrets {
            check(secret) { value throws(WebhookFlaw) in
                _ = try WebhookReceiverConfiguration.key(value, position: secret.position)
            }
        }
        return flaws
    }

    func address(_ text: Secret, position: SourcePosition?) throws(WebhookFlaw) -> HTTPURL {
        let url: HTTPURL
        do throws(HTTPURLError) { url = try HTTPURL(text.reveal()) } catch {
            throw WebhookFlaw(isAddress: true, message: error.message, position: position)
        }
        let isLoopback = ["127.0.0.1", "::1", "localhost"].contains(url.host)
        guard url.isSecure || isLoopback || allowsPlaintext else {
            throw WebhookFlaw(
                isAddress: true,
                message:
                    "the address of a webhook must start with 'https://', unless 'allow_http: true' says otherwise",
                position: position)
        }
        return url
    }

    static func headerValue(
        _ value: Secret, name: String, position: SourcePosition?
    ) throws(WebhookFlaw) -> String {
        let text = value.reveal()
        guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }), text.utf8.count <= 8192 else {
            throw WebhookFlaw(
                isAddress: false, message: "the value of header '\(name)' must be printable ASCII on one line",
                position: position)
        }
        return text
    }

    static func key(_ secret: Secret, position: SourcePosition?) throws(WebhookFlaw) -> WebhookKey {
        guard let key = WebhookKey(secret) else {
            let counts = WebhookKey.byteCounts
            throw WebhookFlaw(
                isAddress: false,
                message:
                    "a signing key must be 'whsec_' and the base64 of \(counts.lowerBound) to \(counts.upperBound) "
                    + "random bytes", position: position)
        }
        return key
    }

    private static let reserved: Set<String> = [
        "host", "content-length", "content-type", "transfer-encoding", "connection", "keep-alive", "te", "trailer",
        "upgrade", "expect", "proxy-connection", "webhook-id", "webhook-timestamp", "webhook-signature",
    ]

    private var headersProblem: String? {
        guard headers.count <= WebhookReceiverConfiguration.headersMax else {
            return "'headers' takes at most \(WebhookReceiverConfiguration.headersMax) headers"
        }
        var seen: Set<String> = []
        for header in headers {
            let name = header.name.lowercased()
            let isToken = name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (97...122).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
            guard isToken, (1...200).contains(name.utf8.count) else {
                return "'headers' has a name that is no header's"
            }
            if WebhookReceiverConfiguration.reserved.contains(name) {
                return "header '\(header.name)' is set by the router itself"
            }
            guard seen.insert(name).inserted else { return "header '\(header.name)' stands twice" }
            let isSecret = ["authorization", "cookie", "token", "secret", "api-key", "apikey", "password"]
                .contains { name.contains($0) }
            if isSecret, !header.value.hasReference {
                return "header '\(header.name)' must be a reference such as '${env:NAME}' or '${file:path}'"
            }
        }
        return nil
    }
}
