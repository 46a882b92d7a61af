// HOT
internal import Core

extension ChangeDecoder {
    /// Reads what the form's own members say; nil for a message that is known to be no event, which is counted.
    func facts(
        _ context: ObjectContext, _ shape: EventShape, _ batch: ChangeBatch
    ) throws(JSONFailure) -> ChangeFacts? {
        switch shape.form.body {
        case .cdf: try cdfFacts(shape, batch.arena)
        case .debezium: try debeziumFacts(context, shape, batch)
        case .images: try imagesFacts(context, shape, batch.arena)
        case .flat: try flatFacts(context, shape, batch.arena)
        case .deltaflow: try deltaflowFacts(context, shape, batch.arena)
        case .plain: try plainFacts(context, shape, batch)
        }
    }

    private func cdfFacts(_ shape: EventShape, _ arena: RowArena) throws(JSONFailure) -> ChangeFacts {
        let operation = meta(shape, .operation)
        guard operation.kind == .string else { throw failure("_change_type is no string") }
        guard let version = integer(meta(shape, .position), arena) else {
            throw failure("_commit_version is missing or no integer")
        }
        let text = operation.text(in: arena)
        var facts = ChangeFacts(
            kind: .update, version: version, time: time(meta(shape, .time), arena), before: nil, after: 0)
        switch text.count {
        case 6 where text.equals("insert"): facts.kind = .insert
        case 6 where text.equals("delete"):
            facts.kind = .delete
            (facts.before, facts.after) = (0, nil)
        case 16 where text.equals("update_postimage"): break
        case 15 where text.equals("update_preimage"):
            facts.kind = .preimage
            (facts.before, facts.after) = (0, nil)
        default:
            throw failure(
                "an unknown _change_type; expected insert, update_preimage, update_postimage or delete")
        }
        return facts
    }

    private func debeziumFacts(
        _ context: ObjectContext, _ shape: EventShape, _ batch: ChangeBatch
    ) throws(JSONFailure) -> ChangeFacts? {
        guard let operation = text(meta(shape, .operation), batch.arena) else { throw failure("op is no string") }
        let hasBefore = meta(shape, .firstRow).kind == .uint
        let hasAfter = meta(shape, .secondRow).kind == .uint
        var facts = ChangeFacts(
            kind: .update, version: debeziumPosition(context, shape, batch.arena),
            time: time(meta(shape, .time), batch.arena), before: hasBefore ? 0 : nil, after: 1,
            beforeMayBeKeyOnly: true)
        switch operation {
        case "c": facts.kind = .insert
        case "r": facts.kind = .snapshot
        case "u": break
        case "d":
            facts.kind = .delete
            facts.after = nil
            return facts
        case "t":
            batch.skipped.truncates += 1
            return nil
        case "m":
            batch.skipped.logicalMessages += 1
            return nil
        default: throw failure("an unknown op; expected c, u, d, r, t or m")
        }
        guard hasAfter else { throw failure("op '\(operation)' without 'after'") }
        return facts
    }

    /// PostgreSQL's LSN, else MySQL's binlog position, else the offset.
    private func debeziumPosition(_ context: ObjectContext, _ shape: EventShape, _ arena: RowArena) -> Int64 {
        if let lsn = integer(meta(shape, .position), arena) { return lsn }
        if let position = integer(meta(shape, .filePosition), arena), position >= 0, position < 1 << 40,
            let file = text(meta(shape, .file), arena), let dot = file.lastIndex(of: "."),
            let number = Int64(file[file.index(after: dot)...]), number >= 0, number < 1 << 22
        {
            return number << 40 | position
        }
        return context.message.offset
    }

    private func imagesFacts(
        _ context: ObjectContext, _ shape: EventShape, _ arena: RowArena
    ) throws(JSONFailure) -> ChangeFacts {
        let hasBefore = meta(shape, .firstRow).kind == .uint
        let hasAfter = meta(shape, .secondRow).kind == .uint
        let operation =
            context.cloudHeaders?.operation ?? text(meta(shape, .cloudOperation), arena)
            ?? text(meta(shape, .operation), arena)
        let kind =
            ChangeDecoder.kind(word: operation ?? cloudWord(context, shape, arena) ?? "")
            ?? (hasAfter ? (hasBefore ? .update : .insert) : .delete)
        guard hasAfter || (kind == .delete) else { throw failure("neither a delete nor a row after the change") }
        return ChangeFacts(
            kind: kind == .upsert ? (hasBefore ? .update : .insert) : kind,
            version: cloudPosition(context, shape, arena),
            time: cloudTime(context, shape, arena), before: hasBefore && kind != .insert ? 0 : nil,
            after: kind == .delete ? nil : 1, beforeMayBeKeyOnly: shape.conventions.isDebezium)
    }

