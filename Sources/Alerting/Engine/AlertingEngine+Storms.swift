internal import Core

extension AlertingEngine {
    /// Counts a new alert; more than its route takes within a window are a storm.
    mutating func noteNew(_ slot: Int32, _ work: inout EngineWork) {
        var seen: Set<Int32> = []
        for lane in entries[Int(slot)].lanes {
            guard let group = groups[Int(lane.group)], group.name.kind == .group, group.route >= 0,
                seen.insert(group.route).inserted, let storm = routes[Int(group.route)].settings.storm
            else { continue }
            count(group.route, storm, &work)
        }
    }

    private mutating func count(_ id: Int32, _ storm: GroupSettings.Storm, _ work: inout EngineWork) {
        let oldest = work.now.adding(milliseconds: -storm.within.wholeMilliseconds)
        var recent = routes[Int(id)].recent.filter { $0 > oldest }
        recent.append(work.now)
        if recent.count > storm.moreThan + 1 { recent.removeFirst(recent.count - storm.moreThan - 1) }
        routes[Int(id)].recent = recent
        guard recent.count > storm.moreThan, routes[Int(id)].stormUntil == nil else { return }
        begin(stormOf: id, until: recent[0].adding(storm.within), &work)
    }

    private mutating func begin(stormOf id: Int32, until: Timestamp, _ work: inout EngineWork) {
        routes[Int(id)].stormUntil = until
        queue.push(DueEntry(time: until, kind: .storm, id: id, order: UInt64(id)))
        work.output.states.append(
            StateChange(kind: .storm, key: stormKey(id), dueAt: until, bytes: stormBytes(id)))
    }

    private func stormKey(_ id: Int32) -> String {
        routes[Int(id)].key.joined(separator: "\u{1F}")
    }

    private func stormBytes(_ id: Int32) -> [UInt8] {
        var writer = ByteWriter()
        writer.texts(routes[Int(id)].key)
        writer.signed((routes[Int(id)].stormUntil ?? .epoch).milliseconds)
        return writer.bytes
    }

    /// Lets a group of a route in a storm wait for the summary; what is critical in it is told at once.
    mutating func holdForStorm(_ id: Int32, _ group: AlertGroup, _ work: inout EngineWork) -> Bool {
        guard group.name.kind == .group, group.route >= 0, let until = routes[Int(group.route)].stormUntil,
            work.now < until
        else { return false }
        if group.hasCritical {
            let muteTimes = settings(of: group).muteTimes
            guard configuration.policy.muteTimes.active(among: muteTimes, at: work.now) == nil else { return false }
            tell(id, .critical, &work)
        }
        groups[Int(id)]?.dueAt = nil
        mark(id, &work)
        return true
    }

    /// Tells the summary of a storm: one message for each receiver and recipient.
    mutating func endStorm(_ id: Int32, _ work: inout EngineWork) {
        let route = routes[Int(id)]
        routes[Int(id)].stormUntil = nil
        work.output.states.append(StateChange(kind: .storm, key: stormKey(id), dueAt: nil, bytes: nil))
        var byAddress: [Address: [Int32]] = [:]
        for group in groups.indices {
            guard let one = groups[group], one.route == id, one.name.kind == .group, one.hasNews, !one.isDeferred
            else { continue }
            byAddress[one.name.address, default: []].append(Int32(group))
        }
        for (address, unordered) in byAddress.sorted(by: { $0.key < $1.key }) {
            let ids = unordered.sorted { groups[Int($0)]?.name.key ?? "" < groups[Int($1)]?.name.key ?? "" }
            summarize(ids, address, route, &work)
        }
        guard let storm = route.settings.storm else { return }
        let oldest = work.now.adding(milliseconds: -storm.within.wholeMilliseconds)
        if route.recent.count > storm.moreThan, let first = route.recent.first, first > oldest {
            begin(stormOf: id, until: work.now.adding(storm.within), &work)
        }
    }

    private mutating func summarize(
        _ ids: [Int32], _ address: Address, _ route: UsedRoute, _ work: inout EngineWork
    ) {
        if let first = ids.first, let group = groups[Int(first)], holdForMute(first, group, &work) {
            for id in ids.dropFirst() {
                if let other = groups[Int(id)], holdForMute(id, other, &work) { arm(id) }
            }
            arm(first)
            return
        }
        var items: [PlannedMessage.Item] = []
        var openCount = 0
        for id in ids {
            items += takeNews(id, .all, &work)
            openCount += groups[Int(id)]?.members.count ?? 0
        }
        let key = "storm \(route.path.last ?? "")"
        if !items.isEmpty {
            var group = AlertGroup(name: GroupName(address: address, key: key, kind: .group), route: -1)
            group.lastTold = work.now
            var message = self.message(group, items, .storm, work)
            message.openCount = openCount
            message.routePath = route.path
            message.counts = AlertingEngine.counts(of: items.map(\.alert))
            send(message, telling: items, &work)
        }
        for id in ids { tookPart(id, &work) }
    }

    /// What many alerts have in common: rules, and texts of key columns, with how many alerts have them; the most
    /// frequent first. What only one alert has is left out.
    static func counts(of alerts: [Alert]) -> [PlannedMessage.Count] {
        var counts: [String: Int] = [:]
        for alert in alerts {
            counts[alert.rule, default: 0] += 1
            for (column, text) in zip(alert.keyColumns, alert.keyTexts) {
                if let text { counts["\(column)=\(text)", default: 0] += 1 }
            }
        }
        return counts.filter { $0.value > 1 }.map { PlannedMessage.Count(name: $0.key, count: $0.value) }
            .sorted { ($1.count, $0.name) < ($0.count, $1.name) }.prefix(PlannedMessage.countsMax).map(\.self)
    }

    /// A group whose news a summary told.
    private mutating func tookPart(_ id: Int32, _ work: inout EngineWork) {
        guard let group = groups[Int(id)] else { return }
        groups[Int(id)]?.lastTold = work.now
        groups[Int(id)]?.sequence &+= 1
        if !group.members.isEmpty {
            let next = nextRepeat(of: group, after: work.now)
            groups[Int(id)]?.repeatAt = next
        }
        mark(id, &work)
        arm(id)
        removeIfEmpty(id, &work)
    }
}
