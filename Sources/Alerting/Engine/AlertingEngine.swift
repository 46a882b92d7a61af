public import Core

/// What happens to an alert after its rule: who is told, when, and why. A pure value: no clock, no I/O.
///
/// It keeps groups with their timers and, for each open alert, where it belongs and what was told there. Everything it
/// decides is in its outputs; what it must not forget is in ``EngineOutput/states`` and ``EngineOutput/touched``, to be
/// stored in the transaction that also writes its messages. Times are those of the router clock.
public struct AlertingEngine: Sendable {
    public internal(set) var configuration: AlertingConfiguration
    /// Silences of files, API and command line.
    public internal(set) var silences = SilenceSet()

    var entries: ContiguousArray<OpenEntry> = []
    var freeSlots: [Int32] = []
    var slots: [Fingerprint: Int32] = [:]
    var ruleNames: [String] = []
    var rulePlaces: [String: Int32] = [:]
    var groups: ContiguousArray<AlertGroup?> = []
    var freeGroups: [Int32] = []
    var groupPlaces: [GroupName: Int32] = [:]
    var routes: [UsedRoute] = []
    var routePlaces: [[String]: Int32] = [:]
    var queue = DueQueue()
    /// What few alerts have, by slot.
    var statuses: [Int32: AlertStatus] = [:]
    /// Why alerts fired whose news waits, by slot.
    var causes: [Int32: String] = [:]
    var inhibition: InhibitionIndex
    /// Alerts that others may hold back.
    var inhibitable: Set<Int32> = []
    /// No time was told yet.
    var isClockless = true
    /// The latest time it was told.
    var clock: Timestamp = .distantPast
    /// Silences that went on then.
    var activeSilences: Set<String> = []
    /// Stored ends of silences of files that changed since: to be forgotten.
    var staleSilences: [String] = []
    /// Whether maintenance windows are configured at all.
    var hasMaintenance = false
    /// When silences and maintenance windows may change next.
    var holdsChangeAt: Timestamp?
    /// When storms end that went on when the process ended, by receiver and path.
    var storedStorms: [[String]: Timestamp] = [:]
    /// Alerts that nobody was told of are to be routed again.
    var isRoutingChanged = false

    /// Most open alerts that a message names beside its news.
    static let othersMax = 20

    /// Starts with no alert.
    public init(configuration: AlertingConfiguration) {
        self.configuration = configuration
        inhibition = InhibitionIndex(rules: configuration.policy.inhibition)
        silences.replaceFiles(configuration.policy.silences)
        holdsChangeAt = .distantPast
    }

    /// Open alerts it knows.
    public var openCount: Int { slots.count }

    /// When it has to be woken next; nil where nothing waits. May lie in the past.
    public mutating func nextTimer() -> Timestamp? {
        while let first = queue.first, !isCurrent(first) { queue.pop() }
        switch (queue.first?.time, holdsChangeAt) {
        case (let due?, let change?): return min(due, change)
        case (let due, let change): return due ?? change
        }
    }

    /// What is to be stored with an open alert; nil where it does not fire.
    public func membership(of fingerprint: Fingerprint) -> Membership? {
        slots[fingerprint].map { membership(slot: $0) }
    }

    /// What holds messages about an alert back and who acknowledged it; nil where there is nothing.
    public func status(of fingerprint: Fingerprint) -> AlertStatus? { slots[fingerprint].flatMap { statuses[$0] } }

    /// Takes changes of alerts that were decided together, and tells what has to be told at once.
    public mutating func handle(
        _ transitions: [Transition], alerts pool: any AlertPool, now: Timestamp, isBootstrap: Bool
    ) -> EngineOutput {
        var work = EngineWork(pool: pool, now: begin(now), isBootstrap: isBootstrap)
        for transition in transitions { absorb(transition, &work) }
        settleSuppression(&work)
        runDue(&work)
        return finish(&work)
    }

    /// Tells what is due by the router clock.
    public mutating func advance(to now: Timestamp, alerts pool: any AlertPool) -> EngineOutput {
        var work = EngineWork(pool: pool, now: begin(now), isBootstrap: false)
        settleSuppression(&work)
        runDue(&work)
        return finish(&work)
    }

    /// The router clock never goes back. Under `clock: data` it stands before the first rows: timers that were set then
    /// count from when it begins to run.
    mutating func begin(_ now: Timestamp) -> Timestamp {
        if now > .epoch, isClockless {
            isClockless = false
            for id in groups.indices { startTimers(Int32(id), at: now) }
            for (slot, status) in statuses {
                for (index, escalation) in status.escalations.enumerated() where escalation.dueAt < .epoch {
                    let due = now.adding(escalation.after)
                    statuses[slot]?.escalations[index].dueAt = due
                    push(.escalation, slot, due)
                }
            }
        }
        return max(now, clock)
    }