    private func flatFacts(
        _ context: ObjectContext, _ shape: EventShape, _ arena: RowArena
    ) throws(JSONFailure) -> ChangeFacts {
        let deleted = meta(shape, .deleted)
        let operation = text(meta(shape, .operation), arena)
        let isDeleted =
            operation == "d" || text(deleted, arena) == "true" || (deleted.kind == .bool && deleted.boolValue)
        let kind: ChangeEvent.Kind
        if isDeleted {
            kind = .delete
        } else if let operation {
            guard let known = ChangeDecoder.kind(word: operation) else {
                throw failure("an unknown __op; expected c, u, d or r")
            }
            kind = known
        } else {
            kind = .upsert
        }
        return ChangeFacts(
            kind: kind, version: context.message.offset, time: time(meta(shape, .time), arena),
            before: isDeleted ? 0 : nil, after: isDeleted ? nil : 0, beforeMayBeKeyOnly: true)
    }

    private func deltaflowFacts(
        _ context: ObjectContext, _ shape: EventShape, _ arena: RowArena
    ) throws(JSONFailure) -> ChangeFacts {
        var facts = ChangeFacts(
            kind: .update, version: context.message.offset, time: time(meta(shape, .time), arena), before: nil,
            after: 0)
        switch text(meta(shape, .operation), arena) {
        case "Insert": facts.kind = .insert
        case "Post_Update": break
        case "Delete":
            facts.kind = .delete
            (facts.before, facts.after) = (0, nil)
        case "Pre_Update":
            // There is no version: the preimage belongs to the postimage that follows it.
            facts.kind = .preimage
            facts.version += 1
            (facts.before, facts.after) = (0, nil)
        default: throw failure("an unknown __dbz_operation; expected Insert, Delete, Pre_Update or Post_Update")
        }
        return facts
    }

    private func plainFacts(
        _ context: ObjectContext, _ shape: EventShape, _ batch: ChangeBatch
    ) throws(JSONFailure) -> ChangeFacts {
        var kind = ChangeEvent.Kind.upsert
        if let word = text(meta(shape, .operation), batch.arena) {
            guard let known = ChangeDecoder.kind(word: word) else {
                throw failure("the operation column holds no known operation")
            }
            kind = known
        } else if let known = cloudWord(context, shape, batch.arena).flatMap(ChangeDecoder.kind(word:)) {
            kind = known
        }
        let isDelete = kind == .delete
        return ChangeFacts(
            kind: kind, version: cloudPosition(context, shape, batch.arena),
            time: cloudTime(context, shape, batch.arena), before: isDelete ? 0 : nil, after: isDelete ? nil : 0)
    }

    /// What a word or letter says happened to the row; nil for any other word.
    static func kind(word: String) -> ChangeEvent.Kind? {
        switch word.lowercased() {
        case "c", "i", "insert", "inserted", "create", "created", "ins": .insert
        case "u", "update", "updated", "upd", "changed": .update
        case "d", "delete", "deleted", "del", "removed": .delete
        case "r", "read", "snapshot": .snapshot
        case "upsert", "upserted", "merge": .upsert
        default: nil
        }
    }

    // MARK: - Parts

    func meta(_ shape: EventShape, _ slot: MetaSlot) -> SlotValue { parser.slots[shape.meta(slot)] }

    func text(_ slot: SlotValue, _ arena: RowArena) -> String? {
        slot.kind == .string ? String(decoding: slot.text(in: arena), as: UTF8.self) : nil
    }

    /// An integer, also one written as a string.
    private func integer(_ slot: SlotValue, _ arena: RowArena) -> Int64? {
        if slot.kind == .int { return slot.intValue }
        return text(slot, arena).flatMap { Int64($0) }
    }

    /// A time: RFC 3339 text, or a number whose unit its magnitude tells.
    private func time(_ slot: SlotValue, _ arena: RowArena) -> Timestamp? {
        switch slot.kind {
        case .string: Timestamp.parse(slot.text(in: arena))
        case .int: RowConverter.time(slot.intValue, .detect)
        default: nil
        }
    }

    /// The last dotted part of a CloudEvent's type: `created`, `updated`, `deleted`.
    private func cloudWord(_ context: ObjectContext, _ shape: EventShape, _ arena: RowArena) -> String? {
        let type = context.cloudHeaders?.type ?? text(meta(shape, .eventType), arena)
        return type?.split(separator: ".").last.map(String.init)
    }

    /// The position column, the LSN of Debezium's converter, the sequence; else the offset.
    private func cloudPosition(_ context: ObjectContext, _ shape: EventShape, _ arena: RowArena) -> Int64 {
        if let version = integer(meta(shape, .position), arena) { return version }
        let lsn = context.cloudHeaders?.position ?? text(meta(shape, .cloudPosition), arena)
        if let position = lsn.flatMap({ Int64($0) }) ?? integer(meta(shape, .cloudPosition), arena) { return position }
        let sequence = context.cloudHeaders?.sequence ?? text(meta(shape, .eventSequence), arena)
        return sequence.flatMap { Int64($0) } ?? context.message.offset
    }

    private func cloudTime(_ context: ObjectContext, _ shape: EventShape, _ arena: RowArena) -> Timestamp? {
        if let text = context.cloudHeaders?.time { return Timestamp.parse(text) }
        return time(meta(shape, .time), arena)
    }
}
