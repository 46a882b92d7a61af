public import Core

/// What operators ask of the engine.
public enum EngineCommand: Sendable {
    /// Somebody takes care of an alert; nil: until it is over.
    case acknowledge(Fingerprint, by: String, comment: String, until: Timestamp?)
    case unacknowledge(Fingerprint, by: String)
    /// A new silence, or one of that id as it is from now on.
    case putSilence(Silence)
    case expireSilence(id: String)
}

/// What a command came to.
public enum EngineReply: Sendable, Equatable {
    case done
    case silence(id: String)
    /// Nothing changed; why, in words for whoever asked.
    case refused(String)
}

extension AlertingEngine {
    /// Carries out a command.
    public mutating func perform(
        _ command: EngineCommand, alerts pool: any AlertPool, now: Timestamp
    ) -> (output: EngineOutput, reply: EngineReply) {
        var work = EngineWork(pool: pool, now: begin(now), isBootstrap: false)
        let reply: EngineReply
        switch command {
        case .acknowledge(let fingerprint, let by, let comment, let until):
            reply = acknowledge(
                fingerprint, Acknowledgement(by: by, comment: comment, at: work.now, until: until), &work)
        case .unacknowledge(let fingerprint, let by): reply = unacknowledge(fingerprint, by: by, &work)
        case .putSilence(let silence): reply = put(silence, &work)
        case .expireSilence(let id):
            if case .file(let position) = silences.silences[id]?.source {
                reply = .refused("silence \(id) stands in \(position.file); end it there")
            } else if let ended = silences.expire(id: id, at: work.now) {
                store(ended, &work)
                work.areHoldsChanged = true
                reply = .silence(id: id)
            } else {
                reply = .refused(
                    silences.silences[id] == nil ? "there is no silence \(id)" : "silence \(id) is over already")
            }
        }
        settleSuppression(&work)
        runDue(&work)
        return (finish(&work), reply)
    }

    // MARK: - Silences

    private mutating func put(_ silence: Silence, _ work: inout EngineWork) -> EngineReply {
        let openCount = silences.silences.values.count { $0.id != silence.id && $0.state(at: work.now) != .expired }
        if let refusal = configuration.policy.silenceLimits.refusal(
            of: silence, at: work.now, openCount: openCount)
        {
            return .refused(refusal)
        }
        if let old = silences.silences[silence.id], case .file(let position) = old.source {
            return .refused("silence \(silence.id) stands in \(position.file); edit it there")
        }
        silences.put(silence)
        store(silence, &work)
        work.areHoldsChanged = true
        return .silence(id: silence.id)
    }

    // MARK: - Acknowledgements

    private mutating func acknowledge(
        _ fingerprint: Fingerprint, _ acknowledgement: Acknowledgement, _ work: inout EngineWork
    ) -> EngineReply {
        guard let slot = slots[fingerprint] else { return .refused("no firing alert has this fingerprint") }
        if let until = acknowledgement.until, until <= work.now {
            return .refused("an acknowledgement must not be over when it is made")
        }
        var status = statuses[slot] ?? AlertStatus(episode: entries[Int(slot)].episode)
        status.acknowledgement = acknowledgement
        statuses[slot] = status
        entries[Int(slot)].flags.insert(.isAcknowledged)
        if let until = acknowledgement.until { push(.acknowledgement, slot, until) }
        work.statusChanged.insert(slot)
        note(slot, decision: "acknowledged", detail: "by \(acknowledgement.by)", lane: nil, &work)
        return .done
    }

    private mutating func unacknowledge(
        _ fingerprint: Fingerprint, by: String, _ work: inout EngineWork
    ) -> EngineReply {
        guard let slot = slots[fingerprint], statuses[slot]?.acknowledgement != nil else {
            return .refused("this alert is not acknowledged")
        }
        dropAcknowledgement(slot, &work)
        note(slot, decision: "unacknowledged", detail: "by \(by)", lane: nil, &work)
        return .done
    }

    /// Counts escalations anew that an acknowledgement held back.
    private mutating func dropAcknowledgement(_ slot: Int32, _ work: inout EngineWork) {
        entries[Int(slot)].flags.remove(.isAcknowledged)
        statuses[slot]?.acknowledgement = nil
        work.statusChanged.insert(slot)
        for index in statuses[slot]?.escalations.indices ?? 0..<0 {
            guard let escalation = statuses[slot]?.escalations[index], !escalation.isDone,
                escalation.dueAt == .distantFuture
            else { continue }
            let due = work.now.adding(escalation.after)
            statuses[slot]?.escalations[index].dueAt = due
            push(.escalation, slot, due)
        }
    }

