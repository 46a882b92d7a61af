import Core
import Store
import Testing

@testable import Delivery

// Goal: under random rows, answers, lost answers, pauses and crashes the guarantees of delivery hold. Method: 10^4
// steps per seed over a store in memory with virtual time; receivers note what reaches them and when; the invariants
// are checked
// on what they saw and on the rows at the end.

/// News as a row brought it into the outbox.
private struct Told {
    var rowId: Int64
    var incident: String
    var news: FakeMessage.News
    var severity: Severity
}

/// What a receiver saw.
private struct Arrival {
    var rowId: Int64
    var receiver: String
    var recipient: String?
    var at: Int64
    var isTaken: Bool
    var news: [(incident: String, news: FakeMessage.News)]
}

private struct Simulation {
    enum Step { case add, time, answer, crash, pass }

    var harness: MachineHarness
    var random: SeededRandom
    var arrivals: [Arrival] = []
    var told: [Told] = []
    /// Incidents by lane: whether it fires now, and its number.
    var firing: [String: Bool] = [:]
    var episode = 0
    var crashCount = 0
    /// The lanes in flight at the moment; a second one of the same lane is a violation.
    var inFlightLanes: [Int64: String] = [:]
    let receivers: [FakeDestination]

    init(seed: UInt64) throws {
        random = SeededRandom(seed: seed)
        let chat = FakeDestination(
            "chat",
            policy: .test {
                $0.windows = [
                    RateWindow(count: 2, duration: .seconds(1)), RateWindow(count: 12, duration: .seconds(60)),
                ]
                $0.mergeAbove = 6
                ($0.concurrency, $0.claimBatch) = (2, 3)
                $0.breaker.failureCountMax = 4
            }, joins: true)
        let mail = FakeDestination(
            "mail",
            policy: .test {
                $0.recipientWindows = [RateWindow(count: 3, duration: .seconds(120))]
                $0.pace = Pace(perSecond: 5, burst: 5)
                ($0.concurrency, $0.claimBatch) = (1, 6)
            }, joins: true)
        let pager = FakeDestination(
            "pager", policy: .test { ($0.concurrency, $0.claimBatch, $0.retryCap) = (4, 4, .seconds(20)) },
            joins: false)
        receivers = [chat, mail, pager]
        harness = try MachineHarness(receivers)
    }

    mutating func addRow() throws {
        let receiver = ["chat", "mail", "pager"].randomElement(using: &random) ?? "chat"
        let recipient = receiver == "mail" ? ["anna", "ben"].randomElement(using: &random) : nil
        let alert = "\(receiver)-\(recipient ?? "")-\(Int.random(in: 0..<8, using: &random))"
        let isFiring = firing[alert] != nil
        let severity: Severity = alert.hasSuffix("1") || alert.hasSuffix("2") ? .warning : .error
        var incident = alert
        if isFiring {
            firing[alert] = nil
        } else {
            episode += 1
            firing[alert] = true
            episodes[alert] = episode
        }
        incident += "#\(episodes[alert] ?? 0)"
        // Message channels put two alerts in a lane; the pager has a lane per alert.
        let lane = receiver == "pager" ? alert : String(alert.dropLast()) + (alert.hasSuffix("7") ? "x" : "y")
        let news: FakeMessage.News = isFiring ? .resolve : .fire
        let id = try harness.add(
            makeRow(
                receiver, lane: lane, payload: "\(incident)=\(news.rawValue)", at: harness.now,
                severity: severity, priority: .allCases.randomElement(using: &random) ?? .normal,
                recipient: recipient))
        told.append(Told(rowId: id, incident: incident, news: news, severity: severity))
    }
    var episodes: [String: Int] = [:]

    mutating func pass(_ finished: [FinishedAttempt] = []) throws {
        let before = harness.claims.count
        try harness.pass(finished)
        for claim in harness.claims.dropFirst(before) {
            #expect(!inFlightLanes.values.contains(claim.row.lane), "two rows of lane \(claim.row.lane) in flight")
            inFlightLanes[claim.row.id] = claim.row.lane
            #expect(claim.row.notBefore <= harness.now)
        }
    }

