// HOT
public import Core

/// Turns raw messages into change events: finds each topic's format, extracts the columns that rules read.
///
/// A topic's format is declared or found out from its first message and then remembered; positions of different formats
/// cannot be compared, so a message of another format is rejected. One decoder is used by one task at a time.
public struct ChangeDecoder {
    struct Topic {
        var name: String
        var tables: [Int]
        /// What the declarations say; `.detect` where they leave it open.
        var declared: EventFormat
        var form: EventForm?
        var shape: EventShape?
        /// The last batch in which a search for the format found nothing.
        var searchedBatch = -1

        /// The format, once declared or found out.
        var format: EventFormat? { declared != .detect ? declared : form?.format }
    }

    /// Objects of one message that are taken; more are an error, so that no message makes a batch of its own.
    public static let objectsPerMessageMax = 100_000
    /// How far a commit time may be ahead of the Kafka time before that stands in for it, in milliseconds.
    public static let timeAheadMaxMilliseconds: Int64 = 300_000

    /// A commit time above it, and a Kafka time too, is replaced by it; nil: none is. Live it is the wall clock and
    /// ``timeAheadMaxMilliseconds``, so that no message can set a table's clock for good.
    public var commitTimeMax: Timestamp?

    let catalog: TableCatalog
    let parser: JSONParser
    /// For JSON inside strings: message keys, JSON columns that come as text.
    let inner: JSONParser
    let detection: FormatDetection
    var topics: [Topic] = []
    var topicIndexes: [String: Int] = [:]
    var shapes: [[EventForm: EventShape]]
    var rules: [ContiguousArray<ColumnRule>]
    var keyPlans: [JSONPlan?]
    /// What every row asks of its table, without a copy of the declaration.
    var traits: ContiguousArray<TableTraits>
    var schemas = DebeziumSchemas()
    var events: ContiguousArray<ChangeEvent> = []
    var slots: ContiguousArray<SlotValue> = []
    var partitionTopics: [Int] = []
    var batchNumber = 0

    /// Makes a decoder for the tables of a catalog.
    public init(catalog: TableCatalog) {
        guard let parser = JSONParser(), let inner = JSONParser(), let detection = FormatDetection() else {
            preconditionFailure("no memory for a JSON parser")
        }
        self.catalog = catalog
        self.parser = parser
        self.inner = inner
        self.detection = detection
        shapes = Array(repeating: [:], count: catalog.tables.count)
        rules = catalog.tables.map { table in
            ContiguousArray(table.layout.columns.map { ColumnRule(type: $0.type, isDeclared: $0.isDeclared) })
        }
        keyPlans = catalog.tables.map { ChangeDecoder.keyPlan($0.declaration) }
        traits = ContiguousArray(catalog.tables.map(TableTraits.init))
    }

    /// The formats found out so far, by topic; kept with a checkpoint and given back with ``remember(_:)``.
    public var detectedFormats: [String: EventFormat] {
        var formats: [String: EventFormat] = [:]
        for topic in topics { if let format = topic.form?.format { formats[topic.name] = format } }
        return formats
    }

    /// Takes formats that were found out before a restart.
    public mutating func remember(_ formats: [String: EventFormat]) {
        for (name, format) in formats {
            let index = topicIndex(name)
            if topics[index].declared == .detect { topics[index].declared = format }
        }
    }

    /// Appends the events of a raw batch; what is no event is added to ``ChangeBatch/rejected``.
    public mutating func decode(_ raw: RawBatch, into batch: ChangeBatch) {
        batch.raw = raw
        batchNumber += 1
        partitionTopics = raw.partitions.map { topicIndex($0.topic) }
        swap(&events, &batch.events)
        swap(&slots, &batch.slots)
        for index in raw.messages.indices {
            let eventCount = events.count
            let slotCount = slots.count
            let skipped = batch.skipped
            let timeAheadCount = batch.timeAheadCount
            do throws(JSONFailure) {
                try decode(raw.messages[index], at: index, raw, batch)
            } catch {
                // All or nothing: a message that is bad in part is rejected as a whole.
                events.removeLast(events.count - eventCount)
                slots.removeLast(slots.count - slotCount)
                batch.skipped = skipped
                batch.timeAheadCount = timeAheadCount
                batch.rejected.append(
                    RejectedMessage(messageIndex: Int32(index), reason: error.reason, byteOffset: error.byteOffset))
            }
        }
        swap(&events, &batch.events)
        swap(&slots, &batch.slots)
    }

