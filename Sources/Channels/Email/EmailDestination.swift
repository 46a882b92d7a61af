internal import Alerting
public import Core
public import Delivery
public import NIOCore
public import Store
internal import Synchronization

/// A receiver of kind `email`.
public final class EmailDestination: Destination {
    private let configuration: EmailReceiverConfiguration
    private let client: SMTPClient
    private let clock: any WallClock
    /// Recipients that took a row whose others did not yet: they get it once only while this process lives.
    private let accepted = Mutex<[Int64: Set<String>]>([:])
    private static let acceptedMax = 1000

    /// Makes a destination.
    ///
    /// - Parameter client: shared by all receivers of one server; see ``SMTPClients``.
    public init(configuration: EmailReceiverConfiguration, client: SMTPClient, clock: any WallClock) {
        self.configuration = configuration
        self.client = client
        self.clock = clock
    }

    public var receiver: String { configuration.name }
    public var channel: String { "email" }
    public var policy: DestinationPolicy { configuration.policy }

    /// The newest row carries the news of all.
    public func coalesce(_ waiting: [OutboxRecord]) -> Coalescing { MessageCoalescing.coalesce(waiting) }

    // MARK: Whom

    private struct Recipients {
        var addresses: [EmailAddress]
        /// Whom the row was meant for, where the fallback gets it.
        var meantFor: String?
        /// Why nobody gets it.
        var refusal: String?
    }

    private func recipients(of row: OutboxRecord) -> Recipients {
        guard let text = row.recipient, !text.isEmpty else {
            if !configuration.to.isEmpty { return Recipients(addresses: configuration.to) }
            return fallback(meantFor: nil, "the row has no recipient, and the receiver has no 'to'")
        }
        do throws(EmailAddress.Flaw) {
            let address = try EmailAddress(text)
            let isOwn = configuration.to.contains(address) || configuration.fallback == address
            if isOwn || address.isAllowed(by: configuration.allowedDomains) { return Recipients(addresses: [address]) }
            return fallback(meantFor: text, "the recipient's domain '\(address.domain)' is not in 'allowed_domains'")
        } catch {
            return fallback(meantFor: text, "the recipient is no mail address: \(error.description)")
        }
    }

    private func fallback(meantFor: String?, _ refusal: String) -> Recipients {
        guard let fallback = configuration.fallback else { return Recipients(addresses: [], refusal: refusal) }
        return Recipients(
            addresses: [fallback], meantFor: meantFor.map { EmailLayout.cut(EmailHeader.cleaned($0), 200) })
    }

    // MARK: Layout

    /// The whole message, headers included; who gets it is decided here and again when it is sent.
    public func render(_ row: OutboxRecord) throws -> RenderedBody {
        let notification = try Notification(bytes: row.payload)
        let recipients = recipients(of: row)
        guard let from = configuration.from else {
            throw EmailAddress.Flaw(description: "the receiver has no sender")
        }
        let layout = EmailLayout(notification, meantFor: recipients.meantFor)
        var message = EmailMessage(
            from: from, to: recipients.addresses.map { EmailMailbox(name: nil, address: $0) }, subject: layout.subject,
            date: row.createdAt,
            messageId: EmailMessage.messageId(
                kind: "alert", key: row.idempotencyKey, domain: configuration.messageIdDomain),
            text: layout.text, html: layout.html)
        message.references = EmailDestination.references(
            of: notification, recipient: row.recipient ?? "", domain: configuration.messageIdDomain)
        message.listId = configuration.listId
        message.isUrgent = layout.openSeverity == .critical
        return RenderedBody(bytes: message.bytes, problem: notification.items.compactMap(\.templateProblem).first)
    }

    /// What joins the messages of an incident or group in one thread: ids that no message has, derived from the
    /// incident and the group, so that every message names them without knowing which came before.
    static func references(of notification: Notification, recipient: String, domain: String) -> [String] {
        func root(_ kind: String, _ key: String) -> String {
            EmailMessage.messageId(
                kind: kind, key: "\(notification.receiver)\u{0}\(recipient)\u{0}\(key)", domain: domain)
        }
        let incidents = notification.items.prefix(19).map { root("incident", $0.incidentKey) }
        if notification.items.count == 1 { return incidents }
        return [root("group", notification.groupKey)] + incidents
    }

    // MARK: Sending