    /// The attempt of a claim reaches its receiver, or not, and ends.
    mutating func answer(_ claim: Claim, isCalm: Bool) throws -> FinishedAttempt {
        let outcomes: [AttemptOutcome] =
            isCalm
            ? [.accepted(providerId: nil)]
            : [
                .accepted(providerId: nil), .accepted(providerId: nil), .accepted(providerId: nil),
                .accepted(providerId: nil), .retryable(after: nil, reason: "503"),
                .retryable(after: .seconds(3), reason: "429"), .ambiguous(reason: "lost"),
                .unauthorized(reason: "401"), .permanent(reason: "400"),
            ]
        let outcome = outcomes.randomElement(using: &random) ?? .accepted(providerId: nil)
        let isTaken: Bool
        switch outcome {
        case .accepted: isTaken = true
        case .ambiguous: isTaken = Bool.random(using: &random)
        default: isTaken = false
        }
        arrive(claim, isTaken: isTaken)
        inFlightLanes[claim.row.id] = nil
        harness.claims.removeAll { $0.row.id == claim.row.id }
        return FinishedAttempt(
            rowId: claim.row.id, startedAt: harness.now, finishedAt: harness.now,
            ending: .attempted(AttemptReport(outcome: outcome, statusCode: nil, detail: nil)), body: nil, problem: nil)
    }

    mutating func arrive(_ claim: Claim, isTaken: Bool) {
        arrivals.append(
            Arrival(
                rowId: claim.row.id, receiver: claim.row.receiver, recipient: claim.row.recipient,
                at: harness.now.milliseconds, isTaken: isTaken, news: FakeMessage(bytes: claim.row.payload).news))
    }

    mutating func crash() throws {
        crashCount += 1
        // What was in flight may or may not have got through before the process died.
        for claim in harness.claims where Bool.random(using: &random) {
            arrive(claim, isTaken: Bool.random(using: &random))
        }
        inFlightLanes = [:]
        try harness.crash()
    }

    mutating func run(steps: Int) throws {
        for _ in 0..<steps {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<22: try addRow()
            case 22..<50: harness.advance(Int64.random(in: 0...900, using: &random))
            case 50..<52: harness.advance(Int64.random(in: 0...20_000, using: &random))
            case 52..<53: try crash()
            case 53..<80:
                guard let claim = harness.claims.randomElement(using: &random) else { continue }
                try pass([try answer(claim, isCalm: false)])
            default: try pass()
            }
        }
    }

    /// Everything is taken from here on: all rows must end.
    mutating func settle() throws {
        for _ in 0..<5000 {
            try pass()
            if harness.claims.isEmpty {
                guard harness.store.state.rows.values.contains(where: { !$0.state.isSettled }) else { return }
                harness.now = max(harness.wakeAt ?? harness.now, harness.now.adding(milliseconds: 1))
                continue
            }
            while let claim = harness.claims.first { try pass([try answer(claim, isCalm: true)]) }
        }
    }
}

@Suite struct DeliverySimulation {
    @Test(arguments: [11, 12, 13, 14, 15, 16] as [UInt64])
    func `the guarantees hold under ten thousand random steps`(seed: UInt64) throws {
        var simulation = try Simulation(seed: seed)
        try simulation.run(steps: 10_000)
        try simulation.settle()
        #expect(simulation.crashCount > 30, "seed \(seed)")
        let rows = simulation.harness.store.state.rows
        #expect(rows.values.allSatisfy { $0.state.isSettled }, "seed \(seed): a row is forgotten (G3)")
        #expect(rows.count > 1000)
        checkWindows(simulation, seed: seed)
        checkDuplicates(simulation, rows: rows, seed: seed)
        checkOrder(simulation, rows: rows, seed: seed)
        checkEveryNews(simulation, rows: rows, seed: seed)
    }

    /// G6, at the receiver.
    private func checkWindows(_ simulation: Simulation, seed: UInt64) {
        for destination in simulation.receivers {
            let own = simulation.arrivals.filter { $0.receiver == destination.receiver }
            check(own.map(\.at), destination.policy.windows, "seed \(seed), \(destination.receiver)")
            for (recipient, arrivals) in Dictionary(grouping: own, by: \.recipient) {
                guard recipient != nil else { continue }
                check(arrivals.map(\.at), destination.policy.recipientWindows, "seed \(seed), \(recipient ?? "")")
            }
        }
    }

    private func check(_ times: [Int64], _ windows: [RateWindow], _ comment: Comment) {
        let times = times.sorted()
        for window in windows {
            for index in times.indices where index + window.count < times.count {
                #expect(times[index + window.count] - times[index] >= window.duration.wholeMilliseconds, comment)
            }
        }
    }

