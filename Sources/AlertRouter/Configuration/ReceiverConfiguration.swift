import AlertWorker
import Alerting
import Channels
import ConfigFiles
import Core

/// One receiver of the configuration: its name and its channel's settings.
struct ReceiverConfiguration {
    /// The channels there are.
    enum Channel: String, CaseIterable { case teams, email, webhook }

    /// A channel's settings.
    enum Settings {
        case teams(TeamsReceiverConfiguration)
        case email(EmailReceiverConfiguration)
        case webhook(WebhookReceiverConfiguration)
    }

    var name: String
    /// Where the name stands.
    var nameText: ConfigText?
    /// Nil where the channel is missing or unknown, which is an error.
    var settings: Settings?
    /// Where the file of authorities is named.
    var authoritiesPosition: SourcePosition

    init(_ mapping: MappingReader) {
        nameText = mapping.requiredText("name", "The receiver's name, as rules and routes write it.")
        name = nameText?.value ?? ""
        authoritiesPosition = mapping.position(of: "ca_file")
        let channel = mapping.requiredChoice(
            "channel", "What kind of receiver it is.", among: Channel.allCases.map { ($0.rawValue, $0) })
        if mapping.isDescribing {
            // The schema has the keys of every channel; the decoder tells which belong to which.
            mapping.describeVariant { _ = TeamsReceiverConfiguration(mapping, name: name) }
            mapping.describeVariant { _ = EmailReceiverConfiguration(mapping, name: name) }
            mapping.describeVariant { _ = WebhookReceiverConfiguration(mapping, name: name) }
        }
        switch channel {
        case .teams: settings = .teams(TeamsReceiverConfiguration(mapping, name: name))
        case .email: settings = .email(EmailReceiverConfiguration(mapping, name: name))
        case .webhook: settings = .webhook(WebhookReceiverConfiguration(mapping, name: name))
        case nil: mapping.ignoreUnknownKeys()
        }
    }

    /// The references to secrets in it.
    var secrets: [SecretText] {
        switch settings {
        case .teams(let teams): [teams.url].compactMap { $0 }
        case .email(let email): [email.username, email.password].compactMap { $0 }
        case .webhook(let webhook): [webhook.url].compactMap { $0 } + webhook.headers.map(\.value) + webhook.secrets
        case nil: []
        }
    }

    /// The mail server with secrets resolved; files are relative to a folder. Nil for other channels.
    func mailServer(_ resolver: SecretResolver, in folder: String) throws(SecretError) -> SMTPConfiguration? {
        guard case .email(var email) = settings else { return nil }
        email.certificateAuthoritiesFile = email.certificateAuthoritiesFile.map {
            LoadedConfiguration.resolve($0, in: folder)
        }
        return try email.server(resolver)
    }

    /// What has to be known of it when a notification is written.
    var profile: ReceiverProfile? {
        switch settings {
        case .teams(let teams):
            ReceiverProfile(
                name: name, channel: Channel.teams.rawValue, locale: teams.locale, timeZone: teams.timeZone,
                addressing: .fixed)
        case .email(let email):
            ReceiverProfile(
                name: name, channel: Channel.email.rawValue, locale: email.locale, timeZone: email.timeZone,
                addressing: .mail(
                    to: email.to.map(\.description), allowedDomains: email.allowedDomains,
                    fallback: email.fallback?.description))
        case .webhook(let webhook):
            ReceiverProfile(
                name: name, channel: Channel.webhook.rawValue, locale: webhook.locale, timeZone: webhook.timeZone,
                addressing: .fixed)
        case nil: nil
        }
    }
}

extension RouterConfiguration {
    /// The receivers as the worker knows them.
    var receiverDirectory: ReceiverDirectory {
        var directory = ReceiverDirectory(
            profiles: receivers.compactMap(\.profile), defaultReceiver: defaultReceiver,
            operatorReceiver: operatorReceiver)
        directory.policy = routing.policy
        if routing.policy.routes.root.settings == .standard, routing.policy.routes.root.children.isEmpty {
            // Without routes nothing waits for others, and nothing is told again.
            directory.policy.routes.root.settings = .immediate
            directory.policy.routes.root.settings.repeatInterval = .seconds(365 * 86_400)
        }
        return directory
    }

    /// The receivers with the links that their messages carry, and the silences of files.
    func receiverDirectory(linkKey key: [UInt8], silences: [Silence]) -> ReceiverDirectory {
        var directory = receiverDirectory
        directory.policy.silences = silences
        if http.isEnabled { directory.links = http.pageAddress.map { MessageLinks(pageAddress: $0, key: key) } }
        return directory
    }
}
