internal import Core

extension AlertingEngine {
    /// A group that an alert belongs to, and the route that led there.
    struct Target {
        var name: GroupName
        var route: Int32
    }

    /// Whom an alert goes to, by what is configured now.
    mutating func targets(of alert: Alert, _ subject: AlertSubject, _ work: inout EngineWork) -> [Target] {
        let rule = configuration.rules[alert.rule]
        let isExpected = rule?.hasRecipient ?? (alert.recipient != nil)
        var targets: [Target] = []
        for match in matches(subject, rule) {
            guard let profile = configuration.profiles[match.receiver] else { continue }
            let isForReceiver = match.settings.digest?.split == .receiver
            let resolution = profile.resolve(
                recipient: isForReceiver ? nil : alert.recipient, isRecipientExpected: isExpected && !isForReceiver)
            if let refusal = resolution.refusal, rule?.isAboutRouter != true {
                work.output.problems.append(
                    EngineProblem(
                        component: "recipient", rule: alert.rule,
                        detail: "\(refusal); the fallback of receiver '\(match.receiver)' is told"))
            }
            let route = routeIndex(match)
            for recipient in resolution.addresses {
                let address = Address(receiver: match.receiver, recipient: recipient)
                let name = groupName(alert, subject, address, match.settings, profile)
                if !targets.contains(where: { $0.name == name }) { targets.append(Target(name: name, route: route)) }
            }
        }
        return targets
    }

    func matches(_ subject: AlertSubject, _ rule: RuleProfile?) -> [RouteMatch] {
        guard let rule, rule.isAboutRouter else {
            return configuration.policy.routes.matches(subject, notify: rule?.notify ?? [])
        }
        return configuration.policy.routes.aboutRouter(
            notify: rule.notify, operatorReceiver: configuration.operatorReceiver)
    }

    func groupName(
        _ alert: Alert, _ subject: AlertSubject, _ address: Address, _ settings: GroupSettings,
        _ profile: ReceiverProfile
    ) -> GroupName {
        if profile.isIncidentChannel {
            return GroupName(address: address, key: alert.incidentKey.description, kind: .incident)
        }
        if let digest = settings.digest { return GroupName(address: address, key: digest.groupKey, kind: .digest) }
        if settings.grouping == .rule { return GroupName(address: address, key: alert.rule, kind: .group) }
        let labels = settings.groupLabels(of: subject)
        let key = labels.map { "\($0.name)=\(JSON.string($0.value))" }.joined(separator: ", ")
        return GroupName(address: address, key: "{\(key)}", kind: .group)
    }

    mutating func routeIndex(_ match: RouteMatch) -> Int32 {
        let route = UsedRoute(receiver: match.receiver, path: match.path, settings: match.settings)
        let key = route.key
        if let place = routePlaces[key] { return place }
        let place = Int32(routes.count)
        routes.append(route)
        routePlaces[key] = place
        if let until = storedStorms.removeValue(forKey: key) {
            routes[Int(place)].stormUntil = until
            queue.push(DueEntry(time: until, kind: .storm, id: place, order: 0))
        }
        return place
    }

    func settings(of group: AlertGroup) -> GroupSettings {
        if group.route >= 0 { return routes[Int(group.route)].settings }
        // No route leads there any more: what was told goes on by the settings of the root.
        var settings = configuration.policy.routes.root.settings
        settings.digest = nil
        return settings
    }

    func path(of group: AlertGroup) -> [String] { group.route >= 0 ? routes[Int(group.route)].path : [] }

    /// The group of that name, which is made where there is none.
    mutating func group(_ target: Target) -> Int32 {
        if let id = groupPlaces[target.name] {
            if target.route >= 0 { groups[Int(id)]?.route = target.route }
            return id
        }
        let group = AlertGroup(name: target.name, route: target.route)
        let id: Int32
        if let free = freeGroups.popLast() {
            id = free
            groups[Int(free)] = group
        } else {
            id = Int32(groups.count)
            groups.append(group)
        }
        groupPlaces[target.name] = id
        return id
    }

    mutating func mark(_ id: Int32, _ work: inout EngineWork) {
        guard groups[Int(id)]?.isDirty == false else { return }
        groups[Int(id)]?.isDirty = true
        work.dirtyGroups.append(id)
    }

    /// Forgets a group in which nothing is open and nothing is left to tell.
    mutating func removeIfEmpty(_ id: Int32, _ work: inout EngineWork) {
        guard let group = groups[Int(id)], group.isEmpty else { return }
        if group.isStored {
            work.output.states.append(StateChange(kind: .group, key: group.name.lane, dueAt: nil, bytes: nil))
        }
        groupPlaces[group.name] = nil
        groups[Int(id)] = nil
        freeGroups.append(id)
    }

    func ruleName(slot: Int32) -> String { ruleNames[Int(entries[Int(slot)].rule)] }

    mutating func ruleIndex(_ name: String) -> Int32 {
        if let place = rulePlaces[name] { return place }
        let place = Int32(ruleNames.count)
        ruleNames.append(name)
        rulePlaces[name] = place
        return place
    }
}
