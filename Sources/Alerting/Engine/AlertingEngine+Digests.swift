public import Core

extension AlertingEngine {
    /// Tells a recipient what is open, what is new and what is over since the last digest; nothing where there is
    /// nothing.
    mutating func tellDigest(_ id: Int32, news: [PlannedMessage.Item], _ work: inout EngineWork) {
        guard let group = groups[Int(id)] else { return }
        let settings = settings(of: group)
        let new = Set(news.map(\.alert.fingerprint))
        let (open, moreCount) = openItems(group, id, work) { lane, _ in lane.told != OpenLane.untold }
        let old = open.filter { !new.contains($0.alert.fingerprint) }
        let isOver = { (item: PlannedMessage.Item) in item.news == .resolved || item.news == .resolvedUnheard }
        let items = news.filter { !isOver($0) } + old + news.filter(isOver)
        if !items.isEmpty, configuration.profiles[group.name.address.receiver] != nil {
            var message = self.message(group, items, .digest, work)
            message.digest = settings.digest
            message.omittedCount += moreCount
            send(message, telling: items, &work)
            groups[Int(id)]?.sequence &+= 1
            groups[Int(id)]?.lastTold = work.now
        }
        if !group.members.isEmpty { groups[Int(id)]?.dueAt = settings.digest?.nextTime(after: work.now) }
        mark(id, &work)
        arm(id)
        removeIfEmpty(id, &work)
    }

    /// Tells each receiver once what was open when the router had caught up at its first start.
    public mutating func endBootstrap(alerts pool: any AlertPool, now: Timestamp) -> EngineOutput {
        var work = EngineWork(pool: pool, now: begin(now), isBootstrap: false)
        settleSuppression(&work)
        var items: [Address: [PlannedMessage.Item]] = [:]
        for slot in entries.indices where entries[slot].flags.contains(.isLive) {
            guard !entries[slot].flags.contains(.isSuppressed),
                entries[slot].lanes.contains(where: { $0.flags.contains(.isQuiet) }),
                let alert = pool.alert(at: place(slot: Int32(slot))), alert.isBootstrap, alert.state == .firing
            else { continue }
            for lane in entries[slot].lanes where lane.flags.contains(.isQuiet) {
                guard let name = groups[Int(lane.group)]?.name, name.kind != .digest else { continue }
                items[name.address, default: []].append(
                    PlannedMessage.Item(alert: alert, news: .firing, cause: "open before the router started"))
            }
        }
        for (address, unordered) in items.sorted(by: { $0.key < $1.key }) {
            let all = unordered.sorted {
                ($0.alert.firingSince ?? .epoch, $0.alert.fingerprint) < (
                    $1.alert.firingSince ?? .epoch, $1.alert.fingerprint
                )
            }
            let group = AlertGroup(name: GroupName(address: address, key: "already open", kind: .group), route: -1)
            var message = self.message(group, all, .alreadyOpen, work)
            message.openCount = all.count
            message.rule = ""
            send(message, telling: all, &work)
        }
        runDue(&work)
        return finish(&work)
    }
}
