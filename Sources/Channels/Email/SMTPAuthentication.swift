internal import Core
internal import Foundation

/// The client's side of AUTH: pure, one step per reply.
///
/// Source: RFC 4954 (the command), RFC 4616 (PLAIN), draft-murchison-sasl-login (LOGIN; the prompts are not read).
struct SMTPAuthentication {
    enum Step: Equatable {
        case write(String)
        case done
        case failed(SMTPOutcome)
    }

    private let credentials: SMTPConfiguration.Credentials
    private let mechanism: SMTPConfiguration.Mechanism
    private var answers: [String]
    private var isCancelled = false

    /// Chooses a mechanism of those offered (upper case); nil where none fits.
    init?(credentials: SMTPConfiguration.Credentials, offered: Set<String>) {
        let wanted = credentials.mechanism.map { [$0] } ?? [.plain, .login]
        guard let mechanism = wanted.first(where: { offered.contains($0.rawValue) }) else { return nil }
        self.credentials = credentials
        self.mechanism = mechanism
        let password = credentials.password.reveal()
        switch mechanism {
        case .plain:
            answers = [SMTPAuthentication.base64("\0\(credentials.username)\0\(password)")]
        case .login:
            answers = [SMTPAuthentication.base64(credentials.username), SMTPAuthentication.base64(password)]
        }
    }

    /// A NUL in PLAIN would split the fields; no server can mean it.
    static func isUsable(_ credentials: SMTPConfiguration.Credentials) -> Bool {
        !credentials.username.isEmpty && !credentials.username.utf8.contains(0)
            && !credentials.password.reveal().utf8.contains(0)
    }

    /// The AUTH command; PLAIN carries its answer along when the line stays within 512 octets.
    mutating func begin() -> String {
        if mechanism == .plain, answers[0].utf8.count + "AUTH PLAIN \r\n".utf8.count <= 512 {
            return "AUTH PLAIN \(answers.removeFirst())\r\n"
        }
        return "AUTH \(mechanism.rawValue)\r\n"
    }

    mutating func receive(_ reply: SMTPReply) -> Step {
        switch reply.code {
        case 235: return .done
        case 334:
            guard !answers.isEmpty else {
                // One more question than the mechanism has: cancelled once, then the server is given up.
                defer { isCancelled = true }
                return isCancelled ? .failed(.unauthorized) : .write("*\r\n")
            }
            return .write("\(answers.removeFirst())\r\n")
        default:
            return .failed(reply.kind == 4 ? .retryable : .unauthorized)
        }
    }

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    /// A server's text without the secret in any form that was sent.
    static func redacted(_ text: String, _ credentials: SMTPConfiguration.Credentials?) -> String {
        guard let credentials else { return text }
        let password = credentials.password.reveal()
        var shown = credentials.password.redacted(from: text)
        for form in [base64(password), base64("\0\(credentials.username)\0\(password)")] {
            shown = Secret(form).redacted(from: shown)
        }
        return shown
    }
}
