internal import Core
internal import Foundation
internal import NIOCore

/// A step of the dialogue at which a script of the sandbox may answer in the server's place.
public struct SMTPSandboxStep: Sendable, Equatable {
    /// What the client has just done.
    public enum Kind: String, Sendable {
        case connect, hello, startTLS, authentication, mail, recipient, data
        /// The final dot has arrived.
        case content
        case reset, quit
    }

    public var kind: Kind
    /// 1 for the first connection of the sandbox.
    public var connection: Int
    /// 1 for the first message of the connection; 0 before the first MAIL.
    public var message: Int
    /// The address, user or other argument, where there is one.
    public var argument: String
}

/// What a script lets the sandbox do.
public enum SMTPSandboxAnswer: Sendable, Equatable {
    /// These exact lines, without CRLF; the sandbox keeps its state as if the step had been refused, unless the first
    /// line begins with 2 or 3.
    case reply(String)
    case replyAndClose(String)
    case close
    /// Nothing, ever: the client's timer has to run out.
    case silence
    /// The normal answer, later.
    case late(Duration)
    /// The raw bytes, whatever they are.
    case raw(String)
}

/// What the sandbox offers and demands.
public struct SMTPSandboxOptions: Sendable {
    public var hostName = "sandbox.example"
    /// PEM files of the server's certificate chain and key; without them there is no TLS.
    public var certificateFile: String?
    public var keyFile: String?
    /// TLS from the first byte in place of STARTTLS.
    public var usesImplicitTLS = false
    /// Users and their passwords; AUTH is offered when there are any, and then demanded.
    public var users: [String: String] = [:]
    /// Offers AUTH without TLS too.
    public var offersPlaintextAuthentication = false
    public var offersPipelining = true
    public var offersEightBit = true
    public var offersUTF8 = true
    public var offersEnhancedCodes = true
    /// Answers EHLO with 502, as servers of the last century did.
    public var knowsHello = true
    /// Most octets of a message; nil leaves SIZE out.
    public var sizeMax: Int? = 10_485_760
    /// Asked at every step; nil lets the sandbox answer.
    public var script: @Sendable (SMTPSandboxStep) -> SMTPSandboxAnswer? = { _ in nil }

    /// A server with all extensions, no TLS and no users.
    public init() {}
}

/// The server's side of one connection: strict, synchronous, bytes in and answers out.
///
/// What a client must not do is written down as a *fault*: a lone CR or LF, a line that is too long, commands sent
/// before an answer without PIPELINING or behind a command that must be the last, a dot that was not doubled.
struct SMTPSandboxSession {
    struct Answer {
        var text = ""
        var delay: Duration?
        var startsTLS = false
        var closes = false
        var message: SMTPSandboxMessage?
        var fault: String?
    }

    private enum State { case new, greeted, mail, recipients, content, userName, password(user: String), plain, mute }

    private let options: SMTPSandboxOptions
    private let connection: Int
    private var state = State.new
    private var isExtended = false
    private var isEncrypted: Bool
    private var user: String?
    private var messageNumber = 0
    private var sender = ""
    private var recipients: [String] = []
    private var declaredEightBit = false
    private var declaredUTF8 = false
    private var content: [UInt8] = []

    init(options: SMTPSandboxOptions, connection: Int) {
        self.options = options
        self.connection = connection
        isEncrypted = options.usesImplicitTLS
    }

    mutating func greeting() -> Answer {
        answer(.connect, "", ok: "220 \(options.hostName) ESMTP sandbox")
    }

    mutating func tlsEstablished() {
        isEncrypted = true
        state = .new
        isExtended = false
        user = nil
    }

    /// The answer to the next complete line (or content); nil when more bytes are needed.
    mutating func next(_ input: inout ByteBuffer) -> Answer? {
        if case .content = state { return nextContent(&input) }
        let view = input.readableBytesView
        guard let end = view.firstIndex(of: 0x0A) else {
            guard input.readableBytes > 12_288 else { return nil }
            input.clear()
            return Answer(text: "500 5.5.2 line too long\r\n", closes: true, fault: "endless command line")
        }
        var line = [UInt8](view[view.startIndex..<end])
        input.moveReaderIndex(forwardBy: end - view.startIndex + 1)
        guard line.last == 0x0D else {
            return Answer(text: "500 5.5.2 bare LF\r\n", closes: true, fault: "bare LF in a command")
        }
        line.removeLast()
        var answer = command(line)
        if answer.fault == nil { answer.fault = fault(of: line, behind: input.readableBytes) }
        return answer
    }

