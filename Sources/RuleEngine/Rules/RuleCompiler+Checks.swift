internal import ChangeEvents
internal import ConfigFiles
internal import Core

extension RuleCompiler {
    /// Fields that exclude each other or mean nothing without another.
    func checkContradictions(_ draft: RuleDraft) {
        let mapping = draft.mapping
        if draft.deadline != nil {
            checkDeadline(draft)
        } else {
            for key in ["until", "warn_before"] where mapping.has(key) {
                mapping.report(
                    RuleCode.contradiction, "'\(key)' has a meaning only beside 'deadline'", atKey: key,
                    help: "add 'deadline', or remove '\(key)'")
            }
            if draft.levels != nil {
                for key in ["when", "reset"] where mapping.has(key) {
                    mapping.report(
                        RuleCode.contradiction, "'\(key)' may not stand beside levels in 'severity'", atKey: key,
                        help: "move it into a level")
                }
                if draft.levels?.isEmpty == true, mapping.node?["severity"]?.entries?.isEmpty ?? true {
                    mapping.report(RuleCode.noCondition, "'severity' must have at least one level", at: "severity")
                }
            } else if !mapping.has("when") {
                checkMissingCondition(draft)
            }
        }
        if draft.kind == .event { checkEvent(draft, code: RuleCode.eventWithState, why: "'kind: event' has no state") }
        if draft.across == .any, Set(draft.key.map(\.value)) == Set(scope.declaration.rowKey) || draft.key.isEmpty {
            mapping.report(
                RuleCode.contradiction, "'across: any' needs a key that several rows share; the key is the row key",
                at: "across", help: "name a 'key' that several rows share, or remove 'across'")
        }
    }

    private func checkMissingCondition(_ draft: RuleDraft) {
        let mapping = draft.mapping
        if mapping.has("reset") {
            mapping.report(
                RuleCode.contradiction, "'reset' has a meaning only beside 'when'", atKey: "reset", help: "add 'when'")
        } else if let name = draft.name, !RuleDraft.later.contains(where: mapping.has) {
            reader.report(
                RuleCode.noCondition, "a rule needs 'when', levels in 'severity', or 'deadline'", at: name.node,
                help: "add a condition such as when: after.quantity < 10")
        }
    }

    private func checkDeadline(_ draft: RuleDraft) {
        let mapping = draft.mapping
        for key in ["when", "reset", "for"] where mapping.has(key) {
            mapping.report(
                RuleCode.contradiction, "'\(key)' may not stand beside 'deadline'", atKey: key,
                help: key == "when" ? "rows that need no deadline belong into 'until'" : "remove '\(key)'")
        }
        if draft.levels != nil {
            mapping.report(
                RuleCode.contradiction, "a rule with 'deadline' has one severity; found levels", at: "severity",
                help: "write severity: error; 'warn_before' raises warning before it")
        }
        if draft.across == .any {
            mapping.report(
                RuleCode.contradiction, "'across: any' may not stand beside 'deadline'", at: "across",
                help: "key the rule by the row, so that each row has its own deadline")
        }
        if draft.kind != .event, mapping.has("warn_before"), let severity = draft.severity, severity <= .warning {
            mapping.report(
                RuleCode.contradiction,
                "'warn_before' raises warning before 'severity'; found severity '\(severity)', which is no higher",
                at: "severity", help: "write severity: error, or remove 'warn_before'")
        }
        if let warn = draft.warnBefore, warn == .zero {
            mapping.report(
                RuleCode.contradiction, "'warn_before' must be longer than nothing; found '0s'", at: "warn_before",
                help: "remove it")
        }
    }

    /// What needs a state and stands in a rule that has none.
    private func checkEvent(_ draft: RuleDraft, code: String, why: String) {
        var keys = ["for", "deadline", "reset", "hold", "across"]
        if code == RuleCode.transitionWithState { keys.removeAll { $0 == "deadline" } }
        for key in keys where draft.mapping.has(key) {
            let isTransition = code == RuleCode.transitionWithState
            draft.mapping.report(
                code, "\(why), so '\(key)' has no meaning", atKey: key,
                help: isTransition
                    ? "add 'reset' to give it a state, or remove '\(key)'" : "remove '\(key)', or remove 'kind: event'")
        }
        if let levels = draft.levels, code == RuleCode.eventWithState {
            for level in levels {
                guard let reset = level.reset else { continue }
                reader.report(
                    code, "\(why), so 'reset' has no meaning", at: reset.node, help: "remove it, or 'kind: event'")
            }
        }
    }

