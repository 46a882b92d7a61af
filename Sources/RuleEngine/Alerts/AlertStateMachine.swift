public import Core

/// What happened to an alert, in words an operator reads; goes into ``Transition/reason``.
enum TransitionReason {
    static let holds = "condition holds"
    static let heldLongEnough = "condition held for the required time"
    static let noLongerHolds = "condition no longer holds"
    static let reset = "reset condition holds"
    static let deleted = "row deleted"
    static let noBreachSeen = "no breach was seen for the hold"
    static let dueSet = "due time is set"
    static let dueSoon = "due time is near"
    static let duePassed = "due time passed"
    static let dueAlreadyPast = "due time was already past"
    static let dueMoved = "due time moved to the future"
    static let dueRemoved = "due time was removed"
    static let until = "until condition holds"
    static let event = "event matches"
}

/// The state machine of alerts (docs/rules.md): verdicts and times in, changes of one alert and transitions out.
///
/// It is pure: no clock, no condition, no text of its own. The same inputs in the same order give the same transitions,
/// however they are cut into batches; a timer's transition carries the time at which the timer was due.
public struct AlertStateMachine: Sendable {
    public var policy: LevelPolicy

    /// One judged row, or the time at which timers run.
    public struct Moment {
        /// Commit time of the row; the due time of a timer.
        public var time: Timestamp
        /// Where the row was read; nil for a timer.
        public var cause: EventPosition?
        /// Whether alerts that start firing do so while the router reads what was there before its first start.
        public var isBootstrap: Bool
        /// Puts the row's texts into the alert; the flag says whether labels and recipient too.
        public var refresh: ((inout Alert, _ isEpisodeOpen: Bool) -> Void)?

        /// Describes a moment.
        public init(
            time: Timestamp, cause: EventPosition?, isBootstrap: Bool,
            refresh: ((inout Alert, _ isEpisodeOpen: Bool) -> Void)?
        ) {
            self.time = time
            self.cause = cause
            self.isBootstrap = isBootstrap
            self.refresh = refresh
        }
    }

    /// Makes the machine of a rule.
    public init(policy: LevelPolicy) { self.policy = policy }

    // MARK: - Rows

    /// Judges a row by its levels. `reset` is asked only for the level that fires.
    public func judge(
        _ alert: inout Alert, verdicts: LevelVerdicts, reset: (Severity) -> Verdict?, at moment: Moment,
        into transitions: inout [Transition]
    ) {
        alert.holdUntil = nil
        alert.holdVersion = 0
        let holds = orHigher(verdicts)
        alert.isLastValueUnknown = holds[.info] == .unknown
        let since = alert.levelSince
        let count = transitions.count
        keepTimes(&alert, holds: holds, at: moment.time)
        step(&alert, holds: holds, reset: reset, at: moment, into: &transitions)
        // A level began to hold that its timer may raise later: it will speak of this row.
        if transitions.count == count, alert.state == .firing, alert.levelSince != since {
            refresh(&alert, moment, isEpisodeOpen: false)
        }
    }

    /// Counts a matching event of a `kind: event` rule as an episode of its own.
    public func notify(
        _ alert: inout Alert, severity: Severity, episode: UInt32, at moment: Moment,
        into transitions: inout [Transition]
    ) {
        alert.severity = severity
        alert.episode = episode
        alert.firingSince = moment.time
        alert.isBootstrap = moment.isBootstrap
        emit(.event, &alert, reason: TransitionReason.event, at: moment, into: &transitions)
    }

    /// A delete of the row that speaks for the key: held, not believed at once.
    public func holdDelete(_ alert: inout Alert, version: Int64, at time: Timestamp) {
        guard alert.isOpen else { return }
        alert.holdUntil = time.adding(milliseconds: policy.holdMilliseconds)
        alert.holdVersion = version
    }

    // MARK: - Levels

    /// "This level or a higher one holds", by level; a level that is not declared is as the next higher one.
    func orHigher(_ verdicts: LevelVerdicts) -> LevelVerdicts {
        var holds = LevelVerdicts(all: .no)
        var above = Verdict.no
        for severity in Severity.allCases.reversed() {
            if policy.declares(severity), above != .yes {
                switch verdicts[severity] {
                case .yes: above = .yes
                case .unknown: above = .unknown
                case .no: break
                }
            }
            holds[severity] = above
        }
        return holds
    }

    /// Keeps since when each level holds. A higher level inherits the time of the lower one that already held; an
    /// unknown verdict leaves a running time running.
    func keepTimes(_ alert: inout Alert, holds: LevelVerdicts, at time: Timestamp) {
        var inherited: Timestamp?
        for severity in Severity.allCases where policy.declares(severity) {
            let index = Int(severity.rawValue)
            switch holds[severity] {
            case .yes: alert.levelSince[index] = alert.levelSince[index] ?? inherited ?? time
            case .no: alert.levelSince[index] = nil
            case .unknown: break
            }
            inherited = alert.levelSince[index] ?? inherited
        }
    }

    /// The highest level that holds.
    func highestHeld(_ alert: Alert) -> Severity? {
        Severity.allCases.last { alert.levelSince[Int($0.rawValue)] != nil }
    }

    /// The highest level that has held for `for`.
    private func highestRaised(_ alert: Alert, at time: Timestamp) -> Severity? {
        Severity.allCases.last { severity in
            guard let since = alert.levelSince[Int(severity.rawValue)] else { return false }
            return since.adding(milliseconds: policy.forMilliseconds) <= time
        }
    }