    /// One transaction for all recipients that have not got the row yet.
    public func send(_ body: RenderedBody, row: OutboxRecord, deadline: Timestamp) async -> AttemptReport {
        let recipients = recipients(of: row)
        if let refusal = recipients.refusal { return EmailDestination.failed(.permanent(reason: refusal)) }
        guard let from = configuration.from else {
            return EmailDestination.failed(.permanent(reason: "the receiver has no sender"))
        }
        let done = accepted.withLock { $0[row.id] ?? [] }
        let addresses = recipients.addresses.map(\.description).filter { !done.contains($0) }
        let message: SMTPMessage
        do throws(SMTPContent.Flaw) {
            message = SMTPMessage(
                sender: (configuration.bounceAddress ?? from.address).description, recipients: addresses,
                content: try SMTPContent(body.bytes),
                hasUTF8Headers: !from.address.isASCII || !recipients.addresses.allSatisfy(\.isASCII))
        } catch {
            return EmailDestination.failed(.permanent(reason: "the message cannot be sent: \(error)"))
        }
        let rest = deadline.milliseconds(since: clock.now())
        guard rest > 0 else { return EmailDestination.failed(.retryable(after: nil, reason: "no time left")) }
        let report = await client.send(message, within: .milliseconds(rest))
        return settle(report, row: row)
    }

    private static func failed(_ outcome: AttemptOutcome) -> AttemptReport {
        AttemptReport(outcome: outcome, statusCode: nil, detail: outcome.reason)
    }

    /// One outcome for a row: what must be tried again comes first, then what may have arrived, then what was taken.
    private func settle(_ report: SMTPReport, row: OutboxRecord) -> AttemptReport {
        let outcome = EmailDestination.outcome(of: report.recipients)
        let taken = report.recipients.filter { $0.outcome == .accepted }.map(\.recipient)
        accepted.withLock { accepted in
            if case .retryable = outcome, !taken.isEmpty {
                if accepted.count >= EmailDestination.acceptedMax { accepted.removeAll() }
                accepted[row.id, default: []].formUnion(taken)
            } else if case .accepted = outcome {
                accepted[row.id] = nil
            }
        }
        let decisive = report.recipients.first { $0.reason == outcome.reason } ?? report.recipients.first
        let refused = report.recipients.filter { $0.outcome != .accepted }
        let detail =
            refused.isEmpty
            ? decisive?.reason
            : refused.map { report.recipients.count > 1 ? "\($0.recipient): \($0.reason)" : $0.reason }
                .joined(separator: "; ")
        return AttemptReport(outcome: outcome, statusCode: decisive?.replyCode, detail: detail)
    }

    static func outcome(of reports: [SMTPRecipientReport]) -> AttemptOutcome {
        func first(_ outcome: SMTPOutcome) -> SMTPRecipientReport? { reports.first { $0.outcome == outcome } }
        if let report = first(.unauthorized) { return .unauthorized(reason: report.reason) }
        if let report = first(.retryable) { return .retryable(after: nil, reason: report.reason) }
        if let report = first(.ambiguous) { return .ambiguous(reason: report.reason) }
        if let report = first(.accepted) { return .accepted(providerId: queueId(report.reason)) }
        if let report = first(.permanent) { return .permanent(reason: report.reason) }
        return .permanent(reason: "no recipient is left")
    }

    /// What the server calls the message: `… queued as 4F1C2A`.
    static func queueId(_ reply: String) -> String? {
        guard let range = reply.firstRange(of: "queued as ") else { return nil }
        let id = reply[range.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "." }
        return id.isEmpty ? nil : String(id.prefix(100))
    }
}

/// The clients of all mail receivers: receivers with the same server and login share one, and its connections.
///
/// A client lives as long as a destination uses it, also one that was replaced and still has messages under way; with
/// the last one its connections are closed.
public final class SMTPClients: Sendable {
    private struct Entry: Sendable {
        weak let client: SMTPClient?
    }

    private let group: any EventLoopGroup
    private let entries = Mutex<[SMTPConfiguration: Entry]>([:])

    /// Makes an empty set.
    public init(group: any EventLoopGroup) { self.group = group }

    /// The client of a server; made where no destination uses one.
    ///
    /// - Throws: ``SMTPClient/ConfigurationError`` when the file of authorities cannot be read.
    public func client(for configuration: SMTPConfiguration) throws -> SMTPClient {
        try entries.withLock { entries in
            if let client = entries[configuration]?.client { return client }
            // Servers that nobody uses any more are forgotten, secrets and all.
            entries = entries.filter { $0.value.client != nil }
            let client = try SMTPClient(configuration: configuration, group: group)
            entries[configuration] = Entry(client: client)
            return client
        }
    }

    /// How many clients are in use.
    public var count: Int { entries.withLock { $0.values.count { $0.client != nil } } }

    /// Shuts all clients down.
    public func shutDown() async {
        let clients = entries.withLock { entries in
            defer { entries = [:] }
            return entries.values.compactMap(\.client)
        }
        for client in clients { await client.shutDown() }
    }
}
