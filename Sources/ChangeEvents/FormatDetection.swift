internal import Core

/// What a message is, found out from its members.
enum Recognised {
    case event(EventForm)
    case heartbeat, transaction, schemaChange, truncate, logicalMessage
    /// Connect's schema around a null payload.
    case emptyPayload
    case rejected(String)
}

/// Looks at the names of an object's members, down to where a change may lie.
struct FormatDetection {
    private enum Name: Int, CaseIterable {
        case row, schema, payload, op, source, before, after, changeType, changeTypeUpper, deltaflow, flatOperation
        case flatDeleted, specversion, type, data, dataBase64, status, eventCount, dataCollections, timestamp
        case databaseName, ddl, tableChanges, message, tableName, flatTable, deltaflowTable

        var member: [String] {
            switch self {
            case .row: []
            case .schema: ["schema"]
            case .payload: ["payload"]
            case .op: ["op"]
            case .source: ["source"]
            case .before: ["before"]
            case .after: ["after"]
            case .changeType: ["_change_type"]
            case .changeTypeUpper: ["_CHANGE_TYPE"]
            case .deltaflow: ["__dbz_operation"]
            case .flatOperation: ["__op"]
            case .flatDeleted: ["__deleted"]
            case .specversion: ["specversion"]
            case .type: ["type"]
            case .data: ["data"]
            case .dataBase64: ["data_base64"]
            case .status: ["status"]
            case .eventCount: ["event_count"]
            case .dataCollections: ["data_collections"]
            case .timestamp: ["ts_ms"]
            case .databaseName: ["databaseName"]
            case .ddl: ["ddl"]
            case .tableChanges: ["tableChanges"]
            case .message: ["message"]
            case .tableName: ["source", "table"]
            case .flatTable: ["__table"]
            case .deltaflowTable: ["__dbz_table"]
            }
        }
    }

    let plan: JSONPlan

    init?() {
        guard let plan = JSONPlan() else { return nil }
        self.plan = plan
        for wrapper in EventForm.Wrapper.allCases {
            for name in Name.allCases {
                let slot = wrapper.rawValue * Name.allCases.count + name.rawValue
                if name == .row {
                    plan.wantRow(wrapper.path, slot: slot)
                } else {
                    plan.want(wrapper.path + name.member, slot: slot)
                }
            }
        }
    }

    /// One level of an object, as its extracted slots show it.
    private struct Level {
        let slots: UnsafePointer<SlotValue>
        let wrapper: EventForm.Wrapper
        let arena: RowArena

        func slot(_ name: Name) -> SlotValue { slots[wrapper.rawValue * Name.allCases.count + name.rawValue] }
        func has(_ name: Name) -> Bool { slot(name).kind != .missing }
        func text(_ name: Name) -> String? {
            slot(name).kind == .string ? slot(name).display(in: arena) : nil
        }
        func at(_ wrapper: EventForm.Wrapper) -> Level { Level(slots: slots, wrapper: wrapper, arena: arena) }
    }

    /// Recognises the object whose slots were extracted by ``plan``.
    func recognise(_ slots: UnsafePointer<SlotValue>, _ arena: RowArena, isBinaryCloudEvent: Bool) -> Recognised {
        let root = Level(slots: slots, wrapper: .none, arena: arena)
        if root.has(.specversion), root.has(.type), !isBinaryCloudEvent { return cloudEvent(root) }
        return connect(root, payload: .payload, isCloudEvent: isBinaryCloudEvent)
    }

    /// The table that a row says it belongs to, for topics that carry several.
    func tableName(_ slots: UnsafePointer<SlotValue>, _ arena: RowArena) -> String? {
        for wrapper in EventForm.Wrapper.allCases {
            let level = Level(slots: slots, wrapper: wrapper, arena: arena)
            for name in [Name.tableName, .flatTable, .deltaflowTable] {
                if let text = level.text(name) { return text }
            }
        }
        return nil
    }

    private func cloudEvent(_ root: Level) -> Recognised {
        if root.text(.type)?.hasPrefix("com.microsoft.SQL.CES") == true {
            return .rejected("SQL Change Event Streaming (JSON text inside a CloudEvent) is not supported yet")
        }
        if root.has(.dataBase64) { return .rejected("CloudEvent with binary data (data_base64)") }
        switch root.slot(.data).kind {
        case .object: return connect(root.at(.data), payload: .dataPayload, isCloudEvent: true)
        case .missing, .null: return .rejected("CloudEvent without data")
        default: return .rejected("CloudEvent whose data is no JSON object")
        }
    }

    private func connect(_ level: Level, payload: EventForm.Wrapper, isCloudEvent: Bool) -> Recognised {
        guard level.has(.schema), level.has(.payload), !level.has(.op),
            level.slot(.schema).kind == .object || level.slot(.schema).kind == .null
        else { return body(level, isCloudEvent: isCloudEvent) }
        switch level.slot(.payload).kind {
        case .object: return body(level.at(payload), isCloudEvent: isCloudEvent)
        case .null: return .emptyPayload
        default: return .rejected("a Connect payload that is no object")
        }
    }

    private func body(_ level: Level, isCloudEvent: Bool) -> Recognised {
        func event(_ body: EventForm.Body) -> Recognised {
            .event(EventForm(wrapper: level.wrapper, body: body, isCloudEvent: isCloudEvent))
        }
        if level.has(.changeType) || level.has(.changeTypeUpper) { return event(.cdf) }
        if level.has(.deltaflow) { return event(.deltaflow) }
        if level.has(.flatOperation) || level.has(.flatDeleted) { return event(.flat) }
        if level.has(.op), level.slot(.source).kind == .object || level.has(.before) || level.has(.after) {
            switch level.text(.op) {
            case "t": return .truncate
            case "m": return .logicalMessage
            default: return event(.debezium)
            }
        }
        if level.has(.before), level.has(.after), isCloudEvent || level.slot(.source).kind == .object {
            return event(.images)
        }
        if isCloudEvent, level.slot(.before).kind == .object || level.slot(.after).kind == .object {
            return event(.images)
        }
        if level.has(.status), level.has(.dataCollections) || level.has(.eventCount) { return .transaction }
        if level.has(.timestamp), level.slot(.row).shortTextCount == 1 { return .heartbeat }
        if level.has(.ddl) || level.has(.tableChanges), level.has(.databaseName) || level.has(.source) {
            return .schemaChange
        }
        return event(.plain)
    }
}