    /// Decides between alert and event, and takes the times.
    func policy(_ draft: RuleDraft, reads: Reads) -> LevelPolicy {
        let severities = draft.levels?.map(\.severity) ?? [draft.severity ?? .warning]
        var policy = LevelPolicy(kind: .levels, levels: severities)
        if draft.deadline != nil {
            policy.kind = .deadline
            policy.dueSeverity = draft.severity ?? .error
            policy.levels = 0
        } else if draft.kind == .event {
            policy.kind = .event
        } else if reads.before || reads.changed {
            policy.kind = transitionKind(draft)
        }
        policy.across = draft.across == .any ? .any : .latest
        policy.forMilliseconds = draft.for?.wholeMilliseconds ?? 0
        policy.holdMilliseconds = (draft.hold ?? scope.declaration.deleteHold).wholeMilliseconds
        policy.warnMilliseconds = draft.warnBefore?.wholeMilliseconds ?? 0
        return policy
    }

    /// A rule that reads the row before is about a change: an event, unless every level says how it ends.
    private func transitionKind(_ draft: RuleDraft) -> LevelPolicy.Kind {
        let why = "a rule that reads 'before' or 'changed' is 'kind: event'"
        let resets = draft.levels?.map { $0.reset != nil } ?? [draft.mapping.has("reset")]
        if resets.allSatisfy({ $0 }) { return .levels }
        if draft.kind == .alert {
            draft.mapping.report(
                RuleCode.transitionWithState, "\(why) unless it has 'reset'; found 'kind: alert'", at: "kind",
                help: "add 'reset', or write kind: event")
        } else if resets.contains(true) {
            for level in draft.levels ?? [] where level.reset == nil {
                reader.report(
                    Diagnostic(
                        code: RuleCode.transitionWithState,
                        message: "\(why) unless each level has 'reset'; '\(level.severity)' has none",
                        position: level.position, length: level.severity.description.count, help: "add 'reset'"))
            }
        } else {
            checkEvent(draft, code: RuleCode.transitionWithState, why: why)
        }
        return .event
    }

    /// Levels and resets that can be compared because they are limits of one column.
    func checkLimits(_ levels: [RuleDraft.Level]) {
        let limits = levels.map { ($0, $0.when.flatMap { LimitComparison($0.value) }) }
        for (index, (level, limit)) in limits.enumerated() {
            guard let limit, let when = level.when else { continue }
            for (higher, other) in limits.dropFirst(index + 1) where other?.covers(limit) ?? false {
                reader.report(
                    Diagnostic(
                        code: RuleCode.unreachableLevel,
                        message:
                            "level '\(level.severity)' is never raised: '\(higher.severity)' holds whenever it does",
                        position: when.position, length: when.length,
                        help: "give '\(higher.severity)' the stricter limit",
                        notes: higher.when.map {
                            [.init(position: $0.position, message: "the condition of '\(higher.severity)'")]
                        } ?? []))
                break
            }
            guard let reset = level.reset, let resetLimit = LimitComparison(reset.value), resetLimit.overlaps(limit)
            else { continue }
            reader.report(
                RuleCode.resetOverlapsWhen,
                "'reset' must not hold while 'when' does; found '\(reset.value)' beside '\(when.value)'",
                at: reset.node, help: "hysteresis: reset \(limit.isAbove ? "below" : "above") the limit of 'when'")
        }
    }

    func checkReceivers(_ draft: RuleDraft) {
        guard let known = options.receivers else { return }
        for receiver in draft.notify where !known.contains(receiver.value) {
            let nearest = Spelling.nearest(to: receiver.value, among: known)
            reader.report(
                RuleCode.unknownReceiver, "'notify' must name receivers; found '\(receiver.value)'", at: receiver.node,
                help: nearest.map { "did you mean '\($0)'?" }
                    ?? (known.isEmpty ? nil : "the receivers are " + known.sorted().joined(separator: ", ")))
        }
    }

    mutating func addToHash(_ draft: RuleDraft, key: [String]) {
        hash.add("name", draft.name?.value)
        hash.add("table", scope.declaration.name)
        for column in key { hash.add("key", column) }
        hash.add("kind", draft.kind?.rawValue)
        hash.add("for", draft.for.map(DurationText.format))
        hash.add("deadline", expression: draft.deadline?.value)
        hash.add("until", expression: draft.until?.value)
        hash.add("warn_before", draft.warnBefore.map(DurationText.format))
        hash.add("severity", draft.severity?.description)
        hash.add("across", draft.across?.rawValue)
        hash.add("late", draft.late?.rawValue)
        hash.add("hold", draft.hold.map(DurationText.format))
        hash.add("on_error", draft.onError.rawValue)
        hash.add("alerts_max", String(draft.alertsMax))
    }
}
