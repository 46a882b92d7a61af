public import ConfigFiles
internal import Core
public import Delivery
internal import Templates

/// The settings of a receiver of kind `email`.
///
/// Diagnostics: `M001` no mail address or host name, `M002` an allowed domain that is none, `M003` credentials that
/// would go out in the clear, `M004` a user name without a password or the reverse, `M005` an unknown locale or time
/// zone.
public struct EmailReceiverConfiguration: Sendable {
    public var name: String
    public var host: String
    public var port: Int
    public var security: SMTPConfiguration.Security
    public var serverName: String?
    public var certificateAuthoritiesFile: String?
    public var username: SecretText?
    public var password: SecretText?
    public var mechanism: SMTPConfiguration.Mechanism?
    public var allowsPlaintextAuthenticationOnLoopback: Bool
    public var clientName: String?
    public var from: EmailMailbox?
    /// Gets delivery notices; else the address of `from`.
    public var bounceAddress: EmailAddress?
    /// Who gets what has no recipient of its own.
    public var to: [EmailAddress]
    /// Domains to which recipients that come from data must belong; the domains of `to` and `fallback` always are.
    public var allowedDomains: [String]
    /// Gets what is meant for a recipient that is missing, no address or not allowed.
    public var fallback: EmailAddress?
    public var listId: String?
    /// Stands behind the `@` of message ids.
    public var messageIdDomain: String
    public var locale: String
    public var timeZone: String
    public var connectionsMax: Int
    public var policy: DestinationPolicy

    /// Decodes the mapping of one receiver; what is wrong is reported to the mapping's reader.
    ///
    /// - Parameter name: the receiver's name.
    public init(_ mapping: MappingReader, name: String) {
        self.name = name
        host = mapping.requiredString("host", "The mail server.")
        let security = mapping.choice(
            "tls", "How the connection is protected: STARTTLS (must succeed), implicit TLS, or none.",
            default: SMTPConfiguration.Security.startTLS)
        self.security = security
        let standardPort = security == .implicitTLS ? 465 : security == .startTLS ? 587 : 25
        port =
            mapping.int("port", "Its port; 587, with implicit TLS 465, without TLS 25.", in: 1...65_535) ?? standardPort
        serverName = mapping.string("server_name", "The name its certificate must carry, where it is not the host.")
        certificateAuthoritiesFile = mapping.string("ca_file", "A PEM file of authorities trusted beside the system's.")
        username = mapping.secretText("username", "The user, where the server asks for one.")
        password = mapping.secret("password", "The user's password, as a reference to a secret.")
        mechanism = mapping.choice(
            "mechanism", "The way to log in; else PLAIN, then LOGIN, as the server offers.",
            of: SMTPConfiguration.Mechanism.self)
        allowsPlaintextAuthenticationOnLoopback = mapping.bool(
            "plaintext_auth_on_loopback", "Sends the password without TLS to a server on this machine.", default: false)
        clientName = mapping.string("client_name", "The name this machine gives itself; else its address.")
        locale = mapping.string("locale", "The language and number format of the messages.", default: "en_US")
        timeZone = mapping.string("timezone", "The time zone of the times shown.", default: "UTC")
        listId = mapping.string("list_id", "A List-Id, by which mail programs sort, such as alerts.example.com.")
        connectionsMax = mapping.int("connections", "Most connections to the server at a time.", in: 1...10, default: 1)
        var readFrom: EmailMailbox?
        if let text = mapping.requiredText("from", "The sender: an address, or a name and an address in < >.") {
            readFrom = EmailReceiverConfiguration.mailbox(text, mapping, "from")
        }
        from = readFrom
        bounceAddress = EmailReceiverConfiguration.address(
            mapping.text("bounce_address", "Gets delivery notices, where it is not the sender."), mapping,
            "bounce_address")
        to = mapping.texts("to", "Who gets what has no recipient of its own.")
            .compactMap { EmailReceiverConfiguration.address($0, mapping, "to") }
        allowedDomains = mapping.strings(
            "allowed_domains", "Domains that recipients from data may have; `*.example.com` stands for all below."
        )
        .map { $0.lowercased() }
        fallback = EmailReceiverConfiguration.address(
            mapping.text("fallback", "Gets what is meant for a recipient that is missing or not allowed."), mapping,
            "fallback")
        let domain = mapping.string(
            "message_id_domain", "Stands behind the @ of message ids; else the sender's domain.")
        messageIdDomain = domain ?? readFrom?.address.domain ?? "alert-router.invalid"
        policy = EmailReceiverConfiguration.policy(mapping, connectionsMax: connectionsMax)
        check(mapping)
    }

