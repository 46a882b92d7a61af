public import ConfigFiles
public import Core
public import Delivery
public import HTTPTransport
internal import Templates

/// The settings of a receiver of kind `teams`.
///
/// Diagnostics: `M006` an unknown locale or time zone.
public struct TeamsReceiverConfiguration: Sendable {
    public var name: String
    /// The webhook's address: whoever has it can post, so it is a secret.
    public var url: SecretText?
    public var locale: String
    public var timeZone: String
    public var layout: TeamsCardOptions
    public var policy: DestinationPolicy

    /// Decodes the mapping of one receiver; what is wrong is reported to the mapping's reader.
    ///
    /// - Parameter name: the receiver's name.
    public init(_ mapping: MappingReader, name: String) {
        self.name = name
        url = mapping.requiredSecret(
            "url", "The address that the Workflows app gave for 'when a Teams webhook request is received'.")
        locale = mapping.string("locale", "The language and number format of the messages.", default: "en_US")
        timeZone = mapping.string("timezone", "The time zone of the times shown.", default: "UTC")
        layout = TeamsCardOptions(
            bytesMax: mapping.int(
                "message_bytes_max", "Most bytes of a message; Teams takes about 28 KB and counts some twice.",
                in: TeamsCardOptions.bytesLeast...TeamsCardOptions.bytesMost, default: 18_000),
            itemsMax: mapping.int(
                "items_max", "Most alerts shown in one card; the others are counted.", in: 1...50,
                default: 15),
            isFullWidth: mapping.bool("full_width", "Uses the whole width of the channel.", default: true))
        policy = TeamsReceiverConfiguration.policy(mapping)
        guard !mapping.isDescribing else { return }
        for problem in RenderLocale.problems(locale: locale, timeZone: timeZone) {
            mapping.report("M006", problem, at: mapping.has("timezone") ? "timezone" : "locale")
        }
    }

    /// Source: `docs/channels/teams.md` gives the sums behind the defaults.
    private static func policy(_ mapping: MappingReader) -> DestinationPolicy {
        var policy = DestinationPolicy.standard
        let perMinute = mapping.int(
            "messages_per_minute", "Most messages in any minute; 0 for no limit.", in: 0...240, default: 30)
        if perMinute > 0 { policy.windows.append(RateWindow(count: perMinute, duration: .seconds(60))) }
        let perSecond = mapping.int(
            "messages_per_second", "How fast messages follow each other; 0 for as fast as they go.", in: 0...4,
            default: 1)
        if perSecond > 0 { policy.pace = Pace(perSecond: Double(perSecond), burst: perSecond * 2) }
        if let perDay = mapping.int("messages_per_day", "Most messages in any 24 hours.", in: 1...100_000) {
            policy.windows.append(RateWindow(count: perDay, duration: .seconds(86_400)))
        }
        policy.concurrency = mapping.int("connections", "Most requests at a time.", in: 1...8, default: 4)
        policy.claimBatch = policy.concurrency
        policy.attemptTimeout = mapping.duration("timeout", "The longest a request takes.", default: .seconds(30))
        policy.ageLimit = mapping.duration(
            "give_up_after", "A message tried for longer becomes a dead letter.", default: .seconds(86_400))
        policy.mergeAbove = mapping.int(
            "merge_above", "With more waiting messages than this they become one.", in: 1...10_000, default: 20)
        policy.onAmbiguous = mapping.choice(
            "on_ambiguous", "After a lost answer: send again, or hold for a person.", default: AmbiguousPolicy.resend)
        return policy
    }

    /// Reads the address and says why one cannot be used, without showing it.
    ///
    /// - Throws: ``TeamsAddressError`` for anything that is no usable webhook of the Workflows app.
    public static func address(_ text: Secret) throws(TeamsAddressError) -> HTTPURL {
        let url: HTTPURL
        do throws(HTTPURLError) { url = try HTTPURL(text.reveal()) } catch {
            throw TeamsAddressError(message: error.message)
        }
        func isBelow(_ domain: String) -> Bool { url.host == domain || url.host.hasSuffix("." + domain) }
        if isBelow("webhook.office.com") || isBelow("outlook.office.com") || isBelow("outlook.office365.com") {
            throw TeamsAddressError(
                message:
                    "\(url.host) is an Office 365 connector, which Microsoft has retired; in Teams, add the workflow "
                    + "'Send webhook alerts to a channel' and use its address")
        }
        if isBelow("logic.azure.com") {
            throw TeamsAddressError(
                message:
                    "addresses on logic.azure.com stopped working on 2025-11-30; open the flow in Power Automate and "
                    + "copy its new address (…environment.api.powerplatform.com)")
        }
        let isLoopback = ["127.0.0.1", "::1", "localhost"].contains(url.host)
        guard url.isSecure || isLoopback else {
            throw TeamsAddressError(message: "the address of a webhook must start with 'https://'")
        }
        return url
    }
}

/// Why an address cannot be used as a Teams webhook. Does not contain the address.
public struct TeamsAddressError: Error, Equatable, CustomStringConvertible {
    public var message: String
    public var description: String { message }
}
