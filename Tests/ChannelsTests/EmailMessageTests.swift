import Alerting
import Core
import Foundation
import Sandbox
import Testing

@testable import Channels

/// What an independent program, Python's `email`, reads in a message.
enum PythonEmail {
    static let path = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    struct Reading: Decodable {
        var headers: [String: [String]]
        var defects: [String]
        var parts: [Part]
        struct Part: Decodable {
            var type: String
            var charset: String?
            var encoding: String?
            var text: String
            var defects: [String]
        }
    }

    private static let program = """
        import sys, json, email, email.policy
        out = []
        for block in json.load(sys.stdin):
            m = email.message_from_bytes(bytes(block), policy=email.policy.default)
            h = {}
            d = [str(x) for x in m.defects]
            for k, v in m.items():
                h.setdefault(k, []).append(str(v))
                d += [k + ': ' + str(x) for x in getattr(v, 'defects', [])]
            p = [{'type': x.get_content_type(), 'charset': x.get_content_charset(),
                  'encoding': x['Content-Transfer-Encoding'], 'text': x.get_content(),
                  'defects': [str(y) for y in x.defects]} for x in m.walk() if not x.is_multipart()]
            out.append({'headers': h, 'defects': d, 'parts': p})
        json.dump(out, sys.stdout)
        """

    static func read(_ messages: [[UInt8]]) throws -> [Reading] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("python-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let input = folder.appendingPathComponent("messages.json")
        try JSONEncoder().encode(messages).write(to: input)
        let output = folder.appendingPathComponent("readings.json")
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path ?? "")
        process.arguments = ["-c", program]
        process.standardInput = try FileHandle(forReadingFrom: input)
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        process.waitUntilExit()
        return try JSONDecoder().decode([Reading].self, from: Data(contentsOf: output))
    }
}

@Suite struct EmailMessageTests {
    static func message(subject: String = "x", text: String = "text\n", html: String = "<p>x</p>\n") throws
        -> EmailMessage
    {
        EmailMessage(
            from: EmailMailbox(name: "Alerts", address: try EmailAddress("alerts@example.com")),
            to: [EmailMailbox(name: nil, address: try EmailAddress("ops@example.com"))], subject: subject,
            date: Timestamp(milliseconds: 1_795_373_100_000),
            messageId: EmailMessage.messageId(kind: "alert", key: "k1", domain: "alerts.example.com"), text: text,
            html: html)
    }

    /// Texts that a rule may well produce, and some that only an attacker would.
    static let subjects = [
        "plain", "", "Überlastung: CPU > 90 % auf Server Köln – Störung", "日本語の件名がここにあります。とても長い件名なので折り返されます。",
        "a =?utf-8?q?fake?= word", "x\r\nBcc: evil@example.com\r\n\r\nbody", "tab\tand\u{0}nul\u{85}next\u{2028}line",
        "🏭🔥 Linie 3 👩‍🔧 steht", String(repeating: "wort ", count: 60), String(repeating: "x", count: 300),
        String(repeating: "ä", count: 200), "trailing  blanks   ", "right\u{202E}left", "_underscores_ and ?marks? =3D",
        "é", String(repeating: "long-ascii-word ", count: 9) + "é",
    ]

