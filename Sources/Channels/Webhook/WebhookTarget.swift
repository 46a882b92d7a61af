internal import ConfigFiles
internal import Core
internal import HTTPTransport

/// Where a webhook's requests go and what they carry, with the secrets resolved.
struct WebhookTarget: Sendable {
    let url: HTTPURL
    let headers: [HTTPHeader]
    let keys: [WebhookKey]
    private let secrets: [Secret]

    /// - Throws: ``SecretError`` or ``WebhookFlaw``; neither shows a value.
    init(_ configuration: WebhookReceiverConfiguration, resolver: SecretResolver) throws {
        guard let reference = configuration.url else {
            throw WebhookFlaw(isAddress: true, message: "the receiver has no 'url'", position: nil)
        }
        url = try configuration.address(try reference.resolve(resolver), position: reference.position)
        headers = try configuration.headers.map { header in
            HTTPHeader(
                header.name,
                try WebhookReceiverConfiguration.headerValue(
                    try header.value.resolve(resolver), name: header.name, position: header.value.position))
        }
        keys = try configuration.secrets.map { secret in
            try WebhookReceiverConfiguration.key(try secret.resolve(resolver), position: secret.position)
        }
        var hidden = keys.map(\.text)
        for text in [reference] + configuration.headers.map(\.value) + configuration.secrets where text.hasReference {
            hidden.append(try text.resolve(resolver))
            // A word around a token, such as 'Bearer', may be missing where an answer repeats it.
            for part in text.parts {
                if case .literal = part { continue }
                hidden.append(try SecretText(parts: [part], position: text.position).resolve(resolver))
            }
        }
        // The longest first: a shorter one may be a piece of it.
        secrets = hidden.sorted { $0.reveal().utf8.count > $1.reveal().utf8.count }
    }

    /// A text of the other side on one line, at most `bytesMax` bytes, with nothing secret in it.
    ///
    /// - Parameter isCut: more followed in what was received, so its end may be the beginning of a secret.
    func line(_ text: String, isCut: Bool, bytesMax: Int) -> String {
        guard !text.isEmpty else { return "" }
        var result = url.redacted(from: text)
        for secret in secrets { result = secret.redacted(from: result) }
        if isCut {
            let longest = max(url.text.utf8.count, secrets.first?.reveal().utf8.count ?? 0)
            result = String(decoding: result.utf8.dropLast(longest), as: UTF8.self)
        }
        return TeamsText.line(result, bytesMax: bytesMax)
    }
}
