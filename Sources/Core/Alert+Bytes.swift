extension Alert {
    private static let formatVersion: UInt8 = 1

    /// The alert in its stored binary form.
    public var bytes: [UInt8] {
        var writer = ByteWriter(reserving: 512)
        writer.byte(Alert.formatVersion)
        for text in [rule, table, owner] { writer.text(text) }
        writer.count(keyColumns.count)
        for column in keyColumns { writer.text(column) }
        for text in keyTexts { writer.optional(text) { $0.text($1) } }
        writer.byte(state.rawValue)
        writer.byte(severity.rawValue)
        writer.unsigned(UInt64(episode))
        let times = levelSince + [pendingSince, firingSince, resolvedAt, dueAt, holdUntil, lastBreachAt]
        for time in times { writer.optional(time) { $0.signed($1.milliseconds) } }
        for flag in [isOverdue, isLastValueUnknown, isInexact, isBootstrap] { writer.bool(flag) }
        writer.signed(holdVersion)
        writer.count(breachingRows.count)
        for row in breachingRows {
            writer.word(row.digest)
            writer.byte(row.severity.rawValue)
            writer.optional(row.holdUntil) { $0.signed($1.milliseconds) }
            writer.signed(row.holdVersion)
        }
        writer.optional(newestRow) { writer, row in
            writer.word(row.digest)
            writer.signed(row.eventTime.milliseconds)
            writer.signed(row.version)
        }
        writer.count(labels.count)
        for (name, value) in labels.sorted(by: { $0.key < $1.key }) {
            writer.text(name)
            writer.text(value)
        }
        writer.optional(recipient) { $0.text($1) }
        writer.count(columns.count)
        for (name, value) in columns.sorted(by: { $0.key < $1.key }) {
            writer.text(name)
            writer.byte(value.kind.rawValue)
            writer.text(value.text)
        }
        writer.optional(cause) { $0.position($1) }
        writer.signed(changedAt.milliseconds)
        return writer.bytes
    }

    /// Reads the stored binary form.
    public init(bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version == Alert.formatVersion else {
            throw ByteReadError(message: "unknown alert format \(version)", byteOffset: 0)
        }
        let rule = try reader.text()
        let table = try reader.text()
        let owner = try reader.text()
        let keyCount = try reader.count()
        var keyColumns: [String] = []
        for _ in 0..<keyCount { keyColumns.append(try reader.text()) }
        var keyTexts: [String?] = []
        for _ in 0..<keyCount {
            keyTexts.append(try reader.optional { reader throws(ByteReadError) in try reader.text() })
        }
        self.init(rule: rule, table: table, owner: owner, keyColumns: keyColumns, keyTexts: keyTexts, at: .epoch)
        try readState(&reader)
        try readTexts(&reader)
    }

    private mutating func readState(_ reader: inout ByteReader) throws(ByteReadError) {
        guard let state = State(rawValue: try reader.byte()), let severity = Severity(rawValue: try reader.byte())
        else {
            throw ByteReadError(message: "unknown alert state or severity", byteOffset: 0)
        }
        self.state = state
        self.severity = severity
        episode = UInt32(truncatingIfNeeded: try reader.unsigned())
        for level in levelSince.indices { levelSince[level] = try reader.optionalTimestamp() }
        pendingSince = try reader.optionalTimestamp()
        firingSince = try reader.optionalTimestamp()
        resolvedAt = try reader.optionalTimestamp()
        dueAt = try reader.optionalTimestamp()
        holdUntil = try reader.optionalTimestamp()
        lastBreachAt = try reader.optionalTimestamp()
        isOverdue = try reader.bool()
        isLastValueUnknown = try reader.bool()
        isInexact = try reader.bool()
        isBootstrap = try reader.bool()
        holdVersion = try reader.signed()
        for _ in 0..<(try reader.count()) { breachingRows.append(try reader.breachingRow()) }
        newestRow = try reader.optional { reader throws(ByteReadError) in
            NewestRow(
                digest: try reader.word(), eventTime: Timestamp(milliseconds: try reader.signed()),
                version: try reader.signed())
        }
    }

    private mutating func readTexts(_ reader: inout ByteReader) throws(ByteReadError) {
        for _ in 0..<(try reader.count()) {
            let name = try reader.text()
            labels[name] = try reader.text()
        }
        recipient = try reader.optional { reader throws(ByteReadError) in try reader.text() }
        for _ in 0..<(try reader.count()) {
            let name = try reader.text()
            guard let kind = SlotValue.Kind(rawValue: try reader.byte()) else {
                throw ByteReadError(message: "unknown kind of column '\(name)'", byteOffset: 0)
            }
            columns[name] = ColumnText(kind: kind, text: try reader.text())
        }
        cause = try reader.optional { reader throws(ByteReadError) in try reader.position() }
        changedAt = Timestamp(milliseconds: try reader.signed())
    }
}

extension ByteWriter {
    /// Writes the position of an event.
    public mutating func position(_ position: EventPosition) {
        text(position.topic)
        signed(Int64(position.partition))
        signed(position.offset)
        signed(position.version)
    }
}

extension ByteReader {
    /// Reads the position of an event.
    public mutating func position() throws(ByteReadError) -> EventPosition {
        EventPosition(
            topic: try text(), partition: Int32(truncatingIfNeeded: try signed()), offset: try signed(),
            version: try signed())
    }

    fileprivate mutating func breachingRow() throws(ByteReadError) -> BreachingRow {
        let digest = try word()
        guard let severity = Severity(rawValue: try byte()) else {
            throw ByteReadError(message: "unknown severity of a breaching row", byteOffset: 0)
        }
        var row = BreachingRow(digest: digest, severity: severity)
        row.holdUntil = try optionalTimestamp()
        row.holdVersion = try signed()
        return row
    }

    /// Reads an optional point in time.
    public mutating func optionalTimestamp() throws(ByteReadError) -> Timestamp? {
        try bool() ? Timestamp(milliseconds: try signed()) : nil
    }
}
