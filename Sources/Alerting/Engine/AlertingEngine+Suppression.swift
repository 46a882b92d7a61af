internal import Core

extension AlertingEngine {
    /// What holds messages about an alert back.
    struct Holds {
        var silences: [String]
        var windows: [String]
        var inhibitors: [String]
        var isEmpty: Bool { silences.isEmpty && windows.isEmpty && inhibitors.isEmpty }
    }

    static func words(_ holds: Holds) -> String {
        guard !holds.isEmpty else { return "" }
        var status = AlertStatus(episode: 0)
        (status.silencedBy, status.maintainedBy, status.inhibitedBy) = (
            holds.silences, holds.windows, holds.inhibitors
        )
        return status.suppression
    }

    func holds(_ subject: AlertSubject, at now: Timestamp) -> Holds {
        Holds(
            silences: silences.silencing(subject, at: now),
            windows: hasMaintenance ? configuration.policy.maintenance.suppressing(subject, at: now) : [],
            inhibitors: Array(Set(inhibition.inhibitors(of: subject).map(\.source.description))).sorted())
    }

    /// Notes which alerts may hold others back, or be held back by others; whether what holds back others changed.
    mutating func watch(_ slot: Int32, _ subject: AlertSubject) -> Bool {
        let rules = configuration.policy.inhibition.rules
        guard !rules.isEmpty else { return false }
        let wasInhibitor = entries[Int(slot)].flags.contains(.isInhibitor)
        let isInhibitor = rules.contains { $0.source.matches(subject) }
        if isInhibitor || wasInhibitor { inhibition.insert(subject) }
        if isInhibitor {
            entries[Int(slot)].flags.insert(.isInhibitor)
        } else {
            entries[Int(slot)].flags.remove(.isInhibitor)
        }
        if rules.contains(where: { $0.target.matches(subject) }) {
            entries[Int(slot)].flags.insert(.isInhibitable)
            inhibitable.insert(slot)
        }
        return isInhibitor || wasInhibitor
    }

    /// Works out what is held back now, over the set of all that fire: the order within a batch does not matter.
    mutating func settleSuppression(_ work: inout EngineWork) {
        updateHolds(&work)
        reroute(&work)
        for slot in work.changed where entries[Int(slot)].flags.contains(.isLive) { evaluate(slot, &work) }
        work.changed = []
        if work.isInhibitionChanged {
            work.isInhibitionChanged = false
            for slot in ordered(inhibitable) { evaluate(slot, &work) }
        }
        for slot in ordered(work.opened) where !entries[Int(slot)].flags.contains(.isSuppressed) {
            noteNew(slot, &work)
        }
        work.opened = []
    }

    /// Slots in an order that is the same in every run.
    func ordered(_ slots: Set<Int32>) -> [Int32] {
        slots.filter { entries[Int($0)].flags.contains(.isLive) }
            .sorted { entries[Int($0)].fingerprint < entries[Int($1)].fingerprint }
    }

    /// Looks at silences and windows again when one of them begins or ends.
    private mutating func updateHolds(_ work: inout EngineWork) {
        let now = work.now
        guard work.areHoldsChanged || holdsChangeAt.map({ $0 <= now }) ?? false else { return }
        let maintenance = configuration.policy.maintenance
        let active = Set(silences.silences.values.filter { $0.state(at: now) == .active }.map(\.id))
        let next = maintenance.nextChange(after: now)
        let isGrown = !active.subtracting(activeSilences).isEmpty || work.areHoldsChanged
        let mayHoldMore = isGrown && !active.isEmpty || next != nil
        activeSilences = active
        hasMaintenance = next != nil
        holdsChangeAt = [silences.nextChange(after: now), next].compactMap { $0 }.min()
        work.areHoldsChanged = false
        let suppressed = Set(statuses.filter { $0.value.isSuppressed }.map(\.key))
        let slots = mayHoldMore ? Set(self.slots.values) : suppressed
        for slot in ordered(slots) { evaluate(slot, &work) }
    }

    /// Works out what holds an alert back now; what is free again is told.
    mutating func evaluate(_ slot: Int32, _ work: inout EngineWork) {
        let isSuppressed = entries[Int(slot)].flags.contains(.isSuppressed)
        let mayBe = !activeSilences.isEmpty || hasMaintenance || entries[Int(slot)].flags.contains(.isInhibitable)
        guard isSuppressed || mayBe, let alert = work.pool.alert(at: place(slot: slot)) else { return }
        let now = holds(AlertSubject(alert), at: work.now)
        guard isSuppressed || !now.isEmpty else { return }
        let before = statuses[slot] ?? AlertStatus(episode: entries[Int(slot)].episode)
        var status = before
        (status.silencedBy, status.maintainedBy, status.inhibitedBy) = (now.silences, now.windows, now.inhibitors)
        guard status != before else { return }
        statuses[slot] = status
        work.statusChanged.insert(slot)
        if status.isSuppressed {
            entries[Int(slot)].flags.insert(.isSuppressed)
            for lane in entries[Int(slot)].lanes {
                note(slot, decision: "suppressed", detail: status.suppression, lane: lane, &work)
            }
        } else {
            entries[Int(slot)].flags.remove(.isSuppressed)
            resume(slot, after: before, &work)
        }
    }

