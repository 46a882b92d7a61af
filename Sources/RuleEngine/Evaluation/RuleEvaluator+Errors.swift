internal import CEL
internal import ChangeEvents
internal import Core

extension RuleEvaluator {
    /// Counts a third outcome, keeps it for the evaluation log, and says what it comes to under `on_error`.
    mutating func thirdOutcome(
        _ error: EvaluationError, field: String, _ rule: Int, _ onError: Rule.OnError, _ event: ChangeEvent,
        _ frame: borrowing EvaluationFrame, _ batch: ChangeBatch, _ output: inout EvaluationOutput
    ) -> Verdict {
        // An insert has no row before it, a delete none after it: nothing to report, and no reason to fire.
        if event.kind != .update, case .unknownValue(let column) = error.kind {
            let lacksBefore = frame.spaces.0 == nil && (column.hasPrefix("before") || column == "changed")
            if lacksBefore || (frame.spaces.1 == nil && column.hasPrefix("after")) {
                states[rule].counters.withoutBefore += 1
                return .unknown
            }
        }
        report(error, field: field, rule, event, batch, &output)
        switch onError {
        case .report: return .unknown
        case .false: return .no
        case .fire: return .yes
        }
    }

    /// Most reasons of one rule that one call tells apart; errors with further reasons count with the last.
    private static let reasonsMax = 8

    /// Adds an error to the report of its rule and reason; counts are exact, reports bounded.
    mutating func report(
        _ error: EvaluationError, field: String, _ rule: Int, _ event: ChangeEvent, _ batch: ChangeBatch,
        _ output: inout EvaluationOutput
    ) {
        states[rule].counters.errors += 1
        if let known = states[rule].reasons.first(where: { $0.error == error.kind && $0.field == field }) {
            output.count(reportAt: known.place)
            return
        }
        if states[rule].reasons.count >= RuleEvaluator.reasonsMax, let last = states[rule].reasons.last {
            output.count(reportAt: last.place)
            return
        }
        let report = EvaluationReport(
            rule: rules.rules[rule].name, table: rules.rules[rule].table, field: field, reason: error.message,
            position: error.position, count: 1, sampleRowKey: batch.rowKey(of: event),
            sampleCause: position(of: event, batch), at: event.commitTime)
        guard let place = output.add(report) else { return }
        states[rule].reasons.append((error.kind, field, place))
    }

    mutating func countUnknownKey(_ set: Int) {
        for index in keySets[set].rules { states[Int(hot[index].rule)].counters.keyUnknown += 1 }
    }

    /// Where an event was read; an event that waited for its pair has lost its message.
    func position(of event: ChangeEvent, _ batch: ChangeBatch) -> EventPosition {
        let index = Int(event.partitionIndex)
        if let raw = batch.raw, raw.partitions.indices.contains(index) {
            let partition = raw.partitions[index]
            return EventPosition(
                topic: partition.topic, partition: partition.partition, offset: event.offset, version: event.version)
        }
        return EventPosition(
            topic: tables[Int(event.table)].name, partition: -1, offset: event.offset, version: event.version)
    }
}

extension EvaluationOutput {
    /// Adds a report; nil where it does not fit.
    fileprivate mutating func add(_ report: EvaluationReport) -> Int? {
        guard errors.count < EvaluationOutput.reportsMax else {
            reportsDropped += 1
            return nil
        }
        errors.append(report)
        return errors.count - 1
    }

    fileprivate mutating func count(reportAt place: Int) {
        if errors.indices.contains(place) { errors[place].count += 1 }
    }
}
