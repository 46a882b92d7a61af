internal import Core

extension AlertingEngine {
    /// How soon news has to be told.
    enum Urgency {
        case now
        /// A new alert: after the group's wait; a critical one after its own.
        case new(Severity)
        /// Together with what else happens in the group's interval.
        case later
    }

    /// Lets the group of a lane know that there may be something to tell of an alert.
    mutating func enqueue(_ slot: Int32, _ index: Int, _ urgency: Urgency, _ work: inout EngineWork) {
        let lane = entries[Int(slot)].lanes[index]
        if !lane.flags.contains(.isQueued) {
            entries[Int(slot)].lanes[index].flags.insert(.isQueued)
            groups[Int(lane.group)]?.queue.append(
                AlertGroup.Queued(slot: slot, generation: entries[Int(slot)].generation))
        }
        if entries[Int(slot)].severity == .critical { groups[Int(lane.group)]?.hasCritical = true }
        if let group = groups[Int(lane.group)], group.isDeferred {
            mute(slot, configuration.policy.muteTimes.active(among: settings(of: group).muteTimes, at: work.now), &work)
        }
        schedule(lane.group, urgency, &work)
    }

    /// Sets when a group tells its news; never later than it would have.
    mutating func schedule(_ id: Int32, _ urgency: Urgency, _ work: inout EngineWork) {
        guard let group = groups[Int(id)] else { return }
        let due = dueTime(group, urgency, now: work.now)
        if group.isDeferred, group.name.kind != .digest { return mark(id, &work) }
        groups[Int(id)]?.dueAt = min(group.dueAt ?? due, due)
        mark(id, &work)
        arm(id)
    }

    private func dueTime(_ group: AlertGroup, _ urgency: Urgency, now: Timestamp) -> Timestamp {
        let settings = settings(of: group)
        switch group.name.kind {
        case .incident: return now
        case .digest:
            guard let digest = settings.digest else { return now }
            return group.dueAt ?? digest.nextTime(after: now) ?? .distantFuture
        case .group: break
        }
        let earliest = group.lastTold.map { $0.adding(settings.interval) } ?? now
        switch urgency {
        case .now: return now
        case .new(.critical): return now.adding(settings.criticalWait)
        case .new, .later: return max(now.adding(settings.wait), earliest)
        }
    }

    /// Puts the next time of a group into the queue of timers.
    mutating func arm(_ id: Int32) {
        guard let group = groups[Int(id)], let next = group.nextTime, next < .distantFuture else { return }
        if let queued = group.queuedAt, queued <= next { return }
        groups[Int(id)]?.queuedAt = next
        queue.push(DueEntry(time: next, kind: .group, id: id, order: AlertingEngine.order(group.name)))
    }

