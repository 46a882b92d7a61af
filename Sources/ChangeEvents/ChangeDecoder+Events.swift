// HOT
internal import Core

/// What an object says about its change, before images and key are taken from it.
struct ChangeFacts {
    var kind: ChangeEvent.Kind
    var version: Int64
    var time: Timestamp?
    /// Which extracted image is the row before and after; nil for none.
    var before: Int?
    var after: Int?
    /// Whether `before` may hold the key only, with nulls for what the source did not log.
    var beforeMayBeKeyOnly = false
}

extension ChangeDecoder {
    /// Makes the event, or the two events of a changed key, of the object just extracted.
    mutating func emit(
        _ context: ObjectContext, _ shape: EventShape, table: Int, _ batch: ChangeBatch
    ) throws(JSONFailure) {
        guard let facts = try facts(context, shape, batch) else { return }
        let columnRules = columnRules(shape, table, context, batch)
        convert(facts.before, shape, columnRules, batch.arena)
        convert(facts.after, shape, columnRules, batch.arena)
        if facts.beforeMayBeKeyOnly, let before = facts.before { blurKeyOnly(before, shape, table) }
        let (time, isAhead) = commitTime(facts.time, context.message)
        var event = ChangeEvent(
            table: Int32(table), kind: facts.kind, messageIndex: context.messageIndex, ordinal: context.ordinal,
            epoch: traits[table].epoch, version: facts.version,
            commitTime: time, partitionIndex: context.message.partitionIndex, offset: context.message.offset)
        if isAhead {
            event.flags.insert(.timeAhead)
            batch.timeAheadCount += 1
        }
        event.eventTime = event.commitTime
        if shape.form.body == .cdf || shape.form.body == .deltaflow { event.flags.insert(.half) }
        try finish(event, facts, context, shape, table, batch)
    }

    private mutating func finish(
        _ draft: ChangeEvent, _ facts: ChangeFacts, _ context: ObjectContext, _ shape: EventShape, _ table: Int,
        _ batch: ChangeBatch
    ) throws(JSONFailure) {
        var event = draft
        let count = shape.columnCount
        let trait = traits[table]
        guard let main = facts.after ?? facts.before else {
            // Only a delete comes without an image: the message key says which row.
            return try appendKeyOnlyDelete(event, context.message, table, batch)
        }
        let image = parser.slots + main * count
        if trait.keySlot >= 0, image[Int(trait.keySlot)].kind == .string {
            let slot = image[Int(trait.keySlot)]
            event.rowKeyText = (slot.textOffset, UInt32(slot.bits))
        } else if trait.hasRowKey, let key = rowKey(image, table, batch.arena) {
            event.rowKeyText = key
        } else {
            event.rowKeyText = try keyText(context.message, image, table, batch)
        }
        event.rowKeyHash = hash(event.rowKeyText, batch.arena)
        event.imageHash = parser.slots[shape.meta(main == 0 ? .firstRow : .secondRow)].bits
        event.afterSlot = facts.after.map { append(image: $0, count) } ?? -1
        if trait.eventTimeSlot >= 0, image[Int(trait.eventTimeSlot)].kind == .timestamp {
            event.eventTime = image[Int(trait.eventTimeSlot)].timestampValue
        }
        guard let before = facts.before else {
            events.append(event)
            return
        }
        event.beforeSlot = append(image: before, count)
        if facts.after != nil, trait.hasRowKey {
            let old = parser.slots + before * count
            if let oldKey = rowKey(old, table, batch.arena), hash(oldKey, batch.arena) != event.rowKeyHash {
                appendKeyChange(event, oldKey: oldKey, shape, batch)
                return
            }
            // Equal images in one event: the row did not change.
            let first = parser.slots[shape.meta(.firstRow)]
            if first.kind == .uint, first.bits == event.imageHash { event.disposition = .noOp }
        }
        events.append(event)
    }

    /// A changed row key is a delete at the old key and a row at the new one.
    private mutating func appendKeyChange(
        _ event: ChangeEvent, oldKey: (offset: UInt32, count: UInt32), _ shape: EventShape, _ batch: ChangeBatch
    ) {
        var gone = event
        gone.kind = .delete
        gone.rowKeyText = oldKey
        gone.rowKeyHash = hash(oldKey, batch.arena)
        gone.imageHash = parser.slots[shape.meta(.firstRow)].bits
        gone.afterSlot = -1
        events.append(gone)
        var come = event
        come.kind = .insert
        come.beforeSlot = -1
        events.append(come)
    }

    private mutating func append(image: Int, _ count: Int) -> Int32 {
        let slot = Int32(slots.count)
        slots.append(contentsOf: UnsafeBufferPointer(start: parser.slots + image * count, count: count))
        return slot
    }

