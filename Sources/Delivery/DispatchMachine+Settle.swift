import Core
import Store

extension DispatchMachine {
    /// Records what became of a row in flight.
    mutating func settle(
        _ finished: FinishedAttempt, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        guard let flight = flights.removeValue(forKey: finished.rowId) else { return }
        let receiver = flight.row.receiver
        states[receiver]?.inFlightCount -= 1
        let inFlight = states[receiver]?.inFlightCount ?? flights.values.count { $0.row.receiver == receiver }
        cycle.events.append(.inFlight(receiver: receiver, count: inFlight))
        guard case .attempted(let report) = finished.ending else {
            try closeUnsent(finished, flight: flight, transaction, now: now, cycle: &cycle)
            return
        }
        states[receiver]?.answerSlot(recipient: flight.row.recipient, at: finished.finishedAt)
        if let slotId = flight.slotId { try transaction.answerLimiterSlot(id: slotId, at: finished.finishedAt) }
        let attempt = DispatchMachine.record(finished, report: report, row: flight.row, run: run)
        cycle.events.append(
            .attempt(
                receiver: receiver, outcome: attempt.outcome,
                milliseconds: finished.finishedAt.milliseconds(since: finished.startedAt)))
        if let problem = finished.problem {
            cycle.facts.append(
                .templateProblem(
                    receiver: receiver, rule: flight.row.rule, outboxId: flight.row.id, problem: problem))
        }
        judge(report.outcome, receiver: receiver, finished: finished, cycle: &cycle)
        try pause(report.outcome, receiver: receiver, at: finished.finishedAt, transaction)
        do {
            if let body = finished.body, report.outcome.reason != nil {
                try transaction.setBody(id: flight.row.id, body: body)
            }
            try end(flight.row, report: report, attempt: attempt, finished, transaction, now: now, cycle: &cycle)
        } catch let error as StoreError where error.code == .conflict {
            // A row that somebody settled meanwhile keeps that end.
            try transaction.insertAttempt(attempt)
            try forgetMerge(flight.row.id, transaction)
        }
    }

    private static func record(
        _ finished: FinishedAttempt, report: AttemptReport, row: OutboxRecord, run: Int64
    ) -> AttemptRecord {
        let outcome: AttemptOutcomeName
        var providerId: String?
        switch report.outcome {
        case .accepted(let id):
            outcome = .accepted
            providerId = id
        case .retryable: outcome = .retryable
        case .permanent: outcome = .permanent
        case .unauthorized: outcome = .unauthorized
        case .ambiguous: outcome = .ambiguous
        }
        return AttemptRecord(
            outboxId: row.id, receiver: row.receiver, number: row.attemptCount + 1, startedAt: finished.startedAt,
            finishedAt: finished.finishedAt, outcome: outcome, statusCode: report.statusCode,
            detail: report.detail ?? report.outcome.reason, providerId: providerId, run: run)
    }

    /// The end of a claim that nothing was sent for.
    private mutating func closeUnsent(
        _ finished: FinishedAttempt, flight: Flight, _ transaction: any StoreTransaction, now: Timestamp,
        cycle: inout Cycle
    ) throws {
        states[flight.row.receiver]?.giveBackSlot(recipient: flight.row.recipient)
        states[flight.row.receiver]?.breaker.probeReturned(at: now)
        if let slotId = flight.slotId { try transaction.returnLimiterSlot(id: slotId) }
        do {
            if case .unrenderable(let reason) = finished.ending {
                try bury(
                    flight.row, reason: "cannot be laid out: \(reason)", isAmbiguous: false, attempt: nil,
                    transaction, now: now, cycle: &cycle)
                return
            }
            try transaction.release(
                id: flight.row.id,
                OutboxRelease(
                    notBefore: now, reason: nil, isAmbiguous: false, countsAsAttempt: false,
                    waitedMilliseconds: max(0, now.milliseconds(since: finished.startedAt))), attempt: nil)
        } catch let error as StoreError where error.code == .conflict {
            try forgetMerge(flight.row.id, transaction)
        }
    }

