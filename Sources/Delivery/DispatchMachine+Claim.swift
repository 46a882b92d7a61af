import Core
import Store

extension DispatchMachine {
    /// Claims rows of one receiver as far as its limits allow.
    mutating func claim(
        _ receiver: String, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        // A pass that found as many lanes as it asked for may have left some.
        for _ in 0..<8 {
            guard let state = states[receiver] else { return }
            let room: Int
            switch state.room(at: now) {
            case .rows(let count): room = count
            case .blocked(let block, let until):
                // Nothing to wait for where nothing is due.
                guard let due = try transaction.nextDue(receiver: receiver) else { return }
                if due <= now { cycle.events.append(.blocked(receiver: receiver, by: block)) }
                if let until { cycle.wake(at: max(due, until)) }
                return
            }
            if try claimMerged(receiver, transaction, now: now, cycle: &cycle) { continue }
            let countMax = max(8, room * 2)
            let lanes = try transaction.claimableLanes(receiver: receiver, now: now, countMax: countMax)
            var claimedCount = 0
            for lane in lanes where claimedCount < room {
                if try claim(lane: lane.lane, receiver, transaction, now: now, cycle: &cycle) { claimedCount += 1 }
                if states[receiver]?.breaker.permission(at: now) != .all { break }
            }
            if lanes.count < countMax && claimedCount < room {
                cycle.wake(at: try transaction.nextDue(receiver: receiver).map { max($0, now) })
                return
            }
        }
        cycle.wake(at: now)
    }

