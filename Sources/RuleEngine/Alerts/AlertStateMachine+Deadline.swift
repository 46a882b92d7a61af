public import Core

extension AlertStateMachine {
    /// Judges a row of a deadline rule: `until` ends it, a due time starts, moves or cancels its timers.
    public func judge(
        _ alert: inout Alert, until: Verdict, due: DueTime, at moment: Moment, into transitions: inout [Transition]
    ) {
        alert.holdUntil = nil
        alert.holdVersion = 0
        alert.isLastValueUnknown = false
        switch (until, due) {
        case (.yes, _):
            end(&alert, reason: TransitionReason.until, at: moment, into: &transitions)
        case (.unknown, _), (.no, .unknown):
            alert.isLastValueUnknown = true
        case (.no, .none):
            end(&alert, reason: TransitionReason.dueRemoved, at: moment, into: &transitions)
        case (.no, .at(let time)):
            follow(&alert, due: time, at: moment, into: &transitions)
        }
    }

    private func end(_ alert: inout Alert, reason: String, at moment: Moment, into transitions: inout [Transition]) {
        if alert.state == .firing {
            resolve(&alert, reason: reason, moment: moment, into: &transitions)
        } else if alert.state == .pending {
            endPending(&alert, reason: reason, moment: moment, into: &transitions)
        }
        alert.isOverdue = false
    }

    private func follow(
        _ alert: inout Alert, due: Timestamp, at moment: Moment, into transitions: inout [Transition]
    ) {
        let isFirstSight = alert.dueAt != due
        let isPast = due <= moment.time
        let isNear = policy.warnMilliseconds > 0 && due.adding(milliseconds: -policy.warnMilliseconds) <= moment.time
        let target: Severity? = isPast ? policy.dueSeverity : isNear ? .warning : nil
        alert.dueAt = due
        if isFirstSight { alert.isOverdue = isPast }
        let reason = isPast ? TransitionReason.dueAlreadyPast : TransitionReason.dueSoon
        switch (alert.state, target) {
        case (.firing, nil):
            resolve(&alert, reason: TransitionReason.dueMoved, moment: moment, into: &transitions)
            alert.dueAt = due
            alert.severity = pendingSeverity
            wait(&alert, reason: TransitionReason.dueSet, moment: moment, into: &transitions)
        case (.firing, let target?):
            if target != alert.severity {
                let moved = target < alert.severity ? TransitionReason.dueMoved : reason
                change(&alert, to: target, reason: moved, moment: moment, into: &transitions)
            } else if !isPast {
                // The due time is still to come: its message will speak of this row.
                refresh(&alert, moment, isEpisodeOpen: false)
            }
        case (_, let target?):
            fire(&alert, at: target, reason: reason, moment: moment, into: &transitions)
        case (_, nil):
            alert.severity = pendingSeverity
            wait(&alert, reason: TransitionReason.dueSet, moment: moment, into: &transitions)
        }
    }

    /// What fires first.
    private var pendingSeverity: Severity { policy.warnMilliseconds > 0 ? .warning : policy.dueSeverity }
}
