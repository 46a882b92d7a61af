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
        queue.push(DueQueue.Entry(time: until, kind: .storm, id: id, order: UInt64(id)))
        work.output.states.append(
            StateChange(kind: .storm, key: stormKey(id), dueAt: until, bytes: stormBytes(id)))
    }

    private func stormKey(_ id: Int32) -> String {
        ([routes[Int(id)].receiver] + routes[Int(id)].path).joined(separator: "\u{1F}")
    }

    private func stormBytes(_ id: Int32) -> [UInt8] {
        var writer = ByteWriter()
        writer.texts([routes[Int(id)].receiver] + routes[Int(id)].path)
        writer.signed((routes[Int(id)].stormUntil ?? .epoch).milliseconds)
        return writer.bytes
    }

    /// Lets a group of a route in a storm wait for the summary.
    mutating func holdForStorm(_ id: Int32, _ group: AlertGroup, _ work: inout EngineWork) -> Bool {
        guard group.name.kind == .group, group.route >= 0, let until = routes[Int(group.route)].stormUntil,
            work.now < until
        else { return false }
        routes[Int(group.route)].held.insert(id)
        groups[Int(id)]?.dueAt = nil
        mark(id, &work)
        return true
    }

    /// Tells the summary of a storm: one message for each receiver and recipient.
    mutating func endStorm(_ id: Int32, _ work: inout EngineWork) {
        let route = routes[Int(id)]
        routes[Int(id)].stormUntil = nil
        routes[Int(id)].held = []
        work.output.states.append(StateChange(kind: .storm, key: stormKey(id), dueAt: nil, bytes: nil))
        var byAddress: [Address: [Int32]] = [:]
        for group in groups.indices {
            guard let one = groups[group], one.route == id, one.name.kind == .group, one.hasNews, !one.isDeferred
            else { continue }
            byAddress[one.name.address, default: []].append(Int32(group))
        }
        let addresses = byAddress.keys.sorted { ($0.receiver, $0.recipient ?? "") < ($1.receiver, $1.recipient ?? "") }
        for address in addresses {
            let ids = (byAddress[address] ?? []).sorted {
                groups[Int($0)]?.name.key ?? "" < groups[Int($1)]?.name.key ?? ""
            }
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
            items += takeNews(id, &work)
            openCount += groups[Int(id)]?.members.count ?? 0
        }
        let key = "storm \(route.path.last ?? "")"
        if !items.isEmpty {
            var group = AlertGroup(name: GroupName(address: address, key: key, kind: .group), route: -1)
            group.lastTold = work.now
            var message = self.message(group, items, .storm, work)
            message.openCount = openCount
            message.routePath = route.path
            if configuration.profiles[address.receiver] != nil {
                work.output.messages.append(message)
                note(items, message, &work)
            }
        }
        for id in ids { tookPart(id, &work) }
    }

    /// A group whose news a summary told.
    private mutating func tookPart(_ id: Int32, _ work: inout EngineWork) {
        guard let group = groups[Int(id)] else { return }
        groups[Int(id)]?.lastTold = work.now
        groups[Int(id)]?.sequence &+= 1
        if !group.members.isEmpty {
            let wait = max(settings(of: group).repeatInterval, .seconds(1))
            groups[Int(id)]?.repeatAt = work.now.adding(wait)
        }
        mark(id, &work)
        arm(id)
        removeIfEmpty(id, &work)
    }
}