    @Test(.enabled(if: PythonEmail.path != nil, "python3 is missing"))
    func `Python reads every header and both parts as they were meant`() throws {
        let bodies = [
            "plain\n", "", ".", "..\n.\n", "From here\n>From\nFrom\n", "trailing blank \ntab\t\n\n\n",
            "Störung = 100 %  \nEnde \n",
            String(repeating: "x", count: 2000) + "\n", String(repeating: "ä", count: 500), "日本語\n行\n",
            "crlf\r\nlone\rcr\n",
            "--=_boundary\n--=_\n", "=\n==\n=3D\n", "🏭\n", String(repeating: ". ", count: 100),
            String(repeating: "F", count: 200),
        ]
        var messages: [EmailMessage] = []
        for (index, subject) in Self.subjects.enumerated() {
            var message = try Self.message(subject: subject, text: bodies[index], html: "<p>\(bodies[index])</p>\n")
            message.from.name = index % 3 == 0 ? subject : "Alerts, \"the\" \\ router"
            message.references = (0..<(index * 2)).map { "<incident.\($0)0123456789abcdef@alerts.example.com>" }
            messages.append(message)
        }
        let readings = try PythonEmail.read(messages.map(\.bytes))
        #expect(readings.count == messages.count)
        for (message, reading) in zip(messages, readings) {
            #expect(reading.defects == [], "\(message.subject)")
            #expect(reading.headers["Subject"] == [EmailHeader.cleaned(message.subject)])
            #expect(reading.headers["Bcc"] == nil)
            #expect(reading.headers["Date"] == ["Sun, 22 Nov 2026 18:45:00 +0000"])
            #expect(reading.headers["Message-ID"] == [message.messageId])
            #expect(reading.headers["Auto-Submitted"] == ["auto-generated"])
            #expect(reading.headers["X-Auto-Response-Suppress"] == ["All"])
            #expect(
                reading.headers["References"]?.first
                    == (message.references.isEmpty ? nil : message.references.prefix(20).joined(separator: " ")))
            #expect(reading.headers["In-Reply-To"]?.first == message.references.first)
            #expect(reading.headers["To"] == ["ops@example.com"])
            #expect(
                reading.headers["From"]?.first?.hasSuffix("<alerts@example.com>") == true || message.from.name == "")
            #expect(reading.parts.map(\.type) == ["text/plain", "text/html"])
            #expect(reading.parts.allSatisfy { $0.charset == "utf-8" && $0.defects == [] })
            func lines(_ text: String) -> String {
                let unified = text.replacingOccurrences(of: "\r\n", with: "\n").replacingOccurrences(
                    of: "\r", with: "\n")
                return unified.hasSuffix("\n") ? unified : unified + "\n"
            }
            #expect(lines(reading.parts[0].text) == lines(message.text))
            #expect(lines(reading.parts[1].text) == lines(message.html))
        }
    }

    @Test func `the wire form is 7-bit, in short lines, and passes through SMTP as it is`() throws {
        for subject in Self.subjects {
            var message = try Self.message(subject: subject, text: subject + "\n.\n", html: subject)
            message.from.name = subject
            let text = String(decoding: message.bytes, as: UTF8.self)
            #expect(message.bytes.allSatisfy { $0 < 0x80 && $0 != 0 })
            let lines = text.components(separatedBy: "\r\n")
            #expect(lines.allSatisfy { !$0.contains("\n") && !$0.contains("\r") })
            #expect(lines.allSatisfy { $0.utf8.count <= 78 }, "\(lines.filter { $0.utf8.count > 78 })")
            for line in lines where line.contains("=?utf-8?") {
                #expect(line.utf8.count <= 76)
                for word in line.split(separator: " ") where word.hasPrefix("=?") { #expect(word.utf8.count <= 75) }
            }
            let content = try SMTPContent(message.bytes)
            #expect(content.octetCount == message.bytes.count)
        }
    }

    @Test func `a message is the same bytes each time, and its id hangs on the key alone`() throws {
        let message = try Self.message(subject: "Störung")
        #expect(message.bytes == message.bytes)
        #expect(
            EmailMessage.messageId(kind: "alert", key: "k1", domain: "a.example")
                == EmailMessage.messageId(kind: "alert", key: "k1", domain: "a.example"))
        #expect(
            EmailMessage.messageId(kind: "alert", key: "k1", domain: "a.example")
                != EmailMessage.messageId(kind: "alert", key: "k2", domain: "a.example"))
        #expect(message.messageId.hasPrefix("<alert.") && message.messageId.hasSuffix("@alerts.example.com>"))
    }

    @Test func `the vectors of quoted-printable are reproduced`() {
        let text = "Störung = 100 %  \nLeerzeichen am Ende \nZeile mit Tab\t\n"
        let expected = "St=C3=B6rung =3D 100 % =20\r\nLeerzeichen am Ende=20\r\nZeile mit Tab=09\r\n"
        #expect(String(decoding: EmailEncoding.quotedPrintable(Array(text.utf8)), as: UTF8.self) == expected)
        #expect(
            EmailHeader.encodedWords("Überlastung: CPU > 90 %", firstLineUsed: 0)
                == "=?utf-8?q?=C3=9Cberlastung=3A_CPU_=3E_90_=25?=")
    }

    @Test func `random texts survive quoted-printable and encoded words`() {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = SplitMix(seed: seed)
        let alphabet: [Character] = ["a", "F", "r", "o", "m", " ", ".", "=", "\n", "\t", "ä", "日", "🏭", "_", "?", "-"]
        for _ in 0..<300 {
            let text = String(
                (0..<Int.random(in: 0..<300, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" }
            )
            let mail =
                "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\nSubject: "
                + EmailHeader.encodedWords(EmailHeader.cleaned(text), firstLineUsed: 9) + "\r\n\r\n"
            let message = SMTPSandboxMessage(
                connection: 1, number: 1, user: nil, isEncrypted: false, sender: "", recipients: [],
                bytes: Array(mail.utf8) + EmailEncoding.quotedPrintable(Array(text.utf8)))
            let expected = text.hasSuffix("\n") ? text : text + "\n"
            #expect(message.text?.replacingOccurrences(of: "\r\n", with: "\n") == expected)
            #expect(message.subject == EmailHeader.cleaned(text))
            for line in EmailEncoding.quotedPrintable(Array(text.utf8)).split(separator: 0x0A) {
                #expect(line.count <= 77 && line.first != 0x2E && !line.starts(with: Array("From ".utf8)))
            }
        }
    }

    // MARK: Addresses

    @Test(arguments: [
        "ops@example.com", "first.last+tag@sub.example.co.uk", "o'neil@example.com", "x@localhost",
        " padded@example.com ",
        "jürgen@example.com", "用户@例え.jp", "a=b@example.com",
    ])
    func `addresses that need no quotes are read`(text: String) throws {
        #expect(
            try EmailAddress(text).description.lowercased() == text.trimmingCharacters(in: .whitespaces).lowercased())
    }

    @Test(arguments: [
        "", "@", "a@", "@b", "no at", "a b@example.com", "\"a b\"@example.com", "a@b@c", "a..b@example.com",
        ".a@example.com",
        "a.@example.com", "a@example..com", "a@-example.com", "a@[127.0.0.1]", "a@example.com\r\nBcc: x@y",
        "a\r\n@example.com",
        "a@exam\nple.com", "a@example.com>", "<a@example.com>", "Name <a@example.com>", "a@example.com,b@example.com",
        "a\u{0}@example.com", "a\u{202E}@example.com", "a\u{200B}@example.com", "a@example.com\u{A0}",
        "a;b@example.com", "a@b c.com",
        String(repeating: "x", count: 65) + "@example.com", "a@" + String(repeating: "x", count: 64) + ".com",
    ])
    func `what could smuggle something is no address`(text: String) {
        #expect(throws: EmailAddress.Flaw.self) { try EmailAddress(text) }
    }

    @Test func `domains are allowed by name or below a star`() throws {
        let address = try EmailAddress("a@mail.Example.com")
        #expect(
            address.isAllowed(by: ["mail.example.com"]) && address.isAllowed(by: ["*.example.com"])
                && address.isAllowed(by: ["*"]))
        #expect(!address.isAllowed(by: ["example.com", "*.mail.example.com", "ple.com", "*.ple.com"]))
        #expect(try !EmailAddress("a@evilexample.com").isAllowed(by: ["example.com", "*.example.com"]))
        #expect(try !EmailAddress("a@example.com").isAllowed(by: []))
    }
}