    private mutating func startTimers(_ id: Int32, at now: Timestamp) {
        guard var group = groups[Int(id)] else { return }
        func moved(_ time: Timestamp?) -> Timestamp? {
            time.map { $0 < .epoch ? now.adding(milliseconds: $0.milliseconds(since: .distantPast)) : $0 }
        }
        let before = (group.lastTold, group.dueAt, group.repeatAt)
        (group.lastTold, group.dueAt, group.repeatAt) = (
            moved(group.lastTold), moved(group.dueAt), moved(group.repeatAt)
        )
        guard before != (group.lastTold, group.dueAt, group.repeatAt) else { return }
        group.queuedAt = nil
        groups[Int(id)] = group
        arm(id)
    }

    // MARK: - The end of a call

    func membership(slot: Int32) -> Membership {
        let entry = entries[Int(slot)]
        var lanes: [Membership.Lane] = []
        lanes.reserveCapacity(entry.lanes.count)
        for lane in entry.lanes {
            guard let name = groups[Int(lane.group)]?.name else { continue }
            var place = Membership.Lane(
                receiver: name.address.receiver, recipient: name.address.recipient, groupKey: name.key,
                isIncident: name.kind == .incident, told: lane.toldSeverity,
                isQuiet: lane.flags.contains(.isQuiet))
            place.isDigest = name.kind == .digest
            lanes.append(place)
        }
        return Membership(lanes: lanes, cause: causes[slot], peak: entry.peak)
    }

    func place(slot: Int32) -> AlertPlace {
        let entry = entries[Int(slot)]
        return AlertPlace(
            fingerprint: entry.fingerprint, rule: ruleNames[Int(entry.rule)], locator: entry.locator)
    }

    /// Gathers what has to be stored.
    mutating func finish(_ work: inout EngineWork) -> EngineOutput {
        clock = max(clock, work.now)
        for id in staleSilences {
            work.output.states.append(StateChange(kind: .silence, key: id, dueAt: nil, bytes: nil))
        }
        staleSilences = []
        flushRecords(&work)
        compactQueue()
        for id in work.dirtyGroups {
            guard groups[Int(id)]?.isDirty == true else { continue }
            groups[Int(id)]?.isDirty = false
            if let change = groups[Int(id)]?.change {
                work.output.states.append(change)
                groups[Int(id)]?.isStored = true
            }
            // In place and from the end, where what is new stands: a group may have many ends waiting.
            var index = (groups[Int(id)]?.pending.count ?? 0) - 1
            while index >= 0, groups[Int(id)]?.pending[index].isStored == false {
                groups[Int(id)]?.pending[index].isStored = true
                if let change = groups[Int(id)]?.change(ofPending: index) { work.output.states.append(change) }
                index -= 1
            }
        }
        for slot in work.touched.sorted() where entries[Int(slot)].flags.contains(.isLive) {
            if !entries[Int(slot)].lanes.contains(where: { $0.told == OpenLane.untold }) {
                causes[slot] = nil
            } else if let cause = work.causes[slot] {
                causes[slot] = cause
            }
            work.output.touched.append(place(slot: slot))
        }
        for slot in work.statusChanged.sorted() where entries[Int(slot)].flags.contains(.isLive) {
            let status = statuses[slot]
            if status?.isEmpty ?? true { statuses[slot] = nil }
            work.output.states.append(
                StateChange(
                    kind: .status, key: entries[Int(slot)].fingerprint.description,
                    dueAt: statuses[slot]?.acknowledgement?.until, bytes: statuses[slot]?.bytes))
        }
        return work.output
    }

    /// Times that do not hold any more are dropped before they make most of the queue.
    private mutating func compactQueue() {
        let currentMax = groupPlaces.count + statuses.count + routes.count
        guard queue.count > 4 * currentMax + 4096 else { return }
        var kept = queue
        kept.removeAll { !isCurrent($0) }
        queue = kept
    }

    /// A record is written at most once per call, whatever happened to it.
    private func flushRecords(_ work: inout EngineWork) {
        var seen: Set<String> = []
        var kept: [StateChange] = []
        for change in work.output.states.reversed() where seen.insert(change.kind.rawValue + change.key).inserted {
            kept.append(change)
        }
        work.output.states = kept.reversed()
    }
}

/// What one call of the engine works with.
struct EngineWork {
    let pool: any AlertPool
    let now: Timestamp
    let isBootstrap: Bool
    var output = EngineOutput()
    var dirtyGroups: [Int32] = []
    var touched: Set<Int32> = []
    var statusChanged: Set<Int32> = []
    /// Why alerts fired, by slot.
    var causes: [Int32: String] = [:]
    /// Alerts that fired or changed their severity.
    var changed: [Int32] = []
    /// Alerts that fired.
    var opened: Set<Int32> = []
    /// A source of inhibition came or went.
    var isInhibitionChanged = false
    /// Silences are to be looked at again.
    var areHoldsChanged = false
    /// What is kept for the record and not sent, by group, in order.
    var recorded: [(group: Int32, item: PlannedMessage.Item)] = []

    init(pool: any AlertPool, now: Timestamp, isBootstrap: Bool) {
        self.pool = pool
        self.now = now
        self.isBootstrap = isBootstrap
    }
}
