public import Core

extension AlertingEngine {
    /// A piece of stored state.
    public struct StoredState: Sendable {
        public var kind: StateChange.Kind
        public var key: String
        public var bytes: [UInt8]

        /// Describes a piece of state.
        public init(kind: StateChange.Kind, key: String, bytes: [UInt8]) {
            self.kind = kind
            self.key = key
            self.bytes = bytes
        }
    }

    /// Takes over what is stored, once, before anything else: groups and their timers, open alerts and whom they were
    /// told to, silences, acknowledgements.
    ///
    /// Nothing is told here; what is due is told by the first ``advance(to:alerts:)``.
    public mutating func load(
        open: [(alert: Alert, membership: Membership)], states: [StoredState], alerts pool: any AlertPool
    ) throws(ByteReadError) {
        try loadSilences(states)
        for state in states where state.kind == .storm { try loadStorm(state.bytes) }
        for state in states where state.kind == .group { loadGroup(try AlertGroup(bytes: state.bytes)) }
        for (alert, membership) in open where alert.state == .firing { load(alert, membership, pool) }
        for state in states where state.kind == .status { try loadStatus(state) }
        for state in states where state.kind == .end {
            let (name, item) = try PendingItem.read(state.bytes)
            let id = group(Target(name: name, route: -1))
            groups[Int(id)]?.pending.append(item)
            if item.isCriticalEvent { groups[Int(id)]?.hasCritical = true }
            findRoute(id, item.item.alert, AlertSubject(item.item.alert))
        }
        for id in groups.indices where groups[id] != nil { wake(Int32(id)) }
        isRoutingChanged = true
        holdsChangeAt = .distantPast
    }

    private mutating func loadSilences(_ states: [StoredState]) throws(ByteReadError) {
        var stored: [Silence] = []
        for state in states where state.kind == .silence { stored.append(try Silence(bytes: state.bytes)) }
        silences = SilenceSet(files: configuration.policy.silences, stored: stored)
        forgetStale(stored.filter(\.isOfFile).map(\.id))
    }

    /// Notes which stored ends of silences of files are no longer in force.
    private mutating func forgetStale(_ ids: [String]) {
        staleSilences += ids.filter { silences.silences[$0]?.plannedEndsAt == nil }
    }

    private mutating func loadGroup(_ group: AlertGroup) {
        let id = self.group(Target(name: group.name, route: -1))
        groups[Int(id)] = group
    }