    /// Brings the state in line with the levels.
    func step(
        _ alert: inout Alert, holds: LevelVerdicts, reset: (Severity) -> Verdict?, at moment: Moment,
        into transitions: inout [Transition]
    ) {
        let raised = highestRaised(alert, at: moment.time)
        let reason = policy.forMilliseconds > 0 ? TransitionReason.heldLongEnough : TransitionReason.holds
        guard alert.state == .firing else {
            if let raised {
                fire(&alert, at: raised, reason: reason, moment: moment, into: &transitions)
            } else if let held = highestHeld(alert) {
                alert.severity = held
                wait(&alert, reason: TransitionReason.holds, moment: moment, into: &transitions)
            } else if alert.state == .pending {
                endPending(&alert, reason: TransitionReason.noLongerHolds, moment: moment, into: &transitions)
            }
            return
        }
        if let raised, raised > alert.severity {
            change(&alert, to: raised, reason: reason, moment: moment, into: &transitions)
        } else if alert.levelSince[Int(alert.severity.rawValue)] == nil, holds[alert.severity] == .no {
            lower(&alert, holds: holds, reset: reset, moment: moment, into: &transitions)
        }
    }

    /// Neither the level that fires nor a higher one holds: it ends when its reset holds.
    private func lower(
        _ alert: inout Alert, holds: LevelVerdicts, reset: (Severity) -> Verdict?, moment: Moment,
        into transitions: inout [Transition]
    ) {
        let explicit = policy.declares(alert.severity) ? reset(alert.severity) : nil
        guard (explicit ?? .yes) == .yes else {
            if explicit == .unknown { alert.isLastValueUnknown = true }
            return
        }
        // An unknown level before one that holds: nothing is known to have ended.
        let below = Severity.allCases.last { $0 < alert.severity && policy.declares($0) && holds[$0] != .no }
        if let below, holds[below] == .unknown {
            alert.isLastValueUnknown = true
            return
        }
        let reason = explicit == nil ? TransitionReason.noLongerHolds : TransitionReason.reset
        if let below {
            change(&alert, to: below, reason: reason, moment: moment, into: &transitions)
        } else {
            resolve(&alert, reason: reason, moment: moment, into: &transitions)
        }
    }

    // MARK: - Changes of state

    /// Starts a new episode.
    func fire(
        _ alert: inout Alert, at severity: Severity, reason: String, moment: Moment,
        into transitions: inout [Transition]
    ) {
        alert.state = .firing
        alert.severity = severity
        alert.episode += 1
        alert.firingSince = moment.time
        alert.resolvedAt = nil
        alert.pendingSince = nil
        alert.isBootstrap = moment.isBootstrap
        emit(.firing, &alert, reason: reason, at: moment, isEpisodeOpen: true, into: &transitions)
    }

    func change(
        _ alert: inout Alert, to severity: Severity, reason: String, moment: Moment,
        into transitions: inout [Transition]
    ) {
        let previous = alert.severity
        alert.severity = severity
        emit(
            severity > previous ? .severityRaised : .severityLowered, &alert, previous: previous, reason: reason,
            at: moment, into: &transitions)
    }

    /// Starts the wait for `for` or a due time, or goes on with it.
    func wait(_ alert: inout Alert, reason: String, moment: Moment, into transitions: inout [Transition]) {
        guard alert.state != .pending else {
            refresh(&alert, moment, isEpisodeOpen: true)
            return
        }
        alert.state = .pending
        alert.pendingSince = moment.time
        alert.firingSince = nil
        alert.resolvedAt = nil
        emit(.pending, &alert, reason: reason, at: moment, isEpisodeOpen: true, into: &transitions)
    }

    func endPending(_ alert: inout Alert, reason: String, moment: Moment, into transitions: inout [Transition]) {
        clear(&alert)
        alert.state = alert.episode > 0 ? .resolved : .inactive
        emit(.pendingEnded, &alert, reason: reason, at: moment, into: &transitions)
    }

    func resolve(_ alert: inout Alert, reason: String, moment: Moment, into transitions: inout [Transition]) {
        clear(&alert)
        alert.state = .resolved
        alert.resolvedAt = moment.time
        emit(.resolved, &alert, previous: alert.severity, reason: reason, at: moment, into: &transitions)
    }

    /// Forgets all that belongs to an open alert; severity, labels, recipient and texts stay for the last message.
    private func clear(_ alert: inout Alert) {
        alert.pendingSince = nil
        alert.holdUntil = nil
        alert.holdVersion = 0
        alert.levelSince = [nil, nil, nil, nil]
        alert.breachingRows = []
        alert.isInexact = false
        alert.lastBreachAt = nil
        alert.dueAt = nil
    }

    func emit(
        _ kind: Transition.Kind, _ alert: inout Alert, previous: Severity? = nil, reason: String, at moment: Moment,
        isEpisodeOpen: Bool = false, into transitions: inout [Transition]
    ) {
        alert.changedAt = moment.time
        alert.cause = moment.cause
        refresh(&alert, moment, isEpisodeOpen: isEpisodeOpen || kind == .event)
        transitions.append(
            Transition(
                kind: kind, alert: alert, previousSeverity: previous, at: moment.time, reason: reason,
                cause: moment.cause))
    }
}

extension AlertStateMachine {
    /// Puts the texts of the row into the alert; a row with the third outcome leaves those of the last known one.
    func refresh(_ alert: inout Alert, _ moment: Moment, isEpisodeOpen: Bool) {
        if alert.isLastValueUnknown, !alert.columns.isEmpty { return }
        moment.refresh?(&alert, isEpisodeOpen)
    }
}

extension Alert {
    /// Whether it is pending or firing.
    public var isOpen: Bool { state == .pending || state == .firing }
}