    /// The same for a group in every run, unlike its place in memory.
    static func order(_ name: GroupName) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.lane.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash
    }

    func isCurrent(_ entry: DueEntry) -> Bool {
        switch entry.kind {
        case .group: groups.indices.contains(Int(entry.id)) && groups[Int(entry.id)]?.queuedAt == entry.time
        case .acknowledgement:
            entries[Int(entry.id)].flags.contains(.isAcknowledged)
                && statuses[entry.id]?.acknowledgement?.until == entry.time
        case .escalation: statuses[entry.id]?.escalations.contains { !$0.isDone && $0.dueAt == entry.time } ?? false
        case .storm: routes.indices.contains(Int(entry.id)) && routes[Int(entry.id)].stormUntil == entry.time
        }
    }

    /// Runs every timer that the clock has passed, in the order of their times.
    mutating func runDue(_ work: inout EngineWork) {
        recordSuppressed(&work)
        while let first = queue.first, first.time <= work.now {
            queue.pop()
            guard isCurrent(first) else { continue }
            switch first.kind {
            case .group:
                groups[Int(first.id)]?.queuedAt = nil
                runGroup(first.id, &work)
                arm(first.id)
            case .acknowledgement: endAcknowledgement(first.id, &work)
            case .escalation: escalate(first.id, &work)
            case .storm: endStorm(first.id, &work)
            }
        }
    }

    private mutating func runGroup(_ id: Int32, _ work: inout EngineWork) {
        guard let group = groups[Int(id)] else { return }
        if let due = group.dueAt, due <= work.now {
            if holdForStorm(id, group, &work) || holdForMute(id, group, &work) { return }
            tell(id, .all, &work)
        } else if let again = group.repeatAt, again <= work.now {
            remind(id, &work)
        }
    }

    // MARK: - News

    /// Which news is told.
    enum NewsPart { case all, critical }

    /// What a group has to tell, which counts as told from now on.
    mutating func takeNews(_ id: Int32, _ part: NewsPart, _ work: inout EngineWork) -> [PlannedMessage.Item] {
        guard let group = groups[Int(id)] else { return [] }
        let isAll = part == .all
        let queue = isAll ? group.queue : group.queue.filter { isCritical($0) }
        let ends = isAll ? group.pending : group.pending.filter(\.isCriticalEvent)
        let left = isAll ? [] : group.queue.filter { !isCritical($0) }
        groups[Int(id)]?.queue = left
        groups[Int(id)]?.pending = isAll ? [] : group.pending.filter { !$0.isCriticalEvent }
        groups[Int(id)]?.hasCritical = false
        groups[Int(id)]?.dueAt = nil
        groups[Int(id)]?.isDeferred = false
        mark(id, &work)
        var items: [PlannedMessage.Item] = []
        for queued in queue {
            let entry = entries[Int(queued.slot)]
            guard entry.generation == queued.generation, entry.flags.contains(.isLive),
                let index = entry.lanes.firstIndex(where: { $0.group == id })
            else { continue }
            entries[Int(queued.slot)].lanes[index].flags.remove(.isQueued)
            if entry.lanes[index].isQuiet(at: entry.severity) { continue }
            guard !entry.flags.contains(.isSuppressed), let item = news(queued.slot, entry.lanes[index], &work)
            else { continue }
            items.append(item)
            let isFirst = !entry.lanes.contains { $0.isTold }
            entries[Int(queued.slot)].lanes[index].told = entry.severity.rawValue
            entries[Int(queued.slot)].lanes[index].flags.remove(.isQuiet)
            work.touched.insert(queued.slot)
            if isFirst { planEscalations(queued.slot, group, &work) }
            unmute(queued.slot, &work)
        }
        let sendsResolved = settings(of: group).sendsResolved
        for pending in ends {
            if pending.isStored {
                work.output.states.append(group.removal(of: pending))
            }
            if pending.item.news == .event || sendsResolved { items.append(pending.item) }
        }
        return items
    }

    private func isCritical(_ queued: AlertGroup.Queued) -> Bool {
        let entry = entries[Int(queued.slot)]
        return entry.generation == queued.generation && entry.severity == .critical
    }

    private func news(_ slot: Int32, _ lane: OpenLane, _ work: inout EngineWork) -> PlannedMessage.Item? {
        let severity = entries[Int(slot)].severity
        let kind: PlannedMessage.News
        switch lane.toldSeverity {
        case nil: kind = .firing
        case let told? where told < severity: kind = .raised(from: told)
        case let told? where told > severity: kind = .lowered(from: told)
        default:
            guard !lane.flags.isDisjoint(with: [.wasSuppressed, .isEscalation]) else { return nil }
            kind = .open
        }
        guard let alert = work.pool.alert(at: place(slot: slot)) else { return nil }
        return PlannedMessage.Item(
            alert: alert, news: kind, cause: work.causes[slot] ?? causes[slot] ?? "condition holds")
    }

    /// Tells the news of a group; nothing where there is none.
    mutating func tell(_ id: Int32, _ part: NewsPart, _ work: inout EngineWork) {
        guard let before = groups[Int(id)] else { return }
        let held = heldReason(before, id)
        let items = takeNews(id, part, &work)
        guard let group = groups[Int(id)] else { return }
        for queued in before.queue where entries[Int(queued.slot)].generation == queued.generation {
            clear([.wasSuppressed, .isEscalation], queued.slot, id)
        }
        if group.name.kind == .digest { return tellDigest(id, news: items, &work) }
        guard !items.isEmpty else {
            removeIfEmpty(id, &work)
            return
        }
        emit(id, items, held ?? AlertingEngine.reason(items, group), &work)
    }

    /// Why a group is told where that lies in what held its news back, or in an escalation.
    private func heldReason(_ group: AlertGroup, _ id: Int32) -> Notification.Reason? {
        if group.isDeferred { return .catchUp }
        let flags = group.queue.compactMap { queued -> OpenLane.Flags? in
            let entry = entries[Int(queued.slot)]
            guard entry.generation == queued.generation else { return nil }
            return entry.lanes.first { $0.group == id }?.flags
        }
        guard !flags.isEmpty else { return nil }
        if flags.allSatisfy({ $0.contains(.isEscalation) }) { return .escalation }
        return flags.allSatisfy { $0.contains(.wasSuppressed) } ? .silenceEnded : nil
    }

    private mutating func clear(_ flag: OpenLane.Flags, _ slot: Int32, _ id: Int32) {
        for (index, lane) in entries[Int(slot)].lanes.enumerated()
        where lane.group == id && !lane.flags.contains(.isQueued) {
            entries[Int(slot)].lanes[index].flags.remove(flag)
        }
    }

    /// Why a group is told, by what is new in it.
    static func reason(_ items: [PlannedMessage.Item], _ group: AlertGroup) -> Notification.Reason {
        func has(_ test: (PlannedMessage.News) -> Bool) -> Bool { items.contains { test($0.news) } }
        if items.allSatisfy({ $0.news == .event }) { return .event }
        if has({ $0 == .firing }) { return group.lastTold == nil ? .first : .newFiring }
        if has({ if case .raised = $0 { true } else { false } }) { return .severityRaised }
        if has({ if case .lowered = $0 { true } else { false } }) { return .severityLowered }
        return group.members.isEmpty ? .allResolved : .someResolved
    }

    // MARK: - Repeats

    /// When a group is told again; never within the same second, whatever is configured.
    func nextRepeat(of group: AlertGroup, after now: Timestamp) -> Timestamp {
        now.adding(max(settings(of: group).repeatInterval, .seconds(1)))
    }

    /// Tells a group again that is still firing.
    private mutating func remind(_ id: Int32, _ work: inout EngineWork) {
        guard let group = groups[Int(id)] else { return }
        let settings = settings(of: group)
        let next = nextRepeat(of: group, after: work.now)
        groups[Int(id)]?.repeatAt = next
        mark(id, &work)
        if let mute = configuration.policy.muteTimes.active(among: settings.muteTimes, at: work.now) {
            let end = configuration.policy.muteTimes.nextChange(of: mute.name, after: work.now)
            groups[Int(id)]?.repeatAt = end ?? next
            return
        }
        let (items, moreCount) = openItems(group, id, work) { $0.isTold && !$1.contains(.isAcknowledged) }
        guard !items.isEmpty else { return }
        emit(id, items, .repeat, moreCount: moreCount, &work)
    }

    /// The open alerts of a group that nothing holds back, most severe first: as many as a message shows, and how many
    /// there are beside them.
    func openItems(
        _ group: AlertGroup, _ id: Int32, _ work: EngineWork, where isWanted: (OpenLane, OpenEntry.Flags) -> Bool
    ) -> (items: [PlannedMessage.Item], moreCount: Int) {
        let wanted = group.members.filter { slot in
            let flags = entries[Int(slot)].flags
            guard !flags.contains(.isSuppressed),
                let lane = entries[Int(slot)].lanes.first(where: { $0.group == id })
            else { return false }
            return isWanted(lane, flags)
        }
        let items = ranked(wanted, countMax: Notification.itemsMax).compactMap { slot in
            work.pool.alert(at: place(slot: slot)).map {
                PlannedMessage.Item(alert: $0, news: .open, cause: "still firing")
            }
        }
        return (items, wanted.count - items.count)
    }

    /// The most severe of some alerts, in an order that is the same in every run.
    private func ranked(_ slots: Set<Int32>, countMax: Int) -> [Int32] {
        func comesFirst(_ left: Int32, _ right: Int32) -> Bool {
            let (one, two) = (entries[Int(left)].severity, entries[Int(right)].severity)
            return one == two ? entries[Int(left)].fingerprint < entries[Int(right)].fingerprint : one > two
        }
        guard slots.count > 20 * countMax else { return Array(slots.sorted(by: comesFirst).prefix(countMax)) }
        // Of very many only the first are put in order.
        var best: [Int32] = []
        var worst: Int32?
        for slot in slots {
            if let worst, comesFirst(worst, slot) { continue }
            best.append(slot)
            guard best.count == 2 * countMax else { continue }
            best = Array(best.sorted(by: comesFirst).prefix(countMax))
            worst = best.last
        }
        return Array(best.sorted(by: comesFirst).prefix(countMax))
    }

    // MARK: - Messages

    /// Makes a message of items, and sets when the group is told again.
    mutating func emit(
        _ id: Int32, _ items: [PlannedMessage.Item], _ reason: Notification.Reason, moreCount: Int = 0,
        _ work: inout EngineWork
    ) {
        guard var group = groups[Int(id)] else { return }
        var message = self.message(group, items, reason, work)
        message.omittedCount += moreCount
        message.others = others(group, items, &work)
        send(message, telling: items, &work)
        group.lastTold = work.now
        group.sequence &+= 1
        group.repeatAt =
            group.name.kind != .group || group.members.isEmpty ? nil : nextRepeat(of: group, after: work.now)
        groups[Int(id)] = group
        mark(id, &work)
        arm(id)
        removeIfEmpty(id, &work)
    }

    func message(
        _ group: AlertGroup, _ items: [PlannedMessage.Item], _ reason: Notification.Reason, _ work: EngineWork
    ) -> PlannedMessage {
        let marks = items.map { item in
            "\(item.alert.incidentKey)/\(item.news.word)/\(item.alert.severity)/"
                + "\(item.alert.changedAt.milliseconds)/\(item.alert.causeText)"
        }
        let shown = AlertingEngine.shown(items)
        let rules = Set(items.map(\.alert.rule))
        let lane = group.name.lane
        let numbered = group.name.kind == .incident ? "" : String(group.sequence)
        return PlannedMessage(
            kind: group.name.kind == .incident ? .incident : .group, receiver: group.name.address.receiver,
            recipient: group.name.address.recipient, lane: lane, groupKey: group.name.key, reason: reason,
            items: shown, omittedCount: items.count - shown.count, others: [], openCount: group.members.count,
            rule: rules.count == 1 ? rules.first ?? "" : "", routePath: path(of: group), suppression: nil, digest: nil,
            key: ([lane, numbered, reason.rawValue] + marks).joined(separator: "\u{1F}"), at: work.now)
    }

    /// As many items as a notification holds: the most severe, in their order.
    private static func shown(_ items: [PlannedMessage.Item]) -> [PlannedMessage.Item] {
        guard items.count > Notification.itemsMax else { return items }
        let ranked = items.indices.sorted {
            (items[$1].alert.severity, $0) < (items[$0].alert.severity, $1)
        }
        return ranked.prefix(Notification.itemsMax).sorted().map { items[$0] }
    }

    /// What else is open in a group that is not too large to be named.
    private func others(
        _ group: AlertGroup, _ items: [PlannedMessage.Item], _ work: inout EngineWork
    ) -> [Alert] {
        guard group.name.kind == .group, group.members.count > 0, group.members.count <= 200 else { return [] }
        let told = Set(items.map(\.alert.fingerprint))
        let rest = group.members.filter {
            !told.contains(entries[Int($0)].fingerprint) && !entries[Int($0)].flags.contains(.isSuppressed)
        }
        return ranked(rest, countMax: AlertingEngine.othersMax).compactMap { work.pool.alert(at: place(slot: $0)) }
    }

    /// Hands a message over, with the reason for each alert it tells; one to a receiver that is not configured any more
    /// is none.
    func send(_ message: PlannedMessage, telling items: [PlannedMessage.Item], _ work: inout EngineWork) {
        guard configuration.profiles[message.receiver] != nil else { return }
        work.output.messages.append(message)
        for item in items {
            work.output.decisions.append(
                DecisionNote(
                    fingerprint: item.alert.fingerprint, episode: item.alert.episode, at: work.now,
                    receiver: message.receiver, recipient: message.recipient, decision: message.reason.rawValue,
                    detail: item.news.word, routePath: message.routePath))
        }
    }

    /// What fired while bootstrapping is kept for the record.
    private mutating func recordSuppressed(_ work: inout EngineWork) {
        var order: [Int32] = []
        var items: [Int32: [PlannedMessage.Item]] = [:]
        for (id, item) in work.recorded {
            if items[id] == nil { order.append(id) }
            items[id, default: []].append(item)
        }
        work.recorded = []
        for id in order {
            guard let group = groups[Int(id)], let all = items[id] else { continue }
            let reason = AlertingEngine.reason(all, group)
            var message = self.message(group, all, reason, work)
            message.suppression = "bootstrap"
            groups[Int(id)]?.sequence &+= 1
            mark(id, &work)
            send(message, telling: all, &work)
            removeIfEmpty(id, &work)
        }
    }
}