    private func fault(of line: [UInt8], behind count: Int) -> String? {
        if line.contains(where: { $0 == 0x0D || $0 == 0 }) { return "control character in a command" }
        let verb = String(decoding: line.prefix(4), as: UTF8.self).uppercased()
        if line.count + 2 > 512, verb != "AUTH" { return "command line of \(line.count + 2) octets" }
        guard count > 0 else { return nil }
        if !options.offersPipelining { return "pipelined without PIPELINING behind \(verb)" }
        return ["EHLO", "HELO", "DATA", "STAR", "AUTH", "QUIT"].contains(verb) ? "sent more behind \(verb)" : nil
    }

    // MARK: Commands

    private mutating func command(_ line: [UInt8]) -> Answer {
        switch state {
        case .userName, .password, .plain: return authenticationLine(line)
        case .mute: return Answer()
        case .new, .greeted, .mail, .recipients, .content: break
        }
        let text = String(decoding: line, as: UTF8.self)
        let words = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let argument = words.count > 1 ? String(words[1]) : ""
        switch words.first?.uppercased() {
        case "EHLO": return hello(argument, extended: true)
        case "HELO": return hello(argument, extended: false)
        case "STARTTLS": return startTLS()
        case "AUTH": return authenticate(argument)
        case "MAIL": return mail(argument)
        case "RCPT": return recipient(argument)
        case "DATA": return data(argument)
        case "RSET":
            if case .new = state {} else { state = .greeted }
            return answer(.reset, "", ok: "250 \(code("2.0.0"))reset")
        case "NOOP": return Answer(text: "250 ok\r\n")
        case "QUIT":
            var answer = answer(.quit, "", ok: "221 \(code("2.0.0"))bye")
            answer.closes = true
            return answer
        default:
            return Answer(
                text: "500 \(code("5.5.2"))unknown command\r\n", fault: "unknown command '\(text.prefix(40))'")
        }
    }

    private func code(_ enhanced: String) -> String { options.offersEnhancedCodes ? enhanced + " " : "" }

    private func outOfOrder(_ verb: String) -> Answer {
        Answer(text: "503 \(code("5.5.1"))bad sequence of commands: \(verb)\r\n")
    }

    private mutating func hello(_ argument: String, extended: Bool) -> Answer {
        guard !argument.isEmpty, !argument.contains(" ") else {
            return Answer(text: "501 \(code("5.5.4"))no name\r\n", fault: "EHLO without a name")
        }
        guard extended == false || options.knowsHello else { return Answer(text: "502 unknown\r\n") }
        var lines = [options.hostName]
        if extended {
            if options.offersPipelining { lines.append("PIPELINING") }
            if let size = options.sizeMax { lines.append("SIZE \(size)") }
            if options.offersEightBit { lines.append("8BITMIME") }
            if options.offersUTF8 { lines.append("SMTPUTF8") }
            if options.offersEnhancedCodes { lines.append("ENHANCEDSTATUSCODES") }
            if options.certificateFile != nil, !isEncrypted { lines.append("STARTTLS") }
            if !options.users.isEmpty, isEncrypted || options.offersPlaintextAuthentication {
                lines.append("AUTH PLAIN LOGIN")
            }
        }
        let text = lines.enumerated().map { index, line in
            (index + 1 == lines.count ? "250 " : "250-") + line
        }.joined(separator: "\r\n")
        let answer = answer(.hello, argument, ok: text)
        if answer.text.hasPrefix("2") {
            state = .greeted
            isExtended = extended
        }
        return answer
    }

    private mutating func startTLS() -> Answer {
        guard options.certificateFile != nil, !isEncrypted, isExtended else { return outOfOrder("STARTTLS") }
        var answer = answer(.startTLS, "", ok: "220 \(code("2.0.0"))go ahead")
        answer.startsTLS = answer.text.hasPrefix("220")
        return answer
    }

    // MARK: Authentication

    private mutating func authenticate(_ argument: String) -> Answer {
        guard case .greeted = state, isExtended, user == nil, !options.users.isEmpty else { return outOfOrder("AUTH") }
        guard isEncrypted || options.offersPlaintextAuthentication else {
            return Answer(text: "538 5.7.11 encryption required\r\n", fault: "AUTH without TLS")
        }
        let words = argument.split(separator: " ")
        switch (words.first?.uppercased(), words.count) {
        case ("PLAIN", 1):
            state = .plain
            return Answer(text: "334 \r\n")
        case ("PLAIN", 2): return plain(String(words[1]))
        case ("LOGIN", 1):
            state = .userName
            return Answer(text: "334 VXNlcm5hbWU6\r\n")
        default: return Answer(text: "504 5.5.4 mechanism unknown\r\n")
        }
    }