    /// Tells of an alert that still fires when nothing holds it back any more.
    private mutating func resume(_ slot: Int32, after status: AlertStatus, _ work: inout EngineWork) {
        let wasSilenced = !status.silencedBy.isEmpty || !status.maintainedBy.isEmpty
        for (index, lane) in entries[Int(slot)].lanes.enumerated() {
            let isNews = lane.told != entries[Int(slot)].severity.rawValue
            guard isNews || (wasSilenced && lane.isTold) else { continue }
            entries[Int(slot)].lanes[index].flags.insert(.wasSuppressed)
            enqueue(slot, index, .now, &work)
        }
    }

    /// Ends silences that last until what they silence is over.
    mutating func endSilences(_ ids: [String], _ work: inout EngineWork) {
        for id in ids where silences.silences[id]?.untilResolved == true {
            guard !statuses.values.contains(where: { $0.silencedBy.contains(id) }),
                let ended = silences.expire(id: id, at: work.now)
            else { continue }
            store(ended, &work)
            work.areHoldsChanged = true
        }
    }

    func store(_ silence: Silence, _ work: inout EngineWork) {
        work.output.states.append(
            StateChange(kind: .silence, key: silence.id, dueAt: silence.endsAt, bytes: silence.bytes))
    }

    // MARK: - Mute times

    /// Holds a group back while a mute time of its route lasts.
    mutating func holdForMute(_ id: Int32, _ group: AlertGroup, _ work: inout EngineWork) -> Bool {
        let times = configuration.policy.muteTimes
        guard let mute = times.active(among: settings(of: group).muteTimes, at: work.now) else { return false }
        let end = times.nextChange(of: mute.name, after: work.now) ?? work.now.adding(.seconds(3600))
        groups[Int(id)]?.dueAt = max(end, work.now.adding(milliseconds: 1))
        mark(id, &work)
        switch mute.policy {
        case .defer: groups[Int(id)]?.isDeferred = true
        case .drop: dropUnheard(id, group, mute, &work)
        }
        for queued in group.queue where entries[Int(queued.slot)].generation == queued.generation {
            self.mute(queued.slot, mute, &work)
        }
        return true
    }

    /// What nobody was told of and is over is not told after the window either.
    private mutating func dropUnheard(
        _ id: Int32, _ group: AlertGroup, _ mute: MuteReference, _ work: inout EngineWork
    ) {
        var kept: [PendingItem] = []
        for pending in group.pending {
            guard pending.item.news != .resolved else {
                kept.append(pending)
                continue
            }
            if pending.isStored {
                work.output.states.append(group.removal(of: pending))
            }
            let alert = pending.item.alert
            work.output.decisions.append(
                DecisionNote(
                    fingerprint: alert.fingerprint, episode: alert.episode, at: work.now,
                    receiver: group.name.address.receiver, recipient: group.name.address.recipient,
                    decision: "dropped", detail: "mute time \(mute.name)", routePath: path(of: group)))
        }
        groups[Int(id)]?.pending = kept
        if kept.isEmpty, group.queue.isEmpty { groups[Int(id)]?.dueAt = nil }
        removeIfEmpty(id, &work)
    }

    mutating func mute(_ slot: Int32, _ mute: MuteReference?, _ work: inout EngineWork) {
        guard let mute else { return }
        var status = statuses[slot] ?? AlertStatus(episode: entries[Int(slot)].episode)
        guard !status.mutedBy.contains(mute.name) else { return }
        status.mutedBy.append(mute.name)
        statuses[slot] = status
        work.statusChanged.insert(slot)
        for lane in entries[Int(slot)].lanes {
            note(
                slot, decision: mute.policy == .defer ? "deferred" : "suppressed", detail: "mute time \(mute.name)",
                lane: lane, &work)
        }
    }

    mutating func unmute(_ slot: Int32, _ work: inout EngineWork) {
        guard statuses[slot]?.mutedBy.isEmpty == false else { return }
        statuses[slot]?.mutedBy = []
        work.statusChanged.insert(slot)
    }
}