    /// Claims the next row of one lane, joined with what waits behind it.
    /// - Returns: whether a row was taken.
    private mutating func claim(
        lane: String, _ receiver: String, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws -> Bool {
        guard let state = states[receiver] else { return false }
        if let merge = merges.first(where: { $0.receiver == receiver && $0.lanes.contains(lane) }) {
            return try claim(after: merge, lane: lane, receiver, transaction, now: now, cycle: &cycle)
        }
        let rows = try transaction.waitingRows(receiver: receiver, lane: lane, countMax: DispatchMachine.laneRowsMax)
        guard let first = rows.first else { return false }
        if let recipient = first.recipient, !state.policy.recipientWindows.isEmpty {
            // The last free slot of a recipient takes everything that waits for them.
            if state.recipientLimiter(recipient).availableCount(at: now) == 1,
                try claimMerged(receiver, recipient: recipient, transaction, now: now, cycle: &cycle)
            {
                return true
            }
        }
        return try take(rows, mergedLanes: [], transaction, now: now, cycle: &cycle)
    }

    /// The rows of a lane that a merged row speaks for wait until that one settled, or are merged with it again.
    private mutating func claim(
        after merge: Merge, lane: String, _ receiver: String, _ transaction: any StoreTransaction, now: Timestamp,
        cycle: inout Cycle
    ) throws -> Bool {
        let rows = try transaction.waitingRows(receiver: receiver, lane: lane, countMax: DispatchMachine.laneRowsMax)
        if flights[merge.rowId] != nil {
            try postpone(
                rows, until: now.adding(milliseconds: DispatchMachine.mergeWaitMilliseconds), transaction, now: now)
            return false
        }
        guard let merged = try transaction.outboxRow(id: merge.rowId), merged.state == .waiting else {
            try forgetMerge(merge.rowId, transaction)
            return try claim(lane: lane, receiver, transaction, now: now, cycle: &cycle)
        }
        var all = [merged]
        if merged.ambiguousCount == 0 {
            for lane in merge.lanes {
                all += try transaction.waitingRows(
                    receiver: receiver, lane: lane, countMax: DispatchMachine.laneRowsMax
                )
                .filter { $0.id != merged.id }
                if all.count >= DispatchMachine.mergeRowsMax { break }
            }
            all.sort { $0.id < $1.id }
        }
        if merged.notBefore > now, merged.ambiguousCount > 0 || all.last?.id == merged.id {
            try postpone(rows, until: merged.notBefore, transaction, now: now)
            return false
        }
        return try take(all, mergedLanes: merge.lanes, transaction, now: now, cycle: &cycle)
    }

    /// Merges what waits for a receiver when that is more than the policy allows and a limit holds it back.
    private mutating func claimMerged(
        _ receiver: String, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws -> Bool {
        guard let state = states[receiver], state.isLimited, let mergeAbove = state.policy.mergeAbove,
            try transaction.waitingCount(receiver: receiver, countMax: mergeAbove + 1) > mergeAbove
        else { return false }
        return try claimMerged(receiver, recipient: nil, transaction, now: now, cycle: &cycle)
    }

    /// Merges the waiting rows of one recipient (nil: of the recipient that most wait for, above the policy's bound).
    private mutating func claimMerged(
        _ receiver: String, recipient: String?, _ transaction: any StoreTransaction, now: Timestamp,
        cycle: inout Cycle
    ) throws -> Bool {
        guard let state = states[receiver] else { return false }
        let busy = Set(
            flights.values.filter { $0.row.receiver == receiver }.flatMap { $0.mergedLanes + [$0.row.lane] })
        let spoken = Set(merges.filter { $0.receiver == receiver }.flatMap(\.lanes))
        let rows = try transaction.waitingRows(receiver: receiver, countMax: DispatchMachine.mergeRowsMax)
        // A row that may have been taken is sent again as it is, and one that backs off keeps its time: their lanes
        // stay out.
        let apart = Set(rows.filter { $0.ambiguousCount > 0 || $0.notBefore > now }.map(\.lane))
        let free = rows.filter { !busy.contains($0.lane) && !spoken.contains($0.lane) && !apart.contains($0.lane) }
        let groups = Dictionary(grouping: free, by: \.recipient)
        let group: [OutboxRecord]
        if let recipient {
            group = groups[recipient] ?? []
            guard group.count > 1 else { return false }
        } else {
            group = groups.values.max { ($0.count, $1.first?.id ?? 0) < ($1.count, $0.first?.id ?? 0) } ?? []
            guard group.count > state.policy.mergeAbove ?? Int.max else { return false }
            if let recipient = group.first?.recipient, !state.policy.recipientWindows.isEmpty,
                state.recipientLimiter(recipient).availableCount(at: now) == 0
            {
                return false
            }
        }
        let lanes = Set(group.map(\.lane))
        guard lanes.count > 1 else { return false }
        return try take(group, mergedLanes: lanes.sorted(), transaction, now: now, cycle: &cycle)
    }

    /// Lets the destination join rows, supersedes what became needless and leases the one to send.
    private mutating func take(
        _ rows: [OutboxRecord], mergedLanes: [String], _ transaction: any StoreTransaction, now: Timestamp,
        cycle: inout Cycle
    ) throws -> Bool {
        guard let first = rows.first, let state = states[first.receiver] else { return false }
        if let recipient = first.recipient, !state.policy.recipientWindows.isEmpty {
            let limiter = state.recipientLimiter(recipient)
            guard limiter.availableCount(at: now) > 0 else {
                // Without a time an answer under way frees the next slot.
                try postpone(
                    rows, until: limiter.nextFree(at: now) ?? now.adding(milliseconds: 1000), transaction, now: now)
                return false
            }
        }
        // What may have been taken is sent again as it is, and nothing is joined to it.
        let coalescing =
            first.ambiguousCount > 0 ? Coalescing.oldest(of: rows) : state.destination.coalesce(rows)
        let byId = Dictionary(rows.map { ($0.id, $0) }) { first, _ in first }
        guard let sendId = coalescing.sendId, let row = byId[sendId] else {
            try cancel(coalescing, byId: byId, transaction, now: now, cycle: &cycle)
            return false
        }
        guard row.notBefore <= now else {
            try postpone(rows, until: row.notBefore, transaction, now: now)
            return false
        }
        for superseded in coalescing.superseded where superseded.id != sendId && byId[superseded.id] != nil {
            try transaction.supersede(id: superseded.id, by: sendId, reason: superseded.reason, at: now)
            try forgetMerge(superseded.id, transaction)
            cycle.events.append(.superseded(receiver: row.receiver, reason: superseded.reason, count: 1))
        }
        return try lease(
            row, payload: coalescing.payload, mergedLanes: mergedLanes, transaction, now: now, cycle: &cycle)
    }

    private mutating func lease(
        _ row: OutboxRecord, payload: [UInt8]?, mergedLanes: [String], _ transaction: any StoreTransaction,
        now: Timestamp, cycle: inout Cycle
    ) throws -> Bool {
        guard let state = states[row.receiver] else { return false }
        let waited = row.firstAttemptAt == nil ? 0 : max(0, now.milliseconds(since: row.notBefore))
        var leased: OutboxRecord
        do {
            leased = try transaction.lease(
                id: row.id,
                OutboxLease(
                    run: run, until: now.adding(state.policy.attemptTimeout), at: now, payload: payload,
                    body: payload != nil && row.body != nil ? [] : nil, waitedMilliseconds: waited))
        } catch let error as StoreError where error.code == .conflict {
            try yieldToLater(row, transaction, now: now, cycle: &cycle)
            return false
        }
        // An empty body is none: the row says something else than when it was laid out.
        if leased.body?.isEmpty == true { leased.body = nil }
        var slotId: Int64?
        if state.countsSends {
            slotId = try transaction.takeLimiterSlot(
                LimiterSlotRecord(
                    destination: row.receiver, recipient: row.recipient, takenAt: now, answeredAt: nil, run: run))
        }
        let inFlightCount = states[row.receiver]?.begin(recipient: row.recipient, at: now) ?? 0
        flights[row.id] = Flight(row: leased, slotId: slotId, mergedLanes: mergedLanes)
        let merge = Merge(rowId: row.id, receiver: row.receiver, lanes: mergedLanes)
        if mergedLanes.count > 1, !merges.contains(merge) {
            merges.removeAll { $0.rowId == row.id }
            merges.append(merge)
            try transaction.upsertState(
                StateRecord(
                    kind: DispatchMachine.mergeKind, key: String(row.id), dueAt: nil,
                    bytes: JSON.array(mergedLanes.map { .string($0) }).bytes))
        }
        cycle.claims.append(Claim(row: leased, destination: state.destination))
        cycle.events.append(.inFlight(receiver: row.receiver, count: inFlightCount))
        return true
    }

    /// A row that the store does not let go, as a later one of its lane was sent: it would re-open what is over.
    private mutating func yieldToLater(
        _ row: OutboxRecord, _ transaction: any StoreTransaction, now: Timestamp, cycle: inout Cycle
    ) throws {
        if let later = try transaction.newestSent(receiver: row.receiver, lane: row.lane), later.id > row.id {
            try transaction.supersede(id: row.id, by: later.id, reason: .newer, at: now)
            try forgetMerge(row.id, transaction)
            cycle.events.append(.superseded(receiver: row.receiver, reason: .newer, count: 1))
        } else {
            try postpone(
                [row], until: now.adding(milliseconds: DispatchMachine.mergeWaitMilliseconds), transaction, now: now)
        }
    }

    /// Rows that cancel each other: nothing is sent, each names another.
    private mutating func cancel(
        _ coalescing: Coalescing, byId: [Int64: OutboxRecord], _ transaction: any StoreTransaction, now: Timestamp,
        cycle: inout Cycle
    ) throws {
        let ids = coalescing.superseded.filter { byId[$0.id] != nil }
        for (index, superseded) in ids.enumerated() {
            guard let row = byId[superseded.id] else { continue }
            if ids.count > 1 {
                let by = ids[index + 1 < ids.count ? index + 1 : index - 1].id
                try transaction.supersede(id: superseded.id, by: by, reason: superseded.reason, at: now)
            } else {
                try transaction.settle(
                    id: superseded.id,
                    OutboxSettlement(
                        state: .suppressed, reason: "nothing left to say", providerId: nil, at: now,
                        isAmbiguous: false), attempt: nil)
            }
            try forgetMerge(superseded.id, transaction)
            cycle.events.append(.superseded(receiver: row.receiver, reason: superseded.reason, count: 1))
        }
        guard ids.isEmpty, let stuck = byId.values.min(by: { $0.id < $1.id }) else { return }
        // A destination that neither sends nor supersedes would leave the lane due for ever.
        try bury(
            stuck, reason: "the channel would neither send nor drop it", isAmbiguous: false, attempt: nil,
            transaction, now: now, cycle: &cycle)
    }

    /// Moves rows that are due but cannot go, so that they do not hide others.
    private func postpone(
        _ rows: [OutboxRecord], until time: Timestamp, _ transaction: any StoreTransaction, now: Timestamp
    ) throws {
        let time = max(time, now.adding(milliseconds: 1))
        for row in rows where row.notBefore < time {
            let waited = row.firstAttemptAt == nil ? 0 : time.milliseconds(since: max(row.notBefore, now))
            try transaction.postpone(id: row.id, notBefore: time, waitedMilliseconds: waited)
        }
    }
}