    private mutating func topicIndex(_ name: String) -> Int {
        if let index = topicIndexes[name] { return index }
        let tables = catalog.tables(carriedBy: name)
        let formats = Set(tables.map { catalog.tables[$0].declaration.format })
        let declared = formats.count == 1 ? formats.first ?? .detect : .detect
        var topic = Topic(name: name, tables: tables, declared: declared)
        topic.form = EventForm.likely(declared)
        if tables.count == 1, let form = topic.form { topic.shape = shape(tables[0], form) }
        topics.append(topic)
        topicIndexes[name] = topics.count - 1
        return topics.count - 1
    }

    func failure(_ reason: String) -> JSONFailure { JSONFailure(reason: reason, byteOffset: nil) }

    private mutating func decode(
        _ message: RawMessage, at index: Int, _ raw: RawBatch, _ batch: ChangeBatch
    ) throws(JSONFailure) {
        let topic = partitionTopics[Int(message.partitionIndex)]
        guard let whole = message.value else { return try decodeTombstone(message, at: index, topic, raw, batch) }
        let value = try body(of: whole, message, raw)
        let cloudHeaders = cloudHeaders(message, topic, raw)
        let code = parser.begin(value)
        if code != 0 { throw described(parser.failure(code), whole, value) }
        var ordinal: Int32 = 0
        while true {
            let context = ObjectContext(
                message: message, messageIndex: Int32(index), ordinal: ordinal, topic: topic, byteCount: value.count,
                cloudHeaders: cloudHeaders)
            if let shape = topics[topic].shape,
                shape.form.isCloudEvent == (cloudHeaders != nil) || shape.form.isStructured
            {
                let code = parser.next(shape.plan, byteCount: value.count, arena: batch.arena)
                if code == 0 { break }
                if code < 0 { throw described(parser.failure(code), whole, value) }
                if matches(shape) {
                    try emit(context, shape, table: topics[topic].tables[0], batch)
                    ordinal += 1
                    continue
                }
                parser.back()
            }
            do throws(JSONFailure) {
                guard try decodeUnfamiliar(context, batch) else { break }
            } catch {
                throw described(error, whole, value)
            }
            ordinal += 1
            guard ordinal <= ChangeDecoder.objectsPerMessageMax else {
                throw failure("more than \(ChangeDecoder.objectsPerMessageMax) objects in one message")
            }
        }
        if ordinal == 0 { throw failure("the value holds no object") }
    }

    /// An offset inside the body as an offset inside the value.
    private func described(
        _ failure: JSONFailure, _ whole: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) -> JSONFailure {
        guard let offset = failure.byteOffset else { return failure }
        return JSONFailure(reason: failure.reason, byteOffset: offset + whole.count - value.count)
    }