    mutating func push(_ kind: DueEntry.Kind, _ slot: Int32, _ time: Timestamp) {
        queue.push(
            DueEntry(time: time, kind: kind, id: slot, order: entries[Int(slot)].fingerprint.words.0))
    }

    /// The acknowledgement is over and the alert is not: whoever was told is reminded.
    mutating func endAcknowledgement(_ slot: Int32, _ work: inout EngineWork) {
        dropAcknowledgement(slot, &work)
        note(slot, decision: "unacknowledged", detail: "the acknowledgement is over", lane: nil, &work)
        guard !entries[Int(slot)].flags.contains(.isSuppressed), let alert = work.pool.alert(at: place(slot: slot))
        else { return }
        for (index, lane) in entries[Int(slot)].lanes.enumerated() where lane.isTold {
            guard let group = groups[Int(lane.group)], group.name.kind != .digest else { continue }
            if configuration.policy.muteTimes.active(among: settings(of: group).muteTimes, at: work.now) != nil {
                entries[Int(slot)].lanes[index].flags.insert(.wasSuppressed)
                enqueue(slot, index, .now, &work)
            } else {
                let item = PlannedMessage.Item(alert: alert, news: .open, cause: "the acknowledgement is over")
                emit(lane.group, [item], .reminder, &work)
            }
        }
    }

    // MARK: - Escalations

    /// Notes who is told later, when somebody was told of an alert for the first time.
    mutating func planEscalations(_ slot: Int32, _ group: AlertGroup, _ work: inout EngineWork) {
        let settings = settings(of: group)
        guard !settings.escalations.isEmpty, statuses[slot]?.escalations.isEmpty ?? true else { return }
        var status = statuses[slot] ?? AlertStatus(episode: entries[Int(slot)].episode)
        for escalation in settings.escalations {
            let due = work.now.adding(escalation.after)
            status.escalations.append(
                AlertStatus.PendingEscalation(
                    dueAt: due, unless: escalation.unless, notify: escalation.notify, after: escalation.after,
                    routePath: path(of: group), isDone: false))
            push(.escalation, slot, due)
        }
        statuses[slot] = status
        work.statusChanged.insert(slot)
    }

    /// Tells further people of an alert that goes on.
    mutating func escalate(_ slot: Int32, _ work: inout EngineWork) {
        guard let status = statuses[slot], let alert = work.pool.alert(at: place(slot: slot)) else { return }
        let subject = AlertSubject(alert)
        for (index, escalation) in status.escalations.enumerated()
        where !escalation.isDone && escalation.dueAt <= work.now {
            work.statusChanged.insert(slot)
            if escalation.unless == .acknowledged, status.acknowledgement != nil {
                statuses[slot]?.escalations[index].dueAt = .distantFuture
                note(slot, decision: "suppressed", detail: "escalation: acknowledged", lane: nil, &work)
                continue
            }
            if status.isSuppressed {
                let due = work.now.adding(max(escalation.after, .seconds(60)))
                statuses[slot]?.escalations[index].dueAt = due
                push(.escalation, slot, due)
                continue
            }
            statuses[slot]?.escalations[index].isDone = true
            tell(slot, alert, subject, escalation, &work)
        }
    }

    private mutating func tell(
        _ slot: Int32, _ alert: Alert, _ subject: AlertSubject, _ escalation: AlertStatus.PendingEscalation,
        _ work: inout EngineWork
    ) {
        var settings = GroupSettings.standard
        settings.wait = .zero
        let step = "escalation after \(DurationText.format(escalation.after))"
        for receiver in escalation.notify {
            guard let profile = configuration.profiles[receiver] else { continue }
            let route = routeIndex(
                RouteMatch(receiver: receiver, path: escalation.routePath + [step], settings: settings))
            for recipient in profile.resolve(recipient: nil, isRecipientExpected: false).addresses {
                let address = Address(receiver: receiver, recipient: recipient)
                let name = groupName(alert, subject, address, settings, profile)
                if lane(slot, at: address) == nil {
                    join(slot, Target(name: name, route: route), [], &work)
                    work.touched.insert(slot)
                }
                guard let index = lane(slot, at: address) else { continue }
                entries[Int(slot)].lanes[index].flags.insert(.isEscalation)
                enqueue(slot, index, .now, &work)
            }
        }
    }
}
