internal import Core

extension ChangeDecoder {
    /// Reads the row key's columns from a message key, plain or with Connect's schema.
    static func keyPlan(_ declaration: TableDeclaration) -> JSONPlan? {
        guard !declaration.rowKey.isEmpty, let plan = JSONPlan() else { return nil }
        let count = declaration.rowKey.count
        for (index, path) in declaration.rowKey.enumerated() {
            let members = EventShape.members(of: path, in: declaration)
            plan.want(members, slot: index)
            plan.want(["payload"] + members, slot: count + index)
        }
        return plan
    }

    /// A message without a value: a delete where nothing else says so, else what log compaction keeps.
    mutating func decodeTombstone(
        _ message: RawMessage, at index: Int, _ topic: Int, _ raw: RawBatch, _ batch: ChangeBatch
    ) throws(JSONFailure) {
        guard !topics[topic].tables.isEmpty else { throw failure("no table is declared for this topic") }
        if topics[topic].format == nil { searchFormat(of: topic, from: index, raw, batch) }
        guard let format = topics[topic].format else {
            throw failure("a tombstone before the topic's format is known; declare its 'format'")
        }
        switch format {
        case .plain, .debeziumFlat: break
        case .detect, .cdf, .debezium, .cloudevents, .deltaflow:
            batch.skipped.tombstones += 1
            return
        }
        guard topics[topic].tables.count == 1 else {
            throw failure("a tombstone on a topic that carries several tables")
        }
        let table = topics[topic].tables[0]
        let (time, isAhead) = commitTime(nil, message)
        var event = ChangeEvent(
            table: Int32(table), kind: .delete, messageIndex: Int32(index), ordinal: 0,
            epoch: catalog.tables[table].declaration.epoch, version: message.offset,
            commitTime: time, partitionIndex: message.partitionIndex, offset: message.offset)
        if isAhead {
            event.flags.insert(.timeAhead)
            batch.timeAheadCount += 1
        }
        try appendKeyOnlyDelete(event, message, table, batch)
    }

    /// Finds the format of a topic from the messages that follow in the batch.
    private mutating func searchFormat(of topic: Int, from index: Int, _ raw: RawBatch, _ batch: ChangeBatch) {
        guard topics[topic].searchedBatch != batchNumber else { return }
        topics[topic].searchedBatch = batchNumber
        for message in raw.messages[index...] {
            guard partitionTopics[Int(message.partitionIndex)] == topic, let value = message.value,
                parser.begin(value) == 0,
                parser.next(detection.plan, byteCount: value.count, arena: batch.arena) == 1
            else { continue }
            let isBinary = cloudHeaders(message, topic, raw) != nil
            if case .event(let form) = detection.recognise(parser.slots, batch.arena, isBinaryCloudEvent: isBinary) {
                topics[topic].form = form
                if topics[topic].tables.count == 1 { topics[topic].shape = shape(topics[topic].tables[0], form) }
                return
            }
        }
    }

    /// Appends a delete of which only the key is known: all other columns of `before` are unknown.
    mutating func appendKeyOnlyDelete(
        _ draft: ChangeEvent, _ message: RawMessage, _ table: Int, _ batch: ChangeBatch
    ) throws(JSONFailure) {
        var event = draft
        let layout = catalog.tables[table].layout
        var image = ContiguousArray(repeating: SlotValue.unknown, count: layout.count)
        event.rowKeyText = try image.withUnsafeMutableBufferPointer { buffer throws(JSONFailure) in
            try keyText(message, buffer.baseAddress, table, batch)
        }
        event.rowKeyHash = hash(event.rowKeyText, batch.arena)
        if !layout.rowKeySlots.isEmpty {
            event.beforeSlot = Int32(slots.count)
            slots.append(contentsOf: image)
        }
        events.append(event)
    }

    /// The row key from the message key; its columns are also written to `image` where the row lacks them.
    func keyText(
        _ message: RawMessage, _ image: UnsafeMutablePointer<SlotValue>?, _ table: Int, _ batch: ChangeBatch
    ) throws(JSONFailure) -> (offset: UInt32, count: UInt32) {
        let keySlots = catalog.tables[table].layout.rowKeySlots
        guard let key = message.key, key.count > 0 else {
            throw failure(
                keySlots.isEmpty
                    ? "the message has no key and the table declares no row_key"
                    : "the row lacks a column of its row key and the message has no key")
        }
        guard !keySlots.isEmpty else { return (batch.arena.append(key), UInt32(key.count)) }
        guard var values = keyValues(key, table, batch.arena) else {
            throw failure("the row lacks a column of its row key and the message key does not hold it")
        }
        let keyRules = ContiguousArray(keySlots.map { rules[table][$0] })
        let text = values.withUnsafeMutableBufferPointer { buffer -> (offset: UInt32, count: UInt32)? in
            guard let base = buffer.baseAddress else { return nil }
            RowConverter(arena: batch.arena)
                .convert(base, keyRules, RowConventions(missingIsNull: true, isDebezium: false))
            for (position, slot) in keySlots.enumerated() { image?[slot] = base[position] }
            return RowKeyText.make(base, Array(0..<keySlots.count), batch.arena)
        }
        guard let text else { throw failure("a column of the row key is null in the message key") }
        return text
    }

    /// The values of the row key's columns in a message key: a JSON object, a JSON string, or plain text.
    private func keyValues(_ key: UnsafeRawBufferPointer, _ table: Int, _ arena: RowArena) -> ContiguousArray<
        SlotValue
    >? {
        let count = catalog.tables[table].layout.rowKeySlots.count
        if key.first == UInt8(ascii: "{"), let plan = keyPlans[table], inner.begin(key) == 0,
            inner.next(plan, byteCount: key.count, arena: arena) == 1
        {
            for start in [0, count] where inner.slots[start].kind != .missing {
                return ContiguousArray(UnsafeBufferPointer(start: inner.slots + start, count: count))
            }
            return nil
        }
        guard var text = String(validating: key, as: UTF8.self), key.first != 0 else { return nil }
        if text.hasPrefix("\""), let parsed = try? JSON.parse(text), let string = parsed.stringValue { text = string }
        // `concat_ws('|', a, b)` is how composite keys are commonly written.
        let parts = count == 1 ? [Substring(text)] : text.split(separator: "|", omittingEmptySubsequences: false)
        guard parts.count == count else { return nil }
        return ContiguousArray(
            parts.map { part in
                var copy = String(part)
                let offset = copy.withUTF8 { arena.append(UnsafeRawBufferPointer($0)) }
                return SlotValue(kind: .string, textOffset: offset, bits: UInt64(part.utf8.count))
            })
    }
}