    private func check(_ mapping: MappingReader) {
        guard !mapping.isDescribing else { return }
        if (username == nil) != (password == nil) {
            mapping.report(
                "M004", "'username' and 'password' belong together", at: username == nil ? "password" : "username")
        }
        if security == .none, password != nil, !allowsPlaintextAuthenticationOnLoopback {
            mapping.report(
                "M003", "a password is not sent without TLS", at: "password",
                help: "use 'tls: starttls', or 'plaintext_auth_on_loopback: true' for a server on this machine")
        }
        for problem in RenderLocale.problems(locale: locale, timeZone: timeZone) {
            mapping.report("M005", problem, at: mapping.has("timezone") ? "timezone" : "locale")
        }
        if EmailReceiverConfiguration.flaw(ofDomain: messageIdDomain) {
            mapping.report("M001", "'message_id_domain' must be a host name", at: "message_id_domain")
        }
        if let listId, EmailReceiverConfiguration.flaw(ofDomain: listId) {
            mapping.report("M001", "'list_id' must have the form of a host name", at: "list_id")
        }
        if let clientName, EmailReceiverConfiguration.flaw(ofDomain: clientName) {
            mapping.report("M001", "'client_name' must be a host name", at: "client_name")
        }
        for domain in allowedDomains where domain != "*" {
            let bare = domain.hasPrefix("*.") ? String(domain.dropFirst(2)) : domain
            if EmailReceiverConfiguration.flaw(ofDomain: bare) {
                mapping.report("M002", "'\(domain)' in 'allowed_domains' is no domain", at: "allowed_domains")
            }
        }
    }

    private static func flaw(ofDomain text: String) -> Bool {
        (try? EmailAddress("x@\(text)"))?.isASCII != true
    }

    private static func address(_ text: ConfigText?, _ mapping: MappingReader, _ key: String) -> EmailAddress? {
        guard let text else { return nil }
        do throws(EmailAddress.Flaw) {
            return try EmailAddress(text.value)
        } catch {
            mapping.report("M001", "'\(text.value)' is no mail address: \(error.description)", at: key)
            return nil
        }
    }

    private static func mailbox(_ text: ConfigText, _ mapping: MappingReader, _ key: String) -> EmailMailbox? {
        guard text.value.hasSuffix(">"), let start = text.value.lastIndex(of: "<") else {
            return address(text, mapping, key).map { EmailMailbox(name: nil, address: $0) }
        }
        let inner = text.value[text.value.index(after: start)...].dropLast()
        let name = EmailHeader.cleaned(String(text.value[..<start]))
        do throws(EmailAddress.Flaw) {
            return EmailMailbox(name: name.isEmpty ? nil : name, address: try EmailAddress(String(inner)))
        } catch {
            mapping.report("M001", "'\(inner)' is no mail address: \(error.description)", at: key)
            return nil
        }
    }

    /// Source: `docs/channels/email.md` gives the sums behind the defaults.
    private static func policy(_ mapping: MappingReader, connectionsMax: Int) -> DestinationPolicy {
        var policy = DestinationPolicy.standard
        if let count = mapping.int("messages_per_minute", "Most messages in any minute.", in: 1...1_000_000) {
            policy.windows.append(RateWindow(count: count, duration: .seconds(60)))
        }
        if let count = mapping.int("messages_per_day", "Most messages in any 24 hours.", in: 1...100_000_000) {
            policy.windows.append(RateWindow(count: count, duration: .seconds(86_400)))
        }
        let perRecipient = mapping.int(
            "recipient_messages_per_hour", "Most messages to one recipient in any hour; the others are merged.",
            in: 1...100_000, default: 30)
        policy.recipientWindows = [RateWindow(count: perRecipient, duration: .seconds(3600))]
        let pace = mapping.int(
            "messages_per_second", "How fast messages follow each other; 0 for as fast as they go.", in: 0...100_000,
            default: 5)
        policy.pace = pace == 0 ? nil : Pace(perSecond: Double(pace), burst: pace * 2)
        // Two messages on a connection, as the commands of the second follow the final dot of the first, and as many
        // laid out meanwhile.
        policy.concurrency = connectionsMax * 4
        policy.claimBatch = connectionsMax * 64
        policy.attemptTimeout = .seconds(900)
        policy.retryCap = .seconds(1800)
        policy.ageLimit = mapping.duration(
            "give_up_after", "A message tried for longer becomes a dead letter.", default: .seconds(86_400))
        policy.mergeAbove = mapping.int(
            "merge_above", "With more waiting messages than this they become one.", in: 1...10_000, default: 20)
        policy.onAmbiguous = mapping.choice(
            "on_ambiguous", "After a lost answer: send again, or hold for a person.", default: AmbiguousPolicy.resend)
        return policy
    }

    /// The server's settings with the secrets in them.
    ///
    /// - Throws: ``SecretError`` when a reference cannot be resolved.
    public func server(_ resolver: SecretResolver) throws(SecretError) -> SMTPConfiguration {
        var configuration = SMTPConfiguration(host: host, port: port, security: security)
        configuration.serverName = serverName
        configuration.certificateAuthoritiesFile = certificateAuthoritiesFile
        configuration.clientName = clientName
        configuration.limits.connectionsMax = connectionsMax
        configuration.allowsPlaintextAuthenticationOnLoopback = allowsPlaintextAuthenticationOnLoopback
        if let username, let password {
            configuration.credentials = SMTPConfiguration.Credentials(
                username: try username.resolve(resolver).reveal(), password: try password.resolve(resolver),
                mechanism: mechanism)
        }
        return configuration
    }
}