    func hash(_ text: (offset: UInt32, count: UInt32), _ arena: RowArena) -> UInt64 {
        StableHash.hash(arena.bytes(offset: text.offset, count: Int(text.count)), seed: 0)
    }

    private func rowKey(
        _ image: UnsafePointer<SlotValue>, _ table: Int, _ arena: RowArena
    ) -> (offset: UInt32, count: UInt32)? {
        RowKeyText.make(image, catalog.tables[table].layout.rowKeySlots, arena)
    }

    /// The commit time of a message, and whether another time had to stand in for what it says.
    func commitTime(_ time: Timestamp?, _ message: RawMessage) -> (time: Timestamp, isAhead: Bool) {
        let kafka = Timestamp(milliseconds: max(message.timestamp, 0))
        var taken = time ?? kafka
        var isAhead = false
        if message.timestamp > 0, taken > kafka,
            // Any two numbers may have come.
            UInt64(bitPattern: taken.milliseconds &- kafka.milliseconds) > ChangeDecoder.timeAheadMaxMilliseconds
        {
            taken = kafka
            isAhead = true
        }
        if let commitTimeMax, taken > commitTimeMax {
            taken = commitTimeMax
            isAhead = true
        }
        return (taken, isAhead)
    }

    private func convert(
        _ image: Int?, _ shape: EventShape, _ rules: ContiguousArray<ColumnRule>, _ arena: RowArena
    ) {
        guard let image else { return }
        let slots = parser.slots + image * shape.columnCount
        let converter = RowConverter(arena: arena)
        for nested in shape.nested { unfold(nested, image, slots, arena) }
        converter.convert(slots, rules, shape.conventions)
    }

    /// Reads the columns inside a JSON column that came as text.
    private func unfold(
        _ nested: EventShape.NestedColumns, _ image: Int, _ slots: UnsafeMutablePointer<SlotValue>, _ arena: RowArena
    ) {
        let text = parser.slots[nested.textSlots[image]]
        if text.kind == .string, text.textCount == 28,
            text.text(in: arena).equals("__debezium_unavailable_value")
        {
            for column in nested.columns { slots[column.to] = .unknown }
            return
        }
        guard text.kind == .string, text.text(in: arena).first == UInt8(ascii: "{"),
            inner.begin(text.text(in: arena)) == 0,
            inner.next(nested.plan, byteCount: text.textCount, arena: arena) == 1
        else {
            if text.kind == .null { for column in nested.columns { slots[column.to] = .null } }
            return
        }
        for column in nested.columns { slots[column.to] = inner.slots[column.from] }
    }

    /// Makes the nulls of a key-only `before` unknown: the source did not log those columns.
    private func blurKeyOnly(_ image: Int, _ shape: EventShape, _ table: Int) {
        let layout = catalog.tables[table].layout
        let members = Int(parser.slots[shape.meta(image == 0 ? .firstRow : .secondRow)].shortTextCount)
        guard !layout.rowKeySlots.isEmpty, members <= layout.rowKeySlots.count else { return }
        let slots = parser.slots + image * shape.columnCount
        for index in 0..<shape.columnCount where slots[index].kind == .null || slots[index].kind == .missing {
            slots[index] = .unknown
        }
    }

    /// How columns are read: as declared, refined by the Connect schema where one came along.
    private mutating func columnRules(
        _ shape: EventShape, _ table: Int, _ context: ObjectContext, _ batch: ChangeBatch
    ) -> ContiguousArray<ColumnRule> {
        guard shape.form.wrapper == .payload || shape.form.wrapper == .dataPayload else { return rules[table] }
        let schema = parser.slots[shape.meta(.schema)]
        guard schema.kind == .uint else { return rules[table] }
        if let known = schemas.rules(table: table, schema: schema.bits) { return known }
        // The slots hold the object's values: they are put back after the schema was read with the same parser.
        let saved = Array(UnsafeBufferPointer(start: parser.slots, count: shape.plan.slotCount))
        let made = readSchema(shape, table, context.byteCount, batch)
        for (index, slot) in saved.enumerated() { parser.slots[index] = slot }
        schemas.remember(made, table: table, schema: schema.bits)
        return made
    }

    private func readSchema(
        _ shape: EventShape, _ table: Int, _ byteCount: Int, _ batch: ChangeBatch
    ) -> ContiguousArray<ColumnRule> {
        guard let plan = JSONPlan() else { return rules[table] }
        plan.want(shape.form.wrapper == .payload ? ["schema"] : ["data", "schema"], slot: 0)
        parser.back()
        guard parser.next(plan, byteCount: byteCount, arena: batch.arena) == 1, parser.slots[0].kind == .object,
            let schema = try? JSON.parse(parser.slots[0].text(in: batch.arena))
        else { return rules[table] }
        return DebeziumSchemas.rules(schema, layout: catalog.tables[table].layout)
    }
}
