import Channels
import ConfigFiles
import Core
import Delivery
import HTTPTransport
import NIOPosix

/// Makes the destinations of a configuration; mail clients and their connections are kept across reloads.
struct DestinationFactory: Sendable {
    private let transport: HTTPTransport
    private let clock: any WallClock
    private let mailClients: SMTPClients

    init(transport: HTTPTransport, clock: any WallClock) {
        self.transport = transport
        self.clock = clock
        mailClients = SMTPClients(group: MultiThreadedEventLoopGroup.singleton)
    }

    /// One destination per receiver.
    /// - Throws: ``CommandFailure`` naming the receiver that cannot be used.
    func make(_ loaded: LoadedConfiguration) throws -> [any Destination] {
        try (loaded.configuration?.receivers ?? []).compactMap { receiver in
            do {
                return try destination(receiver, loaded.resolver, loaded.folder)
            } catch {
                throw CommandFailure(.inputIsWrong, "receiver '\(receiver.name)': \(error)")
            }
        }
    }

    private func destination(
        _ receiver: ReceiverConfiguration, _ resolver: SecretResolver, _ folder: String
    ) throws -> (any Destination)? {
        switch receiver.settings {
        case .teams(let settings):
            return try TeamsDestination(configuration: settings, resolver: resolver, http: transport, clock: clock)
        case .email(let settings):
            guard let server = try receiver.mailServer(resolver, in: folder) else { return nil }
            let client = try mailClients.client(for: server)
            return EmailDestination(configuration: settings, client: client, clock: clock)
        case .webhook(let settings):
            return try WebhookDestination(configuration: settings, resolver: resolver, http: transport, clock: clock)
        case nil: return nil
        }
    }

    /// Closes what is kept.
    func shutdown() async { await mailClients.shutDown() }
}
