import Channels
import ConfigFiles
import Core
import HTTPTransport
import KafkaClient

/// What is wrong with values that can be judged only when their secrets are there: what 'run' would refuse, found
/// without connecting to anything.
struct ValueProblems {
    var loaded: LoadedConfiguration
    var configuration: RouterConfiguration

    private var resolver: SecretResolver { loaded.resolver }

    var all: [Diagnostic] { receivers + heartbeat + tokens + properties + bearers }

    // MARK: - Receivers

    private var receivers: [Diagnostic] {
        configuration.receivers.flatMap { receiver -> [Diagnostic] in
            switch receiver.settings {
            case .teams(let teams):
                guard let text = teams.url else { return [] }
                return [
                    problem(ProgramCode.address, text.position) {
                        _ = try TeamsReceiverConfiguration.address(try text.resolve(resolver))
                    }
                ].compactMap(\.self)
            case .email:
                return [
                    problem(ProgramCode.unreadable, receiver.authoritiesPosition) {
                        guard let server = try receiver.mailServer(resolver, in: loaded.folder) else { return }
                        try SMTPClient.check(server)
                    }
                ].compactMap(\.self)
            case .webhook(let webhook):
                return webhook.flaws(resolver).compactMap { flaw in
                    problem(flaw.isAddress ? ProgramCode.address : ProgramCode.outOfRange, flaw.position) { throw flaw }
                }
            case nil: return []
            }
        }
    }

    private var heartbeat: [Diagnostic] {
        guard let text = configuration.heartbeat?.url else { return [] }
        let found = problem(ProgramCode.address, text.position) {
            _ = try HTTPURL(try text.resolve(resolver).reveal())
        }
        return found.map { [$0] } ?? []
    }

    private var bearers: [Diagnostic] {
        configuration.http.tokens.compactMap { token in
            guard let text = token.token else { return nil }
            return problem(ProgramCode.outOfRange, text.position) {
                do { _ = try token.resolve(resolver) } catch let failure as CommandFailure {
                    throw ValueError(description: failure.reason)
                }
            }
        }
    }

    private struct ValueError: Error, CustomStringConvertible {
        var description: String
    }

    // MARK: - Kafka

    private var tokens: [Diagnostic] {
        guard let oauth = configuration.kafka.oauth else { return [] }
        var found: [Diagnostic] = []
        if let endpoint = oauth.endpoint {
            found += [
                problem(ProgramCode.address, endpoint.position, length: endpoint.length) {
                    _ = try HTTPURL(endpoint.value)
                }
            ].compactMap(\.self)
        }
        if let file = oauth.tokenFile {
            let reference = SecretText(parts: [.file(file.value)], position: file.position)
            do throws(SecretError) { _ = try reference.resolve(resolver) } catch {
                var diagnostic = error.diagnostic(file: loaded.path)
                diagnostic.message = "the token file must be readable: \(error.reason)"
                diagnostic.length = file.length
                found.append(diagnostic)
            }
        }
        let mechanism = configuration.kafka.properties.first { ValueProblems.mechanismNames.contains($0.key.value) }
        let isBearer = mechanism?.value.description.uppercased() == "OAUTHBEARER"
        if !isBearer, mechanism?.value.hasReference != true {
            found.append(
                Diagnostic(
                    code: ProgramCode.missingKey,
                    message: "'oauth' has no effect unless 'sasl.mechanism' in 'properties' is OAUTHBEARER",
                    position: oauth.position))
        }
        return found
    }

    private static let mechanismNames = ["sasl.mechanism", "sasl.mechanisms"]

    /// Each property alone, so that all that are wrong are named; then all together, as the client gets them.
    private var properties: [Diagnostic] {
        let kafka = configuration.kafka
        var resolved: [String: String] = [:]
        var found: [Diagnostic] = []
        for (name, value) in kafka.properties {
            guard let text = try? value.resolve(resolver).reveal() else { continue }
            resolved[name.value] = text
            // The mechanism is judged together with 'oauth'.
            if ValueProblems.mechanismNames.contains(name.value) { continue }
            found += [
                problem(ProgramCode.property, name.node.position, length: name.node.length) {
                    _ = try KafkaConfiguration(properties: [name.value: text])
                }
            ].compactMap(\.self)
        }
        guard found.isEmpty else { return found }
        do throws(KafkaError) {
            let source: (any TokenSource)? = kafka.oauth == nil ? nil : FileTokenSource(path: "")
            try KafkaConfiguration(properties: resolved, tokenSource: source).rehearse()
        } catch {
            // The property that the reason speaks of; the longest, because names begin with others.
            let culprit = kafka.properties.map(\.key)
                .filter { name in
                    error.message.contains(name.value)
                        || error.message.contains("SASL mechanism") && ValueProblems.mechanismNames.contains(name.value)
                }.max { $0.value.count < $1.value.count }
            found.append(
                Diagnostic(
                    code: ProgramCode.property, message: error.message,
                    position: culprit?.node.position ?? kafka.position, length: culprit?.node.length ?? 1))
        }
        return found
    }

    private func problem(
        _ code: String, _ position: SourcePosition?, length: Int = 1, _ attempt: () throws -> Void
    ) -> Diagnostic? {
        do {
            try attempt()
            return nil
        } catch {
            let place = position ?? SourcePosition(file: loaded.path, line: 1, column: 1)
            let message = (error as? KafkaError)?.message ?? "\(error)"
            return Diagnostic(code: code, message: message, position: place, length: length)
        }
    }
}

extension RouterConfiguration {
    /// Secrets that cannot be resolved.
    func secretProblems(_ resolver: SecretResolver, file: String) -> [Diagnostic] {
        var texts = kafka.properties.map(\.value) + receivers.flatMap(\.secrets)
        if let secret = kafka.oauth?.clientSecret { texts.append(secret) }
        if let url = heartbeat?.url { texts.append(url) }
        texts += http.tokens.compactMap(\.token)
        return texts.compactMap { text in
            do throws(SecretError) {
                _ = try text.resolve(resolver)
                return nil
            } catch {
                var diagnostic = error.diagnostic(file: file)
                diagnostic.help = "secrets come from the service's environment (${env:NAME}) or a file (${file:path})"
                return diagnostic
            }
        }
    }
}
