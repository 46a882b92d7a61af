internal import Core

extension AlertingEngine {
    mutating func absorb(_ transition: Transition, _ work: inout EngineWork) {
        switch transition.kind {
        case .pending, .pendingEnded: return
        case .event: takeEvent(transition, &work)
        case .firing: open(transition, &work)
        case .severityRaised, .severityLowered:
            if let slot = slots[transition.alert.fingerprint] {
                move(transition, slot, &work)
            } else {
                open(transition, &work)
            }
        case .resolved:
            if let slot = slots[transition.alert.fingerprint] { close(transition, slot, &work) }
        }
    }

    // MARK: - Firing

    private mutating func open(_ transition: Transition, _ work: inout EngineWork) {
        let alert = transition.alert
        if let slot = slots[alert.fingerprint] { release(slot, &work) }
        let subject = AlertSubject(alert)
        let isKnown = work.isBootstrap && alert.isBootstrap
        let slot = newSlot(alert, &work)
        work.causes[slot] = transition.reason
        for target in targets(of: alert, subject, &work) { join(slot, target, [], &work) }
        if isKnown {
            record(slot, .firing, cause: transition.reason, &work)
        } else {
            for index in entries[Int(slot)].lanes.indices { enqueue(slot, index, .new(alert.severity), &work) }
        }
        if entries[Int(slot)].lanes.isEmpty {
            note(slot, decision: "nobody", detail: "no receiver", lane: nil, &work)
        }
        if watch(slot, subject) { work.isInhibitionChanged = true }
        work.changed.append(slot)
        if !isKnown { work.opened.insert(slot) }
        work.touched.insert(slot)
    }

    private mutating func newSlot(_ alert: Alert, _ work: inout EngineWork) -> Int32 {
        var entry = OpenEntry(
            fingerprint: alert.fingerprint, locator: work.pool.locator(of: alert), rule: ruleIndex(alert.rule),
            episode: alert.episode, generation: 0, severity: alert.severity, peak: alert.severity, flags: .isLive,
            lanes: [])
        let slot: Int32
        if let free = freeSlots.popLast() {
            slot = free
            entry.generation = entries[Int(free)].generation &+ 1
            entries[Int(free)] = entry
        } else {
            slot = Int32(entries.count)
            entries.append(entry)
        }
        slots[alert.fingerprint] = slot
        return slot
    }

    /// Makes an alert a member of a group.
    mutating func join(_ slot: Int32, _ target: Target, _ flags: OpenLane.Flags, _ work: inout EngineWork) {
        let id = group(target)
        groups[Int(id)]?.members.insert(slot)
        entries[Int(slot)].lanes.append(OpenLane(group: id, told: OpenLane.untold, flags: flags))
    }

    /// Keeps for the record what fired while bootstrapping; it is known then, and its end is not told.
    private mutating func record(
        _ slot: Int32, _ news: PlannedMessage.News, cause: String, _ work: inout EngineWork
    ) {
        guard let alert = work.pool.alert(at: place(slot: slot)) else { return quieten(slot) }
        for lane in entries[Int(slot)].lanes {
            work.recorded.append((lane.group, PlannedMessage.Item(alert: alert, news: news, cause: cause)))
        }
        quieten(slot)
    }

    /// The place of an alert at a receiver and recipient: it is told there in one group only, however that is grouped.
    func lane(_ slot: Int32, at address: Address) -> Int? {
        entries[Int(slot)].lanes.firstIndex { groups[Int($0.group)]?.name.address == address }
    }

    private mutating func quieten(_ slot: Int32) {
        let severity = entries[Int(slot)].severity.rawValue
        for index in entries[Int(slot)].lanes.indices {
            entries[Int(slot)].lanes[index].told = severity
            entries[Int(slot)].lanes[index].flags.insert(.isQuiet)
        }
    }

    private mutating func move(_ transition: Transition, _ slot: Int32, _ work: inout EngineWork) {
        let alert = transition.alert
        let isRaised = transition.kind == .severityRaised
        let isKnown = work.isBootstrap && alert.isBootstrap
        let previous = entries[Int(slot)].severity
        entries[Int(slot)].severity = alert.severity
        entries[Int(slot)].peak = max(entries[Int(slot)].peak, alert.severity)
        let subject = AlertSubject(alert)
        work.causes[slot] = transition.reason
        if isRaised {
            // A route may want the higher severity told to more people.
            for target in targets(of: alert, subject, &work) where lane(slot, at: target.name.address) == nil {
                join(slot, target, [], &work)
            }
        }
        if isKnown {
            record(
                slot, isRaised ? .raised(from: previous) : .lowered(from: previous), cause: transition.reason, &work)
        } else {
            for index in entries[Int(slot)].lanes.indices { enqueue(slot, index, isRaised ? .now : .later, &work) }
        }
        if watch(slot, subject) { work.isInhibitionChanged = true }
        work.changed.append(slot)
        work.touched.insert(slot)
    }