    /// The JSON of a value: without a byte order mark, and never of a framing that is not understood.
    private func body(
        of value: UnsafeRawBufferPointer, _ message: RawMessage, _ raw: RawBatch
    ) throws(JSONFailure) -> UnsafeRawBufferPointer {
        guard let first = value.first else { throw failure("an empty value (0 bytes; a tombstone has no value)") }
        if first == UInt8(ascii: "{") { return value }
        switch first {
        case 0xEF where value.starts(with: [0xEF, 0xBB, 0xBF]):
            return UnsafeRawBufferPointer(rebasing: value.dropFirst(3))
        case 0x1F where value.count > 1 && value[1] == 0x8B: throw failure("a gzip-compressed value")
        case 0x00 where value.count > 5:
            let id = value[1...4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let rest = UnsafeRawBufferPointer(rebasing: value.dropFirst(5))
            // A JSON Schema serializer writes plain JSON behind the id; Avro and Protobuf are binary.
            if rest.first == UInt8(ascii: "{"), parser.begin(rest) == 0 { return rest }
            throw failure("Confluent schema registry framing (schema id \(id)): Avro and Protobuf are not supported")
        default: break
        }
        if let reason = ChangeDecoder.foreignFraming(raw.headers(of: message)) { throw failure(reason) }
        return value
    }

    private static func foreignFraming(_ headers: ArraySlice<RawHeader>) -> String? {
        for header in headers {
            guard let value = header.value else { continue }
            switch header.name.lowercased() {
            case "content-type":
                let text = String(decoding: value, as: UTF8.self)
                if text.lowercased().hasPrefix("avro/binary") {
                    let id = text.split(separator: "+").dropFirst().first ?? "unknown"
                    return "Azure Schema Registry framing (schema id \(id.prefix(32))): Avro is not supported"
                }
            case "__value_schema_id":
                return "Confluent schema registry framing (schema id \(Hex.encode(value.dropFirst().prefix(16)))): "
                    + "Avro and Protobuf are not supported"
            default: break
            }
        }
        return nil
    }

    /// Whether the slots just extracted are those of the shape's form.
    private func matches(_ shape: EventShape) -> Bool {
        let slots = parser.slots
        if shape.form.isStructured, slots[shape.meta(.specVersion)].kind == .missing { return false }
        switch shape.form.body {
        case .cdf, .debezium, .deltaflow: return slots[shape.meta(.operation)].kind != .missing
        case .images:
            return slots[shape.meta(.firstRow)].kind != .missing || slots[shape.meta(.secondRow)].kind != .missing
        case .flat:
            return slots[shape.meta(.operation)].kind != .missing || slots[shape.meta(.deleted)].kind != .missing
        case .plain:
            return slots[shape.meta(.foreign)].kind == .missing && slots[shape.meta(.firstRow)].kind == .uint
        }
    }

    /// Recognises the next object, remembers its form and decodes it; false at the end.
    private mutating func decodeUnfamiliar(_ context: ObjectContext, _ batch: ChangeBatch) throws(JSONFailure) -> Bool {
        var code = parser.next(detection.plan, byteCount: context.byteCount, arena: batch.arena)
        if code == 0 { return false }
        if code < 0 { throw parser.failure(code) }
        let recognised = detection.recognise(
            parser.slots, batch.arena, isBinaryCloudEvent: context.cloudHeaders != nil)
        guard let form = try eventForm(recognised, batch) else { return true }
        let topic = topics[context.topic]
        guard !topic.tables.isEmpty else { throw failure("no table is declared for this topic") }
        if let expected = topic.format, expected != form.format {
            throw failure("a message of format '\(form.format.rawValue)' on a topic of format '\(expected.rawValue)'")
        }
        let table = try table(context, batch)
        guard let shape = shape(table, form) else { throw failure("no memory for an extraction plan") }
        parser.back()
        code = parser.next(shape.plan, byteCount: context.byteCount, arena: batch.arena)
        if code < 0 { throw parser.failure(code) }
        topics[context.topic].form = form
        if topic.tables.count == 1 { topics[context.topic].shape = shape }
        try emit(context, shape, table: table, batch)
        return true
    }

    /// The form of an event; nil for messages that are known to be none, which are counted.
    func eventForm(_ recognised: Recognised, _ batch: ChangeBatch) throws(JSONFailure) -> EventForm? {
        switch recognised {
        case .event(let form): return form
        case .heartbeat: batch.skipped.heartbeats += 1
        case .transaction: batch.skipped.transactions += 1
        case .schemaChange: batch.skipped.schemaChanges += 1
        case .truncate: batch.skipped.truncates += 1
        case .logicalMessage: batch.skipped.logicalMessages += 1
        case .emptyPayload: batch.skipped.tombstones += 1
        case .rejected(let reason): throw failure(reason)
        }
        return nil
    }

    private func table(_ context: ObjectContext, _ batch: ChangeBatch) throws(JSONFailure) -> Int {
        let tables = topics[context.topic].tables
        if tables.count == 1 { return tables[0] }
        guard let name = detection.tableName(parser.slots, batch.arena) else {
            throw failure("the topic carries several tables and the message names none")
        }
        guard let index = tables.first(where: { catalog.tables[$0].name == name }) else {
            throw failure("the message names a table that is not declared for this topic")
        }
        return index
    }

    mutating func shape(_ table: Int, _ form: EventForm) -> EventShape? {
        if let shape = shapes[table][form] { return shape }
        let shape = EventShape(form: form, table: catalog.tables[table])
        shapes[table][form] = shape
        return shape
    }
}

/// One object of a message, while it is decoded.
struct ObjectContext {
    var message: RawMessage
    var messageIndex: Int32
    var ordinal: Int32
    var topic: Int
    var byteCount: Int
    var cloudHeaders: CloudHeaders?
}

/// What every row asks of its table; trivial.
struct TableTraits {
    var epoch: Int32
    var hasRowKey: Bool
    /// The row key's slot where it is one column; -1: none or several.
    var keySlot: Int32
    /// -1: none.
    var eventTimeSlot: Int32

    init(_ table: TableCatalog.Table) {
        let slots = table.layout.rowKeySlots
        epoch = table.declaration.epoch
        hasRowKey = !slots.isEmpty
        keySlot = slots.count == 1 ? Int32(slots[0]) : -1
        eventTimeSlot = table.layout.eventTimeSlot.map { Int32($0) } ?? -1
    }
}
