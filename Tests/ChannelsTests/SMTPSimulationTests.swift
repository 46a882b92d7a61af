import Core
import NIOCore
import Testing

@testable import Channels

/// Sessions and pools under random servers: whatever happens, every message ends exactly once, and never better than
/// what the server said.
@Suite struct SMTPSimulationTests {
    /// A session and what a referee knows of it.
    private struct World {
        var session: SMTPSession
        var random: SplitMix
        var submitted = 0
        var finished: [Int: SMTPReport] = [:]
        /// Tickets whose content left in full, and final answers that came for them.
        var written: Set<Int> = []
        var confirmed: Set<Int> = []
        var contentPending = false
        var failures: [String] = []

        mutating func perform(_ step: (inout SMTPSession, inout [SMTPSession.Action]) -> Void) {
            var actions: [SMTPSession.Action] = []
            step(&session, &actions)
            for action in actions {
                switch action {
                case .complete(let ticket, let report):
                    if finished[ticket] != nil { failures.append("\(ticket) finished twice") }
                    finished[ticket] = report
                    judge(ticket, report)
                case .writeContent(_, let isLast): contentPending = contentPending || isLast
                case .write, .startTLS, .ready, .close, .failed: break
                }
            }
        }

        mutating func judge(_ ticket: Int, _ report: SMTPReport) {
            for recipient in report.recipients {
                switch recipient.outcome {
                case .accepted:
                    if !confirmed.contains(ticket) { failures.append("\(ticket) accepted without a final answer") }
                case .ambiguous:
                    if !written.contains(ticket) { failures.append("\(ticket) ambiguous, but nothing was written") }
                case .retryable, .permanent, .unauthorized: break
                }
            }
            if report.isUntouched, written.contains(ticket) { failures.append("\(ticket) untouched after its content") }
        }

        mutating func reply() {
            let step = session.head?.step
            let good = step == .data ? "354 go" : "250 ok"
            let bad = [
                "450 busy", "550 no", "421 bye", "354 what", "rubbish", "552 much", "530 login", "250-more\r\n250 ok",
            ]
            let isBad = Int.random(in: 0..<12, using: &random) == 0
            let line = isBad ? bad.randomElement(using: &random) ?? "" : good
            if step == .content, line.hasPrefix("2"), let ticket = session.head?.ticket,
                session.head?.isContentWritten == true
            {
                confirmed.insert(ticket)
            }
            var bytes = ByteBuffer(string: line + "\r\n")
            perform { $0.received(&bytes, into: &$1) }
        }

        mutating func submit() throws {
            guard session.acceptsMessage else { return }
            submitted += 1
            let count = Int.random(in: 1...3, using: &random)
            let message = SMTPMessage(
                sender: "a@example.com", recipients: (0..<count).map { "r\($0)@example.com" },
                content: try SMTPContent(Array("x\r\n".utf8)), hasUTF8Headers: false)
            let ticket = submitted
            perform { $0.submit(ticket: ticket, message, into: &$1) }
        }
    }