    // MARK: - The end

    private mutating func close(_ transition: Transition, _ slot: Int32, _ work: inout EngineWork) {
        if work.opened.contains(slot) { evaluate(slot, &work) }
        let entry = entries[Int(slot)]
        let isSuppressed = entry.flags.contains(.isSuppressed)
        for lane in entry.lanes {
            groups[Int(lane.group)]?.members.remove(slot)
            mark(lane.group, &work)
            guard let kind = groups[Int(lane.group)]?.name.kind else { continue }
            let isDeferred = groups[Int(lane.group)]?.isDeferred ?? false
            if lane.isTold {
                let item = PlannedMessage.Item(alert: transition.alert, news: .resolved, cause: transition.reason)
                add(item, to: lane.group, .later, &work)
            } else if lane.told == OpenLane.untold, !isSuppressed, isWorthTelling(entry, kind, isDeferred: isDeferred) {
                var alert = transition.alert
                alert.severity = max(alert.severity, entry.peak)
                let item = PlannedMessage.Item(alert: alert, news: .resolvedUnheard, cause: transition.reason)
                add(item, to: lane.group, .later, &work)
            } else if lane.told == OpenLane.untold {
                note(
                    slot, decision: "suppressed",
                    detail: isSuppressed
                        ? statuses[slot]?.suppression ?? "" : "resolved before anybody was told of it", lane: lane,
                    &work)
            }
            removeIfEmpty(lane.group, &work)
        }
        entries[Int(slot)].lanes = []
        release(slot, &work)
    }

    /// Whether an alert that is over before anybody heard of it is told still.
    private func isWorthTelling(_ entry: OpenEntry, _ kind: GroupName.Kind, isDeferred: Bool) -> Bool {
        kind == .group && (entry.peak >= .error || isDeferred)
    }

    /// Forgets an alert that is over.
    mutating func release(_ slot: Int32, _ work: inout EngineWork) {
        for lane in entries[Int(slot)].lanes {
            groups[Int(lane.group)]?.members.remove(slot)
            mark(lane.group, &work)
            removeIfEmpty(lane.group, &work)
        }
        let fingerprint = entries[Int(slot)].fingerprint
        let flags = entries[Int(slot)].flags
        let silencedBy = statuses[slot]?.silencedBy ?? []
        if statuses.removeValue(forKey: slot) != nil {
            work.output.states.append(
                StateChange(kind: .status, key: fingerprint.description, dueAt: nil, bytes: nil))
        }
        causes[slot] = nil
        work.causes[slot] = nil
        work.opened.remove(slot)
        entries[Int(slot)].lanes = []
        entries[Int(slot)].flags = []
        slots[fingerprint] = nil
        freeSlots.append(slot)
        if flags.contains(.isInhibitor) {
            inhibition.remove(fingerprint)
            work.isInhibitionChanged = true
        }
        if flags.contains(.isInhibitable) { inhibitable.remove(slot) }
        if !silencedBy.isEmpty { endSilences(silencedBy, &work) }
    }

    // MARK: - Events

    private mutating func takeEvent(_ transition: Transition, _ work: inout EngineWork) {
        let alert = transition.alert
        let subject = AlertSubject(alert)
        let item = PlannedMessage.Item(alert: alert, news: .event, cause: transition.reason)
        let held = AlertingEngine.words(holds(subject, at: work.now))
        for target in targets(of: alert, subject, &work) {
            if work.isBootstrap {
                work.recorded.append((group(target), item))
            } else if !held.isEmpty {
                work.output.decisions.append(
                    DecisionNote(
                        fingerprint: alert.fingerprint, episode: alert.episode, at: work.now,
                        receiver: target.name.address.receiver, recipient: target.name.address.recipient,
                        decision: "suppressed", detail: held, routePath: routes[Int(target.route)].path))
            } else {
                add(item, to: group(target), .now, &work)
            }
        }
    }

    /// Puts into a group what is to be told of an alert that is not open.
    mutating func add(_ item: PlannedMessage.Item, to id: Int32, _ urgency: Urgency, _ work: inout EngineWork) {
        let pending = PendingItem(item: item, isStored: false)
        groups[Int(id)]?.pending.append(pending)
        if pending.isCriticalEvent { groups[Int(id)]?.hasCritical = true }
        schedule(id, urgency, &work)
    }

    func note(
        _ slot: Int32, decision: String, detail: String, lane: OpenLane?, _ work: inout EngineWork
    ) {
        let entry = entries[Int(slot)]
        let group = lane.flatMap { groups[Int($0.group)] }
        work.output.decisions.append(
            DecisionNote(
                fingerprint: entry.fingerprint, episode: entry.episode, at: work.now,
                receiver: group?.name.address.receiver ?? "", recipient: group?.name.address.recipient,
                decision: decision, detail: detail, routePath: group.map { path(of: $0) } ?? []))
    }
}