    private mutating func authenticationLine(_ line: [UInt8]) -> Answer {
        let text = String(decoding: line, as: UTF8.self)
        let present = state
        state = .greeted
        if text == "*" { return Answer(text: "501 5.7.0 cancelled\r\n") }
        switch present {
        case .plain: return plain(text)
        case .userName:
            guard let name = decoded(text) else {
                return Answer(text: "501 5.5.2 no base64\r\n", fault: "AUTH: no base64")
            }
            state = .password(user: String(decoding: name, as: UTF8.self))
            return Answer(text: "334 UGFzc3dvcmQ6\r\n")
        case .password(let user):
            guard let password = decoded(text) else {
                return Answer(text: "501 5.5.2 no base64\r\n", fault: "AUTH: no base64")
            }
            return verdict(user: user, password: String(decoding: password, as: UTF8.self))
        case .new, .greeted, .mail, .recipients, .content, .mute: return outOfOrder("AUTH")
        }
    }

    private func decoded(_ text: String) -> [UInt8]? { Data(base64Encoded: text).map { [UInt8]($0) } }

    private mutating func plain(_ text: String) -> Answer {
        guard let bytes = decoded(text) else {
            return Answer(text: "501 5.5.2 no base64\r\n", fault: "AUTH: no base64")
        }
        let parts = bytes.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard parts.count == 3 else {
            return Answer(text: "501 5.5.2 three fields\r\n", fault: "AUTH PLAIN: not three fields")
        }
        return verdict(user: parts[1], password: parts[2])
    }

    private mutating func verdict(user: String, password: String) -> Answer {
        guard options.users[user] == password else {
            return answer(.authentication, user, ok: "535 5.7.8 authentication credentials invalid")
        }
        let answer = answer(.authentication, user, ok: "235 2.7.0 authentication successful")
        if answer.text.hasPrefix("2") { self.user = user }
        return answer
    }

    // MARK: A message

    private mutating func mail(_ argument: String) -> Answer {
        guard case .greeted = state else { return outOfOrder("MAIL") }
        guard options.users.isEmpty || user != nil else { return Answer(text: "530 5.7.0 authentication required\r\n") }
        guard let (address, parameters) = path(argument, "FROM:", mayBeEmpty: true) else {
            return Answer(
                text: "501 5.5.4 MAIL FROM:<address>\r\n", fault: "MAIL: no address in '\(argument.prefix(60))'")
        }
        messageNumber += 1
        (declaredEightBit, declaredUTF8) = (false, false)
        for parameter in parameters {
            let parts = parameter.split(separator: "=", maxSplits: 1).map(String.init)
            switch (parts[0].uppercased(), parts.count > 1 ? parts[1] : nil) {
            case ("SIZE", let value?) where isExtended && options.sizeMax != nil:
                guard let octets = Int(value) else { return Answer(text: "501 5.5.4 SIZE\r\n", fault: "SIZE=\(value)") }
                if octets > options.sizeMax ?? 0 { return Answer(text: "552 5.3.4 message too big\r\n") }
            case ("BODY", "8BITMIME"?) where isExtended && options.offersEightBit: declaredEightBit = true
            case ("BODY", "7BIT"?) where isExtended && options.offersEightBit: break
            case ("SMTPUTF8", nil) where isExtended && options.offersUTF8: declaredUTF8 = true
            default: return Answer(text: "555 5.5.4 unsupported option\r\n", fault: "MAIL: option '\(parameter)'")
            }
        }
        let answer = answer(.mail, address, ok: "250 \(code("2.1.0"))sender ok")
        if answer.text.hasPrefix("2") {
            state = .mail
            sender = address
            recipients = []
        }
        return checked(address, answer)
    }

    private mutating func recipient(_ argument: String) -> Answer {
        switch state {
        case .mail, .recipients: break
        case .new, .greeted, .content, .userName, .password, .plain, .mute: return outOfOrder("RCPT")
        }
        guard let (address, parameters) = path(argument, "TO:", mayBeEmpty: false), parameters.isEmpty else {
            return Answer(
                text: "501 5.5.4 RCPT TO:<address>\r\n", fault: "RCPT: no address in '\(argument.prefix(60))'")
        }
        let answer = answer(.recipient, address, ok: "250 \(code("2.1.5"))recipient ok")
        if answer.text.hasPrefix("2") {
            state = .recipients
            recipients.append(address)
        }
        return checked(address, answer)
    }

    private func checked(_ address: String, _ answer: Answer) -> Answer {
        guard !declaredUTF8, address.utf8.contains(where: { $0 >= 0x80 }) else { return answer }
        return Answer(text: "553 5.6.7 address needs SMTPUTF8\r\n", fault: "non-ASCII address without SMTPUTF8")
    }