    @Test(arguments: [true, false])
    func `a session ends every message once, and no better than the server said`(pipelining: Bool) throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = SplitMix(seed: seed)
        for _ in 0..<600 {
            var configuration = SMTPConfiguration(host: "mx", port: 25, security: .none)
            configuration.usesPipelining = pipelining
            var world = World(
                session: SMTPSession(configuration: configuration, isLoopback: true, clientName: "c"),
                random: SplitMix(seed: random.next()))
            world.session.connected(secure: false)
            var hello = ByteBuffer(string: "220 mx\r\n250-mx\r\n250 PIPELINING\r\n")
            world.perform { $0.received(&hello, into: &$1) }
            for _ in 0..<40 where world.session.phase == .ready {
                switch Int.random(in: 0..<10, using: &world.random) {
                case 0...2: try world.submit()
                case 3...4 where world.contentPending:
                    world.contentPending = false
                    if let ticket = world.session.head?.ticket, world.session.head?.step == .content {
                        world.written.insert(ticket)
                    }
                    world.perform { $0.contentWritten(into: &$1) }
                case 5 where Int.random(in: 0..<20, using: &world.random) == 0:
                    world.perform { $0.timedOut(into: &$1) }
                default: if world.session.head != nil, !world.contentPending { world.reply() }
                }
            }
            world.perform { $0.disconnected(nil, outcome: .retryable, into: &$1) }
            #expect(world.finished.count == world.submitted, "seed \(seed)")
            #expect(world.failures == [], "seed \(seed)")
        }
    }

    @Test func `a pool ends every message once and never opens too many connections`() throws {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = SplitMix(seed: seed)
        let message = SMTPMessage(
            sender: "a@example.com", recipients: ["b@example.com"], content: try SMTPContent([0x61]),
            hasUTF8Headers: false)
        for _ in 0..<300 {
            var limits = SMTPLimits.standard
            limits.connectionsMax = Int.random(in: 1...3, using: &random)
            limits.messagesPerConnectionMax = Int.random(in: 1...5, using: &random)
            limits.waitingMax = 10
            var pool = SMTPPool(limits: limits, usesPipelining: Bool.random(using: &random))
            var opening: Set<Int> = []
            var ready: [Int: [Int]] = [:]
            var finished: [Int: Int] = [:]
            var submitted = 0
            var clock = 0
            func drain(_ actions: [SMTPPool.Action]) {
                for action in actions {
                    switch action {
                    case .open(let id): opening.insert(id)
                    case .submit(let id, let request):
                        #expect(ready[id] != nil, "seed \(seed)")
                        ready[id]?.append(request.ticket)
                        #expect((ready[id]?.count ?? 0) <= 2, "seed \(seed)")
                    case .finish(let ticket, _): finished[ticket, default: 0] += 1
                    case .quit, .abort: break
                    }
                }
                #expect(opening.count + ready.count <= limits.connectionsMax, "seed \(seed)")
            }
            func close(_ id: Int, wasReady: Bool, now: Timestamp) {
                var actions: [SMTPPool.Action] = []
                let failure = SMTPFailure(outcome: .retryable, reason: "gone")
                for ticket in ready[id] ?? [] {
                    pool.completed(
                        ticket: ticket, SMTPReport(all: ["b@example.com"], failure: failure, isUntouched: true),
                        isUsable: false, now: now,
                        into: &actions)
                }
                ready[id] = nil
                opening.remove(id)
                pool.connectionClosed(id, failure: failure, wasReady: wasReady, now: now, into: &actions)
                drain(actions)
            }
            for _ in 0..<100 {
                clock += Int.random(in: 0..<20_000, using: &random)
                let now = Timestamp(milliseconds: Int64(clock))
                var actions: [SMTPPool.Action] = []
                switch Int.random(in: 0..<10, using: &random) {
                case 0...3:
                    submitted += 1
                    pool.submit(SMTPPool.Request(ticket: submitted, message: message), now: now, into: &actions)
                case 4...5:
                    guard let id = opening.min() else { continue }
                    opening.remove(id)
                    ready[id] = []
                    pool.connectionReady(id, now: now, into: &actions)
                case 6...7:
                    guard let id = ready.keys.sorted().first(where: { ready[$0]?.isEmpty == false }),
                        let ticket = ready[id]?.removeFirst()
                    else { continue }
                    let failure = SMTPFailure(outcome: .permanent, reason: "no")
                    pool.completed(
                        ticket: ticket, SMTPReport(all: ["b@example.com"], failure: failure, isUntouched: false),
                        isUsable: true, now: now,
                        into: &actions)
                case 8: if let id = ready.keys.min() { close(id, wasReady: true, now: now) }
                default: if let id = opening.min() { close(id, wasReady: false, now: now) }
                }
                drain(actions)
            }
            var actions: [SMTPPool.Action] = []
            pool.shutDown(into: &actions)
            drain(actions)
            let end = Timestamp(milliseconds: Int64(clock))
            for id in opening { close(id, wasReady: false, now: end) }
            for id in ready.keys { close(id, wasReady: true, now: end) }
            #expect(finished.count == submitted && finished.values.allSatisfy { $0 == 1 }, "seed \(seed)")
            #expect(pool.connectionCount == 0 && pool.waitingCount == 0, "seed \(seed)")
        }
    }
}