    private mutating func loadStorm(_ bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes)
        let key = try reader.texts()
        storedStorms[key] = Timestamp(milliseconds: try reader.signed())
    }

    private mutating func load(_ alert: Alert, _ membership: Membership, _ pool: any AlertPool) {
        let slot = Int32(entries.count)
        entries.append(
            OpenEntry(
                fingerprint: alert.fingerprint, locator: pool.locator(of: alert), rule: ruleIndex(alert.rule),
                episode: alert.episode, generation: 0, severity: alert.severity,
                peak: max(alert.severity, membership.peak), flags: .isLive,
                lanes: []))
        slots[alert.fingerprint] = slot
        causes[slot] = membership.cause
        var subject: AlertSubject?
        for lane in membership.lanes {
            let name = GroupName(
                address: Address(receiver: lane.receiver, recipient: lane.recipient), key: lane.groupKey,
                kind: lane.isIncident ? .incident : lane.isDigest ? .digest : .group)
            let id = group(Target(name: name, route: -1))
            groups[Int(id)]?.members.insert(slot)
            if groups[Int(id)]?.route == -1 {
                let known = subject ?? AlertSubject(alert)
                subject = known
                findRoute(id, alert, known)
            }
            entries[Int(slot)].lanes.append(
                OpenLane(
                    group: id, told: lane.told?.rawValue ?? OpenLane.untold, flags: lane.isQuiet ? .isQuiet : []))
        }
        if !configuration.policy.inhibition.rules.isEmpty { _ = watch(slot, subject ?? AlertSubject(alert)) }
    }

    private mutating func loadStatus(_ state: StoredState) throws(ByteReadError) {
        let status = try AlertStatus(bytes: state.bytes)
        guard let fingerprint = Fingerprint(hex: state.key), let slot = slots[fingerprint],
            entries[Int(slot)].episode == status.episode
        else { return }
        statuses[slot] = status
        if status.isSuppressed { entries[Int(slot)].flags.insert(.isSuppressed) }
        if let acknowledgement = status.acknowledgement {
            entries[Int(slot)].flags.insert(.isAcknowledged)
            if let until = acknowledgement.until { push(.acknowledgement, slot, until) }
        }
        for escalation in status.escalations where !escalation.isDone && escalation.dueAt < .distantFuture {
            push(.escalation, slot, escalation.dueAt)
        }
    }

    /// Queues what a group has not told, and its timers.
    private mutating func wake(_ id: Int32) {
        guard let group = groups[Int(id)] else { return }
        for slot in ordered(group.members) where !entries[Int(slot)].flags.contains(.isSuppressed) {
            let entry = entries[Int(slot)]
            guard let index = entry.lanes.firstIndex(where: { $0.group == id }),
                entry.lanes[index].told != entry.severity.rawValue
            else { continue }
            entries[Int(slot)].lanes[index].flags.insert(.isQueued)
            groups[Int(id)]?.queue.append(AlertGroup.Queued(slot: slot, generation: entry.generation))
            if entry.severity == .critical { groups[Int(id)]?.hasCritical = true }
        }
        if groups[Int(id)]?.hasNews == true || group.name.kind == .digest, group.dueAt == nil {
            groups[Int(id)]?.dueAt = .epoch
        }
        arm(id)
    }

    // MARK: - A new configuration

    /// Takes a new configuration. What was told stays told, timers go on; only alerts that nobody was told of yet are
    /// routed anew.
    public mutating func replace(
        configuration new: AlertingConfiguration, alerts pool: any AlertPool, now: Timestamp
    ) -> EngineOutput {
        var work = EngineWork(pool: pool, now: begin(now), isBootstrap: false)
        let old = routes
        for route in old {
            if let until = route.stormUntil { storedStorms[route.key] = until }
        }
        configuration = new
        routes = []
        routePlaces = [:]
        let ended = silences.silences.values.filter { $0.isOfFile && $0.plannedEndsAt != nil }.map(\.id).sorted()
        silences.replaceFiles(new.policy.silences)
        forgetStale(ended)
        inhibition = InhibitionIndex(rules: new.policy.inhibition)
        inhibitable = []
        for slot in entries.indices { entries[slot].flags.subtract([.isInhibitor, .isInhibitable]) }
        if !new.policy.inhibition.rules.isEmpty { watchAll(pool) }
        for id in groups.indices {
            guard let group = groups[id] else { continue }
            groups[id]?.route = -1
            if let alert = representative(group, pool) { findRoute(Int32(id), alert, AlertSubject(alert)) }
            guard groups[id]?.route == -1, group.route >= 0 else { continue }
            // Its receiver is no longer told of such alerts: what it was told of goes on as before.
            let kept = keep(old[Int(group.route)])
            groups[id]?.route = kept
        }
        isRoutingChanged = true
        work.areHoldsChanged = true
        work.isInhibitionChanged = true
        settleSuppression(&work)
        runDue(&work)
        return finish(&work)
    }

    private mutating func watchAll(_ pool: any AlertPool) {
        for slot in entries.indices where entries[slot].flags.contains(.isLive) {
            if let alert = pool.alert(at: place(slot: Int32(slot))) {
                _ = watch(Int32(slot), AlertSubject(alert))
            }
        }
        for (slot, status) in statuses where !status.inhibitedBy.isEmpty { inhibitable.insert(slot) }
    }

    private mutating func keep(_ route: UsedRoute) -> Int32 {
        routeIndex(RouteMatch(receiver: route.receiver, path: route.path, settings: route.settings))
    }

    private func representative(_ group: AlertGroup, _ pool: any AlertPool) -> Alert? {
        if let slot = group.members.min(by: { entries[Int($0)].fingerprint < entries[Int($1)].fingerprint }),
            let alert = pool.alert(at: place(slot: slot))
        {
            return alert
        }
        return group.pending.first?.item.alert
    }

    /// Finds the route that a group takes its settings from, by one of its alerts.
    private mutating func findRoute(_ id: Int32, _ alert: Alert, _ subject: AlertSubject) {
        guard let group = groups[Int(id)], group.route == -1,
            let match = matches(subject, configuration.rules[alert.rule]).first(where: {
                $0.receiver == group.name.address.receiver
            })
        else { return }
        let route = routeIndex(match)
        groups[Int(id)]?.route = route
    }

    /// Routes alerts anew that are not told everywhere yet, or whose receivers are all gone.
    mutating func reroute(_ work: inout EngineWork) {
        guard isRoutingChanged else { return }
        isRoutingChanged = false
        var slots: Set<Int32> = []
        for slot in entries.indices where entries[slot].flags.contains(.isLive) {
            let lanes = entries[slot].lanes
            let isGone = lanes.allSatisfy { lane in
                groups[Int(lane.group)].map { configuration.profiles[$0.name.address.receiver] == nil } ?? true
            }
            if isGone || lanes.contains(where: { $0.told == OpenLane.untold }) { slots.insert(Int32(slot)) }
        }
        for slot in ordered(slots) { reroute(slot, &work) }
        moveDigests(&work)
    }

    /// Lets digests go on under the name that their route gives them now, at their new times: what was told there and
    /// the ends that wait go along.
    private mutating func moveDigests(_ work: inout EngineWork) {
        for id in groups.indices.map(Int32.init) {
            guard let group = groups[Int(id)], group.name.kind == .digest else { continue }
            for slot in ordered(group.members) {
                guard let alert = work.pool.alert(at: place(slot: slot)),
                    let target = digestTarget(of: alert, at: group.name.address, &work), target.name != group.name,
                    let index = entries[Int(slot)].lanes.firstIndex(where: { $0.group == id })
                else { continue }
                let new = self.group(target)
                groups[Int(id)]?.members.remove(slot)
                groups[Int(new)]?.members.insert(slot)
                entries[Int(slot)].lanes[index].group = new
                entries[Int(slot)].lanes[index].flags.remove(.isQueued)
                enqueue(slot, index, .later, &work)
                mark(id, &work)
                work.touched.insert(slot)
            }
            moveEnds(id, &work)
            setTime(ofDigest: id, &work)
            removeIfEmpty(id, &work)
        }
    }

    private mutating func moveEnds(_ id: Int32, _ work: inout EngineWork) {
        guard let group = groups[Int(id)] else { return }
        for end in group.pending {
            guard let target = digestTarget(of: end.item.alert, at: group.name.address, &work),
                target.name != group.name
            else { continue }
            groups[Int(id)]?.pending.removeAll { $0.storeKey == end.storeKey }
            if end.isStored { work.output.states.append(group.removal(of: end)) }
            mark(id, &work)
            add(end.item, to: self.group(target), .later, &work)
        }
    }

    /// The digest at an address that an alert belongs to by what is configured now.
    private mutating func digestTarget(
        of alert: Alert, at address: Address, _ work: inout EngineWork
    ) -> Target? {
        let problems = work.output.problems
        defer { work.output.problems = problems }
        return targets(of: alert, AlertSubject(alert), &work).first {
            $0.name.kind == .digest && $0.name.address == address
        }
    }

    /// Its schedule or calendar may have changed.
    private mutating func setTime(ofDigest id: Int32, _ work: inout EngineWork) {
        guard let group = groups[Int(id)], let due = group.dueAt, due > work.now, !group.isDeferred,
            let digest = settings(of: group).digest
        else { return }
        groups[Int(id)]?.dueAt = digest.nextTime(after: work.now)
        mark(id, &work)
        arm(id)
    }

    private mutating func reroute(_ slot: Int32, _ work: inout EngineWork) {
        guard let alert = work.pool.alert(at: place(slot: slot)) else { return }
        let targets = targets(of: alert, AlertSubject(alert), &work)
        for lane in entries[Int(slot)].lanes where lane.told == OpenLane.untold {
            guard let group = groups[Int(lane.group)], !targets.contains(where: { $0.name == group.name }) else {
                continue
            }
            entries[Int(slot)].lanes.removeAll { $0.group == lane.group }
            groups[Int(lane.group)]?.members.remove(slot)
            mark(lane.group, &work)
            work.touched.insert(slot)
            removeIfEmpty(lane.group, &work)
        }
        for target in targets where lane(slot, at: target.name.address) == nil {
            join(slot, target, [], &work)
            work.touched.insert(slot)
            guard !entries[Int(slot)].flags.contains(.isSuppressed) else { continue }
            enqueue(slot, entries[Int(slot)].lanes.count - 1, .new(alert.severity), &work)
        }
    }
}