    /// Lets the breaker see an outcome.
    private mutating func judge(
        _ outcome: AttemptOutcome, receiver: String, finished: FinishedAttempt, cycle: inout Cycle
    ) {
        guard var state = states[receiver] else { return }
        let channel = state.destination.channel
        let wasOpen = state.breaker.isOpen
        switch outcome {
        case .accepted:
            if state.breaker.succeeded() {
                cycle.facts.append(.breakerClosed(receiver: receiver, channel: channel))
            }
        case .retryable(.some, _):
            // Throttled: the pause is enough, and a destination that throttles lives.
            state.breaker.probeReturned(at: finished.finishedAt)
        case .retryable(nil, let reason), .permanent(let reason), .ambiguous(let reason):
            if state.breaker.failed(at: finished.finishedAt) {
                cycle.facts.append(
                    .breakerOpened(receiver: receiver, channel: channel, isUnauthorized: false, reason: reason))
            }
        case .unauthorized(let reason):
            if state.breaker.unauthorized(at: finished.finishedAt) {
                cycle.facts.append(
                    .breakerOpened(receiver: receiver, channel: channel, isUnauthorized: true, reason: reason))
            }
        }
        if state.breaker.isOpen != wasOpen {
            cycle.events.append(.breaker(receiver: receiver, isOpen: state.breaker.isOpen))
        }
        states[receiver] = state
    }

    /// `Retry-After` holds for the whole destination, over restarts too.
    private mutating func pause(
        _ outcome: AttemptOutcome, receiver: String, at time: Timestamp, _ transaction: any StoreTransaction
    ) throws {
        guard case .retryable(.some(let after), _) = outcome, var state = states[receiver] else { return }
        let until = time.adding(min(max(after, .zero), RetryAfter.longest))
        guard until > state.pausedUntil ?? .distantPast else { return }
        state.pausedUntil = until
        states[receiver] = state
        try transaction.setMeta(
            DispatchMachine.pausePrefix + receiver, Array(String(until.milliseconds).utf8))
    }

    /// Ends a row or puts it back.
    private mutating func end(
        _ row: OutboxRecord, report: AttemptReport, attempt: AttemptRecord, _ finished: FinishedAttempt,
        _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        switch report.outcome {
        case .accepted(let providerId):
            try transaction.settle(
                id: row.id,
                OutboxSettlement(state: .sent, reason: nil, providerId: providerId, at: now, isAmbiguous: false),
                attempt: attempt)
            try forgetMerge(row.id, transaction)
            cycle.events.append(
                .settled(
                    receiver: row.receiver, state: .sent,
                    latencyMilliseconds: finished.finishedAt.milliseconds(since: row.createdAt)))
        case .permanent(let reason):
            try bury(
                row, reason: reason, isAmbiguous: false, attempt: attempt, transaction, now: now, cycle: &cycle)
        case .ambiguous(let reason) where states[row.receiver]?.policy.onAmbiguous == .hold:
            try bury(
                row, reason: "\(reason); held, as on_ambiguous is hold", isAmbiguous: true, attempt: attempt,
                transaction, now: now, cycle: &cycle)
        case .retryable(_, let reason), .unauthorized(let reason), .ambiguous(let reason):
            var isAmbiguous = false
            if case .ambiguous = report.outcome { isAmbiguous = true }
            try retry(
                row, reason: reason, isAmbiguous: isAmbiguous, attempt: attempt, finished, transaction, now: now,
                cycle: &cycle)
        }
    }

    private mutating func retry(
        _ row: OutboxRecord, reason: String, isAmbiguous: Bool, attempt: AttemptRecord, _ finished: FinishedAttempt,
        _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        let policy = states[row.receiver]?.policy ?? .standard
        let age = now.milliseconds(since: row.firstAttemptAt ?? now) - row.waitedMilliseconds
        guard age < policy.ageLimit.wholeMilliseconds else {
            try bury(
                row, reason: "given up after \(DurationText.format(policy.ageLimit)): \(reason)",
                isAmbiguous: isAmbiguous, attempt: attempt, transaction, now: now, cycle: &cycle)
            return
        }
        // Behind an open breaker the row waits for the breaker, not for a backoff of its own.
        var notBefore = now
        if states[row.receiver]?.breaker.isOpen != true {
            notBefore = now.adding(
                Backoff.delay(attemptCount: attempt.number, policy: policy, random: &random))
        }
        try transaction.release(
            id: row.id,
            OutboxRelease(
                notBefore: notBefore, reason: reason, isAmbiguous: isAmbiguous, countsAsAttempt: true,
                waitedMilliseconds: 0), attempt: attempt)
    }
}
