import Channels
import Core
import Sandbox
import Testing

@testable import RouterBench

// Goal: the crash run's verdict itself can be trusted. What it reads from messages, what it demands of accepted rows,
// and when a run proves too little.

private typealias Told = CrashRecorder.Told

private func told(_ numbers: ClosedRange<Int>, isResolved: Bool = false) -> [Told] {
    numbers.map {
        Told(
            episode: CrashOracle.Episode(addressee: "chat-a", rule: "hot", key: "U\($0)", number: 1),
            isResolved: isResolved)
    }
}

private func lines(_ numbers: ClosedRange<Int>) -> [String] { numbers.map { "Firing  #hot|U\($0)|1|firing#" } }

private func arrival(_ numbers: ClosedRange<Int>, more: [String] = []) -> CrashRecorder.Arrival {
    CrashRecorder.Arrival(addressee: "chat-a", lines: ["3 alerts"] + lines(numbers) + more)
}

@Suite struct CrashRecorderTests {
    @Test(arguments: [1, 40]) func `a mail's count of what it leaves out is read, whatever its encoding`(_ rest: Int)
        throws
    {
        // Many other letters make the mail base64 with CRLF lines; few make it quoted-printable.
        for filler in ["", String(repeating: "ö", count: 400)] {
            let message = EmailMessage(
                from: EmailMailbox(name: nil, address: try EmailAddress("alerts@crash.example")),
                to: [EmailMailbox(name: nil, address: try EmailAddress("desk@crash.example"))], subject: "alerts",
                date: .epoch, messageId: "<n.1@crash.example>",
                text: lines(1...3).joined(separator: "\n") + "\n\(filler)\n\nand \(rest) more\n\n90 open.\n", html: "")
            let taken = SMTPSandboxMessage(
                connection: 1, number: 1, user: nil, isEncrypted: false, sender: "alerts@crash.example",
                recipients: ["desk@crash.example"], bytes: message.bytes)
            let arrival = CrashRecorder.Arrival(addressee: "chat-a", lines: taken.lines)
            #expect(arrival.leftOutCount == rest)
            #expect(arrival.told == told(1...3))
        }
    }

    @Test func `only the line that counts is taken for a count`() {
        #expect(CrashRecorder.leftOutCount(in: ["and 11 more"]) == 11)
        for line in ["and some more", "11 more", "and 11 more alerts", "and 11 moreover", ""] {
            #expect(CrashRecorder.leftOutCount(in: [line]) == 0, "\(line)")
        }
    }
}

@Suite struct CrashVerdictTests {
    private let row = CrashVerdict.RowContent(id: 7, told: Set(told(1...5)), count: 5)

    @Test func `a row is accounted for by a message that shows it whole or counts the rest`() {
        for message in [arrival(1...5), arrival(1...2, more: ["and 3 more"]), arrival(4...4, more: ["and 4 more"])] {
            let result = CrashVerdict.counted(of: [row], in: [message])
            #expect(result.told == row.told && result.violations.isEmpty)
        }
    }

    @Test func `a message that hides alerts, counts wrongly or shows others does not account for a row`() {
        let wrong = [
            arrival(1...4), arrival(1...2, more: ["and 2 more"]), arrival(1...5, more: ["and 1 more"]),
            arrival(2...6), arrival(6...9),
        ]
        for message in wrong {
            let result = CrashVerdict.counted(of: [row], in: [message])
            #expect(result.told.isEmpty && result.violations.count == 1, "\(message)")
        }
        // Another message's count does not stand in for a missing one.
        let other = CrashVerdict.RowContent(id: 8, told: Set(told(11...15)), count: 5)
        let result = CrashVerdict.counted(
            of: [row, other], in: [arrival(1...3), arrival(11...11, more: ["and 4 more"])])
        #expect(result.told == other.told && result.violations.count == 1)
        #expect(result.violations.first?.hasPrefix("row 7 holds 5 alerts") == true)
    }

    @Test func `a run is void when its kills hit too little`() {
        func figures(_ unread: Int, _ unsent: Int, _ leased: Int, start: Bool = false) -> CrashWorld.KillFigures {
            var figures = CrashWorld.KillFigures()
            figures.unreadCount = unread
            figures.unsentCount = unsent
            figures.leasedCount = leased
            figures.isPastStart = !start
            return figures
        }
        func repeated(_ one: CrashWorld.KillFigures, _ count: Int) -> [CrashWorld.KillFigures] {
            Array(repeating: one, count: count)
        }
        let rows = figures(9, 0, 0), sending = figures(0, 0, 1), nothing = figures(0, 0, 0)
        #expect(CrashVerdict.voidReason(repeated(rows, 3) + [sending]) == nil)
        #expect(CrashVerdict.voidReason(repeated(rows, 3) + [figures(0, 2, 0)]) == nil)
        #expect(CrashVerdict.voidReason([]) == nil)
        #expect(CrashVerdict.voidReason(repeated(rows, 10))?.contains("quarter") == true)
        #expect(CrashVerdict.voidReason(repeated(rows, 4) + [sending])?.contains("quarter") == true)
        #expect(CrashVerdict.voidReason(repeated(sending, 7) + repeated(nothing, 3))?.contains("80 %") == true)
        let inStart = figures(9, 0, 1, start: true)
        #expect(CrashVerdict.voidReason(repeated(sending, 5) + repeated(inStart, 5)) == nil)
        #expect(CrashVerdict.voidReason(repeated(sending, 4) + repeated(inStart, 6))?.contains("half") == true)
    }
}