    private func path(_ argument: String, _ prefix: String, mayBeEmpty: Bool) -> (String, [String])? {
        guard argument.uppercased().hasPrefix(prefix + "<"), let end = argument.firstIndex(of: ">") else { return nil }
        let start = argument.index(argument.startIndex, offsetBy: prefix.count + 1)
        let address = String(argument[start..<end])
        let rest = argument[argument.index(after: end)...]
        guard rest.isEmpty || rest.hasPrefix(" ") else { return nil }
        if address.isEmpty { return mayBeEmpty ? ("", rest.split(separator: " ").map(String.init)) : nil }
        guard address.utf8.count <= 254, address.contains("@"), !address.contains(" "), !address.contains("<") else {
            return nil
        }
        return (address, rest.split(separator: " ").map(String.init))
    }

    private mutating func data(_ argument: String) -> Answer {
        switch state {
        case .recipients: break
        case .mail: return Answer(text: "554 \(code("5.5.1"))no valid recipients\r\n")
        case .new, .greeted, .content, .userName, .password, .plain, .mute: return outOfOrder("DATA")
        }
        guard argument.isEmpty else { return Answer(text: "501 5.5.4 DATA\r\n", fault: "DATA with an argument") }
        let answer = answer(.data, "", ok: "354 end with <CRLF>.<CRLF>")
        if answer.text.hasPrefix("3") {
            state = .content
            content = []
        }
        return answer
    }

    private mutating func nextContent(_ input: inout ByteBuffer) -> Answer? {
        var fault: String?
        while input.readableBytes > 0 {
            let view = input.readableBytesView
            guard let end = view.firstIndex(of: 0x0A) else {
                guard input.readableBytes > 1_048_576 else { return nil }
                input.clear()
                return Answer(text: "500 5.6.0 endless line\r\n", closes: true, fault: "endless text line")
            }
            var line = [UInt8](view[view.startIndex...end])
            input.moveReaderIndex(forwardBy: line.count)
            guard line.count >= 2, line[line.count - 2] == 0x0D else {
                return Answer(text: "554 5.6.0 bare LF\r\n", closes: true, fault: "bare LF in a message")
            }
            if line == [0x2E, 0x0D, 0x0A] {
                var answer = finished()
                answer.fault = fault ?? answer.fault
                return answer
            }
            if line.first == 0x2E {
                line.removeFirst()
                if line.first != 0x2E { fault = "a leading dot was not doubled" }
            }
            if line.count > 1000 { fault = "text line of \(line.count) octets" }
            if line.dropLast(2).contains(where: { $0 == 0x0D || $0 == 0 }) { fault = "bare CR or NUL in a message" }
            if !declaredEightBit, !declaredUTF8, line.contains(where: { $0 >= 0x80 }) {
                fault = "8-bit text without BODY=8BITMIME"
            }
            content.append(contentsOf: line)
        }
        return fault.map { Answer(fault: $0) }
    }

    private mutating func finished() -> Answer {
        state = .greeted
        if let size = options.sizeMax, content.count > size { return Answer(text: "552 5.3.4 message too big\r\n") }
        var answer = answer(.content, sender, ok: "250 \(code("2.0.0"))ok: queued as \(connection)-\(messageNumber)")
        // A silent or closing sandbox may have kept the message, as a real server may.
        let isKept = answer.text.hasPrefix("2") || (answer.text.isEmpty && answer.closes) || answer.delay == .zero
        if isKept {
            answer.message = SMTPSandboxMessage(
                connection: connection, number: messageNumber, user: user, isEncrypted: isEncrypted, sender: sender,
                recipients: recipients, bytes: content)
        }
        content = []
        return answer
    }

    // MARK: The script

    private mutating func answer(_ kind: SMTPSandboxStep.Kind, _ argument: String, ok: String) -> Answer {
        let step = SMTPSandboxStep(kind: kind, connection: connection, message: messageNumber, argument: argument)
        switch options.script(step) {
        case .none: return Answer(text: ok + "\r\n")
        case .reply(let text): return Answer(text: text.split(separator: "\n").joined(separator: "\r\n") + "\r\n")
        case .replyAndClose(let text): return Answer(text: text + "\r\n", closes: true)
        case .close: return Answer(closes: true)
        case .silence:
            state = .mute
            return Answer(delay: .zero)
        case .late(let delay): return Answer(text: ok + "\r\n", delay: delay)
        case .raw(let bytes): return Answer(text: bytes)
        }
    }
}