    /// G4: the same row is taken twice only where it is flagged.
    private func checkDuplicates(_ simulation: Simulation, rows: [Int64: OutboxRecord], seed: UInt64) {
        let taken = Dictionary(grouping: simulation.arrivals.filter(\.isTaken), by: \.rowId)
        for (id, arrivals) in taken where arrivals.count > 1 {
            let flags = rows[id]?.ambiguousCount ?? 0
            #expect(flags >= arrivals.count - 1, "seed \(seed): row \(id) was taken \(arrivals.count) times")
        }
        // And the same news is in two taken rows only where one of them is flagged.
        var rowsOf: [String: Set<Int64>] = [:]
        for arrival in simulation.arrivals where arrival.isTaken {
            for item in arrival.news { rowsOf["\(item.incident)=\(item.news)", default: []].insert(arrival.rowId) }
        }
        for (news, ids) in rowsOf where ids.count > 1 {
            #expect(ids.contains { rows[$0]?.ambiguousCount ?? 0 > 0 }, "seed \(seed): \(news) in rows \(ids)")
        }
    }

    /// No resolve before its fire, and no fire once a resolve was taken.
    private func checkOrder(_ simulation: Simulation, rows: [Int64: OutboxRecord], seed: UInt64) {
        var seen: [String: Set<FakeMessage.News>] = [:]
        // A fire that was refused for good is never seen.
        let buried = Set(
            rows.values.filter { $0.state == .dead }
                .flatMap { FakeMessage(bytes: $0.payload).news.map(\.incident) })
        for arrival in simulation.arrivals where arrival.isTaken {
            for item in arrival.news {
                let before = seen[item.incident, default: []]
                switch item.news {
                case .fire:
                    #expect(
                        !before.contains(.resolve) && !before.contains(.both),
                        "seed \(seed): \(item.incident) fires after its resolve")
                case .resolve:
                    #expect(
                        before.contains(.fire) || buried.contains(item.incident),
                        "seed \(seed): \(item.incident) resolves before it fires")
                case .both: break
                }
                seen[item.incident, default: []].insert(item.news)
            }
        }
    }

    /// What a row said is said by the row that ends its chain, and arrived with it; or fire and resolve of an incident
    /// below error were both dropped, as neither had been told.
    private func checkEveryNews(_ simulation: Simulation, rows: [Int64: OutboxRecord], seed: UInt64) {
        var arrived: [Int64: Set<String>] = [:]
        for arrival in simulation.arrivals where arrival.isTaken {
            for item in arrival.news { arrived[arrival.rowId, default: []].insert("\(item.incident)=\(item.news)") }
        }
        /// News that is said nowhere, by incident.
        var dropped: [String: Set<FakeMessage.News>] = [:]
        var supersededCount = 0
        for told in simulation.told {
            guard let last = end(of: told, rows: rows, seed: seed) else { continue }
            if last.id != told.rowId { supersededCount += 1 }
            let said = FakeMessage(bytes: last.payload).news.first { $0.incident == told.incident }?.news
            guard last.state != .superseded, said == told.news || said == .both else {
                #expect(told.severity < .error, "seed \(seed): \(told) is not said by row \(last.id)")
                let isGone = said == nil || last.state == .superseded
                #expect(isGone, "seed \(seed): \(told) became \(said?.rawValue ?? "")")
                dropped[told.incident, default: []].insert(told.news)
                continue
            }
            if last.state == .sent {
                let saidHere = arrived[last.id]?.contains("\(told.incident)=\(said ?? told.news)") ?? false
                #expect(saidHere, "seed \(seed): \(told) never arrived with row \(last.id)")
            } else {
                #expect(last.state == .dead && last.reason == "400", "seed \(seed): row \(last.id) is \(last.state)")
            }
        }
        #expect(supersededCount > 300, "seed \(seed): nothing was joined")
        #expect(!dropped.isEmpty, "seed \(seed): nothing was cancelled")
        for (incident, news) in dropped {
            #expect(news == [.fire, .resolve], "seed \(seed): of \(incident) only \(news) was dropped")
        }
    }

    /// The row that a row's news ended in: sent, dead, or cancelled together with others.
    private func end(of told: Told, rows: [Int64: OutboxRecord], seed: UInt64) -> OutboxRecord? {
        var row = rows[told.rowId]
        for _ in 0..<rows.count {
            guard let now = row, now.state == .superseded, now.reason != "resolved" else { return row }
            row = now.supersededBy.flatMap { rows[$0] }
            guard let next = row, next.id > now.id else {
                Issue.record("seed \(seed): row \(now.id) is superseded by \(now.supersededBy ?? 0)")
                return nil
            }
        }
        return row
    }
}
