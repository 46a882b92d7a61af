public import Core

extension AlertStateMachine {
    /// Judges one of several rows of a key under `across: any`: the alert is open while any row breaches.
    ///
    /// Hysteresis belongs to the row: it breaches at its level until that level's reset holds for it.
    public func judgeRow(
        _ alert: inout Alert, digest: UInt64, verdicts: LevelVerdicts, reset: (Severity) -> Verdict?,
        at moment: Moment, into transitions: inout [Transition]
    ) {
        let holds = orHigher(verdicts)
        let index = alert.breachingRows.firstIndex { $0.digest == digest }
        alert.isLastValueUnknown = holds[.info] == .unknown
        let raised = Severity.allCases.last { policy.declares($0) && holds[$0] == .yes }
        guard let index else {
            if let raised { remember(&alert, BreachingRow(digest: digest, severity: raised), at: moment.time) }
            settleAny(&alert, raised: raised, at: moment, into: &transitions)
            return
        }
        alert.breachingRows[index].holdUntil = nil
        alert.breachingRows[index].holdVersion = 0
        let current = alert.breachingRows[index].severity
        if let next = rowLevel(from: current, raised: raised, holds: holds, reset: reset) {
            alert.breachingRows[index].severity = next
        } else {
            alert.breachingRows.remove(at: index)
        }
        settleAny(&alert, raised: raised, at: moment, into: &transitions)
    }

    /// A delete of one of the rows that breach: held, not believed at once.
    public func holdDelete(_ alert: inout Alert, digest: UInt64, version: Int64, at time: Timestamp) {
        guard let index = alert.breachingRows.firstIndex(where: { $0.digest == digest }) else { return }
        alert.breachingRows[index].holdUntil = time.adding(milliseconds: policy.holdMilliseconds)
        alert.breachingRows[index].holdVersion = version
    }

    /// The level of a remembered row after a new look at it; nil when it breaches no more.
    private func rowLevel(
        from current: Severity, raised: Severity?, holds: LevelVerdicts, reset: (Severity) -> Verdict?
    ) -> Severity? {
        if let raised, raised >= current { return raised }
        guard holds[current] == .no else { return current }
        guard (policy.declares(current) ? reset(current) ?? .yes : .yes) == .yes else { return current }
        let doubtful = Severity.allCases.contains { level in
            level < current && raised.map { level > $0 } ?? true && holds[level] == .unknown
        }
        return doubtful ? current : raised
    }

    /// Remembers a breaching row; beyond the bound the least severe is forgotten and the alert is inexact.
    private func remember(_ alert: inout Alert, _ row: BreachingRow, at time: Timestamp) {
        guard alert.breachingRows.count >= policy.breachingRowsMax else {
            alert.breachingRows.append(row)
            return
        }
        alert.isInexact = true
        let weakest = alert.breachingRows.indices.min {
            (alert.breachingRows[$0].severity, $0) < (alert.breachingRows[$1].severity, $1)
        }
        if let weakest, alert.breachingRows[weakest].severity < row.severity { alert.breachingRows[weakest] = row }
    }

    private func settleAny(
        _ alert: inout Alert, raised: Severity?, at moment: Moment, into transitions: inout [Transition]
    ) {
        if alert.isInexact, raised != nil { alert.lastBreachAt = moment.time }
        let holds = anyHolds(alert)
        keepTimes(&alert, holds: holds, at: moment.time)
        step(&alert, holds: holds, reset: { _ in nil }, at: moment, into: &transitions)
    }

    /// "Some row breaches at this level or a higher one". With forgotten rows, what held may hold still.
    private func anyHolds(_ alert: Alert) -> LevelVerdicts {
        let highest = alert.breachingRows.map(\.severity).max()
        var holds = LevelVerdicts(all: .no)
        for severity in Severity.allCases {
            if let highest, severity <= highest {
                holds[severity] = .yes
            } else if alert.isInexact {
                holds[severity] = .unknown
            }
        }
        return holds
    }

    /// Runs the timer due at the moment: rows whose delete stood, the end of an inexact alert, `for`.
    ///
    /// - Returns: false when the hold of a delete is over but held back by a partition.
    func runAny(
        _ alert: inout Alert, at moment: Moment, versionFloor: Int64, into transitions: inout [Transition]
    ) -> Bool {
        let ended = alert.breachingRows.filter { $0.holdUntil.map { $0 <= moment.time } ?? false }
        if ended.contains(where: { $0.holdVersion >= versionFloor }) { return false }
        alert.breachingRows.removeAll { $0.holdUntil.map { $0 <= moment.time } ?? false }
        let quietSince = alert.lastBreachAt.map { $0.adding(milliseconds: policy.holdMilliseconds) <= moment.time }
        if alert.isInexact, alert.breachingRows.isEmpty, quietSince ?? true { alert.isInexact = false }
        let holds = anyHolds(alert)
        keepTimes(&alert, holds: holds, at: moment.time)
        let isOver = highestHeld(alert) == nil
        if isOver {
            let reason = ended.isEmpty ? TransitionReason.noBreachSeen : TransitionReason.deleted
            if alert.state == .firing {
                resolve(&alert, reason: reason, moment: moment, into: &transitions)
            } else {
                endPending(&alert, reason: reason, moment: moment, into: &transitions)
            }
        } else {
            step(&alert, holds: holds, reset: { _ in nil }, at: moment, into: &transitions)
        }
        return true
    }
}
