public import Core

extension AlertStateMachine {
    /// What a timer pass came to.
    public enum TimerOutcome: Sendable, Equatable {
        /// All timers up to the time have run.
        case done
        /// A hold is over by the clock, but some partition may still bring a row at or before the deleted version.
        case heldBack
    }

    /// When the alert's next timer is due; nil where none runs.
    ///
    /// While a delete is held no other timer runs: a row that may be gone neither fires nor warns.
    public func nextTimer(of alert: Alert) -> Timestamp? {
        guard alert.isOpen else { return nil }
        if let hold = alert.holdUntil { return hold }
        var next: Timestamp?
        func consider(_ time: Timestamp) { next = next.map { min($0, time) } ?? time }
        if policy.kind == .deadline {
            considerDue(alert, consider)
        } else if policy.across == .any {
            for row in alert.breachingRows { if let hold = row.holdUntil { consider(hold) } }
            if alert.isInexact, alert.breachingRows.isEmpty, let last = alert.lastBreachAt {
                consider(last.adding(milliseconds: policy.holdMilliseconds))
            }
            if alert.isInexact || alert.breachingRows.contains(where: { $0.holdUntil == nil }) {
                considerLevels(alert, consider)
            }
        } else {
            considerLevels(alert, consider)
        }
        return next
    }

    private func considerDue(_ alert: Alert, _ consider: (Timestamp) -> Void) {
        guard let due = alert.dueAt else { return }
        let current: Severity? = alert.state == .firing ? alert.severity : nil
        if policy.warnMilliseconds > 0, current == nil { consider(due.adding(milliseconds: -policy.warnMilliseconds)) }
        if current.map({ $0 < policy.dueSeverity }) ?? true { consider(due) }
    }

    private func considerLevels(_ alert: Alert, _ consider: (Timestamp) -> Void) {
        for severity in Severity.allCases {
            guard let since = alert.levelSince[Int(severity.rawValue)] else { continue }
            if alert.state == .firing, severity <= alert.severity { continue }
            consider(since.adding(milliseconds: policy.forMilliseconds))
        }
    }

    /// Runs the alert's timers up to a time, each at the time it is due.
    ///
    /// - Parameter versionFloor: the lowest newest version among the table's partitions that are not at their end;
    ///   `Int64.max` where all are, or where a row of the key itself moved on. A hold ends only below it.
    public func runTimers(
        _ alert: inout Alert, upTo limit: Timestamp, versionFloor: Int64, isBootstrap: Bool,
        into transitions: inout [Transition]
    ) -> TimerOutcome {
        while let due = nextTimer(of: alert), due <= limit {
            let moment = Moment(time: due, cause: nil, isBootstrap: isBootstrap, refresh: nil)
            if let hold = alert.holdUntil {
                guard alert.holdVersion < versionFloor else { return .heldBack }
                endHold(
                    &alert, at: Moment(time: hold, cause: nil, isBootstrap: isBootstrap, refresh: nil),
                    into: &transitions)
            } else if policy.kind == .deadline {
                runDue(&alert, at: moment, into: &transitions)
            } else if policy.across == .any {
                guard runAny(&alert, at: moment, versionFloor: versionFloor, into: &transitions) else {
                    return .heldBack
                }
            } else {
                step(&alert, holds: held(alert), reset: { _ in nil }, at: moment, into: &transitions)
            }
        }
        return .done
    }

    /// The levels as they stand, for a timer: no row says anything new.
    func held(_ alert: Alert) -> LevelVerdicts {
        var holds = LevelVerdicts(all: .unknown)
        for severity in Severity.allCases where alert.levelSince[Int(severity.rawValue)] != nil {
            holds[severity] = .yes
        }
        return holds
    }

    private func endHold(_ alert: inout Alert, at moment: Moment, into transitions: inout [Transition]) {
        if alert.state == .firing {
            resolve(&alert, reason: TransitionReason.deleted, moment: moment, into: &transitions)
        } else {
            endPending(&alert, reason: TransitionReason.deleted, moment: moment, into: &transitions)
        }
    }

    private func runDue(_ alert: inout Alert, at moment: Moment, into transitions: inout [Transition]) {
        guard let due = alert.dueAt else { return }
        let isDue = due <= moment.time
        let target = isDue ? policy.dueSeverity : .warning
        let reason = isDue ? TransitionReason.duePassed : TransitionReason.dueSoon
        if alert.state == .firing {
            change(&alert, to: target, reason: reason, moment: moment, into: &transitions)
        } else {
            fire(&alert, at: target, reason: reason, moment: moment, into: &transitions)
        }
    }
}
