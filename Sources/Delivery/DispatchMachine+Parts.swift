import Core
import Store

/// A change of the destinations.
enum DestinationChange: Sendable {
    /// Puts these in place of all.
    case replace([any Destination])
    /// Adds those whose receivers are not there yet.
    case add([any Destination])
}

/// A pass whose parts fail one by one.
extension DispatchMachine {
    /// How long the rows of a receiver wait that could not be handled.
    static let failureWaitMilliseconds: Int64 = 1000

    /// Whether an error is about the rows at hand, not about the store.
    static func isLocal(_ error: any Error) -> Bool { (error as? StoreError)?.isStorageFailure != true }

    /// Settles and claims as a pass does, each attempt and each receiver for itself.
    mutating func cycleInParts(
        settling finished: [FinishedAttempt], _ transaction: any StoreTransaction, now: Timestamp
    ) throws -> Cycle {
        var cycle = Cycle()
        for attempt in finished {
            let receiver = flights[attempt.rowId]?.row.receiver
            let error = try part(of: &cycle, transaction) { machine, cycle in
                try machine.settle(attempt, transaction, now: now, cycle: &cycle)
            }
            guard let error else { continue }
            cycle.unsettled.append(attempt)
            cycle.wake(at: now.adding(milliseconds: DispatchMachine.failureWaitMilliseconds))
            if let receiver { note(error, of: receiver, now: now, cycle: &cycle) }
        }
        let orphanError = try part(of: &cycle, transaction) { machine, cycle in
            if !machine.isDraining { try machine.buryOrphans(transaction, now: now, cycle: &cycle) }
        }
        if orphanError != nil {
            orphansDueAt = now.adding(milliseconds: DispatchMachine.orphanSearchMilliseconds)
            cycle.wake(at: orphansDueAt)
        }
        for receiver in receivers {
            let error = try part(of: &cycle, transaction) { machine, cycle in
                try machine.claimAndPrune(receiver, transaction, now: now, cycle: &cycle)
            }
            if let error { note(error, of: receiver, now: now, cycle: &cycle) }
        }
        return cycle
    }

    /// Does one part, or nothing of it.
    /// - Returns: why nothing was done; nil where it was.
    private mutating func part(
        of cycle: inout Cycle, _ transaction: any StoreTransaction,
        _ body: (inout DispatchMachine, inout Cycle) throws -> Void
    ) throws -> (any Error)? {
        var machine = self
        var own = Cycle()
        do {
            try transaction.inSavepoint { try body(&machine, &own) }
        } catch  where DispatchMachine.isLocal(error) {
            return error
        }
        self = machine
        cycle.append(own)
        return nil
    }

    private mutating func note(_ error: any Error, of receiver: String, now: Timestamp, cycle: inout Cycle) {
        let isNews = states[receiver].map { $0.failedUntil == nil } ?? false
        let until = now.adding(milliseconds: DispatchMachine.failureWaitMilliseconds)
        states[receiver]?.failedUntil = until
        cycle.wake(at: until)
        if isNews { cycle.facts.append(.receiverFailed(receiver: receiver, reason: "\(error)")) }
    }
}
